"""Spherical harmonics of fields on a grid of cell centres, and their power by total wavenumber.

Harmonics are normalised so that the mean of ``|Y|^2`` over the sphere is 1: the power of a field by
degree sums to the area mean of its square (Parseval). The zonal transform is an FFT. The meridional
one integrates over twice as many latitudes as the grid has, onto which each zonal wave is continued
by its own cosines or sines of colatitude. Fejér's rule is exact there up to degree 2 nlat - 1
(Waldvogel 2006, doi:10.1007/s10543-006-0045-4), so that fields of a degree below nlat come back
without loss; nlat / 2 would be the limit on the grid itself.
"""

from collections.abc import Iterator

import numpy as np
from scipy import fft

from fuxiflow.grids import Grid

KEPT_BYTES = 1 << 26
"""Functions of latitude are kept in memory where they take less; else they are made anew."""


def _fejer_weights(count: int) -> np.ndarray:
    """Return the weights ``(count,)`` of means over the sphere at ``count`` even colatitudes."""
    theta = np.pi * (np.arange(count) + 0.5) / count
    k = np.arange(1, count // 2 + 1)
    series = (np.cos(2 * np.outer(theta, k)) / (4 * k**2 - 1)).sum(axis=1)
    return (1 - 2 * series) / count


def _refine(waves: np.ndarray, even: bool) -> np.ndarray:
    """Continue zonal waves ``(..., lat)`` onto twice as many latitudes.

    They are sums of cosines of colatitude where ``even``, else of sines.
    """
    forward, back = (fft.dct, fft.idct) if even else (fft.dst, fft.idst)
    series = forward(waves, type=2, axis=-1)
    if not even:
        # sin(nlat theta) has no partner on the grid, and counts twice there
        series[..., -1] /= 2
    padded = np.concatenate([series, np.zeros_like(series)], axis=-1)
    return 2 * back(padded, type=2, axis=-1)


class SphericalHarmonics:
    """Transforms of fields ``(..., lat, lon)`` on a grid to coefficients ``(..., degree, order)``.

    Degrees and orders go from 0 to :attr:`last`. Coefficients of an order above the degree are 0,
    those of negative orders are the conjugates.
    """

    def __init__(self, grid: Grid):
        """Take a grid of cell centres; ValueError for one with rows on the poles."""
        if grid.poles:
            raise ValueError(f"{grid} has rows on the poles, expected cell centres")
        self.grid = grid
        self.last = grid.nlat - 1
        self._weights = _fejer_weights(2 * grid.nlat)
        theta = np.pi * (np.arange(2 * grid.nlat) + 0.5) / (2 * grid.nlat)
        self._cosine, self._sine = np.cos(theta), np.sin(theta)
        size = 2 * 8 * grid.nlat**2 * grid.nlat
        self._kept = list(self._make_functions()) if size < KEPT_BYTES else None

    @property
    def orders(self) -> int:
        """The number of orders that the longitudes resolve, from 0."""
        return min(self.last, (self.grid.nlon - 1) // 2) + 1

    def _make_functions(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the functions of latitude of each order.

        These are the normalised associated Legendre functions and their derivatives by colatitude,
        both ``(degree - order, latitude)``, by the three-term recurrence in the degree.
        """
        diagonal = np.ones(2 * self.grid.nlat)
        for m in range(self.orders):
            if m:
                diagonal = np.sqrt((2 * m + 1) / (2 * m)) * self._sine * diagonal
            values = np.empty((self.last + 1 - m, diagonal.size))
            values[0] = diagonal
            for l in range(m + 1, self.last + 1):  # noqa: E741
                a = np.sqrt((4 * l**2 - 1) / (l**2 - m**2))
                values[l - m] = a * self._cosine * values[l - m - 1]
                if l > m + 1:
                    b = np.sqrt(((l - 1) ** 2 - m**2) / (4 * (l - 1) ** 2 - 1))
                    values[l - m] -= a * b * values[l - m - 2]
            degree = np.arange(m, self.last + 1)[:, None]
            slopes = degree * self._cosine * values
            below = (2 * degree[1:] + 1) / (2 * degree[1:] - 1) * (degree[1:] ** 2 - m**2)
            slopes[1:] -= np.sqrt(below) * values[:-1]
            yield values, slopes / self._sine

    def _functions(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the functions of latitude of each order, from memory where they are kept."""
        return iter(self._kept) if self._kept is not None else self._make_functions()

    def _zonal_waves(self, fields: np.ndarray) -> np.ndarray:
        """Return the waves ``(order, ..., lat)`` of fields along the rows."""
        waves = fft.rfft(np.asarray(fields, float), axis=-1, norm="forward")
        return np.moveaxis(waves[..., : self.orders], -1, 0)

    def _empty(self, fields: np.ndarray) -> np.ndarray:
        """Return coefficients of fields, all 0."""
        return np.zeros((*fields.shape[:-2], self.last + 1, self.last + 1), complex)

    def scalars(self, fields: np.ndarray) -> np.ndarray:
        """Return the coefficients of scalar fields ``(..., lat, lon)``."""
        coefficients = self._empty(fields)
        pairs = zip(self._zonal_waves(fields), self._functions(), strict=True)
        for m, (waves, (values, _)) in enumerate(pairs):
            refined = _refine(waves, even=m % 2 == 0) * self._weights
            coefficients[..., m:, m] = refined @ values.T
        return coefficients

    def winds(self, zonal: np.ndarray, meridional: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients of the rotational and of the divergent part of a wind.

        ``zonal`` and ``meridional`` are ``(..., lat, lon)`` in m s-1, positive to the east and to
        the north. Their powers together sum to the area mean of the wind's square.
        """
        rotational, divergent = self._empty(zonal), self._empty(zonal)
        both = self._zonal_waves(zonal), self._zonal_waves(meridional)
        for m, (u, v, (values, slopes)) in enumerate(zip(*both, self._functions(), strict=True)):
            # components of a vector change sign across a pole, unlike scalars
            u, v = (_refine(part, even=m % 2 == 1) * self._weights for part in (u, v))
            around = 1j * m * values / self._sine
            degree = np.arange(m, self.last + 1)
            scale = 1 / np.sqrt(np.maximum(degree * (degree + 1), 1))
            rotational[..., m:, m] = scale * (u @ slopes.T - v @ around.T)
            divergent[..., m:, m] = scale * (-u @ around.T - v @ slopes.T)
        return rotational, divergent


def power_by_degree(coefficients: np.ndarray) -> np.ndarray:
    """Sum the power of coefficients ``(..., degree, order)`` over orders, negative ones too."""
    power = np.abs(coefficients) ** 2
    return 2 * power.sum(axis=-1) - power[..., 0]
