"""Climatology and reference fields, each read once as long as memory allows.

Cases come in such an order that the fields kept in memory are those needed next
(:func:`fuxiflow.verification.collection.case_order`).
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.coordinates import as_nanoseconds
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.area_means import PieceWeights, absent_means, own_means
from fuxiflow.verification.metrics import region_weights

CACHE_BYTES = 1 << 29


class RecentArrays:
    """The most recently used arrays, as many as fit into ``budget`` bytes, at least one."""

    def __init__(self, budget: int):
        self.budget = budget
        self.used = 0
        self._arrays: OrderedDict = OrderedDict()
        self._last = 0

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of ``key``, from memory or else from ``make()``."""
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        # room for it first: arrays are of about one size, and large ones must not stand beside
        while self._arrays and self.used + self._last > self.budget:
            self.used -= self._arrays.popitem(last=False)[1].nbytes
        array = self._arrays[key] = make()
        self._last = array.nbytes
        self.used += array.nbytes
        return array


def align_channels(state: np.ndarray, names: Sequence[str], channels: Sequence[str]) -> np.ndarray:
    """Put the channels of a state into another order.

    Parameters
    ----------
    state : np.ndarray
        State ``(channel, lat, lon)``.
    names : sequence of str
        The channels of ``state``.
    channels : sequence of str
        The channels to return.

    Returns
    -------
    np.ndarray
        Field ``(channel, cell)`` of ``channels``, NaN where ``state`` lacks one.
    """
    flat = state.reshape(len(state), -1)
    if list(names) == list(channels):
        return flat
    position = {name: i for i, name in enumerate(names)}
    field = np.full((len(channels), flat.shape[1]), np.nan, np.float32)
    for i, name in enumerate(channels):
        if name in position:
            field[i] = flat[position[name]]
    return field


def _time_key(time: np.datetime64) -> int:
    """Return a time as whole nanoseconds, by which fields are cached."""
    return int(as_nanoseconds(time).astype(np.int64))


class Normals:
    """The climatology ``(channel, cell)`` at valid times."""

    def __init__(
        self, climatology: Climatology, channels: Sequence[str], budget: int = CACHE_BYTES
    ):
        """Take some channels of a climatology.

        Parameters
        ----------
        climatology : Climatology
            The climatology to take the fields from.
        channels : sequence of str
            Channels of the fields.
        budget : int
            Bytes of fields that are kept in memory.

        Raises
        ------
        ValueError
            The climatology lacks a channel.
        """
        absent = [name for name in channels if name not in climatology.channels.names]
        if absent:
            raise ValueError(
                f"the climatology has no channel {', '.join(absent)}: "
                "make states/climatology.zarr again"
            )
        self.climatology = climatology
        self.channels = list(channels)
        self._recent = RecentArrays(budget)

    def at(self, time: np.datetime64) -> np.ndarray:
        """Return the climatology ``(channel, cell)`` of a time."""
        return self._recent.get(
            _time_key(time),
            lambda: align_channels(
                self.climatology.at(time), self.climatology.channels.names, self.channels
            ),
        )


class Reference:
    """A series of states as anomalies from the climatology, with their area means."""

    def __init__(
        self,
        name: str,
        states: StateSeries,
        normals: Normals,
        weights: PieceWeights,
        budget: int = CACHE_BYTES,
    ):
        """Take a series of states as a reference.

        Parameters
        ----------
        name : str
            Name of the reference in the score table: era5, truth or own.
        states : StateSeries
            The states themselves.
        normals : Normals
            Climatology, whose channels the anomalies have.
        weights : PieceWeights
            Area weights of the regions.
        budget : int
            Bytes of anomalies that are kept in memory.

        Raises
        ------
        ValueError
            The states lie on another grid than the climatology.
        """
        if states.grid != normals.climatology.grid:
            raise ValueError(
                f"reference {name}: {states.paths[0]} lies on {states.grid}, "
                f"the climatology on {normals.climatology.grid}"
            )
        self.name = name
        self.states = states
        self.normals = normals
        self.weights = weights
        self._recent = RecentArrays(budget)
        # small, so those of all times are kept: a valid time comes again with every lead time
        self._means: dict[int, np.ndarray] = {}

    def __contains__(self, time) -> bool:
        return time in self.states

    def field(self, time: np.datetime64) -> np.ndarray:
        """Return the state ``(channel, cell)`` of a time; KeyError (from the store) without it."""
        return align_channels(
            self.states.read(time), self.states.channels.names, self.normals.channels
        )

    def anomaly(self, time: np.datetime64) -> np.ndarray:
        """Return the anomaly ``(channel, cell)`` of a time; KeyError as :meth:`field`."""
        return self._recent.get(_time_key(time), lambda: self.field(time) - self.normals.at(time))

    def means(self, time: np.datetime64) -> np.ndarray:
        """Return the own means ``(mean, channel, region)`` of a time; NaN without a state then."""
        key = _time_key(time)
        if key not in self._means:
            if time in self:
                self._means[key] = own_means(self.anomaly(time), self.weights)
            else:
                channels, regions = len(self.normals.channels), len(self.weights)
                self._means[key] = absent_means(channels, regions)
        return self._means[key]


@dataclass(frozen=True)
class ReferenceSet:
    """References on the channels of one climatology, and the regions that are scored.

    Attributes
    ----------
    normals : Normals
        Climatology on the scored channels.
    references : list of Reference
        References, all with the weights of ``regions``.
    regions : list of str
        Names of the regions, in the order of the weights.
    """

    normals: Normals
    references: list[Reference]
    regions: list[str]

    @property
    def by_name(self) -> dict[str, Reference]:
        """The references by their name."""
        return {reference.name: reference for reference in self.references}

    def only(self, names: Sequence[str]) -> "ReferenceSet":
        """Return the set with the references of ``names`` alone, in their order here."""
        references = [reference for reference in self.references if reference.name in names]
        return ReferenceSet(self.normals, references, self.regions)


def prepare_references(
    states: Mapping[str, StateSeries],
    climatology: Climatology,
    channels: Sequence[str],
    regions: Sequence[str],
) -> ReferenceSet:
    """Take references and climatology on the channels that are scored.

    Parameters
    ----------
    states : mapping of str to StateSeries
        States of each reference.
    climatology : Climatology
        Climatology on the grid of the states.
    channels : sequence of str
        Channels that are scored.
    regions : sequence of str
        Regions that are scored, of :data:`fuxiflow.grids.REGIONS`.

    Returns
    -------
    ReferenceSet
        The references in the order of ``states``.
    """
    normals = Normals(climatology, channels)
    cells = region_weights(climatology.grid, regions).reshape(len(regions), -1)
    weights = PieceWeights.of_cells(cells)
    references = [Reference(name, series, normals, weights) for name, series in states.items()]
    return ReferenceSet(normals, references, list(regions))
