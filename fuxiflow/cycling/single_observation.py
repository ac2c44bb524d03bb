"""The single-observation experiment: an analysis made again with one value of one observation changed.

Each place is an experiment of its own, so that what is seen is the answer to that observation and to no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from logging import Logger

import numpy as np
import torch
from torch import Tensor

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config.sources import Source
from fuxiflow.cycling.analyses import Carry, normal
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
    """One analysis: the time of ``carry``, its first guess, climatology and ``observations`` by source."""

    networks: Networks
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
    ) -> "Case":
        """The analysis that a cycle makes from ``carry``, as :func:`fuxiflow.cycling.analyses.cycle` does."""
        time = np.array([carry.time])
        guess = networks.guess(carry.previous, carry.background, time)
        return cls(networks, time, guess, normal(networks, climatology, carry.time), observations)

    @torch.no_grad()
    def analysis(self, **changed: FootprintBatch) -> Tensor:
        """The standardised analysis ``(channel, lat, lon)``, with the footprints of some sources ``changed``."""
        return self.networks.analyse(
            self.guess, self.climatology, {**self.observations, **changed}, self.time
        )[0]


def draw(footprints: FootprintBatch, channel: int, count: int, grid: Grid, seed: int) -> np.ndarray:
    """Positions (n,) of at most ``count`` footprints that have the channel, drawn evenly over the Earth's area."""
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
    case: Case, source: str, channel: int, step: float, chosen: np.ndarray
) -> Iterator[Tensor]:
    """By chosen footprint, the analysis with ``step`` (standardised) added to its channel less the analysis without:
    ``(channel, lat, lon)`` in physical units."""
    if not len(chosen):
        return
    footprints = case.observations[source]
    control = case.analysis()
    scale = case.networks.normaliser.std[: len(control)]
    for position in chosen:
        values = footprints.values.clone()
        values[position, channel] += step
        yield (case.analysis(**{source: replace(footprints, values=values)}) - control) * scale


@torch.no_grad()
def seen(
    case: Case, footprints: FootprintBatch, first_hour: int, statistics: Statistics, grid: Grid
) -> StateColumns:
    """The first guess at the time and place of footprints, in physical units; the surface of their cells."""
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


def sensitivity(source: Source, channel: int, found: StateColumns, zenith: Tensor) -> np.ndarray:
    """Derivatives ``(n, state channel)`` of a channel's brightness temperature by the state's columns, in K per unit of
    the state: humidity is relative there, so temperature changes at constant relative humidity."""
    operator = equivalent_operator(source)
    zenith = torch.nan_to_num(zenith).cpu()
    slopes = jacobian(
        lambda state: operator(replace(found, state=state), zenith),
        {"state": found.state},
        [channel],
        ("state",),
    )
    return slopes["state"][:, 0].numpy()


def around(field: np.ndarray, row: int, column: int) -> np.ndarray:
    """The cells ``(level, north, east)`` within :data:`REACH` of one of a field ``(level, lat, lon)``, rows from south
    to north; around the globe in longitude, NaN beyond the poles, and where the globe has less columns."""
    nlat, nlon = field.shape[-2:]
    offset = np.arange(-REACH, REACH + 1)
    rows, columns = row - offset, (column + offset) % nlon
    found = field[:, np.clip(rows, 0, nlat - 1)[:, None], columns]
    outside = ((rows < 0) | (rows >= nlat))[:, None] | (np.abs(offset) > (nlon - 1) // 2)[None]
    return np.where(outside, np.nan, found)


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


def experiment(
    case: Case,
    source: Source,
    channel: str,
    kelvin: float,
    places: int,
    statistics: Statistics,
    seed: int,
    log: Logger,
) -> Response:
    """Perturb ``channel`` by ``kelvin`` in footprints of a source, drawn by ``seed``, one by one; a window without
    observations gives the response at no place."""
    networks, grid = case.networks, Grid(*case.networks.design.grid)
    design, number = networks.design.sources[source.name], source.channel_names.index(channel)
    footprints = case.observations.get(source.name, _none(len(design.channels)).to(networks.device))
    chosen = draw(footprints, number, places, grid, seed)
    index = torch.from_numpy(chosen).to(networks.device)
    touched = FootprintBatch(
        *(getattr(footprints, item.name)[index] for item in fields(FootprintBatch))
    )
    found = seen(case, touched, design.window[0], statistics, grid)
    slopes = sensitivity(source, number, found, touched.zenith)
    picked = [found.channels.index(f"T{level}") for level in PRESSURE_LEVELS]
    rows, columns_ = (
        part.cpu().numpy() for part in (touched.cell // grid.nlon, touched.cell % grid.nlon)
    )
    changes, near = (
        np.zeros((len(chosen), len(found.channels))),
        Mean((len(PRESSURE_LEVELS), 2 * REACH + 1, 2 * REACH + 1)),
    )
    made = responses(case, source.name, number, kelvin / design.std[number], chosen)
    for i, field in enumerate(progress(made, "perturbed observations", log, total=len(chosen))):
        change = field.cpu().numpy()
        changes[i] = change[:, rows[i], columns_[i]]
        near.add(around(change[picked], rows[i], columns_[i]))
    return Response(
        analysis_time=str(case.time[0].astype("datetime64[s]")),
        source=source.name,
        channel=channel,
        kelvin=kelvin,
        cell=(180 / grid.nlat, 360 / grid.nlon),
        level=np.array(PRESSURE_LEVELS),
        lat=grid.lat[rows],
        lon=grid.lon[columns_],
        hour=touched.slot.cpu().numpy() + design.window[0] + 0.5,
        zenith=touched.zenith.cpu().numpy(),
        response=changes[:, picked],
        jacobian=slopes[:, picked],
        followed=(slopes * changes).sum(1),
        around=near.value,
    )


def _none(channels: int) -> FootprintBatch:
    """No footprint of a source."""
    where, number = torch.empty(0, dtype=torch.int64), torch.empty(0)
    return FootprintBatch(where, where, where, torch.empty(0, channels), number, torch.empty(0, 2))
