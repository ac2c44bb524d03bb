"""Counts of observations near best tracks, by what quality control made of them.

Checks against climatology tend to refuse what is extreme, and so the observations of cyclones.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fuxiflow.observations.footprint_table import column_values, read_row_groups
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import great_circle

COLUMNS = ("source", "storm", "name", "basin", "reason", "footprints")
"""Of a table of counts; ``reason`` is of :class:`Reason`, ``used`` for those that passed."""
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in COLUMNS[:-1]),
        ("footprints", pa.int64()),
    ]
)
_STEP = np.timedelta64(6, "h")
_EPOCH = np.datetime64(0, "h")


def fixes_by_time(fixes: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the fixes at 00, 06, 12 and 18 UTC, by the number of 6-h steps since 1970."""
    hours = (fixes["time"].to_numpy().astype("datetime64[m]") - _EPOCH) / _STEP
    whole = fixes[hours == np.floor(hours)]
    numbers = hours[hours == np.floor(hours)].astype(int)
    return {int(step): part for step, part in whole.groupby(numbers)}


def count_near_tracks(
    path: Path, source: str, fixes: pd.DataFrame, days: Sequence[date], radius: float
) -> pd.DataFrame:
    """Count the footprints of a table near best tracks.

    A footprint is near a storm where it lies within ``radius`` of the fix at the nearest of 00, 06,
    12 and 18 UTC. One that is near two storms counts for both.

    Parameters
    ----------
    path : Path
        Footprint table after quality control.
    source : str
        Its source.
    fixes : pd.DataFrame
        Best tracks.
    days : sequence of date
        First and last day that count, both included.
    radius : float
        Distance in km.

    Returns
    -------
    pd.DataFrame
        :data:`COLUMNS`.
    """
    by_time = fixes_by_time(fixes)
    counts: dict[tuple[str, int], int] = {}
    first, last = (np.datetime64(day, "D") for day in days)
    for piece in read_row_groups(path, ["time", "lat", "lon", "rejected"]):
        time = column_values(piece, "time").astype("datetime64[s]")
        inside = ~np.isnat(time) & (time >= first) & (time < last + 1)
        steps = np.where(inside, np.round((time - _EPOCH) / _STEP), -1).astype(int)
        lat, lon, codes = (column_values(piece, name) for name in ("lat", "lon", "rejected"))
        for step in np.intersect1d(steps, [*by_time]):
            rows = np.flatnonzero(steps == step)
            for fix in by_time[int(step)].itertuples():
                near = great_circle(fix.lat, fix.lon, lat[rows], lon[rows]) <= radius
                for code, number in zip(
                    *np.unique(codes[rows[near]], return_counts=True), strict=True
                ):
                    key = fix.storm, int(code)
                    counts[key] = counts.get(key, 0) + int(number)
    storms = fixes.drop_duplicates("storm").set_index("storm")
    rows = [
        (source, storm, storms.at[storm, "name"], storms.at[storm, "basin"], Reason(code).label, n)
        for (storm, code), n in sorted(counts.items())
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def join_counts(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Add up the counts of parts, by source, storm and reason."""
    nothing = pd.DataFrame(columns=list(COLUMNS)).astype({"footprints": "int64"})
    table = pd.concat([nothing, *parts], ignore_index=True)
    keys = list(COLUMNS[:-1])
    return table.groupby(keys, as_index=False, sort=True)["footprints"].sum()[list(COLUMNS)]
