"""The fit of what 3D-Var needs: errors of backgrounds, and of observations.

B is the covariance of errors of forecasts against the reanalysis of the training period, as a
matrix for each zonal wavenumber, tapered in latitude. R is the covariance between channels of what
the checkpoint's equivalents leave of the observations of the observation period where the
reanalysis is the state: noise, and errors of the equivalents and of representativeness.
"""

import logging
import math

import numpy as np
import torch
from torch import Tensor

from fuxiflow.config.linear_fits import VariationalFit
from fuxiflow.config.training import fit_window_count
from fuxiflow.grids import Grid
from fuxiflow.models.error_covariances import BackgroundErrors, SourceErrors
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.models.pillars import (
    FootprintBatch,
    PillarEncoder,
    states_by_cell,
)
from fuxiflow.models.variational import SURFACES, equivalent_jacobian, misfits, surface_of
from fuxiflow.progress import progress
from fuxiflow.states.store import StateSeries
from fuxiflow.training.samples import Archive
from fuxiflow.training.spectral_samples import (
    Samples,
    anomaly_covariance,
    basis_taper,
    draw_times,
    leading_eigenvectors,
    set_scale,
    set_vertical,
)

SCALE_SAMPLES = 4
"""One of so many forecasts gives scale and vertical modes, which need few."""
FEWEST_OBSERVATIONS = 500
"""A surface with fewer observations of a source has the errors of both together."""
FEWEST_VALUES = 20
"""A channel with fewer values is not assimilated."""
PRECONDITIONER_WINDOWS = 16
"""Windows whose mean information the preconditioner is made of."""
OUTLIER = 6.0
"""Misfits of more standard deviations are left out of the covariance."""
SMALLEST_EIGENVALUE = 1e-3
"""Share of the largest eigenvalue of a correlation that the smallest has at least."""


@torch.no_grad()
def fit_background_errors(
    layer: BackgroundErrors,
    networks: Networks,
    states: StateSeries,
    settings: VariationalFit,
    seed: int,
    log: logging.Logger,
) -> None:
    """Fit B to errors of forecasts.

    Parameters
    ----------
    layer : BackgroundErrors
        Is filled in.
    networks : Networks
        Their forecaster makes the forecasts.
    states : StateSeries
        Reanalysis of the training period.
    settings : VariationalFit
        Samples and taper.
    seed : int
        The configuration's seed.
    log : logging.Logger
        Is told the progress, and how much of the errors B has.

    Raises
    ------
    ValueError
        When there are too few states.
    """
    device = networks.device
    layer.to(device)
    samples = Samples(networks, states, settings.lead_hours)
    times = draw_times(states, settings.samples, settings.lead_hours // 6)
    grid = Grid(*networks.design.grid)
    area = torch.from_numpy(grid.area_weights).float().to(device)[:, None]
    set_scale(layer, samples.errors(times[::SCALE_SAMPLES]))
    set_vertical(layer, samples.errors(times[::SCALE_SAMPLES]), area)
    errors = torch.cat([layer.amplitudes(x / layer.scale) for x in samples.errors(times)], -1)
    taper = basis_taper(layer, grid, settings.taper_degrees)
    generator = torch.Generator(device).manual_seed(seed)
    kept = whole = 0.0
    for wave in progress(range(layer.waves + 1), "wavenumbers of background errors", log):
        amplitudes = errors[wave].real if layer.is_real[wave] else errors[wave]
        covariance = anomaly_covariance(amplitudes, taper)
        values, vectors = leading_eigenvectors(covariance.matmul, covariance, layer.rank, generator)
        layer.set_root(wave, (vectors * values.sqrt()).to(errors.dtype))
        kept += values.sum().item()
        whole += covariance.diagonal().real.sum().item()
    log.info("background errors have %.0f %% of the variance of forecasts'", 100 * kept / whole)


def robust_covariance(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean and covariance of channels, each pair from the rows that have both.

    Values of more than :data:`OUTLIER` standard deviations are left out. Small eigenvalues of the
    correlation are raised (:data:`SMALLEST_EIGENVALUE`), as the inverse is what is needed.

    Parameters
    ----------
    values : Tensor
        ``(n, channel)``, NaN where a channel is missing.

    Returns
    -------
    tuple of Tensor
        The mean ``(channel,)``, the covariance ``(channel, channel)``, and how many values each
        channel has; of channels with fewer than two mean 0 and variance 1.
    """
    values = values.double()
    distance = (values - values.nanmean(0)).abs()
    values = torch.where(
        distance <= OUTLIER * distance.square().nanmean(0).sqrt(), values, torch.nan
    )
    present = values.isfinite().double()
    count = present.sum(0)
    mean = torch.where(count > 1, values.nanmean(0), 0.0)
    rest = torch.where(present > 0, values - mean, 0.0)
    covariance = rest.T @ rest / (present.T @ present).clamp_min(1)
    spread = covariance.diagonal().sqrt()
    spread = torch.where(spread > 0, spread, 1.0)
    correlation = covariance / spread / spread[:, None]
    correlation.fill_diagonal_(1.0)
    eigenvalues, vectors = torch.linalg.eigh(correlation)
    eigenvalues = eigenvalues.clamp_min(SMALLEST_EIGENVALUE * eigenvalues[-1])
    correlation = (vectors * eigenvalues) @ vectors.T
    return mean.float(), (correlation * spread * spread[:, None]).float(), count


class _Misfits:
    """Misfits of one source to the reanalysis, and what background errors make of equivalents."""

    def __init__(self):
        self.values: list[Tensor] = []
        self.background: list[Tensor] = []
        self.surface: list[Tensor] = []

    def add(
        self,
        encoder: PillarEncoder,
        footprints: FootprintBatch,
        states: Tensor,
        error: Tensor,
    ) -> None:
        """Add a window.

        Parameters
        ----------
        encoder : PillarEncoder
            Has the source's equivalents.
        footprints : FootprintBatch
            Its observations.
        states : Tensor
            Reanalyses about the analysis time, ``(1, 3, channel, lat, lon)``.
        error : Tensor
            A state drawn from B, ``(1, channel, lat, lon)``.
        """
        by_cell = states_by_cell(error).flatten(0, 1).index_select(1, encoder.seen)
        columns = by_cell[footprints.places(len(by_cell))][..., None]
        self.values.append(misfits(encoder, footprints, states))
        self.background.append((equivalent_jacobian(encoder, footprints, states) @ columns)[..., 0])
        self.surface.append(surface_of(encoder, footprints))

    def errors(self, fitted_channels: Tensor) -> SourceErrors:
        """Return the errors of a source.

        ``fitted_channels (channel,)`` says which have equivalents.
        """
        values, background = torch.cat(self.values), torch.cat(self.background)
        surface = torch.cat(self.surface)
        fitted = SourceErrors(values.shape[1]).to(values.device)
        for i in range(len(SURFACES)):
            rows = surface == i
            if rows.sum() < FEWEST_OBSERVATIONS:
                rows = torch.ones_like(rows)
            fitted.bias[i], fitted.covariance[i], count = robust_covariance(values[rows])
            fitted.background[i] = background[rows].square().mean(0)
            fitted.used[i] = fitted_channels & (count >= FEWEST_VALUES)
        return fitted


@torch.no_grad()
def fit_observation_errors(
    networks: Networks, archive: Archive, times: np.ndarray, seed: int, log: logging.Logger
) -> None:
    """Fit R of every source to its misfit to the reanalysis, and then the preconditioner.

    Parameters
    ----------
    networks : Networks
        Have the observation equivalents and a 3D-Var whose B is fitted, from which states are
        drawn that tell the departures to be expected. Its R and preconditioner are filled in.
    archive : Archive
        Reanalysis and observations of the observation period.
    times : np.ndarray
        Times of analyses in order, ``(n,)``, of which some are drawn evenly.
    seed : int
        The configuration's seed.
    log : logging.Logger
        Is told the progress and the errors.

    Raises
    ------
    ValueError
        Where a source has no observation in any of the windows.
    """
    analysis, sources = networks.variational, networks.design.sources
    encoders = {name: networks.assimilator.branches[name].pillars for name in sources}
    collected = {name: _Misfits() for name in sources}
    generator = torch.Generator().manual_seed(seed)
    count = min(fit_window_count(math.prod(networks.design.grid)), len(times))
    drawn = times[np.linspace(0, len(times) - 1, count).round().astype(int)]

    def window(time: np.datetime64) -> tuple[Tensor, dict[str, FootprintBatch]]:
        around = archive.states.read_many(time + STEP * np.arange(-1, 2))[:, : networks.analysed]
        observations = {}
        for name, source in sources.items():
            window = archive.grids[name].window(time, *source.window)
            if len(window.cell):
                observations[name] = networks.footprints(name, window)
        states = networks.normaliser(torch.from_numpy(around).to(networks.device))[None]
        return states, observations

    for time in progress(drawn, "windows to fit observation errors", log):
        states, observations = window(time)
        error = analysis.background.draw(1, generator)
        for name, footprints in observations.items():
            collected[name].add(encoders[name], footprints, states, error)
    for name, misfits_of_source in collected.items():
        if not misfits_of_source.values:
            raise ValueError(
                f"{name}: no observation in {count} windows of periods.observations to fit its "
                f"errors to; leave it out of the experiment's sources, or lengthen the period"
            )
        errors = misfits_of_source.errors((encoders[name].equivalent != 0).any(1))
        analysis.observation_errors[name].load_state_dict(errors.state_dict())
        log.info("%s: %s", name, _in_words(errors))
    some = drawn[:: max(1, count // PRECONDITIONER_WINDOWS)]
    total = 0.0
    for time in some:
        information = analysis.information(*window(time), encoders)
        by_row = information.matrix.unflatten(0, networks.design.grid).mean(1)
        total = total + by_row / len(some)
    analysis.set_preconditioner(total)


def _in_words(errors: SourceErrors) -> str:
    """Tell a source's errors, in units of its standard deviations."""
    words = []
    for i, surface in enumerate(SURFACES):
        used = errors.used[i]
        own, of_guess = (
            variance[used].sqrt().mean().item()
            for variance in (errors.covariance[i].diagonal(), errors.background[i])
        )
        words.append(
            f"{used.sum()} channels over {surface}, errors of {own:.2f}, of backgrounds "
            f"{of_guess:.2f}"
        )
    return "; ".join(words)
