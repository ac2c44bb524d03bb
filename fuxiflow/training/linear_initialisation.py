"""Linear fits before stage 2: first guesses of observations, and first increments from departures.

They start the ``equivalent`` and ``retrieve`` of a source's encoder
(:class:`fuxiflow.models.pillars.PillarEncoder`), so that the assimilator sees departures, and makes
sensible increments of them, from its first update on. From random weights it would spend most of
its updates on learning to tell a departure of a kelvin from the tens of kelvin between the poles
and the equator.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from fuxiflow.config.training import fit_window_count
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.models.pillars import FootprintBatch, PillarEncoder
from fuxiflow.progress import progress
from fuxiflow.training.samples import Batch, Batches

EQUIVALENT_RIDGE = 1e-4
RETRIEVAL_RIDGE = 1e-3
"""Ridges of the two fits, as a share of each predictor's mean square."""
MOSTLY = 0.5
"""The share of footprints with all channels from which on the others are left out of the fits.

Sounders have at least as many. Soundings from high ground and occultations never have all: there
each channel is fitted on the footprints that have it.
"""
LOGGED_CHANNELS = ("T850", "T500", "R500", "Z500")


class LeastSquares:
    """Ridge regression of several targets on the same predictors, row by row.

    Only the normal equations are kept, in float64. They have ``predictors`` and ``targets``.
    """

    def __init__(self, predictors: int, targets: int):
        self.count = 0
        self.gram = torch.zeros(predictors, predictors, dtype=torch.float64)
        self.moment = torch.zeros(predictors, targets, dtype=torch.float64)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Use the rows of ``x (n, predictor)`` and ``y (n, target)``."""
        x, y = x.double().cpu(), y.double().cpu()
        self.count += len(x)
        self.gram += x.T @ x
        self.moment += x.T @ y

    def solve(self, ridge: float) -> Tensor:
        """Solve for the weights ``(target, predictor)``.

        Raises
        ------
        ValueError
            When there were no more rows than predictors.
        """
        size = len(self.gram)
        if self.count <= size:
            raise ValueError(
                f"{self.count} footprints with all channels cannot fit {size} predictors; "
                f"lengthen periods.observations"
            )
        penalty = ridge * self.gram.diagonal().clamp_min(1e-12).diag()
        return torch.linalg.solve(self.gram + penalty, self.moment).T


def complete_footprints(footprints: FootprintBatch) -> FootprintBatch:
    """Those of the footprints that have all their channels."""
    return footprints.rows(torch.isfinite(footprints.values).all(-1))


def mostly_complete(windows: Iterable[FootprintBatch]) -> bool:
    """Decide if enough footprints (:data:`MOSTLY`) have all their channels to use them alone."""
    present = [torch.isfinite(footprints.values).all(-1) for footprints in windows]
    return sum(int(rows.sum()) for rows in present) >= MOSTLY * sum(map(len, present))


def fit_by_presence(x: Tensor, values: Tensor, ridge: float) -> Tensor:
    """Fit each channel on the rows where it is there; channels of the same rows go together.

    Parameters
    ----------
    x : Tensor
        Predictors ``(n, predictor)``.
    values : Tensor
        Measured values ``(n, channel)``, NaN where a channel is missing.
    ridge : float
        The ridge as a share of each predictor's mean square.

    Returns
    -------
    Tensor
        Weights ``(channel, predictor)``; zero for channels with no more rows than predictors.

    Raises
    ------
    ValueError
        When no channel has more rows than there are predictors.
    """
    present, size = torch.isfinite(values), x.shape[1]
    weight = torch.zeros(values.shape[1], size, dtype=torch.float64)
    patterns, pattern_of = torch.unique(present, dim=1, return_inverse=True)
    for i, rows in enumerate(patterns.T):
        channels = pattern_of == i
        if rows.sum() > size:
            normal = LeastSquares(size, int(channels.sum()))
            normal.add(x[rows], values[rows][:, channels])
            weight[channels.cpu()] = normal.solve(ridge)
    if not weight.any():
        raise ValueError(
            f"{int(present.sum(0).max())} values of a channel at most cannot fit {size} "
            f"predictors; lengthen periods.observations"
        )
    return weight


@torch.no_grad()
def fit_equivalents(
    encoder: PillarEncoder, windows: Sequence[tuple[FootprintBatch, Tensor]]
) -> None:
    """Fit the encoder's ``modes`` and ``equivalent`` to footprints and reanalyses.

    Each window has the reanalyses ``(batch, 3, state, lat, lon)`` 6 h before, at and 6 h after. The
    modes are the leading principal components of the columns, of unit variance. A channel that too
    few footprints have keeps an ``equivalent`` of zero.
    """
    complete = mostly_complete(footprints for footprints, _ in windows)
    windows = [
        ((complete_footprints(footprints) if complete else footprints).to(states.device), states)
        for footprints, states in windows
    ]
    size = len(encoder.seen)
    covariance = LeastSquares(size, size)
    for footprints, states in windows:
        column = encoder.columns(footprints, states)
        covariance.add(column, column)
    values, vectors = torch.linalg.eigh(covariance.gram / max(covariance.count, 1))
    leading = vectors / values.clamp_min(1e-12).sqrt()
    encoder.modes.copy_(leading.flip(-1)[:, : encoder.modes.shape[1]])
    if not complete:
        x = torch.cat([encoder.predictors(footprints, states) for footprints, states in windows])
        y = torch.cat([footprints.values for footprints, _ in windows])
        encoder.equivalent.copy_(fit_by_presence(x, y, EQUIVALENT_RIDGE))
        return
    channels, count = encoder.equivalent.shape
    normal = LeastSquares(count, channels)
    for footprints, states in windows:
        normal.add(encoder.predictors(footprints, states), footprints.values)
    encoder.equivalent.copy_(normal.solve(EQUIVALENT_RIDGE))


@torch.no_grad()
def fit_retrieval(
    encoder: PillarEncoder,
    windows: Iterable[tuple[FootprintBatch, Tensor, Tensor]],
    tendency: Tensor,
) -> Tensor:
    """Fit the encoder's ``scale`` and ``retrieve``: increments from departures.

    A departure that is missing counts as zero, as it does to the network; a channel without an
    ``equivalent`` has an infinite scale, so that its departures are always zero.

    Parameters
    ----------
    encoder : PillarEncoder
        Has been through :func:`fit_equivalents`.
    windows : iterable of tuple
        Footprints, first guesses ``(batch, 3, state, lat, lon)`` and the states that the analyses
        should be, ``(batch, state, lat, lon)``.
    tendency : Tensor
        The unit of increments, ``(state, 1, 1)``.

    Returns
    -------
    Tensor
        The share of the background's mean square error that is left where it was observed,
        ``(state,)``.
    """
    windows = list(windows)
    complete = mostly_complete(footprints for footprints, _, _ in windows)
    unfitted = (encoder.equivalent == 0).all(1)
    encoder.scale.copy_(torch.where(unfitted, torch.inf, 1.0))
    normal = LeastSquares(encoder.retrieve.in_features, encoder.retrieve.out_features)
    squares = torch.zeros(normal.moment.shape[1], dtype=torch.float64)
    measured = torch.zeros(len(normal.gram), dtype=torch.float64)
    for footprints, guess, target in windows:
        footprints = (complete_footprints(footprints) if complete else footprints).to(guess.device)
        error = (
            ((target - guess[:, 1]) / tendency)
            .flatten(2)[footprints.sample, :, footprints.cell]
            .double()
            .cpu()
        )
        normal.add(encoder.departures(footprints, guess), error)
        measured += torch.isfinite(footprints.values).sum(0).cpu()
        squares += error.square().sum(0)
    scale = (normal.gram.diagonal() / measured.clamp_min(1)).sqrt()
    weight = normal.solve(RETRIEVAL_RIDGE)
    encoder.retrieve.weight.copy_(weight * scale)
    encoder.scale.copy_(torch.where(unfitted.cpu(), torch.inf, scale))
    explained = 2 * (weight.T * normal.moment).sum(0) - (weight.T * (normal.gram @ weight.T)).sum(0)
    return 1 - explained / squares


def log_retrieval(
    name: str, error_shares: Tensor, channels: list[str], log: logging.Logger
) -> None:
    """Log the background error that the linear retrieval leaves in a few channels.

    Parameters
    ----------
    name : str
        The source.
    error_shares : Tensor
        Shares of the mean square error, ``(state,)``, as :func:`fit_retrieval` returns them.
    channels : list of str
        Names of the states.
    log : logging.Logger
        The log of the rule.
    """
    shares = {
        channel: error_shares[i].clamp_min(0).sqrt()
        for i, channel in enumerate(channels)
        if channel in LOGGED_CHANNELS
    }
    log.info(
        "%s: a linear retrieval leaves of the background error where it is observed: %s",
        name,
        ", ".join(f"{channel} {share:.0%}" for channel, share in shares.items()),
    )


def initialise_encoders(
    networks: Networks,
    batches: Batches,
    first_guess: Callable[[Batch], Tensor],
    size: int,
    log: logging.Logger,
) -> None:
    """Fit the linear functions of every source's encoder to the first batches of a stage.

    Parameters
    ----------
    networks : Networks
        On their device; the encoders of their assimilator are changed.
    batches : Batches
        Samples of single cycles, none masked or cold.
    first_guess : Callable
        Maps a batch to the first guess of its analyses, ``(batch, 3, channel, lat, lon)``.
    size : int
        Windows in a batch.
    log : logging.Logger
        Is told the progress, and what each retrieval leaves of the background error.
    """
    archive, analysed = batches.archive, networks.analysed
    fitted = []
    count = fit_window_count(networks.design.grid[0] * networks.design.grid[1])
    for step in progress(range(-(-count // size)), "windows to fit first guesses to", log):
        batch = batches[step]
        around = np.stack(
            [
                np.stack([archive.states.read(time + STEP * i) for i in (-1, 0, 1)])
                for time in batch.analysis
            ]
        )
        fields = torch.from_numpy(around[:, :, :analysed]).to(networks.device)
        fitted.append((batch.observations[0], networks.normaliser(fields), first_guess(batch)))
    for source in batches.sources:
        encoder = networks.assimilator.branches[source].pillars
        fit_equivalents(
            encoder, [(observations[source], states) for observations, states, _ in fitted]
        )
        windows = (
            (observations[source], guess, states[:, 1]) for observations, states, guess in fitted
        )
        error_shares = fit_retrieval(encoder, windows, networks.normaliser.tendency[:analysed])
        log_retrieval(source, error_shares, networks.design.channels[:analysed], log)
