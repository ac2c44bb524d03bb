"""Reports from land stations, ships and buoys in WMO BUFR: SYNOP, SHIP, BUOY and their successors.

Formats: WMO-No. 306, Volume I.2, Part B, Table D: 3-07-005 … 3-07-096 (land), 3-08-003 … 3-08-015
(sea), 3-15-008 and 3-15-009 (buoys), and the templates of centres, as their elements are looked up
by name and not by place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fuxiflow import physics
from fuxiflow.observations.bufr_elements import Subset, element_subsets
from fuxiflow.observations.bufr_messages import BufrMessage, corrected_first
from fuxiflow.observations.decoding_process import DecodingProcess
from fuxiflow.observations.readers.granule import Granule, channel_indices
from fuxiflow.observations.readers.reports import (
    STATION_ELEMENTS,
    Report,
    ReportCollector,
    ReportingStation,
    messages_of_category,
    period_about,
    reporting_station,
)
from fuxiflow.observations.rejection_codes import Reason

VARIANTS = ("land", "sea")
LAND_CHANNELS = ("T2M", "R2M", "U10", "V10", "PS", "MSL")
SEA_CHANNELS = (*LAND_CHANNELS, "SST")
"""K, %, m s-1, m s-1, Pa, Pa, K."""
LAND, SEA = 0, 1  # data category, BUFR Table A

SCREEN = (1.0, 40.0)
"""Heights of thermometers above ground or deck, m, whose readings count as those at 2 m; ships' are
high up."""
MAST = (2.0, 60.0)
"""Heights of anemometers above ground or deck, m, whose readings count, unreduced, as those at
10 m."""
DEPTH = 5.0
"""Depth in m down to which water is at the temperature of its surface."""
MAX_SPEED = 150.0
"""m s-1: no wind near the ground was ever as strong."""
# first-order statistics, code table 0-08-023: what is no mean is no observation of the moment
_MEAN = (4.0,)

_HEIGHTS = frozenset({"heightOfSensorAboveLocalGroundOrDeckOfMarinePlatform", "heightAboveStation"})
_DEPTHS = frozenset({"depthBelowWaterSurface", "depthBelowSeaWaterSurface"})
# quantities by ecCodes' names of elements
_QUANTITIES = {
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
_HEIGHT_LIMITS = dict.fromkeys(("temperature", "dew_point", "humidity"), SCREEN) | dict.fromkeys(
    ("direction", "speed"), MAST
)
QUANTITIES = tuple(dict.fromkeys(_QUANTITIES.values()))
"""Quantities that are read from reports, in SI units and degrees; humidity in %."""
_SPEED, _DIRECTION = QUANTITIES.index("speed"), QUANTITIES.index("direction")
CHANNEL_QUANTITIES = {
    "T2M": ("temperature",),
    "R2M": ("temperature", "dew_point", "humidity"),
    "U10": ("direction", "speed"),
    "V10": ("direction", "speed"),
    "PS": ("pressure",),
    "MSL": ("sea_level_pressure",),
    "SST": ("water",),
}
"""Quantities without which a channel has no value; humidity has two ways."""
_ELEMENTS = (
    STATION_ELEMENTS
    | _HEIGHTS
    | _DEPTHS
    | frozenset({"firstOrderStatistics"})
    | frozenset(_QUANTITIES)
)


def read(
    variant: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read reports from land (platform ``land``) or from sea (platforms ``ship`` and ``buoy``).

    Parameters
    ----------
    variant : str
        One of :data:`VARIANTS`.
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`. Channels are :data:`LAND_CHANNELS` or
        :data:`SEA_CHANNELS`.

    Yields
    ------
    Granule
        Reports of many files each.
    """
    category, available = (LAND, LAND_CHANNELS) if variant == "land" else (SEA, SEA_CHANNELS)
    indices = channel_indices(channels, available, "surface reports have")
    collector = ReportCollector(channels)
    with DecodingProcess(decode_surface_reports) as process:
        for path in corrected_first(files):
            decoded = [
                (message, *report)
                for message, reports in messages_of_category(path, process, collector, category)
                for report in reports
            ]
            # one array for a file: numpy's calls cost more than their arithmetic
            table = np.array([observed for *_, observed, _ in decoded])
            table = table.reshape(-1, len(QUANTITIES))
            values = channel_values(table)[:, indices]
            lost_winds = np.isfinite(table[:, _SPEED]) & np.isfinite(table[:, _DIRECTION])
            lost_winds &= ~possible_winds(table[:, _SPEED], table[:, _DIRECTION])
            for (message, station, _, unusable), row, lost_wind in zip(
                decoded, values, lost_winds, strict=True
            ):
                platform = "land" if category == LAND else station.vessel
                if platform not in platforms:
                    why = f"{platform}, expected {', '.join(platforms)}"
                    collector.refuse(path.name, Reason.PLATFORM, why, 1)
                    continue
                report = Report(
                    station.time,
                    station.lat,
                    station.lon,
                    platform,
                    station.identifier,
                    row,
                    period_about(message, station.time),
                    height=station.height,
                    update=message.correction,
                )
                collector.add(path.name, report)
                collector.remark_on_date(path.name, message, station)
                unusable = unusable | (
                    dict.fromkeys(("direction", "speed"), Reason.IMPOSSIBLE) if lost_wind else {}
                )
                for channel, reason in _lost_channels(unusable, channels):
                    collector.lose(path.name, station.time, channel, reason)
            yield from collector.granules()
    yield from collector.granules(rest=True)


def _lost_channels(
    unusable: dict[str, Reason], channels: Sequence[str]
) -> Iterator[tuple[str, Reason]]:
    """Yield the channels that lack a value because quantities of a report are unusable."""
    for channel in channels:
        reason = next(
            (unusable[name] for name in CHANNEL_QUANTITIES[channel] if name in unusable), None
        )
        if reason is not None:
            yield channel, reason


def decode_surface_reports(
    data: bytes,
) -> list[tuple[ReportingStation, tuple[float, ...], dict[str, Reason]]]:
    """Decode every subset of a message.

    A subset gives its station, the values of :data:`QUANTITIES`, and the reasons for those that it
    has but that are not usable.
    """
    header = BufrMessage(0, data).header
    return [
        (reporting_station(subset, header), *observed_quantities(subset))
        for subset in element_subsets(data, _ELEMENTS)
    ]


def observed_quantities(subset: Subset) -> tuple[tuple[float, ...], dict[str, Reason]]:
    """Return the first usable value of each of :data:`QUANTITIES`, NaN where there is none.

    A value is usable when it is of the moment, and at a height or depth that will do. The reasons
    for quantities of which no value is usable are returned too.
    """
    observed: dict[str, float] = {}
    unusable: dict[str, Reason] = {}
    height = depth = statistics = np.nan
    for name, value in subset:
        if name in _HEIGHTS:
            height = value
        elif name in _DEPTHS:
            depth = value
        elif name == "firstOrderStatistics":
            statistics = value
        elif name in _QUANTITIES and value == value:  # not NaN
            quantity = _QUANTITIES[name]
            low, high = _HEIGHT_LIMITS.get(quantity, (-np.inf, np.inf))
            too_deep = quantity == "water" and depth > DEPTH
            if statistics == statistics and statistics not in _MEAN:
                unusable.setdefault(quantity, Reason.STATISTIC)
            elif height < low or height > high or too_deep:
                unusable.setdefault(quantity, Reason.HEIGHT)
            else:
                observed.setdefault(quantity, value)
    values = tuple(observed.get(name, np.nan) for name in QUANTITIES)
    return values, {name: why for name, why in unusable.items() if name not in observed}


def possible_winds(speed: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Mark the winds, in m s-1 and degrees, that can be."""
    with np.errstate(invalid="ignore"):
        return (speed >= 0) & (speed <= MAX_SPEED) & (direction >= 0) & (direction <= 360)


def channel_values(table: np.ndarray) -> np.ndarray:
    """Convert quantities ``(n, quantity)`` to values ``(n, channel)`` of :data:`SEA_CHANNELS`.

    ``table`` has the columns :data:`QUANTITIES`. Humidity is that of the dew point, or else the one
    reported; winds of impossible speed or direction are missing.
    """
    temperature, dew_point, humidity, direction, speed, pressure, sea_level, water = table.T
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        of_dew_point = physics.relative_humidity_of_dew_point(dew_point, temperature)
        reported = physics.relative_humidity_of_reported(humidity, temperature)
        possible = possible_winds(speed, direction)
    u, v = physics.wind_components(
        np.where(possible, direction, np.nan), np.where(possible, speed, np.nan)
    )
    relative = np.where(np.isfinite(of_dew_point), of_dew_point, reported)
    return np.stack([temperature, relative, u, v, pressure, sea_level, water], axis=1)
