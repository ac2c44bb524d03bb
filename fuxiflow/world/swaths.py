"""Simulate what a sounder sees of the nature run: truth at the footprints, the observation operator, errors."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import torch

from fuxiflow.grids import Grid
from fuxiflow.operators.columns import LEVELS, brightness_temperatures
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.sources import Platform, Source
from fuxiflow.times import STEP_HOURS, hours
from fuxiflow.world.orbits import EPOCH, SCANNERS, Swath, swath
from fuxiflow.world.truth import Truth

BATCH = 2048
STEP = hours(STEP_HOURS)
VARIABLES = (*(f"T{level}" for level in LEVELS), "specific_humidity", "surface_pressure", "skin_temperature")
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
        elapsed = (time - self.times[0]) / step
        if len(elapsed) and not (elapsed.min() >= 0.0 and elapsed.max() <= len(self.times) - 1):
            raise ValueError(f"points from {time.min()} to {time.max()} are outside the fields, "
                             f"{self.times[0]} to {self.times[-1]}")
        nlat, nlon = self.grid.shape
        row = (90.0 - lat) * ((nlat - 1) / 180.0)
        column = np.mod(lon, 360.0) * (nlon / 360.0)
        i = np.minimum(elapsed.astype(np.int64), len(self.times) - 2)
        j = np.minimum(row.astype(np.int64), nlat - 2)
        k = column.astype(np.int64) % nlon
        shares = elapsed - i, row - j, column - np.floor(column)
        flat = self.fields.reshape(-1, self.fields.shape[-1])
        total = torch.zeros(len(lat), flat.shape[1])
        for di, wi in ((0, 1.0 - shares[0]), (1, shares[0])):
            for dj, wj in ((0, 1.0 - shares[1]), (1, shares[1])):
                for dk, wk in ((0, 1.0 - shares[2]), (1, shares[2])):
                    index = torch.from_numpy(((i + di) * nlat + j + dj) * nlon + (k + dk) % nlon)
                    weight = torch.from_numpy((wi * wj * wk).astype(np.float32))
                    total.addcmul_(flat.index_select(0, index), weight[:, None])
        return total


class TruthWindows:
    """Windows of consecutive times of the truth, each read once as the windows move on."""

    def __init__(self, truth: Truth):
        self.truth = truth
        self.times = set(truth.times)
        self.land_fraction = truth.static("land_fraction")
        self._kept: dict[datetime, np.ndarray] = {}

    def _fields(self, time: datetime) -> np.ndarray:
        """Fields ``(lat, lon, variable)`` of one time, as :class:`TruthWindow` has them."""
        fields = self.truth.read(time, VARIABLES)
        temperature = [fields[f"T{level}"] for level in LEVELS]
        humidity = np.log(np.maximum(fields["specific_humidity"], LEAST_HUMIDITY))
        surface = [0.01 * fields["surface_pressure"], fields["skin_temperature"], self.land_fraction]
        return np.stack([*temperature, *humidity, *surface], axis=-1).astype(np.float32)

    def window(self, start: datetime, end: datetime) -> TruthWindow:
        """The fields of all 6-hourly times from ``start`` to ``end``, both included.

        KeyError names the stores, the first time they lack, and what they hold.
        """
        times = [start + i * STEP for i in range((end - start) // STEP + 1)]
        self._kept = {time: self._kept[time] if time in self._kept else self._fields(time) for time in times}
        fields = torch.from_numpy(np.stack(list(self._kept.values())))
        return TruthWindow(np.array(times, "datetime64[ns]"), self.truth.grid, fields)


def generator(seed: int, *labels: object) -> np.random.Generator:
    """A random generator of the seed and labels, the same on every machine and in every process."""
    return np.random.default_rng([seed, *(zlib.crc32(str(label).encode()) for label in labels)])


def labels(source: Source, platform: Platform) -> tuple[str, ...]:
    """What sets the errors of an instrument apart: its source, and its platform where it is not the source's first."""
    return (source.name,) if platform.name == source.platforms[0].name else (source.name, platform.name)


def bias(source: Source, platform: Platform, seed: int, scan_angle: np.ndarray) -> np.ndarray:
    """Systematic errors ``(field of view, channel)`` in K at scan angles in degrees, fixed by the seed, the source and
    the platform.

    Each channel has a constant of standard deviation :data:`CHANNEL_BIAS` and a parabola and a slope across the scan of
    :data:`SCAN_BIAS` and half of it at the edges, the parabola with a mean of zero: the size and shape that limb and
    antenna effects leave in ATMS (Weng et al., 2013, doi:10.1002/jgrd.50840).
    """
    rng = generator(seed, *labels(source, platform), "bias")
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
    source: Source, platform: Platform, operator: MicrowaveOperator, truth: TruthWindows, day: date, options: dict,
    minutes: int, seed: int,
) -> Iterator[tuple[Swath, np.ndarray]]:
    """Yield granules of one day on one of a source's platforms, and their brightness temperatures ``(scan, field of
    view, channel)`` in K with errors.

    ``options`` are the configuration's ``world.swaths``: ``scan_stride``, ``field_of_view_stride``, ``noise`` (multiple
    of the channels' NEdT), ``outages``. Errors are drawn granule by granule from the seed, so that they depend neither
    on the days asked for nor on their order. Scans after the truth's last time are left out.
    """
    if in_outage(day, options["outages"]):
        return
    start = datetime(day.year, day.month, day.day)
    end = start + timedelta(days=1)
    last = min(end, max(truth.times))
    strides = options["scan_stride"], options["field_of_view_stride"]
    moments = (np.datetime64(time, "ns") for time in (start, end))
    view = swath(platform.name, platform.orbit, source.instrument, *moments, *strides)
    view = view.scans(slice(0, int(np.searchsorted(view.time[:, -1], np.datetime64(last, "ns"), side="right"))))
    if not len(view):
        return
    window = truth.window(start, last)
    noise = options["noise"] * np.array(source.noise)
    systematic = bias(source, platform, seed, view.scan_angle[0])
    clean = simulate(operator, window, view)
    first = 0
    for minute, granule in granules(view, minutes):
        part = clean[first : first + len(granule)]
        first += len(granule)
        random = generator(seed, *labels(source, platform), minute).standard_normal(part.shape, dtype=np.float32)
        yield granule, part + systematic + random * noise
