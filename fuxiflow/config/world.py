"""The embedded world, and simulated observations."""

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from fuxiflow.config import sources
from fuxiflow.config.base import Fraction, GridSize, Period, Positive, Section


class Analyses(Section):
    """Errors of analyses of the embedded world, relative to its truth.

    ``error`` scales day-to-day differences of the nature run, taken elsewhere in it; near the ground
    ``low_level_error``, by default as much, scales those of temperature, humidity and wind. ``warm_bias`` is by how
    many K the air at 2 m is too warm over land, ``slow_bias`` by which part the wind at 10 m is too weak.
    """

    error: Fraction
    low_level_error: Fraction | None = None
    warm_bias: float = Field(0.0, ge=0)
    slow_bias: Fraction = 0.0

    @property
    def errors(self) -> dict[str, float]:
        """What :class:`fuxiflow.world.analysis_errors.AnalysisErrors` is made of."""
        low = self.error if self.low_level_error is None else self.low_level_error
        return {
            "error": self.error,
            "low_level_error": low,
            "warm_bias": self.warm_bias,
            "slow_bias": self.slow_bias,
        }


class Reanalysis(Analyses):
    """Errors of the embedded world's ERA5."""

    error: Fraction = 0.1
    warm_bias: float = Field(0.8, ge=0)
    slow_bias: Fraction = 0.1


class Gfs(Analyses):
    """Errors of its GFS analyses, and hours between the ten-day forecasts that are integrated from them."""

    error: Fraction = 0.35
    forecast_interval_hours: int = Field(72, gt=0, multiple_of=12)


class Observing(Section):
    """What all sources of the embedded world have: errors, outages, and the first and the last day of a source that is
    not there all the time."""

    noise: float = Field(1.0, ge=0, description="multiple of the channels' noise")
    outages: list[Period] = []
    start: date | None = None
    end: date | None = None

    @model_validator(mode="after")
    def _lasts(self):
        if self.start and self.end and self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self

    def observes(self, day: date) -> bool:
        """Whether the source observes on a day: within ``start`` and ``end``, and in no outage."""
        if (self.start and day < self.start) or (self.end and day > self.end):
            return False
        return not any(outage.start <= day <= outage.end for outage in self.outages)


class Flying(Observing):
    """A source on satellites: those of its ``platforms`` that fly, by default all that have an orbit."""

    platforms: list[str] | None = Field(None, min_length=1)


class Swath(Flying):
    """How the embedded world thins and spoils the swaths of one source."""

    scan_stride: Positive = 1
    field_of_view_stride: Positive = 1


class Network(Observing):
    """How many stations, or ships and buoys, a source has, how often they report, and which share does not arrive."""

    stations: Positive = 500
    interval_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 6
    missing: Fraction = 0.02


class Occultations(Flying):
    """How many occultations a day a source has on each platform, and how far the levels in its files are apart."""

    daily: Positive = 500
    spacing_metres: Positive = Field(200, le=1500)


class World(Section):
    """The embedded world: a nature run with jcm, and what is observed of it."""

    truncation: Literal[21, 31, 42] = 31
    time_step_minutes: Positive = 30
    spinup_days: Positive = 90
    grid: GridSize = GridSize(nlat=49, nlon=96)
    era5: Reanalysis = Reanalysis()
    gfs: Gfs = Gfs()
    granule_minutes: Positive = 60
    swaths: dict[str, Swath] = {}
    networks: dict[str, Network] = {}
    occultations: dict[str, Occultations] = {}

    def observing(self, source: sources.Source) -> Observing:
        """How a source is observed; the defaults where nothing is said of it. ValueError when it cannot be."""
        kinds = {"swaths": Swath, "networks": Network, "occultations": Occultations}
        if source.simulated_as is None:
            raise ValueError(
                f"the embedded world cannot make {source.name}: it has no orbit, or no known format"
            )
        return getattr(self, source.simulated_as).get(source.name, kinds[source.simulated_as]())
