"""Settings that may differ between experiments: sources, networks, and how they are used."""

from typing import Literal

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.training import Training


class ExternalForecaster(Section):
    """A cascade of ONNX models of FuXi's public interface.

    See :mod:`fuxiflow.models.forecasters`.
    """

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
    model: Model = Model()
    """Sizes of the networks."""
    training: Training
    """Training of the networks."""

    def recipe(self, stage: str) -> dict:
        """Return all settings that the networks after a training stage depend on.

        ``stage`` may also be ``backgrounds``, the bank that stage 2 draws from, or
        ``background_filter``.
        """
        training = self.training
        order = (
            "forecaster",
            "backgrounds",
            "background_filter",
            "assimilator",
            "joint",
            "autoregressive",
        )
        # replay goes on from joint training, for the cycle alone
        until = [*order[:5], "replay"] if stage == "replay" else order[: order.index(stage) + 1]
        settings = {
            "model": self.model,
            "options": training.model_dump(exclude={*order, "replay", "simulated"}),
        }
        settings |= {name: getattr(training, name) for name in until}
        if "backgrounds" in until:
            settings["max_lead_hours"] = training.assimilator.max_lead_hours
        if "assimilator" in until:
            settings |= {"sources": self.sources, "simulated": training.simulated}
        return settings
