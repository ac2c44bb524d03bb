"""Simulate what a sounder sees of the nature run: truth at the footprints, the observation operator, errors."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np
import torch

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config.sources import Platform, Source
from fuxiflow.observations.orbits import EPOCH, SCANNERS, Swath, swath
from fuxiflow.operators.columns import brightness_temperatures
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.randomness import generator
from fuxiflow.world.outages import observed
from fuxiflow.world.windows import TruthWindow, TruthWindows

BATCH = 2048
CHANNEL_BIAS = 0.4
"""Standard deviation of the fixed bias of a channel, K."""
SCAN_BIAS = 0.3
"""Standard deviation of the bias at the edges of the scan, against its mean, K."""


def labels(source: Source, platform: Platform) -> tuple[str, ...]:
    """What sets the errors of an instrument apart: its source, and its platform where it is not the source's first."""
    return (
        (source.name,)
        if platform.name == source.platforms[0].name
        else (source.name, platform.name)
    )


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
    latitude, zenith = (
        torch.from_numpy(v.ravel().astype(np.float32)) for v in (view.lat, view.zenith)
    )
    count = len(PRESSURE_LEVELS)
    parts = []
    with torch.no_grad():
        for part, lat, angle in zip(
            *(v.split(BATCH) for v in (values, latitude, zenith)), strict=True
        ):
            temperature, humidity = part[:, :count], torch.exp(part[:, count : 2 * count])
            pressure, skin, land = part[:, -3:].unbind(dim=1)
            parts.append(
                brightness_temperatures(
                    operator, temperature, humidity, pressure, skin, land, lat, angle
                )
            )
    return torch.cat(parts).numpy().reshape(*view.lat.shape, -1)


def granules(view: Swath, minutes: int) -> Iterator[tuple[int, Swath]]:
    """Granules of one day's swath that hold scans, with the minute since the epoch that each starts at."""
    minute = (view.time[:, 0] - EPOCH) // np.timedelta64(1, "m")
    start = minute // minutes * minutes
    for first in np.unique(start):
        members = np.flatnonzero(start == first)
        yield int(first), view.scans(slice(members[0], members[-1] + 1))


def observe_day(
    source: Source,
    platform: Platform,
    operator: MicrowaveOperator,
    truth: TruthWindows,
    day: date,
    options: dict,
    minutes: int,
    seed: int,
) -> Iterator[tuple[Swath, np.ndarray]]:
    """Yield granules of one day on one of a source's platforms, and their brightness temperatures ``(scan, field of
    view, channel)`` in K with errors.

    ``options`` are the configuration's ``world.swaths``: ``scan_stride``, ``field_of_view_stride``, ``noise`` (multiple
    of the channels' NEdT), ``outages``. Errors are drawn granule by granule from the seed, so that they depend neither
    on the days asked for nor on their order. Scans after the truth's last time are left out.
    """
    if not observed(day, options):
        return
    start = datetime(day.year, day.month, day.day)
    end = start + timedelta(days=1)
    last = min(end, max(truth.times))
    strides = options["scan_stride"], options["field_of_view_stride"]
    moments = (np.datetime64(time, "ns") for time in (start, end))
    view = swath(platform.name, platform.orbit, source.instrument, *moments, *strides)
    view = view.scans(
        slice(0, int(np.searchsorted(view.time[:, -1], np.datetime64(last, "ns"), side="right")))
    )
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
        random = generator(seed, *labels(source, platform), minute).standard_normal(
            part.shape, dtype=np.float32
        )
        yield granule, part + systematic + random * noise
