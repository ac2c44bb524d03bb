"""Radio occultations: where they are, and how they are decoded from BUFR.

Formats: BUFR template 3-10-026 (WMO-No. 306, Volume I.2, Part B) and those that centres have made
of it; ROM SAF, WMO FM94 (BUFR) Specification for Radio Occultation Data, SAF/ROM/METO/FMT/BUFR/001.

To be called in a :class:`fuxiflow.observations.decoding_process.DecodingProcess`: ecCodes may crash
on damaged files.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fuxiflow.observations.bufr_elements import Subset, element_subsets
from fuxiflow.observations.bufr_messages import BUFR_SATELLITES, BufrHeader, BufrMessage
from fuxiflow.observations.clocks import complete_time
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

# bits of flag table 0-33-039; bit 1 is the most significant of 16
_BUFR_FLAWS = {
    1: "non-nominal quality",
    6: "non-nominal refractivity",
    15: "background, no occultation",
}
# of a profile whose refractivity is made of them
_BENDING_FLAWS = {5: "non-nominal bending angles"}
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

    return assembled_occultation(
        head, np.array(rays).reshape(-1, 4).T, np.array(levels).reshape(-1, 2).T, header
    )


def assembled_occultation(
    head: Mapping[str, float], rays: np.ndarray, levels: np.ndarray, header: BufrHeader | None
) -> Occultation:
    """Assemble a profile from the elements of a subset.

    Parameters
    ----------
    head : mapping
        Elements before the levels, by ecCodes' names.
    rays : np.ndarray
        Latitudes, longitudes, impact parameters in m and bending angles in rad, ``(4, n)``; angles
        that are not corrected for the ionosphere are NaN.
    levels : np.ndarray
        Heights in m and refractivity in N-units, ``(2, n)``.
    header : BufrHeader | None
        Header of the message, which completes the date.

    Returns
    -------
    Occultation
        The profile; refractivity is that of the bending angles where there is none.
    """

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
    lats, lons, impact, bending = rays
    radius = number("earthLocalRadiusOfCurvature") + np.nan_to_num(number("geoidUndulation"))
    place = tangent_point((number("latitude"), number("longitude")), lats, lons, impact - radius)
    heights, refractivity = levels
    flaws = _BUFR_FLAWS
    if not np.isfinite(refractivity).any():
        heights, refractivity = refractivity_of_bending_angles(impact, bending, radius)
        flaws = flaws | _BENDING_FLAWS
    return Occultation(
        time,
        *place,
        BUFR_SATELLITES.get(satellite, f"satellite {satellite}"),
        heights,
        refractivity,
        number("bearingOrAzimuth"),
        _flaw_of_flags(number("radioOccultationDataQualityFlags"), flaws),
        completed,
    )


def _flaw_of_flags(flags: float, flaws: Mapping[int, str]) -> str:
    """Return what the quality flags say against a profile, empty where nothing."""
    bits = int(flags) if flags == flags else 0  # NaN where missing
    return ", ".join(why for bit, why in flaws.items() if bits >> (_FLAG_BITS - bit) & 1)
