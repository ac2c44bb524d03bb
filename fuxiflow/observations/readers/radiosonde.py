"""Soundings by radiosonde in WMO BUFR: TEMP, TEMP SHIP, TEMP MOBIL and dropsondes.

Formats: WMO-No. 306, Volume I.2, Part B, Table D: 3-09-007 (as centres make of text bulletins), 3-09-052, 3-09-053 and
3-09-057 (high resolution); elements are looked up by name and level.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.observations import bufr, elements
from fuxiflow.observations.profiles import at_levels
from fuxiflow.observations.readers import reports
from fuxiflow.observations.readers.granule import Granule, known_channels
from fuxiflow.observations.readers.reports import Collector, Report
from fuxiflow.observations.readers.stations import IDENTITY, Station, station
from fuxiflow.observations.rejection_codes import Reason

VARIABLES = ("Z", "T", "U", "V", "R")
"""m2 s-2, K, m s-1, m s-1, %."""
# all but 600 hPa are mandatory levels of a TEMP
CHANNELS = tuple(f"{variable}{level}" for variable in VARIABLES for level in PRESSURE_LEVELS)
PLATFORM = "radiosonde"
CATEGORY = 2  # BUFR Table A: vertical soundings, other than satellite
MAX_SPEED = 150.0
"""m s-1: no jet was ever as strong."""

_SURFACE = {
    "verticalSoundingSignificance": 64,
    "extendedVerticalSoundingSignificance": 131072,
}  # bit 1 of 7, of 18
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
_QUANTITIES = {
    "nonCoordinateGeopotential": ("geopotential", 1.0),
    "nonCoordinateGeopotentialHeight": ("geopotential", physics.GRAVITY),
    "airTemperature": ("temperature", 1.0),
    "dewpointTemperature": ("dew_point", 1.0),
    "relativeHumidity": ("humidity", 1.0),
    "windDirection": ("direction", 1.0),
    "windSpeed": ("speed", 1.0),
}
_WANTED = IDENTITY | frozenset({"pressure", *_SURFACE, *_QUANTITIES})
_NAME = re.compile(r"([A-Z])(\d+)")


def read(
    files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> Iterator[Granule]:
    """Soundings, platform ``radiosonde``, at the time of launch and the place of the station, with the 13 levels of the
    state; see :func:`fuxiflow.observations.readers.read` and :func:`fuxiflow.observations.profiles.at_levels`."""
    known_channels(channels, CHANNELS, "soundings have")
    collector = Collector(channels)
    with bufr.Decoder(decode) as decoder:
        for path in map(Path, files):
            for message, result in reports.decoded(path, decoder, collector, CATEGORY):
                if PLATFORM not in platforms:
                    why = f"{PLATFORM}, expected {', '.join(platforms)}"
                    collector.refuse(path.name, Reason.PLATFORM, why, len(result))
                    continue
                for place, levels in result:
                    values = sounding(levels, channels)
                    collector.add(
                        path.name,
                        Report(
                            place.time,
                            place.lat,
                            place.lon,
                            PLATFORM,
                            place.identifier,
                            values,
                            reports.about(message),
                        ),
                    )
            yield from collector.granules()
    yield from collector.granules(rest=True)


def decode(data: bytes) -> list[tuple[Station, np.ndarray]]:
    """Who, where, when, and the levels ``(n, 8)`` of every subset of a message: pressure (Pa), whether it is the
    surface, geopotential (m2 s-2), temperature, dew point (K), humidity (%), wind direction (degrees) and speed."""
    return [(station(subset), _levels(subset)) for subset in elements.subsets(data, _WANTED)]


def _levels(subset: elements.Subset) -> np.ndarray:
    """The levels of a subset. One begins with its pressure; its significance may stand before it or after."""
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
            if rows[-1][column] != rows[-1][column]:
                rows[-1][column] = factor * value
    return np.array(rows, float).reshape(-1, len(_LEVEL))


def sounding(levels: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Values of ``channels`` (m,) from the ``levels`` of a report as :func:`decode` gives them.

    What is reported below the ground, extrapolated, is not used; neither are winds of impossible speed or direction.
    Humidity is that of the dew point, or else the one reported, at the levels that have it, and interpolated thence.
    """
    pressure, surface, geopotential, temperature, dew_point, humidity, direction, speed = levels.T
    grounds = pressure[surface == 1] if (surface == 1).any() else pressure[np.isfinite(temperature)]
    ground = np.nanmax(grounds) if np.isfinite(grounds).any() else np.inf
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        of_dew_point = physics.relative_humidity_of_dew_point(dew_point, temperature)
        reported = physics.relative_humidity_of_reported(humidity, temperature)
        possible = (speed >= 0) & (speed <= MAX_SPEED) & (direction >= 0) & (direction <= 360)
        above = pressure <= ground
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
    found = at_levels(
        np.array(PRESSURE_LEVELS, float),
        pressure / 100.0,
        {name: np.where(above, values, np.nan) for name, values in quantities.items()},
    )
    names = [_NAME.fullmatch(name) for name in channels]
    return np.array([found[name[1]][PRESSURE_LEVELS.index(int(name[2]))] for name in names])
