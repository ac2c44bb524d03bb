"""The whole configuration: sections, checks before any job, and what follows from them.

Every key that a person may set is in this package, described below its name with its unit.
``config/schema.json`` and ``docs/reference/configuration.md`` are made from these models.
"""

import copy
import json
import re
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from fuxiflow import ROOT, times
from fuxiflow.channels import channel_table
from fuxiflow.config import checks, sources
from fuxiflow.config.base import (
    Day,
    GridSize,
    Period,
    Section,
    allowed_keys,
    complaints,
    lay_over,
    nearest,
    read_yaml,
)
from fuxiflow.config.completeness import Completeness
from fuxiflow.config.cyclones import Cyclones
from fuxiflow.config.derived import cutoff_name, denied_name, derived_experiments, seed_name
from fuxiflow.config.evaluation import DRAWN, Cycling, Figures, Perturbation, Verification
from fuxiflow.config.experiment import Experiment
from fuxiflow.config.simulation import SimulatedSource, instruments_with_operator
from fuxiflow.config.world import World

SCHEMA = ROOT / "config" / "schema.json"


class ConfigurationError(ValueError):
    """A configuration that cannot be run; the message has a line for each mistake."""


class Periods(Section):
    """The days that are trained on, cycled and scored."""

    training: Period
    """Days of the reanalysis for weights, statistics and climatology."""
    observations: Period
    """Part of ``training`` with observations: for stages 2 and 3 and for quality control."""
    cold_start: Day
    """Day whose 00 UTC starts the cycle, from climatology: after training, in a later segment."""
    validation: Period | None = None
    """Days that are scored for choosing settings; by default none.

    They lie between ``cold_start`` and the test, disjoint from training. The cycle runs on from
    them to the test. Forecasts from them are valid in segments before those of the test."""
    test: Period
    """Days that are scored. They begin some days after ``cold_start``, so that spin-up is not."""

    @property
    def scored(self) -> dict[str, Period]:
        """By folder of results, the days whose scores lie there, in the order of time."""
        validation = {"validation": self.validation} if self.validation else {}
        return validation | {"scores": self.test}

    @property
    def first_scored(self) -> date:
        """The first day that is scored, in validation or in the test: before it is spin-up."""
        return next(iter(self.scored.values())).start


class States(Section):
    """Stores of states."""

    compression: Literal["packed", "lz4hc", "none"] = "packed"
    """How reanalysis, backgrounds and analyses are stored.

    ``packed``: in integers, with an error below a tenth of that of ERA5's own files; the fastest
    at 0.25 degrees. ``lz4hc``: compressed without loss, for coarse grids, whose neighbours differ
    much. ``none``: as float32."""


class Config(Section):
    """The whole configuration."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    """Folder under ``results/``: lower-case letters, digits, underscores."""
    seed: int = Field(0, ge=0)
    """Seed of every random number: initialisation, sampling, noise of the world, bootstrap."""
    kind: Literal["embedded", "archive"] = "embedded"
    """Origin of raw files: embedded makes a synthetic world, archive downloads them."""
    grid: GridSize
    """Grid of the networks: centres of cells, without the poles."""
    segment_months: Literal[1, 2, 3, 4, 6, 12] = 1
    """Months of the calendar that one job works on."""
    periods: Periods
    """Days that are trained on, cycled and scored."""
    world: World = World()
    """The embedded world."""
    archives: dict = {}
    """What the run changes of ``config/archive.yaml``: who is asked for ERA5, addresses of mirrors.

    Sections with keys as in that file. It changes no raw file that is there, so nothing runs again
    for it."""
    synthetic_archives: bool = False
    """Whether archives are a mirror of the embedded world, which figures and report then say.

    No channel of its platforms has died (``config/denials.csv``)."""
    states: States = States()
    """How states are stored."""
    temporary: list[Literal["raw", "footprints", "backgrounds"]] = []
    """Products that are removed once no job of the run needs them any more; by default none.

    ``raw`` are raw files of the embedded world, ``footprints`` tables before quality control,
    ``backgrounds`` the bank of stage 2. A later run that needs one makes it again. Archives' raw
    files always stay; ``cycling.keep_forecasts`` says which forecasts do."""
    check_space: bool = True
    """Whether a run is refused before its first job where its products would not fit on the disk.

    Their sizes are estimates; ``fuxiflow plan`` shows them."""
    completeness: Completeness = Completeness()
    """The least shares of their data that jobs must find."""
    simulation: dict[str, SimulatedSource] = {}
    """By source, observations that are simulated for training."""
    experiment: Experiment
    """The default experiment."""
    experiments: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], dict | None]
    """By name, the experiments: what each changes of ``experiment``, section by section."""
    cycling: Cycling = Cycling()
    """How analyses and forecasts are made over the test period."""
    verification: Verification = Verification()
    """Scores."""
    cyclones: Cyclones | None = None
    """Tracks of tropical cyclones; by default none are made."""
    figures: Figures
    """What the figures show."""

    @model_validator(mode="after")
    def _derived(self):
        for name, override in derived_experiments(self.experiment, self.experiments).items():
            if self.experiments.get(name, override) != override:
                raise ValueError(
                    f"experiments.{name}: the name is that of a denial, cut-off or seed of "
                    f"another, allowed: another name"
                )
            self.experiments[name] = override
        return self

    @model_validator(mode="after")
    def _checked(self):
        if mistakes := list(checks.cross_section_mistakes(self)):
            raise ValueError("\n".join(mistakes))
        return self

    def overridden(self, name: str) -> dict:
        """Return the values of experiment ``name``: the default's with its overrides, unchecked."""
        return lay_over(self.experiment.model_dump(), self.experiments[name] or {})

    def resolve(self, name: str) -> Experiment:
        """Return experiment ``name``, the default with its overrides; KeyError lists all names."""
        if name not in self.experiments:
            raise KeyError(f"unknown experiment {name!r}; known: {', '.join(self.experiments)}")
        return Experiment(**self.overridden(name))

    def weights_of(self, name: str) -> str:
        """Return the experiment whose networks experiment ``name`` runs with."""
        return self.resolve(name).weights or name

    def trained_by(self, name: str, stage: str) -> str:
        """Return the experiment that trains a stage of experiment ``name``.

        It is the first whose stages up to it have the same settings, so that what two experiments
        share is trained once. ``stage`` may also be the bank of ``backgrounds``.
        """
        name = self.weights_of(name)
        recipe = self.resolve(name).recipe(stage)
        same = (
            other
            for other in self.trained_experiments
            if self.resolve(other).recipe(stage) == recipe
        )
        return next(same, name)

    def analyses_after(self, name: str) -> str:
        """Return the training stage whose networks experiment ``name`` cycles with."""
        default = "replay" if self.resolve(self.weights_of(name)).training.replay else "joint"
        return self.resolve(name).analyses_after or default

    def replayed(self, name: str) -> dict[str, Period]:
        """Return by segment the days of fresh data that an experiment's networks learn before it.

        Segments without an update are left out.
        """
        stage = self.resolve(self.weights_of(name)).training.replay
        labels = self.segments(self.cycling_period) if stage else []
        first = {label: times.segment_bounds(label, self.segment_months)[0] for label in labels}
        days = {label: stage.fresh(day, self.periods.cold_start) for label, day in first.items()}
        return {label: period for label, period in days.items() if period}

    def forecasts_after(self, name: str) -> str:
        """Return the training stage whose networks make the forecasts of experiment ``name``."""
        return (
            self.resolve(name).forecasts_after
            or [*self.resolve(self.weights_of(name)).training.stages][-1]
        )

    def denials_of(self, name: str) -> list[str]:
        """Return the experiments without one source of an experiment each."""
        return [denied_name(name, source) for source in self.resolve(name).denied]

    def cutoffs_of(self, name: str) -> list[str]:
        """Return the experiments with the earlier cut-offs of an experiment."""
        return [cutoff_name(name, hours) for hours in self.resolve(name).cutoffs]

    @property
    def seeds(self) -> dict[str, list[str]]:
        """By experiment of several seeds, the experiments of all of them, its own first."""
        numbers = {name: self.resolve(name).seeds for name in self.experiments}
        named = {
            name: [seed_name(name, number) for number in range(1, count + 1)]
            for name, count in numbers.items()
        }
        there = {
            name: [seed for seed in seeds if seed in self.experiments]
            for name, seeds in named.items()
        }
        return {name: seeds for name, seeds in there.items() if len(seeds) > 1}

    @property
    def trained_experiments(self) -> list[str]:
        """Experiments that train networks of their own."""
        return [
            name
            for name in self.experiments
            if self.weights_of(name) == name and self.uses_networks(name)
        ]

    def uses_networks(self, name: str) -> bool:
        """Return whether an experiment cycles or forecasts with networks of this project."""
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
    def scored_channels(self) -> list[str] | None:
        """Channels of forecasts that are scored, in the order of the table; None for all."""
        names = self.verification.channels
        if names == "all":
            return None
        return [name for name in channel_table().names if name in {*DRAWN, *names}]

    @property
    def kept_channels(self) -> list[str] | None:
        """Channels that stores of forecasts hold, in the order of the table; None for all."""
        if self.cycling.keep_forecasts == "all" or self.scored_channels is None:
            return None
        needed = {*self.scored_channels, *self.figures.map_channels, *self.tracker_channels}
        return [name for name in channel_table().names if name in needed]

    @property
    def tracker_channels(self) -> list[str]:
        """Channels of forecasts that cyclones are tracked in; none without ``cyclones``."""
        return self.cyclones.tracker.channels if self.cyclones else []

    @property
    def system_channels(self) -> list[str] | None:
        """Channels that are taken of others' forecasts, in the order of the table; None for all."""
        if self.scored_channels is None:
            return None
        needed = {*self.scored_channels, *self.tracker_channels}
        return [name for name in channel_table().names if name in needed]

    @property
    def external_experiments(self) -> list[str]:
        """Forecasting experiments with another forecaster or initial states than the cycle's."""
        forecasting = {name: self.resolve(name) for name in self.forecasting_experiments}
        return [
            name
            for name, experiment in forecasting.items()
            if experiment.initial is not None or experiment.forecaster is not None
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
        """By experiment, those that its scores are compared with.

        ``verification`` and ``figures`` name them. Denials and cut-offs are compared with the
        whole, and further seeds as the first one is.
        """
        pairs = [
            (name, other)
            for name, others in self.verification.comparisons.items()
            for other in others
        ]
        pairs += [(name, self.figures.unrolling[0]) for name in self.figures.unrolling[1:]]
        if self.figures.hybrid_training:
            pairs.append(self.figures.hybrid_training[::-1])
        pairs += [(name, other) for name in self.experiments for other in self.denials_of(name)]
        pairs += [(other, name) for name in self.experiments for other in self.cutoffs_of(name)]
        pairs += [
            (seed_name(name, number), seed_name(other, number))
            for name, other in pairs
            for number in range(2, self.resolve(name).seeds + 1)
            if {seed_name(name, number), seed_name(other, number)} <= set(self.experiments)
        ]
        others_of: dict[str, list[str]] = {}
        for name, other in dict.fromkeys(pairs):
            others_of.setdefault(name, []).append(other)
        return others_of

    def compared_sources(self, name: str) -> list[str]:
        """Return the sources whose observations an experiment's training compares states with."""
        return self.resolve(name).training.joint.observation_loss.compared

    @property
    def case(self) -> datetime | None:
        """The analysis time of the single-case figures; None if ``figures.case`` is no time.

        By default it is the middle of the test period.
        """
        allowed = times.times(self.periods.test.start, self.periods.test.end)
        if self.figures.case is None:
            return allowed[len(allowed) // 2]
        try:
            return datetime.fromisoformat(self.figures.case)
        except ValueError:
            return None

    @property
    def perturbation(self) -> Perturbation | None:
        """The single-observation experiment of ``increment_case``, with its source and channel.

        None where it is left out, or where no sounder that the main experiment assimilates has an
        observation operator. ValueError where it cannot be made.
        """
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
    def needs_gfs(self) -> bool:
        """True where GFS is scored, or forecasts start from its analyses."""
        from_gfs = any(self.resolve(name).initial == "gfs" for name in self.experiments)
        return from_gfs or "gfs" in self.verification.baselines

    def gfs_start(self, period: Period) -> datetime:
        """Return when the embedded world's GFS makes the first forecast of a scored period.

        It is the first initial time at 00 or 12 UTC, or 00 UTC where there is none.
        """
        hour = min((hour for hour in self.cycling.init_hours if hour % 12 == 0), default=0)
        return datetime.combine(period.start, time(hour))

    @property
    def verification_period(self) -> Period:
        """The days that references are needed for: the cycle and a forecast from its end."""
        extra = timedelta(hours=self.cycling.max_lead_hours)
        return Period(start=self.periods.cold_start, end=self.periods.test.end + extra)

    @property
    def synthetic(self) -> bool:
        """True where raw files are of the embedded world, made by the run or fetched."""
        return self.kind == "embedded" or self.synthetic_archives

    def flown(self, name: str, first: date, last: date) -> tuple[date, date] | None:
        """Return the part of some days on which a source was there to observe, or None.

        Parameters
        ----------
        name : str
            Name of the source.
        first, last : date
            The days, both included.

        Returns
        -------
        tuple of date or None
            First and last day, both included; outages lie inside.
        """
        source = sources.load_source(name)
        if self.kind == "archive":
            return source.days_flown(first, last)
        observing = self.world.observing(source)
        first = max(first, observing.start or first)
        last = min(last, observing.end or last)
        return (first, last) if first <= last else None

    def platforms_flown(self, name: str, first: date, last: date) -> dict[str, tuple[date, date]]:
        """Return the part of some days on which each platform of a source was there to observe.

        Parameters
        ----------
        name : str
            Name of the source.
        first, last : date
            The days, both included.

        Returns
        -------
        dict
            First and last day by platform, both included; without those that were not there.
        """
        days = self.flown(name, first, last)
        if days is None:
            return {}
        source = sources.load_source(name)
        if self.kind == "embedded":
            return dict.fromkeys(source.platform_names, days)
        return source.platform_days(*days)

    def segments(self, period: Period) -> list[str]:
        """Return the labels of the segments of a period."""
        return times.segments(period.start, period.end, self.segment_months)

    def states_period(self, label: str) -> Period:
        """Return the period whose days a segment of states holds: training, else verification."""
        training = self.periods.training
        return training if label in self.segments(training) else self.verification_period

    def observed_period(self, label: str) -> Period:
        """Return the period whose days a segment of observations holds, else that of the cycle."""
        observations = self.periods.observations
        return observations if label in self.segments(observations) else self.cycling_period

    def slice_segments(self, month: str) -> list[str]:
        """Return the training segments, of all years, that begin in a month ``MM``."""
        return [
            label for label in self.segments(self.periods.training) if label.endswith(f"-{month}")
        ]

    @property
    def scored_segments(self) -> list[str]:
        """Labels of the segments that forecasts start in: those of validation and of the test."""
        return [label for period in self.periods.scored.values() for label in self.segments(period)]

    def scored_period(self, label: str) -> Period:
        """Return the days that are scored of a segment: of validation, else of the test."""
        periods = self.periods.scored.values()
        of_segment = (period for period in periods if label in self.segments(period))
        return next(of_segment, self.periods.test)

    def clip(self, label: str, period: Period) -> tuple[date, date]:
        """Return the first and last day of a segment inside a period."""
        return times.clip(label, self.segment_months, period.start, period.end)


def validate_configuration(values: dict) -> Config:
    """Check a configuration; :class:`ConfigurationError` has a line for each mistake."""
    if not isinstance(values, dict):
        raise ConfigurationError(f"expected sections with keys, found {_in_words(values)}")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = complaints(error, Config)
        lines += _mistakes_beside(values, error)
        raise ConfigurationError("\n".join(lines)) from None


def _in_words(values: object) -> str:
    """Return what a file holds instead of sections, in plain words."""
    if values is None:
        return "nothing"
    return "a list" if isinstance(values, list) else "a single value"


def _mistakes_beside(values: dict, error: ValidationError) -> list[str]:
    """Return what sections demand of one another, beside the mistakes that Pydantic has raised.

    Pydantic compares sections only when each is valid by itself. Here misspelt keys are therefore
    corrected and invalid values left to their defaults. Nothing is compared where a key without
    default is at fault, and no mistake is told that depends on such a correction.
    """
    corrected = copy.deepcopy(values)
    touched: list[str] = []
    for detail in error.errors():
        place = list(detail["loc"])
        if not place or detail["type"] == "invalid_key":
            return []
        if detail["type"] == "missing" and not _near_key(corrected, place):
            return []
        if detail["type"] == "missing":
            continue
        while isinstance(place[-1], int):
            place.pop()
        key = ".".join(map(str, place))
        if key in touched:
            continue  # another entry of the same list
        section = _section_at(corrected, place[:-1])
        if section is None or place[-1] not in section:
            return []
        value = section.pop(place[-1])
        touched.append(key)
        if detail["type"] == "extra_forbidden":
            meant = nearest(place[-1], allowed_keys(Config, place[:-1]))
            if meant is not None:
                section.setdefault(meant, value)
    try:
        Config.model_validate(corrected)
    except ValidationError as second:
        if all(not detail["loc"] for detail in second.errors()):
            lines = complaints(second, Config)
            # what is wrong in ``experiment`` comes back in each of ``experiments``
            keys = "|".join(re.escape(key.removeprefix("experiment.")) for key in touched)
            return [
                line
                for line in lines
                if not re.search(rf"(?<!\w)({keys})(?!\w)", line)
                and not any(key.startswith(line.split(":")[0] + ".") for key in touched)
            ]
    return []


def _near_key(values: dict, place: list) -> bool:
    """Return whether a key without value stands in its section with a misspelt name."""
    section = _section_at(values, place[:-1]) or {}
    others = [key for key in section if key not in allowed_keys(Config, place[:-1])]
    return nearest(place[-1], others) is not None or place[-1] in section


def _section_at(values: dict, place: list) -> dict | None:
    """Return the mapping at a place of nested mappings, None where there is none."""
    for part in place:
        values = values.get(part) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else None


def load_configuration(*paths: Path) -> Config:
    """Read and check a configuration, of several files each laid over those before.

    Snakemake lays configuration files over each other in the same way.
    :class:`ConfigurationError` has a line for each mistake, with the files and the key.
    """
    values: dict = {}
    try:
        for path in paths:
            content = read_yaml(path)
            if not isinstance(content, dict):
                raise ValueError(f"expected sections with keys, found {_in_words(content)}")
            values = lay_over(values, content)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    try:
        return validate_configuration(values)
    except ConfigurationError as error:
        files = ", ".join(map(str, paths))
        lines = str(error).split("\n")
        raise ConfigurationError("\n".join(f"{files}: {line}" for line in lines)) from None


def configuration_schema() -> str:
    """Return the JSON schema of the configuration, as kept in ``config/schema.json``."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"
