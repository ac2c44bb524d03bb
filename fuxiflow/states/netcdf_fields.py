"""Read the channels of the state out of files of ERA5 in NetCDF-4, as public Zarr stores name them.

:class:`FieldReader` reads these and GRIB files alike, so that a segment may consist of both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuxiflow.channels import Channel, ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.physics import relative_humidity
from fuxiflow.states.grib import Field, FieldEntry, GribReader
from fuxiflow.states.grib_messages import Fault, GribError
from fuxiflow.states.products import EXPERIMENTS
from fuxiflow.states.regrid import TOLERANCE, SourceGrid
from fuxiflow.storage.field_files import (
    HUMIDITY_FROM,
    PRECIPITATION,
    RELATIVE_HUMIDITY,
    FieldFile,
    FieldFileError,
    StoredField,
)
from fuxiflow.storage.file_kinds import file_kind
from fuxiflow.times import hours

KINDS = ("NetCDF-4", "HDF5")
INVARIANT_NAMES = {
    "geopotential_at_surface": "surface_geopotential",
    "land_sea_mask": "land_fraction",
    "lake_cover": "lake_cover",
    "low_vegetation_cover": "low_vegetation_cover",
    "high_vegetation_cover": "high_vegetation_cover",
}
"""Our names of the fields that do not change, by those of the stores."""
OPEN_FILES = 8
COARSER = 1.5
"""How much wider than those of the states the rows of a field may be."""


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """A field of a NetCDF-4 file: its number in the file from 1, and where it lies."""

    path: Path
    number: int
    field: StoredField


def file_grid(file: FieldFile) -> SourceGrid:
    """Return the grid of a file of fields, in whatever direction its coordinates run.

    FieldFileError where it is not global and regular.
    """
    lat = file.lat[::-1] if file.lat[0] < file.lat[-1] else file.lat
    lon = _eastwards(file.lon)
    for name, values in (("latitude", lat), ("longitude", lon)):
        steps = np.diff(values)
        if len(values) < 2 or np.ptp(steps) > TOLERANCE * 2:
            raise FieldFileError(f"its values of {name} are not regular")
    try:
        return SourceGrid.spanning(lat[0], lat[-1], len(lat), lon[0], lon[-1], len(lon))
    except GribError as error:
        raise FieldFileError(str(error)) from error


def _eastwards(lon: np.ndarray) -> np.ndarray:
    """Return longitudes that rise, without a jump where they go round."""
    rising = lon[::-1] if len(lon) > 1 and lon[-1] < lon[0] and np.all(np.diff(lon) < 0) else lon
    return np.rad2deg(np.unwrap(np.deg2rad(rising)))


def arranged(file: FieldFile, values: np.ndarray) -> np.ndarray:
    """Return values ``(lat, lon)`` of a file north to south and west to east."""
    if file.lat[0] < file.lat[-1]:
        values = values[::-1]
    return values[:, ::-1] if np.all(np.diff(file.lon) < 0) else values


def netcdf_invariants(path: Path) -> Iterator[tuple[str, str, np.ndarray, SourceGrid]]:
    """Yield name, place in the file, values and grid of the fields that do not change.

    Raises GribError where the file cannot be used.
    """
    try:
        with FieldFile(path) as file:
            source = file_grid(file)
            for stored in (name for name in file.names if name in INVARIANT_NAMES):
                values = source.normalise(arranged(file, file.values(stored)))
                yield INVARIANT_NAMES[stored], stored, values, source
    except FieldFileError as error:
        raise GribError(f"{path}: {error}") from error


class FieldReader:
    """Reads the channels of a table out of files of a reference, GRIB and NetCDF-4.

    It lists and reads as :class:`.grib.GribReader` does. Of fields on several grids that are fine
    enough for the states the coarsest is used, so that what one configuration has loaded does not
    change the states of another.
    """

    def __init__(self, channels: ChannelTable, reference: str, grid: Grid):
        """Take the channels.

        Parameters
        ----------
        channels : ChannelTable
            The channels that are looked for.
        reference : str
            ``era5`` or ``gfs``; NetCDF-4 is of ERA5 alone.
        grid : Grid
            Grid of the states.
        """
        self.channels, self.reference = channels, reference
        self._grib = GribReader(channels, reference)
        self.unpacked = self._grib.unpacked
        self._grid = grid
        self._positions = {_key(channel): index for index, channel in enumerate(channels)}
        self._open: dict[Path, tuple[FieldFile, SourceGrid]] = {}

    def _file(self, path: Path) -> tuple[FieldFile, SourceGrid]:
        """Return a file, open, with its grid; of many that are open the first is closed."""
        if path not in self._open:
            file = FieldFile(path)
            try:
                self._open[path] = file, file_grid(file)
            except FieldFileError:
                file.close()
                raise
            if len(self._open) > OPEN_FILES:
                self._open.pop(next(iter(self._open)))[0].close()
        return self._open[path]

    def inventory(
        self,
        paths: Sequence[Path],
        on_fault: Callable[[Fault], None],
        on_ignored: Callable[[str], None] = lambda reason: None,
    ) -> list[FieldEntry]:
        """List all fields of some files that are channels, as GribReader does.

        Parameters
        ----------
        paths : Sequence[Path]
            Files of GRIB or NetCDF-4; compressed ones of GRIB are unpacked.
        on_fault : Callable
            Called with each damaged place.
        on_ignored : Callable
            Called with the reason for each field that is not wanted.

        Returns
        -------
        list of FieldEntry
            Fields in order of file and place.
        """
        entries, in_netcdf = [], []
        for packed in paths:
            if self.reference != "era5" or file_kind(packed) not in KINDS:
                entries += self._grib.inventory([packed], on_fault, on_ignored)
                continue
            try:
                in_netcdf += self._entries(packed, on_ignored)
            except FieldFileError as error:
                on_fault(Fault(packed, 1, 0, str(error)))
        return entries + _of_coarsest(in_netcdf, on_ignored)

    def _entries(
        self, path: Path, on_ignored: Callable[[str], None]
    ) -> list[tuple[SourceGrid, FieldEntry]]:
        """List the fields of a file that are channels, with their grid."""
        file, source = self._file(path)
        row = (source.north - source.south) / (source.nlat - 1)
        goal = float(self._grid.lat[0] - self._grid.lat[1])
        entries = []
        for number, field in enumerate(file.fields(), start=1):
            channel = self._positions.get((field.variable, field.level))
            if channel is None:
                on_ignored("not in the channel table")
            elif row > COARSER * goal:
                on_ignored(
                    f"on a grid of {source.nlat} x {source.nlon}, coarser than the states': choose "
                    f"a finer store of ERA5 in archives.era5"
                )
            else:
                begin = field.time - hours(field.hours)
                place = FieldPlace(path, number, field)
                version = EXPERIMENTS.get(field.version, "")
                entry = FieldEntry(place, 0, channel, begin, begin, field.time, version)
                entries.append((source, entry))
        return entries

    def read(self, entry: FieldEntry) -> Field:
        """Decode a field of an inventory into the state's unit.

        Raises GribError that names file, field and reason.
        """
        if not isinstance(entry.frame, FieldPlace):
            return self._grib.read(entry)
        place, field = entry.frame, entry.frame.field
        try:
            file, source = self._file(place.path)
            if field.variable == RELATIVE_HUMIDITY:
                humidity, temperature = (file.values(name, field.place) for name in HUMIDITY_FROM)
                values = relative_humidity(humidity, temperature, float(field.level))
            else:
                values = file.values(field.stored, field.place)
        except FieldFileError as error:
            raise GribError(f"{place.path}: field {place.number}: {error}") from error
        values = source.normalise(arranged(file, values))
        scale = self.channels[entry.channel].era5_scale
        return Field(entry, (values * scale).astype(np.float32), source)


def _key(channel: Channel) -> tuple[str, int | None]:
    """Return variable and level by which files of fields tell a channel."""
    return channel.variable if channel.analysed else PRECIPITATION, channel.level


def _of_coarsest(
    entries: list[tuple[SourceGrid, FieldEntry]], on_ignored: Callable[[str], None]
) -> list[FieldEntry]:
    """Return the entries that are on the coarsest of several grids at their time."""
    rows: dict[tuple, int] = {}
    for source, entry in entries:
        key = entry.channel, entry.end
        rows[key] = min(source.nlat, rows.get(key, source.nlat))
    kept = []
    for source, entry in entries:
        if source.nlat == rows[entry.channel, entry.end]:
            kept.append(entry)
        else:
            on_ignored("of a finer grid than is needed and there")
    return kept
