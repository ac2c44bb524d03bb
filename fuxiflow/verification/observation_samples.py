"""Observations that states are compared with: near an analysis time, screened, and not too many.

Withheld ones and those that are assimilated are both there, told apart by ``rejected``. The tables
have the columns of :mod:`fuxiflow.observations.footprint_table`, and verification alone reads them.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.config.sources import Source
from fuxiflow.interpolation import bilinear
from fuxiflow.observations import footprint_table
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.randomness import generator
from fuxiflow.states.statistics import Statistics
from fuxiflow.verification.cloud_screening import clear_over_sea

SAMPLES = {"withheld": Reason.WITHHELD, "assimilated": Reason.USED}
"""The two kinds of observations, with their codes."""
SIZE = 1000
"""Observations of a source, kind and time that are compared at most, drawn at random."""
STEP_HOURS = 6


def one_a_station(footprints: pa.Table, time: np.datetime64) -> np.ndarray:
    """Find the report of each station that is nearest to a time.

    Parameters
    ----------
    footprints : pa.Table
        Reports, n rows.
    time : np.datetime64
        The time.

    Returns
    -------
    np.ndarray
        Rows in their order: of each station one, and all without a station.
    """
    distance = np.abs(column_values(footprints, "time") - np.datetime64(time, "ns"))
    stations = footprints["station"].unify_dictionaries().to_pandas().astype(str).to_numpy()
    order = np.argsort(distance, kind="stable")
    _, first = np.unique(stations[order], return_index=True)
    named = order[first]
    named = named[stations[named] != ""]
    return np.sort(np.concatenate([named, np.flatnonzero(stations == "")]))


def _screened(footprints: pa.Table, source: Source, statics: Statistics) -> pa.Table:
    """Keep footprints of clear sky over sea of a sounder, and all others as they are.

    Parameters
    ----------
    footprints : pa.Table
        Footprints.
    source : Source
        Their source.
    statics : Statistics
        Land fraction on the grid of the states.

    Returns
    -------
    pa.Table
        Those that are kept.
    """
    windows = source.cloud_channels
    if windows is None:
        return footprints
    lat, lon, zenith = (
        column_values(footprints, name).astype(float) for name in ("lat", "lon", "zenith")
    )
    land = bilinear(statics.land_fraction, statics.grid, lat, lon)
    values = footprint_table.values_of(footprints)
    return footprints.filter(pa.array(clear_over_sea(values, windows, zenith, lat, land)))


def sample_observations(
    path: Path,
    source: Source,
    statics: Statistics,
    start: date,
    end: date,
    seed: int,
    size: int = SIZE,
) -> Iterator[pa.Table]:
    """Draw the observations of a table within an hour of the analysis times.

    Parameters
    ----------
    path : Path
        A footprint table after quality control.
    source : Source
        Its source.
    statics : Statistics
        Land fraction on the grid of the states.
    start, end : date
        First and last day, both included.
    seed : int
        Seeds the draw.
    size : int
        Observations of a kind and time at most.

    Yields
    ------
    pa.Table
        Those of one analysis time, an hour about it; of a station the nearest alone.
    """
    codes = [int(code) for code in SAMPLES.values()]
    before: pa.Table | None = None
    for hour, footprints in footprint_table.used_in_turn(path, start, end, 1, codes):
        position = int(hour.astype("datetime64[h]").astype(int)) % STEP_HOURS
        if position == STEP_HOURS - 1:
            before = footprints
        if position:
            continue
        near = footprints if before is None else pa.concat_tables([before, footprints])
        before = None
        near = _screened(near, source, statics)
        if source.stationed:
            near = near.take(one_a_station(near, hour))
        rejected = column_values(near, "rejected")
        for name, code in SAMPLES.items():
            rows = np.flatnonzero(rejected == code)
            if len(rows) > size:
                dice = generator(seed, source.name, f"{name} {hour}")
                rows = np.sort(dice.choice(rows, size, replace=False))
            if len(rows):
                yield near.take(rows)
