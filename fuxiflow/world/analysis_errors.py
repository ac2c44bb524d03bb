"""Errors of the embedded world's analyses: patterns of error, and a bias near the ground.

The patterns are differences x(t) - x(t - 24 h) of the nature run's spin-up, a stretch of weather
that is used for nothing else: they are balanced as the weather is, correlated in space, and
decorrelate in about a day when stepped through in order (the NMC method's idea, Parrish & Derber,
1992, doi:10.1175/1520-0493(1992)120<1747:TNMCSS>2.0.CO;2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from fuxiflow.channels import Channel, channel_table
from fuxiflow.grids import Grid
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store
from fuxiflow.times import STEP_HOURS
from fuxiflow.world.levels import PROGNOSTIC, RELATIVE_HUMIDITY_CAP
from fuxiflow.world.truth import add_coordinates, field_compressor, hour_of

YEAR_DAYS = 365
"""Days of a library from which patterns are taken by season."""
SEASONAL_SHIFT = {"era5": -9, "gfs": 9}
"""Days from the date of an analysis to that of its pattern, in the library's year."""
PRODUCTS = {"era5": 0.25, "gfs": 0.625}
"""Where in the library each product starts, as a part of its length: products' errors are unrelated
to each other."""
HUMIDITY_SCALE = 1.0e3
"""Native humidity is kept in g kg-1, so that half precision resolves it."""
WARM = {"T2M": 1.0, "T1000": 0.75, "T925": 0.625}
"""Temperatures that are too warm, by which part of the bias at 2 m."""
SLOW = {"U10": 1.0, "V10": 1.0, "U1000": 1.0, "V1000": 1.0, "U925": 0.5, "V925": 0.5}
"""Winds that are too weak, by which part of the bias at 10 m."""
LOW_LEVELS = (500.0, 1000.0)
"""Between these pressures, hPa, errors go over from those aloft to those near the ground."""
SEA_PART = 0.3
"""The warm bias over sea, as a part of that over land."""
DIURNAL_PART = 0.5
"""Amplitude of the daily cycle of the warm bias over land, as a part of it, largest at 14 h local
solar time."""


def write_library(
    path: Path,
    times: Sequence[datetime],
    grid: Grid,
    channels: Sequence[str],
    fields: Sequence[np.ndarray],
    native: Sequence[dict[str, np.ndarray]],
) -> None:
    """Write the library of 24-h differences of 6-hourly fields, in half precision.

    The store holds ``state (time, channel, lat, lon)`` and, for each prognostic field,
    ``native_{name} (time, …)``, humidity in g kg-1.

    Parameters
    ----------
    path : Path
        The Zarr store to write.
    times : Sequence[datetime]
        The 6-hourly times of the fields.
    grid : Grid
        The world's grid.
    channels : Sequence[str]
        Channels of ``fields``.
    fields : Sequence[np.ndarray]
        Fields ``(channel, lat, lon)`` of each time, in the channels' units.
    native : Sequence[dict[str, np.ndarray]]
        Fields of each time on the nature run's grid, by the names of
        :data:`~fuxiflow.world.levels.PROGNOSTIC`.

    Raises
    ------
    ValueError
        If the times give no whole day of differences.
    """
    lag = 24 // STEP_HOURS
    count = (len(times) - lag) // lag * lag
    if count < lag:
        raise ValueError(
            f"{path}: {len(times)} times give no day of 24-h differences; world.spinup_days is "
            "too short"
        )
    first = len(times) - count
    group = create_store(
        path,
        {
            "Conventions": "CF-1.11",
            "title": "24-h differences of the spin-up",
            "provenance": provenance.as_json(),
            "channels": list(channels),
        },
    )
    add_coordinates(group, times[first:], {"lat": grid.lat, "lon": grid.lon})

    def store(name: str, values: list[np.ndarray], dims: tuple[str, ...]) -> None:
        """Write one array of the library.

        Parameters
        ----------
        name : str
            Name of the array.
        values : list[np.ndarray]
            Its values at each time.
        dims : tuple[str, ...]
            Names of its dimensions.
        """
        data = np.stack([field.astype(np.float16) for field in values])
        array = group.create_array(
            name,
            shape=data.shape,
            dtype="float16",
            chunks=(1, *data.shape[1:]),
            shards=data.shape,
            compressors=field_compressor(),
            dimension_names=dims,
        )
        array[:] = data

    steps = range(first, len(times))
    store("state", [fields[i] - fields[i - lag] for i in steps], ("time", "channel", "lat", "lon"))
    for name in PROGNOSTIC:
        scale = HUMIDITY_SCALE if name == "specific_humidity" else 1.0
        dims = (
            ("time", "native_lat", "native_lon")
            if name == "surface_pressure"
            else ("time", "sigma", "native_lat", "native_lon")
        )
        store(
            f"native_{name}",
            [scale * (native[i][name] - native[i - lag][name]) for i in steps],
            dims,
        )
    consolidate(path)


class ErrorLibrary:
    """The library of error patterns, by product and time.

    Patterns of times that are near each other are near each other in the library, which repeats
    after its length. A library of a year has the patterns of the same season.
    """

    def __init__(self, path: Path):
        self._group = open_store(path, "library of analysis errors")
        self._state = self._group["state"]
        self.channels = list(self._group.attrs["channels"])
        self.length = self._state.shape[0]

    def index(self, product: str, time: datetime) -> int:
        """Return the position of a product's pattern, at the same hour of the day as ``time``.

        KeyError lists the products.
        """
        if product not in PRODUCTS:
            raise KeyError(f"unknown product {product!r}; known: {', '.join(PRODUCTS)}")
        days = 24 // STEP_HOURS
        # whole days: a pattern has the hour of the day of its analysis
        offset = int(PRODUCTS[product] * (self.length // days)) * days
        if self.length >= YEAR_DAYS * days:
            offset = SEASONAL_SHIFT[product] * days
        first = int(self._group["time"][0]) // STEP_HOURS
        return (hour_of(time) // STEP_HOURS - first + offset) % self.length

    def fields(self, product: str, time: datetime) -> dict[str, np.ndarray]:
        """Return the pattern by channel, ``(lat, lon)`` float32."""
        pattern = self._state[self.index(product, time)].astype(np.float32)
        return dict(zip(self.channels, pattern, strict=True))

    def native(self, product: str, time: datetime) -> dict[str, np.ndarray]:
        """Return the pattern of the prognostic fields on the nature run's grid, float32."""
        index = self.index(product, time)
        pattern = {
            name: self._group[f"native_{name}"][index].astype(np.float32) for name in PROGNOSTIC
        }
        # from g kg-1 back to kg kg-1
        pattern["specific_humidity"] /= np.float32(HUMIDITY_SCALE)
        return pattern


@dataclass(frozen=True)
class AnalysisErrors:
    """Sizes of the errors of a product's analyses.

    Attributes
    ----------
    error : float
        Factor of the patterns aloft, and everywhere of those of geopotential and pressure.
    low_level_error : float
        Factor of the patterns of temperature, humidity and wind at the ground; between
        :data:`LOW_LEVELS` both factors count, linear in pressure.
    warm_bias : float
        By how many K the air at 2 m is too warm over land, in the mean over the day.
    slow_bias : float
        By which part the wind at 10 m is too weak.
    """

    error: float
    low_level_error: float
    warm_bias: float = 0.0
    slow_bias: float = 0.0

    def scale(self, channel: Channel) -> float:
        """Return the factor of the pattern of a channel."""
        if channel.name == "MSL" or channel.name[0] == "Z":
            return self.error
        aloft, ground = LOW_LEVELS
        share = (
            1.0
            if channel.level is None
            else min(max((channel.level - aloft) / (ground - aloft), 0.0), 1.0)
        )
        return (1.0 - share) * self.error + share * self.low_level_error

    def analysed(
        self,
        truth: dict[str, np.ndarray],
        pattern: dict[str, np.ndarray],
        time: datetime,
        land: np.ndarray,
        lon: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Make an analysis from the truth: add the error pattern and the bias near the ground.

        Relative humidity is kept within [0, 110] %.

        Parameters
        ----------
        truth : dict[str, np.ndarray]
            True fields ``(lat, lon)`` by channel.
        pattern : dict[str, np.ndarray]
            Error patterns ``(lat, lon)`` by channel; channels without one have no random error.
        time : datetime
            Time of the analysis, for the daily cycle of the bias.
        land : np.ndarray
            Land fraction ``(lat, lon)``.
        lon : np.ndarray
            Longitudes in degrees, ``(lon,)``.

        Returns
        -------
        dict[str, np.ndarray]
            The analysis ``(lat, lon)`` by channel.
        """
        channels = channel_table()
        fields = {
            name: field + np.float32(self.scale(channels[name])) * pattern[name]
            if name in pattern
            else field
            for name, field in truth.items()
        }
        for name in fields:
            if name[0] == "R" and name[1:].isdigit():
                fields[name] = np.clip(fields[name], 0.0, RELATIVE_HUMIDITY_CAP)
        return self.biased(fields, time, land, lon)

    def biased(
        self, fields: dict[str, np.ndarray], time: datetime, land: np.ndarray, lon: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Add the systematic bias near the ground.

        Temperatures of :data:`WARM` are too warm: over land by their part of the bias times 1 + 0.5
        cos(local solar time - 14 h), over sea by 0.3 of it all day. Winds of :data:`SLOW` are too
        weak by their part. 850 hPa and everything above are untouched.

        Parameters
        ----------
        fields : dict[str, np.ndarray]
            Fields ``(lat, lon)`` by channel; channels that are absent are skipped.
        time : datetime
            Time of the fields.
        land : np.ndarray
            Land fraction ``(lat, lon)``.
        lon : np.ndarray
            Longitudes in degrees, ``(lon,)``.

        Returns
        -------
        dict[str, np.ndarray]
            All fields, some of them with bias.
        """
        # the sun moves by 15 degrees of longitude an hour
        local_hour = time.hour + time.minute / 60.0 + lon / 15.0
        daily = 1.0 + DIURNAL_PART * np.cos(2.0 * np.pi * (local_hour - 14.0) / 24.0)
        shape = (land * daily[None, :] + (1.0 - land) * SEA_PART).astype(np.float32)
        warm = {
            name: np.float32(self.warm_bias * part) * shape
            for name, part in WARM.items()
            if name in fields
        }
        slow = {
            name: np.float32(1.0 - self.slow_bias * part)
            for name, part in SLOW.items()
            if name in fields
        }
        return (
            fields
            | {name: fields[name] + bias for name, bias in warm.items()}
            | {name: fields[name] * part for name, part in slow.items()}
        )
