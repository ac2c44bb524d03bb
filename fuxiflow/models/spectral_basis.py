"""Fields as amplitudes of zonal wavenumbers, rows of latitude and vertical modes, and back.

Covariances of errors are matrices of a few thousand rows in these amplitudes, one for each zonal
wavenumber, where those of whole states would have millions.
"""

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from fuxiflow.storage import checksums, provenance
from fuxiflow.storage.tensor_files import save_tensors


def row_means(nlat: int, rows: int) -> Tensor:
    """Return the weights ``(rows, nlat)`` of means over equal shares of the latitudes.

    A latitude that lies in two of them counts in each by its part.
    """
    edges = torch.linspace(0, nlat, rows + 1, dtype=torch.float64)
    latitudes = torch.arange(nlat, dtype=torch.float64)
    upper = torch.minimum(edges[1:, None], latitudes + 1)
    overlap = (upper - torch.maximum(edges[:-1, None], latitudes)).clamp_min(0)
    return (overlap / overlap.sum(1, keepdim=True)).float()


def row_interpolation(nlat: int, rows: int) -> Tensor:
    """Return the weights ``(nlat, rows)`` that interpolate linearly between centres of rows.

    Beyond the outermost centres their values go on.
    """
    place = ((torch.arange(nlat, dtype=torch.float64) + 0.5) * rows / nlat - 0.5).clamp(0, rows - 1)
    distance = (place[:, None] - torch.arange(rows, dtype=torch.float64)).abs()
    return (1 - distance).clamp_min(0).float()


class SpectralBasis(nn.Module):
    """The amplitudes that a filter or a covariance acts on.

    ``scale (channel, lat, lon)`` brings fields to numbers of order one, and ``vertical (channel,
    mode)`` has orthonormal modes. Both are buffers that a fit fills in.
    """

    def __init__(
        self, channels: int, shape: tuple[int, int], *, waves: int, vertical_modes: int, rows: int
    ):
        """Make the buffers.

        Parameters
        ----------
        channels : int
            Analysed channels.
        shape : tuple of int
            The grid ``(lat, lon)``.
        waves : int
            The largest zonal wavenumber, at most half of the longitudes.
        vertical_modes : int
            Vertical modes, at most ``channels``.
        rows : int
            Rows of latitude, at most those of the grid.
        """
        super().__init__()
        nlat, self.nlon = shape
        self.waves = min(waves, self.nlon // 2)
        self.rows, self.vertical_modes = min(rows, nlat), min(vertical_modes, channels)
        self.register_buffer("scale", torch.ones(channels, *shape))
        self.register_buffer("vertical", torch.zeros(channels, self.vertical_modes))
        self.register_buffer("means", row_means(nlat, self.rows))
        self.register_buffer("spread", row_interpolation(nlat, self.rows))

    def amplitudes(self, anomaly: Tensor) -> Tensor:
        """Project scaled anomalies ``(batch, channel, lat, lon)`` on waves, rows and modes.

        Returns complex numbers ``(wave, row * mode, batch)``, modes last in a row.
        """
        waves = torch.fft.rfft(anomaly, dim=-1, norm="forward")[..., : self.waves + 1]
        by_row = torch.einsum("rl,nclm->mrcn", self.means.to(waves.dtype), waves)
        modes = self.vertical.T.to(waves.dtype) @ by_row
        return modes.reshape(self.waves + 1, -1, len(anomaly))

    def channels_by_row(self, amplitudes: Tensor) -> Tensor:
        """Return the waves ``(wave, row, channel, batch)`` of amplitudes, in rows of latitude."""
        modes = amplitudes.reshape(self.waves + 1, self.rows, self.vertical_modes, -1)
        return self.vertical.to(modes.dtype) @ modes

    def fields(self, amplitudes: Tensor) -> Tensor:
        """Return the scaled anomalies ``(batch, channel, lat, lon)`` of amplitudes.

        It undoes :meth:`amplitudes`, but for what modes, rows and waves do not hold.
        """
        return torch.einsum("ck,nkyx->ncyx", self.vertical, self.mode_fields(amplitudes))

    def mode_fields(self, amplitudes: Tensor) -> Tensor:
        """Return the vertical modes ``(batch, mode, lat, lon)`` of amplitudes."""
        by_row = amplitudes.reshape(self.waves + 1, self.rows, self.vertical_modes, -1)
        waves = torch.einsum("lr,mrkn->nklm", self.spread.to(by_row.dtype), by_row)
        return torch.fft.irfft(waves, n=self.nlon, dim=-1, norm="forward")

    def mode_adjoint(self, modes: Tensor) -> Tensor:
        """Apply the adjoint of :meth:`mode_fields` to ``(batch, mode, lat, lon)``.

        The inner product of amplitudes is the real part of the sum of conj(a) b.
        """
        waves = torch.fft.rfft(modes, dim=-1)[..., : self.waves + 1]
        waves = waves * self.parts
        by_row = torch.einsum("lr,nklm->mrkn", self.spread.to(waves.dtype), waves)
        return by_row.reshape(self.waves + 1, -1, len(modes))

    @property
    def parts(self) -> Tensor:
        """Count the real numbers of an amplitude of each wavenumber, 1 or 2, ``(wave,)``."""
        return 2 - self.is_real.float()

    @property
    def is_real(self) -> Tensor:
        """Tell the wavenumbers whose amplitudes are real, ``(wave,)``: 0 and that of the grid."""
        wave = torch.arange(self.waves + 1, device=self.scale.device)
        return (wave == 0) | (2 * wave == self.nlon)


Fitted = TypeVar("Fitted", bound=SpectralBasis)


def save_fitted(path: Path, layer: SpectralBasis) -> None:
    """Write a fitted filter or covariance into a tensor file with a checksum."""
    channels, *shape = layer.scale.shape
    save_tensors(
        {
            "channels": channels,
            "shape": shape,
            "size": layer.size,
            "weights": layer.state_dict(),
            "provenance": provenance.as_json(),
        },
        path,
    )


def load_fitted(path: Path, kind: type[Fitted]) -> Fitted:
    """Read the ``kind`` that :func:`save_fitted` wrote; DamagedError where it is another file."""
    checksums.check_sealed(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    layer = kind(content["channels"], tuple(content["shape"]), **content["size"])
    layer.load_state_dict(content["weights"])
    return layer
