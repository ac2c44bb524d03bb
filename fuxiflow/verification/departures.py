"""Departures of observations from background (O-B) and analysis (O-A), in the space of the observations.

Observations are simulated from the state of the analysis time at the observed cells of the hours within
:data:`HALF_WIDTH_HOURS` of it, so that a departure holds an hour's change of weather at most. Brightness temperatures
are clear-sky, with T2M as skin temperature, and neither the state nor the observations are bias-corrected: the mean of
a departure holds the biases of instrument and operator, its change from background to analysis is what assimilation
did.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from fuxiflow.grids import Grid
from fuxiflow.observations.sparse import SparseGrids, SparseWindow
from fuxiflow.operators.columns import brightness_temperatures_from_state
from fuxiflow.operators.equivalents import ReportOperator
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.progress import progress
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import States
from fuxiflow.verification import bootstrap, table
from fuxiflow.verification.scoring import Resampling

HALF_WIDTH_HOURS = 1
SAMPLE = 400  # observed cells of one source and analysis time that are simulated, drawn at random
KINDS = ("background", "analysis")
BATCH = 4096  # columns that are simulated at once: the operators go through their levels one by one


def subsample(window: SparseWindow, size: int, generator: np.random.Generator) -> SparseWindow:
    """At most ``size`` rows of a window, drawn without replacement, in their order."""
    if len(window) <= size:
        return window
    rows = np.sort(generator.choice(len(window), size, replace=False))
    return window.rows(rows)


def simulate(
    operator: MicrowaveOperator | ReportOperator,
    columns: np.ndarray,
    channels: Sequence[str],
    statistics: Statistics,
    cell: np.ndarray,
    zenith: np.ndarray,
) -> np.ndarray:
    """What columns of states ``(row, channel)`` at cells (row,) hold of a source, ``(row, channel)`` in its units:
    brightness temperatures in K of sounders; NaN for what a state does not tell.

    ValueError (from the operator) names the channels that the state lacks.
    """
    latitude = np.repeat(statistics.grid.lat, statistics.grid.nlon)[cell]
    inputs = (
        columns,
        statistics.surface_geopotential.ravel()[cell],
        statistics.land_fraction.ravel()[cell],
        latitude,
        zenith,
    )
    state, *surface = (
        torch.as_tensor(np.ascontiguousarray(x), dtype=torch.float32) for x in inputs
    )
    with torch.inference_mode():
        if isinstance(operator, ReportOperator):
            return operator.from_state(state, channels, *surface).numpy()
        return brightness_temperatures_from_state(operator, state, channels, *surface).numpy()


@dataclass
class Compared:
    """Observed cells of a window and the columns ``(row, channel)`` there of a state of some kind and time."""

    kind: str
    time: int
    window: SparseWindow
    columns: np.ndarray


@dataclass
class Departures:
    """Sums over each analysis time: count, sum and sum of squares, by kind, ``(time, channel, region)``."""

    times: np.ndarray
    channels: list[str]
    regions: list[str]
    sums: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def empty(
        cls, times: np.ndarray, channels: Sequence[str], regions: Sequence[str]
    ) -> "Departures":
        """Nothing summed yet."""
        shape = (3, len(times), len(channels), len(regions))
        return cls(times, list(channels), list(regions), {kind: np.zeros(shape) for kind in KINDS})

    def add(self, kind: str, i: int, departures: np.ndarray, inside: np.ndarray) -> None:
        """Add departures ``(row, channel)``, NaN where there is none, of rows that lie ``inside (row, region)``."""
        known = np.isfinite(departures)
        values = np.where(known, departures, 0.0).astype(float)
        for k, term in enumerate((known.astype(float), values, values**2)):
            self.sums[kind][k, i] += term.T @ inside

    def scores(self, resampling: Resampling, *, experiment: str, source: str) -> pd.DataFrame:
        """Rows ``departure_{kind}_mean`` and ``_std`` in the channel's unit, channels ``source/channel``; n counts
        observations, and channels without any departure are left out."""
        counts, once = resampling.counts(self.times), np.ones((1, len(self.times)))
        frames = []
        for kind in KINDS:
            n = self.sums[kind][0].sum(axis=0).astype(np.int64)
            value, samples = (self._mean_std(kind, weights) for weights in (once, counts))
            for k, name in enumerate(("mean", "std")):
                low, high = bootstrap.interval(samples[k])
                frames.append(
                    table.rows(
                        experiment=experiment,
                        system="fuxiflow",
                        reference="observations",
                        metric=f"departure_{kind}_{name}",
                        leads=[0],
                        channels=[f"{source}/{c}" for c in self.channels],
                        regions=self.regions,
                        value=value[k],
                        n=n[None],
                        ci_low=np.where(n < 2, np.nan, low)[None],
                        ci_high=np.where(n < 2, np.nan, high)[None],
                    )
                )
        found = table.concatenate(frames)
        seen = np.any([sums[0].sum(axis=(0, 2)) > 0 for sums in self.sums.values()], axis=0)
        silent = [
            f"{source}/{name}" for name, known in zip(self.channels, seen, strict=True) if not known
        ]
        return found[~found["channel"].isin(silent)].reset_index(drop=True)

    def _mean_std(self, kind: str, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(sample, channel, region)`` of all departures of the times as drawn."""
        n, total, squares = (np.tensordot(counts, x, axes=1) for x in self.sums[kind])
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / n
            return mean, np.sqrt(np.maximum(squares / n - mean**2, 0.0))


def departures(
    observations: SparseGrids,
    states: dict[str, States],
    statistics: Statistics,
    operator: MicrowaveOperator | ReportOperator,
    times: np.ndarray,
    regions: Sequence[str],
    seed: int,
    log: logging.Logger,
    sample: int = SAMPLE,
) -> Departures:
    """Departures of one source from ``states`` by kind (:data:`KINDS`) at ``times``.

    Times without a state, or outside the observations, add nothing and are logged. ValueError when the observations lie
    on another grid than the states or the operator has other channels.
    """
    grid: Grid = statistics.grid
    if observations.grid != grid:
        raise ValueError(
            f"observations of {observations.source} lie on {observations.grid}, the states on {grid}"
        )
    if len(operator.channels) != len(observations.channels):
        raise ValueError(
            f"{observations.source} has {len(observations.channels)} channels, its operator "
            f"{len(operator.channels)}: {', '.join(operator.channels)}"
        )
    masks = np.stack([grid.region(name).ravel() for name in regions], axis=1).astype(float)
    found = Departures.empty(times, observations.channels, regions)
    skipped: list[np.datetime64] = []
    failed = 0
    names = next((series.channels.names for series in states.values()), [])
    for batch in _batches(_compared(observations, states, times, seed, sample, skipped, log)):
        columns, cell, zenith = (
            np.concatenate(parts)
            for parts in zip(
                *((item.columns, item.window.cell, item.window.zenith) for item in batch),
                strict=True,
            )
        )
        simulated = simulate(operator, columns, names, statistics, cell, zenith)
        failed += int((~np.isfinite(simulated)).sum())
        ends = np.cumsum([len(item.window) for item in batch])
        for item, part in zip(batch, np.split(simulated, ends[:-1]), strict=True):
            found.add(item.kind, item.time, item.window.values - part, masks[item.window.cell])
    if failed:
        log.warning(
            "%s: %d simulated values are not finite and were left out", observations.source, failed
        )
    if skipped:
        log.warning(
            "%s: %d states or windows are absent, the first at %s",
            observations.source,
            len(skipped),
            str(skipped[0])[:13],
        )
    return found


def _compared(
    observations: SparseGrids,
    states: dict[str, States],
    times: np.ndarray,
    seed: int,
    sample: int,
    skipped: list[np.datetime64],
    log: logging.Logger,
) -> Iterator[Compared]:
    """What can be compared at each time, at most ``sample`` cells; times that lack something go to ``skipped``."""
    generator = np.random.default_rng(seed)
    for i, time in enumerate(progress(times, f"departures of {observations.source}", log)):
        try:
            window = observations.window(
                time.astype("datetime64[h]"), -HALF_WIDTH_HOURS, HALF_WIDTH_HOURS
            )
        except KeyError:  # the record ends before
            skipped.append(time)
            continue
        window = subsample(window, sample, generator)
        for kind, series in states.items():
            if time not in series:
                skipped.append(time)
            elif len(window):
                state = series.read(time)
                yield Compared(kind, i, window, state.reshape(len(state), -1)[:, window.cell].T)


def _batches(found: Iterable[Compared]) -> Iterator[list[Compared]]:
    """What is compared, in parts of about :data:`BATCH` columns."""
    batch: list[Compared] = []
    for item in found:
        batch.append(item)
        if sum(len(waiting.window) for waiting in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
