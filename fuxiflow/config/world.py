"""The embedded world: its nature run, its analyses, and how it is observed."""

from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from fuxiflow.config import sources
from fuxiflow.config.base import Day, Fraction, GridSize, Period, Positive, Section

SPEEDY_PARAMETERS = (
    "convection.trcnv",
    "convection.rhil",
    "convection.rhbl",
    "convection.entmax",
    "convection.smf",
    "condensation.trlsc",
    "condensation.rhlsc",
    "shortwave_radiation.albcl",
    "shortwave_radiation.absdry",
    "shortwave_radiation.abswv1",
    "shortwave_radiation.abswv2",
    "shortwave_radiation.ablwin",
    "shortwave_radiation.ablwv1",
    "shortwave_radiation.ablwv2",
    "shortwave_radiation.rhcl1",
    "shortwave_radiation.clsmax",
    "surface_flux.cdl",
    "surface_flux.cds",
    "surface_flux.chl",
    "surface_flux.chs",
    "surface_flux.vgust",
    "vertical_diffusion.trshc",
    "vertical_diffusion.trvdi",
    "vertical_diffusion.trvds",
)
"""Parameters of SPEEDY's schemes that a forecast model may change, by jcm's names."""


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


class ImperfectModel(Section):
    """Differences of the model of the embedded world's forecasts from that of its truth."""

    time_step_minutes: Positive | None = None
    """Time step in minutes, which divides 6 h; by default that of the nature run."""
    diffusion: float = Field(1.0, gt=0)
    """Factor of the rates of all horizontal diffusion."""
    physics: dict[str, float] = {}
    """Factors of parameters of SPEEDY's physics, by scheme and name as in ``convection.trcnv``."""

    @field_validator("physics")
    @classmethod
    def _known(cls, factors: dict[str, float]):
        for name, factor in factors.items():
            if name not in SPEEDY_PARAMETERS:
                raise ValueError(
                    f"{name}: unknown parameter, allowed: {', '.join(SPEEDY_PARAMETERS)}"
                )
            if factor <= 0:
                raise ValueError(f"{name}: {factor}, allowed: greater than 0")
        return factors

    @model_validator(mode="after")
    def _divides(self):
        if self.time_step_minutes and 360 % self.time_step_minutes:
            raise ValueError(
                f"time_step_minutes: {self.time_step_minutes}, allowed: divisors of 360"
            )
        return self


class Gfs(Analyses):
    """Errors of the embedded world's GFS analyses, and its ten-day forecasts."""

    error: Fraction = 0.35
    """Correlated error, as a fraction of the nature run's day-to-day differences."""
    forecast_interval_hours: int = Field(72, gt=0, multiple_of=12)
    """Hours between the forecasts that are integrated, a multiple of 12."""
    model: ImperfectModel = ImperfectModel()
    """Model of the forecasts; by default that of the truth, a perfect twin."""


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


class Radiances(Section):
    """Radiances of the embedded world; by default the assimilation's own operator makes them."""

    absorption: Literal["R19", "R20"] = "R19"
    """Rosenkranz's absorption model: of 2019, which the assimilation's operator has, or of 2020."""
    cloud_water: Fraction = 0.0
    """Droplets of saturated air, as a fraction of its saturation specific humidity."""
    rough_sea: bool = False
    """Whether the wind at 10 m roughens the sea and covers it with foam."""
    land_emissivity: Fraction = 0.95
    """Emissivity of land; the assimilation's operator has 0.95."""
    sea_ice_emissivity: Fraction = 0.9
    """Emissivity of sea ice; the assimilation's operator has 0.90."""
    representativeness: float = Field(0.0, ge=0)
    """Standard deviation of correlated errors, as a multiple of the channels' ``noise``."""
    channel_correlation: Fraction = 0.5
    """Correlation of these errors between the channels of a source."""
    length_km: float = Field(300.0, gt=0)
    """Length in km over which these errors are alike."""
    hours: float = Field(6.0, gt=0)
    """Hours over which these errors are alike."""


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
    error_days: Positive = 40
    """Days at the end of the spin-up whose day-to-day differences are patterns of analysis error.

    With 365 or more, an analysis errs as the weather of its season did a year before."""
    granule_minutes: Positive = 60
    """Length of a level-1 file in minutes; real ones hold half a minute."""
    radiances: Radiances = Radiances()
    """How radiances are made of the truth."""
    swaths: dict[str, ObservedSwaths] = {}
    """By source that scans swaths, how it is observed."""
    networks: dict[str, ObservedNetwork] = {}
    """By source of reports, how it is observed."""
    occultations: dict[str, ObservedOccultations] = {}
    """By source of occultations, how it is observed."""

    @model_validator(mode="after")
    def _reaches_back(self):
        # differences need a day more, and a tenth of the spin-up is thrown away
        least = -(-10 * (self.error_days + 1) // 9)
        # by default they reach as far back as a short spin-up allows
        beyond_default = self.error_days > type(self).model_fields["error_days"].default
        if beyond_default and self.spinup_days < least:
            raise ValueError(
                f"spinup_days: {self.spinup_days}, allowed: {least} or more with error_days "
                f"{self.error_days}"
            )
        return self

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
