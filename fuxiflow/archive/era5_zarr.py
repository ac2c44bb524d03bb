"""Fetch ERA5 from public Zarr stores: WeatherBench2 and ARCO-ERA5.

What is needed is written as it is in the store to NetCDF-4 (:mod:`fuxiflow.storage.field_files`).
Relative humidity, which no store has as ERA5 defines it, is computed from specific humidity and
temperature when states are made.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import requests

from fuxiflow.archive.needs import PRECIPITATION_FIELD, Need
from fuxiflow.archive.orders import (
    SYNOPTIC_HOURS,
    Order,
    era5_covers,
    hours_of_sums,
    missing_by_day,
    runs_of_days,
    short_digest,
)
from fuxiflow.archive.public_zarr import PublicStore
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.transfer import Fetched, kept
from fuxiflow.config.archives import grid_in_address
from fuxiflow.storage.field_files import (
    DIMENSIONS,
    HUMIDITY_FROM,
    PRECIPITATION,
    RELATIVE_HUMIDITY,
    VERSION,
    FieldFile,
    FieldFileError,
    FieldFileWriter,
    unit_complaint,
)
from fuxiflow.storage.manifests import RawFileError

FILE_BYTES = 256e6
"""Bytes of a file before compression, unless a day has more."""
DAY_CHUNK = 24
"""Most times in a chunk of stores that are cut by times or days."""
SUMS = "total_precipitation_6hr"
"""Precipitation of WeatherBench2: that of the six hours up to a time."""
INVARIANTS_NEEDED = ("geopotential_at_surface", "land_sea_mask")
INVARIANTS_OPTIONAL = ("lake_cover", "low_vegetation_cover", "high_vegetation_cover")
INVARIANTS_TIME = np.datetime64("2020-01-01T00:00:00")
"""A time that the fields which do not change are taken of, where they have one."""
FINAL, PRELIMINARY = 1, 5
"""Versions of ERA5 and of ERA5T, as the Climate Data Store numbers them."""
_COPIED = ("units", "long_name", "standard_name", "short_name")


class Era5Zarr:
    """A Zarr store of ERA5, and which of its times hold data.

    Attributes of the store tell: the axis of ARCO reaches beyond. ``first`` and ``last`` are the
    first and last valid times; after ``final`` they are of ERA5T. ``levels`` are the positions of
    pressure levels, in hPa.
    """

    def __init__(self, session: requests.Session, url: str):
        """Open a store.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        url : str
            Base address of the store.

        Raises
        ------
        DownloadError
            When it is no store of fields in time.
        """
        self.url = url
        self.store = PublicStore(session, url)
        self.times = self.store.coordinate(session, "time")
        self.lat, self.lon = (
            self.store.coordinate(session, name) for name in ("latitude", "longitude")
        )
        levels = self.store.coordinate(session, "level") if "level" in self.store else []
        self.levels = {round(float(level)): place for place, level in enumerate(levels)}
        if len(self.times) == 0 or self.times[-1] < self.times[0]:
            raise DownloadError(f"{url}: its times do not rise")
        self.first = max(self.times[0], self._bound("valid_time_start", self.times[0]))
        self.final = self._bound("valid_time_stop", self.times[-1])
        self.last = min(self._bound("valid_time_stop_era5t", self.final), self.times[-1])

    def _bound(self, name: str, default: np.datetime64) -> np.datetime64:
        """Return a time that an attribute of the store names; a day is meant to its end."""
        text = str(self.store.attributes.get(name) or "").strip()
        if not text:
            return default
        try:
            # numpy knows no time zones
            time = np.datetime64(datetime.fromisoformat(text).replace(tzinfo=None), "s")
        except ValueError as error:
            raise DownloadError(f"{self.url}: its {name} is {text!r}, expected a date") from error
        whole_day = len(text) == len("2020-01-01") and name != "valid_time_start"
        return time + np.timedelta64(86399, "s") if whole_day else time

    @property
    def precipitation(self) -> str:
        """Name of the precipitation that is taken: sums of 6 h where the store has them."""
        return SUMS if SUMS in self.store else PRECIPITATION

    def holds(self, day: str) -> bool:
        """Say whether the store reaches from the beginning of a day to its last analysis."""
        return self.first <= np.datetime64(day) and np.datetime64(f"{day}T18") <= self.last

    def out_of_range(self, days: Iterable[str]) -> str:
        """Say that days are needed that the store does not hold, and what to do."""
        days = sorted(days)
        return (
            f"{self.url}: it holds ERA5 from {self.first} to {self.last}, and {len(days)} days are "
            f"needed that lie outside, from {days[0]} to {days[-1]}. What it has is loaded. Choose "
            f"another provider for the rest (era5.provider in config/archive.yaml, or in the "
            f"section archives of the configuration), or shorten the periods"
        )

    def days_in_file(self, fields: Iterable[str]) -> int:
        """Return how many days of some fields are written to one file.

        Where a chunk has several days it is a month, so that each is transferred once.
        """
        variables = levels_by_variable(fields)
        if max(self.store.chunk_length(name, "time") for name in variables) > DAY_CHUNK:
            return 31
        count = sum(len(levels or [None]) for levels in variables.values())
        day = len(SYNOPTIC_HOURS) * count * len(self.lat) * len(self.lon) * 4
        return int(min(max(FILE_BYTES // day, 1), 31))

    def write(
        self,
        session: requests.Session,
        target: Path,
        levels_of: Mapping[str, list[int] | None],
        times: np.ndarray,
    ) -> Fetched:
        """Load fields and write them to a file.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        target : Path
            Where the file goes. One that exists is kept.
        levels_of : mapping
            Levels in hPa by variable of the store, None for fields without.
        times : np.ndarray
            Valid times. Those that the store does not have, or whose data are not there yet, are
            left out.

        Returns
        -------
        Fetched
            The file.

        Raises
        ------
        Absent
            When the store has no field of them.
        DownloadError
            When a variable or level is not there, or a chunk cannot be had.
        """
        if target.exists():
            return kept(target, self.url)
        times = times[np.isin(times, self.times) & (times >= self.first) & (times <= self.last)]
        if not len(times):
            raise Absent(f"{self.url}: {', '.join(levels_of)} at any time of {target.name}")
        levels = sorted({level for some in levels_of.values() for level in some or ()})
        versions = np.where(times <= self.final, FINAL, PRELIMINARY).astype(np.int8)
        coordinates = {"time": times, VERSION: versions}
        coordinates |= {"level": np.array(levels, np.int32)} if levels else {}
        part = target.with_name(f"{target.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        count = 0
        with self._writer(part, coordinates) as writer:
            for name, of_name in levels_of.items():
                self._add(writer, name, DIMENSIONS if of_name else ("time", *DIMENSIONS[2:]))
                count += self._copy(session, writer, name, of_name, levels, times)
        if not count:
            part.unlink()
            raise Absent(f"{self.url}: {', '.join(levels_of)} from {times[0]} to {times[-1]}")
        os.replace(part, target)
        return kept(target, self.url)

    def _writer(self, path: Path, coordinates: Mapping[str, np.ndarray]) -> FieldFileWriter:
        """Return the writer of a file, with its origin."""
        attributes = {"Conventions": "CF-1.10", "origin": self.url}
        attributes |= {
            name: str(value)
            for name, value in self.store.attributes.items()
            if name.startswith("valid_time") or name == "last_updated"
        }
        if "time" in coordinates:
            spans = [("ERA5", FINAL), ("ERA5T", PRELIMINARY)]
            names = [name for name, number in spans if number in coordinates[VERSION]]
            attributes["product"] = " and ".join(names)
            attributes["dates"] = f"{coordinates['time'][0]} to {coordinates['time'][-1]}"
        place = {"latitude": self.lat, "longitude": self.lon}
        return FieldFileWriter(path, {**coordinates, **place}, attributes)

    def _add(self, writer: FieldFileWriter, name: str, dimensions: Iterable[str]) -> None:
        """Add a variable to a file.

        Parameters
        ----------
        writer : FieldFileWriter
            The file.
        name : str
            Name of the variable.
        dimensions : iterable of str
            Its dimensions in the file.

        Raises
        ------
        DownloadError
            When it is in another unit than expected.
        """
        attributes = self.store.attributes_of(name)
        if complaint := unit_complaint(name, attributes.get("units")):
            raise DownloadError(f"{self.url}: {complaint}")
        copied = {key: str(attributes[key]) for key in _COPIED if key in attributes}
        writer.add(name, dimensions, copied)

    def _copy(
        self,
        session: requests.Session,
        writer: FieldFileWriter,
        name: str,
        levels: list[int] | None,
        in_file: list[int],
        times: np.ndarray,
    ) -> int:
        """Copy the fields of a variable to a file, chunk by chunk in time.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        writer : FieldFileWriter
            The file.
        name : str
            The variable.
        levels : list of int or None
            Its levels, None for a variable without.
        in_file : list of int
            All levels of the file.
        times : np.ndarray
            The times of the file.

        Returns
        -------
        int
            How many fields there are. A field of which the store has no chunk is none.
        """
        expected = {*DIMENSIONS} if levels else {*DIMENSIONS} - {"level"}
        if {*self.store.dimensions(name)} != expected:
            raise DownloadError(
                f"{self.url}/{name}: it has the dimensions "
                f"{', '.join(self.store.dimensions(name))}, expected {', '.join(sorted(expected))}"
            )
        positions = np.searchsorted(self.times, times).tolist()
        length, count = self.store.chunk_length(name, "time"), 0
        for _, group in groupby(enumerate(positions), lambda item: item[1] // length):
            places, along = zip(*group, strict=True)
            values, there = self._load(session, name, list(along), levels)
            for t, place in enumerate(places):
                for number, level in enumerate(levels or [None]):
                    where = (t,) if level is None else (t, number)
                    at_level = () if level is None else (in_file.index(level),)
                    if there[where].any():
                        writer.write(name, (place, *at_level), values[where])
                        count += 1
                    else:
                        writer.note_absent(name, place, *at_level)
        return count

    def _load(
        self, session: requests.Session, name: str, times: list[int], levels: list[int] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Load fields, ``(time, level, lat, lon)`` whatever their order in the store is.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        name : str
            The variable.
        times : list of int
            Positions in time.
        levels : list of int or None
            Levels in hPa.

        Returns
        -------
        tuple of np.ndarray
            Values, and whether the store has their chunk.
        """
        along = {"time": times, "latitude": range(len(self.lat)), "longitude": range(len(self.lon))}
        if levels:
            if lacking := [level for level in levels if level not in self.levels]:
                raise DownloadError(
                    f"{self.url}: no level of {', '.join(map(str, lacking))} hPa; it holds "
                    f"{', '.join(map(str, self.levels)) or 'none'}"
                )
            along["level"] = [self.levels[level] for level in levels]
        stored = self.store.dimensions(name)
        order = [stored.index(dimension) for dimension in DIMENSIONS if dimension in stored]
        values, there = self.store.load(session, name, [along[one] for one in stored])
        return values.transpose(order), there.transpose(order)

    def write_invariants(self, session: requests.Session, target: Path) -> Fetched:
        """Load the fields that do not change and write them to a file.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        target : Path
            Where the file goes. One that exists is kept.

        Returns
        -------
        Fetched
            The file.
        """
        if target.exists():
            return kept(target, self.url)
        usable = self.times[(self.times >= self.first) & (self.times <= self.last)]
        time = INVARIANTS_TIME if INVARIANTS_TIME in usable else usable[0]
        optional = [name for name in INVARIANTS_OPTIONAL if name in self.store]
        part = target.with_name(f"{target.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        with self._writer(part, {}) as writer:
            for name in (*INVARIANTS_NEEDED, *optional):
                stored = self.store.dimensions(name)
                along = {
                    "time": [int(np.searchsorted(self.times, time))],
                    "latitude": range(len(self.lat)),
                    "longitude": range(len(self.lon)),
                }
                if not {"latitude", "longitude"} <= {*stored} <= {*along}:
                    raise DownloadError(
                        f"{self.url}/{name}: it has the dimensions {', '.join(stored)}"
                    )
                values, there = self.store.load(session, name, [along[one] for one in stored])
                if not there.all():
                    raise DownloadError(f"{self.url}/{name}: chunks of it are not in the store")
                rest = [one for one in stored if one != "time"]
                values = values.reshape([len(along[one]) for one in rest])
                self._add(writer, name, ("latitude", "longitude"))
                writer.write(name, (), values if rest[0] == "latitude" else values.T)
        os.replace(part, target)
        return kept(target, self.url)


def store_orders(store: Era5Zarr, lacking: Mapping[str, frozenset[str]]) -> Iterable[Order]:
    """Yield the files to load from a store.

    Parameters
    ----------
    store : Era5Zarr
        The store.
    lacking : mapping
        The fields that lack, by day in order.

    Returns
    -------
    Iterator of Order
        Files of days of one month; precipitation, which may have other times, has files of its own.
    """
    analysed = {field for fields in lacking.values() for field in fields} - {PRECIPITATION_FIELD}
    size = store.days_in_file(analysed) if analysed else 31
    for days, fields in runs_of_days(dict(lacking), size):
        instants = sorted(fields - {PRECIPITATION_FIELD})
        if instants:
            times = [f"{day}T{hour:02d}" for day in days for hour in SYNOPTIC_HOURS]
            yield _order(store, "fields", days, instants, levels_by_variable(instants), times)
        if PRECIPITATION_FIELD in fields:
            variable = store.precipitation
            hours = [
                f"{day}T{hour:02d}"
                for one in days
                for day, hour in hours_of_sums(one)
                if variable != SUMS or hour in SYNOPTIC_HOURS
            ]
            levels_of = {variable: None}
            yield _order(store, "precipitation", days, [PRECIPITATION_FIELD], levels_of, hours)


def levels_by_variable(fields: Iterable[str]) -> dict[str, list[int] | None]:
    """Return levels by variable of the stores that some fields are made of."""
    levels_of: dict[str, set[int] | None] = {}
    for field in fields:
        variable, _, level = field.partition(" ")
        for name in HUMIDITY_FROM if variable == RELATIVE_HUMIDITY else (variable,):
            if level:
                levels_of.setdefault(name, set()).add(int(level))
            else:
                levels_of[name] = None
    return {name: sorted(levels) if levels else None for name, levels in levels_of.items()}


def _order(
    store: Era5Zarr,
    kind: str,
    days: list[str],
    fields: list[str],
    levels_of: Mapping[str, list[int] | None],
    times: list[str],
) -> Order:
    """Return the order of one file.

    Parameters
    ----------
    store : Era5Zarr
        The store.
    kind : str
        Beginning of the file's name.
    days : list of str
        Days that the file is asked for.
    fields : list of str
        Fields that it is asked for.
    levels_of : mapping
        Levels by variable of the store.
    times : list of str
        Valid times.

    Returns
    -------
    Order
        A mirror of the store gives a file of the same name.
    """
    first, last = (day.replace("-", "") for day in (days[0], days[-1]))
    digest = short_digest([store.url.rpartition("/")[2], fields])
    valid = np.array(times, "datetime64[s]")
    grid = {"grid": name} if (name := grid_in_address(store.url)) else {}
    return Order(
        f"{kind}_{first}-{last}_{digest}.nc",
        store.url,
        {"days": days, "fields": fields},
        lambda session, target: store.write(session, target, levels_of, valid),
        lambda path: covers_of_file(path) | grid,
    )


def store_invariants_order(store: Era5Zarr) -> Order:
    """Return the order of the fields that do not change."""
    return Order("invariants.nc", store.url, {}, store.write_invariants)


def covers_of_file(path: Path) -> dict:
    """Return what a file of fields covers; an accumulation covers each hour of its span.

    RawFileError names the file and what is wrong with it.
    """
    try:
        with FieldFile(path) as file:
            fields = file.fields()
    except FieldFileError as error:
        raise RawFileError(
            f"{path}: {error}. Fields of ERA5 are taken in as GRIB, or as NetCDF-4 with the "
            f"names of WeatherBench2's and ARCO's stores"
        ) from error
    return era5_covers((field.name, field.time, field.hours) for field in fields)


def is_of_grid(covers: Mapping, url: str) -> bool:
    """Say whether a file may be of the grid of a store, as far as their addresses tell."""
    grids = covers.get("grid"), grid_in_address(url)
    return not all(grids) or grids[0] == grids[1]


def lacking_fields(need: Need, covers: Iterable[Mapping], url: str) -> dict[str, frozenset[str]]:
    """Return the fields of a need that are not wholly there, by day.

    Parameters
    ----------
    need : Need
        Days and fields.
    covers : iterable of mapping
        What the files that are there cover.
    url : str
        Address of the store that would be asked; files of another grid do not count.

    Returns
    -------
    dict
        Fields by day, none where all are there.
    """
    usable = [one for one in covers if is_of_grid(one, url)]
    return missing_by_day(need, usable, hours_of_sums)
