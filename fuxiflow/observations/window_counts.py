"""Footprints found and usual, by platform and window: where a platform or a cycle is absent.

========= ======================================================================
platform  name of the platform
window    UTC, the middle of six hours: the window reaches from 3 h before to 3 h after it
found     footprints as read
usual     the upper quartile of ``found`` over the platform's windows of the same hour
========= ======================================================================
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fuxiflow.completeness import list_names, list_times
from fuxiflow.observations import footprint_table
from fuxiflow.storage import tables
from fuxiflow.times import STEP_HOURS

SCHEMA = pa.schema(
    [
        ("platform", pa.string()),
        ("window", pa.timestamp("s")),
        ("found", pa.int64()),
        ("usual", pa.float64()),
    ]
)
USUAL = 0.75
"""Quantile of the counts of windows that is taken for usual."""
_STEP = np.timedelta64(STEP_HOURS, "h")
_HALF = np.timedelta64(STEP_HOURS // 2, "h")


def count_windows(table: Path, days: Mapping[str, Sequence[date]]) -> pd.DataFrame:
    """Count the footprints of each platform in the whole windows of its days.

    Parameters
    ----------
    table : Path
        A footprint table.
    days : Mapping[str, Sequence[date]]
        By platform, the days on which it was there. A window counts where both its ends lie on
        them.

    Returns
    -------
    pd.DataFrame
        In the columns of :data:`SCHEMA`, a row for each window of each platform that the table has.
    """
    counts: dict[tuple[str, np.datetime64], int] = {}
    for piece in footprint_table.read_row_groups(table, ["platform", "time"]):
        time = footprint_table.column_values(piece, "time")
        rows = pd.DataFrame({"platform": piece["platform"].to_pandas().astype(str), "time": time})
        rows = rows.dropna()
        since = (rows["time"].to_numpy() - np.datetime64(0, "h") + _HALF) // _STEP
        window = np.datetime64(0, "h") + since * _STEP
        for key, size in rows.groupby(["platform", window]).size().items():
            counts[key] = counts.get(key, 0) + size
    seen = {platform for platform, _ in counts}
    made = pd.DataFrame(
        [
            (platform, window, counts.get((platform, pd.Timestamp(window)), 0))
            for platform in sorted(seen & set(days))
            for window in _whole_windows(days[platform])
        ],
        columns=SCHEMA.names[:3],
    ).astype({"window": "datetime64[s]", "found": np.int64})
    hour = pd.DatetimeIndex(made["window"]).hour
    # more than half of a segment may be lacking: its median would take an outage for usual
    sizes = made.groupby(["platform", hour])["found"]
    made["usual"] = sizes.transform("quantile", USUAL).astype(float)
    return made


def _whole_windows(days: Sequence[date]) -> list[np.datetime64]:
    """List the middles of the windows that lie on ``days`` with both their ends."""
    listed = set(days)
    middles = [
        np.datetime64(day, "h") + hour * np.timedelta64(1, "h")
        for day in sorted(listed)
        for hour in range(0, 24, STEP_HOURS)
    ]
    # only the window around midnight begins on the day before
    return [
        middle for middle in middles if (middle - _HALF).astype("datetime64[D]").item() in listed
    ]


def short_windows(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of windows that have clearly less than half of the usual footprints.

    Clearly is by more than two standard deviations of a Poisson count of that half: a window of a
    sparse source is not short by chance.
    """
    half = counts["usual"] / 2
    return counts[counts["found"] < half - 2 * np.sqrt(half)]


def list_windows(counts: pd.DataFrame) -> str:
    """List windows by platform with what was found in them, for a message."""
    return list_names(
        [
            f"{platform} {list_times(rows['window'], STEP_HOURS)}: {rows['found'].sum()} of some "
            f"{rows['usual'].sum():.0f} footprints"
            for platform, rows in counts.groupby("platform")
        ]
    )


def write_windows(path: Path, counts: pd.DataFrame) -> None:
    """Write counts as Parquet."""
    tables.write_parquet(path, counts, SCHEMA)
