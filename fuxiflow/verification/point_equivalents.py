"""Equivalents of observations at their own places: bilinear, and at the height of a station.

Columns are interpolated bilinearly between cells, as L_obs does. At a station whose height is
known, T2M follows the standard lapse rate from the model's ground to the station, and the pressure
there hydrostatically.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fuxiflow.config.sources import Source
from fuxiflow.grids import REGIONS, Grid
from fuxiflow.interpolation import bilinear, corners
from fuxiflow.operators.columns import SOUNDED, brightness_temperatures_from_state
from fuxiflow.operators.equivalents import ReportOperator, observation_operator
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.operators.radio_occultation import REFRACTED
from fuxiflow.physics import GRAVITY, LAPSE_RATE, STANDARD_EXPONENT
from fuxiflow.states.statistics import Statistics

BATCH = 4096
"""Columns that are simulated at once."""
PROFILE_HEIGHTS = np.arange(2000.0, 40001.0, 2000.0)
"""Heights in m of profiles that are compared: of the source's the nearest to each."""


def channels_at_heights(source: Source) -> list[int]:
    """Return the positions of a source's channels that are compared: of a profile some heights."""
    if not source.profile:
        return list(range(len(source.channels)))
    heights = np.array([channel.height for channel in source.channels])
    return sorted({int(np.abs(heights - height).argmin()) for height in PROFILE_HEIGHTS})


def inside_region(name: str, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Mark the points inside a region.

    Parameters
    ----------
    name : str
        One of :data:`fuxiflow.grids.REGIONS`.
    lat, lon : np.ndarray
        Degrees, ``(n,)``; longitudes in any convention.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool.
    """
    south, north, west, east = REGIONS[name]
    lon = np.mod(lon, 360.0)
    across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    return (lat >= south) & (lat <= north) & across


def interpolate_columns(
    field: np.ndarray, grid: Grid, lat: np.ndarray, lon: np.ndarray
) -> np.ndarray:
    """Interpolate all channels of a state bilinearly to points.

    Parameters
    ----------
    field : np.ndarray
        The state ``(channel, lat, lon)``.
    grid : Grid
        Its grid.
    lat, lon : np.ndarray
        Degrees, ``(n,)``; longitudes in any convention.

    Returns
    -------
    np.ndarray
        ``(n, channel)`` float32; beyond the outermost rows their values.
    """
    flat = field.reshape(len(field), -1)
    columns = np.zeros((len(field), len(lat)), np.float64)
    for cell, row_weight, column_weight in corners(grid, lat, lon):
        columns += row_weight * column_weight * flat[:, cell]
    return columns.T.astype(np.float32)


def temperature_at_height(temperature: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Return temperatures in K ``rise`` m above where they are, by 6.5 K/km."""
    return temperature - LAPSE_RATE * rise


def pressure_at_height(
    pressure: np.ndarray, temperature: np.ndarray, rise: np.ndarray
) -> np.ndarray:
    """Return the pressure above a level, hydrostatically in air of the standard lapse rate.

    p (1 - L dz / T) ** (g / (R L)), the hypsometric equation for a temperature that falls by L.

    Parameters
    ----------
    pressure, temperature : np.ndarray
        At the level, in Pa and K.
    rise : np.ndarray
        Height above the level in m.

    Returns
    -------
    np.ndarray
        Pressure in Pa.
    """
    ratio = np.maximum(1.0 - LAPSE_RATE * rise / temperature, 0.0)
    return pressure * ratio ** (1.0 / STANDARD_EXPONENT)


@dataclass(frozen=True)
class ObservedPoints:
    """The n points at which a source observed.

    Attributes
    ----------
    lat, lon : np.ndarray
        Degrees.
    zenith : np.ndarray
        Zenith angle of the satellite in degrees.
    height : np.ndarray
        Of the station in m above mean sea level, NaN where it is not known.
    """

    lat: np.ndarray
    lon: np.ndarray
    zenith: np.ndarray
    height: np.ndarray


class PointOperator:
    """The operator of a source at points: what it would measure of a state."""

    def __init__(self, source: Source, statics: Statistics):
        """Take the operator of a source.

        Parameters
        ----------
        source : Source
            The source.
        statics : Statistics
            Surface geopotential and land fraction on the grid of the states.
        """
        self.channels = [source.channel_names[i] for i in channels_at_heights(source)]
        self.relative = source.profile
        self.statics = statics
        self._operator: MicrowaveOperator | ReportOperator = (
            ReportOperator(self.channels) if source.profile else observation_operator(source)
        )

    def determined(self, names: Sequence[str]) -> np.ndarray:
        """Mark the channels ``(channel,)`` that a state with the channels ``names`` determines."""
        names = set(names)
        if self.relative:
            needed = [set(REFRACTED)] * len(self.channels)
        elif isinstance(self._operator, ReportOperator):
            needed = [{"MSL", "T2M"} if name == "PS" else {name} for name in self.channels]
        else:
            needed = [set(SOUNDED)] * len(self.channels)
        return np.array([channels <= names for channels in needed], bool)

    def equivalents(
        self, columns: np.ndarray, names: Sequence[str], points: ObservedPoints
    ) -> np.ndarray:
        """Return what the source would measure of columns of a state.

        Parameters
        ----------
        columns : np.ndarray
            Columns at the points ``(n, state channel)``.
        names : Sequence[str]
            Channels of ``columns``.
        points : ObservedPoints
            Places, angles and heights of the observations.

        Returns
        -------
        np.ndarray
            ``(n, channel)`` float64 in the source's units, NaN for what the state does not hold.
        """
        if not self.determined(names).any():
            return np.full((len(columns), len(self.channels)), np.nan)
        ground = (
            bilinear(field, self.statics.grid, points.lat, points.lon)
            for field in (self.statics.surface_geopotential, self.statics.land_fraction)
        )
        surface = [*ground, points.lat, np.nan_to_num(points.zenith)]
        inputs = [
            torch.as_tensor(np.ascontiguousarray(x), dtype=torch.float32)
            for x in (columns, *surface)
        ]
        parts = []
        with torch.inference_mode():
            for first in range(0, len(columns), BATCH):
                state, *others = (x[first : first + BATCH] for x in inputs)
                if isinstance(self._operator, ReportOperator):
                    part = self._operator.from_state(state, names, *others)
                else:
                    part = brightness_temperatures_from_state(self._operator, state, names, *others)
                parts.append(part.numpy().astype(np.float64))
        values = np.concatenate(parts)
        if {"T2M", "PS"} & set(self.channels):
            self._at_stations(values, columns, names, surface[0], points.height)
        return values

    def _at_stations(
        self,
        values: np.ndarray,
        columns: np.ndarray,
        names: Sequence[str],
        surface_geopotential: np.ndarray,
        height: np.ndarray,
    ) -> None:
        """Bring T2M and PS from the model's ground to the stations' heights, in place.

        Parameters
        ----------
        values : np.ndarray
            Equivalents ``(n, channel)``.
        columns : np.ndarray
            Columns of the state ``(n, state channel)``.
        names : Sequence[str]
            Channels of ``columns``.
        surface_geopotential : np.ndarray
            Of the model's ground in m2 s-2, ``(n,)``.
        height : np.ndarray
            Of the stations in m, ``(n,)``; where it is NaN they are taken to stand on that ground.
        """
        if "T2M" not in names:
            return
        rise = np.nan_to_num(height - surface_geopotential / GRAVITY)
        temperature = columns[:, list(names).index("T2M")].astype(np.float64)
        for name, column in zip(self.channels, values.T, strict=True):
            if name == "T2M":
                column[:] = temperature_at_height(column, rise)
            elif name == "PS":
                column[:] = pressure_at_height(column, temperature, rise)

    def departures(self, values: np.ndarray, equivalents: np.ndarray) -> np.ndarray:
        """Return observations minus equivalents ``(n, channel)``, of profiles as % of these."""
        difference = values - equivalents
        return 100.0 * difference / equivalents if self.relative else difference
