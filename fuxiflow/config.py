"""The configuration: one Pydantic model a section, unknown keys refused, cross-field checks before any job.

Every key that a person may set is here, with its unit, its default and where the default comes from;
``config/schema.json`` is generated from these models.
"""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from fuxiflow import ROOT, channels, sources, times, yaml_files
from fuxiflow.grids import REGIONS
from fuxiflow.models import sizes
from fuxiflow.operators import known
from fuxiflow.settings.base import GridSize, Period, Positive, Section
from fuxiflow.settings.figures import Perturbation
from fuxiflow.settings.states import States
from fuxiflow.settings.training import Model, Training
from fuxiflow.settings.world import SimulatedSource, World

BASELINES = ("gfs", "persistence", "climatology")
RESERVED = {"era5", "truth", "background", *BASELINES}  # what is compared with, besides experiments


class ConfigurationError(ValueError):
    """A configuration that cannot be run; the message names the key and the allowed values in one line."""


class Periods(Section):
    """What is used when. ``observations`` is the part of ``training`` with observations to learn assimilation from;
    the cycle starts cold at 00 UTC of ``cold_start`` and is scored over ``test``."""

    training: Period
    observations: Period
    cold_start: date
    test: Period


class ExternalForecaster(Section):
    """ONNX models of FuXi's public interface (:mod:`fuxiflow.models.onnx_cascade`): a cascade, in order, each model
    used for ``steps`` steps of 6 h."""

    onnx: list[str] = Field(min_length=1)
    steps: Positive = 20


class Experiment(Section):
    """What may differ between experiments.

    ``weights`` names the experiment whose networks are used (default: its own); ``analyses_after`` and
    ``forecasts_after`` say after which training stage they make the cycle (default: ``replay`` where it is configured,
    else ``joint``) and the forecasts (default: the last). ``forecasts`` says whether forecasts start from its
    analyses. ``initial``, ``gfs`` or an experiment, gives the analyses that forecasts start from instead: such an
    experiment does not cycle. ``forecaster`` makes its forecasts instead of the networks.
    """

    sources: list[str]
    weights: str | None = None
    analyses_after: Literal["assimilator", "joint", "replay", "autoregressive"] | None = None
    forecasts_after: Literal["forecaster", "assimilator", "joint", "autoregressive"] | None = None
    forecasts: bool = True
    initial: str | None = None
    forecaster: ExternalForecaster | None = None
    model: Model = Model()
    training: Training

    def recipe(self, stage: str) -> dict:
        """All settings that the networks after a training stage, or the bank of ``backgrounds``, depend on."""
        training, order = self.training, ("forecaster", "backgrounds", "assimilator", "joint", "autoregressive")
        # replay goes on from joint training, for the cycle alone
        until = [*order[:4], "replay"] if stage == "replay" else order[: order.index(stage) + 1]
        found = {"model": self.model, "options": training.model_dump(exclude={*order, "replay", "simulated"})}
        found |= {name: getattr(training, name) for name in until}
        if "backgrounds" in until:
            found["max_lead_hours"] = training.assimilator.max_lead_hours
        if "assimilator" in until:
            found |= {"sources": self.sources, "simulated": training.simulated}
        return found


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
    case: str | None = Field(None, description="analysis time of increment_case, default the middle of the test period")
    perturbation: Perturbation | None = Perturbation()


class Config(Section):
    """The whole configuration."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    seed: int = 0
    kind: Literal["embedded", "archive"] = "embedded"
    grid: GridSize
    segment_months: Literal[1, 2, 3, 4, 6, 12] = 1
    periods: Periods
    world: World = World()
    states: States = States()
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
        for name, others in self.verification.comparisons.items():
            for compared in (name, *others):
                self._known(f"verification.comparisons.{name}", compared, self.experiments)
        self._check_figures()
        return self

    def _check_simulation(self) -> None:
        within = self.periods.observations
        for name, chosen in self.simulation.items():
            self._known("simulation", name, sources.known())
            source = sources.load(name)
            if not source.profile and source.instrument not in known.instruments():
                raise ValueError(f"simulation.{name}: no observation operator for {source.instrument}, allowed: "
                                 f"profiles at heights, {', '.join(known.instruments())}")
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
        for name in figures.unrolling:
            self._known("figures.unrolling", name, self.cycled_experiments)
        if len(figures.unrolling) == 1:
            raise ValueError(f"figures.unrolling: {figures.unrolling}, allowed: none, or two and more to compare")
        if not (figures.experiments and self.resolve(figures.experiments[0]).forecasts):
            raise ValueError(f"figures.experiments: {figures.experiments}, allowed: first one with forecasts, of "
                             f"{', '.join(self.forecasting_experiments) or 'which there is none'}")
        self.perturbation  # noqa: B018, raises where it cannot be made
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
        loss = experiment.training.joint.observation_loss
        observed = loss.sources
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
        for source in [] if experiment.weights else loss.radiances:
            key = f"experiments.{name}.training.joint.observation_loss.radiances"
            self._known(key, source, experiment.sources)
            if sources.load(source).instrument not in known.instruments():
                raise ValueError(f"{key}: there is no observation operator for {source}, allowed: sources of "
                                 f"{', '.join(known.instruments())}")
        if experiment.weights is not None:
            self._known(f"experiments.{name}.weights", experiment.weights, self.experiments)
            if experiment.weights not in self.trained_experiments:
                raise ValueError(f"experiments.{name}.weights: {experiment.weights} has no networks of its own")
        self._check_stages(name, experiment)
        self._check_forecaster(name, experiment)
        model = experiment.model.model_dump()
        if self._uses_networks(name) and (why := sizes.misfit(**self.grid.model_dump(), **model)):
            raise ValueError(f"experiments.{name}.model.{why}")

    def _check_stages(self, name: str, experiment: Experiment) -> None:
        training = self.resolve(self.weights_of(name)).training
        cycled = [*training.stages, *(["replay"] if training.replay else [])]
        for key, trained in (("analyses_after", cycled), ("forecasts_after", training.stages)):
            if (stage := getattr(experiment, key)) is not None:
                self._known(f"experiments.{name}.{key}", stage, trained)

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

    def trained_by(self, name: str, stage: str) -> str:
        """The experiment that trains a stage (or makes the bank of ``backgrounds``) of experiment ``name``: the first
        whose stages up to it have the same settings, so that what two experiments share is trained once."""
        name = self.weights_of(name)
        recipe = self.resolve(name).recipe(stage)
        same = (other for other in self.trained_experiments if self.resolve(other).recipe(stage) == recipe)
        return next(same, name)

    def analyses_after(self, name: str) -> str:
        """The training stage whose networks experiment ``name`` cycles with."""
        default = "replay" if self.resolve(self.weights_of(name)).training.replay else "joint"
        return self.resolve(name).analyses_after or default

    def replayed(self, name: str) -> dict[str, Period]:
        """By segment of the cycle, the days of fresh data that the networks of experiment ``name`` are updated with
        before it; segments without an update are left out."""
        stage = self.resolve(self.weights_of(name)).training.replay
        labels = self.segments(self.cycling_period) if stage else []
        first = {label: times.segment_bounds(label, self.segment_months)[0] for label in labels}
        days = {label: stage.fresh(day, self.periods.cold_start) for label, day in first.items()}
        return {label: period for label, period in days.items() if period}

    def forecasts_after(self, name: str) -> str:
        """The training stage whose networks make the forecasts of experiment ``name``."""
        return self.resolve(name).forecasts_after or [*self.resolve(self.weights_of(name)).training.stages][-1]

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

    @property
    def comparisons(self) -> dict[str, list[str]]:
        """By experiment, those that its scores are compared with: as ``verification`` and ``figures`` ask for it."""
        wanted = [(name, other) for name, others in self.verification.comparisons.items() for other in others]
        wanted += [(name, self.figures.unrolling[0]) for name in self.figures.unrolling[1:]]
        if self.figures.hybrid_training:
            wanted.append(self.figures.hybrid_training[::-1])
        found: dict[str, list[str]] = {}
        for name, other in dict.fromkeys(wanted):
            found.setdefault(name, []).append(other)
        return found

    def compared_sources(self, name: str) -> list[str]:
        """The sources whose observations an experiment's training compares states with."""
        return self.resolve(name).training.joint.observation_loss.compared

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
    def perturbation(self) -> Perturbation | None:
        """The single-observation experiment of ``increment_case``, with its source and channel; None without one:
        where it is left out, or no sounder that the main experiment assimilates has an observation operator."""
        if self.figures.perturbation is None:
            return None
        assimilated = (sources.load(name) for name in self.resolve(self.figures.experiments[0]).sources)
        instruments = known.instruments()
        return self.figures.perturbation.among([source for source in assimilated if source.instrument in instruments])

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


def load(*paths: Path) -> Config:
    """Read and check a configuration, of several files each laid over those before, as Snakemake does;
    :class:`ConfigurationError` names the files."""
    values: dict = {}
    try:
        for path in paths:
            content = yaml_files.read(path)
            values = _merge(values, content) if isinstance(content, dict) else content
        return validate(values)
    except (ConfigurationError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{', '.join(map(str, paths))}: {error}") from None


def schema() -> str:
    """The JSON schema of the configuration, as kept in ``config/schema.json``."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


SCHEMA = ROOT / "config" / "schema.json"
