"""The configuration: one Pydantic model a section, unknown keys refused, cross-field checks before any job.

Every key that a person may set is here, with its unit, its default and where the default comes from;
``config/schema.json`` is generated from these models.
"""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fuxiflow import ROOT, channels, sources, times
from fuxiflow.grids import REGIONS
from fuxiflow.models import sizes

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
    era5: AnalysisError = AnalysisError(error=0.1, low_level_bias=True)
    gfs: AnalysisError = AnalysisError(error=0.35, forecast_interval_hours=72)
    granule_minutes: Positive = 60
    swaths: dict[str, Swath] = {}
    networks: dict[str, Network] = {}
    occultations: dict[str, Occultations] = {}

    def observing(self, source: sources.Source) -> Observing:
        """How a source is observed; the defaults where nothing is said of it. ValueError when it cannot be."""
        kinds = {"swaths": Swath, "networks": Network, "occultations": Occultations}
        if source.simulated_as is None:
            raise ValueError(f"the embedded world cannot make {source.name}: it has no orbit, or no known format")
        return getattr(self, source.simulated_as).get(source.name, kinds[source.simulated_as]())


class SimulatedSource(Section):
    """Observations of a source that are simulated over ``period`` from the reanalysis, like the real ones of the days
    of ``template``, whose departures give their errors.

    ``geometry``: the footprints of the template, day by day (``template``) or hour by hour from days drawn at random
    (``drawn``), or those of the platforms' ``orbits``, every so-manieth scan and field of view.
    """

    period: Period
    template: Period
    geometry: Literal["template", "drawn", "orbits"] = "template"
    scan_stride: Positive = 1
    field_of_view_stride: Positive = 1


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
    ``recompute`` keeps the inputs of blocks alone and makes their activations again for the gradient.
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
    recompute: bool = False

    @model_validator(mode="after")
    def _parts(self):
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate: {self.accumulate} parts of a batch of {self.batch}, allowed: its divisors")
        return self


class RolloutStage(Optimisation):
    """A stage that trains the forecaster alone, on ``longest`` steps at most and ``length(update)`` at an update.

    ``noise_fraction`` of the samples start from a state with an error of at most about ``noise`` times the 6-h change.
    """

    noise: float = Field(0.0, ge=0)
    noise_fraction: Fraction = 0.5
    truncation: int | None = Field(None, gt=0, description="steps that are back-propagated through, default all")


class ForecasterStage(RolloutStage):
    """Stage 1: one step ahead, then ``rollout`` steps for the last ``rollout_fraction`` of the updates."""

    rollout: Positive = 1
    rollout_fraction: Fraction = 0.0

    @property
    def longest(self) -> int:
        """The largest number of steps."""
        return self.rollout

    def length(self, update: int) -> int:
        """Number of steps that an update unrolls."""
        return self.rollout if update >= self.updates * (1 - self.rollout_fraction) else 1


class AutoregressiveStage(RolloutStage):
    """Stage 4: from ``first_steps`` to ``steps`` steps, each number for an equal share of the updates."""

    first_steps: Positive = 1
    steps: Positive = 20

    @model_validator(mode="after")
    def _grows(self):
        if self.first_steps > self.steps:
            raise ValueError(f"first_steps: {self.first_steps} is more than steps, {self.steps}")
        if self.updates < self.steps - self.first_steps + 1:
            raise ValueError(f"updates: at least one for each of {self.first_steps} to {self.steps} steps")
        return self

    @property
    def longest(self) -> int:
        """The largest number of steps."""
        return self.steps

    def length(self, update: int) -> int:
        """Number of steps that an update unrolls."""
        return self.first_steps + update * (self.steps - self.first_steps + 1) // self.updates


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


class ObservationLoss(Section):
    """L_obs on in-situ ``sources``, ``weight`` times beside L_state; with no source there is none.

    Compared with a state is what was observed up to ``half_width_hours`` before or after its time; soundings, which
    enter as a single frame, in their own window.
    """

    sources: list[str] = []
    weight: float = Field(1.0, ge=0)
    half_width_hours: Positive = 1


class JointStage(AssimilatorStage):
    """Stage 3: as stage 2, with ``cycles`` cycles unrolled and back-propagated through."""

    cycles: Positive = 4
    background_weight: float = Field(1.0, ge=0)
    max_lead_hours: int = Field(48, ge=6, multiple_of=6)
    observation_loss: ObservationLoss = ObservationLoss()
    truncation: int | None = Field(None, gt=0, description="cycles that are back-propagated through, default all")


class Backgrounds(Section):
    """A bank of backgrounds for stage 2, made by the forecaster of stage 1: one every ``every_hours``, of a random lead
    of at most stage 2's ``max_lead_hours``; ``batch`` forecasts are computed at once."""

    every_hours: int = Field(6, ge=6, multiple_of=6)
    batch: Positive = 4


class SimulatedShare(Period):
    """Days on which a ``share`` of a source's windows, drawn at random, are simulated observations instead of real
    ones: 0 none, 1 all."""

    share: Fraction = 1.0


class Training(Section):
    """The training stages, in order; ``autoregressive`` and the bank of ``backgrounds`` where they are given. Forecasts
    are made with the networks of the last stage, the cycle with ``joint``'s.

    ``simulated`` says by source when stages 2 and 3 see simulated observations; on other days they see real ones.
    ``devices`` of each of ``nodes`` work on a batch together, by the ``strategy``: whole weights on each (ddp), or
    shared out (fsdp).
    """

    forecaster: ForecasterStage
    backgrounds: Backgrounds | None = None
    assimilator: AssimilatorStage
    joint: JointStage
    autoregressive: AutoregressiveStage | None = None
    simulated: dict[str, list[SimulatedShare]] = {}
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    strategy: Literal["ddp", "fsdp"] = "ddp"
    devices: Positive = 1
    nodes: Positive = 1
    workers: int = Field(0, ge=0)
    compile: bool = False

    @property
    def stages(self) -> dict[str, Optimisation]:
        """The stages by name, in order."""
        names = ("forecaster", "assimilator", "joint", "autoregressive")
        return {name: stage for name in names if (stage := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _shares(self):
        ranks = self.devices * self.nodes
        for name, stage in self.stages.items():
            if stage.batch % (ranks * stage.accumulate):
                raise ValueError(f"{name}.batch: {stage.batch} samples on {ranks} devices in {stage.accumulate} parts, "
                                 f"allowed: multiples of {ranks * stage.accumulate}")
        return self


def _size(numbers: type[Section], known: dict[str, dict]):
    """The type of a size that is given by its name or by its ``numbers``."""
    names = Literal[tuple(known)]
    validator = BeforeValidator(lambda value: sizes.named(value, known), json_schema_input_type=names | numbers)
    return Annotated[numbers, validator]


class Model(Section):
    """Sizes of the two networks, by name (:mod:`fuxiflow.models.sizes`) or in numbers."""

    forecaster: _size(ForecasterSize, sizes.FORECASTERS) = ForecasterSize()
    assimilator: _size(AssimilatorSize, sizes.ASSIMILATORS) = AssimilatorSize()


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
    """Forecasts: length, the hours of the day they start from, and how many are computed at once.

    ``precision`` and ``compile`` say how the networks run, those of an analysis too.
    """

    max_lead_hours: int = Field(240, gt=0, multiple_of=6)
    init_hours: list[Literal[0, 6, 12, 18]] = [0, 12]
    batch: Positive = 4
    precision: Literal["auto", "32-true", "bf16-mixed"] = "32-true"
    compile: bool = False


class Verification(Section):
    """What is scored. ``bootstrap`` samples of blocks of ``block_days`` days give each score its interval."""

    regions: list[str] = list(REGIONS)
    references: list[Literal["era5", "own", "truth"]] = ["era5", "own", "truth"]
    baselines: list[Literal["gfs", "persistence", "climatology"]] = list(BASELINES)
    bootstrap: Positive = 200
    block_days: Positive = 3
    climatology_window_days: int = Field(61, gt=0, description="width of the day-of-year window")


class Figures(Section):
    """Choices of the figures: lead times in hours of the maps, the case shown, and the two experiments, trained on real
    observations and on simulated ones too, that ``hybrid_training`` compares (without them it is not drawn)."""

    experiments: list[str]
    hybrid_training: tuple[str, str] | None = None
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
    simulation: dict[str, SimulatedSource] = {}
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
        self._check_simulation()
        for name in self.experiments:
            if name in RESERVED:
                raise ValueError(f"experiments.{name}: the name is taken, allowed: others than {sorted(RESERVED)}")
            self._check_experiment(name)
        if self.kind == "archive" and "truth" in self.verification.references:
            raise ValueError("verification.references: 'truth' is of the embedded world alone, allowed: era5, own")
        self._check_world()
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

    def _check_simulation(self) -> None:
        within = self.periods.observations
        operators = {path.stem for path in (ROOT / "resources" / "operators").glob("*.npz")}
        for name, chosen in self.simulation.items():
            self._known("simulation", name, sources.known())
            source = sources.load(name)
            if not source.profile and source.instrument not in operators:
                raise ValueError(f"simulation.{name}: no observation operator for {source.instrument}, allowed: "
                                 f"profiles at heights, {', '.join(sorted(operators))}")
            if chosen.geometry == "orbits" and (source.profile or not source.flown):
                raise ValueError(f"simulation.{name}.geometry: {name} has no platform with an orbit to scan from, "
                                 f"allowed: template, drawn")
            for key in ("period", "template"):
                self._inside(f"simulation.{name}.{key}", getattr(chosen, key), within, "periods.observations")

    @staticmethod
    def _inside(key: str, part: Period, whole: Period, name: str) -> None:
        if not whole.start <= part.start <= part.end <= whole.end:
            raise ValueError(f"{key}: {part.start}..{part.end}, allowed: inside {name}, {whole.start}..{whole.end}")

    def _check_world(self) -> None:
        for section in sources.SECTIONS:
            for name, observing in getattr(self.world, section).items():
                self._known(f"world.{section}", name, sources.known())
                source = sources.load(name)
                if source.simulated_as != section:
                    raise ValueError(f"world.{section}: {name} is not observed so, allowed: "
                                     f"{source.simulated_as or 'sources that the embedded world can make'}")
                flown = [platform.name for platform in source.flown]
                for platform in getattr(observing, "platforms", None) or []:
                    self._known(f"world.{section}.{name}.platforms", platform, flown)
                begins = observing.start or self.periods.observations.start
                if name in self.sources and begins > self.periods.observations.end:
                    raise ValueError(f"world.{section}.{name}.start: {begins}, allowed: up to "
                                     f"{self.periods.observations.end}, as limits and statistics come from "
                                     f"periods.observations")

    def _check_figures(self) -> None:
        figures = self.figures
        for name in figures.experiments:
            self._known("figures.experiments", name, self.cycled_experiments)
        for name in figures.hybrid_training or ():
            self._known("figures.hybrid_training", name, self.cycled_experiments)
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
        observed = experiment.training.joint.observation_loss.sources
        for key, named in (("sources", experiment.sources), ("training.joint.observation_loss.sources", observed)):
            for source in named:
                self._known(f"experiments.{name}.{key}", source, sources.known())
                described = sources.load(source)
                if self.kind == "embedded" and described.reader not in sources.SIMULATED:
                    raise ValueError(f"experiments.{name}.{key}: {source} has reader {described.reader!r}, whose files "
                                     f"the embedded world does not write, allowed: {', '.join(sources.SIMULATED)}")
                if self.kind == "embedded" and described.simulated_as is None:
                    raise ValueError(f"experiments.{name}.{key}: {source} has no platform with an orbit, which the "
                                     f"embedded world needs, allowed: sources whose file gives one")
        shared = {} if experiment.weights else experiment.training.simulated
        for source, shares in shared.items():
            key = f"experiments.{name}.training.simulated"
            self._known(key, source, set(experiment.sources) & set(self.simulation))
            for number, share in enumerate(shares):
                self._inside(f"{key}.{source}", share, self.simulation[source].period, f"simulation.{source}.period")
                if any(share.overlaps(other) for other in shares[:number]):
                    raise ValueError(f"{key}.{source}: {share.start}..{share.end} shares days with another entry, "
                                     f"allowed: one share a day")
        state = set(channels.table().analysed.names)
        for source in observed:
            if state.isdisjoint(sources.load(source).channel_names):
                raise ValueError(f"experiments.{name}.training.joint.observation_loss.sources: {source} measures no "
                                 f"channel of the state, allowed: stations, ships, radiosondes")
        if experiment.weights is not None:
            self._known(f"experiments.{name}.weights", experiment.weights, self.experiments)
            if experiment.weights not in self.trained_experiments:
                raise ValueError(f"experiments.{name}.weights: {experiment.weights} has no networks of its own")
        self._check_forecaster(name, experiment)
        model = experiment.model.model_dump()
        if self._uses_networks(name) and (why := sizes.misfit(**self.grid.model_dump(), **model)):
            raise ValueError(f"experiments.{name}.model.{why}")

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
        compared = {source for name in self.trained_experiments for source in self.compared_sources(name)}
        return sorted({source for name in users for source in self.resolve(name).sources} | compared)

    def compared_sources(self, name: str) -> list[str]:
        """The sources whose observations an experiment's training compares states with."""
        return self.resolve(name).training.joint.observation_loss.sources

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
