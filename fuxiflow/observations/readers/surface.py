"""Reports from land stations, ships and buoys in WMO BUFR: SYNOP, SHIP, BUOY and what has followed them.

Formats: WMO-No. 306, Volume I.2, Part B, Table D: 3-07-005 … 3-07-096 (land), 3-08-003 … 3-08-015 (sea), 3-15-008 and
3-15-009 (buoys), and the templates of centres, as their elements are looked up by name and not by place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fuxiflow import physics
from fuxiflow.observations import bufr, elements
from fuxiflow.observations.readers import reports
from fuxiflow.observations.readers.granule import Granule, known_channels
from fuxiflow.observations.readers.reports import Collector, Report
from fuxiflow.observations.readers.stations import IDENTITY, Station, station
from fuxiflow.observations.rejection_codes import Reason

VARIANTS = ("land", "sea")
LAND_CHANNELS = ("T2M", "R2M", "U10", "V10", "PS", "MSL")
SEA_CHANNELS = (*LAND_CHANNELS, "SST")
"""K, %, m s-1, m s-1, Pa, Pa, K."""
LAND, SEA = 0, 1  # data category, BUFR Table A

SCREEN = (1.0, 40.0)
"""Heights of thermometers above ground or deck, m, whose readings count as those at 2 m; ships' are high up."""
MAST = (2.0, 60.0)
"""Heights of anemometers above ground or deck, m, whose readings count, unreduced, as those at 10 m."""
DEPTH = 5.0
"""Depth in m down to which water is at the temperature of its surface."""
MAX_SPEED = 150.0
"""m s-1: no wind near the ground was ever as strong."""
_MEAN = (
    4.0,
)  # first-order statistics, code table 0-08-023: what is no mean is no observation of the moment

_HEIGHTS = frozenset({"heightOfSensorAboveLocalGroundOrDeckOfMarinePlatform", "heightAboveStation"})
_DEPTHS = frozenset({"depthBelowWaterSurface", "depthBelowSeaWaterSurface"})
_QUANTITIES = {  # ecCodes' names: what they are
    "airTemperatureAt2M": "temperature",
    "airTemperature": "temperature",
    "dewpointTemperatureAt2M": "dew_point",
    "dewpointTemperature": "dew_point",
    "relativeHumidity": "humidity",
    "windDirectionAt10M": "direction",
    "windDirection": "direction",
    "windSpeedAt10M": "speed",
    "windSpeed": "speed",
    "nonCoordinatePressure": "pressure",
    "pressureReducedToMeanSeaLevel": "sea_level_pressure",
    "oceanographicWaterTemperature": "water",
    "seaSurfaceTemperature": "water",
}
_PLACES = dict.fromkeys(("temperature", "dew_point", "humidity"), SCREEN) | dict.fromkeys(
    ("direction", "speed"), MAST
)
NAMES = tuple(dict.fromkeys(_QUANTITIES.values()))
_WANTED = (
    IDENTITY | _HEIGHTS | _DEPTHS | frozenset({"firstOrderStatistics"}) | frozenset(_QUANTITIES)
)


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Land stations, platform ``land``, or what is at ``sea``, platforms ``ship`` and ``buoy``; see
    :func:`fuxiflow.observations.readers.read`."""
    category, known = (LAND, LAND_CHANNELS) if variant == "land" else (SEA, SEA_CHANNELS)
    chosen = known_channels(channels, known, "surface reports have")
    collector = Collector(channels)
    with bufr.Decoder(decode) as decoder:
        for path in map(Path, files):
            found = [
                (place, raw, reports.about(message))
                for message, result in reports.decoded(path, decoder, collector, category)
                for place, raw in result
            ]
            values = convert(np.array([raw for _, raw, _ in found]).reshape(-1, len(NAMES)))[
                :, chosen
            ]
            for (place, _, period), row in zip(found, values, strict=True):
                platform = "land" if category == LAND else place.vessel
                if platform not in platforms:
                    collector.refuse(
                        path.name,
                        Reason.PLATFORM,
                        f"{platform}, expected {', '.join(platforms)}",
                        1,
                    )
                    continue
                collector.add(
                    path.name,
                    Report(
                        place.time, place.lat, place.lon, platform, place.identifier, row, period
                    ),
                )
            yield from collector.granules()
    yield from collector.granules(rest=True)


def decode(data: bytes) -> list[tuple[Station, tuple[float, ...]]]:
    """Where, when and what (:data:`NAMES`, SI units) of every subset of a message."""
    return [(station(subset), observed(subset)) for subset in elements.subsets(data, _WANTED)]


def observed(subset: elements.Subset) -> tuple[float, ...]:
    """The first value of each of :data:`NAMES` that is one of the moment, and at a height or depth that will do."""
    found: dict[str, float] = {}
    height = depth = statistics = np.nan
    for name, value in subset:
        if name in _HEIGHTS:
            height = value
        elif name in _DEPTHS:
            depth = value
        elif name == "firstOrderStatistics":
            statistics = value
        elif (
            name in _QUANTITIES
            and value == value
            and (statistics != statistics or statistics in _MEAN)
        ):
            quantity = _QUANTITIES[name]
            low, high = _PLACES.get(quantity, (-np.inf, np.inf))
            too_deep = quantity == "water" and depth > DEPTH
            if quantity not in found and not (height < low or height > high or too_deep):
                found[quantity] = value
    return tuple(found.get(name, np.nan) for name in NAMES)


def convert(raw: np.ndarray) -> np.ndarray:
    """Values ``(n, channel)`` of :data:`SEA_CHANNELS` from ``raw`` ``(n, name)`` of :data:`NAMES`.

    Humidity is that of the dew point, or else the one reported; winds of impossible speed or direction are missing.
    """
    temperature, dew_point, humidity, direction, speed, pressure, sea_level, water = raw.T
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        of_dew_point = physics.relative_humidity_of_dew_point(dew_point, temperature)
        reported = physics.relative_humidity_of_reported(humidity, temperature)
        possible = (speed >= 0) & (speed <= MAX_SPEED) & (direction >= 0) & (direction <= 360)
    u, v = physics.wind_components(
        np.where(possible, direction, np.nan), np.where(possible, speed, np.nan)
    )
    relative = np.where(np.isfinite(of_dew_point), of_dew_point, reported)
    return np.stack([temperature, relative, u, v, pressure, sea_level, water], axis=1)
