"""The fit of the filter of backgrounds, from the reanalysis, climatology and stage 1's forecaster.

For each zonal wavenumber A = C (C + N)^-1 with N = g^2 E + e I: C is the covariance of anomalies of
the reanalysis from climatology, E that of errors of short forecasts, g an ``error_factor``. e is
``white_noise`` of the mean of g^2 E's diagonal and ``floor`` of that of C's. This is the linear
estimate of least variance (Wiener, 1949) of an anomaly from one with errors of covariance N.
"""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fuxiflow.config.training import FilterFit
from fuxiflow.grids import Grid
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.progress import progress
from fuxiflow.randomness import numbered_generator
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries

STREAM = 7
"""The fit's number among the streams of :data:`fuxiflow.training.plans.STREAMS`."""
BATCH = 8
"""States that are read and forecast together."""
OVERSAMPLING = 40
"""Further vectors of the randomised range finder (Halko et al., 2011, doi:10.1137/090771806)."""
INDEPENDENT_SHARE = 8
"""One of so many times is left out of the fit, and shows what the filter does to others."""
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


def wiener_factors(
    signal: Tensor, noise: Tensor, rank: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Factorise S (S + N)^-1 to the directions in which the signal stands out most.

    With N = L L^H and the eigenvectors W of L^-1 S L^-H, of eigenvalues l, it is
    L W l / (1 + l) W^H L^-1. The leading eigenvectors come from a randomised range finder.

    Parameters
    ----------
    signal, noise : Tensor
        Covariances S and N, ``(size, size)``; N positive definite.
    rank : int
        Number of directions, at most ``size``.
    generator : torch.Generator
        Draws the range finder's vectors.

    Returns
    -------
    tuple of Tensor
        ``(size, rank)`` and ``(rank, size)``; their product is the matrix.
    """
    size = len(signal)
    root = torch.linalg.cholesky(noise)

    def whitened(vectors: Tensor) -> Tensor:
        inner = torch.linalg.solve_triangular(root.mH, vectors, upper=True)
        return torch.linalg.solve_triangular(root, signal @ inner, upper=False)

    count = min(rank + OVERSAMPLING, size)
    start = torch.randn(size, count, generator=generator).to(signal)
    basis = torch.linalg.qr(whitened(whitened(start))).Q
    small = basis.mH @ whitened(basis)
    values, vectors = torch.linalg.eigh((small + small.mH) / 2)
    values = values[-rank:].clamp_min(0)
    directions = basis @ vectors[:, -rank:]
    left = (root @ directions) * (values / (1 + values)).to(signal.dtype)
    right = torch.linalg.solve_triangular(root.mH, directions, upper=True).mH
    return left, right


def draw_times(states: StateSeries, count: int, steps: int) -> np.ndarray:
    """Choose times evenly among those with a state 6 h before and one after a forecast.

    Parameters
    ----------
    states : StateSeries
        The reanalysis.
    count : int
        Times at most.
    steps : int
        Steps of 6 h of the forecast.

    Returns
    -------
    np.ndarray
        Times in order, ``(n,)``.

    Raises
    ------
    ValueError
        When there are fewer than two.
    """
    stored = set(states.times)
    usable = [
        time for time in states.times if time - STEP in stored and time + STEP * steps in stored
    ]
    if len(usable) < 2:
        raise ValueError(
            f"{len(usable)} states have one 6 h before and one {6 * steps} h after, and the filter "
            f"of backgrounds needs two; lengthen periods.training"
        )
    places = np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int)
    return np.array(usable)[places]


class _Samples:
    """Standardised anomalies and errors of forecasts at some times, batch by batch."""

    def __init__(
        self,
        networks: Networks,
        states: StateSeries,
        climatology: Climatology,
        settings: FilterFit,
        seed: int,
    ):
        """Join what samples are made of.

        Parameters
        ----------
        networks : Networks
            Those of stage 1, on their device.
        states : StateSeries
            The reanalysis.
        climatology : Climatology
            That of the training period.
        settings : FilterFit
            Length of the forecasts, and days between a state and its climatology.
        seed : int
            Fixes the days of the climatology.
        """
        self.networks, self.states, self.climatology = networks, states, climatology
        self.settings, self.seed = settings, seed

    def _standard(self, times: np.ndarray) -> Tensor:
        fields = self.states.read_many(times)[:, : self.networks.analysed]
        return self.networks.normaliser(torch.from_numpy(fields).to(self.networks.device))

    def _normal(self, time: np.datetime64) -> np.ndarray:
        """The climatology of another day, ``(channel, lat, lon)``."""
        most = self.settings.climatology_shift_days
        hours = int(time.astype("datetime64[h]").astype(int))
        generator = numbered_generator(self.seed, STREAM, hours)
        shift = int(generator.integers(most // 2, most + 1)) * int(generator.choice([-1, 1]))
        return self.climatology.at(time + np.timedelta64(shift, "D"))

    def anomalies(self, times: np.ndarray) -> Iterator[Tensor]:
        """``(batch, channel, lat, lon)`` of the reanalysis from climatology."""
        for begin in range(0, len(times), BATCH):
            some = times[begin : begin + BATCH]
            normals = np.stack([self._normal(time) for time in some])[:, : self.networks.analysed]
            normals = self.networks.normaliser(torch.from_numpy(normals).to(self.networks.device))
            yield self._standard(some) - normals

    def errors(self, times: np.ndarray) -> Iterator[Tensor]:
        """``(batch, channel, lat, lon)`` of forecasts that begin at the times."""
        steps = self.settings.lead_hours // 6
        for begin in range(0, len(times), BATCH):
            some = times[begin : begin + BATCH]
            previous, current = self._standard(some - STEP), self._standard(some)
            for step in range(steps):
                following = self.networks.forecast(previous, current, some + STEP * step)
                previous, current = current, following[:, : self.networks.analysed]
            yield current - self._standard(some + STEP * steps)


def _set_scale(layer: BackgroundFilter, samples: Iterator[Tensor]) -> None:
    """Take the root mean square of anomalies as scale, drawn towards its zonal mean."""
    total, count = torch.zeros_like(layer.scale, dtype=torch.float64), 0
    for anomaly in samples:
        total += anomaly.double().square().sum(0)
        count += len(anomaly)
    square = total / count
    zonal = square.mean(-1, keepdim=True)
    mixed = SCALE_SHARE * square + (1 - SCALE_SHARE) * zonal
    layer.scale.copy_(mixed.sqrt().clamp_min(1e-6))


def _set_vertical(layer: BackgroundFilter, samples: Iterator[Tensor], weight: Tensor) -> None:
    """Take the leading eigenvectors of the covariance between channels as vertical modes.

    Parameters
    ----------
    layer : BackgroundFilter
        Has its scale; gets the modes.
    samples : iterator of Tensor
        Anomalies ``(batch, channel, lat, lon)``.
    weight : Tensor
        Areas by latitude, ``(lat, 1)``.
    """
    total = 0.0
    for anomaly in samples:
        scaled = (anomaly / layer.scale) * weight.sqrt()
        rows = scaled.transpose(0, 1).flatten(1).double()
        total = total + rows @ rows.T
    _, vectors = torch.linalg.eigh(total)
    layer.vertical.copy_(vectors.flip(-1)[:, : layer.vertical_modes])


@torch.no_grad()
def fit_background_filter(
    layer: BackgroundFilter,
    networks: Networks,
    states: StateSeries,
    climatology: Climatology,
    settings: FilterFit,
    seed: int,
    log: logging.Logger,
) -> pd.DataFrame:
    """Fit the filter, and say what it does to anomalies and errors, fitted and others.

    Parameters
    ----------
    layer : BackgroundFilter
        Is filled in.
    networks : Networks
        Those of stage 1, on their device.
    states : StateSeries
        Reanalysis of the training period.
    climatology : Climatology
        That of the training period.
    settings : FilterFit
        Samples and noise.
    seed : int
        The configuration's seed.
    log : logging.Logger
        Is told the progress.

    Returns
    -------
    pd.DataFrame
        By ``sample`` (fitted or independent), ``wave`` and ``channel``: ``anomaly`` and ``error``,
        mean squares in units of the anomalies' local mean square, and the shares
        ``anomaly_lost`` of what the filter changes in anomalies, ``error_left`` of errors.

    Raises
    ------
    ValueError
        When there are too few states.
    """
    device = networks.device
    layer.to(device)
    times = draw_times(states, settings.samples, settings.lead_hours // 6)
    independent = np.arange(len(times)) % INDEPENDENT_SHARE == INDEPENDENT_SHARE - 1
    fitted, others = times[~independent], times[independent]
    samples = _Samples(networks, states, climatology, settings, seed)
    grid = Grid(*networks.design.grid)
    area = torch.from_numpy(grid.area_weights).float().to(device)[:, None]
    _set_scale(layer, samples.anomalies(fitted))
    _set_vertical(layer, samples.anomalies(fitted), area)

    def amplitudes(kind: Callable[[np.ndarray], Iterator[Tensor]], when: np.ndarray) -> Tensor:
        return torch.cat([layer.amplitudes(x / layer.scale) for x in kind(when)], -1)

    anomalies = amplitudes(samples.anomalies, fitted)
    errors = amplitudes(samples.errors, fitted)
    rows = layer.means.double().cpu().numpy() @ grid.lat
    tapers = [
        latitude_taper(rows, layer.vertical_modes, length).to(device)
        for length in (settings.anomaly_taper_degrees, settings.error_taper_degrees)
    ]
    generator = torch.Generator(device).manual_seed(seed)
    for wave in progress(range(layer.waves + 1), "wavenumbers of the filter", log):
        signal = anomaly_covariance(anomalies[wave], tapers[0])
        noise = settings.error_factor**2 * anomaly_covariance(errors[wave], tapers[1])
        white = settings.white_noise * noise.diagonal().real.mean()
        white += settings.floor * signal.diagonal().real.mean()
        noise.diagonal().add_(white.clamp_min(1e-12))
        left, right = wiener_factors(signal, noise, layer.left.shape[2], generator)
        layer.left[wave] = torch.view_as_real(left)
        layer.right[wave] = torch.view_as_real(right.resolve_conj())
    tables = [
        response_table(layer, networks.design.channels, anomalies, errors, "fitted"),
        response_table(
            layer,
            networks.design.channels,
            amplitudes(samples.anomalies, others),
            amplitudes(samples.errors, others),
            "independent",
        ),
    ]
    return pd.concat(tables, ignore_index=True)


def response_table(
    layer: BackgroundFilter, channels: list[str], anomalies: Tensor, errors: Tensor, sample: str
) -> pd.DataFrame:
    """Tell what the filter does to anomalies and errors, see :func:`fit_background_filter`.

    Parameters
    ----------
    layer : BackgroundFilter
        The filter.
    channels : list of str
        Names of the channels, the analysed ones first.
    anomalies, errors : Tensor
        Amplitudes ``(wave, row * mode, sample)``.
    sample : str
        The name of the samples.

    Returns
    -------
    pd.DataFrame
        A row for each wavenumber and channel.
    """

    def square(amplitudes: Tensor) -> np.ndarray:
        modes = amplitudes.reshape(layer.waves + 1, layer.rows, layer.vertical_modes, -1)
        by_channel = layer.vertical.to(modes.dtype) @ modes
        return by_channel.abs().square().mean((1, 3)).cpu().numpy()

    changed = square(layer.filtered(anomalies) - anomalies)
    left = square(layer.filtered(errors))
    anomaly, error = square(anomalies), square(errors)
    waves, count = anomaly.shape
    return pd.DataFrame(
        {
            "sample": sample,
            "wave": np.repeat(np.arange(waves), count),
            "channel": np.tile(channels[:count], waves),
            "anomaly": anomaly.ravel(),
            "anomaly_lost": (changed / anomaly.clip(1e-30)).ravel(),
            "error": error.ravel(),
            "error_left": (left / error.clip(1e-30)).ravel(),
        }
    )
