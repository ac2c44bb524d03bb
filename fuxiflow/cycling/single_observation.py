"""The single-observation experiment: an analysis again, with one value of one observation changed.

Each place is an experiment of its own, so that its response is the answer to that observation and
to no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from logging import Logger

import numpy as np
import torch
from torch import Tensor

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config.sources import Source
from fuxiflow.cycling.analyses import AnalysisModel, Carry, normal
from fuxiflow.cycling.response import Response
from fuxiflow.grids import Grid
from fuxiflow.models.networks import Networks
from fuxiflow.models.pillars import FootprintBatch, columns_at_footprints
from fuxiflow.operators.equivalents import StateColumns, equivalent_operator, jacobian
from fuxiflow.progress import progress
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.statistics import Statistics

REACH = 8
"""Cells to each side of the observed one whose response is kept."""


@dataclass(frozen=True)
class Case:
    """One analysis of a cycle that can be made again.

    ``assimilator`` makes it; ``time (1,)``; the first ``guess (1, 3, channel, lat, lon)``;
    ``climatology (1, channel, lat, lon)``; ``observations`` by source.
    """

    networks: Networks
    assimilator: AnalysisModel
    time: np.ndarray
    guess: Tensor
    climatology: Tensor
    observations: dict[str, FootprintBatch]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        networks: Networks,
        carry: Carry,
        climatology: Climatology,
        observations: dict[str, FootprintBatch],
        assimilator: AnalysisModel | None = None,
    ) -> "Case":
        """Prepare the analysis that :func:`fuxiflow.cycling.analyses.cycle` makes from a carry.

        Parameters
        ----------
        networks : Networks
            On their device, in evaluation mode.
        carry : Carry
            The states that the cycle starts from.
        climatology : Climatology
            The state that unobserved parts of the atmosphere relax to.
        observations : dict of str to FootprintBatch
            Those about the carry's time, by source.
        assimilator : AnalysisModel, optional
            Makes the analysis; by default the networks.

        Returns
        -------
        Case
            With its first guess.
        """
        time = np.array([carry.time])
        climate = normal(networks, climatology, carry.time)
        guess = networks.guess(carry.previous, carry.background, climate, time)
        return cls(networks, assimilator or networks, time, guess, climate, observations)

    @torch.no_grad()
    def analysis(self, **changed: FootprintBatch) -> Tensor:
        """The standardised analysis ``(channel, lat, lon)``, with some footprints ``changed``."""
        return self.assimilator.analyse(
            self.guess, self.climatology, {**self.observations, **changed}, self.time
        )[0]


def draw_places(
    footprints: FootprintBatch, channel: int, count: int, grid: Grid, seed: int
) -> np.ndarray:
    """Draw footprints that have a channel, evenly over the Earth's area.

    Parameters
    ----------
    footprints : FootprintBatch
        Those of one source.
    channel : int
        Position of the channel.
    count : int
        The most footprints that are drawn.
    grid : Grid
        Gives the areas of cells.
    seed : int
        Fixes the draw.

    Returns
    -------
    np.ndarray
        Positions of footprints in order, ``(n,)``.
    """
    cell = footprints.cell.cpu().numpy()
    valid = np.isfinite(footprints.values[:, channel].cpu().numpy())
    weight = grid.area_weights[cell // grid.nlon] * valid
    count = min(count, int(valid.sum()))
    if not count:
        return np.empty(0, np.int64)
    return np.sort(
        np.random.default_rng(seed).choice(len(cell), count, replace=False, p=weight / weight.sum())
    )


def responses(
    case: Case, source: str, channel: int, step: float, positions: np.ndarray
) -> Iterator[Tensor]:
    """Make the analysis again for each footprint of some, with its channel changed.

    Parameters
    ----------
    case : Case
        The analysis.
    source : str
        The source whose footprints are changed.
    channel : int
        Position of the channel.
    step : float
        Is added to the channel, in standardised units.
    positions : np.ndarray
        The footprints, ``(n,)``.

    Yields
    ------
    Tensor
        By footprint, the changed analysis less the one without a change, ``(channel, lat, lon)`` in
        physical units.
    """
    if not len(positions):
        return
    footprints = case.observations[source]
    control = case.analysis()
    scale = case.networks.normaliser.std[: len(control)]
    for position in positions:
        values = footprints.values.clone()
        values[position, channel] += step
        yield (case.analysis(**{source: replace(footprints, values=values)}) - control) * scale


@torch.no_grad()
def guess_columns(
    case: Case, footprints: FootprintBatch, first_hour: int, statistics: Statistics, grid: Grid
) -> StateColumns:
    """Take the columns of the first guess at the time and place of footprints.

    Parameters
    ----------
    case : Case
        The analysis.
    footprints : FootprintBatch
        Those of one source.
    first_hour : int
        The hour from the analysis time at which the source's window begins.
    statistics : Statistics
        Gives the surface's geopotential and land fraction.
    grid : Grid
        The networks' grid.

    Returns
    -------
    StateColumns
        In physical units, with the surface of the footprints' cells.
    """
    names = case.networks.design.channels[: case.guess.shape[2]]
    state = columns_at_footprints(footprints, case.guess, first_hour)[:, :, None, None]
    cell = footprints.cell.cpu().numpy()
    surface = (
        np.asarray(field, np.float32).ravel()[cell]
        for field in (statistics.surface_geopotential, statistics.land_fraction)
    )
    latitude = grid.lat[cell // grid.nlon].astype(np.float32)
    physical = case.networks.normaliser.physical(state)[:, :, 0, 0].cpu()
    return StateColumns(
        names, physical, *(torch.from_numpy(values) for values in (*surface, latitude))
    )


def sensitivity(source: Source, channel: int, columns: StateColumns, zenith: Tensor) -> np.ndarray:
    """Differentiate a channel's brightness temperature by the state's columns.

    Humidity is relative in the state, so temperature changes at constant relative humidity.

    Parameters
    ----------
    source : Source
        Has an observation operator.
    channel : int
        Position of the channel.
    columns : StateColumns
        The columns, in physical units.
    zenith : Tensor
        Satellite zenith angles in degrees, ``(n,)``; NaN counts as 0.

    Returns
    -------
    np.ndarray
        In K per unit of the state, ``(n, state channel)``.
    """
    operator = equivalent_operator(source)
    zenith = torch.nan_to_num(zenith).cpu()
    slopes = jacobian(
        lambda state: operator(replace(columns, state=state), zenith),
        {"state": columns.state},
        [channel],
        ("state",),
    )
    return slopes["state"][:, 0].numpy()


def cells_around(field: np.ndarray, row: int, column: int) -> np.ndarray:
    """Take the cells within :data:`REACH` of one of a field, rows from south to north.

    Parameters
    ----------
    field : np.ndarray
        ``(level, lat, lon)``.
    row, column : int
        The cell in the middle.

    Returns
    -------
    np.ndarray
        ``(level, north, east)``: around the globe in longitude, NaN beyond the poles, and where the
        globe has less columns.
    """
    nlat, nlon = field.shape[-2:]
    offset = np.arange(-REACH, REACH + 1)
    rows, columns = row - offset, (column + offset) % nlon
    cells = field[:, np.clip(rows, 0, nlat - 1)[:, None], columns]
    outside = ((rows < 0) | (rows >= nlat))[:, None] | (np.abs(offset) > (nlon - 1) // 2)[None]
    return np.where(outside, np.nan, cells)


class Mean:
    """The mean of fields of one ``shape``, each where it is finite; NaN where none is."""

    def __init__(self, shape: tuple[int, ...]):
        self._sum, self._count = np.zeros(shape), np.zeros(shape)

    def add(self, field: np.ndarray) -> None:
        """Add a field."""
        self._count += np.isfinite(field)
        self._sum += np.nan_to_num(field)

    @property
    def value(self) -> np.ndarray:
        """The mean of what was added."""
        return np.divide(
            self._sum, self._count, out=np.full_like(self._sum, np.nan), where=self._count > 0
        )


def perturb_observations(
    case: Case,
    source: Source,
    channel: str,
    kelvin: float,
    places: int,
    statistics: Statistics,
    seed: int,
    log: Logger,
) -> Response:
    """Perturb a channel in footprints of a source, one by one.

    Parameters
    ----------
    case : Case
        The analysis.
    source : Source
        The source.
    channel : str
        Name of its channel.
    kelvin : float
        Is added to the brightness temperature.
    places : int
        The most footprints that are perturbed.
    statistics : Statistics
        Gives the surface's geopotential and land fraction.
    seed : int
        Fixes which footprints are drawn.
    log : Logger
        Is told the progress.

    Returns
    -------
    Response
        At no place where the window has no observations.
    """
    networks, grid = case.networks, Grid(*case.networks.design.grid)
    design, number = networks.design.sources[source.name], source.channel_names.index(channel)
    footprints = case.observations.get(source.name, _none(len(design.channels)).to(networks.device))
    positions = draw_places(footprints, number, places, grid, seed)

    def at_places() -> tuple[FootprintBatch, StateColumns, np.ndarray]:
        touched = footprints.rows(torch.from_numpy(positions).to(networks.device))
        columns = guess_columns(case, touched, design.window[0], statistics, grid)
        return touched, columns, sensitivity(source, number, columns, touched.zenith)

    touched, columns, slopes = at_places()
    # a first guess that no atmosphere has, as of networks that are hardly trained
    seen = np.isfinite(slopes).all(1)
    if not seen.all():
        log.warning(
            "%d of %d places are left out: the operator has no Jacobian at their first guess",
            (~seen).sum(),
            len(seen),
        )
        positions = positions[seen]
        touched, columns, slopes = at_places()
    temperatures = [columns.channels.index(f"T{level}") for level in PRESSURE_LEVELS]
    rows = (touched.cell // grid.nlon).cpu().numpy()
    lons = (touched.cell % grid.nlon).cpu().numpy()
    changes = np.zeros((len(positions), len(columns.channels)))
    nearby = Mean((len(PRESSURE_LEVELS), 2 * REACH + 1, 2 * REACH + 1))
    made = responses(case, source.name, number, kelvin / design.std[number], positions)
    for i, field in enumerate(progress(made, "perturbed observations", log, total=len(positions))):
        change = field.cpu().numpy()
        changes[i] = change[:, rows[i], lons[i]]
        nearby.add(cells_around(change[temperatures], rows[i], lons[i]))
    return Response(
        analysis_time=str(case.time[0].astype("datetime64[s]")),
        source=source.name,
        channel=channel,
        kelvin=kelvin,
        cell=(180 / grid.nlat, 360 / grid.nlon),
        level=np.array(PRESSURE_LEVELS),
        lat=grid.lat[rows],
        lon=grid.lon[lons],
        hour=touched.slot.cpu().numpy() + design.window[0] + 0.5,
        zenith=touched.zenith.cpu().numpy(),
        response=changes[:, temperatures],
        jacobian=slopes[:, temperatures],
        followed=(slopes * changes).sum(1),
        around=nearby.value,
    )


def _none(channels: int) -> FootprintBatch:
    """A batch without footprints, of a source of so many channels."""
    position = torch.empty(0, dtype=torch.int64)
    values, zenith, offset = torch.empty(0, channels), torch.empty(0), torch.empty(0, 2)
    return FootprintBatch(position, position, position, values, zenith, offset)
