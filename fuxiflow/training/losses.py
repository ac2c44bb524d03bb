"""Losses on standardised states: L_state against the reanalysis, L_obs against observations.

L_obs: what a source measures under the name of a channel of the state (T2M of stations, T500 of
soundings) is compared with the state at its place, bilinear between cells, at the analysis time.
Nothing is done about the height of a station above or below the grid's ground, nor about what a
point sees and a cell does not: L1 bears a few gross differences. FuXiWeather2 (arXiv 2603.15358)
trains on L_state + L_obs; weights by variable and level are those of the channel table.
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


class StateLoss(nn.Module):
    """L_state: latitude- and channel-weighted L1.

    Each channel is measured in units of its 6-h change, so that slow fields count as much as fast
    ones, times its weight in the channel table; latitudes by their cell area. NaN in the target (a
    missing precipitation) counts nothing.
    """

    def __init__(self, channels: Sequence[str], grid: Grid, tendency: Tensor):
        """Compute the weights of channels and latitudes.

        Parameters
        ----------
        channels : Sequence[str]
            The channels that count, in the order of the states.
        grid : Grid
            Gives the areas of cells.
        tendency : Tensor
            Standard deviation of the 6-h change in standardised units, ``(channel,)``.
        """
        super().__init__()
        loss_weight = torch.tensor([channel_table()[name].loss_weight for name in channels])
        weight = (loss_weight / loss_weight.mean())[:, None, None] / tendency.cpu().view(-1, 1, 1)
        area = torch.as_tensor(np.asarray(grid.area_weights), dtype=torch.float32)[:, None]
        self.register_buffer("weight", (weight * area).float())

    def forward(self, state: Tensor, target: Tensor) -> Tensor:
        """Compare ``(batch, channel, lat, lon)`` with the same → a scalar.

        The state may have more channels than the loss.
        """
        count = len(self.weight)
        difference = (state[:, :count].float() - target[:, :count]).abs() * self.weight
        # a missing target is 0; a state that is not a number must show
        return torch.where(target[:, :count].isnan(), 0.0, difference).mean()


def shared_channels(source: str, channels: Sequence[str]) -> dict[str, int]:
    """Positions in the state of each channel that a source measures and an analysis holds.

    Parameters
    ----------
    source : str
        Name of the source.
    channels : Sequence[str]
        The channels of the state, in order.

    Returns
    -------
    dict of str to int
        By channel, in the order of the source.

    Raises
    ------
    ValueError
        When it measures none, or one in another unit than the state's.
    """
    measured = {channel.name: channel.unit for channel in sources.load_source(source).channels}
    shared = {
        name: channels.index(name)
        for name in measured
        if name in channels and channel_table()[name].analysed
    }
    if not shared:
        raise ValueError(
            f"source {source} measures no channel of the state: "
            f"{', '.join(list(measured)[:5])}, ..."
        )
    for name in shared:
        unit = channel_table()[name].unit
        if measured[name] != unit:
            raise ValueError(
                f"source {source}: {name} is in {measured[name]}, the state's in {unit}"
            )
    return shared


class Points:
    """Observations about analysis times.

    In-situ ones are standardised as the state is, radiances are in K.
    """

    def __init__(
        self,
        grids: Mapping[str, Sequence[Path]],
        settings: ObservationLoss,
        networks: Networks,
        span: tuple[np.datetime64, np.datetime64],
    ):
        """Open the observations and check them.

        Parameters
        ----------
        grids : Mapping[str, Sequence[Path]]
            Stores of sparse observations by source.
        settings : ObservationLoss
            The sources, their weights, and how far from a state's time they may be.
        networks : Networks
            Give the channels, the grid and the statistics of the state.
        span : tuple of np.datetime64
            First and last time of the training period.

        Raises
        ------
        ValueError
            For a source that holds days outside the period, that lies on another grid, or that has
            no channel of the state.
        """
        self.weight, self.radiance_weight = settings.weight, settings.radiance_weight
        self.windows: dict[str, tuple[int, int]] = {}
        self.positions: dict[str, list[int]] = {}
        self._grids: dict[str, SparseGrids] = {}
        self._columns: dict[str, tuple[list[int], np.ndarray, np.ndarray]] = {}
        half = settings.half_width_hours
        for name in settings.compared:
            source_grids = SparseGrids(grids[name])
            self._check(name, source_grids, networks, span)
            self._grids[name] = source_grids
            single = source_grids.frame == "single"
            self.windows[name] = sources.load_source(name).window if single else (-half, half)
            if name in settings.radiances:
                radiances = networks.design.sources[name].channels
                self._columns[name] = ([source_grids.channels.index(c) for c in radiances], 0, 1)
            else:
                self._add_in_situ(name, source_grids, networks)

    @staticmethod
    def _check(
        name: str,
        grids: SparseGrids,
        networks: Networks,
        span: tuple[np.datetime64, np.datetime64],
    ) -> None:
        """Refuse observations that L_obs may not use.

        Parameters
        ----------
        name : str
            The source.
        grids : SparseGrids
            Its observations.
        networks : Networks
            Give the grid of the states.
        span : tuple of np.datetime64
            First and last time of the training period.

        Raises
        ------
        ValueError
            For days outside the period, or another grid.
        """
        first, after = span[0].astype("datetime64[D]"), span[1].astype("datetime64[D]") + 1
        if grids.start < first or grids.end > after:
            raise ValueError(
                f"{name}: observations from {grids.start} to {grids.end} are not of the training "
                f"period, {first} to {after}; L_obs may use no others"
            )
        if grids.grid.shape != tuple(networks.design.grid):
            raise ValueError(
                f"{name}: observations lie on {grids.grid}, the states on {networks.design.grid}"
            )

    def _add_in_situ(self, name: str, grids: SparseGrids, networks: Networks) -> None:
        """Note which columns of a source are compared with which channels, and their statistics.

        Parameters
        ----------
        name : str
            The source.
        grids : SparseGrids
            Its observations.
        networks : Networks
            Give the channels and the statistics of the state.

        Raises
        ------
        ValueError
            When its grids lack a channel that it measures.
        """
        shared = shared_channels(name, networks.design.channels)
        lacking = [channel for channel in shared if channel not in grids.channels]
        if lacking:
            raise ValueError(f"{name}: its grids lack {', '.join(lacking)}; run their rule again")
        positions = list(shared.values())
        mean, std = (
            getattr(networks.normaliser, part).flatten()[positions].cpu().numpy()
            for part in ("mean", "std")
        )
        self.positions[name] = positions
        self._columns[name] = ([grids.channels.index(channel) for channel in shared], mean, std)

    @property
    def first_hours(self) -> dict[str, int]:
        """By source, the hour from the analysis time at which its window begins."""
        return {name: window[0] for name, window in self.windows.items()}

    def at(self, times: Sequence[np.datetime64]) -> dict[str, FootprintBatch]:
        """By source, the observations about ``times (batch,)``; none where a record has ended."""
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
        columns, mean, std = self._columns[name]
        return ((values[:, columns] - mean) / std).astype(np.float32)


class PointLoss(nn.Module):
    """L_obs: masked, latitude- and channel-weighted L1 on :class:`Points`.

    Each channel's mean over what was observed of it, weighted by the area of its cell, in units of
    the 6-h change, counts ``observation_weight`` of the channel table; the sum over channels is
    scaled as L_state's is, so that a channel observed everywhere counts ``observation_weight /
    loss_weight`` of what the reanalysis counts for it.
    """

    def __init__(self, channels: Sequence[str], grid: Grid, tendency: Tensor, points: Points):
        """Compute the weights of channels and latitudes.

        Parameters
        ----------
        channels : Sequence[str]
            The channels of an analysis.
        grid : Grid
            Gives the areas of cells.
        tendency : Tensor
            Standard deviation of the 6-h change in standardised units, ``(channel,)``.
        points : Points
            Says which channels of the state each source is compared with.
        """
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
        """Compare a standardised state with what was observed at its time → a scalar.

        ``state (batch, channel, lat, lon)`` may have more channels than the loss. The loss is 0
        where nothing was observed.
        """
        count = len(self.weight)
        total, areas = self.weight.new_zeros(count), self.weight.new_zeros(count)
        # one state for all hours of the window: a point is compared with the analysis time
        steady = states_together(state[:, None, :count])
        for name, positions in self.positions.items():
            if not len(points[name]):
                continue
            observed = points[name].to(state.device)
            at = torch.tensor(positions, device=state.device)
            present = torch.isfinite(observed.values)
            column = columns_at_footprints(observed, steady, self.first_hours[name])
            equivalent = column.index_select(1, at)
            difference = torch.where(present, observed.values - equivalent, 0.0).abs()
            area = self.area[observed.cell // self.nlon][:, None]
            total = total.index_add(0, at, (area * difference).sum(0))
            areas = areas.index_add(0, at, (area * present).sum(0))
        return (self.weight * total / areas.clamp_min(torch.finfo(areas.dtype).tiny)).sum()
