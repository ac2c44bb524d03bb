"""Observation sources as data: a YAML file under ``config/sources`` for each instrument."""

from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from fuxiflow import ROOT
from fuxiflow.config.base import Section, complaints, did_you_mean, read_yaml

DIRECTORY = ROOT / "config" / "sources"
BRIGHTNESS_RANGE = (50.0, 350.0)  # K; FuXiWeather2, arXiv 2603.15358
MAX_Z = {"radiances": 6.0, "others": 4.0}  # the same
# m/s: the ground track of satellites at 800 km moves at 6.7 km/s, and the edges of their swaths
# somewhat faster; a fast ship makes 20
MAX_SPEED = {"radiances": 9000.0, "others": 30.0}

CLOUD_FREQUENCIES = (23.8, 31.4)
"""GHz of the channels that tell clouds over the sea (fuxiflow.verification.cloud_screening)."""
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
    "nnja_ai.atms": "swaths",
    "nnja_ai.amsua": "swaths",
    "nnja_ai.mhs": "swaths",
    "nnja_ai.synop": "networks",
    "nnja_ai.radiosondes": "networks",
}
"""Readers of the formats that the embedded world writes, each with its section of ``world``."""


class SourceChannel(Section):
    """One channel of a radiometer, or one quantity of a report or profile."""

    name: str
    """Name of the channel, unique within the source."""
    frequency: str | None = None
    """Radiances: centre frequency in GHz, with side bands as 183.31+-1.0; default none."""
    wavenumber: float | None = Field(None, gt=0)
    """Infrared radiances: wavenumber in cm-1; default none."""
    polarisation: Literal["QV", "QH", "V", "H"] | None = None
    """Radiances: polarisation, Q for one that turns with the scan; default none."""
    height: float | None = None
    """Quantities of a profile: height in m; default none."""
    level: float | None = Field(None, gt=0)
    """Quantities of a report: pressure level in hPa; default none."""
    unit: str = "K"
    """Unit of its values, noise and limits."""
    noise: float | None = Field(None, gt=0)
    """Standard deviation of the random error, for the embedded world; default none."""
    valid_min: float | None = None
    """Least value that is an observation; by default that of ``quality``."""
    valid_max: float | None = None
    """Largest value that is an observation; by default that of ``quality``."""
    logarithmic: bool = False
    """Whether it is judged by its logarithm, as values over orders of magnitude should be."""

    @property
    def radiance(self) -> bool:
        """True for a channel of a radiometer."""
        return self.frequency is not None or self.wavenumber is not None


class Heights(Section):
    """Equally spaced heights of a series of channels, both ends included."""

    first: float
    """First height in m."""
    last: float
    """Last height in m."""
    count: int = Field(gt=1)
    """Number of heights."""

    def values(self) -> list[float]:
        """Return the heights in m."""
        return [
            self.first + i * (self.last - self.first) / (self.count - 1) for i in range(self.count)
        ]


class Quality(Section):
    """Limits of the quality control: plain ranges, and bi-weight z-scores by latitude band."""

    valid_min: float | None = None
    """Least value of channels that give none; by default 50 K of radiances, needed of others."""
    valid_max: float | None = None
    """Largest value of channels that give none; by default 350 K of radiances, needed of others."""
    max_z: float | None = Field(None, gt=0)
    """Most standard deviations from the bi-weight mean; default 6 of radiances, 4 of others."""
    max_speed: float | None = Field(None, gt=0)
    """Largest speed in m/s of a station or scan position; default 9000 (radiances), 30 (others)."""


class Gridding(Section):
    """The way from footprints that share a cell and an hour to one value."""

    method: Literal["mean", "whole"] = "mean"
    """Their mean by channel, or one of them whole: the most complete, then the nearest to the
    centre of the cell.

    Soundings and occultations are taken whole: no column has levels of two of them."""
    platforms: Literal["drawn", "merged"] = "drawn"
    """Footprints of one platform, drawn at random, or of all platforms together."""


class Orbit(Section):
    """A circular orbit, for the embedded world."""

    catalogue_number: int
    """Number in the NORAD satellite catalogue."""
    inclination: float
    """Inclination in degrees."""
    ascending_node_hour: float
    """Mean local time of the ascending node in hours; on 2022-01-01 if not sun-synchronous."""
    revolutions_per_day: float
    """Revolutions a day."""
    phase: float = Field(0.0, ge=0, lt=360)
    """Degrees that the satellite is past the ascending node at 00 UTC of 2022-01-01."""


class Platform(Section):
    """The satellite or network that carries an instrument; its name alone will do."""

    name: str
    """Name in WMO OSCAR. Files of other platforms are refused."""
    orbit: Orbit | None = None
    """Orbit on which the embedded world flies it; by default it does not fly."""
    since: date | None = None
    """First day with data in the archives; by default there is no first day.

    Nothing is asked for from before. The embedded world does not look at it."""
    until: date | None = None
    """Last day with data in the archives; by default there is no last day."""

    @model_validator(mode="after")
    def _check(self):
        if self.since and self.until and self.since > self.until:
            raise ValueError(
                f"{self.name} is there since {self.since} until {self.until}, "
                "allowed: since before until"
            )
        return self


class Source(Section):
    """An instrument on one or several platforms, or a kind of report."""

    name: str
    """Name of the file without ``.yaml``; it is not given in the file."""
    long_name: str
    """Name in figures."""
    group: str
    """Group of the papers that the source belongs to."""
    instrument: str
    """Instrument whose scan geometry and observation operator apply."""
    quantity: Literal["brightness_temperature", "antenna_temperature"] | None = None
    """Quantity of radiances; default none. The sources of a group never mix the two.

    Antenna temperatures lack the correction of the antenna's side lobes."""
    antenna_patterns: str | None = None
    """Folder of pattern coefficients, ``*.ACCoeff.nc``, one file a platform; by default none.

    With it the files' antenna temperatures are corrected to brightness temperatures."""
    platforms: list[Platform] = Field(min_length=1, max_length=100)
    """Platforms: names, or name and orbit where the embedded world is to fly it."""
    reader: str
    """Module of ``fuxiflow.observations.readers``, or ``module.variant`` of its ``VARIANTS``."""
    file_pattern: str
    """Names of the files: shell wildcards and ``{a,b}``."""
    window: tuple[int, int] = (-3, 5)
    """Hours about the analysis time whose observations enter the analysis, end excluded."""
    frame: Literal["hourly", "single"] = "hourly"
    """Whether observations enter hour by hour, or all in one frame with their time beside them.

    ``single`` is for scattered profiles: each place is seen once."""
    channels: list[SourceChannel] = Field(min_length=1)
    """Channels in instrument order, one by one or as series.

    A series is ``{prefix: T, levels: [500, 850], unit: K}`` for T500 and T850, or has ``heights``
    with ``first``, ``last`` and ``count``."""
    quality: Quality = Quality()
    """Limits of the quality control."""
    gridding: Gridding = Gridding()
    """Way from footprints to cells."""

    @field_validator("platforms", mode="before")
    @classmethod
    def _names_alone(cls, value):
        """Turn names alone into platforms."""
        if not isinstance(value, list):
            return value
        return [{"name": entry} if isinstance(entry, str) else entry for entry in value]

    @field_validator("channels", mode="before")
    @classmethod
    def _expanded(cls, value):
        """Turn series into channels one by one; a single series needs no list."""
        entries = [value] if isinstance(value, dict) else value
        return (
            [channel for entry in entries for channel in _channels(entry)]
            if isinstance(entries, list)
            else entries
        )

    @model_validator(mode="after")
    def _check(self):
        if self.antenna_patterns and self.quantity != "brightness_temperature":
            raise ValueError(
                f"quantity: {self.quantity}, allowed with antenna_patterns: brightness_temperature"
            )
        if mistakes := [*self._repetitions(), *self._impossible_ranges()]:
            raise ValueError("\n".join(mistakes))
        return self

    def _repetitions(self) -> Iterator[str]:
        """Say which names stand twice, and that a window holds no hour."""
        for key, names in (("channels", self.channel_names), ("platforms", self.platform_names)):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                yield f"{key}: {', '.join(twice)} given more than once, allowed: each name once"
        if not self.window[0] < self.window[1]:
            yield f"window: {list(self.window)} has no hour, allowed: start before end"

    def _impossible_ranges(self) -> Iterator[str]:
        """Say which channels have no valid range, or one without values."""
        for channel in self.channels:
            low, high = self._range(channel)
            if low is None or high is None:
                yield (
                    f"channels: {channel.name} has no valid_min and valid_max, which all but "
                    f"radiances need, there or in quality"
                )
            elif not low < high or (channel.logarithmic and low <= 0):
                least = ", which has to be above 0 for its logarithm" if channel.logarithmic else ""
                yield f"channels: {channel.name} has the valid range {low:g} … {high:g}{least}"

    def _range(self, channel: SourceChannel) -> tuple[float | None, float | None]:
        """Return the least and largest valid value: the channel's, the source's, the default."""
        default = BRIGHTNESS_RANGE if channel.radiance else (None, None)
        limits = []
        for name, last in zip(("valid_min", "valid_max"), default, strict=True):
            values = (getattr(channel, name), getattr(self.quality, name), last)
            limits.append(next((value for value in values if value is not None), None))
        return tuple(limits)

    @property
    def pattern_files(self) -> list[Path]:
        """Files of pattern coefficients, sorted; none where no folder is named.

        FileNotFoundError where the folder has none.
        """
        if self.antenna_patterns is None:
            return []
        files = sorted(Path(self.antenna_patterns).glob("*.ACCoeff.nc"))
        if not files:
            raise FileNotFoundError(
                f"source {self.name}: {self.antenna_patterns} has no *.ACCoeff.nc; bring the files "
                "of its platforms there, or take antenna_patterns away"
            )
        return files

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
        """For each channel, whether it is judged by its logarithm."""
        return [channel.logarithmic for channel in self.channels]

    @property
    def max_z(self) -> float:
        """The largest bi-weight z-score: that of ``quality``, else the papers' for the kind."""
        return MAX_Z[self._kind] if self.quality.max_z is None else self.quality.max_z

    @property
    def max_speed(self) -> float:
        """The largest speed in m/s of a station, or of one position of a scan on the ground."""
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
        """True if all channels are heights of a profile, as an occultation's are."""
        return all(channel.height is not None for channel in self.channels)

    @property
    def stationed(self) -> bool:
        """True where reports come from stations, ships or radiosondes that have names."""
        return self._kind != "radiances" and not self.profile

    @property
    def cloud_channels(self) -> tuple[int, int] | None:
        """Positions of the channels at :data:`CLOUD_FREQUENCIES`; None without both."""
        whole = [
            float(channel.frequency)
            if channel.frequency and "+-" not in channel.frequency
            else None
            for channel in self.channels
        ]
        if not set(CLOUD_FREQUENCIES) <= set(whole):
            return None
        low, high = map(whole.index, CLOUD_FREQUENCIES)
        return low, high

    @property
    def comparable(self) -> bool:
        """True where observations are compared with states: radiances where they tell clouds."""
        return self.stationed or self.profile or self.cloud_channels is not None

    @property
    def flown(self) -> list[Platform]:
        """The platforms that the embedded world flies: those with an orbit."""
        return [platform for platform in self.platforms if platform.orbit is not None]

    def flying(self, names: list[str] | None) -> list[Platform]:
        """Return those of :attr:`flown` with these names, or all; ValueError when none flies."""
        flying = [platform for platform in self.flown if names is None or platform.name in names]
        if not flying:
            raise ValueError(
                f"source {self.name}: config/sources/{self.name}.yaml has no orbit to simulate it "
                f"on for {', '.join(names or self.platform_names)}"
            )
        return flying

    def days_flown(self, first: date, last: date) -> tuple[date, date] | None:
        """Return the part of some days in which a platform has data; None where none has."""
        spans = self.platform_days(first, last).values()
        if not spans:
            return None
        return min(start for start, _ in spans), max(end for _, end in spans)

    def platform_days(self, first: date, last: date) -> dict[str, tuple[date, date]]:
        """Return the part of some days in which each platform has data, without those with none."""
        spans = {
            platform.name: (max(first, platform.since or first), min(last, platform.until or last))
            for platform in self.platforms
        }
        return {name: (start, end) for name, (start, end) in spans.items() if start <= end}

    def described(self, keys: set[str]) -> dict:
        """Return some keys as plain values, without days of platforms: they change no result."""
        days = {"since", "until"}
        return self.model_dump(mode="json", include=keys, exclude={"platforms": {"__all__": days}})

    @property
    def simulated_as(self) -> str | None:
        """The one of :data:`SECTIONS` that the source belongs to; None where none can make it."""
        section = SIMULATED.get(self.reader)
        return section if section == "networks" or self.flown else None


def _channels(entry) -> Iterator:
    """Yield a channel as it is, or those of a series.

    A series has a ``prefix``, ``heights`` or ``levels``, and what its channels share. The channels
    of ``{prefix: T, levels: [500, 850], unit: K}`` are T500 and T850; names hold whole m or hPa.
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
    """Return the names of all sources that have a file."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def read_source(path: Path) -> Source:
    """Read a source's file; ValueError has a line for each mistake, with the file and the key."""
    path = Path(path)
    try:
        values = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected keys with values")
    if "name" in values:
        raise ValueError(f"{path}: name: {values['name']!r}, allowed: none, as the file's counts")
    try:
        return Source.model_validate({"name": path.stem} | values)
    except ValidationError as error:
        lines = complaints(error, Source)
        raise ValueError("\n".join(f"{path}: {line}" for line in lines)) from error


@cache
def load_source(name: str) -> Source:
    """Read the source called ``name``; KeyError lists those there are."""
    path = DIRECTORY / f"{name}.yaml"
    if not path.exists():
        names = source_names()
        raise KeyError(
            f"unknown source {name!r}; known: {', '.join(names)}{did_you_mean(name, names)}"
        )
    return read_source(path)


def paths_by_source(names: list[str], paths: list[Path]) -> dict[str, list[Path]]:
    """Sort paths ``…/{source}/{file}`` by source."""
    return {name: [path for path in paths if path.parent.name == name] for name in names}
