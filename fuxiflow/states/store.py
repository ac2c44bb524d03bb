"""State stores: fields ``(time, channel, lat, lon)`` in Zarr v3, one time a chunk, many times a shard file.

A time without a field keeps its slot: it is filled with NaN and listed in the array's attribute ``missing``, and
reading it raises. Times that are not written yet are listed in ``pending``, so that a store that was cut short can be
continued.
"""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.shards import ShardReader
from fuxiflow.storage import provenance

SHARD_TIMES = 64
SHARD_BYTES = 1 << 29
# bits shuffled first, as smooth fields take less room so; lz4hc is unpacked more than twice as fast as zstd, packed as
# fast, and takes 5 % more room on ERA5: docs/studies/performance.md
COMPRESSORS = (BloscCodec(cname="lz4hc", clevel=3, shuffle="bitshuffle", typesize=4),)
COMPRESSIONS = {"lz4hc": COMPRESSORS, "none": None}
UNITS = {
    "nanoseconds": 1,
    "seconds": 10**9,
    "minutes": 60 * 10**9,
    "hours": 3600 * 10**9,
    "days": 86400 * 10**9,
}
DIMENSIONS = ("time", "channel", "lat", "lon")


def iso_texts(times: Iterable[np.datetime64]) -> list[str]:
    """Times as texts, to the second, as the attributes of stores hold them."""
    return [str(np.datetime64(time, "s")) for time in times]


def as_nanoseconds(times) -> np.ndarray:
    """One time or many (datetime, datetime64 or text) as ``datetime64[ns]``."""
    return np.asarray(times, dtype="datetime64[ns]")


def put_coordinate(
    group: zarr.Group, name: str, values: np.ndarray, attrs: dict, dimension: str | None = None
) -> None:
    """Write a one-dimensional array along ``dimension`` (default ``name``) with its CF attributes."""
    values = np.asarray(values)
    if values.dtype.kind == "U":
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=str,
            chunks=values.shape,
            compressors=None,
            dimension_names=(dimension or name,),
            attributes=attrs,
        )
        array[:] = values.astype(object)
    else:
        group.create_array(
            name,
            data=values,
            chunks=values.shape,
            compressors=None,
            dimension_names=(dimension or name,),
            attributes=attrs,
        )


def put_time(group: zarr.Group, name: str, times: np.ndarray, long_name: str) -> None:
    """Write a time coordinate, whole seconds since 1970 UTC."""
    attrs = {
        "standard_name": "time",
        "long_name": long_name,
        "units": "seconds since 1970-01-01 00:00:00",
        "calendar": "proleptic_gregorian",
        "axis": "T",
    }
    put_coordinate(
        group, name, as_nanoseconds(times).astype("datetime64[s]").astype(np.int64), attrs
    )


def put_grid(group: zarr.Group, grid: Grid, lat: str = "lat", lon: str = "lon") -> None:
    """Write the two coordinates of a grid."""
    put_coordinate(
        group, lat, grid.lat, {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
    )
    put_coordinate(
        group, lon, grid.lon, {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
    )


def open_store(path: Path, mode: str = "r") -> zarr.Group:
    """Open a store by its own metadata; the consolidated copy is made for other tools and may lag behind."""
    return zarr.open_group(path, mode=mode, use_consolidated=False)


def open_existing(path: Path, what: str) -> zarr.Group:
    """Open a store for reading; FileNotFoundError that says ``what`` is not there."""
    if not (Path(path) / "zarr.json").exists():
        raise FileNotFoundError(f"{path}: no {what}")
    return open_store(path)


def consolidate(path: Path) -> None:
    """Put a copy of all metadata in one place: xarray opens a store by it."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # zarr 3 warns that the Zarr v3 specification does not know it yet
        zarr.consolidate_metadata(path)


def get_grid(group: zarr.Group, lat: str = "lat", lon: str = "lon") -> Grid:
    """The grid whose coordinates a store holds."""
    latitudes = group[lat][:]
    return Grid(len(latitudes), group[lon].shape[0], poles=bool(np.isclose(latitudes[0], 90.0)))


def read_times(group: zarr.Group) -> np.ndarray:
    """The times ``(time,)``, ``datetime64[ns]``, of a store whose coordinate ``time`` follows CF.

    Raises ValueError for units other than whole numbers of a unit since a date.
    """
    values, units = group["time"][:], group["time"].attrs.get("units", "")
    unit, separator, origin = units.partition(" since ")
    if not separator or unit not in UNITS:
        raise ValueError(
            f"{group.store_path}: times in {units!r}, expected one of {', '.join(UNITS)} since a date"
        )
    start = np.datetime64(origin.strip().replace(" ", "T"), "ns")
    return start + (np.asarray(values) * UNITS[unit]).astype("timedelta64[ns]")


def times_within(times: np.ndarray, dates: Sequence[str]) -> np.ndarray:
    """The part of sorted ``times`` from first to last day of ``dates``, both whole; ValueError if none."""
    first, last = (np.datetime64(day, "D") for day in dates)
    chosen = times[(times >= first) & (times < last + np.timedelta64(1, "D"))]
    if len(chosen) == 0:
        raise ValueError(f"no time between {first} and {last}")
    return chosen


class StateWriter:
    """Writes a state store, a shard file at a time, for one or several arrays of the same shape.

    With ``resume`` a store that is at ``path`` already is continued: what it holds stays, :meth:`done` tells what that
    is. ``shard`` is the number of times in a file (default: up to 64, at most 512 MB before compression),
    ``compression`` a key of :data:`COMPRESSIONS`. Raises ValueError when the store at ``path`` has other times,
    channels, arrays or another grid.
    """

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
        self.path, self.times, self.channels, self.grid = (
            Path(path),
            as_nanoseconds(list(times)),
            channels,
            grid,
        )
        self.names = tuple(names)
        self.shape = (len(channels), *grid.shape)
        if len(self.times) == 0 or np.any(np.diff(self.times) <= np.timedelta64(0)):
            raise ValueError(
                f"{self.path}: the times of a store must be given, in increasing order"
            )
        if resume and (self.path / "zarr.json").exists():
            self._open()
        else:
            self._create(attrs or {}, shard, compression)
        self._buffers: dict[str, tuple[int, np.ndarray]] = {}

    def _create(self, attrs: dict, shard: int | None, compression: str) -> None:
        size = 4 * int(np.prod(self.shape))
        self.shard = min(len(self.times), shard or max(1, min(SHARD_TIMES, SHARD_BYTES // size)))
        stamp = {"Conventions": "CF-1.11", "provenance": provenance.as_json(), **attrs}
        self._group = group = zarr.create_group(self.path, overwrite=True, attributes=stamp)
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
                compressors=COMPRESSIONS[compression],
                fill_value=np.nan,
                dimension_names=DIMENSIONS,
                attributes={
                    "long_name": name,
                    "coordinates": "unit variable",
                    "missing": [],
                    "pending": iso_texts(self.times),
                },
            )
        self._missing = {name: np.zeros(len(self.times), bool) for name in self.names}
        self._pending = {name: np.ones(len(self.times), bool) for name in self.names}

    def _open(self) -> None:
        self._group = open_store(self.path, "r+")
        known = StateSeries([self.path], name=self.names[0])
        absent = [name for name in self.names if name not in self._group]
        if (
            absent
            or known.channels.names != self.channels.names
            or known.grid != self.grid
            or not np.array_equal(known.slots, self.times)
        ):
            raise ValueError(
                f"{self.path}: cannot be continued, it was made for other times, channels, arrays or another "
                "grid; remove it"
            )
        self.shard = self._group[self.names[0]].shards[0]
        texts = np.array(iso_texts(self.times))
        self._missing = {n: np.isin(texts, self._group[n].attrs["missing"]) for n in self.names}
        self._pending = {n: np.isin(texts, self._group[n].attrs["pending"]) for n in self.names}

    def done(self, index: int) -> bool:
        """Whether all arrays have got the time of position ``index``, as a field or as missing, on disk."""
        return not any(self._pending[name][index] for name in self.names)

    def write(self, index: int, array: np.ndarray | None, name: str = "state") -> None:
        """Put the field ``(channel, lat, lon)`` of time ``index``; None keeps the slot and marks it missing.

        Raises ValueError for another shape and KeyError for an unknown array name.
        """
        if name not in self.names:
            raise KeyError(f"{self.path}: unknown array {name!r}; known: {', '.join(self.names)}")
        if array is not None and np.shape(array) != self.shape:
            raise ValueError(
                f"{self.path}: {name} {iso_texts(self.times[[index]])[0]} has shape {np.shape(array)}, expected {self.shape}"
            )
        number = index // self.shard
        if name in self._buffers and self._buffers[name][0] != number:
            self._flush(name)
        if name not in self._buffers:
            self._buffers[name] = number, self._shard(name, number)
        self._buffers[name][1][index % self.shard] = np.nan if array is None else array
        self._missing[name][index] = array is None
        self._pending[name][index] = False

    def _shard(self, name: str, number: int) -> np.ndarray:
        """What a shard holds already, NaN where nothing."""
        slots = slice(number * self.shard, min((number + 1) * self.shard, len(self.times)))
        if self._pending[name][slots].all():
            return np.full((slots.stop - slots.start, *self.shape), np.nan, np.float32)
        return self._group[name][slots]

    def _flush(self, name: str) -> None:
        number, values = self._buffers.pop(name)
        first = number * self.shard
        array = self._group[name]
        array[first : first + len(values)] = values
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
        """Write what is buffered and declare the times that never came missing."""
        self.flush()
        for name in self.names:
            if self._pending[name].any():
                self._missing[name] |= self._pending[name]
                self._pending[name][:] = False
                self._group[name].update_attributes(
                    {"missing": iso_texts(self.times[self._missing[name]]), "pending": []}
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
    """Write a whole store from iterables of fields ``(channel, lat, lon)``, one for each time, None where missing.

    ``arrays`` is one iterable (array ``state``) or one for each array's name. Raises ValueError when an iterable is
    shorter or longer than ``times``.
    """
    arrays = arrays if isinstance(arrays, dict) else {"state": arrays}
    with StateWriter(path, times, channels, grid, names=tuple(arrays), attrs=attrs) as writer:
        for name, fields in arrays.items():
            for index, (_, field) in enumerate(zip(times, fields, strict=True)):
                writer.write(index, field, name)


class StateSeries:
    """Reads one array of one or several state stores as one series in time.

    ``times`` are those that can be read, sorted; ``slots`` all, missing ones included. Raises FileNotFoundError for a
    store that is not there, ValueError when the stores differ in channels or grid, or when none is given.
    """

    def __init__(self, paths: Sequence[Path], name: str = "state"):
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
        if not self.paths:
            raise ValueError("no state store given")
        self.name = name
        self._where: dict[int, tuple[ShardReader, int]] = {}
        slots, layout = [], None
        for path in self.paths:
            group = open_existing(path, "state store")
            if name not in group:
                raise KeyError(
                    f"{path}: no array {name!r}; it holds {', '.join(sorted(group.array_keys()))}"
                )
            here = [str(channel) for channel in group["channel"][:]], get_grid(group)
            if layout not in (None, here):
                raise ValueError(f"{path}: other channels or another grid than {self.paths[0]}")
            layout = here
            array = group[name]
            times = read_times(group)
            absent = set(array.attrs.get("missing", [])) | set(array.attrs.get("pending", []))
            reader = ShardReader(path / name, array)
            slots.append(times)
            for index, (time, text) in enumerate(
                zip(times.astype(np.int64).tolist(), iso_texts(times), strict=True)
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
        time = as_nanoseconds(time)
        try:
            return self._where[int(time.astype(np.int64))]
        except KeyError:
            what = "is missing in" if time in self.slots else "is not in"
            span = (
                f"{iso_texts(self.times[[0]])[0]} .. {iso_texts(self.times[[-1]])[0]}"
                if len(self.times)
                else "nothing"
            )
            files = ", ".join(map(str, self.paths))
            raise KeyError(
                f"{iso_texts([time])[0]} {what} {files} ({self.name}); available: {span}, {len(self.times)} times"
            ) from None

    def read(self, time) -> np.ndarray:
        """The field ``(channel, lat, lon)``, float32, of a time; KeyError names file, time and the available span."""
        reader, index = self._locate(time)
        return reader.read(index)

    def read_into(self, times: Iterable, out: np.ndarray) -> None:
        """Put the fields of several times into ``out (time, channel, lat, lon)``, float32 and contiguous, in their
        order; KeyError as :meth:`read`, ValueError when ``out`` has another length."""
        found = [self._locate(time) for time in times]
        if len(found) != len(out):
            raise ValueError(f"{len(found)} times, but room for {len(out)}")
        begin = 0
        for end, (reader, index) in enumerate(found, 1):
            if end == len(found) or found[end] != (
                reader,
                index + 1,
            ):  # the last of a run of neighbours
                reader.read_into(index + 1 - (end - begin), out[begin:end])
                begin = end

    def read_many(self, times: Iterable) -> np.ndarray:
        """The fields ``(time, channel, lat, lon)`` of several times, in their order; KeyError as :meth:`read`."""
        times = list(times)
        fields = np.empty((len(times), len(self.channels), *self.grid.shape), np.float32)
        self.read_into(times, fields)
        return fields
