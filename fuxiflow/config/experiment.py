"""Settings that may differ between experiments: sources, networks, and how they are used."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.config.first_guess import FirstGuess
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.sources import load_source
from fuxiflow.config.training import Training


class ExternalForecaster(Section):
    """A cascade of ONNX models of FuXi's public interface.

    See :mod:`fuxiflow.models.forecasters`.
    """

    # a model may follow itself
    may_repeat: ClassVar[frozenset[str]] = frozenset({"onnx"})

    onnx: list[str] = Field(min_length=1)
    """Paths of the models in the order in which they are used."""
    steps: Positive = 20
    """Steps of 6 h for which each model is used."""


class Experiment(Section):
    """Settings that may differ between experiments."""

    sources: list[str]
    """Sources that are assimilated: names of files under ``config/sources``."""
    weights: str | None = None
    """Experiment whose networks are used; by default its own."""
    assimilator: Literal["networks", "variational"] = "networks"
    """Makes the analyses: the trained assimilator, or ``training.variational`` alone."""
    first_guess_check: FirstGuess | None = None
    """The check of observations against the first guess of the cycle; by default none."""
    background: Literal["forecast", "none"] = "forecast"
    """Where each analysis starts: from the forecast of the one before, or from the climatology.

    With ``none`` analyses are made of the observations of their windows alone, in training too."""
    windows: dict[str, tuple[int, int]] = {}
    """By source, hours about the analysis time whose observations enter, end excluded.

    By default they are those of the source's file. None reaches farther than 6 h."""
    cutoff_hours: int | None = Field(None, ge=-5, le=6)
    """Hours after the analysis time at which the analysis is made; by default windows are whole.

    What has not arrived by then is left out, in training and in the cycle."""
    latency_hours: dict[str, Annotated[int, Field(ge=0)]] = {}
    """By source, hours from an observation to its arrival, which ``cutoff_hours`` heeds; else 0."""
    analyses_after: Literal["assimilator", "joint", "replay", "autoregressive"] | None = None
    """Training stage whose networks make the cycle; by default replay if configured, else joint."""
    forecasts_after: Literal["forecaster", "assimilator", "joint", "autoregressive"] | None = None
    """Training stage whose networks make the forecasts; by default the last."""
    forecasts: bool = True
    """Whether forecasts start from the analyses."""
    initial: str | None = None
    """Analyses that forecasts start from, gfs or another experiment's; by default its own.

    With it an experiment makes forecasts alone, and ``figures.experiments`` may not name it."""
    forecaster: ExternalForecaster | None = None
    """Models that make the forecasts; by default the experiment's networks."""
    seeds: Positive = 1
    """Number of trainings, with a seed each.

    The first keeps the experiment's name, others are experiments ``{name}_seed2`` and so on. One
    with ``weights`` of another uses that one's networks of the same number, so it may have no more.
    """
    seeds_forecast: bool = True
    """Whether further trainings make forecasts too, not analyses alone."""
    seed_offset: int = Field(0, ge=0)
    """Number added to the configuration's seed in training; further ``seeds`` count on from it."""
    denial: Literal["each"] | list[str] = []
    """Sources without which an experiment is made, one at a time; ``each`` for all.

    They are experiments ``{name}_no_{source}`` with the networks of this one, which is compared
    with each of them."""
    retrained: list[str] = []
    """Those of ``denial`` whose experiment trains networks of its own, without the source too."""
    cutoffs: list[Annotated[int, Field(ge=0, le=6)]] = []
    """Values of ``cutoff_hours`` with which an experiment is made, one after the other.

    They are experiments ``{name}_cutoff_{hours}`` with the networks of this one, and are compared
    with it."""
    retrained_cutoffs: list[Annotated[int, Field(ge=0, le=6)]] = []
    """Those of ``cutoffs`` whose experiment trains networks of its own, with such windows."""
    model: Model = Model()
    """Sizes of the networks."""
    training: Training
    """Training of the networks."""

    @property
    def denied(self) -> list[str]:
        """Sources that are withheld, one at a time."""
        return self.sources if self.denial == "each" else self.denial

    def window_of(self, source: str) -> tuple[int, int]:
        """Return the hours about the analysis time whose observations of a source enter."""
        first, last = self.windows.get(source) or load_source(source).window
        if self.cutoff_hours is not None:
            last = min(last, self.cutoff_hours - self.latency_hours.get(source, 0))
        return first, last

    @property
    def assimilated_windows(self) -> dict[str, tuple[int, int]]:
        """By source that is assimilated, the hours whose observations enter."""
        return {name: self.window_of(name) for name in self.sources}

    @property
    def cycle_check(self) -> FirstGuess | None:
        """The check against the first guess, None without one or without observations."""
        return self.first_guess_check if self.sources else None

    def recipe(self, stage: str) -> dict:
        """Return all settings that the networks after a training stage depend on.

        ``stage`` may also be ``backgrounds``, the bank that stage 2 draws from,
        ``background_filter``, or ``variational``, the background errors.
        """
        training = self.training
        order = (
            "forecaster",
            "backgrounds",
            "background_filter",
            "variational",
            "assimilator",
            "joint",
            "autoregressive",
        )
        # replay goes on from joint training, for the cycle alone
        until = [*order[:6], "replay"] if stage == "replay" else order[: order.index(stage) + 1]
        settings = {
            "model": self.model,
            "seed_offset": self.seed_offset,
            "options": training.model_dump(exclude={*order, "replay", "simulated"}),
        }
        settings |= {name: getattr(training, name) for name in until}
        if "backgrounds" in until:
            settings["max_lead_hours"] = training.assimilator.max_lead_hours
        if "assimilator" in until:
            settings |= {
                "sources": self.sources,
                "simulated": training.simulated,
                "background": self.background,
                "windows": self.assimilated_windows,
            }
        return settings
