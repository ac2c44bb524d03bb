"""Zarr stores in WeatherBench2's layout: forecasts and analyses of others, format 2."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import zarr
from numcodecs import Blosc

NAMES = {
    "geopotential": "m**2 s**-2",
    "temperature": "K",
    "specific_humidity": "kg kg**-1",
    "2m_temperature": "K",
    "total_precipitation_6hr": "m",
}
UPPER = ("geopotential", "temperature", "specific_humidity")
LEVELS = (500, 850)


def field(name: str, valid: np.datetime64, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """A field ``(level, lat, lon)`` or ``(lat, lon)`` that tells place, level and valid time."""
    hours = float((valid - np.datetime64("2020-01-01", "ns")) / np.timedelta64(1, "h"))
    pattern = np.cos(np.deg2rad(lat))[:, None] * (1 + np.cos(np.deg2rad(lon)))[None, :]
    pattern = pattern + 0.01 * np.sin(np.deg2rad(lat))[:, None]
    upper = {
        "geopotential": lambda level: 100_000 - 90 * level + 100 * pattern + hours,
        "temperature": lambda level: 200 + 0.08 * level + pattern + 0.01 * hours,
        "specific_humidity": lambda level: 1e-5 * level * (0.5 + 0.1 * pattern),
    }
    if name in upper:
        return np.stack([upper[name](level) for level in LEVELS])
    return 280 + pattern + 0.01 * hours if name == "2m_temperature" else 0.001 * pattern


def public_store(
    path: Path,
    times: Sequence[str],
    lead_hours: Sequence[int] | None = None,
    grid: tuple[int, int] = (8, 16),
    order: Sequence[str] = ("longitude", "latitude"),
    ascending: bool = True,
    west: float = 0.0,
    lead_units: str = "hours",
    short_names: bool = False,
    chunk_times: int = 1,
    names: Mapping[str, str] = NAMES,
    without: Sequence[tuple[str, int]] = (),
) -> Path:
    """Write a store; analyses where there are no leads.

    ``without`` are times and leads (0 of analyses) whose chunks are left out, as where the axis
    reaches beyond the data.
    """
    nlat, nlon = grid
    lat = 90 - 180 / nlat * (np.arange(nlat) + 0.5)
    lon = west + np.arange(nlon) * 360 / nlon
    lat = lat[::-1] if ascending else lat
    inits = np.array(times, "datetime64[ns]")
    places = {"latitude": "lat", "longitude": "lon"} if short_names else {}
    group = zarr.open_group(path, mode="w", zarr_format=2)

    def coordinate(name, values, **attrs):
        name = places.get(name, name)
        array = group.create_array(
            name, shape=values.shape, chunks=values.shape, dtype=values.dtype
        )
        array[...] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": [name]} | attrs)

    since = (inits - np.datetime64("1959-01-01", "ns")) // np.timedelta64(1, "h")
    coordinate("time", since.astype(np.int64), units="hours since 1959-01-01", calendar="standard")
    coordinate("latitude", lat)
    coordinate("longitude", lon)
    coordinate("level", np.array(LEVELS, np.int64))
    if lead_hours is not None:
        scale = 3_600_000_000_000 if lead_units == "nanoseconds" else 1
        units = {} if lead_units == "none" else {"units": lead_units}
        coordinate("prediction_timedelta", np.array(lead_hours, np.int64) * scale, **units)
    for name, unit in names.items():
        dims = ["time", *(["prediction_timedelta"] if lead_hours is not None else [])]
        dims += [*(["level"] if name in UPPER else []), *order]
        sizes = {"time": len(inits), "level": len(LEVELS), "latitude": nlat, "longitude": nlon}
        sizes["prediction_timedelta"] = len(lead_hours or ())
        shape = tuple(sizes[dim] for dim in dims)
        chunks = tuple(
            {"time": min(chunk_times, len(inits)), "prediction_timedelta": 1}.get(dim, sizes[dim])
            for dim in dims
        )
        array = group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype="float32",
            fill_value=np.nan,
            compressors=Blosc(),
        )
        array.attrs.update(
            {"_ARRAY_DIMENSIONS": [places.get(dim, dim) for dim in dims], "units": unit}
        )
        for i, init in enumerate(inits):
            for j, lead in enumerate(lead_hours if lead_hours is not None else [0]):
                if (times[i], lead) in without:
                    continue
                values = field(name, init + np.timedelta64(lead, "h"), lat, lon)
                if list(order) == ["longitude", "latitude"]:
                    values = np.swapaxes(values, -1, -2)
                array[(i, j) if lead_hours is not None else i] = values
    zarr.consolidate_metadata(path, zarr_format=2)
    return path


def climatology_field(name: str, day: int, hour: int, lat: np.ndarray, lon: np.ndarray):
    """A mean field that is linear in the day of the year, and tells the hour."""
    moment = np.datetime64("2020-01-01", "ns") + np.timedelta64(60 * day + hour, "m")
    return field(name, moment, lat, lon)


def climatology_store(
    path: Path,
    days: Sequence[int] = range(1, 367),
    hours: Sequence[int] = (0, 6, 12, 18),
    order: Sequence[str] = ("hour", "dayofyear", "level", "longitude", "latitude"),
    chunk_days: int = 61,
    grid: tuple[int, int] = (8, 16),
    names: Mapping[str, str] = NAMES,
) -> Path:
    """Write a climatology by hour and day of the year, south to north."""
    nlat, nlon = grid
    lat = (90 - 180 / nlat * (np.arange(nlat) + 0.5))[::-1]
    lon = np.arange(nlon) * 360 / nlon
    group = zarr.open_group(path, mode="w", zarr_format=2)
    coordinates = {
        "hour": np.array(hours, np.int64),
        "dayofyear": np.array(days, np.int64),
        "level": np.array(LEVELS, np.int64),
        "latitude": lat,
        "longitude": lon,
    }
    for name, values in coordinates.items():
        array = group.create_array(
            name, shape=values.shape, chunks=values.shape, dtype=values.dtype
        )
        array[...] = values
        array.attrs["_ARRAY_DIMENSIONS"] = [name]
    for name, unit in names.items():
        dims = [dim for dim in order if dim != "level" or name in UPPER]
        usual = [
            dim for dim in ("hour", "dayofyear", "level", "latitude", "longitude") if dim in dims
        ]
        values = np.stack(
            [[climatology_field(name, day, hour, lat, lon) for day in days] for hour in hours]
        ).astype(np.float32)
        values = values.transpose([usual.index(dim) for dim in dims])
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=[
                {"dayofyear": chunk_days, "hour": 1}.get(dim, size)
                for dim, size in zip(dims, values.shape, strict=True)
            ],
            dtype="float32",
            fill_value=np.nan,
            compressors=Blosc(),
        )
        array[...] = values
        array.attrs.update({"_ARRAY_DIMENSIONS": dims, "units": unit})
    zarr.consolidate_metadata(path, zarr_format=2)
    return path
