"""Soundings by radiosonde in WMO BUFR: TEMP, TEMP SHIP, TEMP MOBIL and dropsondes.

Formats: WMO-No. 306, Volume I.2, Part B, Table D: 3-09-007 (as centres make of text bulletins),
3-09-052, 3-09-053 and 3-09-057 (high resolution); elements are looked up by name and level.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.observations.bufr_elements import Subset, element_subsets
from fuxiflow.observations.bufr_messages import BufrMessage, corrected_first
from fuxiflow.observations.decoding_process import DecodingProcess
from fuxiflow.observations.profiles import sounding_at
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

VARIABLES = ("Z", "T", "U", "V", "R")
"""m2 s-2, K, m s-1, m s-1, %."""
# all but 600 hPa are mandatory levels of a TEMP
CHANNELS = tuple(f"{variable}{level}" for variable in VARIABLES for level in PRESSURE_LEVELS)
PLATFORM = "radiosonde"
CATEGORY = 2  # BUFR Table A: vertical soundings, other than satellite
MAX_SPEED = 150.0
"""m s-1: no jet was ever as strong."""

# elements and their bits that mark a level as the surface: bit 1 of 7, of 18
_SURFACE = {
    "verticalSoundingSignificance": 64,
    "extendedVerticalSoundingSignificance": 131072,
}
_LEVEL = (
    "pressure",
    "surface",
    "geopotential",
    "temperature",
    "dew_point",
    "humidity",
    "direction",
    "speed",
)
# quantities by ecCodes' names of elements, and the factors to their units
_QUANTITIES = {
    "nonCoordinateGeopotential": ("geopotential", 1.0),
    "nonCoordinateGeopotentialHeight": ("geopotential", physics.GRAVITY),
    "airTemperature": ("temperature", 1.0),
    "dewpointTemperature": ("dew_point", 1.0),
    "relativeHumidity": ("humidity", 1.0),
    "windDirection": ("direction", 1.0),
    "windSpeed": ("speed", 1.0),
}
_ELEMENTS = STATION_ELEMENTS | frozenset({"pressure", *_SURFACE, *_QUANTITIES})
_NAME = re.compile(r"([A-Z])(\d+)")


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Read soundings, platform ``radiosonde``, interpolated to the pressure levels of the state.

    A sounding is at the time of launch and the place of the station; see
    :func:`fuxiflow.observations.profiles.sounding_at`.

    Parameters
    ----------
    files, platforms, channels
        See :func:`fuxiflow.observations.readers.read`. Channels are :data:`CHANNELS`.

    Yields
    ------
    Granule
        Soundings of many files each.
    """
    channel_indices(channels, CHANNELS, "soundings have")
    collector = ReportCollector(channels)
    with DecodingProcess(decode_soundings) as process:
        for path in corrected_first(files):
            for message, soundings in messages_of_category(path, process, collector, CATEGORY):
                if PLATFORM not in platforms:
                    why = f"{PLATFORM}, expected {', '.join(platforms)}"
                    collector.refuse(path.name, Reason.PLATFORM, why, len(soundings))
                    continue
                for station, levels in soundings:
                    report = Report(
                        station.time,
                        station.lat,
                        station.lon,
                        PLATFORM,
                        station.identifier,
                        sounding_values(levels, channels),
                        period_about(message, station.time),
                        height=station.height,
                        update=message.correction,
                    )
                    collector.add(path.name, report)
                    collector.remark_on_date(path.name, message, station)
                    for channel, reason in unusable_levels(levels, channels):
                        collector.lose(path.name, station.time, channel, reason)
            yield from collector.granules()
    yield from collector.granules(rest=True)


def decode_soundings(data: bytes) -> list[tuple[ReportingStation, np.ndarray]]:
    """Decode every subset of a message to its station and its levels ``(n, 8)``.

    The columns are pressure (Pa), whether the level is the surface, geopotential (m2 s-2),
    temperature and dew point (K), humidity (%), wind direction (degrees) and speed (m s-1).
    """
    header = BufrMessage(0, data).header
    return [
        (reporting_station(subset, header), _levels(subset))
        for subset in element_subsets(data, _ELEMENTS)
    ]


def _levels(subset: Subset) -> np.ndarray:
    """Return the levels ``(n, 8)`` of a subset.

    One begins with its pressure; its significance may stand before it or after.
    """
    rows: list[list[float]] = []
    surface = np.nan
    for name, value in subset:
        if name == "pressure":
            rows.append([value, surface] + [np.nan] * (len(_LEVEL) - 2))
            surface = np.nan
        elif name in _SURFACE:
            flag = float(bool(int(value) & _SURFACE[name])) if value == value else np.nan
            if name.startswith("extended"):
                surface = flag
            elif rows:
                rows[-1][1] = flag
        elif name in _QUANTITIES and rows:
            quantity, factor = _QUANTITIES[name]
            column = _LEVEL.index(quantity)
            if rows[-1][column] != rows[-1][column]:  # still NaN: the first value counts
                rows[-1][column] = factor * value
    return np.array(rows, float).reshape(-1, len(_LEVEL))


def _ground(levels: np.ndarray) -> float:
    """Return the pressure of the ground in Pa, infinite where ``levels`` ``(n, 8)`` do not tell.

    Without a level marked as the surface it is the highest pressure with a temperature.
    """
    pressure, surface, temperature = levels[:, 0], levels[:, 1], levels[:, 3]
    grounds = pressure[surface == 1] if (surface == 1).any() else pressure[np.isfinite(temperature)]
    return float(np.nanmax(grounds)) if np.isfinite(grounds).any() else np.inf


def unusable_levels(levels: np.ndarray, channels: Sequence[str]) -> Iterator[tuple[str, Reason]]:
    """Yield the channels whose level is reported but not used, with the reason.

    Values below the ground are extrapolated, and some winds cannot be.
    """
    columns = {"Z": (2,), "T": (3,), "U": (6, 7), "V": (6, 7), "R": (4, 5)}
    ground = _ground(levels)
    for channel in channels:
        name = _NAME.fullmatch(channel)
        rows = levels[levels[:, 0] == 100.0 * int(name[2])]
        rows = rows[np.isfinite(rows[:, columns[name[1]]]).any(axis=1)]
        if not len(rows):
            continue
        if rows[0, 0] > ground:
            yield channel, Reason.HEIGHT
        elif name[1] in "UV":
            direction, speed = rows[:, 6], rows[:, 7]
            wrong = (speed < 0) | (speed > MAX_SPEED) | (direction < 0) | (direction > 360)
            if wrong.all():
                yield channel, Reason.IMPOSSIBLE


def sounding_values(levels: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Compute the values ``(channel,)`` of a report from its ``levels`` ``(n, 8)``.

    ``levels`` are as :func:`decode_soundings` gives them. What is reported below the ground,
    extrapolated, is not used; neither are winds of impossible speed or direction. Humidity is that
    of the dew point, or else the one reported, at the levels that have it, and interpolated thence.
    """
    pressure, _, geopotential, temperature, dew_point, humidity, direction, speed = levels.T
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        of_dew_point = physics.relative_humidity_of_dew_point(dew_point, temperature)
        reported = physics.relative_humidity_of_reported(humidity, temperature)
        possible = (speed >= 0) & (speed <= MAX_SPEED) & (direction >= 0) & (direction <= 360)
        above = pressure <= _ground(levels)
    u, v = physics.wind_components(
        np.where(possible, direction, np.nan), np.where(possible, speed, np.nan)
    )
    quantities = {
        "Z": geopotential,
        "T": temperature,
        "U": u,
        "V": v,
        "R": np.where(np.isfinite(of_dew_point), of_dew_point, reported),
    }
    interpolated = sounding_at(
        np.array(PRESSURE_LEVELS, float),
        pressure / 100.0,
        {name: np.where(above, values, np.nan) for name, values in quantities.items()},
    )
    names = [_NAME.fullmatch(name) for name in channels]
    return np.array([interpolated[name[1]][PRESSURE_LEVELS.index(int(name[2]))] for name in names])
