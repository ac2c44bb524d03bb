"""Reanalyses at points in space and time, as the observation operators take them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fuxiflow.interpolation import corners
from fuxiflow.operators.equivalents import StateColumns
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from fuxiflow.times import STEP_HOURS

STEP = np.timedelta64(STEP_HOURS, "h")
"""Interval of the states."""


class ReanalysisSampler:
    """Columns of 6-hourly states at points, with the static fields below them.

    Two times are kept in memory.
    """

    def __init__(self, states: StateSeries, statistics: Statistics, channels: Sequence[str]):
        """Sample some channels of states.

        Parameters
        ----------
        states : StateSeries
            The reanalysis.
        statistics : Statistics
            Its statistics, which hold the surface geopotential and the land fraction.
        channels : Sequence[str]
            Channels of the columns, in this order.

        Raises
        ------
        ValueError
            If states and statistics lie on different grids.
        """
        if states.grid != statistics.grid:
            raise ValueError(
                f"{states.paths[0]}: states lie on {states.grid}, their statistics on "
                f"{statistics.grid}"
            )
        self.states = states
        self.channels = list(channels)
        self._positions = [states.channels.index(name) for name in channels]
        fixed = np.stack([statistics.surface_geopotential, statistics.land_fraction]).astype(
            np.float32
        )
        self._fixed = self._points(fixed)
        self._kept: dict[np.datetime64, Tensor] = {}

    @staticmethod
    def _points(fields: np.ndarray) -> Tensor:
        """Rearrange fields ``(field, lat, lon)`` to rows ``(cell, field)``.

        So the values that one point needs lie together.
        """
        return torch.from_numpy(np.ascontiguousarray(fields.reshape(len(fields), -1).T))

    def covers(self, time: np.ndarray) -> np.ndarray:
        """Tell which times ``(n,)`` lie between two states 6 h apart, or are a state's."""
        before = time.astype("datetime64[ns]").astype(np.int64) // STEP.astype(
            "timedelta64[ns]"
        ).astype(np.int64)
        numbers, which = np.unique(before, return_inverse=True)
        available = np.array(
            [[self._time(b + i) in self.states for i in (0, 1)] for b in numbers], bool
        ).reshape(-1, 2)
        return available[which, 0] & (available[which, 1] | (time == self._time(before)))

    @staticmethod
    def _time(number: np.ndarray | int) -> np.ndarray:
        """Return the time of the state of a number: the count of 6 h since 1970."""
        return np.asarray(number * STEP.astype("timedelta64[ns]").astype(np.int64)).astype(
            "datetime64[ns]"
        )

    def _field(self, number: int) -> Tensor:
        """Read the channels ``(cell, channel)`` of a state, if it is not in memory."""
        time = np.datetime64(self._time(number).item(), "ns")
        if time not in self._kept:
            # a point needs the states before and after it, no others
            while len(self._kept) > 1:
                del self._kept[min(self._kept)]
            self._kept[time] = self._points(self.states.read(time)[self._positions])
        return self._kept[time]

    def at(self, lat: np.ndarray, lon: np.ndarray, time: np.ndarray) -> StateColumns:
        """Interpolate columns to points, bilinearly in space and linearly in time.

        Beyond the outermost rows of the grid those count. Points in the order of time are read
        fastest.

        Parameters
        ----------
        lat, lon : np.ndarray
            In degrees, ``(n,)``.
        time : np.ndarray
            UTC, datetime64, ``(n,)``.

        Returns
        -------
        StateColumns
            The columns.

        Raises
        ------
        KeyError
            From the states, for a time that they do not cover (:meth:`covers`).
        """
        cells, weights = self._corners(lat, lon)
        step = STEP.astype("timedelta64[ns]").astype(np.int64)
        moment = time.astype("datetime64[ns]").astype(np.int64)
        before = moment // step
        share = torch.from_numpy(((moment - before * step) / step).astype(np.float32))[:, None]
        state = torch.empty(len(lat), len(self.channels))
        for number in np.unique(before):
            rows = torch.from_numpy(np.flatnonzero(before == number))
            part, w, later = cells[:, rows], weights[:, rows], share[rows]
            values = self._mix(self._field(int(number)), part, w)
            # points at the very time of a state need no other one, which may not exist
            if later.any():
                values = values + later * (
                    self._mix(self._field(int(number) + 1), part, w) - values
                )
            state[rows] = values
        fixed = self._mix(self._fixed, cells, weights)
        latitude = torch.from_numpy(np.array(lat, np.float32))
        return StateColumns(self.channels, state, fixed[:, 0], fixed[:, 1], latitude)

    @staticmethod
    def _mix(field: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
        """Average a field at points from the cells about them.

        Parameters
        ----------
        field : Tensor
            Values ``(cell, field)``.
        cells : Tensor
            Indices of the four cells about each point, ``(4, n)``.
        weights : Tensor
            Their weights, ``(4, n)``.

        Returns
        -------
        Tensor
            Values ``(n, field)``.
        """
        total = torch.zeros(cells.shape[1], field.shape[1])
        for corner, weight in zip(cells, weights, strict=True):
            total.addcmul_(field.index_select(0, corner), weight[:, None])
        return total

    def _corners(self, lat: np.ndarray, lon: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the cells about each point and their weights, ``(4, n)`` each."""
        cells, weights = [], []
        for cell, row_weight, column_weight in corners(
            self.states.grid, np.asarray(lat, float), np.asarray(lon, float)
        ):
            cells.append(cell)
            weights.append(row_weight * column_weight)
        return torch.from_numpy(np.stack(cells)), torch.from_numpy(
            np.stack(weights).astype(np.float32)
        )
