"""Fields of ERA5 in NetCDF-4, under the names that its public Zarr stores have.

A file has the coordinates ``time``, ``latitude``, ``longitude`` and, for fields on pressure levels,
``level`` in hPa. Its variables have these dimensions in any order, latitudes and longitudes run in
either direction, and units are those of the stores. ``expver (time)`` says which version of ERA5 a
time is of, as the files of the Climate Data Store do: 1 for ERA5, 5 for the preliminary ERA5T.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import numpy as np

DIMENSIONS = ("time", "level", "latitude", "longitude")
SYNONYMS = {"lat": "latitude", "lon": "longitude"}
"""Names that some stores give to dimensions, and ours."""
VERSION = "expver"
PRECIPITATION = "total_precipitation"
ACCUMULATED_HOURS = {PRECIPITATION: 1, "total_precipitation_6hr": 6}
"""Hours up to the valid time that accumulations are of."""
RELATIVE_HUMIDITY = "relative_humidity"
HUMIDITY_FROM = ("specific_humidity", "temperature")
"""Variables that relative humidity is computed from.

What WeatherBench2 calls ``relative_humidity`` is another quantity than ERA5's: it is not read."""
UNITS = {
    "geopotential": "m2 s-2",
    "geopotential_at_surface": "m2 s-2",
    "temperature": "K",
    "specific_humidity": "kg kg-1",
    "u_component_of_wind": "m s-1",
    "v_component_of_wind": "m s-1",
    "2m_temperature": "K",
    "10m_u_component_of_wind": "m s-1",
    "10m_v_component_of_wind": "m s-1",
    "mean_sea_level_pressure": "Pa",
    **dict.fromkeys(ACCUMULATED_HOURS, "m"),
}
"""Units of the variables, as CF writes them."""
_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_SINCE = datetime(1970, 1, 1)
_ABSENT = "absent"  # attribute: pairs of positions of time and level without a field


class FieldFileError(ValueError):
    """A file of fields cannot be used; the text says why."""


def unit_complaint(name: str, units: object) -> str:
    """Say that a variable is in another unit than it should be; empty where it is not, or no unit.

    ``units`` is the attribute of that name, ``m**2 s**-2`` as well as ``m2 s-2``.
    """
    text = "" if units is None else str(units).strip()
    plain = text.replace("*", "").replace("^", "")
    if not plain or name not in UNITS or plain == UNITS[name]:
        return ""
    return f"{name} is in {text}, expected {UNITS[name]}"


@dataclass(frozen=True, slots=True)
class StoredField:
    """A field of a file: the variable that ERA5 calls it by, and where it lies.

    ``hours`` is the span up to ``time`` of an accumulation, 0 for an instant. ``stored`` is the
    name of the variable in the file, ``place`` the positions of time and level.
    """

    variable: str
    level: int | None
    time: datetime
    hours: int
    version: str
    stored: str
    place: tuple[int, int]

    @property
    def name(self) -> str:
        """Name of the field: variable and level."""
        return self.variable if self.level is None else f"{self.variable} {self.level}"


class FieldFile:
    """A file of fields that is open for reading, with its coordinates.

    ``lat`` and ``lon`` run as in the file. To be closed, or used in a ``with`` statement.
    """

    def __init__(self, path: Path):
        """Open a file; FieldFileError says what is wrong with it."""
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise FieldFileError(f"it is no whole NetCDF-4 file ({error})") from error
        try:
            self.lat = self._coordinate("latitude").astype(np.float64)
            self.lon = self._coordinate("longitude").astype(np.float64)
            self.times = self._times()
            levels = self._coordinate("level") if "level" in self._file else np.array([])
            self.levels = [round(float(level)) for level in levels]
            self._versions = self._file[VERSION][:] if VERSION in self._file else None
        except (FieldFileError, OSError, ValueError, TypeError) as error:
            self._file.close()
            raise FieldFileError(str(error)) from error

    def __enter__(self) -> "FieldFile":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._file

    @property
    def names(self) -> list[str]:
        """Names of the variables, without coordinates."""
        beside = {*DIMENSIONS, *SYNONYMS, VERSION}
        return sorted(
            name
            for name, item in self._file.items()
            if name not in beside and isinstance(item, h5py.Dataset) and len(item.shape) > 1
        )

    def _coordinate(self, name: str) -> np.ndarray:
        names = [name, *(other for other, meant in SYNONYMS.items() if meant == name)]
        for one in names:
            if one in self._file and len(self._file[one].shape) == 1:
                return self._file[one][:]
        raise FieldFileError(
            f"it has no coordinate {name}; it holds {', '.join(sorted(self._file)) or 'nothing'}"
        )

    def _times(self) -> list[datetime]:
        if "time" not in self._file:
            return []
        units = _text(self._file["time"].attrs.get("units", ""))
        unit, _, since = units.partition(" since ")
        try:
            seconds, start = _SECONDS[unit], datetime.fromisoformat(since.strip())
            steps = np.atleast_1d(self._file["time"][()]).tolist()
            return [start + timedelta(seconds=seconds * step) for step in steps]
        except (KeyError, ValueError, OverflowError) as error:
            raise FieldFileError(
                f"its times are in {units!r}, expected e.g. hours since 1970-01-01"
            ) from error

    def dimensions(self, name: str) -> tuple[str, ...]:
        """Return the names of a variable's dimensions, empty for one that has none."""
        names = []
        for dimension in self._file[name].dims:
            scale = dimension[0].name.rpartition("/")[2] if len(dimension) else ""
            names.append(SYNONYMS.get(scale, scale))
        return tuple(names)

    def fields(self) -> list[StoredField]:
        """List the fields of ERA5 in the file, by variable, time and level.

        Relative humidity is there where specific humidity and temperature are. FieldFileError where
        a variable is in an unexpected unit or packed, or where there is no field.
        """
        fields = []
        for name in self.names:
            dimensions = self.dimensions(name)
            is_field = "time" in dimensions and {*dimensions} <= {*DIMENSIONS}
            if is_field and name != RELATIVE_HUMIDITY:
                fields += self._fields_of(name)
        if not fields:
            raise FieldFileError(
                f"it has no fields (time, level, latitude, longitude) of ERA5; it holds "
                f"{', '.join(self.names) or 'nothing'}"
            )
        humidity, temperature = HUMIDITY_FROM
        warm = {field.place for field in fields if field.variable == temperature}
        return [
            replace(field, variable=RELATIVE_HUMIDITY) if field.variable == humidity else field
            for field in fields
            if field.variable != humidity or field.place in warm
        ]

    def description(self) -> str:
        """Say what the file holds: its fields, their period and their grid."""
        size = f"{len(self.lat)} x {len(self.lon)} points"
        text = f"NetCDF-4 with {', '.join(self.names) or 'no variable'} ({size})"
        return f"{text}, valid {self.times[0]} to {self.times[-1]} UTC" if self.times else text

    def _fields_of(self, name: str) -> Iterable[StoredField]:
        attrs = self._file[name].attrs
        if complaint := unit_complaint(name, _text(attrs.get("units", ""))):
            raise FieldFileError(complaint)
        if "scale_factor" in attrs or "add_offset" in attrs:
            raise FieldFileError(f"{name} is packed in integers; write it as numbers")
        places = np.reshape(attrs.get(_ABSENT, ()), (-1, 2)).tolist()
        absent = {tuple(place) for place in places}
        hours = ACCUMULATED_HOURS.get(name, 0)
        levels = self.levels if "level" in self.dimensions(name) else [None]
        for t, time in enumerate(self.times):
            version = "" if self._versions is None else str(int(self._versions[t]))
            for number, level in enumerate(levels):
                if (t, number) not in absent:
                    variable = PRECIPITATION if hours else name
                    yield StoredField(variable, level, time, hours, version, name, (t, number))

    def values(self, name: str, place: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Return values ``(lat, lon)`` in double precision, NaN where missing, as they run.

        ``place`` are the positions of time and level, which a variable without these ignores.
        FieldFileError where they cannot be decoded.
        """
        data, dimensions = self._file[name], self.dimensions(name)
        where = {"time": place[0], "level": place[1]}
        index = tuple(where.get(dimension, slice(None)) for dimension in dimensions)
        try:
            values = data[index].astype(np.float64)
        except (OSError, ValueError) as error:
            raise FieldFileError(f"{name} cannot be decoded: {error}") from error
        fill = data.attrs.get("_FillValue")
        if fill is not None:
            values[values == np.ravel(fill)[0]] = np.nan
        rest = [dimension for dimension in dimensions if dimension not in where]
        return values if rest == ["latitude", "longitude"] else values.T


def _text(value: object) -> str:
    """Return an attribute as text."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


class FieldFileWriter:
    """Writes a file of fields; to be used in a ``with`` statement. h5py has a lock of its own."""

    def __init__(
        self, path: Path, coordinates: Mapping[str, np.ndarray], attributes: Mapping[str, str]
    ):
        """Create the file.

        Parameters
        ----------
        path : Path
            Where it goes; what is there is replaced.
        coordinates : mapping
            ``latitude`` and ``longitude`` in degrees; ``time`` as ``datetime64`` and ``level`` in
            hPa where fields have them; ``expver`` by time.
        attributes : mapping
            Attributes of the file.
        """
        # in order of creation, as the NetCDF library wants it
        self._file = h5py.File(path, "w", track_order=True)
        self._file.attrs.update(attributes)
        self._absent: dict[str, list[tuple[int, int]]] = {}
        units = {
            "time": "hours since 1970-01-01 00:00:00",
            "level": "hPa",
            "latitude": "degrees_north",
            "longitude": "degrees_east",
        }
        for name, values in coordinates.items():
            if name == "time":
                values = (values - np.datetime64(_SINCE)) // np.timedelta64(1, "h")
            data = self._file.create_dataset(name, data=np.asarray(values))
            if name == VERSION:
                data.dims[0].attach_scale(self._file["time"])
                continue
            data.make_scale(name)
            data.attrs["units"] = units[name]

    def __enter__(self) -> "FieldFileWriter":
        return self

    def __exit__(self, *error) -> None:
        for name, places in self._absent.items():
            self._file[name].attrs[_ABSENT] = np.array(sorted(places), np.int32).ravel()
        self._file.close()

    def add(self, name: str, dimensions: Iterable[str], attributes: Mapping[str, str]) -> None:
        """Add a variable of NaN, float32.

        Parameters
        ----------
        name : str
            Its name.
        dimensions : iterable of str
            Those of :data:`DIMENSIONS` that it has, in their order.
        attributes : mapping
            Its attributes.
        """
        dimensions = tuple(dimensions)
        shape = [self._file[dimension].shape[0] for dimension in dimensions]
        data = self._file.create_dataset(
            name,
            shape,
            np.float32,
            chunks=tuple([1] * (len(shape) - 2) + shape[-2:]),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
            fillvalue=np.nan,
        )
        for position, dimension in enumerate(dimensions):
            data.dims[position].attach_scale(self._file[dimension])
        data.attrs.update(attributes)

    def write(self, name: str, place: tuple[int, ...], values: np.ndarray) -> None:
        """Write a field.

        Parameters
        ----------
        name : str
            The variable.
        place : tuple of int
            Positions of time and level, as far as it has these.
        values : np.ndarray
            ``(lat, lon)`` as the coordinates run.
        """
        self._file[name][place] = values

    def note_absent(self, name: str, time: int, level: int = 0) -> None:
        """Note that there is no field of a variable at a place.

        Parameters
        ----------
        name : str
            The variable.
        time, level : int
            Positions of its time and level.
        """
        self._absent.setdefault(name, []).append((time, level))
