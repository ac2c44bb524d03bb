"""Settings of the tracker of tropical cyclones."""

from typing import Literal

from pydantic import Field

from fuxiflow.channels import channel_table
from fuxiflow.config.base import Section


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
