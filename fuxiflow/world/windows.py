"""The truth at any place and time: fields of consecutive times in memory, interpolated."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import torch

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.grids import Grid
from fuxiflow.interpolation import corners
from fuxiflow.times import STEP_HOURS, hours
from fuxiflow.world.truth import STATIC, Truth

STEP = hours(STEP_HOURS)
COLUMN = (
    *(f"T{level}" for level in PRESSURE_LEVELS),
    "specific_humidity",
    "surface_pressure",
    "skin_temperature",
    "land_fraction",
)
"""What a sounder sees."""
WIND = ("U10", "V10")
"""Variables that roughen the sea."""
LEAST_HUMIDITY = 2e-6


@dataclass(frozen=True)
class TruthWindow:
    """Fields of consecutive times as one array, ready to interpolate.

    Attributes
    ----------
    times : np.ndarray
        Equally spaced, datetime64[ns], ``(time,)``.
    grid : Grid
        The world's grid.
    fields : torch.Tensor
        ``(time, lat, lon, variable)``, float32.
    names : tuple[str, ...]
        The variables: those of the truth, but the surface pressure in hPa and the logarithm of
        specific humidity, by level.
    """

    times: np.ndarray
    grid: Grid
    fields: torch.Tensor
    names: tuple[str, ...] = ()

    def at(self, lat: np.ndarray, lon: np.ndarray, time: np.ndarray) -> torch.Tensor:
        """Interpolate to points, bilinearly in space and linearly in time.

        Parameters
        ----------
        lat, lon : np.ndarray
            In degrees, ``(n,)``.
        time : np.ndarray
            UTC, datetime64[ns], ``(n,)``.

        Returns
        -------
        torch.Tensor
            Values ``(n, variable)``.

        Raises
        ------
        ValueError
            If a point lies outside the times.
        """
        step = self.times[1] - self.times[0]
        elapsed = (time - self.times[0]) / step
        if len(elapsed) and not (elapsed.min() >= 0.0 and elapsed.max() <= len(self.times) - 1):
            raise ValueError(
                f"points from {time.min()} to {time.max()} are outside the fields, "
                f"{self.times[0]} to {self.times[-1]}"
            )
        # a point at the last time lies at the end of the interval before it
        before = np.minimum(elapsed.astype(np.int64), len(self.times) - 2)
        share = elapsed - before
        cells = self.grid.nlat * self.grid.nlon
        flat = self.fields.reshape(-1, self.fields.shape[-1])
        total = torch.zeros(len(lat), flat.shape[1])
        cells_about = list(corners(self.grid, lat, lon))
        for index, time_weight in ((before, 1.0 - share), (before + 1, share)):
            for cell, row_weight, column_weight in cells_about:
                weight = (time_weight * row_weight * column_weight).astype(np.float32)
                values = flat.index_select(0, torch.from_numpy(index * cells + cell))
                total.addcmul_(values, torch.from_numpy(weight)[:, None])
        return total

    def values(self, lat: np.ndarray, lon: np.ndarray, time: np.ndarray) -> dict[str, np.ndarray]:
        """Interpolate to points, and return the values by name.

        Parameters
        ----------
        lat, lon : np.ndarray
            In degrees, ``(n,)``.
        time : np.ndarray
            UTC, datetime64[ns], ``(n,)``.

        Returns
        -------
        dict[str, np.ndarray]
            Values ``(n,)``, float64.
        """
        return dict(zip(self.names, self.at(lat, lon, time).numpy().astype(float).T, strict=True))


class TruthWindows:
    """Windows of consecutive times of some variables of the truth.

    Each time is read once as the windows move on.
    """

    def __init__(self, truth: Truth, variables: Sequence[str] = COLUMN):
        self.truth = truth
        self.times = set(truth.times)
        self.static = {name: truth.static(name) for name in STATIC if name in variables}
        self.variables = [name for name in variables if name not in STATIC]
        humidity = [f"log_q{level}" for level in PRESSURE_LEVELS]
        self.names = tuple(
            column
            for name in (*self.variables, *self.static)
            for column in (humidity if name == "specific_humidity" else [name])
        )
        self._kept: dict[datetime, np.ndarray] = {}

    def _fields(self, time: datetime) -> np.ndarray:
        """Read the fields ``(lat, lon, variable)`` of one time, as a window has them."""
        columns = []
        for name, field in (self.truth.read(time, self.variables) | self.static).items():
            if name == "specific_humidity":
                columns += [*np.log(np.maximum(field, LEAST_HUMIDITY))]
            else:
                # operators take hPa
                columns.append(0.01 * field if name == "surface_pressure" else field)
        return np.stack(columns, axis=-1).astype(np.float32)

    def window(self, start: datetime, end: datetime) -> TruthWindow:
        """Return the fields of all 6-hourly times from ``start`` to ``end``, both included.

        KeyError names the stores, the first time they lack, and the times they hold.
        """
        times = [start + i * STEP for i in range((end - start) // STEP + 1)]
        self._kept = {
            time: self._kept[time] if time in self._kept else self._fields(time) for time in times
        }
        fields = torch.from_numpy(np.stack(list(self._kept.values())))
        return TruthWindow(np.array(times, "datetime64[ns]"), self.truth.grid, fields, self.names)


def observed_days(
    first: date, last: date, times: Iterable[datetime], noun: str, log: logging.Logger
) -> list[date]:
    """List the days of a period, and warn where the truth ends before the period does.

    Parameters
    ----------
    first, last : date
        First and last day.
    times : Iterable[datetime]
        Times of the truth.
    noun : str
        The observations that are left out after the truth's last time, for the warning.
    log : logging.Logger
        Receives the warning.

    Returns
    -------
    list[date]
        All days from ``first`` to ``last``.
    """
    end = datetime(last.year, last.month, last.day) + timedelta(days=1)
    truth_end = max(times)
    if truth_end < end:
        log.warning("the truth ends at %s: %s from there to %s are left out", truth_end, noun, end)
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]
