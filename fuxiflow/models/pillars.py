"""Sparse observations to features on the grid: each observed cell is encoded, then scattered.

A simplified PointPillars encoder, as FuXi Weather uses one (arXiv 2408.05472): work and memory
follow the number of observed cells, not the size of the globe times the hours of a window.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from fuxiflow.models.layers import full_precision, zero
from fuxiflow.observations.sparse_grids import SparseWindow

MODES = 8
LARGEST_MODE = (
    4.0  # standard deviations: a first guess far from all reanalyses is not extrapolated further
)


@dataclass
class FootprintBatch:
    """Observed cells of one source for a batch of windows.

    ``sample``, ``slot`` and ``cell (n,)`` say where: the window in the batch, the hour in the
    window, row · nlon + column. ``values (n, channel)`` are standardised, NaN where a channel is
    missing; ``zenith (n,)`` in degrees; ``offset (n, 2)`` north and east of the cell's centre, in
    cells; ``platform (n,)`` counts the source's platforms, -1 for several, by default the first.
    """

    sample: Tensor
    slot: Tensor
    cell: Tensor
    values: Tensor
    zenith: Tensor
    offset: Tensor
    platform: Tensor | None = None

    def __post_init__(self):
        if self.platform is None:
            self.platform = torch.zeros_like(self.cell)

    def to(self, device: torch.device) -> "FootprintBatch":
        """The same on another device."""
        return FootprintBatch(
            *(
                getattr(self, name).to(device, non_blocking=True)
                for name in self.__dataclass_fields__
            )
        )

    def pin_memory(self) -> "FootprintBatch":
        """The same in page-locked memory."""
        return FootprintBatch(
            *(getattr(self, name).pin_memory() for name in self.__dataclass_fields__)
        )

    def __len__(self) -> int:
        return len(self.cell)

    def places(self, cells: int) -> Tensor:
        """Positions ``(n,)`` among the ``cells`` of all windows, one window after the other."""
        return self.sample * cells + self.cell

    def kept(self, sample: Tensor) -> "FootprintBatch":
        """Leave out the windows in which ``sample (batch,)`` is False."""
        if sample.all():
            return self
        return self.rows(sample[self.sample])

    def rows(self, index: Tensor) -> "FootprintBatch":
        """Take some of them, by index or mask."""
        return FootprintBatch(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def batch_footprints(
    windows: Sequence[SparseWindow], standardise: Callable[[np.ndarray], np.ndarray]
) -> FootprintBatch:
    """Join the sparse windows of a batch, one a sample.

    ``standardise`` maps their values ``(n, channel)`` to units of the source's statistics.
    """

    def joined(name: str, kind: type) -> Tensor:
        return torch.from_numpy(
            np.concatenate([getattr(window, name) for window in windows]).astype(kind)
        )

    sample = np.repeat(np.arange(len(windows)), [len(window) for window in windows])
    values = standardise(np.concatenate([window.values for window in windows]))
    return FootprintBatch(
        torch.from_numpy(sample),
        joined("slot", np.int64),
        joined("cell", np.int64),
        torch.from_numpy(values),
        joined("zenith", np.float32),
        joined("offset", np.float32),
        joined("platform", np.int64),
    )


def states_together(fields: Tensor) -> Tensor:
    """Lay fields ``(…, state, lat, lon)`` out with the states of a cell side by side in memory.

    A footprint's column is then read in one piece.
    """
    return fields.movedim(-3, -1).contiguous().movedim(-1, -3)


def states_by_cell(fields: Tensor) -> Tensor:
    """View fields ``(…, state, lat, lon)`` as ``(…, cell, state)``."""
    return fields.movedim(-3, -1).flatten(-3, -2)


def columns_at_footprints(footprints: FootprintBatch, guess: Tensor, first_hour: int) -> Tensor:
    """Interpolate the first guess to the time and place of each footprint, linearly in both.

    Parameters
    ----------
    footprints : FootprintBatch
        Places, hours and windows.
    guess : Tensor
        States 6 h before, at and 6 h after the analysis time, ``(batch, 3, state, lat, lon)``, best
        laid out by :func:`states_together`; or one state ``(batch, 1, state, lat, lon)`` that holds
        at all hours.
    first_hour : int
        The hour from the analysis time at which slots begin; they are taken at their middle,
        between -6 h and 6 h.

    Returns
    -------
    Tensor
        ``(n, state)``, float32.
    """
    times, _, *shape = guess.shape[1:]
    places, weights = neighbours_at_footprints(footprints, times, tuple(shape), first_hour)
    # one weighted sum, not a gather for each corner: its gradient is one pass over the guess, and
    # the same every time
    return embedding_bag(
        places,
        states_by_cell(guess.float()).flatten(0, 2),
        mode="sum",
        per_sample_weights=weights,
    )


def neighbours_at_footprints(
    footprints: FootprintBatch, times: int, shape: tuple[int, int], first_hour: int
) -> tuple[Tensor, Tensor]:
    """Return the cells and times around each footprint, and their weights.

    Parameters
    ----------
    footprints : FootprintBatch
        Places, hours and windows.
    times : int
        States of a window: three, or one that holds at all hours.
    shape : tuple of int
        The grid ``(lat, lon)``.
    first_hour : int
        The hour from the analysis time at which slots begin.

    Returns
    -------
    Tensor
        Positions among the cells of all times of all windows, one after the other, ``(n,
        neighbour)``.
    Tensor
        Weights that add up to 1, likewise.
    """
    nlat, nlon = shape
    time, late = _neighbours_in_time(footprints, first_hour) if times > 1 else _one_time(footprints)
    row = footprints.cell // nlon
    column = footprints.cell % nlon
    north, east = footprints.offset.sign().long().unbind(-1)
    rows = torch.stack([row, (row - north).clamp(0, nlat - 1)], -1)
    across = torch.stack([column, (column + east) % nlon], -1)
    up, along = footprints.offset.abs().unbind(-1)
    share = torch.stack([1 - up, up], -1)[:, :, None] * torch.stack([1 - along, along], -1)[:, None]
    place = (rows[:, :, None] * nlon + across[:, None]).flatten(1)
    field = footprints.sample[:, None] * times + time
    places = (field[:, :, None] * (nlat * nlon) + place[:, None]).flatten(1)
    return places, (late[:, :, None] * share.flatten(1)[:, None]).flatten(1)


def _neighbours_in_time(footprints: FootprintBatch, first_hour: int) -> tuple[Tensor, Tensor]:
    """Each footprint's neighbours among three times: numbers and weights, ``(n, 2)`` each."""
    weight = (first_hour + footprints.slot + 0.5) / 6
    neighbour = torch.where(weight < 0, 0, 2)
    numbers = torch.stack([torch.ones_like(neighbour), neighbour], -1)
    return numbers, torch.stack([1 - weight.abs(), weight.abs()], -1)


def _one_time(footprints: FootprintBatch) -> tuple[Tensor, Tensor]:
    """Numbers and weights as of :func:`_neighbours_in_time`, of one time: ``(n, 1)`` each."""
    return torch.zeros_like(footprints.cell)[:, None], torch.ones_like(footprints.offset[:, :1])


def predictors(column: Tensor, zenith: Tensor, surface: Tensor, modes: Tensor) -> Tensor:
    """Compute the predictors of an observation's first guess, see :func:`predictor_count`.

    They are the column, alone and times the slant, 1 / cos(zenith) - 1, and the land fraction; the
    amplitudes of its modes, alone times the slant squared and by pairs, as absorption depends on
    the temperature itself; the slant, its square, the slant over land, the surface, and a one.

    Parameters
    ----------
    column : Tensor
        Standardised states at the footprint, ``(n, column)``.
    zenith : Tensor
        Satellite zenith angle in degrees, ``(n,)``.
    surface : Tensor
        Static fields ``(n, static)``, land fraction first.
    modes : Tensor
        ``(column, mode)``.

    Returns
    -------
    Tensor
        ``(n, predictor)``.
    """
    slant = (1 / torch.cos(torch.deg2rad(zenith)) - 1)[:, None]
    land = surface[:, :1]
    amplitude = (column @ modes).clamp(-LARGEST_MODE, LARGEST_MODE)
    first, second = torch.triu_indices(modes.shape[1], modes.shape[1], device=modes.device)
    pairs = amplitude.index_select(1, first) * amplitude.index_select(1, second)
    geometry = torch.cat([slant, slant**2, slant * land, surface, torch.ones_like(slant)], -1)
    return torch.cat(
        [column, column * slant, column * land, pairs, amplitude * slant**2, geometry], -1
    )


def predictor_jacobian(
    weight: Tensor, column: Tensor, zenith: Tensor, surface: Tensor, modes: Tensor
) -> Tensor:
    """Differentiate a linear function of :func:`predictors` by the column.

    Parameters
    ----------
    weight : Tensor
        The function, ``(channel, predictor)``.
    column, zenith, surface, modes : Tensor
        As of :func:`predictors`.

    Returns
    -------
    Tensor
        ``(n, channel, column)``.
    """
    size, count = modes.shape
    slant = (1 / torch.cos(torch.deg2rad(zenith)) - 1)[:, None, None]
    alone, slanted, on_land, pairs, squared, _ = weight.split(
        [size, size, size, count * (count + 1) // 2, count, weight.shape[1] - _modal(size, count)],
        1,
    )
    linear = alone + slant * slanted + surface[:, :1, None] * on_land
    amplitude = column @ modes
    inside = (amplitude.abs() < LARGEST_MODE).to(column.dtype)
    amplitude = amplitude.clamp(-LARGEST_MODE, LARGEST_MODE)
    first, second = torch.triu_indices(count, count, device=modes.device)
    products = weight.new_zeros(len(weight), count, count)
    products[:, first, second] = pairs
    products = products + products.mT
    by_mode = torch.einsum("nj,cij->nci", amplitude, products) + slant**2 * squared
    return linear + (by_mode * inside[:, None]) @ modes.T


def _modal(column: int, modes: int) -> int:
    """Count the predictors that depend on the column."""
    return 3 * column + modes * (modes + 3) // 2


def predictor_count(column: int, static: int, modes: int) -> int:
    """Count the :func:`predictors`.

    Parameters
    ----------
    column, static, modes : int
        Numbers of states of a column, of static fields, and of modes.

    Returns
    -------
    int
        Their number.
    """
    return _modal(column, modes) + static + 4


@dataclass
class Pillars:
    """The output of an encoder on the grid, zero where no cell is observed.

    It has ``features (batch, width, lat, lon)``, a first ``increment (batch, state, lat, lon)`` in
    units of the 6-h change, and the ``mask (batch, 1, lat, lon)`` of observed cells.
    """

    features: Tensor
    increment: Tensor
    mask: Tensor


class PillarEncoder(nn.Module):
    """:class:`FootprintBatch` and a first guess → :class:`Pillars`.

    Each cell is seen as its departure from the first guess at its time: the measurement less a
    function of the guess' column that is linear in its :func:`predictors`, ``equivalent``, in units
    of ``scale``. A second linear function, ``retrieve``, turns departures into a first increment.
    Both are fitted by least squares before training
    (:mod:`fuxiflow.training.linear_initialisation`); the first is an observation operator and
    stays, the second is trained on. A third, ``relax``, turns the background's anomaly from
    climatology into an increment: what no observation sees drifts without bound in a long cycle,
    and how far it may be from climatology is known. It starts at zero. Cells that are seen in
    several hours get the mean of what their hours say.

    Of a source with several platforms the small network also sees which one it was, one-hot, all
    zero where several share a value.
    """

    LARGEST = 8.0

    def __init__(
        self,
        channels: int,
        states: int,
        slots: int,
        first_hour: int,
        surface: Tensor,
        seen: Tensor,
        width: int,
        platforms: int = 1,
    ):
        """Build the layers; the linear functions are zero until they are fitted.

        Parameters
        ----------
        channels : int
            Channels of the source.
        states : int
            Channels of the state.
        slots : int
            Hours of a window.
        first_hour : int
            The hour from the analysis time at which it begins.
        surface : Tensor
            Static fields ``(static, lat, lon)``, land fraction first.
        seen : Tensor
            The channels of the state that a first guess depends on, ``(column,)``.
        width : int
            Channels of the features.
        platforms : int
            Number of the source's platforms.
        """
        super().__init__()
        self.platforms = platforms if platforms > 1 else 0
        self.shape, self.slots, self.first_hour = tuple(surface.shape[1:]), slots, first_hour
        self.register_buffer("surface", surface.flatten(1).T.clone())
        self.register_buffer("seen", seen.clone())
        modes = min(MODES, len(seen))
        self.register_buffer("modes", torch.zeros(len(seen), modes))
        self.register_buffer(
            "equivalent", torch.zeros(channels, predictor_count(len(seen), len(surface), modes))
        )
        self.register_buffer("scale", torch.ones(channels))
        self.retrieve = zero(nn.Linear(channels, states, bias=False))
        self.relax = zero(nn.Linear(states, states, bias=False))
        self.encode = nn.Sequential(
            nn.Linear(3 * channels + 4 + self.platforms, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
        )

    def columns(self, footprints: FootprintBatch, guess: Tensor) -> Tensor:
        """Columns ``(n, column)`` of a first guess ``(batch, 3, state, lat, lon)``."""
        columns = columns_at_footprints(footprints, guess, self.first_hour)
        # selected last: the guess is large
        return columns.index_select(1, self.seen)

    def predictors(self, footprints: FootprintBatch, guess: Tensor) -> Tensor:
        """:func:`predictors` of footprints from a first guess ``(batch, 3, state, lat, lon)``."""
        column = self.columns(footprints, guess)
        return predictors(column, footprints.zenith, self.surface[footprints.cell], self.modes)

    def departures(self, footprints: FootprintBatch, guess: Tensor) -> Tensor:
        """Departures ``(n, channel)`` from a first guess ``(batch, 3, state, lat, lon)``.

        They are 0 where a channel is missing.
        """
        with full_precision(guess.device):
            equivalents = self.predictors(footprints, guess) @ self.equivalent.T
        departures = (footprints.values - equivalents) / self.scale
        return torch.where(torch.isfinite(footprints.values), departures, 0.0).clamp(
            -self.LARGEST, self.LARGEST
        )

    def forward(self, footprints: FootprintBatch, guess: Tensor, anomaly: Tensor) -> Pillars:
        """Encode footprints and scatter them.

        Parameters
        ----------
        footprints : FootprintBatch
            Observations of a batch of windows.
        guess : Tensor
            First guess ``(batch, 3, state, lat, lon)``.
        anomaly : Tensor
            Anomaly of the background from climatology, ``(batch, state, lat, lon)``.

        Returns
        -------
        Pillars
            On the grid.
        """
        present = torch.isfinite(footprints.values)
        departures = self.departures(footprints, guess)
        hour = self.first_hour + footprints.slot + 0.5
        angle = 2 * torch.pi * hour / self.slots
        geometry = torch.stack(
            [angle.sin(), angle.cos(), hour / self.slots, (footprints.zenith / 60) ** 2], -1
        )
        values = torch.where(present, footprints.values, 0.0)
        platform = footprints.platform[:, None] == torch.arange(
            self.platforms, device=values.device
        )
        places = footprints.places(self.shape[0] * self.shape[1])
        strange = states_by_cell(anomaly).flatten(0, 1).index_select(0, places)
        strange = strange.clamp(-self.LARGEST, self.LARGEST)
        # a processor takes longer over so small products in bfloat16
        with full_precision(guess.device) if guess.is_cpu else nullcontext():
            features = self.encode(torch.cat([departures, values, present, geometry, platform], -1))
            outputs = torch.cat([features, self.retrieve(departures) + self.relax(strange)], -1)
        dense, mask = scatter_mean(outputs, footprints, len(guess), self.shape)
        return Pillars(*dense.split([features.shape[-1], self.retrieve.out_features], 1), mask)


def scatter_mean(
    values: Tensor, footprints: FootprintBatch, batch: int, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Average values by cell.

    Parameters
    ----------
    values : Tensor
        ``(n, feature)``.
    footprints : FootprintBatch
        Their places.
    batch : int
        Number of windows.
    shape : tuple of int
        The grid ``(lat, lon)``.

    Returns
    -------
    Tensor
        Means ``(batch, feature, lat, lon)``, 0 where there is nothing.
    Tensor
        The mask of cells with any value, ``(batch, 1, lat, lon)``.
    """
    cells = shape[0] * shape[1]
    where = footprints.places(cells)
    values = values.float()
    total = values.new_zeros(batch * cells, values.shape[-1]).index_add(0, where, values)
    count = values.new_zeros(batch * cells).index_add(0, where, values.new_ones(len(where)))
    mean = total / count.clamp_min(1)[:, None]
    # what follows reads field by field, and is quicker so than from cell to cell
    dense = mean.view(batch, *shape, values.shape[-1]).permute(0, 3, 1, 2).contiguous()
    return dense, (count > 0).to(values.dtype).view(batch, 1, *shape)
