"""Who reports, where and when: the head of a SYNOP, SHIP, BUOY or TEMP report in BUFR."""

from dataclasses import dataclass

import numpy as np

from fuxiflow.observations.elements import Subset
from fuxiflow.observations.readers.reports import date

_CLOCK = ("year", "month", "day", "hour", "minute", "second")
_NUMBERS = ("marineObservingPlatformIdentifier", "buoyOrPlatformIdentifier")
_TEXTS = (
    "shipOrMobileLandStationIdentifier",
    "stationaryBuoyPlatformIdentifierEGCManBuoys",
    "wigosLocalIdentifierCharacter",
    "stationOrSiteName",
    "longStationName",
)
_WIGOS = (
    "wigosIdentifierSeries",
    "wigosIssuerOfIdentifier",
    "wigosIssueNumber",
    "wigosLocalIdentifierCharacter",
)
_SHARED = frozenset({"SHIP", "PLAT", "RIGG", "BUOY", "TEST", "MASKSTID", "XXXX"})
"""Names that many go by: those of FM 13 (WMO-No. 306, Volume I.1) for want of a call sign, and masked call signs."""
IDENTITY = frozenset(
    {*_CLOCK, *_NUMBERS, *_TEXTS, *_WIGOS, "latitude", "longitude", "blockNumber", "stationNumber"}
)
"""Elements that :func:`station` looks at."""


@dataclass(frozen=True)
class Station:
    """``identifier`` of a station, empty where it has none of its own, ``time``, ``lat`` and ``lon``."""

    identifier: str
    time: np.datetime64
    lat: float
    lon: float

    @property
    def vessel(self) -> str:
        """``ship`` or ``buoy``: buoys are numbered, ships have call signs."""
        return "buoy" if self.identifier.isdecimal() else "ship"


def station(subset: Subset) -> Station:
    """Whose report a subset is: the first of each element counts, later ones are of levels or of other moments."""
    head: dict[str, float | str] = {}
    for name, value in subset:
        if name in IDENTITY and name not in head:
            head[name] = value

    def given(name: str) -> float:
        return head.get(name, np.nan)

    lat, lon = given("latitude"), given("longitude")
    time = date(*map(given, _CLOCK))
    block, index = given("blockNumber"), given("stationNumber")
    if block > 0 and index == index:
        return Station(f"{block:02.0f}{index:03.0f}", time, lat, lon)
    identifier = next((f"{given(name):.0f}" for name in _NUMBERS if given(name) == given(name)), "")
    if head.get(_WIGOS[-1]) and not identifier:
        identifier = "-".join(
            [*(f"{given(name):.0f}" for name in _WIGOS[:-1]), str(head[_WIGOS[-1]])]
        )
    identifier = identifier or next((str(head[name]) for name in _TEXTS if head.get(name)), "")
    return Station("" if identifier.upper() in _SHARED else identifier, time, lat, lon)
