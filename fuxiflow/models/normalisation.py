"""Standardised states, inside the networks' package so that a checkpoint needs no second file."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn


class Normaliser(nn.Module):
    """Physical states ↔ standardised ones, ``(…, channel, lat, lon)``; precipitation enters as log(1 + tp).

    States may hold all channels or just the first of them, as an analysis does, which has no precipitation.
    ``tendency`` is the standard deviation of a 6-h change in standardised units ``(channel,)``: the networks'
    outputs are scaled with it.
    """

    def __init__(
        self, channels: Sequence[str], mean: np.ndarray, std: np.ndarray, tendency: np.ndarray
    ):
        super().__init__()
        if np.any(std <= 0):
            bad = [name for name, value in zip(channels, std, strict=True) if value <= 0]
            raise ValueError(
                f"channels {', '.join(bad)} do not vary in the statistics: standard deviation 0"
            )
        self.channels = list(channels)
        self.logarithmic = self.channels.index("TP") if "TP" in self.channels else None
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(
                name, torch.tensor(np.asarray(value), dtype=torch.float32)[:, None, None]
            )
        scaled = torch.tensor(np.asarray(tendency) / np.asarray(std), dtype=torch.float32)
        self.register_buffer("tendency", scaled[:, None, None])

    def forward(self, state: Tensor) -> Tensor:
        """Standardise a physical state."""
        count = state.shape[-3]
        return (self._log(state) - self.mean[:count]) / self.std[:count]

    def physical(self, state: Tensor) -> Tensor:
        """A standardised state in physical units; precipitation is never negative."""
        count = state.shape[-3]
        return self._exp(state * self.std[:count] + self.mean[:count])

    def _log(self, state: Tensor) -> Tensor:
        return self._precipitation(state, torch.log1p)

    def _exp(self, state: Tensor) -> Tensor:
        return self._precipitation(state, torch.expm1)

    def _precipitation(self, state: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """The state with ``function`` of its precipitation, negatives as 0, where it has any."""
        if self.logarithmic is None or self.logarithmic >= state.shape[-3]:
            return state
        state = state.clone()
        state[..., self.logarithmic, :, :] = function(
            state[..., self.logarithmic, :, :].clamp_min(0)
        )
        return state
