"""Quality control of footprint tables: segment, duplicates, valid range, bi-weight limits, tracks.

Duplicates and tracks are a matter of one station, or one position of a scan, over the whole table: :func:`repeats`
finds them in parts, each with some of the stations and positions. All else is a matter of each footprint.

A value that fails becomes NaN, a footprint without a value left is rejected; what is rejected keeps its values, for
inspection. Applied twice, nothing changes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table, track_check
from fuxiflow.observations.biweight import BiweightLimits
from fuxiflow.observations.rejection_codes import Reason

IDENTITY = ["time", "lat", "lon", "scan_position", "station", "platform", "rejected"]
ROWS = 4_000_000
"""Rows of a part in which duplicates and tracks are sought: about 0.5 GB."""


@dataclass(frozen=True)
class CheckedFootprints:
    """A table after quality control, and which single values ``(n, channel)`` of used footprints were set missing."""

    footprints: pa.Table
    out_of_range: np.ndarray
    outliers: np.ndarray


def outside_days(time: np.ndarray, start: date, end: date) -> np.ndarray:
    """Which times (n,) lie outside the days from ``start`` to ``end``, both included; NaT does."""
    first, after = np.datetime64(start, "D"), np.datetime64(end, "D") + 1
    return ~((time >= first) & (time < after))


def identity_keys(footprints: pa.Table) -> list[np.ndarray]:
    """Numbers (n,) of platform, station and scan position: what is one and the same as time goes on."""
    texts = [
        footprints[name].unify_dictionaries().to_pandas().cat for name in ("platform", "station")
    ]
    return [
        *(text.codes.to_numpy() for text in texts),
        footprint_table.column_values(footprints, "scan_position"),
    ]


def has_identity(footprints: pa.Table) -> np.ndarray:
    """Which footprints (n,) have a scan position or a station."""
    stations = footprints["station"].unify_dictionaries().to_pandas().cat
    has_name = np.append(stations.categories != "", False)[stations.codes]
    return (footprint_table.column_values(footprints, "scan_position") > 0) | has_name


def off_track_footprints(
    footprints: pa.Table, repeated: np.ndarray, start: date, end: date, max_speed: float
) -> np.ndarray:
    """Which footprints (n,) their station, or the same position of the scan, cannot have come to.

    Their time or their place is wrong, as it may have moved ``max_speed`` m/s. Judged are those in the days from
    ``start`` to ``end`` that are no duplicates, whatever their values; see
    :func:`fuxiflow.observations.track_check.off_track`. Needs the columns :data:`IDENTITY`.
    """
    rejected, time = (
        footprint_table.column_values(footprints, "rejected"),
        footprint_table.column_values(footprints, "time"),
    )
    located = np.isin(rejected, [Reason.USED, Reason.RANGE, Reason.OUTLIER, Reason.TRACK])
    rows = np.flatnonzero(
        located & has_identity(footprints) & ~repeated & ~outside_days(time, start, end)
    )
    keys = [key[rows] for key in identity_keys(footprints)]
    found = np.zeros(len(footprints), bool)
    places = (
        footprint_table.column_values(footprints, name)[rows].astype(float)
        for name in ("lat", "lon")
    )
    found[rows] = track_check.off_track(keys, time[rows], *places, max_speed)
    return found


def duplicate_footprints(footprints: pa.Table) -> np.ndarray:
    """Which used footprints (n,) repeat platform, station, scan position and time of an earlier used one.

    Where there is neither a station nor a scan position, the place has to be the same too: such reports may come from
    anybody. Needs the columns :data:`IDENTITY`; rows come in the table's order.
    """
    used = np.flatnonzero(footprint_table.column_values(footprints, "rejected") == Reason.USED)
    anonymous = ~has_identity(footprints)[used]
    places = [
        np.where(anonymous, footprint_table.column_values(footprints, name)[used], 0.0)
        for name in ("lat", "lon")
    ]
    keys = [key[used] for key in identity_keys(footprints)] + places
    keys.append(footprint_table.column_values(footprints, "time")[used].astype(np.int64))
    keys = [key for key in keys if len(key) and (key != key[0]).any()]
    order = np.lexsort((used, *keys))
    same = np.ones(len(used), bool)
    same[:1] = False
    for key in keys:
        same[1:] &= np.diff(key[order]) == 0
    found = np.zeros(len(footprints), bool)
    found[used[order[same]]] = True
    return found


def _part(footprints: pa.Table, parts: int) -> np.ndarray:
    """In which of ``parts`` parts (n,) footprints are looked at: in one and the same those of a platform and station or
    scan position, or, of what has neither, of a time and place."""
    platforms, stations = (
        footprints[name].unify_dictionaries().to_pandas().cat for name in ("platform", "station")
    )
    texts = [
        np.array([*(zlib.crc32(str(text).encode()) for text in kind.categories), 0], np.uint64)[
            kind.codes
        ]
        for kind in (platforms, stations)
    ]
    position = footprint_table.column_values(footprints, "scan_position").astype(np.uint64)
    moment = footprint_table.column_values(footprints, "time").astype(np.int64).astype(np.uint64)
    places = [
        np.ascontiguousarray(footprint_table.column_values(footprints, name) + np.float32(0))
        .view(np.uint32)
        .astype(np.uint64)
        for name in ("lat", "lon")
    ]
    apart = np.where(
        has_identity(footprints), position, moment ^ (places[0] << np.uint64(32)) ^ places[1]
    )
    mixed = (texts[0] * np.uint64(31) + texts[1]) * np.uint64(1_000_003) + apart
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(
        0x9E3779B97F4A7C15
    )  # neighbours come into different parts
    return (mixed >> np.uint64(40)) % np.uint64(parts)


def duplicates_and_off_track(
    path: Path, start: date, end: date, max_speed: float, rows: int = ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """Which footprints (n,) of a table on disk are :func:`duplicates`, and which are :func:`strays`.

    The table is read once for every ``rows`` rows that it has, some of its stations and scan positions each time, so
    that memory does not grow with it, but for two octets a row. The result does not depend on ``rows``.
    """
    count = footprint_table.count_rows(path)
    parts = max(1, -(-count // rows))
    repeated, strayed = np.zeros(count, bool), np.zeros(count, bool)
    for part in range(parts):
        chosen, pieces, first = [], [], 0
        for piece in footprint_table.read_row_groups(path, IDENTITY):
            mine = np.flatnonzero(_part(piece, parts) == part)
            chosen.append(mine + first)
            pieces.append(piece.take(mine))
            first += len(piece)
        if not first:
            break
        here, found = np.concatenate(chosen), pa.concat_tables(pieces)
        repeated[here] = duplicate_footprints(found)
        strayed[here] = off_track_footprints(found, repeated[here], start, end, max_speed)
    return repeated, strayed


def check_footprints(
    footprints: pa.Table,
    repeated: np.ndarray,
    strayed: np.ndarray,
    limits: BiweightLimits,
    start: date,
    end: date,
    ranges: Sequence[tuple[float, float]],
    max_z: float,
) -> CheckedFootprints:
    """Apply every check to the footprints that are still used.

    ``repeated`` and ``strayed`` (n,) mark duplicates and tracks (:func:`duplicates`, :func:`strays`, over the whole
    table). A value fails outside
    its channel's valid range, of ``ranges`` (least, largest), or farther than ``max_z`` standard deviations from the
    bi-weight mean of its band; a band without training data has no such limit. ValueError when the limits are of other
    channels.
    """
    channels = footprint_table.channels_of(footprints)
    if channels != limits.channels:
        raise ValueError(
            f"limits are of channels {', '.join(limits.channels)}, the table has {', '.join(channels)}"
        )
    values = footprint_table.values_of(footprints)
    rejected = footprint_table.column_values(footprints, "rejected").copy()

    def reject(which: np.ndarray, reason: Reason) -> None:
        rejected[which & (rejected == Reason.USED)] = reason

    reject(
        outside_days(footprint_table.column_values(footprints, "time"), start, end), Reason.SEGMENT
    )
    reject(repeated, Reason.DUPLICATE)
    present = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        least, largest = np.asarray(ranges, np.float32).reshape(-1, 2).T
        in_range = (values >= least) & (values <= largest)
        far = np.abs(limits.z(values, footprint_table.column_values(footprints, "lat"))) > max_z
    reject(~in_range.any(axis=1), Reason.RANGE)
    good = in_range & ~far
    reject(~good.any(axis=1), Reason.OUTLIER)
    reject(strayed, Reason.TRACK)
    used = (rejected == Reason.USED)[:, None]
    kept = np.where(used & ~good, np.nan, values).astype(np.float32)
    return CheckedFootprints(
        footprint_table.replace_values(footprints, kept, rejected),
        used & present & ~in_range,
        used & in_range & far,
    )
