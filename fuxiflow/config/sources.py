"""Observation sources as data: one YAML file under ``config/sources`` for each instrument or kind of report."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from fuxiflow import ROOT
from fuxiflow.config import base
from fuxiflow.config.base import Section, complaint

DIRECTORY = ROOT / "config" / "sources"
BRIGHTNESS_RANGE = (50.0, 350.0)  # K; FuXiWeather2, arXiv 2603.15358
MAX_Z = {"radiances": 6.0, "others": 4.0}  # the same
# m/s: the ground track of satellites at 800 km moves at 6.7 km/s, and the edges of their swaths somewhat faster; a fast
# ship makes 20
MAX_SPEED = {"radiances": 9000.0, "others": 30.0}

SECTIONS = ("swaths", "networks", "occultations")
SIMULATED = {
    "atms_sdr": "swaths",
    "bufr_sounder.amsua": "swaths",
    "bufr_sounder.mhs": "swaths",
    "fy3_hdf5.mwts3": "swaths",
    "fy3_hdf5.mwhs2": "swaths",
    "surface.land": "networks",
    "surface.sea": "networks",
    "radiosonde": "networks",
    "gnssro": "occultations",
}
"""Formats that the embedded world writes, by their reader, with the section of its configuration that is about them."""


class SourceChannel(Section):
    """One channel of a radiometer, with its ``frequency`` (GHz) or ``wavenumber`` (cm-1), or one quantity of a report,
    at a ``height`` (m) or pressure ``level`` (hPa) where it has one.

    ``noise`` is the standard deviation of its random error in its ``unit`` (the embedded world draws from it). Values
    outside ``valid_min`` … ``valid_max`` are no observations; where these are absent the source's ``quality`` counts.
    What spans orders of magnitude within a latitude band is judged by its logarithm, ``logarithmic``.
    """

    name: str
    frequency: str | None = None
    wavenumber: float | None = Field(None, gt=0)
    polarisation: Literal["QV", "QH", "V", "H"] | None = None
    height: float | None = None
    level: float | None = Field(None, gt=0)
    unit: str = "K"
    noise: float | None = Field(None, gt=0)
    valid_min: float | None = None
    valid_max: float | None = None
    logarithmic: bool = False

    @property
    def radiance(self) -> bool:
        """Whether this is a channel of a radiometer."""
        return self.frequency is not None or self.wavenumber is not None


class Heights(Section):
    """``count`` equally spaced heights in m, ``first`` and ``last`` among them."""

    first: float
    last: float
    count: int = Field(gt=1)

    def values(self) -> list[float]:
        """The heights."""
        return [
            self.first + i * (self.last - self.first) / (self.count - 1) for i in range(self.count)
        ]


class Quality(Section):
    """Limits of the quality control: a plain range for all channels that give none, and bi-weight z-scores in three
    latitude bands. Ranges default to those of brightness temperatures for radiances, and must be given for others;
    ``max_z`` to 6 for radiances and 4 for others, as the papers have it. ``max_speed`` (m/s) is what a station, or what
    one position of a scan sees, moves at most."""

    valid_min: float | None = None
    valid_max: float | None = None
    max_z: float | None = Field(None, gt=0)
    max_speed: float | None = Field(None, gt=0)


class Gridding(Section):
    """How footprints that share a cell and an hour become one value: those of one platform, drawn at random, or of all
    ``merged``; their mean, or the one nearest to the cell's centre."""

    method: Literal["mean", "nearest"] = "mean"
    platforms: Literal["drawn", "merged"] = "drawn"


class Orbit(Section):
    """A circular orbit, for the embedded world: ``ascending_node_hour`` is the mean local time of its ascending node,
    which stays on sun-synchronous orbits; elsewhere it is that of 2022-01-01. ``phase`` is how far, in degrees, the
    satellite is past that node at 00 UTC of that day."""

    catalogue_number: int
    inclination: float
    ascending_node_hour: float
    revolutions_per_day: float
    phase: float = Field(0.0, ge=0, lt=360)


class Platform(Section):
    """What carries an instrument, by its name in WMO OSCAR; with its ``orbit`` where the embedded world is to fly
    it."""

    name: str
    orbit: Orbit | None = None


class Source(Section):
    """An instrument on one or several platforms, or a kind of report.

    ``reader`` is a module of :mod:`fuxiflow.observations.readers`. ``window`` is the span of hours about the analysis
    time whose observations enter the analysis, [start, end); ``frame`` says whether they enter hour by hour or, as
    scattered profiles do, as one frame in which each place is seen once, with its time beside it. ``quantity`` says
    what the channels of a radiometer hold: antenna temperatures lack the correction of the antenna's side lobes, and a
    group never mixes the two.
    """

    name: str
    long_name: str
    group: str
    instrument: str
    quantity: Literal["brightness_temperature", "antenna_temperature"] | None = None
    platforms: list[Platform] = Field(min_length=1, max_length=100)
    reader: str
    file_pattern: str
    window: tuple[int, int] = (-3, 5)
    frame: Literal["hourly", "single"] = "hourly"
    channels: list[SourceChannel] = Field(min_length=1)
    quality: Quality = Quality()
    gridding: Gridding = Gridding()

    @field_validator("platforms", mode="before")
    @classmethod
    def _names_alone(cls, given):
        """A platform may be given by its name alone."""
        named = ({"name": entry} if isinstance(entry, str) else entry for entry in given)
        return list(named) if isinstance(given, list) else given

    @field_validator("channels", mode="before")
    @classmethod
    def _expanded(cls, given):
        """Channels one by one, where some are given as a series; a single series needs no list."""
        entries = [given] if isinstance(given, dict) else given
        return (
            [channel for entry in entries for channel in _channels(entry)]
            if isinstance(entries, list)
            else entries
        )

    @model_validator(mode="after")
    def _check(self):
        for key, names in (("channels", self.channel_names), ("platforms", self.platform_names)):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{key}: {', '.join(twice)} given more than once")
        if not self.window[0] < self.window[1]:
            raise ValueError(f"window: {list(self.window)} has no hour, allowed: start before end")
        for channel in self.channels:
            low, high = self._range(channel)
            if low is None or high is None:
                raise ValueError(
                    f"channels: {channel.name} has no valid_min and valid_max, which all but radiances "
                    f"need, there or in quality"
                )
            if not low < high or (channel.logarithmic and low <= 0):
                least = ", which has to be above 0 for its logarithm" if channel.logarithmic else ""
                raise ValueError(
                    f"channels: {channel.name} has the valid range {low:g} … {high:g}{least}"
                )
        return self

    def _range(self, channel: SourceChannel) -> tuple[float | None, float | None]:
        default = BRIGHTNESS_RANGE if channel.radiance else (None, None)
        chosen = []
        for name, last in zip(("valid_min", "valid_max"), default, strict=True):
            values = (getattr(channel, name), getattr(self.quality, name), last)
            chosen.append(next((value for value in values if value is not None), None))
        return tuple(chosen)

    @property
    def channel_names(self) -> list[str]:
        """Names of the channels in instrument order."""
        return [channel.name for channel in self.channels]

    @property
    def platform_names(self) -> list[str]:
        """Names of the platforms, in order."""
        return [platform.name for platform in self.platforms]

    @property
    def units(self) -> list[str]:
        """Units of the channels."""
        return [channel.unit for channel in self.channels]

    @property
    def valid_ranges(self) -> list[tuple[float, float]]:
        """Least and largest valid value of each channel."""
        return [self._range(channel) for channel in self.channels]

    @property
    def logarithmic(self) -> list[bool]:
        """Which channels are judged by their logarithm."""
        return [channel.logarithmic for channel in self.channels]

    @property
    def max_z(self) -> float:
        """The largest bi-weight z-score: that of ``quality``, else what the papers use for this kind of source."""
        return MAX_Z[self._kind] if self.quality.max_z is None else self.quality.max_z

    @property
    def max_speed(self) -> float:
        """The largest speed of a station, or of what one position of a scan sees, in m/s."""
        return MAX_SPEED[self._kind] if self.quality.max_speed is None else self.quality.max_speed

    @property
    def _kind(self) -> str:
        return "radiances" if all(channel.radiance for channel in self.channels) else "others"

    @property
    def noise(self) -> list[float]:
        """Noise of every channel; ValueError names the first that has none."""
        for channel in self.channels:
            if channel.noise is None:
                raise ValueError(
                    f"source {self.name}: channel {channel.name} has no noise to simulate it with"
                )
        return [channel.noise for channel in self.channels]

    @property
    def profile(self) -> bool:
        """Whether its channels are heights of a profile, as an occultation's are."""
        return all(channel.height is not None for channel in self.channels)

    @property
    def flown(self) -> list[Platform]:
        """The platforms that the embedded world flies: those with an orbit."""
        return [platform for platform in self.platforms if platform.orbit is not None]

    def flying(self, names: list[str] | None) -> list[Platform]:
        """Those of :attr:`flown` that are called ``names``, or all; ValueError when none flies."""
        found = [platform for platform in self.flown if names is None or platform.name in names]
        if not found:
            raise ValueError(
                f"source {self.name}: config/sources/{self.name}.yaml has no orbit to simulate it on for "
                f"{', '.join(names or self.platform_names)}"
            )
        return found

    @property
    def simulated_as(self) -> str | None:
        """Of :data:`SECTIONS` the one that the embedded world makes this source by; None where it cannot."""
        section = SIMULATED.get(self.reader)
        return section if section == "networks" or self.flown else None


def _channels(entry) -> Iterator:
    """One channel as it is, or those of a series: ``prefix`` and ``heights`` or ``levels``, and what all share.

    The channels of ``{prefix: T, levels: [500, 850], unit: K}`` are T500 and T850; names hold whole metres or hPa.
    """
    if not (isinstance(entry, dict) and "prefix" in entry):
        yield entry
        return
    shared = {
        key: value for key, value in entry.items() if key not in ("prefix", "heights", "levels")
    }
    if ("heights" in entry) == ("levels" in entry):
        raise ValueError(f"the series {entry['prefix']!r} needs either heights or levels")
    key = "height" if "heights" in entry else "level"
    places = (
        Heights.model_validate(entry["heights"]).values() if key == "height" else entry["levels"]
    )
    if not (isinstance(places, list) and all(isinstance(place, (int, float)) for place in places)):
        raise ValueError(f"the series {entry['prefix']!r} needs a list of numbers as levels")
    for place in places:
        yield {"name": f"{entry['prefix']}{place:.0f}", key: place, **shared}


def source_names() -> list[str]:
    """Names of all sources that have a file."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def read_source(path: Path) -> Source:
    """The source that a file describes; ValueError names the file and the key at fault."""
    path = Path(path)
    try:
        values = base.read_yaml(path)
        if not isinstance(values, dict):
            raise ValueError(f"{path}: expected keys with values")
        return Source(name=path.stem, **values)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{path}: {complaint(error)}") from error


@cache
def load_source(name: str) -> Source:
    """The source called ``name``; KeyError lists the known ones, ValueError names the file and key at fault."""
    path = DIRECTORY / f"{name}.yaml"
    if not path.exists():
        raise KeyError(f"unknown source {name!r}; known: {', '.join(source_names())}")
    return read_source(path)


def paths_by_source(names: list[str], paths: list[Path]) -> dict[str, list[Path]]:
    """Sort paths ``…/{source}/{file}`` by source."""
    return {name: [path for path in paths if path.parent.name == name] for name in names}
