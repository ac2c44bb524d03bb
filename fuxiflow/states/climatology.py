"""Climatology by day of year and hour of day, from the training period alone.

It is kept at 74 nodes of the year (every fifth day of a year of 366; common years skip 29 February)
and interpolated linearly between them, around the turn of the year as well. The window that smooths
it is weeks wide, so that nothing is lost in a fifth of the space.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.completeness import check_finite
from fuxiflow.grids import Grid
from fuxiflow.progress import Progress
from fuxiflow.states.coordinates import (
    as_nanoseconds,
    get_grid,
    put_coordinate,
    put_grid,
)
from fuxiflow.states.store import COMPRESSORS
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

YEAR = 366
NODE_DAYS = 5
NODES = np.arange(1, YEAR + 1, NODE_DAYS)
HOURS = (0, 6, 12, 18)
KEPT_FIELDS = 16
"""Fields of nodes and hours that are kept in memory: two for each hour are in use at a time."""


def day_of_year(time) -> int:
    """Return the day of a year of 366 days, 1 to 366.

    29 February is day 60; in common years too 1 March is day 61.
    """
    date = as_nanoseconds(time).astype("datetime64[s]").item()
    return (datetime(2000, date.month, date.day) - datetime(2000, 1, 1)).days + 1


def _hour(time) -> int:
    return as_nanoseconds(time).astype("datetime64[h]").item().hour


def node_weights(day: float) -> tuple[int, int, float]:
    """Return the nodes before and after a day of the year, and the weight of the latter.

    The year is closed to a circle.
    """
    before = int((day - 1) // NODE_DAYS) % len(NODES)
    after = (before + 1) % len(NODES)
    width = (NODES[after] - NODES[before]) % YEAR
    return before, after, float((day - NODES[before]) / width)


def window_weights(day: int, width: int) -> np.ndarray:
    """Return the triangular weights ``(node,)`` of a state of a day of the year.

    They are 1 at a node of ``day`` and 0 from ``(width + 1) / 2`` days off.
    """
    distance = np.abs(NODES - day)
    distance = np.minimum(distance, YEAR - distance)
    return np.maximum(0.0, 1.0 - distance / ((width + 1) / 2))


def _create(path: Path, channels: ChannelTable, grid: Grid, width: int) -> zarr.Array:
    """Make an empty climatology store.

    Parameters
    ----------
    path : Path
        The store; one that is there is replaced.
    channels : ChannelTable
        Channels of the fields.
    grid : Grid
        Grid of the fields.
    width : int
        Width of the window in days.

    Returns
    -------
    zarr.Array
        Its array ``(node, hour, channel, lat, lon)``; a node and hour are a chunk.
    """
    group = create_store(
        path,
        {
            "Conventions": "CF-1.11",
            "provenance": provenance.as_json(),
            "window_days": width,
            "comment": "dayofyear counts a year of 366 days; "
            "linear interpolation between its nodes",
        },
    )
    put_coordinate(
        group, "dayofyear", NODES.astype(np.int64), {"long_name": "day of a year of 366 days"}
    )
    put_coordinate(group, "hour", np.array(HOURS, np.int64), {"long_name": "hour of day, UTC"})
    put_coordinate(
        group, "channel", np.array(channels.names), {"long_name": "channel of the state"}
    )
    put_grid(group, grid)
    shape = (len(NODES), len(HOURS), len(channels), *grid.shape)
    return group.create_array(
        "climatology",
        shape=shape,
        dtype="float32",
        chunks=(1, 1, *shape[2:]),
        compressors=COMPRESSORS,
        fill_value=np.nan,
        dimension_names=("dayofyear", "hour", "channel", "lat", "lon"),
        attributes={"long_name": "mean by day of year and hour of day"},
    )


def build_climatology(
    path: Path,
    times: np.ndarray,
    read: Callable[[np.datetime64], np.ndarray],
    channels: ChannelTable,
    grid: Grid,
    width: int,
    log: logging.Logger,
) -> None:
    """Write the climatology of a series of states.

    Each state is read once, by hour and day of the year, so that only the nodes within a window are
    in memory. Days that no window reaches (less than a year of data) get the nearest windowed mean
    of their hour, and a warning is logged. A channel that is NaN in a state does not count there.

    Parameters
    ----------
    path : Path
        The store; one that is there is replaced.
    times : np.ndarray
        Times of the states, ``(time,)`` datetime64.
    read : Callable
        Gives the state ``(channel, lat, lon)`` of a time.
    channels : ChannelTable
        Channels of the states.
    grid : Grid
        Grid of the states.
    width : int
        Width in days of the triangular window about a day of the year, circular in the year.
    log : logging.Logger
        Takes progress and warnings.

    Raises
    ------
    ValueError
        For an hour without any state.
    """
    values = _create(path, channels, grid, width)
    order = sorted(times, key=day_of_year)
    may_lack = np.array([not channel.analysed for channel in channels])
    report = Progress(len(order), "climatology", log)
    unreached: set[int] = set()
    for slot, hour in enumerate(HOURS):
        times_of_hour = [time for time in order if _hour(time) == hour]
        if not times_of_hour:
            raise ValueError(f"climatology: no state at {hour:02d} UTC in the training period")
        # once no later state has a weight at a node, its mean is written and leaves the memory
        weights = np.stack([window_weights(day_of_year(time), width) for time in times_of_hour])
        totals = np.zeros((len(NODES), len(channels)))
        means: dict[int, np.ndarray] = {}
        for position, time in enumerate(times_of_hour):
            state = read(time)
            valid = np.isfinite(state).all(axis=(1, 2))
            check_finite(valid | may_lack, channels.names, f"state of {time}")
            state = np.where(valid[:, None, None], state, np.float32(0))
            for node in np.flatnonzero(weights[position]):
                totals[node] += weights[position, node] * valid
                share = np.divide(
                    weights[position, node] * valid,
                    totals[node],
                    out=np.zeros(len(valid)),
                    where=valid,
                )
                mean = means.setdefault(node, np.zeros_like(state))
                # a running mean: float32 keeps its digits however many years there are
                mean += (state - mean) * share.astype(np.float32)[:, None, None]
                if not weights[position + 1 :, node].any():
                    values[node, slot] = means.pop(node)
            report.step()
        unreached |= _fill(values, slot, totals)
    if unreached:
        log.warning(
            "climatology: days of the year about %s have no data within the window of %d days; "
            "the nearest windowed mean stands for them",
            sorted(unreached),
            width,
        )
    consolidate(path)


def _fill(values: zarr.Array, slot: int, totals: np.ndarray) -> set[int]:
    """Fill the nodes of an hour that have no weight from the nearest one that has.

    A channel that was never there becomes NaN.

    Parameters
    ----------
    values : zarr.Array
        Climatology ``(node, hour, channel, lat, lon)``.
    slot : int
        Position of the hour.
    totals : np.ndarray
        Sums of weights ``(node, channel)``.

    Returns
    -------
    set of int
        Days of the year of the nodes that were filled.
    """
    filled = set()
    never = ~(totals > 0).any(axis=0)
    for node in np.flatnonzero((totals == 0).any(axis=1)):
        distance = np.abs(NODES - NODES[node])
        distance = np.minimum(distance, YEAR - distance)
        nearest = np.argmin(np.where(totals > 0, distance[:, None], YEAR), axis=0)
        lacking = (totals[node] == 0) & ~never
        # a node without any weight was not written
        whole = (totals[node] == 0).all()
        field = np.full(values.shape[2:], np.nan, np.float32) if whole else values[node, slot]
        for source in np.unique(nearest[lacking]):
            members = lacking & (nearest == source)
            field[members] = values[source, slot][members]
        field[never] = np.nan
        values[node, slot] = field
        if lacking.any():
            filled.add(int(NODES[node]))
    return filled


class Climatology:
    """Mean states by day of year and hour; :meth:`at` interpolates to a time."""

    def __init__(
        self,
        channels: ChannelTable,
        grid: Grid,
        values: np.ndarray | zarr.Array,
        width: int,
        budget: int | None = None,
    ):
        """Take the mean states.

        Parameters
        ----------
        channels : ChannelTable
            Channels of the states.
        grid : Grid
            Grid of the states.
        values : np.ndarray or zarr.Array
            Mean states ``(node, hour, channel, lat, lon)``.
        width : int
            Width in days of the window.
        budget : int, optional
            Bytes of fields that are kept in memory, two fields at least; by default
            :data:`KEPT_FIELDS` of them.
        """
        self.channels = channels
        self.grid = grid
        self.width = width
        self._values = values
        field = 4 * len(channels) * grid.nlat * grid.nlon
        self._kept = KEPT_FIELDS if budget is None else max(2, budget // field)
        self._cache: dict[tuple[int, int], np.ndarray] = {}

    @classmethod
    def read(cls, path: Path, budget: int | None = None) -> "Climatology":
        """Open what :func:`build_climatology` wrote; fields are read as they are needed.

        ``budget`` is the number of bytes of fields that are kept in memory. Raises
        FileNotFoundError if it is not there.
        """
        group = open_store(path, "climatology")
        names = [str(name) for name in group["channel"][:]]
        return cls(
            channel_table().select(names),
            get_grid(group),
            group["climatology"],
            int(group.attrs["window_days"]),
            budget,
        )

    def _node(self, node: int, slot: int) -> np.ndarray:
        """Read the field ``(channel, lat, lon)`` of a node and hour, or take it from memory."""
        # neighbouring times need the same nodes
        key = node, slot
        if key not in self._cache:
            while len(self._cache) >= self._kept:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = np.asarray(self._values[node, slot], np.float32)
        return self._cache[key]

    def at(self, time) -> np.ndarray:
        """Return the mean state ``(channel, lat, lon)``, float32, of a time.

        Raises ValueError unless the hour is 0, 6, 12 or 18 UTC.
        """
        moment = as_nanoseconds(time).astype("datetime64[s]").item()
        if moment.hour not in HOURS or moment.minute or moment.second:
            raise ValueError(f"climatology at {moment:%Y-%m-%d %H:%M}: kept for {HOURS} UTC only")
        before, after, weight = node_weights(day_of_year(time))
        slot = HOURS.index(moment.hour)
        first = self._node(before, slot)
        if weight == 0:
            return first.copy()
        field = self._node(after, slot) - first
        field *= np.float32(weight)
        field += first
        return field
