"""Departures of observations from the analyses (O-A) and forecasts (O-F) of every system.

All systems are compared with the same observations: one that some system of a case has no
equivalent of counts for none of them. A system that has no forecast from a start time sits that
case out; what the first system, the main one, makes of the cases of each other stands beside it, so
that every difference is paired.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table
from fuxiflow.progress import progress
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import write_dataset
from fuxiflow.verification.case_counts import CaseCount, counts_attribute
from fuxiflow.verification.collection import valid_time
from fuxiflow.verification.observation_samples import SAMPLES, STEP_HOURS
from fuxiflow.verification.point_equivalents import (
    ObservedPoints,
    PointOperator,
    inside_region,
    interpolate_columns,
)

SUMS = ("count", "sum", "squares", "main_sum", "main_squares")
"""Sums of departures: of a system, and of the main one over the same observations."""

State = tuple[Sequence[str], np.ndarray]
"""Names of channels, and a field ``(channel, lat, lon)`` of them."""
StateReader = Callable[[np.datetime64, int], State | None]
"""Reads the state of a start time and lead in hours, None where there is none."""


def forecast_states(forecasts: Forecasts | None, analyses: StateSeries | None) -> StateReader:
    """Return a reader of forecasts, and of analyses at lead 0; either may be absent."""

    def read(init: np.datetime64, lead: int) -> State | None:
        if lead == 0:
            if analyses is None or init not in analyses:
                return None
            return analyses.channels.names, analyses.read(init)
        if forecasts is None or not forecasts.available(init, lead):
            return None
        return forecasts.channels.names, forecasts.read(init, lead)

    return read


def persistent_states(analyses: StateSeries) -> StateReader:
    """Return a reader of the analysis of the start time for every lead but 0."""

    def read(init: np.datetime64, lead: int) -> State | None:
        if lead == 0 or init not in analyses:
            return None
        return analyses.channels.names, analyses.read(init)

    return read


def states_at_valid_time(states: StateSeries | Climatology) -> StateReader:
    """Return a reader of the state of the valid time: of analyses, or of the climatology."""

    def read(init: np.datetime64, lead: int) -> State | None:
        valid = valid_time(init, lead)
        if isinstance(states, Climatology):
            return states.channels.names, states.at(valid)
        return (states.channels.names, states.read(valid)) if valid in states else None

    return read


@dataclass(frozen=True)
class ObservedSource:
    """The observations of a source by analysis time.

    Attributes
    ----------
    name : str
        Name of the source.
    operator : PointOperator
        What the source would measure of a state.
    rows_by_time : dict of int to np.ndarray
        By analysis time in ns since 1970, the positions of its observations.
    points : ObservedPoints
        Where they are, n of them.
    values : np.ndarray
        Measured values ``(n, channel)`` of the operator's channels, NaN where missing.
    kind : np.ndarray
        ``(n, sample)`` bool: to which of :data:`SAMPLES` they belong.
    """

    name: str
    operator: PointOperator
    rows_by_time: dict[int, np.ndarray] = field(repr=False)
    points: ObservedPoints = field(repr=False)
    values: np.ndarray = field(repr=False)
    kind: np.ndarray = field(repr=False)

    @classmethod
    def read(cls, name: str, operator: PointOperator, tables: Sequence[Path]) -> "ObservedSource":
        """Read the tables of a source; they are small, as observations were drawn.

        Parameters
        ----------
        name : str
            Name of the source.
        operator : PointOperator
            What the source would measure of a state.
        tables : Sequence[Path]
            Tables of :mod:`fuxiflow.verification.observation_samples`, at least one.

        Returns
        -------
        ObservedSource
            Observations of all tables.
        """
        pieces = [footprint_table.read_footprints(path) for path in tables]
        columns = {
            column: np.concatenate(
                [footprint_table.column_values(piece, column) for piece in pieces]
            )
            for column in ("time", "lat", "lon", "zenith", "height", "rejected")
        }
        values = np.concatenate([_values(piece, operator.channels) for piece in pieces])
        step = STEP_HOURS * 3_600_000_000_000
        instants = columns["time"].astype("datetime64[ns]").astype(np.int64)
        times = (instants + step // 2) // step * step
        rows = {int(time): np.flatnonzero(times == time) for time in np.unique(times)}
        points = ObservedPoints(
            *(columns[key].astype(float) for key in ("lat", "lon", "zenith", "height"))
        )
        kind = np.stack([columns["rejected"] == code for code in SAMPLES.values()], axis=1)
        return cls(name, operator, rows, points, values, kind)

    def at(self, time: np.datetime64) -> np.ndarray:
        """Return the rows of an analysis time."""
        key = int(np.datetime64(time, "ns").astype(np.int64))
        return self.rows_by_time.get(key, np.empty(0, np.int64))

    def points_of(self, rows: np.ndarray) -> ObservedPoints:
        """Return the points of some rows."""
        points = self.points
        return ObservedPoints(
            points.lat[rows], points.lon[rows], points.zenith[rows], points.height[rows]
        )


def _values(table, channels: Sequence[str]) -> np.ndarray:
    """Read the values ``(n, channel)`` of some channels of a table, as float64."""
    columns = [
        footprint_table.column_values(table, footprint_table.PREFIX + name) for name in channels
    ]
    return np.stack(columns, axis=1).astype(float)


@dataclass
class ObservationSums:
    """Sums of the departures of a source, by the day of the start time.

    Attributes
    ----------
    days : np.ndarray
        Days of start times, ``(day,)`` datetime64[D].
    leads : list of int
        Lead times in hours.
    channels, regions, systems : list of str
        Names; the first system is the main one.
    sums : np.ndarray
        ``(sum, day, lead, channel, region, sample, system)`` float64, of :data:`SUMS` and of
        :data:`fuxiflow.verification.observation_samples.SAMPLES`.
    """

    days: np.ndarray
    leads: list[int]
    channels: list[str]
    regions: list[str]
    systems: list[str]
    sums: np.ndarray = field(repr=False)

    @classmethod
    def empty(
        cls,
        days: np.ndarray,
        leads: Sequence[int],
        channels: Sequence[str],
        regions: Sequence[str],
        systems: Sequence[str],
    ) -> "ObservationSums":
        """Make sums of nothing yet.

        Parameters
        ----------
        days : np.ndarray
            Days of start times.
        leads : Sequence[int]
            Lead times in hours.
        channels, regions, systems : Sequence[str]
            Names.

        Returns
        -------
        ObservationSums
            All 0.
        """
        names = [list(part) for part in (leads, channels, regions, systems)]
        shape = (len(SUMS), len(days), *map(len, names[:3]), len(SAMPLES), len(names[3]))
        return cls(np.asarray(days, "datetime64[D]"), *names, np.zeros(shape))

    def add(
        self,
        day: np.datetime64,
        lead: int,
        departures: Mapping[str, np.ndarray],
        determined: Mapping[str, np.ndarray],
        inside: np.ndarray,
    ) -> None:
        """Add the departures of one case, those that all its systems have.

        Parameters
        ----------
        day : np.datetime64
            Day of the start time.
        lead : int
            Lead time in hours.
        departures : Mapping[str, np.ndarray]
            By system, ``(n, channel)``; the main one is among them.
        determined : Mapping[str, np.ndarray]
            By system, the channels ``(channel,)`` that its states determine. Others do not count
            against the other systems.
        inside : np.ndarray
            1 where an observation is of a region and kind, else 0: ``(n, region, sample)``.
        """
        i, j = int(np.searchsorted(self.days, day)), self.leads.index(lead)
        shared = np.all(
            [np.isfinite(departures[name]) | ~determined[name] for name in departures], axis=0
        )
        flat = inside.reshape(len(inside), -1).astype(float)
        shape = (len(self.channels), *inside.shape[1:])
        main = departures[self.systems[0]]
        for name, values in departures.items():
            present = shared & np.isfinite(values)
            beside = present & np.isfinite(main)
            terms = (
                present.astype(float),
                *_powers(values, present),
                *_powers(main, beside),
            )
            for k, term in enumerate(terms):
                self.sums[k, i, j, ..., self.systems.index(name)] += (term.T @ flat).reshape(shape)

    def dataset(self) -> xr.Dataset:
        """Return the sums as a data set with named dimensions."""
        names = ("sum", "day", "lead", "channel", "region", "sample", "system")
        texts = {"sum": SUMS, "channel": self.channels, "region": self.regions}
        texts |= {"sample": list(SAMPLES), "system": self.systems}
        return xr.Dataset(
            {"sums": (names, self.sums)},
            coords={
                "day": self.days.astype("datetime64[ns]"),
                "lead": self.leads,
                **{name: np.array(list(values), object) for name, values in texts.items()},
            },
        )


def _powers(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and their squares, 0 where they are not ``present``."""
    kept = np.where(present, values, 0.0)
    return kept, kept**2


def write_observation_sums(
    path: Path, sums: Mapping[str, ObservationSums], counts: Sequence[CaseCount]
) -> None:
    """Write the sums of a part.

    Parameters
    ----------
    path : Path
        The Zarr store.
    sums : Mapping[str, ObservationSums]
        Sums of each source.
    counts : Sequence[CaseCount]
        How many cases the main system has.
    """
    stamp = {"provenance": provenance.as_json(), **counts_attribute(counts)}
    groups = {name: value.dataset() for name, value in sums.items()}
    write_dataset(path, {"": xr.Dataset(attrs=stamp), **groups})


def collect_observation_departures(
    systems: Mapping[str, StateReader],
    observed: Sequence[ObservedSource],
    grid: Grid,
    inits: np.ndarray,
    leads: Sequence[int],
    regions: Sequence[str],
    log: logging.Logger,
) -> tuple[dict[str, ObservationSums], list[CaseCount]]:
    """Compare all systems with the observations of all sources.

    One field is in memory at a time; of the others there are their equivalents.

    Parameters
    ----------
    systems : Mapping[str, StateReader]
        States by system, the main one first.
    observed : Sequence[ObservedSource]
        Observations of each source.
    grid : Grid
        Grid of the states.
    inits : np.ndarray
        Start times, ``(case,)``.
    leads : Sequence[int]
        Lead times in hours, 0 for analyses.
    regions : Sequence[str]
        Regions, of :data:`fuxiflow.grids.REGIONS`.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    sums : dict of str to ObservationSums
        Sums by source.
    counts : list of CaseCount
        How many cases with observations the main system has a state for.
    """
    days = np.unique(inits.astype("datetime64[D]"))
    sums = {
        source.name: ObservationSums.empty(
            days, leads, source.operator.channels, regions, list(systems)
        )
        for source in observed
    }
    main = next(iter(systems))
    cases, lacking = 0, []
    for init in progress(inits, "departures of all systems", log):
        for lead in leads:
            valid = valid_time(init, lead)
            seen = [(source, rows) for source in observed if len(rows := source.at(valid))]
            if not seen:
                continue
            cases += 1
            compared = _compare(systems, seen, grid, init, lead)
            if main not in compared:
                lacking.append(valid)
                continue
            for k, (source, rows) in enumerate(seen):
                points = source.points_of(rows)
                masks = [inside_region(name, points.lat, points.lon) for name in regions]
                inside = np.stack(masks, axis=1)[:, :, None] & source.kind[rows][:, None, :]
                parts = {name: parts[k] for name, parts in compared.items()}
                sums[source.name].add(
                    init.astype("datetime64[D]"),
                    lead,
                    {name: part[0] for name, part in parts.items()},
                    {name: part[1] for name, part in parts.items()},
                    inside,
                )
    what = f"cases with observations have a state of {main}"
    return sums, [CaseCount.of_times(what, cases, lacking)]


def _compare(
    systems: Mapping[str, StateReader],
    seen: Sequence[tuple[ObservedSource, np.ndarray]],
    grid: Grid,
    init: np.datetime64,
    lead: int,
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Compare each system's state of a case with the observations of its valid time.

    Parameters
    ----------
    systems : Mapping[str, StateReader]
        States by system.
    seen : Sequence[tuple[ObservedSource, np.ndarray]]
        Sources with their rows.
    grid : Grid
        Grid of the states.
    init : np.datetime64
        Start time.
    lead : int
        Lead time in hours.

    Returns
    -------
    dict of str to list
        By system that has a state, for each source the departures ``(n, channel)`` and the channels
        that the state determines.
    """
    compared = {}
    for name, read in systems.items():
        state = read(init, lead)
        if state is None:
            continue
        names, values = state
        compared[name] = parts = []
        for source, rows in seen:
            points, operator = source.points_of(rows), source.operator
            columns = interpolate_columns(values, grid, points.lat, points.lon)
            equivalents = operator.equivalents(columns, names, points)
            departures = operator.departures(source.values[rows], equivalents)
            parts.append((departures, operator.determined(names)))
        # gone before the next one is read
        del state, values
    return compared
