"""Stores of the truth on the world's grid: one a segment, one variable a channel, read by time.

A store holds the segment's times and one more, 00 UTC after its last day, so that everything inside
the segment can be interpolated in time from it alone. Values are rounded to a step far below the
precision of any file format downstream, which halves the size.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

CHUNK, SHARD = 16, 128
"""Most times in a chunk and in a shard."""
CHUNK_BYTES, SHARD_BYTES = 4 << 20, 16 << 20
"""Bytes of a field's times in a chunk and in a shard; large fields have fewer times in them."""
EPOCH = datetime(1970, 1, 1)
STEPS = {
    "Z": 1.0,
    "T": 2**-7,
    "U": 2**-7,
    "V": 2**-7,
    "R": 2**-5,
    "T2M": 2**-7,
    "U10": 2**-7,
    "V10": 2**-7,
    "MSL": 1.0,
    "TP": 2**-8,
    "surface_pressure": 1.0,
    "skin_temperature": 2**-7,
    "specific_humidity": 2**-26,
}
"""Rounding step by variable, in its unit; by the first letter for a channel on pressure levels."""
UNITS = {
    "surface_pressure": "Pa",
    "skin_temperature": "K",
    "specific_humidity": "kg kg-1",
    "land_fraction": "1",
    "surface_geopotential": "m2 s-2",
}
STATIC = ("land_fraction", "surface_geopotential")


def hour_of(time: datetime) -> int:
    """Return the hours since 1970-01-01 00 UTC, which stores count time in."""
    return int((time - EPOCH) / timedelta(hours=1))


def field_compressor() -> BloscCodec:
    """Return the compressor of stored fields."""
    return BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=4)


def times_together(grid: Grid) -> tuple[int, int]:
    """Return how many times of a field on a grid make a chunk and a shard, which holds chunks."""
    field = 4 * grid.nlat * grid.nlon
    chunk = max(1, min(CHUNK, CHUNK_BYTES // field))
    shard = max(1, min(SHARD, SHARD_BYTES // field) // chunk) * chunk
    return chunk, shard


def add_coordinates(
    group: zarr.Group, times: Sequence[datetime], coordinates: dict[str, np.ndarray]
) -> None:
    """Write CF coordinates: time and others by name.

    Parameters
    ----------
    group : zarr.Group
        The open group.
    times : Sequence[datetime]
        Times, which are written as hours since 1970.
    coordinates : dict[str, np.ndarray]
        Values of other coordinates by name: ``lat``, ``lon``, ``level``.
    """
    count = np.array([hour_of(time) for time in times], np.int64)
    axis = group.create_array("time", data=count, dimension_names=("time",))
    axis.attrs.update(
        standard_name="time", units="hours since 1970-01-01", calendar="proleptic_gregorian"
    )
    names = {
        "lat": ("latitude", "degrees_north"),
        "lon": ("longitude", "degrees_east"),
        "level": ("air_pressure", "hPa"),
    }
    for name, values in coordinates.items():
        axis = group.create_array(name, data=np.asarray(values), dimension_names=(name,))
        if name in names:
            axis.attrs.update(standard_name=names[name][0], units=names[name][1])


class TruthWriter:
    """Writes times in order, and holds those of a shard in memory. A context manager."""

    def __init__(
        self,
        path: Path,
        times: Sequence[datetime],
        grid: Grid,
        static: dict[str, np.ndarray],
        channels: ChannelTable | None = None,
    ):
        """Create a store.

        Parameters
        ----------
        path : Path
            The Zarr store to write.
        times : Sequence[datetime]
            All times that will be written.
        grid : Grid
            The world's grid.
        static : dict[str, np.ndarray]
            The fields of :data:`STATIC`, ``(lat, lon)``.
        channels : ChannelTable or None
            The project's table by default.
        """
        self._channels, self._times, self._done = channels or channel_table(), list(times), 0
        chunk, self._shard = times_together(grid)
        levels = list(self._channels.pressure_levels)
        self.path = Path(path)
        self._group = create_store(
            path,
            {
                "Conventions": "CF-1.11",
                "title": "truth of the embedded world",
                "provenance": provenance.as_json(),
            },
        )
        add_coordinates(
            self._group, self._times, {"lat": grid.lat, "lon": grid.lon, "level": levels}
        )
        for name in STATIC:
            self._create(name, grid.shape, ("lat", "lon"), grid.shape, None)[:] = static[name]
        units = {channel.name: channel.unit for channel in self._channels} | UNITS
        self._steps, self._arrays, self._buffer = {}, {}, {}
        for name in [
            *self._channels.names,
            "surface_pressure",
            "skin_temperature",
            "specific_humidity",
        ]:
            inner = (len(levels), *grid.shape) if name == "specific_humidity" else grid.shape
            dims = ("time", "level", "lat", "lon") if len(inner) == 3 else ("time", "lat", "lon")
            array = self._create(
                name, (len(self._times), *inner), dims, (chunk, *inner), (self._shard, *inner)
            )
            array.attrs.update(units=units[name])
            self._arrays[name] = array
            self._steps[name] = np.float32(STEPS[name] if name in STEPS else STEPS[name[0]])
            self._buffer[name] = np.empty((min(self._shard, len(self._times)), *inner), np.float32)

    def _create(self, name, shape, dims, chunks, shards) -> zarr.Array:
        """Create an array.

        Parameters
        ----------
        name : str
            Name of the array.
        shape : tuple[int, ...]
            Shape of the array.
        dims : tuple[str, ...]
            Names of its dimensions.
        chunks, shards : tuple[int, ...] or None
            Shapes of its chunks and shards.

        Returns
        -------
        zarr.Array
            The array, float32, NaN where nothing is written.
        """
        return self._group.create_array(
            name,
            shape=shape,
            dtype="float32",
            chunks=chunks,
            shards=shards,
            dimension_names=dims,
            compressors=field_compressor(),
            fill_value=np.nan,
        )

    def write(self, time: datetime, fields: dict[str, np.ndarray]) -> None:
        """Append the fields of ``time``; ValueError where it is not the next one."""
        if self._done >= len(self._times) or time != self._times[self._done]:
            raise ValueError(f"{self.path}: {time} is not the next time to write")
        slot = self._done % self._shard
        for name, step in self._steps.items():
            # rounded numbers compress to half the size
            np.multiply(np.rint(fields[name] / step), step, out=self._buffer[name][slot])
        self._done += 1
        # a shard is written whole
        if self._done % self._shard == 0 or self._done == len(self._times):
            first = self._done - slot - 1
            for name, array in self._arrays.items():
                array[first : self._done] = self._buffer[name][: slot + 1]

    def __enter__(self) -> "TruthWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None and self._done != len(self._times):
            raise ValueError(f"{self.path}: {len(self._times) - self._done} times were not written")
        if kind is None:
            consolidate(self.path)


class Truth:
    """The stores of one or more segments, read by time.

    A time that two of them hold is read from the first.
    """

    def __init__(self, paths: Iterable[Path]):
        self.paths = [Path(path) for path in paths]
        self._where: dict[datetime, tuple[int, int]] = {}
        self._groups = [open_store(path, "truth") for path in self.paths]
        for number, group in enumerate(self._groups):
            for index, hour in enumerate(group["time"][:]):
                self._where.setdefault(EPOCH + timedelta(hours=int(hour)), (number, index))
        self._block: tuple | None = None
        self._fields: dict[str, np.ndarray] = {}

    @property
    def times(self) -> list[datetime]:
        """All times, ascending."""
        return sorted(self._where)

    @property
    def grid(self) -> Grid:
        """The world's grid."""
        group = self._groups[0]
        return Grid(group["lat"].shape[0], group["lon"].shape[0], poles=True)

    def static(self, name: str) -> np.ndarray:
        """``land_fraction`` or ``surface_geopotential``, ``(lat, lon)``."""
        return self._groups[0][name][:]

    def read(self, time: datetime, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read fields by name, ``(lat, lon)``; KeyError names an unknown time.

        ``specific_humidity`` is ``(level, lat, lon)``. The times of a chunk are kept, so reading in
        order is quick.
        """
        if time not in self._where:
            span = f"{self.times[0]} to {self.times[-1]}" if self._where else "nothing"
            raise KeyError(
                f"{', '.join(map(str, self.paths))}: no truth at {time}; there is {span}"
            )
        number, index = self._where[time]
        group = self._groups[number]
        chunk = group["surface_pressure"].chunks[0]
        block = (number, index // chunk, tuple(names))
        if block != self._block:
            first = index // chunk * chunk
            self._fields = {name: group[name][first : first + chunk] for name in names}
            self._block = block
        return {name: self._fields[name][index % chunk] for name in names}
