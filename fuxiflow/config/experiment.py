"""What may differ between experiments: sources, networks, their training, the stages that cycle and forecast."""

from typing import Literal

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.training import Training


class ExternalForecaster(Section):
    """ONNX models of FuXi's public interface (:mod:`fuxiflow.models.forecasters`): a cascade, in order, each model
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
        training, order = (
            self.training,
            ("forecaster", "backgrounds", "assimilator", "joint", "autoregressive"),
        )
        # replay goes on from joint training, for the cycle alone
        until = [*order[:4], "replay"] if stage == "replay" else order[: order.index(stage) + 1]
        found = {
            "model": self.model,
            "options": training.model_dump(exclude={*order, "replay", "simulated"}),
        }
        found |= {name: getattr(training, name) for name in until}
        if "backgrounds" in until:
            found["max_lead_hours"] = training.assimilator.max_lead_hours
        if "assimilator" in until:
            found |= {"sources": self.sources, "simulated": training.simulated}
        return found
