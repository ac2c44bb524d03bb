"""L_obs: analyses and backgrounds against in-situ observations, beside L_state against the reanalysis.

What a source measures under the name of a channel of the state (T2M of stations, T500 of soundings) is compared with
the state at its place, bilinear between cells, at the analysis time. Nothing is done about the height of a station
above or below the grid's ground, nor about what a point sees and a cell does not: L1 bears a few gross differences.
FuXiWeather2 (arXiv 2603.15358) trains on L_state + L_obs; weights by variable and level are those of the channel table.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fuxiflow.channels import channel_table
from fuxiflow.config import sources
from fuxiflow.config.training import ObservationLoss
from fuxiflow.grids import Grid
from fuxiflow.models.networks import Networks
from fuxiflow.models.pillars import (
    FootprintBatch,
    batch_footprints,
    columns_at_footprints,
    states_together,
)
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWindow


def shared_channels(source: str, channels: Sequence[str]) -> dict[str, int]:
    """The position in the state's ``channels`` of each channel that ``source`` measures and an analysis holds.

    ValueError when it measures none, or one in another unit than the state's.
    """
    measured = {channel.name: channel.unit for channel in sources.load_source(source).channels}
    shared = {
        name: channels.index(name)
        for name in measured
        if name in channels and channel_table()[name].analysed
    }
    if not shared:
        raise ValueError(
            f"source {source} measures no channel of the state: {', '.join(list(measured)[:5])}, ..."
        )
    for name in shared:
        if measured[name] != channel_table()[name].unit:
            raise ValueError(
                f"source {source}: {name} is in {measured[name]}, the state's in {channel_table()[name].unit}"
            )
    return shared


class Points:
    """Observations about analysis times: in-situ ones standardised as the state is, radiances in K.

    ``grids`` are the sparse grids of each source; ValueError for one that holds days outside ``span`` (first and last
    time of the training period), a source without a channel of the state, or one on another grid.
    """

    def __init__(
        self,
        grids: Mapping[str, Sequence[Path]],
        settings: ObservationLoss,
        networks: Networks,
        span: tuple[np.datetime64, np.datetime64],
    ):
        self.weight, self.radiance_weight = settings.weight, settings.radiance_weight
        self.windows: dict[str, tuple[int, int]] = {}
        self.positions: dict[str, list[int]] = {}
        self._grids: dict[str, SparseGrids] = {}
        self._columns: dict[str, tuple[list[int], np.ndarray, np.ndarray]] = {}
        normaliser, names = networks.normaliser, networks.design.channels
        for name in settings.compared:
            found = self._grids[name] = SparseGrids(grids[name])
            first, after = span[0].astype("datetime64[D]"), span[1].astype("datetime64[D]") + 1
            if found.start < first or found.end > after:
                raise ValueError(
                    f"{name}: observations from {found.start} to {found.end} are not of the training "
                    f"period, {first} to {after}; L_obs may use no others"
                )
            if found.grid.shape != tuple(networks.design.grid):
                raise ValueError(
                    f"{name}: observations lie on {found.grid}, the states on {networks.design.grid}"
                )
            half = settings.half_width_hours
            self.windows[name] = (
                sources.load_source(name).window if found.frame == "single" else (-half, half)
            )
            if name in settings.radiances:
                self._columns[name] = (
                    [found.channels.index(c) for c in networks.design.sources[name].channels],
                    0,
                    1,
                )
                continue
            shared = shared_channels(name, names)
            lacking = [channel for channel in shared if channel not in found.channels]
            if lacking:
                raise ValueError(
                    f"{name}: its grids lack {', '.join(lacking)}; run their rule again"
                )
            picked = [found.channels.index(channel) for channel in shared]
            at = list(shared.values())
            self.positions[name] = at
            statistics = (
                getattr(normaliser, part).flatten()[at].cpu().numpy() for part in ("mean", "std")
            )
            self._columns[name] = (picked, *statistics)

    @property
    def first_hours(self) -> dict[str, int]:
        """By source, the hour from the analysis time at which its window begins."""
        return {name: window[0] for name, window in self.windows.items()}

    def at(self, times: Sequence[np.datetime64]) -> dict[str, FootprintBatch]:
        """By source, what was observed about each of ``times (batch,)``; nothing where the record has ended."""
        return {
            name: batch_footprints(
                [self._window(name, time) for time in times],
                lambda values, n=name: self._standardise(n, values),
            )
            for name in self._grids
        }

    def _window(self, name: str, time: np.datetime64) -> SparseWindow:
        grids, window = self._grids[name], self.windows[name]
        try:
            return grids.window(time.astype("datetime64[h]"), *window)
        except KeyError:
            return grids.hours(grids.start, 0, 1).rows(np.zeros(0, int))

    def _standardise(self, name: str, values: np.ndarray) -> np.ndarray:
        picked, mean, std = self._columns[name]
        return ((values[:, picked] - mean) / std).astype(np.float32)


class PointLoss(nn.Module):
    """L_obs: masked, latitude- and channel-weighted L1 on :class:`Points`.

    Each channel's mean over what was observed of it, weighted by the area of its cell, in units of the 6-h change,
    counts ``observation_weight`` of the channel table; the sum over channels is scaled as L_state's is, so that a
    channel observed everywhere counts ``observation_weight / loss_weight`` of what the reanalysis counts for it.
    """

    def __init__(self, channels: Sequence[str], grid: Grid, tendency: Tensor, points: Points):
        super().__init__()
        rows = [channel_table()[name] for name in channels]
        scale = sum(row.loss_weight for row in rows)
        weight = (
            torch.tensor([row.observation_weight / scale for row in rows])
            / tendency.cpu().flatten()
        )
        self.register_buffer("weight", weight.float())
        self.register_buffer(
            "area", torch.as_tensor(np.asarray(grid.area_weights), dtype=torch.float32)
        )
        self.nlon = grid.nlon
        self.positions, self.first_hours = points.positions, points.first_hours

    def forward(self, state: Tensor, points: Mapping[str, FootprintBatch]) -> Tensor:
        """A standardised ``state (batch, channel, lat, lon)``, which may have more channels than the loss, and what was
        observed at its time → a scalar, 0 where nothing was."""
        count = len(self.weight)
        total, areas = self.weight.new_zeros(count), self.weight.new_zeros(count)
        # one state for all hours of the window: a point is compared with the analysis time
        steady = states_together(state[:, None, :count])
        for name, positions in self.positions.items():
            if not len(points[name]):
                continue
            found, at = points[name].to(state.device), torch.tensor(positions, device=state.device)
            present = torch.isfinite(found.values)
            equivalent = columns_at_footprints(found, steady, self.first_hours[name]).index_select(
                1, at
            )
            difference = torch.where(present, found.values - equivalent, 0.0).abs()
            area = self.area[found.cell // self.nlon][:, None]
            total = total.index_add(0, at, (area * difference).sum(0))
            areas = areas.index_add(0, at, (area * present).sum(0))
        return (self.weight * total / areas.clamp_min(torch.finfo(areas.dtype).tiny)).sum()
