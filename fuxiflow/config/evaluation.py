"""How the trained system runs over the test period, and what is scored."""

from typing import Literal

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.grids import REGIONS

BASELINES = ("gfs", "persistence", "climatology")


class Cycling(Section):
    """Forecasts: length, the hours of the day they start from, and how many are computed at once.

    ``precision`` and ``compile`` say how the networks run, those of an analysis too.
    """

    max_lead_hours: int = Field(240, gt=0, multiple_of=6)
    init_hours: list[Literal[0, 6, 12, 18]] = [0, 12]
    batch: Positive = 4
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"
    compile: bool = False


class Verification(Section):
    """What is scored. ``bootstrap`` samples of blocks of ``block_days`` days give each score its interval.

    ``comparisons`` names by experiment others that its scores are compared with case by case, ``rmse_vs_{other}``.
    """

    regions: list[str] = list(REGIONS)
    references: list[Literal["era5", "own", "truth"]] = ["era5", "own", "truth"]
    baselines: list[Literal["gfs", "persistence", "climatology"]] = list(BASELINES)
    bootstrap: Positive = 200
    block_days: Positive = 3
    climatology_window_days: int = Field(61, gt=0, description="width of the day-of-year window")
    comparisons: dict[str, list[str]] = {}
