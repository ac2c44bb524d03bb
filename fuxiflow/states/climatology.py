"""Climatology by day of year and hour of day, from the training period alone.

It is kept at 74 nodes of the year (every fifth day of a year of 366; common years skip 29 February)
and interpolated linearly between them, around the turn of the year as well. The window that smooths
it is weeks wide, so that nothing is lost in a fifth of the space.
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.coordinates import (
    as_nanoseconds,
    get_grid,
    put_coordinate,
    put_grid,
)
from fuxiflow.states.store import COMPRESSORS
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import create_store, open_store

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


def hour_of_day(time) -> int:
    """Return the hour of a time, 0 to 23 UTC."""
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


def create_climatology(
    path: Path,
    channels: ChannelTable,
    grid: Grid,
    width: int,
    days: np.ndarray = NODES,
    compressors: tuple = COMPRESSORS,
) -> zarr.Group:
    """Make an empty climatology store, or one of a part of the year.

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
    days : np.ndarray
        Days of the year of its nodes ``(node,)``; by default of all.
    compressors : tuple
        Codecs of the fields.

    Returns
    -------
    zarr.Group
        Its array ``climatology (node, hour, channel, lat, lon)`` has a chunk for each node and
        hour.
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
        group, "dayofyear", days.astype(np.int64), {"long_name": "day of a year of 366 days"}
    )
    put_coordinate(group, "hour", np.array(HOURS, np.int64), {"long_name": "hour of day, UTC"})
    put_coordinate(
        group, "channel", np.array(channels.names), {"long_name": "channel of the state"}
    )
    put_grid(group, grid)
    shape = (len(days), len(HOURS), len(channels), *grid.shape)
    group.create_array(
        "climatology",
        shape=shape,
        dtype="float32",
        chunks=(1, 1, *shape[2:]),
        compressors=compressors,
        fill_value=np.nan,
        dimension_names=("dayofyear", "hour", "channel", "lat", "lon"),
        attributes={"long_name": "mean by day of year and hour of day"},
    )
    return group


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
        """Open a climatology store; fields are read as they are needed.

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
