"""The configuration: one Pydantic model a section, unknown keys refused, cross-field checks before any job.

Every key that a person may set is here or in :mod:`fuxiflow.config`, with its unit, its default and where the default
comes from; ``config/schema.json`` is generated from these models.
"""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from fuxiflow import ROOT, times
from fuxiflow.config import checks, sources
from fuxiflow.config.base import GridSize, Period, Section, complaint, read_yaml
from fuxiflow.config.evaluation import Cycling, Figures, Perturbation, Verification
from fuxiflow.config.experiment import Experiment
from fuxiflow.config.simulation import SimulatedSource, instruments_with_operator
from fuxiflow.config.world import World


class ConfigurationError(ValueError):
    """A configuration that cannot be run; the message names the key and the allowed values in one line."""


class Periods(Section):
    """What is used when. ``observations`` is the part of ``training`` with observations to learn assimilation from;
    the cycle starts cold at 00 UTC of ``cold_start`` and is scored over ``test``."""

    training: Period
    observations: Period
    cold_start: date
    test: Period


class States(Section):
    """Stores that training reads. ``compression: none`` is copied from mapped files instead of unpacked, and takes
    the room of float32: a third more in the demonstration, two and a half times as much of real ERA5."""

    compression: Literal["lz4hc", "none"] = "lz4hc"


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
    def _checked(self):
        checks.check(self)
        return self

    def resolve(self, name: str) -> Experiment:
        """Experiment ``name``: the default experiment with its overrides; KeyError lists the known ones."""
        if name not in self.experiments:
            raise KeyError(f"unknown experiment {name!r}; known: {', '.join(self.experiments)}")
        merged = _merge(self.experiment.model_dump(), self.experiments[name] or {})
        try:
            return Experiment(**merged)
        except ValidationError as error:
            raise ValueError(complaint(error, f"experiments.{name}")) from error

    def weights_of(self, name: str) -> str:
        """The experiment whose networks experiment ``name`` runs with."""
        return self.resolve(name).weights or name

    def trained_by(self, name: str, stage: str) -> str:
        """The experiment that trains a stage (or makes the bank of ``backgrounds``) of experiment ``name``: the first
        whose stages up to it have the same settings, so that what two experiments share is trained once."""
        name = self.weights_of(name)
        recipe = self.resolve(name).recipe(stage)
        same = (
            other
            for other in self.trained_experiments
            if self.resolve(other).recipe(stage) == recipe
        )
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
        return (
            self.resolve(name).forecasts_after
            or [*self.resolve(self.weights_of(name)).training.stages][-1]
        )

    @property
    def trained_experiments(self) -> list[str]:
        """Experiments that train networks of their own."""
        return [
            name
            for name in self.experiments
            if self.weights_of(name) == name and self.uses_networks(name)
        ]

    def uses_networks(self, name: str) -> bool:
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
        return [
            name for name, e in chosen.items() if e.initial is not None or e.forecaster is not None
        ]

    @property
    def sources(self) -> list[str]:
        """All sources that some experiment assimilates, or trains to."""
        users = [*self.cycled_experiments, *self.trained_experiments]
        compared = {
            source for name in self.trained_experiments for source in self.compared_sources(name)
        }
        return sorted(
            {source for name in users for source in self.resolve(name).sources} | compared
        )

    @property
    def comparisons(self) -> dict[str, list[str]]:
        """By experiment, those that its scores are compared with: as ``verification`` and ``figures`` ask for it."""
        wanted = [
            (name, other)
            for name, others in self.verification.comparisons.items()
            for other in others
        ]
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
        assimilated = (
            sources.load_source(name) for name in self.resolve(self.figures.experiments[0]).sources
        )
        instruments = instruments_with_operator()
        return self.figures.perturbation.among(
            [source for source in assimilated if source.instrument in instruments]
        )

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
        merged[key] = (
            _merge(base[key], value)
            if isinstance(value, dict) and isinstance(base.get(key), dict)
            else value
        )
    return merged


def validate_configuration(values: dict) -> Config:
    """A checked configuration; :class:`ConfigurationError` with one line otherwise."""
    if not isinstance(values, dict):
        raise ConfigurationError(f"expected sections with keys, found {type(values).__name__}")
    try:
        return Config(**values)
    except ValidationError as error:
        raise ConfigurationError(complaint(error)) from None


def load_configuration(*paths: Path) -> Config:
    """Read and check a configuration, of several files each laid over those before, as Snakemake does;
    :class:`ConfigurationError` names the files."""
    values: dict = {}
    try:
        for path in paths:
            content = read_yaml(path)
            values = _merge(values, content) if isinstance(content, dict) else content
        return validate_configuration(values)
    except (ConfigurationError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{', '.join(map(str, paths))}: {error}") from None


def configuration_schema() -> str:
    """The JSON schema of the configuration, as kept in ``config/schema.json``."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


SCHEMA = ROOT / "config" / "schema.json"
