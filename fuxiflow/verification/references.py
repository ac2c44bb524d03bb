"""Reference fields as anomalies from climatology, each read once as long as memory allows."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import States, as_nanoseconds
from fuxiflow.verification.cases import own_means

CACHE_BYTES = 1 << 29


class Recent:
    """Keeps the most recently used values, as many as fit into ``budget`` bytes, at least one."""

    def __init__(self, budget: int):
        self.budget, self.held = budget, 0
        self._values: OrderedDict = OrderedDict()

    def get(self, key, make):
        """The value of ``key``, from memory or from ``make()``, an array."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        self._values[key] = value
        self.held += value.nbytes
        while self.held > self.budget and len(self._values) > 1:
            self.held -= self._values.popitem(last=False)[1].nbytes
        return value


def aligned(state: np.ndarray, names: Sequence[str], channels: Sequence[str]) -> np.ndarray:
    """A state ``(channel, lat, lon)`` of channels ``names`` as ``(channel, cell)`` of ``channels``, NaN if absent."""
    flat = state.reshape(len(state), -1)
    if list(names) == list(channels):
        return flat
    position = {name: i for i, name in enumerate(names)}
    field = np.full((len(channels), flat.shape[1]), np.nan, np.float32)
    for i, name in enumerate(channels):
        if name in position:
            field[i] = flat[position[name]]
    return field


class Normals:
    """Climatology ``(channel, cell)`` at the valid times. ValueError when it lacks a channel."""

    def __init__(
        self, climatology: Climatology, channels: Sequence[str], budget: int = CACHE_BYTES
    ):
        absent = [name for name in channels if name not in climatology.channels.names]
        if absent:
            raise ValueError(
                f"the climatology has no channel {', '.join(absent)}: make states/climatology.zarr again"
            )
        self.climatology, self.channels = climatology, list(channels)
        self._recent = Recent(budget)

    def at(self, time: np.datetime64) -> np.ndarray:
        """The climatology of a time."""
        return self._recent.get(
            int(as_nanoseconds(time).astype(np.int64)),
            lambda: aligned(
                self.climatology.at(time), self.climatology.channels.names, self.channels
            ),
        )


class Reference:
    """A series of states as anomalies on the channels of ``normals``, with their area means.

    ``weights (region, cell)``. ValueError when the states lie on another grid than the climatology.
    """

    def __init__(
        self,
        name: str,
        states: States,
        normals: Normals,
        weights: np.ndarray,
        budget: int = CACHE_BYTES,
    ):
        if states.grid != normals.climatology.grid:
            raise ValueError(
                f"reference {name}: {states.paths[0]} lies on {states.grid}, "
                f"the climatology on {normals.climatology.grid}"
            )
        self.name, self.states, self.normals, self.weights = name, states, normals, weights
        self._recent = Recent(budget)
        self._means: dict[int, np.ndarray] = {}

    def __contains__(self, time) -> bool:
        return time in self.states

    def field(self, time: np.datetime64) -> np.ndarray:
        """The state of a time ``(channel, cell)``; KeyError (from the store) when it is not there."""
        return aligned(self.states.read(time), self.states.channels.names, self.normals.channels)

    def anomaly(self, time: np.datetime64) -> np.ndarray:
        """The anomaly of a time ``(channel, cell)``; KeyError as :meth:`field`."""
        return self._recent.get(
            int(as_nanoseconds(time).astype(np.int64)),
            lambda: self.field(time) - self.normals.at(time),
        )

    def means(self, time: np.datetime64) -> np.ndarray:
        """``<r'>`` and ``<r'^2>`` of a time, ``(2, channel, region)``; NaN where the time is not there."""
        key = int(as_nanoseconds(time).astype(np.int64))
        if key not in self._means:
            if time in self:
                self._means[key] = own_means(self.anomaly(time), self.weights)
            else:
                self._means[key] = np.full(
                    (2, len(self.normals.channels), len(self.weights)), np.nan
                )
        return self._means[key]
