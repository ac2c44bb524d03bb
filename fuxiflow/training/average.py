"""A running mean of the weights (exponential moving average), which a stage may leave instead of its last weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fuxiflow.training.parallel import like


class Average:
    """Means of ``parameters``: after every update ``mean += (1 - decay) (parameter - mean)``, from their first values.

    The decay of the first updates is smaller, (1 + n) / (10 + n) after n of them, so that the initial weights are soon
    forgotten (Polyak averaging as in TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float):
        self.parameters, self.decay, self.count = list(parameters), decay, 0
        self.means = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters as they are now into the means."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            mean.lerp_(parameter.detach(), 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the means in the place of the parameters."""
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            parameter.copy_(mean)

    def state_dict(self) -> dict[str, list[Tensor] | int]:
        """Count and means."""
        return {"count": self.count, "means": self.means}

    def load_state_dict(self, content: dict) -> None:
        """The inverse of :meth:`state_dict`."""
        self.count = content["count"]
        self.means = [
            like(mean.to(parameter.device), parameter)
            for mean, parameter in zip(content["means"], self.parameters, strict=True)
        ]
