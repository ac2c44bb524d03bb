"""Simulated observations day by day, and the departures of real ones that their errors come from."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from fuxiflow.config.sources import Source
from fuxiflow.observations import footprint_table
from fuxiflow.operators.equivalents import EquivalentOperator, simulate_equivalents
from fuxiflow.randomness import label_number, numbered_generator
from fuxiflow.simulation import errors, geometry
from fuxiflow.simulation.reanalysis import ReanalysisSampler

ORIGIN = "simulated"
"""What tables and grids of simulated observations say in their metadata, ``origin``."""
SAMPLE = 3_000_000
"""Values, of all channels together, whose departures errors are found from."""
PART = 200_000
"""Footprints that are simulated at once."""


def day_generator(seed: int, source: str, day: date) -> np.random.Generator:
    """Random numbers of a source's day, whatever other days are made."""
    return numbered_generator(seed, label_number(source), day.toordinal())


def template_departures(
    source: Source,
    operator: EquivalentOperator,
    reanalysis: ReanalysisSampler,
    template: geometry.Template,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Day by day of the template departures ``(n, channel)``, land fraction and scan position (n,) of a sample drawn
    without replacement, :data:`SAMPLE` values in all; footprints at times without a reanalysis are left out."""
    share = -(-SAMPLE // (template.days * len(source.channels)))
    for number in range(template.days):
        day = template.start + timedelta(days=number)
        found = template.read(day)
        rows = np.flatnonzero(reanalysis.covers(footprint_table.column_values(found, "time")))
        if len(rows) > share:
            rows = np.sort(day_generator(seed, source.name, day).choice(rows, share, replace=False))
        if not len(rows):
            continue
        found = found.take(pa.array(rows))
        place = (footprint_table.column_values(found, name) for name in ("lat", "lon", "time"))
        columns = reanalysis.at(*place)
        equivalents = simulate_equivalents(
            operator, columns, footprint_table.column_values(found, "zenith")
        )
        yield (
            errors.scaled_departures(
                footprint_table.values_of(found), equivalents, source.logarithmic
            ),
            columns.land_fraction.numpy(),
            footprint_table.column_values(found, "scan_position").astype(np.int64),
        )


def places_of_day(
    source: Source,
    kind: str,
    template: geometry.Template,
    day: date,
    strides: tuple[int, int],
    random: np.random.Generator,
) -> Iterator[geometry.FootprintGeometry]:
    """Where a source is simulated on a day, in parts of at most :data:`PART`: ``kind`` is ``template`` (the day that
    stands for it), ``drawn`` (hour by hour), or ``orbits`` (every so-manieth scan and field of view, ``strides``)."""
    known = {
        "template": lambda: template.copied(day),
        "drawn": lambda: template.drawn(day, random),
        "orbits": lambda: geometry.orbit_places(source, day, strides),
    }
    if kind not in known:
        raise ValueError(f"unknown geometry {kind!r}; known: {', '.join(known)}")
    for found in known[kind]():
        for first in range(0, len(found), PART):
            yield found.rows(np.arange(first, min(first + PART, len(found))))


def simulate_observations(
    source: Source,
    operator: EquivalentOperator,
    reanalysis: ReanalysisSampler,
    found: errors.ObservationErrors,
    places: geometry.FootprintGeometry,
    random: np.random.Generator,
) -> tuple[pa.Table, int]:
    """Simulated observations at ``places`` as a footprint table, and how many there are no reanalysis for.

    What real footprints lack they lack too, and what is outside a channel's valid range.
    """
    known = reanalysis.covers(places.time)
    left = int((~known).sum())
    places = places.rows(known)
    columns = reanalysis.at(places.lat, places.lon, places.time)
    values = np.full(places.missing.shape, np.nan, np.float32)
    if len(places):
        clean = simulate_equivalents(operator, columns, places.zenith)
        values = found.put_on(
            clean,
            columns.land_fraction.numpy(),
            places.scan_position.astype(np.int64),
            source.logarithmic,
            random,
        )
    low, high = np.array(source.valid_ranges, np.float32).T
    with np.errstate(invalid="ignore"):
        values[places.missing | ~((values >= low) & (values <= high))] = np.nan
    kept = np.isfinite(values).any(axis=1)
    places, values = places.rows(kept), values[kept]
    columns = {
        name: getattr(places, name)
        for name in ("time", "lat", "lon", "zenith", "azimuth", "scan_position")
    }
    columns["rejected"] = np.zeros(len(values), np.uint8)
    return footprint_table.build_footprints(
        source.channel_names, values, columns, places.platform, ORIGIN
    ), left
