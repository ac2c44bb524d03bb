"""One day of a network's reports as bulletins: land stations, ships and buoys, radiosondes."""

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
from fuxiflow.world.writers import report_bufr

DAY = timedelta(days=1)
LAUNCH = np.timedelta64(30 * 60, "s")
"""Radiosondes are launched so long before the hour that they report for."""
SPREAD = 900
"""Seconds by which a launch is earlier or later than :data:`LAUNCH` at most."""
VARIABLES = {
    "surface.land": reports.SURFACE,
    "surface.sea": reports.SURFACE,
    "radiosonde": reports.SOUNDING,
}
"""Variables of the truth that a source's reports need, by its reader."""


class Bulletin(NamedTuple):
    """The bulletins of one time: the number of reports in them and their bytes."""

    time: datetime
    count: int
    content: bytes


def report_windows(truth: Truth, source: Source) -> TruthWindows:
    """Open the truth with the variables that the reports of a source need."""
    return TruthWindows(truth, VARIABLES[source.reader])


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
    if source.reader == "surface.sea":
        return stations.place_vessels(source.name, options.stations, seed, land, truth.grid)
    height = truth.static("surface_geopotential")
    least = stations.COAST if source.reader == "radiosonde" else stations.LAND
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
) -> Iterator[Bulletin]:
    """Yield the bulletins of one day, one time after the other.

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
    Bulletin
        The bulletins of one time.
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
    first = options.interval_hours if source.reader == "radiosonde" else 0
    for hour in range(first, first + 24, options.interval_hours):
        time = start + timedelta(hours=hour)
        rng = generator(seed, source.name, time, "arrivals")
        rows = np.flatnonzero(rng.random(len(members)) >= options.missing)
        if len(rows) and time <= last:
            content = _encode(source, members, rows, window, time, noise, seed, rng)
            yield Bulletin(time, len(rows), content)


def _encode(
    source: Source,
    members: Stations | Vessels,
    rows: np.ndarray,
    window: TruthWindow,
    time: datetime,
    noise: Mapping[str, float],
    seed: int,
    rng: np.random.Generator,
) -> bytes:
    """Encode the reports of some members for one time.

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
    bytes
        The bulletins.
    """
    when = np.full(len(rows), np.datetime64(time, "ns"))
    reporting = replace(members, **{name: values[rows] for name, values in vars(members).items()})
    if source.reader == "radiosonde":
        launch = when - LAUNCH + rng.integers(-SPREAD, SPREAD, len(rows)).astype("timedelta64[s]")
        levels = reports.soundings(window, reporting.lat, reporting.lon, launch, noise, rng)
        return report_bufr.encode_temp(reporting, launch, levels, time)
    drawn = reports.draw_errors(source.channel_names, len(members), seed, source.name, time)
    errors = {name: values[rows] for name, values in drawn.items()}
    at_sea = source.reader == "surface.sea"
    # the template of ships has two decimals; the truth is taken where the report says
    lat, lon = (
        np.round(reporting.at(np.datetime64(time, "ns")), 2)
        if at_sea
        else (reporting.lat, reporting.lon)
    )
    reported = reports.surface_reports(reports.surface_truth(window, lat, lon, when), errors, noise)
    return (
        report_bufr.encode_marine(reporting, lat, lon, reported, time)
        if at_sea
        else report_bufr.encode_synop(reporting, reported, time)
    )
