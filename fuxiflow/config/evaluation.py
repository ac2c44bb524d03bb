"""How the trained system runs over the test period, and what is scored."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.config.sources import Source
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


TROPOSPHERIC = 54.4
"""GHz: the channel of this frequency, that all microwave temperature sounders have, sees the middle troposphere."""


class Perturbation(Section):
    """The single-observation experiment of ``increment_case``: ``kelvin`` added to one ``channel`` of one observation
    of a ``source``, at as many ``places`` one after the other.

    By default the source is the first sounder of the main experiment that has a channel at 54.4 GHz, and this the
    channel; 5 K are FuXiWeather2's, arXiv 2603.15358.
    """

    source: str | None = None
    channel: str | None = Field(None, coerce_numbers_to_str=True)
    kelvin: float = Field(5.0, gt=0, le=50)
    places: Positive = 24

    def among(self, sounders: Sequence[Source]) -> "Perturbation | None":
        """The same with the source and the channel chosen from ``sounders``; None where nothing is asked for and none
        has the default channel. ValueError names the key and what is allowed."""
        known = [sounder.name for sounder in sounders]
        if self.source is not None and self.source not in known:
            raise ValueError(
                f"figures.perturbation.source: {self.source!r}, allowed: sounders of the main experiment "
                f"that have an observation operator, {', '.join(known) or 'of which there is none'}"
            )
        candidates = [sounder for sounder in sounders if self.source in (None, sounder.name)]
        for sounder in candidates:
            channel = self.channel or _tropospheric(sounder)
            if channel in sounder.channel_names:
                return self.model_copy(update={"source": sounder.name, "channel": channel})
        if self.source is None and self.channel is None:
            return None
        channels = "; ".join(
            f"{sounder.name}: {', '.join(sounder.channel_names)}" for sounder in candidates
        )
        raise ValueError(
            f"figures.perturbation.channel: {self.channel!r}, allowed: one of a sounder of the main "
            f"experiment, {channels or 'which has none'}"
        )


def _tropospheric(sounder: Source) -> str | None:
    """The channel of a microwave sounder at :data:`TROPOSPHERIC`."""
    for channel in sounder.channels:
        if (
            channel.frequency is not None
            and float(channel.frequency.split("+-")[0]) == TROPOSPHERIC
        ):
            return channel.name
    return None


class Figures(Section):
    """Choices of the figures: lead times in hours of the maps, the case shown.

    ``hybrid_training`` compares two experiments, trained on real observations and on simulated ones too; ``unrolling``
    several with the first, which differ in the cycles that training unrolled. Without them these are not drawn.
    ``perturbation`` is the single-observation experiment of ``increment_case``; null leaves it out.
    """

    experiments: list[str]
    hybrid_training: tuple[str, str] | None = None
    unrolling: list[str] = []
    map_leads: list[int] = [24, 72, 120]
    map_channels: list[str] = ["Z500", "T850", "U850", "MSL"]
    case: str | None = Field(
        None, description="analysis time of increment_case, default the middle of the test period"
    )
    perturbation: Perturbation | None = Perturbation()
