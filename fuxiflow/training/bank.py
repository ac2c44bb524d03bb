"""A bank of backgrounds of random lead, made once by the forecaster of stage 1, that stage 2 draws its samples from.

Without it every sample of stage 2 starts with a forecast of up to ``max_lead_hours``, again and again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from fuxiflow.models.networks import STEP, Networks
from fuxiflow.randomness import numbered_generator
from fuxiflow.states.store import StateSeries

STREAM = 5
HOUR = np.timedelta64(1, "h")


class Bank:
    """Stores of the arrays ``background`` and ``previous``, the state six hours before it in the same forecast."""

    def __init__(self, paths: Sequence[Path]):
        self.background, self.previous = (
            StateSeries(paths, "background"),
            StateSeries(paths, "previous"),
        )
        self.times = self.background.times

    def read_into(self, time: np.datetime64, out: np.ndarray) -> None:
        """Put both into ``out (2, channel, lat, lon)``; channels that no background has, precipitation, are 0."""
        count = len(self.background.channels)
        out[:, count:] = 0
        self.previous.read_into([time], out[:1, :count])
        self.background.read_into([time], out[1:, :count])


def valid_times(first: np.datetime64, last: np.datetime64, every_hours: int) -> np.ndarray:
    """Times from ``first`` to ``last`` for which there are backgrounds: every so many hours since 1970."""
    times = np.arange(first, last + HOUR, STEP)
    return times[times.astype("datetime64[h]").astype(int) % every_hours == 0]


def groups(
    times: np.ndarray, size: int, max_lead_hours: int, seed: int
) -> list[tuple[np.ndarray, int]]:
    """Times in groups of ``size`` that are forecast together, and the lead of each in steps of 6 h.

    The lead is uniform from 6 h to ``max_lead_hours``, a pure function of the seed and the group's first time.
    """
    found = []
    for start in range(0, len(times), size):
        some = times[start : start + size]
        hours = int(some[0].astype("datetime64[h]").astype(int))
        generator = numbered_generator(seed, STREAM, hours)
        found.append((some, int(generator.integers(1, max_lead_hours // 6 + 1))))
    return found


@torch.inference_mode()
def backgrounds(
    networks: Networks, states: StateSeries, times: np.ndarray, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each of ``times`` the last two states of a forecast of ``steps`` steps that ends there, physical, ``(channel,
    lat, lon)`` of the analysed channels: 6 h before, and the background. FloatingPointError when one is not finite."""
    first = times - steps * STEP

    def standard(when: np.ndarray) -> torch.Tensor:
        fields = torch.from_numpy(states.read_many(when)[:, : networks.analysed])
        return networks.normaliser(fields.to(networks.device))

    previous, current = standard(first - STEP), standard(first)
    for step in range(steps):
        previous, current = (
            current,
            networks.forecast(previous, current, first + STEP * step)[:, : networks.analysed],
        )
    if not torch.isfinite(current).all():
        raise FloatingPointError(
            f"a forecast of {6 * steps} h to {times[0]} .. {times[-1]} is not finite; train the "
            f"forecaster longer, or lower training.assimilator.max_lead_hours"
        )
    both = (networks.normaliser.physical(fields).cpu().numpy() for fields in (previous, current))
    yield from zip(*both, strict=True)
