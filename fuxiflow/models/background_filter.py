"""A linear filter of backgrounds: it takes out what no observation corrects.

Errors that observations do not see are handed on from cycle to cycle and pile up: structures of the
smallest scales, and combinations of levels and variables that no atmosphere has. The filter keeps
of the background's anomaly from climatology what anomalies of the reanalysis look like, more than
errors of forecasts do. :mod:`fuxiflow.training.filter_fit` fits it; nothing trains it.
"""

import torch
from torch import Tensor

from fuxiflow.models.spectral_basis import SpectralBasis


class BackgroundFilter(SpectralBasis):
    """climatology + A (background - climatology), with a matrix A for each zonal wavenumber.

    A acts on the amplitudes of vertical modes in rows of latitude, and is kept as the product of
    ``left (wave, row x mode, rank, 2)`` and ``right (wave, rank, row x mode, 2)``, real and
    imaginary parts last. All are buffers and go into the checkpoint. Before it is fitted A is zero.
    """

    def __init__(
        self,
        channels: int,
        shape: tuple[int, int],
        *,
        waves: int,
        vertical_modes: int,
        rows: int,
        rank: int,
        keep_small_scales: bool,
    ):
        """Make the buffers.

        Parameters
        ----------
        channels : int
            Analysed channels.
        shape : tuple of int
            The grid ``(lat, lon)``.
        waves : int
            The largest zonal wavenumber that A acts on, at most half of the longitudes.
        vertical_modes : int
            Vertical modes, at most ``channels``.
        rows : int
            Rows of latitude that A acts on, at most those of the grid.
        rank : int
            Rank of each A, at most ``rows * vertical_modes``.
        keep_small_scales : bool
            Whether what A does not act on is left as it is; else it becomes climatology.
        """
        super().__init__(channels, shape, waves=waves, vertical_modes=vertical_modes, rows=rows)
        size = self.rows * self.vertical_modes
        rank = min(rank, size)
        self.size = {
            "waves": self.waves,
            "vertical_modes": self.vertical_modes,
            "rows": self.rows,
            "rank": rank,
            "keep_small_scales": keep_small_scales,
        }
        self.keep_small_scales = keep_small_scales
        self.register_buffer("left", torch.zeros(self.waves + 1, size, rank, 2))
        self.register_buffer("right", torch.zeros(self.waves + 1, rank, size, 2))

    def filtered(self, amplitudes: Tensor) -> Tensor:
        """A times amplitudes ``(wave, row * mode, batch)``."""
        left, right = torch.view_as_complex(self.left), torch.view_as_complex(self.right)
        return left @ (right @ amplitudes)

    def forward(self, background: Tensor, climatology: Tensor) -> Tensor:
        """Filter a background.

        Parameters
        ----------
        background, climatology : Tensor
            Standardised, ``(batch, channel, lat, lon)``.

        Returns
        -------
        Tensor
            Likewise, in the numbers of single precision.
        """
        with torch.autocast(background.device.type, enabled=False):
            climatology = climatology.float()
            anomaly = (background.float() - climatology) / self.scale
            amplitudes = self.amplitudes(anomaly)
            if self.keep_small_scales:
                anomaly = anomaly + self.fields(self.filtered(amplitudes) - amplitudes)
            else:
                anomaly = self.fields(self.filtered(amplitudes))
            return climatology + anomaly * self.scale
