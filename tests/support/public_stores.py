"""Miniatures of the public Zarr stores of ERA5, by their documented layouts, served by HTTP."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import zarr
from numcodecs import Blosc

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.physics import saturation_vapour_pressure
from tests.support import grib_files

GRID = Grid(8, 16)
LEVELS = [50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]
LEVELS_OF_ARCO = [1, 2, 3, 5, 7, 10, 20, 30, 50, 70, *range(100, 251, 25)]
LEVELS_OF_ARCO += [*range(300, 751, 50), *range(775, 1001, 25)]
UNITS = {
    "geopotential": "m**2 s**-2",
    "temperature": "K",
    "specific_humidity": "kg kg**-1",
    "relative_humidity": "1",
    "u_component_of_wind": "m s**-1",
    "v_component_of_wind": "m s**-1",
    "2m_temperature": "K",
    "10m_u_component_of_wind": "m s**-1",
    "10m_v_component_of_wind": "m s**-1",
    "mean_sea_level_pressure": "Pa",
    "total_precipitation": "m",
    "total_precipitation_6hr": "m",
}
DERIVED = ("relative_humidity", "total_precipitation_6hr")
"""What WeatherBench2 alone has."""
UPPER_AIR = (
    "geopotential",
    "temperature",
    "specific_humidity",
    "relative_humidity",
    "u_component_of_wind",
    "v_component_of_wind",
)
STATICS = {
    "geopotential_at_surface": ("m**2 s**-2", -500.0, 40000.0),
    "land_sea_mask": ("(0 - 1)", 0.0, 1.0),
    "lake_cover": ("(0 - 1)", 0.0, 1.0),
    "low_vegetation_cover": ("(0 - 1)", 0.0, 1.0),
    "high_vegetation_cover": ("(0 - 1)", 0.0, 1.0),
}


def truth(name: str, level: int | None, time: datetime, grid: Grid = GRID) -> np.ndarray:
    """A field ``(lat, lon)`` of ERA5 at a time, north to south, in ERA5's unit.

    Temperature keeps clear of freezing only at some points, and humidity is moist enough that all
    three branches of saturation count. Precipitation is that of one hour.
    """
    hours = int((time - datetime(2000, 1, 1)).total_seconds() // 3600)
    random = np.random.default_rng([hours, level or 0, sum(name.encode())]).random(grid.shape)
    if name == "total_precipitation":
        return 0.002 * random
    if name == "specific_humidity":
        pressure = 100.0 * level
        part = 100.0 * saturation_vapour_pressure(truth("temperature", level, time, grid))
        vapour = np.minimum((0.1 + 0.8 * random) * part, 0.3 * pressure)
        return 0.6219807 * vapour / (pressure - (1 - 0.6219807) * vapour)
    if name == "relative_humidity":
        pressure, humidity = 100.0 * level, truth("specific_humidity", level, time, grid)
        vapour = humidity * pressure / (0.6219807 + (1 - 0.6219807) * humidity)
        part = 100.0 * saturation_vapour_pressure(truth("temperature", level, time, grid))
        return 100.0 * vapour / part
    if name == "temperature":
        return 235.0 + 55.0 * random
    of_name = [c for c in channel_table() if c.variable == name and c.level in (level, None)]
    low, high = (of_name[0].valid_min, of_name[0].valid_max) if of_name else (0.0, 1.0)
    return low + (high - low) * (0.25 + 0.5 * random)


def static(name: str, grid: Grid = GRID) -> np.ndarray:
    _, low, high = STATICS[name]
    random = np.random.default_rng(sum(name.encode())).random(grid.shape)
    return low + (high - low) * random


@dataclass
class Layout:
    """How a miniature is laid out. The default is WeatherBench2's at 0.25 degrees.

    ``axis`` are the times of the axis, ``filled`` how many of them have data.
    """

    first: datetime = datetime(2019, 12, 31)
    step: int = 6
    axis: int = 24
    filled: int | None = None
    levels: list[int] = field(default_factory=lambda: LEVELS)
    order: tuple[str, ...] = ("time", "level", "latitude", "longitude")
    ascending: bool = False
    time_chunk: int = 1
    sums: bool = True
    short_names: bool = False
    static_in_time: bool = False
    attributes: dict = field(default_factory=dict)
    compressor: object = field(default_factory=lambda: Blosc(cname="lz4"))
    since: str = "1959-01-01"
    west: float = 0.0
    grid: Grid = GRID

    @property
    def times(self) -> list[datetime]:
        return [self.first + timedelta(hours=self.step * i) for i in range(self.axis)]


WB2 = Layout()
WB2_COARSE = Layout(order=("time", "level", "longitude", "latitude"), ascending=True, time_chunk=10)
ARCO = Layout(
    step=1,
    axis=24 * 8,
    filled=24 * 6,
    levels=LEVELS_OF_ARCO,
    sums=False,
    static_in_time=True,
    since="1900-01-01",
    attributes={
        "valid_time_start": "2019-12-31",
        "valid_time_stop": "2020-01-03",
        "valid_time_stop_era5t": "2020-01-05",
        "last_updated": "2020-01-08 01:02:03.456789+00:00",
    },
)


def stored_values(name: str, level: int | None, time: datetime, layout: Layout) -> np.ndarray:
    """A field as a store holds it, with latitudes and longitudes as its coordinates run."""
    if name in STATICS:
        values = static(name, layout.grid)
    elif name == "total_precipitation_6hr":
        values = sum(
            truth("total_precipitation", None, time - timedelta(hours=h), layout.grid)
            for h in range(6)
        )
    elif layout.sums and name == "relative_humidity":
        # another quantity under the name
        values = np.full(layout.grid.shape, 0.5)
    else:
        values = truth(name, level, time, layout.grid)
    values = np.roll(values, -int(layout.west / 360 * layout.grid.nlon), axis=1)
    return values[::-1] if layout.ascending else values


def write_store(path: Path, layout: Layout, leave_out: tuple[str, ...] = ()) -> None:
    """Write a store as the archive has it: format 2, consolidated, chunks of filled times alone."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs.update(layout.attributes)
    grid = layout.grid
    lat = grid.lat[::-1] if layout.ascending else grid.lat
    lon = (layout.west + grid.lon) % 360
    if layout.west:
        lon = np.where(lon >= 180, lon - 360, lon)
    long_to_short = {"latitude": "lat", "longitude": "lon"} if layout.short_names else {}

    def put(name, values, dimensions, attributes, chunks=None):
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=chunks or values.shape,
            compressors=layout.compressor,
            fill_value=np.nan if values.dtype.kind == "f" else 0,
        )
        array[...] = values
        names = [long_to_short.get(one, one) for one in dimensions]
        array.attrs.update({"_ARRAY_DIMENSIONS": names, **attributes})

    put(long_to_short.get("latitude", "latitude"), lat.astype("f4"), ["latitude"], {})
    put(long_to_short.get("longitude", "longitude"), lon.astype("f4"), ["longitude"], {})
    put("level", np.array(layout.levels), ["level"], {"units": "hPa"})
    since = datetime.fromisoformat(layout.since)
    hours = [int((time - since).total_seconds() // 3600) for time in layout.times]
    units = {"units": f"hours since {layout.since}", "calendar": "proleptic_gregorian"}
    put("time", np.array(hours), ["time"], units, (min(100, layout.axis),))
    filled = layout.filled if layout.filled is not None else layout.axis
    for name, unit in UNITS.items():
        of_other = ["total_precipitation"] if layout.sums else DERIVED
        if name in leave_out or name in of_other:
            continue
        upper = name in UPPER_AIR
        levels = layout.levels if upper else [None]
        values = np.full((layout.axis, len(levels), *grid.shape), np.nan, "f4")
        for t, time in enumerate(layout.times[:filled]):
            for number, level in enumerate(levels):
                values[t, number] = stored_values(name, level, time, layout)
        dimensions = list(WB2.order)
        if not upper:
            values = values[:, 0]
            dimensions.remove("level")
        order = [one for one in layout.order if one in dimensions]
        values = values.transpose([dimensions.index(one) for one in order])
        chunks = tuple(
            min(layout.time_chunk, layout.axis) if one == "time" else size
            for one, size in zip(order, values.shape, strict=True)
        )
        put(name, values, order, {"units": unit, "long_name": name}, chunks)
    for name, (unit, _, _) in STATICS.items():
        if name in leave_out:
            continue
        values = stored_values(name, None, layout.first, layout).astype("f4")
        order = [one for one in layout.order if one in ("latitude", "longitude")]
        if order[0] == "longitude":
            values = values.T
        if layout.static_in_time:
            whole = np.full((layout.axis, *values.shape), np.nan, "f4")
            whole[:filled] = values
            put(name, whole, ["time", *order], {"units": unit}, (1, *values.shape))
        else:
            put(name, values, order, {"units": unit})
    zarr.consolidate_metadata(path, zarr_format=2)


def serve_store(server, path: Path, name: str) -> str:
    """Put the files of a store on a server of archives; return the base address."""
    for file in path.rglob("*"):
        if file.is_file():
            server.files[f"{name}/{file.relative_to(path).as_posix()}"] = file.read_bytes()
    return f"{server.url}/{name}"


def write_grib(folder: Path, times: list[datetime], grid: Grid = GRID, bits: int = 24) -> None:
    """The same fields as GRIB, as the Climate Data Store has them: precipitation hour by hour."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "all.grib", "wb") as file:
        for time in times:
            for channel in channel_table():
                if channel.analysed:
                    values = truth(channel.variable, channel.level, time, grid)
                    values = values * channel.era5_scale
                    file.write(grib_files.era5(channel, time, values, grid=grid, bits=bits))
                    continue
                for back in range(6):
                    hour = time - timedelta(hours=back)
                    values = truth("total_precipitation", None, hour, grid) * channel.era5_scale
                    file.write(grib_files.era5(channel, hour, values, 1, grid=grid, bits=bits))


def write_grib_invariants(path: Path, grid: Grid = GRID) -> None:
    """The fields that do not change as GRIB."""
    numbers = {
        "geopotential_at_surface": 129,
        "land_sea_mask": 172,
        "lake_cover": 26,
        "low_vegetation_cover": 27,
        "high_vegetation_cover": 28,
    }
    with open(path, "wb") as file:
        for name, number in numbers.items():
            keys = {
                "centre": "ecmf",
                "marsClass": "ea",
                "table2Version": 128,
                "indicatorOfParameter": number,
                "indicatorOfTypeOfLevel": 1,
                "level": 0,
                "dataDate": 20200101,
                "dataTime": 0,
            }
            file.write(grib_files.encode(1, static(name, grid), keys, grid, bits=24))
