"""Departures of observations from background (O-B) and analysis (O-A), in observation space.

Observations are simulated from the state of the analysis time at the observed cells of the hours
within :data:`HALF_WIDTH_HOURS` of it, so that a departure holds an hour's change of weather at
most. Brightness temperatures are clear-sky, with T2M as skin temperature. Neither the state nor the
observations are bias-corrected: the mean of a departure holds the biases of instrument and
operator, and its change from background to analysis is the effect of assimilation.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWindow
from fuxiflow.operators.columns import brightness_temperatures_from_state
from fuxiflow.operators.equivalents import ReportOperator
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.progress import progress
from fuxiflow.randomness import generator
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import write_dataset
from fuxiflow.verification.case_counts import CaseCount, counts_attribute

HALF_WIDTH_HOURS = 1
SAMPLE = 400  # observed cells of one source and analysis time that are simulated, drawn at random
KINDS = ("background", "analysis")
# columns that are simulated at once: operators go through their levels one by one, so that many
# columns in one call cost little more than a few
BATCH = 4096


def subsample(window: SparseWindow, size: int, dice: np.random.Generator) -> SparseWindow:
    """Draw rows of a window at random.

    Parameters
    ----------
    window : SparseWindow
        Observations of one source.
    size : int
        Rows to draw at most.
    dice : np.random.Generator
        Draws without replacement.

    Returns
    -------
    SparseWindow
        The drawn rows in their order; the whole window when it has no more than ``size``.
    """
    if len(window) <= size:
        return window
    rows = np.sort(dice.choice(len(window), size, replace=False))
    return window.rows(rows)


def simulate_at_cells(
    operator: MicrowaveOperator | ReportOperator,
    columns: np.ndarray,
    channels: Sequence[str],
    statistics: Statistics,
    cell: np.ndarray,
    zenith: np.ndarray,
) -> np.ndarray:
    """Simulate the observations of a source from columns of states.

    Parameters
    ----------
    operator : MicrowaveOperator or ReportOperator
        Observation operator of the source.
    columns : np.ndarray
        Columns of states ``(row, channel)`` in the units of the channel table.
    channels : sequence of str
        Channels of ``columns``.
    statistics : Statistics
        Surface geopotential and land fraction on the grid of the states.
    cell : np.ndarray
        Cell of each row, ``(row,)``.
    zenith : np.ndarray
        Zenith angle in degrees, ``(row,)``.

    Returns
    -------
    np.ndarray
        Simulated values ``(row, channel of the source)`` in the units of the source, brightness
        temperatures in K of sounders; NaN where the state does not determine them.

    Raises
    ------
    ValueError
        The state lacks channels that the operator needs.
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
    """The observed cells of a window, and the columns of a state there.

    Attributes
    ----------
    kind : str
        Kind of the state, of :data:`KINDS`.
    time : int
        Index of the analysis time.
    window : SparseWindow
        Observations, ``row`` of them.
    columns : np.ndarray
        Columns of the state, ``(row, channel)``.
    """

    kind: str
    time: int
    window: SparseWindow
    columns: np.ndarray


@dataclass
class Departures:
    """Sums of the departures of one source over each analysis time.

    Attributes
    ----------
    times : np.ndarray
        Analysis times, ``(time,)``.
    channels, regions : list of str
        Names of the source's channels and of the regions.
    sums : dict of str to np.ndarray
        Count, sum and sum of squares by kind, ``(3, time, channel, region)``.
    """

    times: np.ndarray
    channels: list[str]
    regions: list[str]
    sums: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def empty(
        cls, times: np.ndarray, channels: Sequence[str], regions: Sequence[str]
    ) -> "Departures":
        """Make sums of nothing yet.

        Parameters
        ----------
        times : np.ndarray
            Analysis times, ``(time,)``.
        channels, regions : sequence of str
            Names of the source's channels and of the regions.

        Returns
        -------
        Departures
            Sums that are all 0.
        """
        shape = (3, len(times), len(channels), len(regions))
        return cls(times, list(channels), list(regions), {kind: np.zeros(shape) for kind in KINDS})

    def add(self, kind: str, i: int, departures: np.ndarray, inside: np.ndarray) -> None:
        """Add the departures of some observations to the sums.

        Parameters
        ----------
        kind : str
            Kind of the state, of :data:`KINDS`.
        i : int
            Index of the analysis time.
        departures : np.ndarray
            Observation minus state, ``(row, channel)``, NaN where there is none.
        inside : np.ndarray
            1 where a row lies in a region, else 0, ``(row, region)``.
        """
        present = np.isfinite(departures)
        values = np.where(present, departures, 0.0).astype(float)
        for k, term in enumerate((present.astype(float), values, values**2)):
            self.sums[kind][k, i] += term.T @ inside

    def dataset(self) -> xr.Dataset:
        """Return the sums as a data set with named dimensions."""
        return xr.Dataset(
            {
                kind: (("sum", "time", "channel", "region"), sums)
                for kind, sums in self.sums.items()
            },
            coords={
                "time": self.times,
                "channel": np.array(self.channels, object),
                "region": np.array(self.regions, object),
            },
        )


def write_part_of_departures(
    path: Path, departures: Mapping[str, Departures], counts: Sequence[CaseCount]
) -> None:
    """Write the departures of a part.

    Parameters
    ----------
    path : Path
        The Zarr store.
    departures : mapping of str to Departures
        Departures of each source.
    counts : sequence of CaseCount
        How many times have a state.
    """
    stamp = {"provenance": provenance.as_json(), **counts_attribute(counts)}
    groups = {name: value.dataset() for name, value in departures.items()}
    write_dataset(path, {"": xr.Dataset(attrs=stamp), **groups})


def collect_departures(
    observations: SparseGrids,
    states: dict[str, StateSeries],
    statistics: Statistics,
    operator: MicrowaveOperator | ReportOperator,
    times: np.ndarray,
    regions: Sequence[str],
    seed: int,
    log: logging.Logger,
    sample: int = SAMPLE,
) -> Departures:
    """Compare the observations of one source with states.

    Parameters
    ----------
    observations : SparseGrids
        Observations of the source.
    states : dict of str to StateSeries
        States by kind, of :data:`KINDS`.
    statistics : Statistics
        Surface geopotential and land fraction on the grid of the states.
    operator : MicrowaveOperator or ReportOperator
        Observation operator of the source.
    times : np.ndarray
        Analysis times, ``(time,)``.
    regions : sequence of str
        Regions, of :data:`fuxiflow.grids.REGIONS`.
    seed : int
        Seeds the draw of observations.
    log : logging.Logger
        Told the progress, and which times lack a state or observations: they add nothing.
    sample : int
        Observed cells of an analysis time that are compared at most.

    Returns
    -------
    Departures
        Sums for each analysis time.

    Raises
    ------
    ValueError
        The observations lie on another grid than the states, or the operator has other channels.
    """
    grid: Grid = statistics.grid
    if observations.grid != grid:
        raise ValueError(
            f"observations of {observations.source} lie on {observations.grid}, "
            f"the states on {grid}"
        )
    if len(operator.channels) != len(observations.channels):
        raise ValueError(
            f"{observations.source} has {len(observations.channels)} channels, its operator "
            f"{len(operator.channels)}: {', '.join(operator.channels)}"
        )
    masks = np.stack([grid.region(name).ravel() for name in regions], axis=1).astype(float)
    departures = Departures.empty(times, observations.channels, regions)
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
        simulated = simulate_at_cells(operator, columns, names, statistics, cell, zenith)
        failed += int((~np.isfinite(simulated)).sum())
        ends = np.cumsum([len(item.window) for item in batch])
        for item, part in zip(batch, np.split(simulated, ends[:-1]), strict=True):
            departures.add(item.kind, item.time, item.window.values - part, masks[item.window.cell])
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
    return departures


def _compared(
    observations: SparseGrids,
    states: dict[str, StateSeries],
    times: np.ndarray,
    seed: int,
    sample: int,
    skipped: list[np.datetime64],
    log: logging.Logger,
) -> Iterator[Compared]:
    """Yield the observed cells of each time and kind of state.

    Parameters
    ----------
    observations : SparseGrids
        Observations of the source.
    states : dict of str to StateSeries
        States by kind.
    times : np.ndarray
        Analysis times, ``(time,)``.
    seed : int
        Seeds the draw of observations.
    sample : int
        Observed cells of an analysis time at most.
    skipped : list of np.datetime64
        Gets the times that lack a state or observations.
    log : logging.Logger
        Told the progress.

    Yields
    ------
    Compared
        Observations and the columns of one state.
    """
    for i, time in enumerate(progress(times, f"departures of {observations.source}", log)):
        hour = time.astype("datetime64[h]")
        try:
            window = observations.window(hour, -HALF_WIDTH_HOURS, HALF_WIDTH_HOURS)
        except KeyError:  # the record ends before
            skipped.append(time)
            continue
        # a draw of each time's own, whatever times are compared beside it
        window = subsample(window, sample, generator(seed, observations.source, hour))
        for kind, series in states.items():
            if time not in series:
                skipped.append(time)
            elif len(window):
                state = series.read(time)
                yield Compared(kind, i, window, state.reshape(len(state), -1)[:, window.cell].T)


def _batches(items: Iterable[Compared]) -> Iterator[list[Compared]]:
    """Group what is compared into parts of about :data:`BATCH` columns."""
    batch: list[Compared] = []
    for item in items:
        batch.append(item)
        if sum(len(member.window) for member in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
