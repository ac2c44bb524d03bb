"""Samples of anomalies and of errors of forecasts, and covariances of their amplitudes.

The fits of the filter of backgrounds and of the background errors of 3D-Var share them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from fuxiflow.grids import Grid
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.models.spectral_basis import SpectralBasis
from fuxiflow.randomness import numbered_generator
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries

STREAM = 7
"""The fit's number among the streams of :data:`fuxiflow.training.plans.STREAMS`."""
BATCH = 8
"""States that are read and forecast together."""
OVERSAMPLING = 40
"""Further vectors of the randomised range finder (Halko et al., 2011, doi:10.1137/090771806)."""
SCALE_SHARE = 0.5
"""Share of the local mean square in that of the scale; the rest is the zonal mean's."""


def anomaly_covariance(amplitudes: Tensor, taper: Tensor) -> Tensor:
    """Return the tapered covariance ``(size, size)`` of amplitudes ``(size, sample)`` of a wave."""
    return (amplitudes @ amplitudes.mH / amplitudes.shape[1]) * taper


def latitude_taper(latitudes: np.ndarray, modes: int, length: float) -> Tensor:
    """Return a Gaussian of the distance in latitude, ``(row * mode, row * mode)``.

    Covariances of few samples are noise at large distances, where the taper lets them go.

    Parameters
    ----------
    latitudes : np.ndarray
        Of the rows in degrees, ``(row,)``.
    modes : int
        Modes in each row.
    length : float
        Standard deviation in degrees.

    Returns
    -------
    Tensor
        1 on the diagonal.
    """
    distance = torch.from_numpy(latitudes[:, None] - latitudes[None]).float()
    weight = torch.exp(-0.5 * (distance / length) ** 2)
    return weight.repeat_interleave(modes, 0).repeat_interleave(modes, 1)


def basis_taper(basis: SpectralBasis, grid: Grid, length: float) -> Tensor:
    """Return the :func:`latitude_taper` of a basis on its device, ``(row * mode, row * mode)``.

    Parameters
    ----------
    basis : SpectralBasis
        Has rows and modes.
    grid : Grid
        The states' grid.
    length : float
        Standard deviation in degrees.

    Returns
    -------
    Tensor
        1 on the diagonal.
    """
    rows = basis.means.double().cpu().numpy() @ grid.lat
    return latitude_taper(rows, basis.vertical_modes, length).to(basis.means.device)


def leading_eigenvectors(
    matrix: Callable[[Tensor], Tensor], like: Tensor, rank: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Compute the largest eigenvalues of a matrix by a randomised range finder.

    Parameters
    ----------
    matrix : Callable
        Multiplies vectors ``(size, count)`` with it; Hermitian, without negative eigenvalues.
    like : Tensor
        Gives size, type and device.
    rank : int
        Number of eigenvalues, at most ``size``.
    generator : torch.Generator
        Draws the range finder's vectors.

    Returns
    -------
    tuple of Tensor
        Eigenvalues ``(rank,)``, the largest last, and eigenvectors ``(size, rank)``.
    """
    size = len(like)
    count = min(rank + OVERSAMPLING, size)
    start = torch.randn(size, count, generator=generator, device=generator.device).to(like)
    basis = torch.linalg.qr(matrix(matrix(start))).Q
    small = basis.mH @ matrix(basis)
    values, vectors = torch.linalg.eigh((small + small.mH) / 2)
    return values[-rank:].clamp_min(0), basis @ vectors[:, -rank:]


def draw_times(states: StateSeries, count: int, steps: int) -> np.ndarray:
    """Choose times evenly among those whose samples need no state that is not there.

    Parameters
    ----------
    states : StateSeries
        The states there are.
    count : int
        The most times that are chosen.
    steps : int
        A time needs the state 6 h before, and that so many times 6 h after.

    Returns
    -------
    np.ndarray
        The times, ``(n,)``.

    Raises
    ------
    ValueError
        Where fewer than two have them.
    """
    stored = set(states.times)
    usable = [
        time for time in states.times if time - STEP in stored and time + STEP * steps in stored
    ]
    if len(usable) < 2:
        raise ValueError(
            f"{len(usable)} states have one 6 h before and one {6 * steps} h after, and a fit "
            f"needs two; lengthen the period that they are of"
        )
    places = np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int)
    return np.array(usable)[places]


class Samples:
    """Standardised anomalies and errors of forecasts at some times, batch by batch."""

    def __init__(self, networks: Networks, states: StateSeries, lead_hours: int):
        """Join what samples are made of.

        Parameters
        ----------
        networks : Networks
            Their forecaster is used, on its device.
        states : StateSeries
            The reanalysis.
        lead_hours : int
            Length of the forecasts, a multiple of 6.
        """
        self.networks, self.states, self.steps = networks, states, lead_hours // 6

    def _standard(self, times: np.ndarray) -> Tensor:
        fields = self.states.read_many(times)[:, : self.networks.analysed]
        return self.networks.normaliser(torch.from_numpy(fields).to(self.networks.device))

    def anomalies(
        self, times: np.ndarray, climatology: Climatology, shift_days: int, seed: int
    ) -> Iterator[Tensor]:
        """Yield anomalies of the reanalysis from the climatology of another day.

        Parameters
        ----------
        times : np.ndarray
            Times of the states.
        climatology : Climatology
            That of the training period.
        shift_days : int
            Most days between a state and the day whose climatology counts; half of it at least.
        seed : int
            Fixes the days.

        Yields
        ------
        Tensor
            ``(batch, channel, lat, lon)``.
        """

        def normal(time: np.datetime64) -> np.ndarray:
            hours = int(time.astype("datetime64[h]").astype(int))
            generator = numbered_generator(seed, STREAM, hours)
            shift = int(generator.integers(shift_days // 2, shift_days + 1))
            shift *= int(generator.choice([-1, 1]))
            return climatology.at(time + np.timedelta64(shift, "D"))

        for begin in range(0, len(times), BATCH):
            some = times[begin : begin + BATCH]
            normals = np.stack([normal(time) for time in some])[:, : self.networks.analysed]
            normals = self.networks.normaliser(torch.from_numpy(normals).to(self.networks.device))
            yield self._standard(some) - normals

    def errors(self, times: np.ndarray) -> Iterator[Tensor]:
        """``(batch, channel, lat, lon)`` of forecasts that begin at the times."""
        for begin in range(0, len(times), BATCH):
            some = times[begin : begin + BATCH]
            previous, current = self._standard(some - STEP), self._standard(some)
            for step in range(self.steps):
                following = self.networks.forecast(previous, current, some + STEP * step)
                previous, current = current, following[:, : self.networks.analysed]
            yield current - self._standard(some + STEP * self.steps)


def set_scale(layer: SpectralBasis, samples: Iterator[Tensor]) -> None:
    """Take the root mean square of samples as scale, drawn towards its zonal mean."""
    total, count = torch.zeros_like(layer.scale, dtype=torch.float64), 0
    for anomaly in samples:
        total += anomaly.double().square().sum(0)
        count += len(anomaly)
    square = total / count
    zonal = square.mean(-1, keepdim=True)
    mixed = SCALE_SHARE * square + (1 - SCALE_SHARE) * zonal
    layer.scale.copy_(mixed.sqrt().clamp_min(1e-6))


def set_vertical(layer: SpectralBasis, samples: Iterator[Tensor], weight: Tensor) -> None:
    """Take the leading eigenvectors of the samples' covariance between channels.

    Parameters
    ----------
    layer : SpectralBasis
        Has its scale, and gets the modes.
    samples : Iterator of Tensor
        ``(batch, channel, lat, lon)`` each.
    weight : Tensor
        Of the latitudes, ``(lat, 1)``: their areas.
    """
    total = 0.0
    for anomaly in samples:
        scaled = (anomaly / layer.scale) * weight.sqrt()
        rows = scaled.transpose(0, 1).flatten(1).double()
        total = total + rows @ rows.T
    _, vectors = torch.linalg.eigh(total)
    layer.vertical.copy_(vectors.flip(-1)[:, : layer.vertical_modes])
