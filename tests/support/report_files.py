"""Reports in WMO BUFR and occultations in NetCDF, written for tests by ecCodes and netCDF4."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import eccodes
import netCDF4
import numpy as np
import pandas as pd

from fuxiflow.observations.readers.granule import Granule
from tests.support.bufr_files import element_keys

LAND, SHIP, BUOY, TEMP, OCCULTATION = 307080, 308009, 315009, 309052, 310026
SENSOR = "heightOfSensorAboveLocalGroundOrDeckOfMarinePlatform"
TIME = {"year": 2022, "month": 7, "day": 1, "hour": 12, "minute": 0}


def bufr(
    descriptor: int,
    subsets: Sequence[Mapping[str, float | str]],
    category: int,
    compressed: bool = False,
    replications: Mapping[str, Sequence[int]] | None = None,
    day: int = 1,
) -> bytes:
    """Encode a message of ``subsets``.

    A subset has values by key, with its rank in the subset as in "#2#pressure", 1 where it has
    none. ``replications`` are of one subset; the header says 2022-07-``day`` 12 UTC.
    """
    handle = eccodes.codes_bufr_new_from_samples("BUFR4")
    header = {
        "masterTablesVersionNumber": 36,
        "dataCategory": category,
        "typicalYear": 2022,
        "typicalMonth": 7,
        "typicalDay": day,
        "typicalHour": 12,
        "numberOfSubsets": len(subsets),
        "compressedData": int(compressed),
    }
    for key, value in header.items():
        eccodes.codes_set(handle, key, value)
    for key, counts in (replications or {}).items():
        times = 1 if compressed else len(subsets)
        if counts:
            eccodes.codes_set_array(handle, f"input{key[0].upper()}{key[1:]}", list(counts) * times)
    eccodes.codes_set_array(handle, "unexpandedDescriptors", [descriptor])
    each = Counter(key.rpartition("#")[2] for key in element_keys(handle))
    for number, subset in enumerate(subsets):
        for key, value in subset.items():
            rank, name = key[1:].split("#") if key.startswith("#") else ("1", key)
            if compressed:
                if number == 0:
                    _set(handle, f"#{rank}#{name}", [other[key] for other in subsets])
            else:
                place = int(rank) + number * each[name] // len(subsets)
                _set(handle, f"#{place}#{name}", [value])
    eccodes.codes_set(handle, "pack", 1)
    message = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return message


def _set(handle: int, key: str, values: list) -> None:
    if len(values) == 1:
        eccodes.codes_set(handle, key, values[0])
    elif isinstance(values[0], str):
        eccodes.codes_set_string_array(handle, key, values)
    else:
        eccodes.codes_set_array(handle, key, [float(value) for value in values])


def land(block: int = 10, station: int = 384, lat: float = 52.5, lon: float = 13.4, **more) -> dict:
    """Make a subset of :data:`LAND`.

    It has 290.15 K, dew point 283.15 K, wind from 240 degrees with 5 m/s.
    """
    return (
        TIME
        | {
            "blockNumber": block,
            "stationNumber": station,
            "latitude": lat,
            "longitude": lon,
            "nonCoordinatePressure": 100850.0,
            "pressureReducedToMeanSeaLevel": 101430.0,
            f"#1#{SENSOR}": 2.0,
            "airTemperature": 290.15,
            "dewpointTemperature": 283.15,
            f"#7#{SENSOR}": 10.0,
            "windDirection": 240.0,
            "windSpeed": 5.0,
        }
        | more
    )


def ship(name: str = "DBLK", **more) -> dict:
    """Make a subset of :data:`SHIP` on 54 N, 8 E, SST 288.2 K at 3 m."""
    return (
        TIME
        | {
            "shipOrMobileLandStationIdentifier": name,
            "latitude": 54.0,
            "longitude": 8.0,
            "pressureReducedToMeanSeaLevel": 101230.0,
            "airTemperature": 288.0,
            f"#1#{SENSOR}": 24.0,
            "relativeHumidity": 80.0,
            "windDirection": 90.0,
            "windSpeed": 10.0,
            f"#7#{SENSOR}": 30.0,
            "#1#depthBelowWaterSurface": 3.0,
            "oceanographicWaterTemperature": 288.2,
        }
        | more
    )


def sounding(pressure: Sequence[float], **columns: Sequence[float]) -> dict:
    """Make a subset of :data:`TEMP` with levels of ``pressure`` (hPa).

    The other ``columns`` are given by their key; NaN is missing.
    """
    subset = TIME | {
        "second": 0,
        "blockNumber": 10,
        "stationNumber": 393,
        "latitude": 52.22,
        "longitude": 14.12,
    }
    for i, value in enumerate(pressure, start=1):
        subset[f"#{i}#pressure"] = 100.0 * value
        subset |= {
            f"#{i}#{name}": values[i - 1]
            for name, values in columns.items()
            if values[i - 1] == values[i - 1]
        }
    return subset


def temp(levels: int) -> dict[str, list[int]]:
    """Replications of a :data:`TEMP` with ``levels``."""
    return {
        "extendedDelayedDescriptorReplicationFactor": [levels],
        "delayedDescriptorReplicationFactor": [0],
    }


def atmosphere(height: np.ndarray) -> np.ndarray:
    """Refractivity (N-units) at ``height`` (m) in an exponential atmosphere."""
    return 320.0 * np.exp(-height / 7_400.0)


def cdaac(path: Path, height: np.ndarray, refractivity: np.ndarray, **attributes) -> Path:
    """Write a file as CDAAC's atmPrf.

    2022-07-01 12:00:18 GPS time, COSMIC-2, on 10 N, 20 E with drifting tangent points.
    """
    start = (np.datetime64("2022-07-01T12:00:18") - np.datetime64("1980-01-06")) / np.timedelta64(
        1, "s"
    )
    given = {
        "year": 2022,
        "month": 7,
        "day": 1,
        "hour": 12,
        "minute": 0,
        "second": 18.0,
        "start_time": start,
        "occpt_offset": 60.0,
        "lat": 10.0,
        "lon": 20.0,
        "azim": 45.0,
        "bad": "0",
        "errstr": "",
        "fileStamp": "C2E3.2022.182.12.00.R07",
    } | attributes
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("MSL_alt", len(height))
        columns = {
            "MSL_alt": (height / 1000, "km"),
            "Ref": (refractivity, "N"),
            "Lat": (10 + (height - 10_000) * 1e-5, "deg"),
            "Lon": (20 - (height - 10_000) * 1e-5, "deg"),
        }
        for name, (values, unit) in columns.items():
            variable = file.createVariable(name, "f4", ("MSL_alt",), fill_value=-999.0)
            variable[:] = np.ma.masked_invalid(values)
            variable.units = unit
        file.setncatts({name: value for name, value in given.items() if value is not None})
    return path


def ropp(
    path: Path,
    height: np.ndarray,
    refractivity: np.ndarray,
    receivers: Sequence[str] = ("METB",),
    pcd: int = 0,
) -> Path:
    """Write a file as ROM SAF's, with one profile for each of the ``receivers``.

    2022-07-01 12:00:00.250 UTC + 30 s.
    """
    count = len(receivers)
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for name, size in (("dim_unlim", None), ("dim_lev2a", len(height)), ("dim_char04", 4)):
            file.createDimension(name, size)
        texts = file.createVariable("leo_id", "S1", ("dim_unlim", "dim_char04"))
        texts[:] = np.array([list(name) for name in receivers], "S1")
        scalars = {
            "year": 2022,
            "month": 7,
            "day": 1,
            "hour": 12,
            "minute": 0,
            "second": 0,
            "msec": 250,
            "lat": -30.0,
            "lon": 170.0,
            "time_offset": 30.0,
            "azimuth": 10.0,
            "pcd": pcd,
            "roc": 6_371_000.0,
            "undulation": 20.0,
        }
        for name, value in scalars.items():
            file.createVariable(name, "f8", ("dim_unlim",))[:] = np.full(count, value)
        for name, values, unit in (("alt_refrac", height, "metres"), ("refrac", refractivity, "1")):
            variable = file.createVariable(name, "f8", ("dim_unlim", "dim_lev2a"))
            variable[:] = np.broadcast_to(
                np.where(np.isfinite(values), values, -9.9999e7), (count, len(height))
            )
            variable.units = unit
    return path


def spoiled(directory: Path, paths: Sequence[Path], count: int, seed: int = 7) -> list[Path]:
    """Write ``count`` damaged copies of each of the ``paths``.

    Every fifth is cut, the others have up to four flipped bits.
    """
    generator = np.random.default_rng(seed)
    found = []
    for path in paths:
        data = path.read_bytes()
        for i in range(count):
            copy = bytearray(data)
            if i % 5 == 0:
                del copy[generator.integers(1, len(data)) :]
            else:
                for place in generator.integers(0, len(data), generator.integers(1, 5)):
                    copy[place] ^= 1 << generator.integers(8)
            found.append(directory / f"{i:04d}_{path.name}")
            found[-1].write_bytes(bytes(copy))
    return found


def accounted(granules: Iterable[Granule]) -> Counter:
    """Count reports read or refused, by file; one where a damaged header does not say how many."""
    counts: Counter = Counter()
    for granule in granules:
        if granule.footprints is None:
            assert granule.message, granule
            counts[granule.file] += max(granule.count, 1)
        else:
            counts.update(granule.footprints["file"].to_pylist())
    return counts


def used(granules: Iterable[Granule]) -> pd.DataFrame:
    """Return the footprints that are used."""
    tables = [
        granule.footprints.to_pandas() for granule in granules if granule.footprints is not None
    ]
    rows = pd.concat(tables, ignore_index=True)
    return rows[rows["rejected"] == 0]
