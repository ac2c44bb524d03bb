"""Times, coordinates and metadata of Zarr stores, as CF and xarray have them."""

from collections.abc import Iterable, Sequence

import numpy as np
import zarr

from fuxiflow.grids import Grid

# nanoseconds of the units in which CF counts time
UNITS = {
    "nanoseconds": 1,
    "seconds": 10**9,
    "minutes": 60 * 10**9,
    "hours": 3600 * 10**9,
    "days": 86400 * 10**9,
}


def iso_texts(times: Iterable[np.datetime64]) -> list[str]:
    """Return times as texts to the second, as the attributes of stores hold them."""
    return [str(np.datetime64(time, "s")) for time in times]


def as_nanoseconds(times) -> np.ndarray:
    """Return one time or many (datetime, datetime64 or text) as ``datetime64[ns]``."""
    return np.asarray(times, dtype="datetime64[ns]")


def put_coordinate(
    group: zarr.Group, name: str, values: np.ndarray, attrs: dict, dimension: str | None = None
) -> None:
    """Write a one-dimensional array with its CF attributes.

    Parameters
    ----------
    group : zarr.Group
        The store.
    name : str
        Name of the array.
    values : np.ndarray
        Numbers or texts ``(n,)``.
    attrs : dict
        Attributes of the array.
    dimension : str, optional
        Name of its dimension, by default that of the array.
    """
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
    """Write a time coordinate, whole seconds since 1970 UTC.

    Parameters
    ----------
    group : zarr.Group
        The store.
    name : str
        Name of the array and of its dimension.
    times : np.ndarray
        Times ``(time,)``.
    long_name : str
        Attribute that tells which time it is.
    """
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
    """Write the two coordinates of a grid.

    Parameters
    ----------
    group : zarr.Group
        The store.
    grid : Grid
        The grid.
    lat, lon : str
        Names of the arrays and of their dimensions.
    """
    put_coordinate(
        group, lat, grid.lat, {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
    )
    put_coordinate(
        group, lon, grid.lon, {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
    )


def get_grid(group: zarr.Group, lat: str = "lat", lon: str = "lon") -> Grid:
    """Return the grid whose coordinates a store holds.

    Parameters
    ----------
    group : zarr.Group
        The store.
    lat, lon : str
        Names of the coordinates.

    Returns
    -------
    Grid
        The grid; its first row tells if rows lie on the poles.
    """
    latitudes = group[lat][:]
    return Grid(len(latitudes), group[lon].shape[0], poles=bool(np.isclose(latitudes[0], 90.0)))


def read_times(group: zarr.Group) -> np.ndarray:
    """Read the times ``(time,)``, ``datetime64[ns]``, of a store whose ``time`` follows CF.

    Raises ValueError for units other than whole numbers of a unit since a date.
    """
    values = group["time"][:]
    units = group["time"].attrs.get("units", "")
    unit, separator, origin = units.partition(" since ")
    if not separator or unit not in UNITS:
        raise ValueError(
            f"{group.store_path}: times in {units!r}, "
            f"expected one of {', '.join(UNITS)} since a date"
        )
    start = np.datetime64(origin.strip().replace(" ", "T"), "ns")
    return start + (np.asarray(values) * UNITS[unit]).astype("timedelta64[ns]")


def times_within(times: np.ndarray, dates: Sequence[str]) -> np.ndarray:
    """Return the sorted ``times`` from the first to the last day of ``dates``, both included.

    Raises ValueError if there is none.
    """
    first, last = (np.datetime64(day, "D") for day in dates)
    inside = times[(times >= first) & (times < last + np.timedelta64(1, "D"))]
    if len(inside) == 0:
        raise ValueError(f"no time between {first} and {last}")
    return inside
