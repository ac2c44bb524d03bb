"""Radio occultations in WMO BUFR: template 3-10-026 and those that centres have made of it.

Format: WMO-No. 306, Volume I.2, Part B; ROM SAF, WMO FM94 (BUFR) Specification for Radio Occultation Data,
SAF/ROM/METO/FMT/BUFR/001. Meant for a :class:`fuxiflow.observations.bufr.Decoder`.
"""

import numpy as np

from fuxiflow.observations import abel, elements
from fuxiflow.observations.elements import Subset
from fuxiflow.observations.readers import occultation
from fuxiflow.observations.readers.occultation import Occultation
from fuxiflow.observations.readers.reports import date
from fuxiflow.observations.satellites import BUFR_SATELLITES

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
_WANTED = frozenset(
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
_FLAWS = {1: "non-nominal quality", 6: "non-nominal refractivity", 15: "background, no occultation"}
_BITS = 16  # of flag table 0-33-039; bit 1 is the most significant


def occultations(data: bytes) -> list[Occultation]:
    """The profiles of a message; ecCodes' errors or ValueError when it cannot be decoded."""
    return [_occultation(subset) for subset in elements.subsets(data, _WANTED)]


def _occultation(subset: Subset) -> Occultation:
    """The profile of one subset: after its head come levels of impact parameter, then levels of height.

    Messages without a refractivity, such as ECMWF keeps, get that of their bending angles (:mod:`.abel`).
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
            frequency, statistics = value, np.nan
        elif name == "impactParameter":
            rays.append([lat, lon, value, np.nan])
        elif name == "bendingAngle" and frequency == 0 and statistics != statistics and rays:
            rays[-1][3] = value  # at frequency 0: that of all, corrected for the ionosphere
        elif name == "firstOrderStatistics":
            statistics = value
        elif name == "height":
            height, statistics = value, np.nan
        elif name == "atmosphericRefractivity" and statistics != statistics:
            levels.append((height, value))

    def given(name: str) -> float:
        return head.get(name, np.nan)

    time = date(*(given(name) for name in ("year", "month", "day", "hour", "minute", "second")))
    if 0 <= given("timeIncrement") <= 600:  # from the start to the reference point
        time = time + np.timedelta64(round(given("timeIncrement") * 1e6), "us")
    identifier = given("satelliteIdentifier")
    satellite = int(identifier) if identifier == identifier else 0
    lats, lons, impact, bending = np.array(rays).reshape(-1, 4).T
    radius = given("earthLocalRadiusOfCurvature") + np.nan_to_num(given("geoidUndulation"))
    place = occultation.position(
        (given("latitude"), given("longitude")), lats, lons, impact - radius
    )
    heights, refractivity = np.array(levels).reshape(-1, 2).T
    if not np.isfinite(refractivity).any():
        heights, refractivity = abel.refractivity(impact, bending, radius)
    return Occultation(
        time,
        *place,
        BUFR_SATELLITES.get(satellite, f"satellite {satellite}"),
        heights,
        refractivity,
        given("bearingOrAzimuth"),
        _flaw(given("radioOccultationDataQualityFlags")),
    )


def _flaw(flags: float) -> str:
    """What the quality flags say against a profile."""
    bits = int(flags) if flags == flags else 0
    return ", ".join(why for bit, why in _FLAWS.items() if bits >> (_BITS - bit) & 1)
