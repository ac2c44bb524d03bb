"""A bank of backgrounds of random lead, made once by the forecaster of stage 1, for stage 2.

Without it every sample of stage 2 starts with a forecast of up to ``max_lead_hours``, again and
again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from fuxiflow.models.networks import STEP, Networks
from fuxiflow.randomness import numbered_generator
from fuxiflow.states.store import StateSeries

STREAM = 5
"""The bank's number among the streams of :data:`fuxiflow.training.plans.STREAMS`."""
HOUR = np.timedelta64(1, "h")


class Bank:
    """Stores of the arrays ``background`` and ``previous``, the state 6 h before it."""

    def __init__(self, paths: Sequence[Path]):
        self.background = StateSeries(paths, "background")
        self.previous = StateSeries(paths, "previous")
        self.times = self.background.times

    def read_into(self, time: np.datetime64, out: np.ndarray) -> None:
        """Put both states of a time into ``out (2, channel, lat, lon)``, in physical units.

        Channels that no background has, precipitation, are 0.
        """
        count = len(self.background.channels)
        out[:, count:] = 0
        self.previous.read_into([time], out[:1, :count])
        self.background.read_into([time], out[1:, :count])


def background_times(first: np.datetime64, last: np.datetime64, every_hours: int) -> np.ndarray:
    """List the times for which there are backgrounds: every so many hours since 1970.

    Parameters
    ----------
    first, last : np.datetime64
        First and last time.
    every_hours : int
        A multiple of 6.

    Returns
    -------
    np.ndarray
        Times in order, ``(n,)``.
    """
    times = np.arange(first, last + HOUR, STEP)
    return times[times.astype("datetime64[h]").astype(int) % every_hours == 0]


def forecast_groups(
    times: np.ndarray, size: int, max_lead_hours: int, seed: int
) -> list[tuple[np.ndarray, int]]:
    """Group times that are forecast together, and draw the lead of each group.

    The lead is uniform from 6 h to ``max_lead_hours``, a pure function of the seed and the group's
    first time.

    Parameters
    ----------
    times : np.ndarray
        Valid times in order, ``(n,)``.
    size : int
        Times in a group.
    max_lead_hours : int
        The longest lead, a multiple of 6.
    seed : int
        The configuration's seed.

    Returns
    -------
    list of tuple
        Times of a group, and its lead in steps of 6 h.
    """
    groups = []
    for start in range(0, len(times), size):
        group = times[start : start + size]
        hours = int(group[0].astype("datetime64[h]").astype(int))
        generator = numbered_generator(seed, STREAM, hours)
        groups.append((group, int(generator.integers(1, max_lead_hours // 6 + 1))))
    return groups


@torch.inference_mode()
def forecast_backgrounds(
    networks: Networks, states: StateSeries, times: np.ndarray, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Forecast the backgrounds of a group of times.

    Parameters
    ----------
    networks : Networks
        The forecaster of stage 1, on its device.
    states : StateSeries
        The reanalysis, which forecasts start from.
    times : np.ndarray
        Valid times, ``(n,)``.
    steps : int
        Steps of 6 h.

    Yields
    ------
    tuple of np.ndarray
        For each time the last two states of the forecast that ends there, 6 h before it and at it:
        physical, ``(channel, lat, lon)`` of the analysed channels.

    Raises
    ------
    FloatingPointError
        When one is not finite.
    """
    first = times - steps * STEP

    def standard(when: np.ndarray) -> torch.Tensor:
        fields = torch.from_numpy(states.read_many(when)[:, : networks.analysed])
        return networks.normaliser(fields.to(networks.device))

    previous, current = standard(first - STEP), standard(first)
    for step in range(steps):
        following = networks.forecast(previous, current, first + STEP * step)
        previous, current = current, following[:, : networks.analysed]
    if not torch.isfinite(current).all():
        raise FloatingPointError(
            f"a forecast of {6 * steps} h to {times[0]} .. {times[-1]} is not finite; train the "
            f"forecaster longer, or lower training.assimilator.max_lead_hours"
        )
    both = (networks.normaliser.physical(fields).cpu().numpy() for fields in (previous, current))
    yield from zip(*both, strict=True)
