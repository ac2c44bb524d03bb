"""Parts of the climatology: weighted means at the nodes that one calendar slice touches.

A part is of one slice of the calendar, such as all Januaries. It reads each of their states once:
the states of a day and hour are added up over the years, and their mean is spread over the nodes
within the window. Parts hold means and sums of weights, which merge in any order.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from zarr.codecs import BloscCodec

from fuxiflow.channels import ChannelTable
from fuxiflow.completeness import check_finite
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.climatology import (
    HOURS,
    NODES,
    create_climatology,
    day_of_year,
    hour_of_day,
    window_weights,
)
from fuxiflow.storage.zarr_stores import consolidate

# packed ten times as fast as the climatology itself, as parts are read once
COMPRESSORS = (BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle", typesize=4),)
BLOCK_VALUES = 1 << 18
"""Values that are added at once."""


@dataclass
class WeightedMean:
    """A running mean ``(channel, lat, lon)``, float32, and its sums of weights ``(channel,)``.

    As a mean it keeps the digits of float32 however much is added. Where the weight is 0, so is the
    mean.
    """

    mean: np.ndarray
    weight: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "WeightedMean":
        """Return the mean of nothing for a shape ``(channel, lat, lon)``."""
        return cls(np.zeros(shape, np.float32), np.zeros(shape[0]))

    def add(self, mean: np.ndarray, weight: np.ndarray) -> None:
        """Add another mean with its sums of weights ``(channel,)``."""
        total = self.weight + weight
        share = np.divide(weight, total, out=np.zeros_like(total), where=total > 0)
        share = share.astype(np.float32)[:, None, None]
        # a few channels at a time, so that all of it stays in the processor's cache
        count = max(1, BLOCK_VALUES // mean[0].size)
        buffer = np.empty((count, *mean.shape[1:]), np.float32)
        for first in range(0, len(mean), count):
            own = self.mean[first : first + count]
            change = np.subtract(mean[first : first + count], own, out=buffer[: len(own)])
            change *= share[first : first + count]
            own += change
        self.weight = total


def read_ahead(
    times: Iterable[np.datetime64],
    read: Callable[[np.datetime64], np.ndarray],
    threads: int,
) -> Iterator[np.ndarray]:
    """Yield the fields of times in order, while others are read in threads.

    Parameters
    ----------
    times : Iterable of np.datetime64
        The times.
    read : Callable
        Gives the field of a time.
    threads : int
        Fields that are read at once beside the one in use; with 1 each is read when it is needed.

    Yields
    ------
    np.ndarray
        The field of each time.
    """
    if threads == 1:
        yield from map(read, times)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        for time in times:
            waiting.append(pool.submit(read, time))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def mean_of_states(
    states: Iterable[tuple[np.datetime64, np.ndarray]], channels: ChannelTable, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average the states of a day of the year and an hour over the years.

    Parameters
    ----------
    states : Iterable of tuple
        Times and states ``(channel, lat, lon)``.
    channels : ChannelTable
        Their channels.
    total : np.ndarray
        Float64 in the shape of a state, which the sums are put into.

    Returns
    -------
    mean : np.ndarray
        ``(channel, lat, lon)``, float32.
    count : np.ndarray
        Number of states by channel, without those in which it is NaN.
    """
    may_lack = np.array([not channel.analysed for channel in channels])
    count = np.zeros(len(channels))
    total[:] = 0
    for time, state in states:
        valid = np.array([np.isfinite(field).all() for field in state])
        check_finite(valid | may_lack, channels.names, f"state of {time}")
        for channel in np.flatnonzero(valid):
            total[channel] += state[channel]
        count += valid
    mean = np.empty(total.shape, np.float32)
    for channel, number in enumerate(count):
        mean[channel] = total[channel] / max(number, 1)
    return mean, count


def write_part(
    path: Path,
    times: Sequence[np.datetime64],
    read: Callable[[np.datetime64], np.ndarray],
    channels: ChannelTable,
    grid: Grid,
    width: int,
    log: logging.Logger,
    threads: int = 1,
) -> None:
    """Write a part of the climatology: weighted means at the nodes that its states touch.

    Each state is read once, by hour and day of the year, so that only the nodes within a window are
    in memory. A channel that is NaN in a state does not count there.

    Parameters
    ----------
    path : Path
        The store; one that is there is replaced.
    times : Sequence of np.datetime64
        Times of the states.
    read : Callable
        Gives the state ``(channel, lat, lon)`` of a time.
    channels : ChannelTable
        Channels of the states.
    grid : Grid
        Grid of the states.
    width : int
        Width in days of the triangular window about a day of the year, circular in the year.
    log : logging.Logger
        Takes progress.
    threads : int
        States that are read at once.

    Raises
    ------
    IncompleteError
        When a channel that every state has is NaN in one.
    """
    by_hour = [
        sorted((time for time in times if hour_of_day(time) == hour), key=day_of_year)
        for hour in HOURS
    ]
    touched = sum(window_weights(day, width) for day in {day_of_year(time) for time in times})
    # a store has a node at least, be it one without any weight
    nodes = np.flatnonzero(touched) if np.any(touched) else np.array([0])
    group = create_climatology(path, channels, grid, width, NODES[nodes], COMPRESSORS)
    shape = (len(channels), *grid.shape)
    fields = read_ahead((time for hour in by_hour for time in hour), read, threads)
    fields = progress(fields, "climatology", log, total=len(times))
    total = np.empty(shape)
    sums = np.zeros((len(nodes), len(HOURS), len(channels)))
    for slot, times_of_hour in enumerate(by_hour):
        days = [(day, list(same)) for day, same in groupby(times_of_hour, key=day_of_year)]
        weights = np.array([window_weights(day, width)[nodes] for day, _ in days])
        means: dict[int, WeightedMean] = {}
        for position, (_, same) in enumerate(days):
            states = zip(same, fields, strict=False)
            mean, count = mean_of_states(states, channels, total)
            for node in np.flatnonzero(weights[position]):
                running = means.setdefault(node, WeightedMean.empty(shape))
                running.add(mean, weights[position][node] * count)
                # once no later day has a weight at a node, its mean leaves the memory
                if not weights[position + 1 :, node].any():
                    group["climatology"][node, slot] = means.pop(node).mean
                    sums[node, slot] = running.weight
        for node in np.flatnonzero(sums[:, slot].sum(axis=1) == 0):
            group["climatology"][node, slot] = np.zeros(shape, np.float32)
    group.create_array(
        "weight",
        data=sums,
        dimension_names=("dayofyear", "hour", "channel"),
        attributes={"long_name": "sum of the weights of its states; 0: none"},
    )
    consolidate(path)
