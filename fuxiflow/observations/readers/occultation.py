"""Radio occultations decoded from NetCDF and BUFR.

Formats: CDAAC, File formats: atmPrf (and wetPrf, wetPf2), one profile a file; ROM SAF, ROPP User
Guide, Part I: ropp_io, SAF/ROM/METO/UG/ROPP/002; BUFR template 3-10-026 (WMO-No. 306, Volume I.2,
Part B) and those that centres have made of it; ROM SAF, WMO FM94 (BUFR) Specification for Radio
Occultation Data, SAF/ROM/METO/FMT/BUFR/001.

To be called in a :class:`fuxiflow.observations.decoding_process.DecodingProcess`: ecCodes and the
NetCDF library may crash on damaged files.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fuxiflow.observations.bufr_elements import Subset, element_subsets
from fuxiflow.observations.bufr_messages import BUFR_SATELLITES, BufrHeader, BufrMessage
from fuxiflow.observations.clocks import (
    GPS_EPOCH,
    NOT_A_TIME,
    complete_time,
    time_of_date,
    utc_of_gps,
)
from fuxiflow.observations.profiles import refractivity_of_bending_angles
from fuxiflow.physics import great_circle

POSITION_HEIGHT = 10_000.0
"""Height in m, of the tangent point or of the ray's impact, at which an occultation is said to be.

Its tangent points drift by some 200 km from top to bottom, and most of what it tells about weather
lies in the troposphere.
"""
DRIFT = 1_000.0
"""Tangent points farther than this from the occultation's reference point, km, are errors."""

# COSMIC's satellites go by their mission
_MISSIONS = {f"C00{i}": "COSMIC-1" for i in range(1, 7)} | {
    f"C2E{i}": "COSMIC-2" for i in range(1, 7)
}
_MISSIONS |= {f"CO0{i}": "COSMIC-1" for i in range(1, 7)}
PLATFORMS = _MISSIONS | {
    "META": "Metop-A",
    "METB": "Metop-B",
    "METC": "Metop-C",
    "MTPA": "Metop-A",
    "MTPB": "Metop-B",
    "MTPC": "Metop-C",
    "CHAM": "CHAMP",
    "CHMP": "CHAMP",
    "GRAA": "GRACE-A",
    "GRAB": "GRACE-B",
    "GRCA": "GRACE-A",
    "GRCB": "GRACE-B",
    "SACC": "SAC-C",
    "TSRX": "TerraSAR-X",
    "TSX1": "TerraSAR-X",
    "TDMX": "TanDEM-X",
    "TDX1": "TanDEM-X",
    "PAZE": "PAZ",
    "PAZ1": "PAZ",
    "KOM5": "KOMPSAT-5",
    "CNOF": "C/NOFS",
    "OSAT": "OceanSat-2",
    "FY3C": "FY-3C",
    "FY3D": "FY-3D",
    "FY3E": "FY-3E",
}
"""Platforms in WMO OSCAR by the four letters of CDAAC's file stamps and of ROPP's ``leo_id``."""

_AGREE = np.timedelta64(60, "s")  # the calendar date of a CDAAC file is its start, in GPS time too
# bits of ROPP's product confidence data, least significant 0
_PCD_FLAWS = {
    0: "non-nominal quality",
    5: "non-nominal refractivity",
    14: "background, no occultation",
    15: "confidence data missing",
}
# bits of flag table 0-33-039; bit 1 is the most significant of 16
_BUFR_FLAWS = {
    1: "non-nominal quality",
    6: "non-nominal refractivity",
    15: "background, no occultation",
}
_FLAG_BITS = 16
_HEAD = (
    "satelliteIdentifier",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "timeIncrement",
    "radioOccultationDataQualityFlags",
    "latitude",
    "longitude",
    "bearingOrAzimuth",
    "earthLocalRadiusOfCurvature",
    "geoidUndulation",
)
_ELEMENTS = frozenset(
    {
        *_HEAD,
        "impactParameter",
        "height",
        "atmosphericRefractivity",
        "firstOrderStatistics",
        "meanFrequency",
        "bendingAngle",
    }
)


@dataclass(frozen=True)
class Occultation:
    """One profile, its levels in any order.

    Attributes
    ----------
    time : np.datetime64
        UTC.
    lat, lon : float
        Degrees.
    platform : str
        Name in WMO OSCAR, or the file's name of one that has none here.
    height : np.ndarray
        Heights ``(n,)`` in m above mean sea level.
    refractivity : np.ndarray
        Refractivity ``(n,)`` in N-units.
    azimuth : float
        Azimuth of the occultation plane, in degrees from north.
    flaw : str
        The reason why the processing centre calls it bad, or empty.
    dated_by_header : bool
        Whether a part of its date is that of the message's header.
    """

    time: np.datetime64
    lat: float
    lon: float
    platform: str
    height: np.ndarray
    refractivity: np.ndarray
    azimuth: float = np.nan
    flaw: str = ""
    dated_by_header: bool = False


def tangent_point(
    reference: tuple[float, float], lat: np.ndarray, lon: np.ndarray, height: np.ndarray
) -> tuple[float, float]:
    """Find the tangent point nearest to 10 km.

    Parameters
    ----------
    reference : tuple[float, float]
        Latitude and longitude of the occultation's reference point, in degrees. Both exactly zero
        stand for none, here as in the tangent points.
    lat, lon : np.ndarray
        Tangent points ``(n,)`` in degrees.
    height : np.ndarray
        Their heights ``(n,)`` in m.

    Returns
    -------
    tuple[float, float]
        Latitude and longitude; those of the reference where no tangent point is within 5 km of that
        height. NaN when the two are farther apart than tangent points drift: one is an error.
    """
    reference = reference if reference != (0.0, 0.0) else (np.nan, np.nan)
    with np.errstate(invalid="ignore"):
        placed = (np.abs(lat) <= 90) & (np.abs(lon) <= 360) & ((lat != 0) | (lon != 0))
        away = np.where(placed, np.abs(height - POSITION_HEIGHT), np.inf)
    away = np.nan_to_num(away, nan=np.inf)
    if not len(away) or away.min() > 5_000.0:
        return reference
    nearest = float(lat[away.argmin()]), float(lon[away.argmin()])
    return nearest if not great_circle(*reference, *nearest) > DRIFT else (np.nan, np.nan)


def occultations_of_bufr(data: bytes) -> list[Occultation]:
    """Decode the profiles of a BUFR message.

    ecCodes' errors or ValueError when it cannot be decoded.
    """
    header = BufrMessage(0, data).header
    return [_of_subset(subset, header) for subset in element_subsets(data, _ELEMENTS)]


def _of_subset(subset: Subset, header: BufrHeader | None) -> Occultation:
    """Decode one subset: its head, levels of impact parameter, and levels of height.

    What its date lacks is that of the message's ``header``. Messages without a refractivity, such
    as ECMWF keeps, get that of their bending angles.
    """
    head: dict[str, float] = {}
    levels: list[tuple[float, float]] = []
    rays: list[list[float]] = []
    lat = lon = height = frequency = statistics = np.nan
    for name, value in subset:
        if name in _HEAD and name not in head:
            head[name] = value
        elif name == "latitude":
            lat = value
        elif name == "longitude":
            lon = value
        elif name == "meanFrequency":
            frequency = value
            statistics = np.nan
        elif name == "impactParameter":
            rays.append([lat, lon, value, np.nan])
        elif name == "bendingAngle" and frequency == 0 and statistics != statistics and rays:
            # at frequency 0: that of all, corrected for the ionosphere; with first-order
            # statistics (not NaN) it would be an error
            rays[-1][3] = value
        elif name == "firstOrderStatistics":
            statistics = value
        elif name == "height":
            height = value
            statistics = np.nan
        elif name == "atmosphericRefractivity" and statistics != statistics:
            levels.append((height, value))

    def number(name: str) -> float:
        return head.get(name, np.nan)

    time, completed = complete_time(
        [number(name) for name in ("year", "month", "day", "hour", "minute", "second")],
        np.datetime64(header.time if header else None, "us"),
        header is None or header.century,
    )
    if 0 <= number("timeIncrement") <= 600:  # from the start to the reference point
        time = time + np.timedelta64(round(number("timeIncrement") * 1e6), "us")
    identifier = number("satelliteIdentifier")
    satellite = int(identifier) if identifier == identifier else 0
    lats, lons, impact, bending = np.array(rays).reshape(-1, 4).T
    radius = number("earthLocalRadiusOfCurvature") + np.nan_to_num(number("geoidUndulation"))
    place = tangent_point((number("latitude"), number("longitude")), lats, lons, impact - radius)
    heights, refractivity = np.array(levels).reshape(-1, 2).T
    if not np.isfinite(refractivity).any():
        heights, refractivity = refractivity_of_bending_angles(impact, bending, radius)
    return Occultation(
        time,
        *place,
        BUFR_SATELLITES.get(satellite, f"satellite {satellite}"),
        heights,
        refractivity,
        number("bearingOrAzimuth"),
        _flaw_of_flags(number("radioOccultationDataQualityFlags")),
        completed,
    )


def _flaw_of_flags(flags: float) -> str:
    """Return what the quality flags say against a profile, empty where nothing."""
    bits = int(flags) if flags == flags else 0  # NaN where missing
    return ", ".join(why for bit, why in _BUFR_FLAWS.items() if bits >> (_FLAG_BITS - bit) & 1)


def occultations_of_netcdf(data: bytes) -> list[Occultation]:
    """Decode the profiles of a NetCDF file, classic or NetCDF-4.

    ValueError, KeyError or OSError when it has none.
    """
    import netCDF4

    with netCDF4.Dataset("occultation", memory=data) as file:
        if "alt_refrac" in file.variables:
            return list(_ropp(file))
        if {"MSL_alt", "Ref"} <= set(file.variables):
            return [_cdaac(file)]
        raise ValueError(
            "neither MSL_alt and Ref (CDAAC) nor alt_refrac (ROM SAF): no refractivity by height"
        )


def _array(file, name: str) -> np.ndarray:
    """Read a variable ``(n,)`` or ``(profile, n)`` as float64.

    What is missing or outside its ``valid_range`` is NaN.
    """
    return np.ma.filled(np.ma.asarray(file[name][:], np.float64), np.nan)


def _scalar(value) -> float:
    """Return an attribute as a number, NaN where it is none."""
    try:
        return float(np.ma.filled(np.ma.asarray(value, np.float64).ravel()[0], np.nan))
    except (ValueError, TypeError, IndexError):
        return np.nan


def _units(file, name: str, scales: dict[str, float]) -> float:
    """Return the factor to m of a variable's unit.

    Parameters
    ----------
    file : netCDF4.Dataset
        The open file.
    name : str
        Name of the variable.
    scales : dict[str, float]
        Factors by unit.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        When the unit is another.
    """
    unit = getattr(file[name], "units", "")
    if unit not in scales:
        raise ValueError(f"{name} in {unit!r}, expected {' or '.join(map(repr, scales))}")
    return scales[unit]


def _cdaac(file) -> Occultation:
    """Decode the profile of a CDAAC file.

    Its time is that of the occultation point, where the file says how long it took to get there.
    """
    attributes = {name: file.getncattr(name) for name in file.ncattrs()}

    def attribute(name: str) -> float:
        return _scalar(attributes.get(name))

    height = _array(file, "MSL_alt") * _units(file, "MSL_alt", {"km": 1000.0, "m": 1.0})
    refractivity = _array(file, "Ref")
    _check_shapes(MSL_alt=height, Ref=refractivity)
    start = utc_of_gps(attribute("start_time"))
    calendar = time_of_date(
        *(attribute(name) for name in ("year", "month", "day", "hour", "minute", "second"))
    )
    if not np.isnat(calendar):
        calendar = utc_of_gps((calendar - GPS_EPOCH) / np.timedelta64(1, "s"))
        agree = "start_time" not in attributes or abs(start - calendar) <= _AGREE
        start = calendar if agree else NOT_A_TIME
    offset = attribute("occpt_offset")
    if 0 <= offset <= 600:
        start = start + np.timedelta64(round(offset * 1e6), "us")
    reference = attribute("lat"), attribute("lon")
    place = reference
    if {"Lat", "Lon"} <= set(file.variables):
        lat, lon = _array(file, "Lat"), _array(file, "Lon")
        _check_shapes(MSL_alt=height, Lat=lat, Lon=lon)
        place = tangent_point(reference, lat, lon, height)
    stamp = str(attributes.get("fileStamp", ""))  # IIII.YYYY.DDD.HH.MM.GGG
    bad = str(attributes.get("bad", "0")).strip()
    return Occultation(
        start,
        *place,
        PLATFORMS.get(stamp[:4], stamp[:4]),
        height,
        refractivity,
        attribute("azim"),
        "" if bad in ("0", "") else f"bad {bad}: {attributes.get('errstr', '')}",
    )


def _check_shapes(**arrays: np.ndarray) -> None:
    """Raise ValueError when arrays differ in shape or are not 1-D."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or len(next(iter(shapes.values()))) != 1:
        raise ValueError(f"shapes differ: {shapes}")


def _text(file, name: str, index: int) -> str:
    """Read one text of a character variable.

    Parameters
    ----------
    file : netCDF4.Dataset
        The open file.
    name : str
        Name of the variable, ``(profile, letter)`` or ``(letter,)``.
    index : int
        Number of the profile.

    Returns
    -------
    str
        The text, empty where there is no such variable.
    """
    if name not in file.variables:
        return ""
    letters = np.ma.filled(np.ma.atleast_2d(file[name][:]), b"")
    return b"".join(letters[index].astype("S1")).decode("ascii", "replace").strip("\0 ")


def _ropp(file) -> Iterator[Occultation]:
    """Yield the profiles of a ROPP file, along its unlimited dimension."""

    def rows(name: str, scales: dict[str, float] | None = None) -> np.ndarray:
        if name not in file.variables:
            return np.full((count, 1), np.nan)
        values = np.atleast_2d(_array(file, name)) * (_units(file, name, scales) if scales else 1.0)
        if len(values) != count:
            raise ValueError(f"{name} has {len(values)} profiles, expected {count}")
        # ROPP's missing data flag is -9.9999e7
        return np.where(np.abs(values) < 9e7, values, np.nan)

    def scalars(name: str) -> np.ndarray:
        values = (
            np.atleast_1d(_array(file, name)) if name in file.variables else np.full(count, np.nan)
        )
        if values.shape != (count,):
            raise ValueError(f"{name} has shape {values.shape}, expected {(count,)}")
        return np.where(np.abs(values) < 9e7, values, np.nan)

    count = len(np.atleast_2d(_array(file, "alt_refrac")))
    metres = {"metres": 1.0, "meters": 1.0, "m": 1.0, "km": 1000.0}
    height, refractivity = rows("alt_refrac", metres), rows("refrac")
    if height.shape != refractivity.shape:
        raise ValueError(f"shapes differ: alt_refrac {height.shape}, refrac {refractivity.shape}")
    clock = [scalars(name) for name in ("year", "month", "day", "hour", "minute", "second")]
    millisecond = np.nan_to_num(scalars("msec"))
    offset = np.nan_to_num(scalars("time_offset"))
    lat, lon, azimuth, pcd = (scalars(name) for name in ("lat", "lon", "azimuth", "pcd"))
    lat_tangent, lon_tangent, impact = (rows(name) for name in ("lat_tp", "lon_tp", "impact"))
    radius = scalars("roc") + np.nan_to_num(scalars("undulation"))
    for i in range(count):
        receiver = _text(file, "leo_id", i)
        time = time_of_date(*(part[i] for part in clock))
        if 0 <= offset[i] <= 600:
            time = time + np.timedelta64(
                round(1e3 * (1e3 * offset[i] + millisecond[i] % 1000)), "us"
            )
        same_shapes = lat_tangent[i].shape == lon_tangent[i].shape == impact[i].shape
        tangent = (
            (lat_tangent[i], lon_tangent[i], impact[i] - radius[i])
            if same_shapes
            else (np.empty(0),) * 3
        )
        place = tangent_point((lat[i], lon[i]), *tangent)
        # 65535, all bits set, counts as missing
        bits = int(pcd[i]) if 0 <= pcd[i] < 65535 else 0
        yield Occultation(
            time,
            *place,
            PLATFORMS.get(receiver, receiver),
            height[i],
            refractivity[i],
            azimuth[i],
            ", ".join(why for bit, why in _PCD_FLAWS.items() if bits >> bit & 1),
        )
