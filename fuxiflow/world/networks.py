"""One day of a network's reports: land stations, ships and buoys, radiosondes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from fuxiflow.config import world as settings
from fuxiflow.config.sources import Source
from fuxiflow.randomness import generator
from fuxiflow.world import reports, stations
from fuxiflow.world.stations import Stations, Vessels
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import TruthWindow, TruthWindows

DAY = timedelta(days=1)
LAUNCH = np.timedelta64(30 * 60, "s")
"""Radiosondes are launched so long before the hour that they report for."""
SPREAD = 900
"""Seconds by which a launch is earlier or later than :data:`LAUNCH` at most."""
KINDS = {
    "surface.land": "stations",
    "nnja_ai.synop": "stations",
    "surface.sea": "vessels",
    "radiosonde": "radiosondes",
    "nnja_ai.radiosondes": "radiosondes",
}
"""What a network is made of, by the reader of its source."""


class Reports(NamedTuple):
    """The reports of one nominal time.

    ``members`` are those that report; ``lat``, ``lon`` (degrees) and ``when`` (UTC, datetime64[ns])
    are where and when they do, ``(n,)``. ``values`` are by ecCodes' names of elements, in SI units:
    ``(n,)``, of soundings ``(n, level)``, NaN where missing.
    """

    time: datetime
    members: Stations | Vessels
    lat: np.ndarray
    lon: np.ndarray
    when: np.ndarray
    values: Mapping[str, np.ndarray]


def report_windows(truth: Truth, source: Source) -> TruthWindows:
    """Open the truth with the variables that the reports of a source need."""
    sounding = KINDS[source.reader] == "radiosondes"
    return TruthWindows(truth, reports.SOUNDING if sounding else reports.SURFACE)


def place_network(
    source: Source, truth: Truth, options: settings.ObservedNetwork, seed: int
) -> Stations | Vessels:
    """Place the stations, or ships and buoys, of a source on the continents and seas of the truth.

    Parameters
    ----------
    source : Source
        Its reader tells land stations, ships and radiosondes apart.
    truth : Truth
        Land and height come from its static fields.
    options : settings.Network
        How many stations there are.
    seed : int
        Seed of the configuration.

    Returns
    -------
    Stations or Vessels
        As many as ``options`` ask for, or fewer where there is no space for them.
    """
    land = truth.static("land_fraction")
    if KINDS[source.reader] == "vessels":
        return stations.place_vessels(source.name, options.stations, seed, land, truth.grid)
    height = truth.static("surface_geopotential")
    least = stations.COAST if KINDS[source.reader] == "radiosondes" else stations.LAND
    return stations.place_stations(
        source.name, options.stations, seed, land, height, truth.grid, least
    )


def report_day(
    source: Source,
    members: Stations | Vessels,
    truth: TruthWindows,
    day: date,
    options: settings.ObservedNetwork,
    seed: int,
) -> Iterator[Reports]:
    """Yield the reports of one day, one time after the other.

    Random numbers depend on the seed and the time alone, not on the days asked for. Reports after
    the truth's last time are left out.

    Parameters
    ----------
    source : Source
        The network's source.
    members : Stations or Vessels
        The network, from :func:`place_network`.
    truth : TruthWindows
        The truth, from :func:`report_windows`.
    day : date
        The day that is reported, in UTC.
    options : settings.Network
        Interval of the reports, share of them that does not arrive, noise as a multiple of the
        channels', and when there are reports.
    seed : int
        Seed of the configuration.

    Yields
    ------
    Reports
        The reports of one time.
    """
    if not options.observes(day):
        return
    start = datetime(day.year, day.month, day.day)
    last = min(start + DAY, max(truth.times))
    if last <= start:
        return
    window = truth.window(start, last)
    noise = {
        name: options.noise * value
        for name, value in zip(source.channel_names, source.noise, strict=True)
    }
    # a sounding for 00 UTC ascends the day before, whose truth this window does not hold
    first = options.interval_hours if KINDS[source.reader] == "radiosondes" else 0
    for hour in range(first, first + 24, options.interval_hours):
        time = start + timedelta(hours=hour)
        rng = generator(seed, source.name, time, "arrivals")
        rows = np.flatnonzero(rng.random(len(members)) >= options.missing)
        if len(rows) and time <= last:
            yield _reports(source, members, rows, window, time, noise, seed, rng)


def _reports(
    source: Source,
    members: Stations | Vessels,
    rows: np.ndarray,
    window: TruthWindow,
    time: datetime,
    noise: Mapping[str, float],
    seed: int,
    rng: np.random.Generator,
) -> Reports:
    """Make the reports of some members for one time.

    Parameters
    ----------
    source : Source
        The network's source.
    members : Stations or Vessels
        The whole network: errors are drawn for all of it.
    rows : np.ndarray
        Indices ``(m,)`` of the members whose report arrives.
    window : TruthWindow
        The truth around ``time``.
    time : datetime
        Nominal time of the reports.
    noise : Mapping[str, float]
        Standard deviations of the errors by channel, in the channel's unit.
    seed : int
        Seed of the configuration.
    rng : np.random.Generator
        Generator of the time, which launches and soundings draw from.

    Returns
    -------
    Reports
        The reports.
    """
    when = np.full(len(rows), np.datetime64(time, "ns"))
    reporting = replace(members, **{name: values[rows] for name, values in vars(members).items()})
    if KINDS[source.reader] == "radiosondes":
        launch = when - LAUNCH + rng.integers(-SPREAD, SPREAD, len(rows)).astype("timedelta64[s]")
        levels = reports.soundings(window, reporting.lat, reporting.lon, launch, noise, rng)
        return Reports(time, reporting, reporting.lat, reporting.lon, launch, levels)
    drawn = reports.draw_errors(source.channel_names, len(members), seed, source.name, time)
    errors = {name: values[rows] for name, values in drawn.items()}
    # the template of ships has two decimals; the truth is taken where the report says
    lat, lon = (
        np.round(reporting.at(np.datetime64(time, "ns")), 2)
        if KINDS[source.reader] == "vessels"
        else (reporting.lat, reporting.lon)
    )
    reported = reports.surface_reports(reports.surface_truth(window, lat, lon, when), errors, noise)
    return Reports(time, reporting, lat, lon, when, reported)
