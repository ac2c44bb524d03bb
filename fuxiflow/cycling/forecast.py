"""Forecasts from analyses: the forecaster run on its own output."""

from collections.abc import Iterator

import numpy as np
import torch

from fuxiflow.models.networks import STEP, Networks


@torch.inference_mode()
def forecast(networks: Networks, previous: np.ndarray, current: np.ndarray, inits: np.ndarray,
             steps: int) -> Iterator[np.ndarray]:  # fmt: skip
    """Six-hourly forecasts of a batch of initial times, in physical units.

    ``previous`` and ``current (init, channel, lat, lon)`` are the analyses at t-6 h and t; yields ``steps`` arrays
    ``(init, channel, lat, lon)`` with precipitation, of 6 h, 12 h, and so on.
    """
    def standard(states: np.ndarray) -> torch.Tensor:
        return networks.normaliser(torch.from_numpy(states).to(networks.device))

    before, now = standard(previous), standard(current)
    for step in range(steps):
        following = networks.forecast(before, now, inits + STEP * step)
        if not torch.isfinite(following).all():
            raise FloatingPointError(f"forecasts are not finite at {6 * (step + 1)} h")
        yield networks.normaliser.physical(following).cpu().numpy()
        before, now = now, following[:, : networks.analysed]
