"""Sparse hourly grids: the cells that were observed in each hour, and their values.

A store is a Zarr v3 group for consecutive hours from ``start``. Rows are sorted by hour and cell;
``offsets`` says where each hour begins, so that the hours of a window are one contiguous range of
rows.

========= ================ =========================================================================
offsets   (hour + 1,)      first row of each hour, and the number of rows
cell      (row,)           row * nlon + column on :class:`fuxiflow.grids.Grid` without poles
values    (row, channel)   in the units of the source's channels, NaN where a channel is missing
zenith    (row,)           satellite zenith angle, degrees
offset    (row, direction) distance of the footprints from the cell's centre to the north and to the
                           east, in cells
count     (row,)           footprints that made the value
platform  (row,)           their platform, as an index into the source's platforms; -1 for several
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
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

FORMAT = "fuxiflow sparse hourly grid 3"
CHUNK_ROWS = 1 << 14
# Profiles on 512 heights have fewer rows in a chunk: a window reads one or two chunks.
CHUNK_BYTES = 2 << 20
SHARD_ROWS = 1 << 20
CACHE_BYTES = 256 << 20
HOUR = np.timedelta64(1, "h")


def whole_hour(time: datetime | np.datetime64) -> np.datetime64:
    """Convert a time to ``datetime64[h]``; ValueError where it is not a whole hour."""
    hour = np.datetime64(time, "h")
    if hour != np.datetime64(time):
        raise ValueError(f"{time} is not a whole hour: hourly slots start on the hour")
    return hour


@dataclass(frozen=True)
class SparseWindow:
    """The observed cells of a window.

    Attributes
    ----------
    slot : np.ndarray
        Hours from the start of the window, ``(n,)`` int64.
    cell : np.ndarray
        ``(n,)`` int64: row * nlon + column.
    values : np.ndarray
        In the units of the channels, ``(n, channel)`` float32, NaN where missing.
    zenith : np.ndarray
        Satellite zenith angle in degrees, ``(n,)`` float32.
    offset : np.ndarray
        ``(n, 2)`` float32: mean distance of the footprints from the cell's centre to the north and
        to the east, in cells.
    platform : np.ndarray
        Index into the source's platforms, ``(n,)`` int8, -1 for several; by default the first.
    """

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

    def rows(self, selection: np.ndarray) -> "SparseWindow":
        """Select rows by index or mask."""
        return SparseWindow(*(getattr(self, item.name)[selection] for item in fields(self)))

    def single(self, centre: int) -> "SparseWindow":
        """Keep each cell once: in the slot nearest to a time, of two equally near ones the earlier.

        The time is ``centre`` hours from the window's start.
        """
        # A slot stands for the middle of its hour.
        distance = np.abs(self.slot + 0.5 - centre)
        order = np.lexsort((self.slot, distance, self.cell))
        first = np.append(True, np.diff(self.cell[order]) != 0)[: len(order)]
        return self.rows(np.sort(order[first]))


class SparseWriter:
    """Write the store of some consecutive hours; hours that are never written are empty.

    :meth:`write` takes hours in increasing order. Rows stay in memory until they fill a shard, so
    that none is written twice. Use as a context manager: without :meth:`close` there are no
    offsets and the store cannot be read.
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
        """Make the store.

        Parameters
        ----------
        path : Path
            The Zarr group; one that is there is replaced.
        source : str
            Name of the source.
        channels, units : Sequence[str]
            Name and unit of each channel.
        grid : Grid
            A grid without poles.
        start : datetime or np.datetime64
            The first hour, UTC.
        hours : int
            The number of hours.
        platforms : Sequence[str]
            Names of the source's platforms.
        frame : str
            ``hourly`` or ``single``, see :meth:`SparseGrids.window`.
        attributes : dict, optional
            Further attributes of the group.

        Raises
        ------
        ValueError
            For a grid with poles, and for a start that is not on the hour.
        """
        if grid.poles:
            raise ValueError("sparse grids have no rows on the poles: use a Grid with poles=False")
        self.path = Path(path)
        self.channels = list(channels)
        self._group = create_store(
            path,
            {
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
        self._pending_rows = 0
        self._written_rows = 0
        self._last_hour = -1

    def _create(self, name: str, tail: tuple[int, ...], kind: str) -> zarr.Array:
        """Create an array without rows.

        Parameters
        ----------
        name : str
            Name of the array.
        tail : tuple[int, ...]
            Its shape after the rows.
        kind : str
            Its type.

        Returns
        -------
        zarr.Array
            The array, ``(0, *tail)``.
        """
        fitting = CHUNK_BYTES // (np.dtype(kind).itemsize * int(np.prod(tail)))
        # A power of two divides the shard.
        rows = min(CHUNK_ROWS, 1 << max(fitting.bit_length() - 1, 0))
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
        """Add the rows of one hour.

        Parameters
        ----------
        hour : int
            Hours from the start; later than all that were written.
        cell : np.ndarray
            ``(n,)``, in increasing order, each cell once.
        values : np.ndarray
            In the units of the channels, ``(n, channel)``, NaN where missing.
        zenith : np.ndarray
            Degrees, ``(n,)``.
        offset : np.ndarray
            North and east of the cell's centre, in cells, ``(n, 2)``.
        count : np.ndarray
            Footprints in each cell, ``(n,)``.
        platform : np.ndarray, optional
            Index into the platforms, ``(n,)``, -1 for several; by default the first.

        Raises
        ------
        ValueError
            Where hours or cells are not in order.
        """
        if not 0 <= hour < len(self._rows_per_hour) or hour <= self._last_hour:
            raise ValueError(
                f"hour {hour}: allowed are {self._last_hour + 1} to "
                f"{len(self._rows_per_hour) - 1}, in order"
            )
        if len(cell) > 1 and np.any(np.diff(cell) <= 0):
            raise ValueError(f"hour {hour}: cells must increase")
        self._last_hour = hour
        self._rows_per_hour[hour] = len(cell)
        platform = np.zeros(len(cell), np.int8) if platform is None else platform
        self._pending.append((cell, values, zenith, offset, count, platform))
        self._pending_rows += len(cell)
        if self._pending_rows >= SHARD_ROWS:
            self._flush(self._pending_rows // SHARD_ROWS * SHARD_ROWS)

    def _flush(self, rows: int) -> None:
        """Write the first ``rows`` rows that wait in memory."""
        if not rows:
            return
        parts = [np.concatenate(column) for column in zip(*self._pending, strict=True)]
        for array, part in zip(self._arrays.values(), parts, strict=True):
            array.resize((self._written_rows + rows, *array.shape[1:]))
            array[self._written_rows : self._written_rows + rows] = part[:rows]
        self._pending = [tuple(part[rows:] for part in parts)]
        self._written_rows += rows
        self._pending_rows -= rows

    def note(self, **attributes) -> None:
        """Add attributes that can be told only when all is written."""
        self._group.attrs.update(attributes)

    def close(self) -> None:
        """Write the rows that wait in memory, and the offsets, which complete the store."""
        # The offsets come last: a store that was interrupted lacks them and cannot be read.
        self._flush(self._pending_rows)
        offsets = np.concatenate([[0], np.cumsum(self._rows_per_hour)])
        self._group.create_array(
            "offsets", data=offsets, chunks=offsets.shape, dimension_names=("hour_edge",)
        )
        consolidate(self.path)

    def __enter__(self) -> "SparseWriter":
        return self

    def __exit__(self, kind, *_error) -> None:
        if kind is None:
            self.close()


class _Store:
    """An open store; small ones keep their rows in memory from the first read on."""

    def __init__(self, path: Path, cache_bytes: int):
        self.path = Path(path)
        try:
            self.group = open_store(self.path, "sparse grid store")
            self.offsets = self.group["offsets"][:]
        except DamagedError:
            raise
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
        self.platforms = list(attributes["platforms"])
        self.frame = attributes["frame"]
        self.origin = attributes.get("origin", "observed")
        self.grid = Grid(**attributes["grid"])
        self.start = np.datetime64(attributes["start"], "h")
        self.end = self.start + attributes["hours"] * HOUR
        # cell, zenith, offset and count take five numbers of four octets, platform next to nothing
        size = int(self.offsets[-1]) * 4 * (len(self.channels) + 5)
        self._keep = size <= cache_bytes
        self._rows: dict[str, np.ndarray] = {}

    def read(self, name: str, first: int, last: int) -> np.ndarray:
        """Read a range of rows of one array.

        Parameters
        ----------
        name : str
            Name of the array.
        first, last : int
            The first row, and the row after the last one.

        Returns
        -------
        np.ndarray
            ``(last - first, ...)``.
        """
        if not self._keep:
            return self.group[name][first:last]
        if name not in self._rows:
            self._rows[name] = self.group[name][:]
        return self._rows[name][first:last]


class SparseGrids:
    """The stores of one source, read by window."""

    def __init__(self, paths: Sequence[Path], cache_bytes: int = CACHE_BYTES):
        """Open stores, in any order.

        Parameters
        ----------
        paths : Sequence[Path]
            Stores of consecutive hours.
        cache_bytes : int
            The size up to which a store is kept in memory once it was read.

        Raises
        ------
        ValueError
            Where stores differ in source, channels, units, platforms, frame, grid or origin
            (observed, simulated), or overlap in time.
        """
        if not paths:
            raise ValueError("no sparse grid store given")
        self._stores = sorted(
            (_Store(path, cache_bytes) for path in paths), key=lambda store: store.start
        )
        first = self._stores[0]
        self.source = first.source
        self.channels = first.channels
        self.units = first.units
        self.grid = first.grid
        self.platforms = first.platforms
        self.frame = first.frame
        self.origin = first.origin
        for before, store in zip(self._stores, self._stores[1:], strict=False):
            for name in ("source", "channels", "units", "platforms", "frame", "grid", "origin"):
                if getattr(store, name) != getattr(first, name):
                    raise ValueError(
                        f"{store.path}: {name} {getattr(store, name)} differs from "
                        f"{getattr(first, name)} of {first.path}"
                    )
            if store.start < before.end:
                raise ValueError(
                    f"{store.path}: starts at {store.start}, "
                    f"before {before.path} ends at {before.end}"
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
        """Read the observations of the hours [``start_hour``, ``end_hour``) about a time.

        A source that enters as a ``single`` frame shows each cell once, see
        :meth:`SparseWindow.single`; slots tell the time. Hours that no store covers hold nothing,
        so a window at the ends of the record is cut.

        Parameters
        ----------
        analysis_time : datetime or np.datetime64
            A whole hour, UTC.
        start_hour, end_hour : int
            Hours from the analysis time.

        Returns
        -------
        SparseWindow
            Rows sorted by slot and cell.

        Raises
        ------
        KeyError
            Where the whole window and the analysis time lie outside the record.
        ValueError
            Where the window has no hour or does not start on an hour.
        """
        window = self.hours(analysis_time, start_hour, end_hour)
        return window.single(-start_hour) if self.frame == "single" else window

    def observed_cells(
        self, analysis_time: datetime | np.datetime64, start_hour: int, end_hour: int
    ) -> int:
        """Count the cells of all hours of a window, without reading them.

        Parameters
        ----------
        analysis_time : datetime or np.datetime64
            A whole hour, UTC.
        start_hour, end_hour : int
            Hours from the analysis time; the last one is not included.

        Returns
        -------
        int
            The number of cells, 0 outside the record.
        """
        begin = whole_hour(analysis_time) + start_hour * HOUR
        finish = whole_hour(analysis_time) + end_hour * HOUR
        count = 0
        for store in self._stores:
            first, last = max(begin, store.start), min(finish, store.end)
            if first < last:
                edges = [int((hour - store.start) / HOUR) for hour in (first, last)]
                count += int(store.offsets[edges[1]] - store.offsets[edges[0]])
        return count

    def hours(
        self, analysis_time: datetime | np.datetime64, start_hour: int, end_hour: int
    ) -> SparseWindow:
        """Read all hours of a window, as :meth:`window` does for an ``hourly`` source.

        Parameters
        ----------
        analysis_time : datetime or np.datetime64
            A whole hour, UTC.
        start_hour, end_hour : int
            Hours from the analysis time; the last one is not included.

        Returns
        -------
        SparseWindow
            Rows sorted by slot and cell.

        Raises
        ------
        KeyError, ValueError
            As :meth:`window` does.
        """
        if end_hour <= start_hour:
            raise ValueError(f"window [{start_hour}, {end_hour}) h has no hour")
        begin = whole_hour(analysis_time) + start_hour * HOUR
        finish = begin + (end_hour - start_hour) * HOUR
        # a window before the first hour of a record that begins at the analysis time is empty
        outside = not self.start <= whole_hour(analysis_time) <= self.end
        if outside and (finish <= self.start or begin >= self.end):
            raise KeyError(
                f"{self._stores[0].path}: window {begin} to {finish} lies outside the observations "
                f"of {self.source}, {self.start} to {self.end}"
            )
        touched = [store for store in self._stores if store.start < finish and begin < store.end]
        parts = [self._part(store, begin, finish) for store in touched]
        # The usual case, without a copy.
        if len(parts) == 1:
            return parts[0]
        # A gap between stores.
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
        """Read the rows of one store that lie in a window.

        Parameters
        ----------
        store : _Store
            A store with some hours of the window.
        begin, finish : np.datetime64
            First hour of the window, and the hour after its last one.

        Returns
        -------
        SparseWindow
            Slots count from ``begin``.
        """
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
