"""Covariances of errors that 3D-Var weighs backgrounds and observations by."""

import torch
from torch import Tensor, nn

from fuxiflow.models.spectral_basis import SpectralBasis


class BackgroundErrors(SpectralBasis):
    """B, the covariance of background errors, by a square root for each zonal wavenumber.

    ``real_root`` and ``imaginary_root (wave, row * mode, rank)`` are its parts. A control variable
    ``(wave, rank, batch)`` of independent parts of variance 1 becomes a state with covariance B.
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
    ):
        """Make the buffers; before they are fitted B is zero.

        Parameters
        ----------
        channels : int
            Analysed channels.
        shape : tuple of int
            The grid ``(lat, lon)``.
        waves : int
            The largest zonal wavenumber of errors, at most half of the longitudes.
        vertical_modes : int
            Vertical modes, at most ``channels``.
        rows : int
            Rows of latitude, at most those of the grid.
        rank : int
            Directions of each wavenumber, at most ``rows * vertical_modes``.
        """
        super().__init__(channels, shape, waves=waves, vertical_modes=vertical_modes, rows=rows)
        size = self.rows * self.vertical_modes
        self.rank = min(rank, size)
        self.size = {
            "waves": self.waves,
            "vertical_modes": self.vertical_modes,
            "rows": self.rows,
            "rank": self.rank,
        }
        shape = (self.waves + 1, size, self.rank)
        self.register_buffer("real_root", torch.zeros(shape))
        self.register_buffer("imaginary_root", torch.zeros(shape))
        self._rounded: tuple[Tensor, Tensor] | None = None

    def follow_autocast(self) -> None:
        """Multiply by the root in the numbers of autocast from now on where it is on.

        B differs in the last digits, as its root does in bfloat16, which takes a tenth of the time.
        A copy of the root is kept.
        """
        kind = self.real_root.device.type
        if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
            self._rounded = None
        elif self._rounded is None:
            dtype = torch.get_autocast_dtype(kind)
            self._rounded = self.real_root.to(dtype), self.imaginary_root.to(dtype)

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """The root's parts in the numbers that are multiplied."""
        return self._rounded or (self.real_root, self.imaginary_root)

    def set_root(self, wave: int, root: Tensor) -> None:
        """Take the root ``(row * mode, rank)`` of the covariance of a wavenumber's amplitudes."""
        # amplitudes that are complex have a real and an imaginary part, which share the variance
        share = 0.5 if not self.is_real[wave] else 1.0
        parts = torch.view_as_real(
            torch.complex(root.real, root.imag if root.is_complex() else 0 * root)
        )
        self.real_root[wave], self.imaginary_root[wave] = (share**0.5 * parts).unbind(-1)

    def root(self, wave: int) -> Tensor:
        """Return the root of a wavenumber, complex ``(row * mode, rank)``."""
        return torch.complex(self.real_root[wave], self.imaginary_root[wave])

    def mode_states(self, control: Tensor) -> Tensor:
        """Return the scaled vertical modes ``(batch, mode, lat, lon)`` of controls."""
        return self.mode_fields(complex_product(*self.factors, control))

    def mode_controls(self, modes: Tensor) -> Tensor:
        """Apply the adjoint of :meth:`mode_states` to ``(batch, mode, lat, lon)``."""
        amplitudes = self.mode_adjoint(modes)
        # the adjoint of the root, by the conjugate of the product of conjugates
        product = complex_product(*(part.mT for part in self.factors), amplitudes.conj())
        return product.conj().resolve_conj()

    def states_of_modes(self, modes: Tensor) -> Tensor:
        """Return the states ``(batch, channel, lat, lon)`` of scaled vertical modes."""
        return self.scale * torch.einsum("ck,nkyx->ncyx", self.vertical, modes)

    def states(self, control: Tensor) -> Tensor:
        """Return the states ``(batch, channel, lat, lon)`` of controls ``(wave, rank, batch)``."""
        return self.states_of_modes(self.mode_states(control))

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw states ``(batch, channel, lat, lon)`` with covariance B."""
        size = (self.waves + 1, self.rank, batch, 2)
        parts = torch.randn(size, generator=generator).to(self.real_root.device)
        parts[self.is_real, ..., 1] = 0.0
        return self.states(torch.view_as_complex(parts))


def complex_product(real: Tensor, imaginary: Tensor, values: Tensor) -> Tensor:
    """Multiply complex matrices by a few complex vectors, by products of real numbers.

    Those of complex ones take several times as long, and so do columns in place of rows.

    Parameters
    ----------
    real, imaginary : Tensor
        The matrices' parts, ``(wave, m, n)``, in the numbers that are multiplied.
    values : Tensor
        ``(wave, n, batch)``.

    Returns
    -------
    Tensor
        ``(wave, m, batch)``, complex in single precision.
    """
    batch = values.shape[-1]
    rows = torch.view_as_real(values.resolve_conj()).permute(0, 2, 3, 1).flatten(1, 2)
    rows = rows.to(real.dtype).contiguous()
    (a, b), (c, d) = (
        (rows @ part.mT).float().unflatten(1, (batch, 2)).unbind(2) for part in (real, imaginary)
    )
    return torch.complex(a - d, b + c).mT


class SourceErrors(nn.Module):
    """R of a source over sea and over land, in standardised units, first sea then land.

    ``bias (surface, channel)`` is the mean misfit, ``covariance (surface, channel, channel)`` that
    of the rest, ``background (surface, channel)`` the variance of the equivalents of background
    errors, and ``used (surface, channel)`` says which channels are assimilated.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("bias", torch.zeros(2, channels))
        self.register_buffer("covariance", torch.eye(channels).repeat(2, 1, 1))
        self.register_buffer("background", torch.zeros(2, channels))
        self.register_buffer("used", torch.ones(2, channels, dtype=torch.bool))

    def whiten(self, present: Tensor, surface: Tensor, *values: Tensor) -> list[Tensor]:
        """Multiply by R^-1/2, the inverse of the Cholesky factor of what is present.

        Parameters
        ----------
        present : Tensor
            The channels that each observation has, ``(n, channel)``.
        surface : Tensor
            0 over sea, 1 over land, ``(n,)``.
        *values : Tensor
            ``(n, channel, any)`` each.

        Returns
        -------
        list of Tensor
            Likewise, 0 where a channel is missing.
        """
        whitened = [torch.zeros_like(value) for value in values]
        patterns, pattern_of = torch.unique(
            torch.cat([present, surface[:, None].bool()], 1), dim=0, return_inverse=True
        )
        for i, pattern in enumerate(patterns):
            channel = pattern[:-1].nonzero()[:, 0]
            if not len(channel):
                continue
            rows = (pattern_of == i).nonzero()[:, 0]
            where = (rows[:, None], channel[None])
            covariance = self.covariance[int(pattern[-1])][channel][:, channel]
            factor = torch.linalg.cholesky(covariance)
            # multiplied by all at once: solving for each observation takes several times as long
            inverse = torch.linalg.solve_triangular(
                factor, torch.eye(len(channel), device=factor.device), upper=False
            )
            for value, white in zip(values, whitened, strict=True):
                white[where] = inverse @ value[where]
        return whitened
