"""The embedded world: its nature run, its analyses, and how it is observed."""

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from fuxiflow.config import sources
from fuxiflow.config.base import Day, Fraction, GridSize, Period, Positive, Section


class Analyses(Section):
    """Errors of analyses of the embedded world, relative to its truth."""

    error: Fraction
    """Correlated error, as a fraction of the nature run's day-to-day differences."""
    low_level_error: Fraction | None = None
    """The same at the ground for temperature, humidity and wind; by default ``error``.

    In between it is linear in pressure from 500 hPa down."""
    warm_bias: float = Field(0.0, ge=0)
    """K by which the air at 2 m is too warm over land."""
    slow_bias: Fraction = 0.0
    """Fraction by which the wind at 10 m is too weak."""

    @property
    def errors(self) -> dict[str, float]:
        """The arguments of :class:`fuxiflow.world.analysis_errors.AnalysisErrors`."""
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
    """Correlated error, as a fraction of the nature run's day-to-day differences."""
    warm_bias: float = Field(0.8, ge=0)
    """K by which the air at 2 m is too warm over land."""
    slow_bias: Fraction = 0.1
    """Fraction by which the wind at 10 m is too weak."""


class Gfs(Analyses):
    """Errors of the embedded world's GFS analyses, and its ten-day forecasts."""

    error: Fraction = 0.35
    """Correlated error, as a fraction of the nature run's day-to-day differences."""
    forecast_interval_hours: int = Field(72, gt=0, multiple_of=12)
    """Hours between the forecasts that are integrated, a multiple of 12."""


class Observing(Section):
    """Settings of all sources of the embedded world: errors, outages, first and last day."""

    noise: float = Field(1.0, ge=0)
    """Random error, as a multiple of the channels' ``noise``."""
    outages: list[Period] = []
    """Periods without data."""
    start: Day | None = None
    """First day of the source; by default it is there from the beginning."""
    end: Day | None = None
    """Last day of the source; by default it stays to the end."""

    @model_validator(mode="after")
    def _lasts(self):
        if self.start and self.end and self.start > self.end:
            raise ValueError(
                f"start {self.start} is after end {self.end}, allowed: start up to end"
            )
        return self

    def observes(self, day: date) -> bool:
        """Return whether the source observes on a day: no outage, between ``start`` and ``end``."""
        if (self.start and day < self.start) or (self.end and day > self.end):
            return False
        return not any(outage.start <= day <= outage.end for outage in self.outages)


class Flying(Observing):
    """Settings of a source on satellites."""

    platforms: list[str] | None = Field(None, min_length=1)
    """Platforms that fly; by default all that have an orbit."""


class ObservedSwaths(Flying):
    """Swaths of one source, thinned and spoilt by the embedded world."""

    scan_stride: Positive = 1
    """Scans from one that is kept to the next."""
    field_of_view_stride: Positive = 1
    """Fields of view of a scan from one that is kept to the next."""


class ObservedNetwork(Observing):
    """A network of stations, or of ships and buoys."""

    stations: Positive = 500
    """Number of stations, or of ships and buoys."""
    interval_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 6
    """Hours between reports."""
    missing: Fraction = 0.02
    """Fraction of the reports that does not arrive."""


class ObservedOccultations(Flying):
    """Radio occultations of one source."""

    daily: Positive = 500
    """Occultations a day on each platform."""
    spacing_metres: Positive = Field(200, le=1500)
    """Distance in m between the levels in its files."""


class World(Section):
    """The embedded world: a nature run with jcm, and what is observed of it."""

    truncation: Literal[21, 31, 42] = 31
    """Spectral truncation of the nature run."""
    time_step_minutes: Positive = 30
    """Time step of the nature run in minutes."""
    spinup_days: Positive = 90
    """Days before the first that are thrown away, and those missing to the first of a month.

    The spin-up begins on that first of a month, from the climate of the month."""
    grid: GridSize = GridSize(nlat=49, nlon=96)
    """Grid of the raw files, poles included."""
    era5: Reanalysis = Reanalysis()
    """Errors of ERA5 as the embedded world publishes it."""
    gfs: Gfs = Gfs()
    """Errors of GFS as the embedded world publishes it, and its forecasts."""
    granule_minutes: Positive = 60
    """Length of a level-1 file in minutes; real ones hold half a minute."""
    swaths: dict[str, ObservedSwaths] = {}
    """By source that scans swaths, how it is observed."""
    networks: dict[str, ObservedNetwork] = {}
    """By source of reports, how it is observed."""
    occultations: dict[str, ObservedOccultations] = {}
    """By source of occultations, how it is observed."""

    def observing(self, source: sources.Source) -> Observing:
        """Return how a source is observed, by default values where nothing is said of it.

        ValueError when the embedded world cannot make the source.
        """
        kinds = {
            "swaths": ObservedSwaths,
            "networks": ObservedNetwork,
            "occultations": ObservedOccultations,
        }
        if source.simulated_as is None:
            raise ValueError(
                f"the embedded world cannot make {source.name}: it has no orbit, or no known format"
            )
        return getattr(self, source.simulated_as).get(source.name, kinds[source.simulated_as]())
