"""Simulated observations day by day, and the departures of real ones that give their errors."""

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
    """Return the random generator of a source's day, whatever other days are made.

    Parameters
    ----------
    seed : int
        Seed of the configuration.
    source : str
        Name of the source.
    day : date
        The day.

    Returns
    -------
    np.random.Generator
        The generator.
    """
    return numbered_generator(seed, label_number(source), day.toordinal())


def template_departures(
    source: Source,
    operator: EquivalentOperator,
    reanalysis: ReanalysisSampler,
    template: geometry.Template,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield departures of a sample of real footprints, day by day of a template.

    The sample is drawn without replacement and has :data:`SAMPLE` values in all. Footprints at
    times without a reanalysis are left out.

    Parameters
    ----------
    source : Source
        The source.
    operator : EquivalentOperator
        Its operator.
    reanalysis : ReanalysisSampler
        The reanalysis, with the channels that the operator needs.
    template : geometry.Template
        The real footprints.
    seed : int
        Seed of the configuration.

    Yields
    ------
    tuple[np.ndarray, np.ndarray, np.ndarray]
        Departures ``(n, channel)``, land fraction and scan position ``(n,)`` of one day.
    """
    share = -(-SAMPLE // (template.days * len(source.channels)))
    for number in range(template.days):
        day = template.start + timedelta(days=number)
        footprints = template.read(day)
        rows = np.flatnonzero(reanalysis.covers(footprint_table.column_values(footprints, "time")))
        if len(rows) > share:
            # sorted, as points in the order of time are read fastest
            rows = np.sort(day_generator(seed, source.name, day).choice(rows, share, replace=False))
        if not len(rows):
            continue
        footprints = footprints.take(pa.array(rows))
        place = (footprint_table.column_values(footprints, name) for name in ("lat", "lon", "time"))
        columns = reanalysis.at(*place)
        equivalents = simulate_equivalents(
            operator, columns, footprint_table.column_values(footprints, "zenith")
        )
        yield (
            errors.scaled_departures(
                footprint_table.values_of(footprints), equivalents, source.logarithmic
            ),
            columns.land_fraction.numpy(),
            footprint_table.column_values(footprints, "scan_position").astype(np.int64),
        )


def places_of_day(
    source: Source,
    kind: str,
    template: geometry.Template,
    day: date,
    strides: tuple[int, int],
    random: np.random.Generator,
) -> Iterator[geometry.FootprintGeometry]:
    """Yield the places where a source is simulated on a day, at most :data:`PART` at once.

    Parameters
    ----------
    source : Source
        The source.
    kind : str
        ``template``: the footprints of the day that stands for it; ``drawn``: hour by hour those of
        days drawn at random; ``orbits``: those of computed orbits.
    template : geometry.Template
        Real footprints.
    day : date
        The day in UTC.
    strides : tuple[int, int]
        On computed orbits, every how many scans, and fields of view, there is a footprint.
    random : np.random.Generator
        Draws the days.

    Yields
    ------
    geometry.FootprintGeometry
        Footprints of one platform.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    kinds = {
        "template": lambda: template.copied(day),
        "drawn": lambda: template.drawn(day, random),
        "orbits": lambda: geometry.orbit_places(source, day, strides),
    }
    if kind not in kinds:
        raise ValueError(f"unknown geometry {kind!r}; known: {', '.join(kinds)}")
    for part in kinds[kind]():
        for first in range(0, len(part), PART):
            yield part.rows(np.arange(first, min(first + PART, len(part))))


def simulate_footprints(
    source: Source,
    operator: EquivalentOperator,
    reanalysis: ReanalysisSampler,
    observation_errors: errors.ObservationErrors,
    places: geometry.FootprintGeometry,
    random: np.random.Generator,
) -> tuple[pa.Table, int]:
    """Simulate the observations at places.

    They lack the values that real footprints lack there, and those outside a channel's valid range.

    Parameters
    ----------
    source : Source
        The source.
    operator : EquivalentOperator
        Its operator.
    reanalysis : ReanalysisSampler
        The reanalysis, with the channels that the operator needs.
    observation_errors : errors.ObservationErrors
        Bias and noise of the source.
    places : geometry.FootprintGeometry
        Footprints of one platform.
    random : np.random.Generator
        Draws the noise.

    Returns
    -------
    tuple[pa.Table, int]
        A footprint table, and the number of places whose times the reanalysis does not cover.
    """
    covered = reanalysis.covers(places.time)
    left = int((~covered).sum())
    places = places.rows(covered)
    columns = reanalysis.at(places.lat, places.lon, places.time)
    values = np.full(places.missing.shape, np.nan, np.float32)
    if len(places):
        clean = simulate_equivalents(operator, columns, places.zenith)
        values = observation_errors.put_on(
            clean,
            columns.land_fraction.numpy(),
            places.scan_position.astype(np.int64),
            source.logarithmic,
            random,
        )
    low, high = np.array(source.valid_ranges, np.float32).T
    with np.errstate(invalid="ignore"):
        values[places.missing | ~((values >= low) & (values <= high))] = np.nan
    # footprints without any value would only take up space
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
