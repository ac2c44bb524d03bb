"""Sparse hourly grids: for each hour the cells that were observed and their values, nothing where nothing was seen.

A store is a Zarr v3 group for consecutive hours from ``start``. Rows are sorted by hour and cell; ``offsets`` says
where each hour begins, so that the hours of a window are one contiguous range of rows.

========= ================ =========================================================================
offsets   (hour + 1,)      first row of each hour, and the number of rows
cell      (row,)           row * nlon + column on :class:`fuxiflow.grids.Grid` without poles
values    (row, channel)   in the units of the source's channels, NaN where a channel is missing
zenith    (row,)           satellite zenith angle, degrees
offset    (row, direction) how far north and east of the cell's centre its footprints lie, in cells
count     (row,)           footprints that made the value
platform  (row,)           whose they are, as an index into the source's platforms; -1 for several
========= ================ =========================================================================

A source whose ``frame`` is ``single``, as scattered profiles are, shows each cell once in a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from fuxiflow.grids import Grid
from fuxiflow.storage import provenance

FORMAT = "fuxiflow sparse hourly grid 3"
CHUNK_ROWS = 1 << 14
CHUNK_BYTES = (
    2 << 20
)  # profiles on 512 heights have fewer rows in a chunk: a window reads one or two
SHARD_ROWS = 1 << 20
CACHE_BYTES = 256 << 20
HOUR = np.timedelta64(1, "h")


def whole_hour(time: datetime | np.datetime64) -> np.datetime64:
    """The time as ``datetime64[h]``; ValueError when it is not a whole hour."""
    hour = np.datetime64(time, "h")
    if hour != np.datetime64(time):
        raise ValueError(f"{time} is not a whole hour: hourly slots start on the hour")
    return hour


@dataclass(frozen=True)
class SparseWindow:
    """Observed cells of a window: ``slot`` (n,) counts hours from the window's start, ``cell`` (n,) int64,
    ``values`` (n, channel) float32 in physical units, NaN where missing, ``zenith`` (n,) float32 in degrees, ``offset``
    (n, 2) float32: how far north and east of the cell's centre the footprints lie on the mean, in cells, ``platform``
    (n,) int8: index into the source's platforms, -1 for several, by default the first."""

    slot: np.ndarray
    cell: np.ndarray
    values: np.ndarray
    zenith: np.ndarray
    offset: np.ndarray
    platform: np.ndarray | None = None

    def __post_init__(self):
        if self.platform is None:
            object.__setattr__(self, "platform", np.zeros(len(self.cell), np.int8))

    def __len__(self) -> int:
        return len(self.cell)

    def rows(self, chosen: np.ndarray) -> "SparseWindow":
        """Some of the rows, by index or mask."""
        return SparseWindow(*(getattr(self, item.name)[chosen] for item in fields(self)))

    def single(self, centre: int) -> "SparseWindow":
        """Each cell once: in the slot nearest to the time ``centre`` hours from the window's start, the earlier of two
        that are equally near."""
        distance = np.abs(self.slot + 0.5 - centre)
        order = np.lexsort((self.slot, distance, self.cell))
        first = np.append(True, np.diff(self.cell[order]) != 0)[: len(order)]
        return self.rows(np.sort(order[first]))


class SparseWriter:
    """Writes the store of ``hours`` hours from ``start``; hours that are never written are empty.

    ``write`` takes hours in increasing order. Rows are held back until they fill a shard: none is written twice. Use
    as a context manager: without :meth:`close` there are no offsets and the store cannot be read.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        channels: Sequence[str],
        units: Sequence[str],
        grid: Grid,
        start: datetime | np.datetime64,
        hours: int,
        platforms: Sequence[str] = (),
        frame: str = "hourly",
        attributes: dict | None = None,
    ):
        if grid.poles:
            raise ValueError("sparse grids have no rows on the poles: use a Grid with poles=False")
        self.channels = list(channels)
        self._group = zarr.open_group(
            path,
            mode="w",
            zarr_format=3,
            attributes={
                "format": FORMAT,
                "source": source,
                "channels": self.channels,
                "units": list(units),
                "grid": {"nlat": grid.nlat, "nlon": grid.nlon},
                "start": str(whole_hour(start)),
                "hours": int(hours),
                "platforms": list(platforms),
                "frame": frame,
                "provenance": provenance.as_json(),
                **(attributes or {}),
            },
        )
        columns = {
            "cell": ((), "int32"),
            "values": ((len(self.channels),), "float32"),
            "zenith": ((), "float32"),
            "offset": ((2,), "float32"),
            "count": ((), "int32"),
            "platform": ((), "int8"),
        }
        self._arrays = {
            name: self._create(name, tail, kind) for name, (tail, kind) in columns.items()
        }
        self._rows_per_hour = np.zeros(hours, np.int64)
        self._pending: list[tuple[np.ndarray, ...]] = []
        self._held = self._written = 0
        self._last = -1

    def _create(self, name: str, tail: tuple[int, ...], kind: str) -> zarr.Array:
        fitting = CHUNK_BYTES // (np.dtype(kind).itemsize * int(np.prod(tail)))
        rows = min(
            CHUNK_ROWS, 1 << max(fitting.bit_length() - 1, 0)
        )  # a power of two divides the shard
        return self._group.create_array(
            name,
            shape=(0, *tail),
            chunks=(rows, *tail),
            shards=(SHARD_ROWS, *tail),
            dtype=kind,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
            fill_value=np.nan if kind == "float32" else 0,
            dimension_names=("row", "direction" if name == "offset" else "channel")[
                : 1 + len(tail)
            ],
        )

    def write(
        self,
        hour: int,
        cell: np.ndarray,
        values: np.ndarray,
        zenith: np.ndarray,
        offset: np.ndarray,
        count: np.ndarray,
        platform: np.ndarray | None = None,
    ) -> None:
        """Add the rows of one hour (index from the start), cells in increasing order and each once; by default all of
        the first platform."""
        if not 0 <= hour < len(self._rows_per_hour) or hour <= self._last:
            raise ValueError(
                f"hour {hour}: allowed are {self._last + 1} to {len(self._rows_per_hour) - 1}, in order"
            )
        if len(cell) > 1 and np.any(np.diff(cell) <= 0):
            raise ValueError(f"hour {hour}: cells must increase")
        self._last = hour
        self._rows_per_hour[hour] = len(cell)
        platform = np.zeros(len(cell), np.int8) if platform is None else platform
        self._pending.append((cell, values, zenith, offset, count, platform))
        self._held += len(cell)
        if self._held >= SHARD_ROWS:
            self._flush(self._held // SHARD_ROWS * SHARD_ROWS)

    def _flush(self, rows: int) -> None:
        """Write the first ``rows`` rows that are held back."""
        if not rows:
            return
        parts = [np.concatenate(column) for column in zip(*self._pending, strict=True)]
        for array, part in zip(self._arrays.values(), parts, strict=True):
            array.resize((self._written + rows, *array.shape[1:]))
            array[self._written : self._written + rows] = part[:rows]
        self._pending = [tuple(part[rows:] for part in parts)]
        self._written += rows
        self._held -= rows

    def note(self, **attributes) -> None:
        """Add attributes that are known when all is written."""
        self._group.attrs.update(attributes)

    def close(self) -> None:
        """Write what is held back, and the offsets, which complete the store."""
        self._flush(self._held)
        offsets = np.concatenate([[0], np.cumsum(self._rows_per_hour)])
        self._group.create_array(
            "offsets", data=offsets, chunks=offsets.shape, dimension_names=("hour_edge",)
        )

    def __enter__(self) -> "SparseWriter":
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None:
            self.close()


class _Store:
    """One store, opened; small ones keep their rows in memory from the first read on."""

    def __init__(self, path: Path, cache_bytes: int):
        self.path = Path(path)
        try:
            self.group = zarr.open_group(self.path, mode="r")
            self.offsets = self.group["offsets"][:]
        except (FileNotFoundError, KeyError) as error:
            raise ValueError(
                f"{path}: not a complete sparse grid store ({error}); run its rule again"
            ) from error
        attributes = self.group.attrs
        if attributes.get("format") != FORMAT:
            raise ValueError(f"{path}: format {attributes.get('format')!r}, expected {FORMAT!r}")
        self.source = attributes["source"]
        self.channels = list(attributes["channels"])
        self.units = list(attributes["units"])
        self.platforms, self.frame = list(attributes["platforms"]), attributes["frame"]
        self.origin = attributes.get("origin", "observed")
        self.grid = Grid(**attributes["grid"])
        self.start = np.datetime64(attributes["start"], "h")
        self.end = self.start + attributes["hours"] * HOUR
        size = int(self.offsets[-1]) * 4 * (len(self.channels) + 5)
        self._keep = size <= cache_bytes
        self._rows: dict[str, np.ndarray] = {}

    def read(self, name: str, first: int, last: int) -> np.ndarray:
        """Rows ``first`` to ``last`` of the array ``name``."""
        if not self._keep:
            return self.group[name][first:last]
        if name not in self._rows:
            self._rows[name] = self.group[name][:]
        return self._rows[name][first:last]


class SparseGrids:
    """The stores of one source, read by window.

    ``cache_bytes`` bounds the size of a store that is kept in memory once read. Stores may come in any order; those
    that differ in source, channels, units, platforms, frame, grid or origin (observed, simulated), or overlap in time,
    are refused with ValueError.
    """

    def __init__(self, paths: Sequence[Path], cache_bytes: int = CACHE_BYTES):
        if not paths:
            raise ValueError("no sparse grid store given")
        self._stores = sorted(
            (_Store(path, cache_bytes) for path in paths), key=lambda store: store.start
        )
        first = self._stores[0]
        self.source, self.channels, self.units, self.grid = (
            first.source,
            first.channels,
            first.units,
            first.grid,
        )
        self.platforms, self.frame, self.origin = first.platforms, first.frame, first.origin
        for before, store in zip(self._stores, self._stores[1:], strict=False):
            for name in ("source", "channels", "units", "platforms", "frame", "grid", "origin"):
                if getattr(store, name) != getattr(first, name):
                    raise ValueError(
                        f"{store.path}: {name} {getattr(store, name)} differs from {getattr(first, name)} "
                        f"of {first.path}"
                    )
            if store.start < before.end:
                raise ValueError(
                    f"{store.path}: starts at {store.start}, before {before.path} ends at {before.end}"
                )

    @property
    def start(self) -> np.datetime64:
        """The first hour of all stores."""
        return self._stores[0].start

    @property
    def end(self) -> np.datetime64:
        """The hour after the last one of all stores."""
        return self._stores[-1].end

    def window(
        self, analysis_time: datetime | np.datetime64, start_hour: int, end_hour: int
    ) -> SparseWindow:
        """Observations of the hours [analysis_time + start_hour, analysis_time + end_hour).

        A source that enters as a ``single`` frame shows each cell once, see :meth:`SparseWindow.single`; slots tell the
        time. Hours that no store covers hold nothing, so a window at the ends of the record is cut. KeyError when the
        whole window lies outside the record, ValueError when it is empty or does not start on an hour.
        """
        found = self.hours(analysis_time, start_hour, end_hour)
        return found.single(-start_hour) if self.frame == "single" else found

    def hours(
        self, analysis_time: datetime | np.datetime64, start_hour: int, end_hour: int
    ) -> SparseWindow:
        """All hours of a window, as :meth:`window` has them of an ``hourly`` source."""
        if end_hour <= start_hour:
            raise ValueError(f"window [{start_hour}, {end_hour}) h has no hour")
        begin = whole_hour(analysis_time) + start_hour * HOUR
        finish = begin + (end_hour - start_hour) * HOUR
        if finish <= self.start or begin >= self.end:
            raise KeyError(
                f"{self._stores[0].path}: window {begin} to {finish} lies outside the observations of "
                f"{self.source}, {self.start} to {self.end}"
            )
        touched = [store for store in self._stores if store.start < finish and begin < store.end]
        parts = [self._part(store, begin, finish) for store in touched]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return SparseWindow(
                np.empty(0, np.int64),
                np.empty(0, np.int64),
                np.empty((0, len(self.channels)), np.float32),
                np.empty(0, np.float32),
                np.empty((0, 2), np.float32),
            )
        names = [item.name for item in fields(SparseWindow)]
        return SparseWindow(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
        )

    @staticmethod
    def _part(store: _Store, begin: np.datetime64, finish: np.datetime64) -> SparseWindow:
        """What one store holds of a window."""
        hours = np.arange(max(begin, store.start), min(finish, store.end))
        index = (hours - store.start).astype(np.int64)
        first, last = int(store.offsets[index[0]]), int(store.offsets[index[-1] + 1])
        slot = np.repeat(
            (hours - begin).astype(np.int64), np.diff(store.offsets[index[0] : index[-1] + 2])
        )
        return SparseWindow(
            slot,
            store.read("cell", first, last).astype(np.int64),
            store.read("values", first, last),
            store.read("zenith", first, last),
            store.read("offset", first, last),
            store.read("platform", first, last),
        )
