"""Forecasts from analyses: the forecaster run on its own output."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from fuxiflow.models.networks import STEP, Networks
from fuxiflow.states.forecasts import ForecastWriter


@torch.inference_mode()
def forecast(
    networks: Networks, previous: np.ndarray, current: np.ndarray, inits: np.ndarray, steps: int
) -> Iterator[np.ndarray]:
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


def write_leads(writer: ForecastWriter, inits: Sequence[int], made: Iterator[np.ndarray]) -> None:
    """Store what :func:`forecast` yields, ``(init, channel, lat, lon)`` lead by lead, for the ``inits`` of a writer.

    A piece that is stored whole is held back until all its leads are there: written lead by lead, for several initial
    times in turn, each would be read and compressed anew for every lead.
    """
    leads = len(writer.lead_hours)
    for first in range(0, leads, writer.chunk_leads):
        part = np.stack(list(islice(made, min(writer.chunk_leads, leads - first))), 1)
        for i, fields in zip(inits, part, strict=True):
            for lead, field in enumerate(fields, start=first):
                writer.write(int(i), lead, field)
