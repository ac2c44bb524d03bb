"""Quality control of footprint tables: segment, duplicates, valid range, bi-weight limits.

A value that fails becomes NaN, a footprint without a value left is rejected; what is rejected keeps its values, for
inspection. Applied twice, nothing changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from fuxiflow.observations import table
from fuxiflow.observations.biweight import Limits
from fuxiflow.observations.reasons import Reason


@dataclass(frozen=True)
class Checked:
    """A table after quality control, and which single values ``(n, channel)`` of used footprints were set missing."""

    footprints: pa.Table
    out_of_range: np.ndarray
    outliers: np.ndarray


def outside(time: np.ndarray, start: date, end: date) -> np.ndarray:
    """Which times (n,) lie outside the days from ``start`` to ``end``, both included; NaT does."""
    first, after = np.datetime64(start, "D"), np.datetime64(end, "D") + 1
    return ~((time >= first) & (time < after))


def duplicates(footprints: pa.Table) -> np.ndarray:
    """Which used footprints (n,) repeat platform, time and scan position of an earlier used one.

    Needs the columns time, scan_position, platform and rejected; rows come in the table's order.
    """
    used = np.flatnonzero(table.column(footprints, "rejected") == Reason.USED)
    platform = footprints["platform"].unify_dictionaries().to_pandas().cat.codes.to_numpy()[used]
    position = table.column(footprints, "scan_position")[used]
    time = table.column(footprints, "time")[used].astype(np.int64)
    order = np.lexsort((used, position, platform, time))
    same = np.zeros(len(used), bool)
    same[1:] = (np.diff(time[order]) == 0) & (np.diff(position[order]) == 0) & (np.diff(platform[order]) == 0)
    found = np.zeros(len(footprints), bool)
    found[used[order[same]]] = True
    return found


def check(footprints: pa.Table, repeated: np.ndarray, limits: Limits, start: date, end: date,
          ranges: Sequence[tuple[float, float]], max_z: float) -> Checked:
    """Apply every check to the footprints that are still used.

    ``repeated`` (n,) marks duplicates (:func:`duplicates`, over the whole table). A value fails outside
    its channel's valid range, of ``ranges`` (least, largest), or farther than ``max_z`` standard deviations from the
    bi-weight mean of its band; a band without training data has no such limit. ValueError when the limits are of other
    channels.
    """
    channels = table.channels_of(footprints)
    if channels != limits.channels:
        raise ValueError(f"limits are of channels {', '.join(limits.channels)}, the table has {', '.join(channels)}")
    values = table.values_of(footprints)
    rejected = table.column(footprints, "rejected").copy()

    def reject(which: np.ndarray, reason: Reason) -> None:
        rejected[which & (rejected == Reason.USED)] = reason

    reject(outside(table.column(footprints, "time"), start, end), Reason.SEGMENT)
    reject(repeated, Reason.DUPLICATE)
    present = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        least, largest = np.asarray(ranges, np.float32).reshape(-1, 2).T
        in_range = (values >= least) & (values <= largest)
        far = np.abs(limits.z(values, table.column(footprints, "lat"))) > max_z
    reject(~in_range.any(axis=1), Reason.RANGE)
    good = in_range & ~far
    reject(~good.any(axis=1), Reason.OUTLIER)
    used = (rejected == Reason.USED)[:, None]
    kept = np.where(used & ~good, np.nan, values).astype(np.float32)
    return Checked(table.replace(footprints, kept, rejected), used & present & ~in_range, used & in_range & far)
