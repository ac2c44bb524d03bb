"""Write and read state stores: fields ``(time, channel, lat, lon)`` in Zarr v3.

A time is a chunk, many times are a shard file. A time without a field keeps its slot: it is filled
with NaN and listed in the array's attribute ``missing``, and reading it raises. Times that are not
written yet are listed in ``pending``, so that a store that was cut short can be continued. A store
is finished when every time was written, or declared missing by who knows why.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from zarr.codecs import BloscCodec

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.completeness import check_finite
from fuxiflow.grids import Grid
from fuxiflow.states.coordinates import (
    as_nanoseconds,
    get_grid,
    iso_texts,
    put_coordinate,
    put_grid,
    put_time,
    read_times,
)
from fuxiflow.states.shards import ShardReader
from fuxiflow.storage import provenance
from fuxiflow.storage.files import leftovers, remove, temporary
from fuxiflow.storage.packing import BlockPackingCodec
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

SHARD_TIMES = 64
SHARD_BYTES = 1 << 29
# Bits are shuffled first, as smooth fields take less space so. lz4hc is unpacked more than twice as
# fast as zstd, packed as fast, and takes 5 % more space on ERA5: docs/studies/performance.md
COMPRESSORS = (BloscCodec(cname="lz4hc", clevel=3, shuffle="bitshuffle", typesize=4),)
COMPRESSIONS = {
    "packed": {"serializer": BlockPackingCodec(), "compressors": None},
    "lz4hc": {"compressors": COMPRESSORS},
    "none": {"compressors": None},
}
"""Codecs of states by what a configuration calls them."""
DIMENSIONS = ("time", "channel", "lat", "lon")
LOG = logging.getLogger("fuxiflow")


class StateWriter:
    """Writes a state store, a shard file at a time, for one or several arrays of the same shape."""

    def __init__(
        self,
        path: Path,
        times: Sequence,
        channels: ChannelTable,
        grid: Grid,
        names: Sequence[str] = ("state",),
        attrs: dict | None = None,
        resume: bool = False,
        shard: int | None = None,
        compression: str = "lz4hc",
    ):
        """Make the store, or open the one that is continued.

        Parameters
        ----------
        path : Path
            The store.
        times : Sequence
            Valid times, increasing.
        channels : ChannelTable
            Channels of the fields.
        grid : Grid
            Grid of the fields.
        names : Sequence[str]
            Names of the arrays.
        attrs : dict, optional
            Further attributes of the store.
        resume : bool
            Continue a store that is at ``path`` already: what it holds stays, :meth:`done` tells
            what that is. Times whose fields are not there count as not written. A store that
            cannot be read is made anew.
        shard : int, optional
            Number of times in a file; by default up to 64, at most 512 MB before compression.
        compression : str
            A key of :data:`COMPRESSIONS`.

        Raises
        ------
        ValueError
            When the times are not increasing, or the store to be continued has other times,
            channels, arrays or another grid.
        """
        self.path = Path(path)
        self.times = as_nanoseconds(list(times))
        self.channels = channels
        self.grid = grid
        self.names = tuple(names)
        self.shape = (len(channels), *grid.shape)
        # an analysis of GFS has no precipitation
        self._may_lack = np.array([not channel.analysed for channel in channels])
        if len(self.times) == 0 or np.any(np.diff(self.times) <= np.timedelta64(0)):
            raise ValueError(
                f"{self.path}: the times of a store must be given, in increasing order"
            )
        # of each array the number of a shard, its fields, and which of them have come
        self._buffers: dict[str, tuple[int, np.ndarray, np.ndarray]] = {}
        if not (resume and self.path.exists() and self._open()):
            self._create(attrs or {}, shard, compression)

    def _create(self, attrs: dict, shard: int | None, compression: str) -> None:
        """Make an empty store, in place of one that is there.

        Parameters
        ----------
        attrs : dict
            Further attributes of the store.
        shard : int, optional
            Number of times in a file.
        compression : str
            A key of :data:`COMPRESSIONS`.
        """
        # made aside: a kill must not leave half a store behind, which could not be continued
        for left in leftovers(self.path):
            remove(left)
        aside = temporary(self.path)
        size = 4 * int(np.prod(self.shape))
        self.shard = min(len(self.times), shard or max(1, min(SHARD_TIMES, SHARD_BYTES // size)))
        stamp = {"Conventions": "CF-1.11", "provenance": provenance.as_json(), **attrs}
        group = create_store(aside, stamp)
        put_time(group, "time", self.times, "valid time")
        put_grid(group, self.grid)
        put_coordinate(
            group, "channel", np.array(self.channels.names), {"long_name": "channel of the state"}
        )
        put_coordinate(
            group,
            "unit",
            np.array([c.unit for c in self.channels]),
            {"long_name": "unit"},
            "channel",
        )
        put_coordinate(
            group,
            "variable",
            np.array([c.variable for c in self.channels]),
            {"long_name": "physical variable"},
            "channel",
        )
        for name in self.names:
            group.create_array(
                name,
                shape=(len(self.times), *self.shape),
                dtype="float32",
                chunks=(1, *self.shape),
                shards=(self.shard, *self.shape),
                **COMPRESSIONS[compression],
                fill_value=np.nan,
                dimension_names=DIMENSIONS,
                attributes={
                    "long_name": name,
                    "coordinates": "unit variable",
                    "missing": [],
                    "pending": iso_texts(self.times),
                },
            )
        remove(self.path)
        os.rename(aside, self.path)
        self._group = open_store(self.path, mode="r+")
        self._missing = {name: np.zeros(len(self.times), bool) for name in self.names}
        self._pending = {name: np.ones(len(self.times), bool) for name in self.names}

    def _open(self) -> bool:
        """Open the store that is continued, and say whether it can be.

        Raises ValueError when it is another one.
        """
        try:
            self._group = open_store(self.path, mode="r+")
            stored = StateSeries([self.path], name=self.names[0])
            present = [name for name in self.names if name in self._group]
            listed = {
                key: {name: self._group[name].attrs[key] for name in present}
                for key in ("missing", "pending")
            }
        # whatever Zarr makes of damaged metadata
        except Exception as error:
            LOG.warning("%s cannot be continued (%s): it is made anew", self.path, error)
            return False
        if (
            len(present) < len(self.names)
            or stored.channels.names != self.channels.names
            or stored.grid != self.grid
            or not np.array_equal(stored.slots, self.times)
        ):
            raise ValueError(
                f"{self.path}: cannot be continued, it was made for other times, channels, arrays "
                "or another grid; remove it"
            )
        self.shard = self._group[self.names[0]].shards[0]
        texts = np.array(iso_texts(self.times))
        self._missing = {n: np.isin(texts, listed["missing"][n]) for n in self.names}
        self._pending = {n: np.isin(texts, listed["pending"][n]) for n in self.names}
        for name in self.names:
            self._doubt(name)
        return True

    def _doubt(self, name: str) -> None:
        """Take times of an array as not written whose fields are not there, or in a bad file."""
        reader = ShardReader(self.path / name, self._group[name])
        pending, lost = self._pending[name], []
        for first in range(0, len(self.times), self.shard):
            slots = slice(first, min(first + self.shard, len(self.times)))
            written = ~pending[slots] & ~self._missing[name][slots]
            gone = written & ~reader.stored(first // self.shard)[: len(written)]
            # a file that is completed is read
            completed = gone.any() or (pending[slots].any() and not pending[slots].all())
            readable = not completed or self._is_readable(name, slots)
            gone = gone if readable else written
            lost += [first + int(index) for index in np.flatnonzero(gone)]
            pending[slots] |= gone
            if not readable or (pending | self._missing[name])[slots].all():
                pending[slots] = pending[slots].any()
                if pending[slots].all():
                    self._drop_file(name, first // self.shard)
        if lost:
            LOG.warning(
                "%s: %d fields of %s that were written are not there or cannot be read, the first "
                "of %s; they are made again",
                self.path,
                len(lost),
                name,
                iso_texts(self.times[lost[:1]])[0],
            )

    def _is_readable(self, name: str, slots: slice) -> bool:
        """Tell if all fields of a shard file can be read."""
        try:
            self._group[name][slots]
        # whatever Zarr makes of a damaged file
        except Exception:
            return False
        return True

    def _drop_file(self, name: str, shard: int) -> None:
        """Remove a shard file of which no time is written, lest Zarr reads it."""
        self.path.joinpath(name, "c", str(shard), "0", "0", "0").unlink(missing_ok=True)

    @property
    def count_written(self) -> int:
        """Number of times, from the first on, of which all arrays have fields."""
        lacking = [self._pending[name] | self._missing[name] for name in self.names]
        first = np.flatnonzero(np.any(lacking, axis=0))[:1]
        return int(first[0]) if len(first) else len(self.times)

    def begin_at(self, index: int) -> None:
        """Take all times from position ``index`` on as not written."""
        for name in self.names:
            self._pending[name][index:] = True
            self._missing[name][index:] = False
            for shard in range(-(-index // self.shard), -(-len(self.times) // self.shard)):
                self._drop_file(name, shard)

    def done(self, index: int) -> bool:
        """Tell if all arrays have the time of position ``index``, as a field or as missing."""
        return not any(self._pending[name][index] for name in self.names)

    def set_attribute(self, name: str, value: object) -> None:
        """Set an attribute of the store, which has to be JSON."""
        self._group.attrs[name] = value

    def write(self, index: int, array: np.ndarray | None, name: str = "state") -> None:
        """Put the field of one time.

        Fields that come in order of time are written a shard at a time.

        Parameters
        ----------
        index : int
            Position of the time.
        array : np.ndarray or None
            The field ``(channel, lat, lon)``; None keeps the slot and marks it missing.
        name : str
            Name of the array.

        Raises
        ------
        KeyError
            For an unknown array.
        ValueError
            For a field of another shape.
        IncompleteError
            For a field with values that are no numbers.
        """
        if name not in self.names:
            raise KeyError(f"{self.path}: unknown array {name!r}; known: {', '.join(self.names)}")
        if array is not None and np.shape(array) != self.shape:
            raise ValueError(
                f"{self.path}: {name} {iso_texts(self.times[[index]])[0]} "
                f"has shape {np.shape(array)}, expected {self.shape}"
            )
        if array is not None:
            finite = np.isfinite(array).all(axis=(1, 2))
            place = f"{self.path}: {name} {iso_texts(self.times[[index]])[0]}"
            check_finite(finite | self._may_lack, self.channels.names, place)
        number = index // self.shard
        if name in self._buffers and self._buffers[name][0] != number:
            self._flush(name)
        if name not in self._buffers:
            count = min(self.shard, len(self.times) - number * self.shard)
            empty = np.full((count, *self.shape), np.nan, np.float32)
            self._buffers[name] = number, empty, np.zeros(count, bool)
        _, values, came = self._buffers[name]
        values[index % self.shard] = np.nan if array is None else array
        came[index % self.shard] = True
        self._missing[name][index] = array is None
        self._pending[name][index] = False

    def _flush(self, name: str) -> None:
        """Write the buffered fields of an array, and only then declare their times written."""
        number, values, came = self._buffers.pop(name)
        first = number * self.shard
        array = self._group[name]
        # others of the shard stay as they are, bit by bit
        edges = np.flatnonzero(np.diff(came, prepend=False, append=False))
        for begin, end in edges.reshape(-1, 2):
            array[first + begin : first + end] = values[begin:end]
        later = self._pending[name]
        array.update_attributes(
            {
                "missing": iso_texts(self.times[self._missing[name]]),
                "pending": iso_texts(self.times[later]),
            }
        )

    def flush(self) -> None:
        """Write what is buffered; the shard in work is written again when its later times come."""
        for name in list(self._buffers):
            self._flush(name)

    def close(self) -> None:
        """Write what is buffered and finish the store.

        Raises
        ------
        ValueError
            When times were neither written nor declared missing, which stay pending.
        """
        self.flush()
        for name in self.names:
            if self._pending[name].any():
                never = iso_texts(self.times[self._pending[name]])
                raise ValueError(
                    f"{self.path}: {len(never)} times of {name} never came, the first {never[0]}: "
                    f"each must be written, or declared missing"
                )
        consolidate(self.path)

    def __enter__(self) -> "StateWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        # after an error the times that did not come stay pending, for a continued run
        if kind is None:
            self.close()
        else:
            self.flush()


def write_states(
    path: Path,
    times: Sequence,
    channels: ChannelTable,
    grid: Grid,
    arrays: dict[str, Iterable[np.ndarray | None]] | Iterable[np.ndarray | None],
    attrs: dict | None = None,
) -> None:
    """Write a whole store from iterables of fields.

    Parameters
    ----------
    path : Path
        The store.
    times : Sequence
        Valid times, increasing.
    channels : ChannelTable
        Channels of the fields.
    grid : Grid
        Grid of the fields.
    arrays : dict or Iterable
        Fields ``(channel, lat, lon)`` of each time, None where one is missing: of the array
        ``state``, or of several arrays by name.
    attrs : dict, optional
        Further attributes of the store.

    Raises
    ------
    ValueError
        When there are fewer or more fields than times.
    """
    arrays = arrays if isinstance(arrays, dict) else {"state": arrays}
    with StateWriter(path, times, channels, grid, names=tuple(arrays), attrs=attrs) as writer:
        for name, fields in arrays.items():
            for index, (_, field) in enumerate(zip(times, fields, strict=True)):
                writer.write(index, field, name)


class StateSeries:
    """Reads one array of one or several state stores as one series in time.

    ``times`` are those that can be read, sorted; ``slots`` all, missing ones included. Raises
    FileNotFoundError for a store that is not there, ValueError when the stores differ in channels
    or grid, or when none is given.
    """

    def __init__(self, paths: Sequence[Path], name: str = "state"):
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
        if not self.paths:
            raise ValueError("no state store given")
        self.name = name
        self._where: dict[int, tuple[ShardReader, int]] = {}
        slots = []
        layout = None
        for path in self.paths:
            group = open_store(path, "state store")
            if name not in group:
                raise KeyError(
                    f"{path}: no array {name!r}; it holds {', '.join(sorted(group.array_keys()))}"
                )
            own_layout = [str(channel) for channel in group["channel"][:]], get_grid(group)
            if layout not in (None, own_layout):
                raise ValueError(f"{path}: other channels or another grid than {self.paths[0]}")
            layout = own_layout
            array = group[name]
            times = read_times(group)
            absent = set(array.attrs.get("missing", [])) | set(array.attrs.get("pending", []))
            texts = iso_texts(times)
            reader = ShardReader(path / name, array, texts)
            slots.append(times)
            for index, (time, text) in enumerate(
                zip(times.astype(np.int64).tolist(), texts, strict=True)
            ):
                if text not in absent:
                    self._where[time] = reader, index
        names, self.grid = layout
        self.channels: ChannelTable = channel_table().select(names)
        self.slots = np.unique(np.concatenate(slots))
        self.times = np.array(sorted(self._where), np.int64).astype("datetime64[ns]")

    def __contains__(self, time) -> bool:
        return int(as_nanoseconds(time).astype(np.int64)) in self._where

    def __len__(self) -> int:
        return len(self.times)

    def _locate(self, time) -> tuple[ShardReader, int]:
        """Return the reader that holds a time, and the time's position in it."""
        time = as_nanoseconds(time)
        try:
            return self._where[int(time.astype(np.int64))]
        except KeyError:
            relation = "is missing in" if time in self.slots else "is not in"
            span = (
                f"{iso_texts(self.times[[0]])[0]} .. {iso_texts(self.times[[-1]])[0]}"
                if len(self.times)
                else "nothing"
            )
            files = ", ".join(map(str, self.paths))
            raise KeyError(
                f"{iso_texts([time])[0]} {relation} {files} ({self.name}); "
                f"available: {span}, {len(self.times)} times"
            ) from None

    def read(self, time) -> np.ndarray:
        """Read the field ``(channel, lat, lon)``, float32, of a time.

        Raises KeyError that names file, time and the available span.
        """
        reader, index = self._locate(time)
        return reader.read(index)

    def read_into(self, times: Iterable, out: np.ndarray) -> None:
        """Read the fields of several times into an array.

        ``out (time, channel, lat, lon)`` is float32 and contiguous; its order is that of ``times``.
        Raises KeyError as :meth:`read`, ValueError when ``out`` has another length.
        """
        places = [self._locate(time) for time in times]
        if len(places) != len(out):
            raise ValueError(f"{len(places)} times, but an array for {len(out)}")
        begin = 0
        for end, (reader, index) in enumerate(places, 1):
            # neighbours of a store are read at once
            if end == len(places) or places[end] != (reader, index + 1):
                reader.read_into(index + 1 - (end - begin), out[begin:end])
                begin = end

    def read_many(self, times: Iterable) -> np.ndarray:
        """Read the fields ``(time, channel, lat, lon)`` of several times, in their order.

        Raises KeyError as :meth:`read`.
        """
        times = list(times)
        fields = np.empty((len(times), len(self.channels), *self.grid.shape), np.float32)
        self.read_into(times, fields)
        return fields
