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

from fuxiflow.config.linear_fits import FilterFit
from fuxiflow.grids import Grid
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.networks import Networks
from fuxiflow.progress import progress
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.training.spectral_samples import (
    Samples,
    anomaly_covariance,
    basis_taper,
    draw_times,
    leading_eigenvectors,
    set_scale,
    set_vertical,
)

INDEPENDENT_SHARE = 8
"""One of so many times is left out of the fit, and shows what the filter does to others."""


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
    root = torch.linalg.cholesky(noise)

    def whitened(vectors: Tensor) -> Tensor:
        inner = torch.linalg.solve_triangular(root.mH, vectors, upper=True)
        return torch.linalg.solve_triangular(root, signal @ inner, upper=False)

    values, directions = leading_eigenvectors(whitened, signal, rank, generator)
    left = (root @ directions) * (values / (1 + values)).to(signal.dtype)
    right = torch.linalg.solve_triangular(root.mH, directions, upper=True).mH
    return left, right


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
    samples = Samples(networks, states, settings.lead_hours)
    grid = Grid(*networks.design.grid)
    area = torch.from_numpy(grid.area_weights).float().to(device)[:, None]
    shift = settings.climatology_shift_days

    def anomalies_of(when: np.ndarray) -> Iterator[Tensor]:
        return samples.anomalies(when, climatology, shift, seed)

    set_scale(layer, anomalies_of(fitted))
    set_vertical(layer, anomalies_of(fitted), area)

    def amplitudes(kind: Callable[[np.ndarray], Iterator[Tensor]], when: np.ndarray) -> Tensor:
        return torch.cat([layer.amplitudes(x / layer.scale) for x in kind(when)], -1)

    anomalies = amplitudes(anomalies_of, fitted)
    errors = amplitudes(samples.errors, fitted)
    tapers = [
        basis_taper(layer, grid, length)
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
            amplitudes(anomalies_of, others),
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
        return layer.channels_by_row(amplitudes).abs().square().mean((1, 3)).cpu().numpy()

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
