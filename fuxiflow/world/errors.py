"""Errors of the embedded world's analyses: scaled patterns of flow-dependent error, and a bias near the ground.

The patterns are differences x(t) - x(t - 24 h) of the nature run's spin-up, a stretch of weather that is used for
nothing else: they are balanced as the weather is, correlated in space, and decorrelate in about a day when stepped
through in order (the NMC method's idea, Parrish & Derber, 1992, doi:10.1175/1520-0493(1992)120<1747:TNMCSS>2.0.CO;2).
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import zarr

from fuxiflow import provenance
from fuxiflow.grids import Grid
from fuxiflow.times import STEP_HOURS
from fuxiflow.world.levels import PROGNOSTIC, RELATIVE_HUMIDITY_CAP
from fuxiflow.world.truth import add_coordinates, compressor, hour_of

LIBRARY_DAYS = 40
PRODUCTS = {"era5": 0.25, "gfs": 0.625}
"""Where in the library each product starts, as a part of its length: products' errors are unrelated to each other."""
HUMIDITY_SCALE = 1.0e3
"""Native humidity is kept in g kg-1, so that half precision resolves it."""
WARM_BIAS = {"T2M": 0.8, "T1000": 0.6, "T925": 0.5}
"""Mean warm bias over land, K; over sea 0.3 of it."""
SLOW_BIAS = {"U10": 0.10, "V10": 0.10, "U1000": 0.10, "V1000": 0.10, "U925": 0.05, "V925": 0.05}
"""Part by which the wind is too weak."""
SEA_PART = 0.3
DIURNAL_PART = 0.5
"""Amplitude of the daily cycle of the warm bias over land, as a part of it, largest at 14 h local solar time."""


def write_library(path: Path, times: Sequence[datetime], grid: Grid, channels: Sequence[str],
                  fields: Sequence[np.ndarray], native: Sequence[dict[str, np.ndarray]]) -> None:
    """Write the library of 24-h differences of 6-hourly fields.

    ``fields``: one ``(channel, lat, lon)`` a time; ``native``: the PROGNOSTIC fields a time. Stored in half precision:
    ``state (time, channel, lat, lon)``, ``native_{name} (time, …)`` (humidity in g kg-1). ValueError when there is no
    whole day of patterns.
    """
    lag = 24 // STEP_HOURS
    count = (len(times) - lag) // lag * lag
    if count < lag:
        raise ValueError(f"{path}: {len(times)} times give no day of 24-h differences; world.spinup_days is too short")
    first = len(times) - count
    group = zarr.open_group(path, mode="w")
    group.attrs.update(Conventions="CF-1.11", title="24-h differences of the spin-up", provenance=provenance.as_json())
    group.attrs["channels"] = list(channels)
    add_coordinates(group, times[first:], {"lat": grid.lat, "lon": grid.lon})

    def store(name: str, values: list[np.ndarray], dims: tuple[str, ...]) -> None:
        data = np.stack(values).astype(np.float16)
        array = group.create_array(name, shape=data.shape, dtype="float16", chunks=(1, *data.shape[1:]),
                                   shards=data.shape, compressors=compressor(), dimension_names=dims)
        array[:] = data

    steps = range(first, len(times))
    store("state", [fields[i] - fields[i - lag] for i in steps], ("time", "channel", "lat", "lon"))
    for name in PROGNOSTIC:
        scale = HUMIDITY_SCALE if name == "specific_humidity" else 1.0
        dims = ("time", "native_lat", "native_lon") if name == "surface_pressure" else \
            ("time", "sigma", "native_lat", "native_lon")
        store(f"native_{name}", [scale * (native[i][name] - native[i - lag][name]) for i in steps], dims)


class ErrorLibrary:
    """Patterns by product and time: what is near in time is near in the library, which repeats after its length."""

    def __init__(self, path: Path):
        self._group = zarr.open_group(path, mode="r")
        self._state = self._group["state"]
        self.channels = list(self._group.attrs["channels"])
        self.length = self._state.shape[0]

    def index(self, product: str, time: datetime) -> int:
        """Position of a product's pattern, at the same hour of the day as ``time``; KeyError lists the products."""
        if product not in PRODUCTS:
            raise KeyError(f"unknown product {product!r}; known: {', '.join(PRODUCTS)}")
        days = 24 // STEP_HOURS
        offset = int(PRODUCTS[product] * (self.length // days)) * days
        first = int(self._group["time"][0]) // STEP_HOURS
        return (hour_of(time) // STEP_HOURS - first + offset) % self.length

    def fields(self, product: str, time: datetime) -> dict[str, np.ndarray]:
        """Pattern by channel, ``(lat, lon)`` float32."""
        pattern = self._state[self.index(product, time)].astype(np.float32)
        return dict(zip(self.channels, pattern, strict=True))

    def native(self, product: str, time: datetime) -> dict[str, np.ndarray]:
        """Pattern of the PROGNOSTIC fields on the nature run's grid, float32."""
        index = self.index(product, time)
        pattern = {name: self._group[f"native_{name}"][index].astype(np.float32) for name in PROGNOSTIC}
        pattern["specific_humidity"] /= np.float32(HUMIDITY_SCALE)
        return pattern


def low_level_bias(fields: dict[str, np.ndarray], time: datetime, land: np.ndarray,
                   lon: np.ndarray) -> dict[str, np.ndarray]:
    """``fields`` with the systematic bias of a reanalysis near the ground added.

    Temperatures of :data:`WARM_BIAS` are too warm: over land by the bias times 1 + 0.5 cos(local solar time - 14 h),
    over sea by 0.3 of it all day. Winds of :data:`SLOW_BIAS` are too weak by a fixed part. 850 hPa and everything above
    are untouched. ``land``: fraction ``(lat, lon)``; ``lon`` in degrees. Channels absent from ``fields`` are skipped.
    """
    local_hour = time.hour + time.minute / 60.0 + lon / 15.0
    daily = 1.0 + DIURNAL_PART * np.cos(2.0 * np.pi * (local_hour - 14.0) / 24.0)
    shape = land * daily[None, :] + (1.0 - land) * SEA_PART
    biased = dict(fields)
    for name, bias in WARM_BIAS.items():
        if name in biased:
            biased[name] = biased[name] + np.float32(bias) * shape.astype(np.float32)
    for name, part in SLOW_BIAS.items():
        if name in biased:
            biased[name] = biased[name] * np.float32(1.0 - part)
    return biased


def analysed(truth: dict[str, np.ndarray], pattern: dict[str, np.ndarray], error: float) -> dict[str, np.ndarray]:
    """``truth + error * pattern`` for every channel that has a pattern; relative humidity is held in [0, 110] %."""
    fields = {name: field + np.float32(error) * pattern[name] if name in pattern else field
              for name, field in truth.items()}
    for name in fields:
        if name[0] == "R" and name[1:].isdigit():
            fields[name] = np.clip(fields[name], 0.0, RELATIVE_HUMIDITY_CAP)
    return fields
