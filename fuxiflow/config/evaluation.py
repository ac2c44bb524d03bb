"""Settings of the cycle over the test period, of its scores, and of the figures."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fuxiflow.config.base import Positive, Section, did_you_mean
from fuxiflow.config.sources import Source
from fuxiflow.grids import REGIONS

DRAWN = (
    *(f"{variable}{level}" for variable in "ZTUVR" for level in (300, 500, 850)),
    *("T2M", "U10", "V10", "MSL", "TP"),
)
"""Channels of forecasts that figures draw and headline numbers are made of; always scored."""
BASELINES = ("gfs", "persistence", "climatology")

TROPOSPHERIC = 54.4
"""GHz. All microwave temperature sounders have this channel; it sees the middle troposphere."""


class Cycling(Section):
    """Analyses and forecasts over the test period."""

    max_lead_hours: int = Field(240, gt=0, multiple_of=6)
    """Length of the forecasts in hours, a multiple of 6."""
    init_hours: list[Literal[0, 6, 12, 18]] = Field([0, 12], min_length=1)
    """Hours of the day in UTC that forecasts start from."""
    batch: Positive = 4
    """Forecasts that are computed at once."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"
    """Numbers computed with; auto: bf16-mixed where the device has it natively, else 32-true."""
    compile: bool = False
    """Whether ``torch.compile`` compiles the networks' blocks, which takes a few minutes."""
    keep_forecasts: Literal["all", "scored", "none"] = "all"
    """Channels of forecasts that are stored, of GFS's forecasts too: all, or those that are scored.

    scored: those of ``verification.channels`` and ``figures.map_channels``, and with ``cyclones``
    those of the tracker. none: the same, but forecasts are removed once what reads them is there. A
    later run that needs them makes them again."""


def is_address(store: str) -> bool:
    """Say whether a store is given by its address, and not by the path of a folder."""
    return store.startswith(("http://", "https://"))


def store_product(address: str) -> str:
    """Return the product of a public store: its name and its folder's, wherever it is mirrored."""
    parts = [part for part in address.partition("://")[2].split("/") if part]
    name = "-".join(part.removesuffix(".zarr") for part in parts[-2:])
    return re.sub(r"[^\w.-]", "_", name)


class ScoredSystem(Section):
    """Forecasts of others, and their own analyses, as Zarr stores in WeatherBench2's layout.

    Each is the path of a folder, or the address of a public store, which ``kind: archive`` fetches.
    """

    forecasts: str = Field(min_length=1)
    """Store of the forecasts."""
    analyses: str | None = Field(None, min_length=1)
    """Store of the analyses that are its ``own`` reference; by default none."""


class Withheld(Section):
    """Observations of a source that verification alone reads, of some stations or platforms.

    They are in no grid, so that no analysis, loss, statistic or fit knows them, nor in limits.
    """

    share: float = Field(0.0, ge=0, lt=1)
    """Share of the stations, ships or radiosondes, drawn by a hash of their names.

    A larger share keeps those of a smaller one. Reports without a name are never withheld."""
    platforms: list[str] = []
    """Platforms of the source that are withheld, as missions of occultations; by default none."""

    @model_validator(mode="after")
    def _check(self):
        if not self.share and not self.platforms:
            raise ValueError("neither share nor platforms given, allowed: one of them, or both")
        return self


class Verification(Section):
    """Scores of analyses and forecasts."""

    regions: list[str] = list(REGIONS)
    """Regions that are scored, global among them; by default all of ``fuxiflow.grids.REGIONS``."""
    references: list[Literal["era5", "own", "truth"]] = ["era5", "own", "truth"]
    """Fields that are compared with, era5 or truth among them; truth is of the embedded world."""
    channels: Literal["all"] | list[str] = "all"
    """Channels of forecasts that are scored: all, or a list beside those that figures draw.

    Those are the surface ones and Z, T, U, V and R at 300, 500 and 850 hPa."""
    baselines: list[Literal["gfs", "persistence", "climatology"]] = list(BASELINES)
    """Other forecasts that are scored too."""
    systems: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ScoredSystem] = {}
    """By name, forecasts of others that are scored and compared too, on the same start times."""
    climatology: str | None = Field(None, min_length=1)
    """Climatology by day of the year and hour, a Zarr store in WeatherBench2's layout.

    The path of a folder, or the address of a public store, which ``kind: archive`` fetches. The
    anomalies of all scores are from it, and so is the baseline ``climatology``; relative humidity
    and channels that it lacks are of the training period, and so by default are all."""
    bootstrap: Positive = 200
    """Samples of the bootstrap that gives scores of departures their confidence intervals."""
    block_days: Positive = 3
    """Least number of days in a block of cases, for confidence intervals.

    Blocks of scores are no shorter than the lead time and three memories of the series either."""
    climatology_window_days: int = Field(61, ge=4)
    """Width in days of the window about a day of the year that its climatology averages.

    Nodes of the climatology are five days apart, so that a narrower one would leave days out."""
    observed_leads: list[Annotated[int, Field(ge=0, multiple_of=6)]] = Field(
        [0, 12, 24, 48, 72, 120, 168, 240], min_length=1
    )
    """Lead times in hours that are compared with observations, multiples of 6, 0 for analyses.

    Those beyond ``cycling.max_lead_hours`` are left out."""
    structure_leads: list[Annotated[int, Field(ge=0, multiple_of=6)]] = Field(
        [0, 24, 120, 240], min_length=1
    )
    """Lead times in hours of spectra and balance, multiples of 6, 0 for analyses.

    Those beyond ``cycling.max_lead_hours`` are left out."""
    withheld: dict[str, Withheld] = {}
    """By source, observations that verification alone reads; by default none."""
    comparisons: dict[str, list[str]] = {}
    """By experiment, others that its scores are compared with case by case.

    The score table gets rows ``rmse_vs_{other}`` and ``acc_vs_{other}`` with paired intervals."""


class Perturbation(Section):
    """The single-observation experiment of ``increment_case``.

    One channel of one observation is perturbed, at several places one after the other.
    """

    source: str | None = None
    """Sounder that is perturbed; by default the main experiment's first one with that channel."""
    channel: str | None = Field(None, coerce_numbers_to_str=True)
    """Channel that is perturbed; by default the one at 54.4 GHz."""
    kelvin: float = Field(5.0, gt=0, le=50)
    """Perturbation in K; the default is FuXiWeather2's, arXiv 2603.15358."""
    places: Positive = 24
    """Number of places."""

    def among(self, sounders: Sequence[Source]) -> "Perturbation | None":
        """Return the same with its source and channel chosen from ``sounders``.

        None where nothing is asked for and no sounder has the default channel. ValueError names the
        key and what is allowed.
        """
        names = [sounder.name for sounder in sounders]
        if self.source is not None and self.source not in names:
            raise ValueError(
                f"figures.perturbation.source: {self.source!r}, allowed: sounders of the main "
                f"experiment that have an observation operator, "
                f"{', '.join(names) or 'of which there is none'}{did_you_mean(self.source, names)}"
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
            f"figures.perturbation.channel: {self.channel!r}, allowed: one of a sounder of the "
            f"main experiment, {channels or 'which has none'}"
        )


def _tropospheric(sounder: Source) -> str | None:
    """Return the channel of a microwave sounder at :data:`TROPOSPHERIC`, None without one."""
    for channel in sounder.channels:
        frequency = channel.frequency
        if frequency is not None and float(frequency.split("+-")[0]) == TROPOSPHERIC:
            return channel.name
    return None


class ChannelSelection(Section):
    """The selection of a sounder's channels that ``iasi_selection`` makes and shows."""

    jacobians: str = Field(pattern=r"\.(nc|zarr|parquet)$")
    """Table of Jacobians of a radiative transfer model: path of a .nc, .zarr or .parquet.

    ``fuxiflow/observations/jacobians.py`` says what it holds."""
    source: str = "iasi"
    """Source whose channels are marked beside the selected ones; they have numbers for names."""
    informative: Positive = 124
    """Channels selected by information content; the default is FuXiWeather2's, arXiv 2603.15358."""
    spaced: Positive = 38
    """Channels of these that are selected by the heights of their peaks; the default is the same's.

    At most ``informative``."""
    criterion: Literal["entropy", "freedom"] = "entropy"
    """Gain by which channels are selected: reduction of entropy, or degrees of freedom."""
    correlation_length: float = Field(0.0, ge=0)
    """Of background errors, in ln p, for a table with standard deviations alone; 0: independent."""

    @model_validator(mode="after")
    def _check(self):
        if self.spaced > self.informative:
            raise ValueError(
                f"spaced is {self.spaced}, allowed: at most informative, {self.informative}"
            )
        return self


class Figures(Section):
    """Choices of the figures."""

    experiments: list[str]
    """Experiments that are shown; the first is the main one, which needs forecasts."""
    hybrid_training: tuple[str, str] | None = None
    """Two experiments, trained on real observations and on simulated ones too; by default none.

    The figure of this name is drawn with them only."""
    unrolling: list[str] = []
    """Experiments whose joint training unrolled more and more cycles, compared with the first.

    The figure of this name is drawn with them only."""
    infill_radius: float = Field(10.0, gt=0)
    """Reach of a measured cell in the infilled mask of ``coverage``, in cells.

    The default is FuXiWeather2's at 0.25°, arXiv 2603.15358."""
    activity_relative_to: str | None = None
    """System that ``activity`` is drawn relative to: of ``verification.baselines`` or ``systems``.

    By default it is drawn relative to the reference at the same times."""
    map_leads: list[int] = Field([24, 72, 120], min_length=1)
    """Lead times of the maps in hours, multiples of 6."""
    map_channels: list[str] = Field(["Z500", "T850", "U850", "MSL"], min_length=1)
    """Channels of the maps: names of ``config/channels.csv``."""
    false_discovery_rate: float = Field(0.05, gt=0, lt=1)
    """Largest share of the significant differences of a figure that may be so by chance, 0 to 1.

    It is held by Benjamini and Hochberg's procedure over all cells of the scorecard, and over all
    marks of ``skill_vs_lead``."""
    case: str | None = None
    """Analysis time of ``increment_case``, YYYY-MM-DDTHH:MM; by default the middle of the test."""
    perturbation: Perturbation | None = Perturbation()
    """Single-observation experiment of ``increment_case``; null leaves it out."""
    channel_selection: ChannelSelection | None = None
    """Selection of IASI's channels by a given table of Jacobians; by default none.

    The figure ``iasi_selection`` is drawn with it only."""
