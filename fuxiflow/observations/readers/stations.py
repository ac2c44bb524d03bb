"""Who reports, where and when: the head of a SYNOP, SHIP, BUOY or TEMP report in BUFR."""

from dataclasses import dataclass

import numpy as np

from fuxiflow.observations.elements import Subset
from fuxiflow.observations.readers.reports import date, number_of

_CLOCK = ("year", "month", "day", "hour", "minute", "second")
_NUMBERS = ("marineObservingPlatformIdentifier", "buoyOrPlatformIdentifier")
_TEXTS = ("shipOrMobileLandStationIdentifier", "stationaryBuoyPlatformIdentifierEGCManBuoys",
          "wigosLocalIdentifierCharacter", "stationOrSiteName", "longStationName")
_WIGOS = ("wigosIdentifierSeries", "wigosIssuerOfIdentifier", "wigosIssueNumber", "wigosLocalIdentifierCharacter")
IDENTITY = frozenset({*_CLOCK, *_NUMBERS, *_TEXTS, *_WIGOS, "latitude", "longitude", "blockNumber", "stationNumber"})
"""Elements that :func:`station` looks at."""


@dataclass(frozen=True)
class Station:
    """``identifier`` of a station with its ``number`` (that of WMO where it has one), ``time``, ``lat`` and ``lon``."""

    identifier: str
    number: int
    time: np.datetime64
    lat: float
    lon: float

    @property
    def vessel(self) -> str:
        """``ship`` or ``buoy``: buoys are numbered, ships have call signs."""
        return "buoy" if self.identifier.isdecimal() else "ship"


def station(subset: Subset) -> Station:
    """Whose report a subset is: the first of each element counts, later ones are of levels or of other moments.

    A station without a name or number goes by its place.
    """
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
        return Station(f"{block:02.0f}{index:03.0f}", int(1000 * block + index), time, lat, lon)
    identifier = next((f"{given(name):.0f}" for name in _NUMBERS if given(name) == given(name)), "")
    if head.get(_WIGOS[-1]) and not identifier:
        identifier = "-".join([*(f"{given(name):.0f}" for name in _WIGOS[:-1]), str(head[_WIGOS[-1]])])
    identifier = identifier or next((str(head[name]) for name in _TEXTS if head.get(name)), "")
    identifier = identifier or f"{lat:.2f} {lon:.2f}"
    return Station(identifier, number_of(identifier), time, lat, lon)
