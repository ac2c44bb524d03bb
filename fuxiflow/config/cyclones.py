"""Settings of the tracking of tropical cyclones, and of the errors of their tracks."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from fuxiflow.channels import channel_table
from fuxiflow.config.base import Positive, Section

if TYPE_CHECKING:
    from fuxiflow.config.configuration import Config


class Tracker(Section):
    """The tracker of cyclones in forecasts; the defaults are the papers', for 0.25 degrees.

    ECMWF's tracker, as FuXiWeather2 uses it (arXiv 2603.15358): van der Grijn (2002), ECMWF
    Newsletter 95; Magnusson et al. (2021), ECMWF Technical Memorandum 888.
    """

    search_km: float = Field(445.0, gt=0, le=3000)
    """Radius in km about the guess within which the minimum of pressure is sought."""
    choice: Literal["lowest", "nearest"] = "lowest"
    """The minimum in the radius that is tried first: the lowest, or that nearest to the guess.

    The first position is always the lowest one."""
    vorticity: float = Field(5.0e-5, ge=0)
    """Least cyclonic relative vorticity in s-1, of either hemisphere."""
    vorticity_level: int = 850
    """Pressure level in hPa of that vorticity."""
    vorticity_km: float = Field(278.0, gt=0, le=3000)
    """Radius in km about the centre within which the vorticity is reached."""
    land_wind: float = Field(8.0, ge=0)
    """Wind at 10 m in m s-1 that a storm over land exceeds."""
    land_fraction: float = Field(0.5, ge=0, le=1)
    """Fraction of land of the centre's cell from which a storm is over land."""
    wind_km: float = Field(278.0, gt=0, le=3000)
    """Radius in km about the centre of the strongest wind at 10 m."""
    terrain: float | None = Field(1000.0, gt=0)
    """Height of the ground in m above which a track stops; null for no such limit."""
    steering_levels: list[int] = Field([200, 500, 700, 850], min_length=1)
    """Pressure levels in hPa of the winds whose mean carries the guess."""
    steering_km: float = Field(445.0, gt=0, le=3000)
    """Radius in km about the centre over which those winds are averaged.

    The storm's own winds cancel in the mean. The papers do not say over what it is taken."""
    extrapolation: float = Field(0.5, ge=0, le=1)
    """Weight of the last displacement in the guess; the rest is that of the steering wind."""
    sub_grid: bool = True
    """Whether a parabola through the nine cells about a minimum gives its place between cells."""

    @property
    def levels(self) -> list[int]:
        """Pressure levels in hPa whose winds are read."""
        return sorted({*self.steering_levels, self.vorticity_level})

    @property
    def channels(self) -> list[str]:
        """Names of the channels that the tracker reads, in the order of the channel table."""
        needed = {"MSL", "U10", "V10", *(f"{c}{level}" for c in "UV" for level in self.levels)}
        return [name for name in channel_table().names if name in needed]

    @property
    def unknown_levels(self) -> list[int]:
        """Pressure levels that are none of the state's."""
        return [level for level in self.levels if level not in channel_table().pressure_levels]


class PublishedStorms(Section):
    """The best tracks that the embedded world publishes: those of its own deepest storms."""

    storms: Positive = 24
    """Most storms that are published, the deepest of the period that is scored."""
    least_hours: int = Field(48, ge=6, multiple_of=6)
    """Least time in hours that a storm lives."""
    max_speed: float = Field(35.0, gt=0)
    """Speed in m s-1 above which two minima of pressure are not of one storm."""
    latitudes: tuple[float, float] = (20.0, 70.0)
    """Distances from the equator in degrees between which storms are sought."""


class Cyclones(Section):
    """Tracks of tropical cyclones in the forecasts, against best tracks."""

    best_tracks: str | None = None
    """Path of a file of IBTrACS, CSV or NetCDF.

    By default it is fetched, as ``ibtracs`` of ``config/archive.yaml`` says; the embedded world
    publishes one of its own storms."""
    tracker: Tracker = Tracker()
    """How storms are found and followed."""
    max_lead_hours: int = Field(120, gt=0, multiple_of=6)
    """Lead in hours to which storms are followed, at most that of the forecasts."""
    natures: list[Literal["TS", "SS", "ET", "DS", "MX", "NR"]] = Field(["TS", "NR"], min_length=1)
    """Natures of the best track at the start of a forecast, as IBTrACS has them.

    TS: tropical, SS: subtropical, ET: extratropical, DS: disturbance, MX: contradicting, NR: not
    reported, as of most storms of the running season."""
    least_wind: float = Field(17.0, ge=0)
    """Wind in m s-1 of the best track at the start of a forecast, from which on it is tracked.

    17: a tropical storm. Where the best track has no wind then, it is tracked."""
    systems: list[str] | None = Field(None, min_length=1)
    """Systems that are compared, each on the storms and times of all, the main one first.

    By default the main experiment of the figures, GFS, and those of ``verification.systems``."""
    bootstrap: Positive = 1000
    """Samples of the bootstrap over storms that gives each score its confidence interval."""
    rejected_km: float = Field(445.0, gt=0, le=3000)
    """Distance in km from a best track within which rejected observations are counted."""
    world: PublishedStorms = PublishedStorms()
    """What the embedded world publishes."""
    drawn_storms: Positive = 3
    """Storms whose tracks the figure draws: those with the most cases."""


def _other_systems(config: "Config") -> list[str]:
    """Return the systems with forecasts that are none of the experiments."""
    gfs = ["gfs"] if "gfs" in config.verification.baselines else []
    return [*gfs, *config.verification.systems]


def systems_with_forecasts(config: "Config") -> list[str]:
    """Return all that cyclones can be tracked in: experiments with forecasts, GFS, others."""
    return [*config.forecasting_experiments, *_other_systems(config)]


def tracked_systems(config: "Config") -> list[str]:
    """Return the systems that cyclones are tracked in, the main one first; none without cyclones.

    Without a choice these are the main experiment of the figures and all that are no experiments.
    """
    if config.cyclones is None:
        return []
    if config.cyclones.systems is not None:
        return list(config.cyclones.systems)
    return [config.figures.experiments[0], *_other_systems(config)]
