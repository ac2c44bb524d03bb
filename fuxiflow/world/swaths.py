"""Simulate what a sounder sees of the nature run: truth at the footprints, the observation operator, errors."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch

from fuxiflow.grids import Grid
from fuxiflow.operators.columns import LEVELS, brightness_temperatures
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.sources import Source
from fuxiflow.states.store import get_grid, open_store, read_times
from fuxiflow.world.orbits import EPOCH, SCANNERS, Swath, swath

BATCH = 2048
STEP = np.timedelta64(6, "h")
LEAST_HUMIDITY = 2e-6
CHANNEL_BIAS = 0.4
"""Standard deviation of the fixed bias of a channel, K."""
SCAN_BIAS = 0.3
"""Standard deviation of the bias at the edges of the scan, against its mean, K."""


@dataclass(frozen=True)
class TruthWindow:
    """Fields of consecutive times as one array, ready to interpolate.

    ``times`` datetime64[ns], equally spaced; ``fields`` float32 ``(time, lat, lon, variable)``: temperature and
    logarithm of specific humidity at the 13 levels, surface pressure (hPa), skin temperature (K), land fraction.
    """

    times: np.ndarray
    grid: Grid
    fields: torch.Tensor

    def at(self, lat: np.ndarray, lon: np.ndarray, time: np.ndarray) -> torch.Tensor:
        """Values ``(n, variable)`` at points, bilinear in space and linear in time; ValueError outside the times."""
        step = self.times[1] - self.times[0]
        hours = (time - self.times[0]) / step
        if len(hours) and not (hours.min() >= 0.0 and hours.max() <= len(self.times) - 1):
            raise ValueError(f"points from {time.min()} to {time.max()} are outside the fields, "
                             f"{self.times[0]} to {self.times[-1]}")
        nlat, nlon = self.grid.shape
        row = (90.0 - lat) * ((nlat - 1) / 180.0)
        column = np.mod(lon, 360.0) * (nlon / 360.0)
        i = np.minimum(hours.astype(np.int64), len(self.times) - 2)
        j = np.minimum(row.astype(np.int64), nlat - 2)
        k = column.astype(np.int64) % nlon
        shares = hours - i, row - j, column - np.floor(column)
        flat = self.fields.reshape(-1, self.fields.shape[-1])
        total = torch.zeros(len(lat), flat.shape[1])
        for di, wi in ((0, 1.0 - shares[0]), (1, shares[0])):
            for dj, wj in ((0, 1.0 - shares[1]), (1, shares[1])):
                for dk, wk in ((0, 1.0 - shares[2]), (1, shares[2])):
                    index = torch.from_numpy(((i + di) * nlat + j + dj) * nlon + (k + dk) % nlon)
                    weight = torch.from_numpy((wi * wj * wk).astype(np.float32))
                    total.addcmul_(flat.index_select(0, index), weight[:, None])
        return total


class Truth:
    """The truth of the embedded world, from the stores of its segments.

    Each is a Zarr store with ``T50`` … ``T1000`` (K), ``surface_pressure`` (Pa) and ``skin_temperature`` (K)
    ``(time, lat, lon)`` and ``specific_humidity`` (kg/kg) ``(time, level, lat, lon)``, levels from the top. ValueError
    names a store that lacks a variable, or the sizes that disagree.
    """

    def __init__(self, paths: Sequence[Path], land_fraction: np.ndarray):
        self.paths = [Path(path) for path in paths]
        self.stores = [open_store(path) for path in self.paths]
        needed = [f"T{level}" for level in LEVELS] + ["specific_humidity", "surface_pressure", "skin_temperature"]
        for path, store in zip(self.paths, self.stores, strict=True):
            missing = [name for name in needed if name not in store]
            if missing:
                raise ValueError(f"{path}: lacks {', '.join(missing)}, which simulated observations need")
            if store["specific_humidity"].shape[1] != len(LEVELS):
                raise ValueError(f"{path}: specific_humidity has {store['specific_humidity'].shape[1]} levels, "
                                 f"not the {len(LEVELS)} of the state")
        self.grid = get_grid(self.stores[0])
        if not self.grid.poles:
            raise ValueError(f"{self.paths[0]}: its grid {self.grid.shape} does not reach the poles")
        if land_fraction.shape != self.grid.shape:
            raise ValueError(f"land fraction is {land_fraction.shape}, the truth of {self.paths[0]} {self.grid.shape}")
        self.land_fraction = land_fraction.astype(np.float32)
        self.index = {
            time: (number, i) for number, store in enumerate(self.stores) for i, time in enumerate(read_times(store))
        }
        self._kept: dict[np.datetime64, np.ndarray] = {}

    def _read(self, number: int, part: slice) -> np.ndarray:
        """Fields ``(time, lat, lon, variable)`` of consecutive times of one store."""
        store = self.stores[number]
        temperature = [store[f"T{level}"][part] for level in LEVELS]
        humidity = np.log(np.maximum(store["specific_humidity"][part], LEAST_HUMIDITY)).swapaxes(0, 1)
        pressure, skin = 0.01 * store["surface_pressure"][part], store["skin_temperature"][part]
        land = np.broadcast_to(self.land_fraction, skin.shape)
        return np.stack([*temperature, *humidity, pressure, skin, land], axis=-1).astype(np.float32)

    def window(self, start: np.datetime64, end: np.datetime64) -> TruthWindow:
        """The fields of all 6-hourly times from ``start`` to ``end``, both included; KeyError names a missing time."""
        times = np.arange(np.datetime64(start, "ns"), np.datetime64(end, "ns") + STEP, STEP)
        missing = [str(time) for time in times if time not in self.index]
        if missing:
            raise KeyError(f"{', '.join(map(str, self.paths))}: no truth at {missing[0]}; they hold {min(self.index)} "
                           f"to {max(self.index)}")
        # the last times of one window are the first of the next, which are not read again
        new = [time for time in times if time not in self._kept]
        for number in sorted({self.index[time][0] for time in new}):
            members = [time for time in new if self.index[time][0] == number]
            first, last = self.index[members[0]][1], self.index[members[-1]][1]
            block = self._read(number, slice(first, last + 1))
            self._kept.update(zip(members, block, strict=True))
        self._kept = {time: self._kept[time] for time in times}
        return TruthWindow(times, self.grid, torch.from_numpy(np.stack(list(self._kept.values()))))

    @property
    def end(self) -> np.datetime64:
        """The last time."""
        return max(self.index)


def read_land_fraction(path: Path) -> np.ndarray:
    """The land-sea mask ``(lat, lon)``, 0-1, north to south, of a GRIB file; ValueError when it holds none."""
    import eccodes

    with open(path, "rb") as file:
        while (message := eccodes.codes_grib_new_from_file(file)) is not None:
            try:
                if eccodes.codes_get(message, "shortName") == "lsm":
                    shape = eccodes.codes_get(message, "Nj"), eccodes.codes_get(message, "Ni")
                    return eccodes.codes_get_values(message).reshape(shape)
            finally:
                eccodes.codes_release(message)
    raise ValueError(f"{path}: holds no land-sea mask (shortName lsm)")


def generator(seed: int, *labels: object) -> np.random.Generator:
    """A random generator of the seed and labels, the same on every machine and in every process."""
    return np.random.default_rng([seed, *(zlib.crc32(str(label).encode()) for label in labels)])


def bias(source: Source, seed: int, scan_angle: np.ndarray) -> np.ndarray:
    """Systematic errors ``(field of view, channel)`` in K at scan angles in degrees, fixed by the seed and the source.

    Each channel has a constant of standard deviation :data:`CHANNEL_BIAS` and a parabola and a slope across the scan of
    :data:`SCAN_BIAS` and half of it at the edges, the parabola with a mean of zero: the size and shape that limb and
    antenna effects leave in ATMS (Weng et al., 2013, doi:10.1002/jgrd.50840).
    """
    rng = generator(seed, source.name, "bias")
    count = len(source.channels)
    constant = CHANNEL_BIAS * rng.standard_normal(count)
    parabola = 1.5 * SCAN_BIAS * rng.standard_normal(count)
    slope = 0.5 * SCAN_BIAS * rng.standard_normal(count)
    x = scan_angle[:, None] / SCANNERS[source.instrument].half_angle
    return constant + parabola * (x**2 - 1.0 / 3.0) + slope * x


def simulate(operator: MicrowaveOperator, truth: TruthWindow, view: Swath) -> np.ndarray:
    """Brightness temperatures ``(scan, field of view, channel)`` in K without errors, float32."""
    values = truth.at(view.lat.ravel(), view.lon.ravel(), view.time.ravel())
    latitude, zenith = (torch.from_numpy(v.ravel().astype(np.float32)) for v in (view.lat, view.zenith))
    count = len(LEVELS)
    parts = []
    with torch.no_grad():
        for part, lat, angle in zip(*(v.split(BATCH) for v in (values, latitude, zenith)), strict=True):
            temperature, humidity = part[:, :count], torch.exp(part[:, count : 2 * count])
            pressure, skin, land = part[:, -3:].unbind(dim=1)
            parts.append(brightness_temperatures(operator, temperature, humidity, pressure, skin, land, lat, angle))
    return torch.cat(parts).numpy().reshape(*view.lat.shape, -1)


def in_outage(day: date, outages: Sequence[dict]) -> bool:
    """Whether a day lies in one of the outages ``{start, end}``, both days included."""
    return any(date.fromisoformat(str(o["start"])) <= day <= date.fromisoformat(str(o["end"])) for o in outages)


def granules(view: Swath, minutes: int) -> Iterator[tuple[int, Swath]]:
    """Granules of one day's swath that hold scans, with the minute since the epoch that each starts at."""
    minute = (view.time[:, 0] - EPOCH) // np.timedelta64(1, "m")
    start = minute // minutes * minutes
    for first in np.unique(start):
        members = np.flatnonzero(start == first)
        yield int(first), view.scans(slice(members[0], members[-1] + 1))


def observe_day(
    source: Source, operator: MicrowaveOperator, truth: Truth, day: date, options: dict, minutes: int, seed: int
) -> Iterator[tuple[Swath, np.ndarray]]:
    """Yield granules of one day and their brightness temperatures ``(scan, field of view, channel)`` in K with errors.

    ``options`` are the configuration's ``world.swaths``: ``scan_stride``, ``field_of_view_stride``, ``noise`` (multiple
    of the channels' NEdT), ``outages``. Errors are drawn granule by granule from the seed, so that they depend neither
    on the days asked for nor on their order. Scans after the truth's last time are left out.
    """
    if in_outage(day, options["outages"]):
        return
    start = np.datetime64(day, "ns")
    end = start + np.timedelta64(1, "D")
    # a scan that starts before midnight may end after it, never by as much as a step
    last = min(end + STEP, truth.end)
    strides = options["scan_stride"], options["field_of_view_stride"]
    view = swath(source.platform, source.orbit, source.instrument, start, end, *strides)
    view = view.scans(slice(0, int(np.searchsorted(view.time[:, -1], last, side="right"))))
    if not len(view):
        return
    window = truth.window(start, last)
    noise = options["noise"] * np.array([channel.noise for channel in source.channels])
    systematic = bias(source, seed, view.scan_angle[0])
    clean = simulate(operator, window, view)
    first = 0
    for minute, granule in granules(view, minutes):
        part = clean[first : first + len(granule)]
        first += len(granule)
        random = generator(seed, source.name, minute).standard_normal(part.shape, dtype=np.float32)
        yield granule, part + systematic + random * noise
