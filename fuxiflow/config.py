"""The configuration: one Pydantic model a section, unknown keys refused, cross-field checks before any job.

Every key that a person may set is here, with its unit, its default and where the default comes from;
``config/schema.json`` is generated from these models.
"""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fuxiflow import ROOT, channels, sources, times
from fuxiflow.grids import REGIONS

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
BASELINES = ("gfs", "persistence", "climatology")
RESERVED = {"era5", "truth", *BASELINES}  # what forecasts and states of other systems are called


class ConfigurationError(ValueError):
    """A configuration that cannot be run; the message names the key and the allowed values in one line."""


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GridSize(Section):
    """Cells of a global grid."""

    nlat: Positive
    nlon: Positive


class Period(Section):
    """Whole days, both included."""

    start: date
    end: date

    @model_validator(mode="after")
    def _ordered(self):
        if self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self

    def overlaps(self, other: "Period") -> bool:
        """Whether the two share a day."""
        return self.start <= other.end and other.start <= self.end


class Periods(Section):
    """What is used when. ``observations`` is the part of ``training`` with observations to learn assimilation from;
    the cycle starts cold at 00 UTC of ``cold_start`` and is scored over ``test``."""

    training: Period
    observations: Period
    cold_start: date
    test: Period


class AnalysisError(Section):
    """Errors of an analysis of the embedded world, relative to its truth: ``error`` scales day-to-day differences of
    the nature run, taken elsewhere in it; ``low_level_bias`` switches the systematic bias near the surface on."""

    error: Fraction
    low_level_bias: bool = False
    forecast_interval_hours: Positive = 12


class Swath(Section):
    """How the embedded world thins and spoils the swaths of one source."""

    scan_stride: Positive = 1
    field_of_view_stride: Positive = 1
    noise: float = Field(1.0, ge=0, description="multiple of the channel's NEdT")
    outages: list[Period] = []


class World(Section):
    """The embedded world: a nature run with jcm, and what is observed of it."""

    truncation: Literal[21, 31, 42] = 31
    time_step_minutes: Positive = 30
    spinup_days: Positive = 90
    grid: GridSize = GridSize(nlat=49, nlon=96)
    era5: AnalysisError = AnalysisError(error=0.1, low_level_bias=True)
    gfs: AnalysisError = AnalysisError(error=0.35, forecast_interval_hours=72)
    granule_minutes: Positive = 60
    swaths: dict[str, Swath] = {}


class ForecasterSize(Section):
    """The U-Transformer: a cube embedding of two frames, Swin-V2 blocks, and a head."""

    patch: Positive = 4
    width: Positive = 1536
    blocks: Positive = 48
    heads: Positive = 24
    window: tuple[Positive, Positive] = (9, 9)


class AssimilatorSize(Section):
    """The multi-branch U-Net: ``width`` channels at full resolution, doubled at each of ``scales`` - 1 halvings."""

    width: Positive = 64
    scales: Positive = 4
    blocks: Positive = 2


class Optimisation(Section):
    """One training stage: AdamW, linear warm-up, then a cosine to zero or a constant rate.

    ``batch`` is that of an update, over all devices and ``accumulate`` parts that follow on each other. With ``ema``
    the stage leaves a running mean of its weights, of that decay. The stage stops after ``max_skipped`` updates whose
    loss was not finite. Restart files are written every ``checkpoint_every`` updates; ``keep_checkpoints`` remain.
    """

    updates: Positive
    batch: Positive
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: Fraction = 0.05
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = Field(1.0, gt=0)
    accumulate: Positive = 1
    ema: float | None = Field(None, gt=0, lt=1)
    max_skipped: int = Field(20, ge=0)
    checkpoint_every: Positive = 200
    keep_checkpoints: Positive = 2

    @model_validator(mode="after")
    def _parts(self):
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate: {self.accumulate} parts of a batch of {self.batch}, allowed: its divisors")
        return self


class ForecasterStage(Optimisation):
    """Stage 1: one step ahead, then up to ``rollout`` steps for the last ``rollout_fraction`` of the updates.

    ``noise_fraction`` of the samples start from a state with an error of at most about ``noise`` times the 6-h change.
    """

    rollout: Positive = 1
    rollout_fraction: Fraction = 0.0
    noise: float = Field(0.0, ge=0)
    noise_fraction: Fraction = 0.5


class AssimilatorStage(Optimisation):
    """Stage 2: backgrounds are forecasts of a random lead of at most ``max_lead_hours``.

    ``cold_fraction`` of the samples start from climatology, as a cycle's cold start does; ``source_dropout`` of them
    have no observations, as in an outage. Cycles go on from where the update before left them, for ``chain`` updates,
    and then start anew. Climatology is that of a day up to ``climatology_shift_days`` away.
    """

    max_lead_hours: int = Field(180, ge=6, multiple_of=6)
    cold_fraction: Fraction = 0.1
    source_dropout: Fraction = 0.1
    chain: Positive = 1
    climatology_shift_days: int = Field(0, ge=0)


class JointStage(AssimilatorStage):
    """Stage 3: as stage 2, with ``cycles`` cycles unrolled and back-propagated through."""

    cycles: Positive = 4
    background_weight: float = Field(1.0, ge=0)
    max_lead_hours: int = Field(48, ge=6, multiple_of=6)
    truncation: int | None = Field(None, gt=0, description="cycles that are back-propagated through, default all")


class AutoregressiveStage(Optimisation):
    """Stage 4: the forecaster alone, unrolled over 1 to ``steps`` steps, each number for its share of the updates.

    Losses of all steps count alike; ``truncation`` bounds the steps that are back-propagated through (default: all).
    """

    steps: Positive = 20
    truncation: int | None = Field(None, gt=0)
    schedule: Literal["cosine", "constant"] = "constant"


class Backgrounds(Section):
    """A bank of backgrounds for stage 2, made by the forecaster of stage 1: one every ``every_hours``, of a random lead
    of at most stage 2's ``max_lead_hours``; ``batch`` forecasts are computed at once."""

    every_hours: int = Field(6, ge=6, multiple_of=6)
    batch: Positive = 4


class Training(Section):
    """The training stages, in order; ``autoregressive`` and the bank of ``backgrounds`` where they are given.

    ``devices`` of each of ``nodes`` work on a batch together, by the ``strategy``: whole weights on each (ddp), or
    shared out (fsdp).
    """

    forecaster: ForecasterStage
    backgrounds: Backgrounds | None = None
    assimilator: AssimilatorStage
    joint: JointStage
    autoregressive: AutoregressiveStage | None = None
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    strategy: Literal["ddp", "fsdp"] = "ddp"
    devices: Positive = 1
    nodes: Positive = 1
    workers: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _shares(self):
        ranks = self.devices * self.nodes
        for name in ("forecaster", "assimilator", "joint", "autoregressive"):
            stage = getattr(self, name)
            if stage and stage.batch % (ranks * stage.accumulate):
                raise ValueError(f"{name}.batch: {stage.batch} samples on {ranks} devices in {stage.accumulate} parts, "
                                 f"allowed: multiples of {ranks * stage.accumulate}")
        return self


class Model(Section):
    """Sizes of the two networks."""

    forecaster: ForecasterSize = ForecasterSize()
    assimilator: AssimilatorSize = AssimilatorSize()


class ExternalForecaster(Section):
    """ONNX models of FuXi's public interface (:mod:`fuxiflow.models.onnx_cascade`): a cascade, in order, each model
    used for ``steps`` steps of 6 h."""

    onnx: list[str] = Field(min_length=1)
    steps: Positive = 20


class Experiment(Section):
    """What may differ between experiments.

    ``weights`` names the experiment whose networks are used (default: its own); ``forecasts`` says whether forecasts
    start from its analyses. ``initial``, ``gfs`` or an experiment, gives the analyses that forecasts start from
    instead: such an experiment does not cycle. ``forecaster`` makes its forecasts instead of the networks.
    """

    sources: list[str]
    weights: str | None = None
    forecasts: bool = True
    initial: str | None = None
    forecaster: ExternalForecaster | None = None
    model: Model = Model()
    training: Training


class Cycling(Section):
    """Forecasts: length, the hours of the day they start from, and how many are computed at once."""

    max_lead_hours: int = Field(240, gt=0, multiple_of=6)
    init_hours: list[Literal[0, 6, 12, 18]] = [0, 12]
    batch: Positive = 4


class Verification(Section):
    """What is scored. ``bootstrap`` samples of blocks of ``block_days`` days give each score its interval."""

    regions: list[str] = list(REGIONS)
    references: list[Literal["era5", "own", "truth"]] = ["era5", "own", "truth"]
    baselines: list[Literal["gfs", "persistence", "climatology"]] = list(BASELINES)
    bootstrap: Positive = 200
    block_days: Positive = 3
    climatology_window_days: int = Field(61, gt=0, description="width of the day-of-year window")


class Figures(Section):
    """Choices of the figures: lead times in hours of the maps, and the case shown."""

    experiments: list[str]
    map_leads: list[int] = [24, 72, 120]
    map_channels: list[str] = ["Z500", "T850", "U850", "MSL"]
    case: str | None = Field(None, description="analysis time of increment_case, default the middle of the test period")


class Config(Section):
    """The whole configuration."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    seed: int = 0
    kind: Literal["embedded", "archive"] = "embedded"
    grid: GridSize
    segment_months: Literal[1, 2, 3, 4, 6, 12] = 1
    periods: Periods
    world: World = World()
    experiment: Experiment
    experiments: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], dict | None]
    cycling: Cycling = Cycling()
    verification: Verification = Verification()
    figures: Figures

    @model_validator(mode="after")
    def _check(self):
        p = self.periods
        if p.test.overlaps(p.training):
            raise ValueError(f"periods.test: {p.test.start}..{p.test.end} overlaps periods.training, "
                             f"allowed: after {p.training.end}")
        if not (p.training.start <= p.observations.start and p.observations.end <= p.training.end):
            raise ValueError(f"periods.observations: {p.observations.start}..{p.observations.end}, "
                             f"allowed: inside periods.training, {p.training.start}..{p.training.end}")
        if not p.training.end < p.cold_start <= p.test.start:
            raise ValueError(f"periods.cold_start: {p.cold_start}, "
                             f"allowed: after {p.training.end} up to {p.test.start}")
        label = times.segment(p.cold_start, self.segment_months)
        if label == times.segment(p.training.end, self.segment_months):
            raise ValueError(f"periods.cold_start: {p.cold_start} shares segment {label} with the training period, "
                             f"allowed: from the next segment on, or a smaller segment_months")
        if not self.experiments:
            raise ValueError("experiments: none given, allowed: at least one name")
        for name in self.experiments:
            if name in RESERVED:
                raise ValueError(f"experiments.{name}: the name is taken, allowed: others than {sorted(RESERVED)}")
            self._check_experiment(name)
        if self.kind == "archive" and "truth" in self.verification.references:
            raise ValueError("verification.references: 'truth' is of the embedded world alone, allowed: era5, own")
        for name in self.world.swaths:
            self._known("world.swaths", name, sources.known())
        for name in self.verification.regions:
            self._known("verification.regions", name, REGIONS)
        if "global" not in self.verification.regions:
            raise ValueError("verification.regions: 'global' is missing, allowed: any with 'global' among them, "
                             "which the figures show")
        if not {"era5", "truth"} & set(self.verification.references):
            raise ValueError(f"verification.references: {self.verification.references}, allowed: any with 'era5' or "
                             f"'truth' among them, which the figures show")
        self._check_figures()
        return self

    def _check_figures(self) -> None:
        figures = self.figures
        for name in figures.experiments:
            self._known("figures.experiments", name, self.cycled_experiments)
        if not (figures.experiments and self.resolve(figures.experiments[0]).forecasts):
            raise ValueError(f"figures.experiments: {figures.experiments}, allowed: first one with forecasts, of "
                             f"{', '.join(self.forecasting_experiments) or 'which there is none'}")
        for name in figures.map_channels:
            self._known("figures.map_channels", name, channels.table().names)
        beyond = [lead for lead in figures.map_leads if not 0 < lead <= self.cycling.max_lead_hours or lead % 6]
        if beyond:
            raise ValueError(f"figures.map_leads: {beyond[0]} h was not forecast, allowed: multiples of 6 "
                             f"up to cycling.max_lead_hours = {self.cycling.max_lead_hours}")
        allowed = times.times(self.periods.test.start, self.periods.test.end)
        if self.case not in allowed:
            raise ValueError(f"figures.case: {figures.case!r} is no analysis time of the test period, allowed: "
                             f"every {times.STEP_HOURS} h from {allowed[0]} to {allowed[-1]}")

    def _check_experiment(self, name: str) -> None:
        experiment = self.resolve(name)
        for source in experiment.sources:
            self._known(f"experiments.{name}.sources", source, sources.known())
            if self.kind == "embedded" and not sources.load(source).flown:
                raise ValueError(f"experiments.{name}.sources: {source} has no platform with an orbit, which the "
                                 f"embedded world needs, allowed: sources whose file gives one")
        if experiment.weights is not None:
            self._known(f"experiments.{name}.weights", experiment.weights, self.experiments)
            if experiment.weights not in self.trained_experiments:
                raise ValueError(f"experiments.{name}.weights: {experiment.weights} has no networks of its own")
        self._check_forecaster(name, experiment)

    def _check_forecaster(self, name: str, experiment: Experiment) -> None:
        if experiment.initial is not None:
            self._known(f"experiments.{name}.initial", experiment.initial, ["gfs", *self.cycled_experiments])
            if not experiment.forecasts:
                raise ValueError(f"experiments.{name}.forecasts: false, allowed: true, as with 'initial' an experiment "
                                 f"makes nothing else")
        if experiment.forecaster is not None:
            models, steps = len(experiment.forecaster.onnx), experiment.forecaster.steps
            reach = models * steps * times.STEP_HOURS
            if reach < self.cycling.max_lead_hours:
                raise ValueError(f"experiments.{name}.forecaster.onnx: {models} of {steps} steps reach {reach} h, "
                                 f"allowed: at least cycling.max_lead_hours = {self.cycling.max_lead_hours}")

    @staticmethod
    def _known(key: str, value: str, allowed) -> None:
        if value not in allowed:
            raise ValueError(f"{key}: unknown {value!r}, allowed: {', '.join(sorted(allowed))}")

    def resolve(self, name: str) -> Experiment:
        """Experiment ``name``: the default experiment with its overrides; KeyError lists the known ones."""
        if name not in self.experiments:
            raise KeyError(f"unknown experiment {name!r}; known: {', '.join(self.experiments)}")
        merged = _merge(self.experiment.model_dump(), self.experiments[name] or {})
        try:
            return Experiment(**merged)
        except ValidationError as error:
            raise ValueError(_first(error, f"experiments.{name}")) from error

    def weights_of(self, name: str) -> str:
        """The experiment whose networks experiment ``name`` runs with."""
        return self.resolve(name).weights or name

    @property
    def trained_experiments(self) -> list[str]:
        """Experiments that train networks of their own."""
        return [name for name in self.experiments if self.weights_of(name) == name and self._uses_networks(name)]

    def _uses_networks(self, name: str) -> bool:
        """Whether an experiment cycles or forecasts with networks of this project."""
        experiment = self.resolve(name)
        return experiment.initial is None or experiment.forecaster is None

    @property
    def cycled_experiments(self) -> list[str]:
        """Experiments that make analyses."""
        return [name for name in self.experiments if self.resolve(name).initial is None]

    @property
    def forecasting_experiments(self) -> list[str]:
        """Experiments that make forecasts."""
        return [name for name in self.experiments if self.resolve(name).forecasts]

    @property
    def external_experiments(self) -> list[str]:
        """Forecasting experiments with another forecaster, or other initial states, than the cycle's."""
        chosen = {name: self.resolve(name) for name in self.forecasting_experiments}
        return [name for name, e in chosen.items() if e.initial is not None or e.forecaster is not None]

    @property
    def sources(self) -> list[str]:
        """All sources that some experiment assimilates, or trains to."""
        users = [*self.cycled_experiments, *self.trained_experiments]
        return sorted({source for name in users for source in self.resolve(name).sources})

    @property
    def case(self) -> datetime | None:
        """The analysis time of the single-case figures: ``figures.case``, by default the middle of the test period."""
        allowed = times.times(self.periods.test.start, self.periods.test.end)
        if self.figures.case is None:
            return allowed[len(allowed) // 2]
        try:
            return datetime.fromisoformat(self.figures.case)
        except ValueError:
            return None

    @property
    def cycling_period(self) -> Period:
        """From the cold start to the end of the test."""
        return Period(start=self.periods.cold_start, end=self.periods.test.end)

    @property
    def verification_period(self) -> Period:
        """All days that references are needed for: the cycle and the longest forecast from its end."""
        extra = timedelta(hours=self.cycling.max_lead_hours)
        return Period(start=self.periods.cold_start, end=self.periods.test.end + extra)

    def segments(self, period: Period) -> list[str]:
        """Labels of the segments of a period."""
        return times.segments(period.start, period.end, self.segment_months)

    def clip(self, label: str, period: Period) -> tuple[date, date]:
        """The days of a segment inside a period."""
        return times.clip(label, self.segment_months, period.start, period.end)


def _merge(base: dict, override: dict) -> dict:
    """``base`` with ``override`` laid over it, section by section."""
    merged = dict(base)
    for key, value in override.items():
        merged[key] = _merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return merged


def _first(error: ValidationError, prefix: str = "") -> str:
    """The first complaint of a validation in one line that names the key and what is allowed."""
    detail = error.errors()[0]
    key = ".".join([prefix, *map(str, detail["loc"])]).strip(".")
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def validate(values: dict) -> Config:
    """A checked configuration; :class:`ConfigurationError` with one line otherwise."""
    if not isinstance(values, dict):
        raise ConfigurationError(f"expected sections with keys, found {type(values).__name__}")
    try:
        return Config(**values)
    except ValidationError as error:
        raise ConfigurationError(_first(error)) from None


def load(path: Path) -> Config:
    """Read and check a configuration file; :class:`ConfigurationError` names the file."""
    try:
        return validate(yaml.safe_load(Path(path).read_text()))
    except (ConfigurationError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: {error}") from None


def schema() -> str:
    """The JSON schema of the configuration, as kept in ``config/schema.json``."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


SCHEMA = ROOT / "config" / "schema.json"
