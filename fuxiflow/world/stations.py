"""One day of a network's reports, as bulletins: land stations, ships and buoys, radiosondes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from fuxiflow.config.sources import Source
from fuxiflow.randomness import generator
from fuxiflow.world import networks, report_bufr, reports
from fuxiflow.world.outages import observed
from fuxiflow.world.windows import TruthWindow, TruthWindows

DAY = timedelta(days=1)
LAUNCH = np.timedelta64(30 * 60, "s")
"""Radiosondes are launched so long before the hour that they report for, give or take :data:`SPREAD` seconds."""
SPREAD = 900
VARIABLES = {
    "surface.land": reports.SURFACE,
    "surface.sea": reports.SURFACE,
    "radiosonde": reports.SOUNDING,
}
"""Variables of the truth that a source's reports need, by its reader."""


def windows(truth, source: Source) -> TruthWindows:
    """The truth as the reports of a source need it."""
    return TruthWindows(truth, VARIABLES[source.reader])


def network(
    source: Source, truth, options: Mapping, seed: int
) -> networks.Stations | networks.Vessels:
    """The stations of a source, as many as ``options`` want, placed by the seed on the continents of the truth."""
    land = truth.static("land_fraction")
    if source.reader == "surface.sea":
        return networks.sea_network(source.name, options["stations"], seed, land, truth.grid)
    height = truth.static("surface_geopotential")
    least = networks.COAST if source.reader == "radiosonde" else networks.LAND
    return networks.land_network(
        source.name, options["stations"], seed, land, height, truth.grid, least
    )


def report_day(
    source: Source,
    members: networks.Stations | networks.Vessels,
    truth: TruthWindows,
    day: date,
    options: Mapping,
    seed: int,
) -> Iterator[tuple[datetime, int, bytes]]:
    """Yield the bulletins of one day: time, number of reports and the bytes, one after the other.

    ``options`` are the configuration's ``world.networks``: ``interval_hours`` between reports, ``missing``, the share
    of them that does not arrive, ``noise``, a multiple of that of the channels, and when there are any. What is drawn
    depends on the seed and the time alone, not on the days asked for. Reports after the truth's last time are left out.
    """
    if not observed(day, options):
        return
    start = datetime(day.year, day.month, day.day)
    last = min(start + DAY, max(truth.times))
    if last <= start:
        return
    window = truth.window(start, last)
    noise = {
        name: options["noise"] * value
        for name, value in zip(source.channel_names, source.noise, strict=True)
    }
    first = options["interval_hours"] if source.reader == "radiosonde" else 0
    for hour in range(first, first + 24, options["interval_hours"]):
        time = start + timedelta(hours=hour)
        rng = generator(seed, source.name, time, "arrivals")
        here = np.flatnonzero(rng.random(len(members)) >= options["missing"])
        if len(here) and time <= last:
            yield time, len(here), _bulletin(source, members, here, window, time, noise, seed, rng)


def _bulletin(
    source: Source,
    members: networks.Stations | networks.Vessels,
    here: np.ndarray,
    window: TruthWindow,
    time: datetime,
    noise: Mapping[str, float],
    seed: int,
    rng: np.random.Generator,
) -> bytes:
    """The bulletins of the members ``here`` (m,) for ``time``."""
    when = np.full(len(here), np.datetime64(time, "ns"))
    chosen = replace(members, **{name: values[here] for name, values in vars(members).items()})
    if source.reader == "radiosonde":
        launch = when - LAUNCH + rng.integers(-SPREAD, SPREAD, len(here)).astype("timedelta64[s]")
        levels = reports.soundings(window, chosen.lat, chosen.lon, launch, noise, rng)
        return report_bufr.temp(chosen, launch, levels, time)
    drawn = reports.draw(source.channel_names, len(members), seed, source.name, time)
    errors = {name: values[here] for name, values in drawn.items()}
    at_sea = source.reader == "surface.sea"
    # the template of ships has two decimals; the truth is taken where the report says
    lat, lon = (
        np.round(chosen.at(np.datetime64(time, "ns")), 2) if at_sea else (chosen.lat, chosen.lon)
    )
    reported = reports.surface_reports(reports.surface_truth(window, lat, lon, when), errors, noise)
    return (
        report_bufr.marine(chosen, lat, lon, reported, time)
        if at_sea
        else report_bufr.synop(chosen, reported, time)
    )
