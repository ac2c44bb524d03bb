"""Simulate the swaths of sounders: the truth at footprints, the observation operator, errors."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np
import torch

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config import world as settings
from fuxiflow.config.simulation import coefficient_file
from fuxiflow.config.sources import Platform, Source
from fuxiflow.observations.orbits import EPOCH, SCANNERS, Swath, swath
from fuxiflow.operators.columns import brightness_temperatures
from fuxiflow.operators.microwave import BATCH, MicrowaveOperator
from fuxiflow.randomness import generator
from fuxiflow.world.clouds import diagnosed_droplets
from fuxiflow.world.representativeness import CorrelatedErrors
from fuxiflow.world.windows import COLUMN, WIND, TruthWindow, TruthWindows

CHANNEL_BIAS = 0.4
"""Standard deviation of the fixed bias of a channel, K."""
SCAN_BIAS = 0.3
"""Standard deviation of the bias at the edges of the scan, against its mean, K."""


ASSIMILATED = settings.Radiances()
"""Radiances that the assimilation's operator makes."""


def swath_operator(source: Source, radiances: settings.Radiances) -> MicrowaveOperator:
    """Load the operator of a source's instrument with the world's absorption model."""
    folder = coefficient_file(source.instrument, radiances.absorption).parent
    return MicrowaveOperator.for_instrument(source.instrument, directory=folder)


def seen_variables(radiances: settings.Radiances) -> tuple[str, ...]:
    """Return the variables of the truth that radiances are made of."""
    return COLUMN + WIND if radiances.rough_sea else COLUMN


def error_labels(source: Source, platform: Platform) -> tuple[str, ...]:
    """Return the labels that the random errors of an instrument are drawn with.

    They are the source's name and, for all but the source's first platform, the platform's.
    """
    return (
        (source.name,)
        if platform.name == source.platforms[0].name
        else (source.name, platform.name)
    )


def instrument_bias(
    source: Source, platform: Platform, seed: int, scan_angle: np.ndarray
) -> np.ndarray:
    """Draw the systematic errors of an instrument across its scan.

    Each channel has a constant of standard deviation :data:`CHANNEL_BIAS`, and a parabola and a
    slope across the scan of :data:`SCAN_BIAS` and half of it at the edges, the parabola with a
    mean of zero. Size and shape are what limb and antenna effects leave in ATMS (Weng et al.,
    2013, doi:10.1002/jgrd.50840).

    Parameters
    ----------
    source : Source
        The sounder.
    platform : Platform
        The satellite that it flies on.
    seed : int
        Seed of the configuration; the same seed, source and platform give the same errors.
    scan_angle : np.ndarray
        Scan angles in degrees, ``(field of view,)``.

    Returns
    -------
    np.ndarray
        Biases in K, ``(field of view, channel)``.
    """
    rng = generator(seed, *error_labels(source, platform), "bias")
    count = len(source.channels)
    constant = CHANNEL_BIAS * rng.standard_normal(count)
    parabola = 1.5 * SCAN_BIAS * rng.standard_normal(count)
    slope = 0.5 * SCAN_BIAS * rng.standard_normal(count)
    x = scan_angle[:, None] / SCANNERS[source.instrument].half_angle
    return constant + parabola * (x**2 - 1.0 / 3.0) + slope * x


def simulate_brightness(
    operator: MicrowaveOperator,
    truth: TruthWindow,
    view: Swath,
    radiances: settings.Radiances = ASSIMILATED,
) -> np.ndarray:
    """Simulate the brightness temperatures of a swath without errors.

    Parameters
    ----------
    operator : MicrowaveOperator
        Operator of the instrument.
    truth : TruthWindow
        The truth over the times of the swath, with the variables of a sounder.
    view : Swath
        Places, times and angles of the footprints.
    radiances : settings.Radiances
        Clouds and surfaces; by default those of the assimilation's operator.

    Returns
    -------
    np.ndarray
        In K, ``(scan, field of view, channel)``, float32.
    """
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
            # in the order of windows.COLUMN
            temperature, humidity = part[:, :count], torch.exp(part[:, count : 2 * count])
            pressure, skin = part[:, 2 * count : 2 * count + 2].unbind(dim=1)
            wind = clouds = None
            if radiances.rough_sea:
                # after the column, before the statics
                wind = torch.linalg.vector_norm(part[:, -3:-1], dim=1)
            if radiances.cloud_water:
                clouds = diagnosed_droplets(temperature, humidity, radiances.cloud_water)
            parts.append(
                brightness_temperatures(
                    operator,
                    temperature,
                    humidity,
                    pressure,
                    skin,
                    part[:, -1],
                    lat,
                    angle,
                    wind,
                    radiances.land_emissivity,
                    radiances.sea_ice_emissivity,
                    clouds,
                )
            )
    return torch.cat(parts).numpy().reshape(*view.lat.shape, -1)


def split_granules(view: Swath, minutes: int) -> Iterator[tuple[int, Swath]]:
    """Yield the granules of one day's swath that hold scans.

    Each comes with the minute since the orbits' epoch at which it starts, a multiple of
    ``minutes``.
    """
    minute = (view.time[:, 0] - EPOCH) // np.timedelta64(1, "m")
    start = minute // minutes * minutes
    for first in np.unique(start):
        members = np.flatnonzero(start == first)
        yield int(first), view.scans(slice(members[0], members[-1] + 1))


def observe_swaths(
    source: Source,
    platform: Platform,
    operator: MicrowaveOperator,
    truth: TruthWindows,
    day: date,
    options: settings.ObservedSwaths,
    minutes: int,
    seed: int,
    radiances: settings.Radiances = ASSIMILATED,
) -> Iterator[tuple[Swath, np.ndarray]]:
    """Observe one day from one of a source's platforms, granule by granule.

    Errors are drawn by granule, so that they depend neither on the days asked for nor on their
    order. Scans after the truth's last time are left out.

    Parameters
    ----------
    source : Source
        The sounder.
    platform : Platform
        One of its satellites.
    operator : MicrowaveOperator
        Operator of the instrument.
    truth : TruthWindows
        The truth, with the variables of a sounder.
    day : date
        The day that is observed, in UTC.
    options : settings.Swath
        Strides, noise as a multiple of the channels' NEdT, and when there are observations.
    minutes : int
        Length of a granule.
    seed : int
        Seed of the configuration.
    radiances : settings.Radiances
        How radiances are made; by default as the assimilation's operator makes them.

    Yields
    ------
    tuple[Swath, np.ndarray]
        A granule, and its brightness temperatures in K with errors,
        ``(scan, field of view, channel)``.
    """
    if not options.observes(day):
        return
    start = datetime(day.year, day.month, day.day)
    end = start + timedelta(days=1)
    last = min(end, max(truth.times))
    strides = options.scan_stride, options.field_of_view_stride
    moments = (np.datetime64(time, "ns") for time in (start, end))
    view = swath(platform.name, platform.orbit, source.instrument, *moments, *strides)
    view = view.scans(
        slice(0, int(np.searchsorted(view.time[:, -1], np.datetime64(last, "ns"), side="right")))
    )
    if not len(view):
        return
    window = truth.window(start, last)
    noise = options.noise * np.array(source.noise)
    systematic = instrument_bias(source, platform, seed, view.scan_angle[0])
    clean = simulate_brightness(operator, window, view, radiances)
    if radiances.representativeness:
        # what a footprint has and the truth's fields have not, whichever platform sees it
        random = generator(seed, source.name, "representativeness")
        fields = CorrelatedErrors(len(source.channels), radiances, random)
        errors = fields.at(view.lat.ravel(), view.lon.ravel(), view.time.ravel())
        size = radiances.representativeness * np.array(source.noise, np.float32)
        clean = clean + size * errors.reshape(clean.shape)
    first = 0
    for minute, granule in split_granules(view, minutes):
        part = clean[first : first + len(granule)]
        first += len(granule)
        random = generator(seed, *error_labels(source, platform), minute).standard_normal(
            part.shape, dtype=np.float32
        )
        yield granule, part + systematic + random * noise
