"""Quality control of footprint tables: segment, duplicates, denials, ranges, limits, tracks.

Footprints that pass and are withheld from assimilation are marked last, so that they are as good as
those that are used.

Duplicates and tracks are a matter of one station, or one position of a scan, over the whole table:
:func:`duplicates_and_off_track` looks for them in parts, each with some of the stations and
positions. All else is a matter of each footprint.

A value that fails becomes NaN, and a footprint without a value left is rejected. Rejected
footprints keep their values, for inspection. Applied twice, nothing changes.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table, track_check
from fuxiflow.observations.biweight import BiweightLimits, Histograms
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.withholding import withheld_footprints

IDENTITY = ["time", "lat", "lon", "scan_position", "station", "platform", "rejected"]
"""The columns that the checks for duplicates and tracks need."""
ROW = "row"
"""The column of scratch files that numbers the rows of the table."""
ROWS = 4_000_000
"""Rows of a part in which duplicates and tracks are sought: about 0.5 GB."""


@dataclass(frozen=True)
class CheckedFootprints:
    """A table after quality control.

    Attributes
    ----------
    footprints : pa.Table
        The table, n rows, with failed values NaN and ``rejected`` set.
    out_of_range, outliers, denied : np.ndarray
        ``(n, channel)`` bool: single values of used footprints that were set missing because they
        lie outside the valid range, or outside the bi-weight limits, or as their channel had died.
    """

    footprints: pa.Table
    out_of_range: np.ndarray
    outliers: np.ndarray
    denied: np.ndarray

    @property
    def set_missing(self) -> dict[Reason, np.ndarray]:
        """The marks ``(n, channel)`` of values that were set missing, by reason."""
        return {
            Reason.RANGE: self.out_of_range,
            Reason.OUTLIER: self.outliers,
            Reason.DENIED: self.denied,
        }


def outside_days(time: np.ndarray, start: date, end: date) -> np.ndarray:
    """Mark the times outside some days.

    Parameters
    ----------
    time : np.ndarray
        ``(n,)`` datetime64.
    start, end : date
        First and last day, both included.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool; NaT lies outside.
    """
    first = np.datetime64(start, "D")
    after = np.datetime64(end, "D") + 1
    return ~((time >= first) & (time < after))


def denied_values(footprints: pa.Table, denials: Sequence[Mapping]) -> np.ndarray:
    """Mark the values of channels that had died on their platform.

    Parameters
    ----------
    footprints : pa.Table
        Footprints, n rows.
    denials : Sequence[Mapping]
        ``platform``, ``channel``, and first and last day, ``since`` and ``until``, in ISO form; see
        :func:`fuxiflow.config.denials.denials_of`.

    Returns
    -------
    np.ndarray
        ``(n, channel)`` bool.
    """
    channels = footprint_table.channels_of(footprints)
    if not denials:
        return np.broadcast_to(False, (len(footprints), len(channels)))
    marks = np.zeros((len(footprints), len(channels)), bool)
    platforms = footprints["platform"].unify_dictionaries().to_pandas().cat
    time = column_values(footprints, "time")
    for denial in denials:
        names = np.append(platforms.categories == denial["platform"], False)
        days = (date.fromisoformat(denial[key]) for key in ("since", "until"))
        marks[:, channels.index(denial["channel"])] |= names[platforms.codes] & ~outside_days(
            time, *days
        )
    return marks


def count_usable_values(
    path: Path,
    histograms: Histograms,
    start: date,
    end: date,
    denials: Sequence[Mapping] = (),
    withheld: Mapping | None = None,
) -> None:
    """Count the values of all usable footprints of a table, as they were read.

    Parameters
    ----------
    path : Path
        A footprint table before quality control.
    histograms : Histograms
        Histograms of the table's channels, to which the values are added.
    start, end : date
        First and last day whose footprints count, both included.
    denials : Sequence[Mapping]
        Channels that do not count, see :func:`denied_values`.
    withheld : Mapping, optional
        Footprints that do not count, see
        :func:`fuxiflow.observations.withholding.withheld_footprints`.
    """
    for piece in footprint_table.read_row_groups(path):
        outside = outside_days(column_values(piece, "time"), start, end)
        used = (column_values(piece, "rejected") == Reason.USED) & ~outside
        used &= ~withheld_footprints(piece, withheld)
        values = footprint_table.values_of(piece)
        if denials:
            values = np.where(denied_values(piece, denials), np.nan, values)
        histograms.add(values[used], column_values(piece, "lat")[used])


def identity_keys(footprints: pa.Table) -> list[np.ndarray]:
    """Numbers ``(n,)`` of platform, station and scan position: equal as long as these are."""
    texts = [
        footprints[name].unify_dictionaries().to_pandas().cat for name in ("platform", "station")
    ]
    return [*(text.codes.to_numpy() for text in texts), column_values(footprints, "scan_position")]


def has_identity(footprints: pa.Table) -> np.ndarray:
    """Mark the footprints ``(n,)`` that have a scan position or a station."""
    stations = footprints["station"].unify_dictionaries().to_pandas().cat
    has_name = np.append(stations.categories != "", False)[stations.codes]
    return (column_values(footprints, "scan_position") > 0) | has_name


def off_track_footprints(
    footprints: pa.Table, repeated: np.ndarray, start: date, end: date, max_speed: float
) -> np.ndarray:
    """Mark the footprints that their station, or their scan position, cannot have come to.

    Their time or their place is wrong, by what was there before them: later footprints change
    nothing. Judged are those of the days that are no duplicates, whatever their values; see
    :func:`fuxiflow.observations.track_check.off_track`.

    Parameters
    ----------
    footprints : pa.Table
        Footprints, n rows, with the columns :data:`IDENTITY`.
    repeated : np.ndarray
        ``(n,)`` bool, True for duplicates.
    start, end : date
        First and last day, both included.
    max_speed : float
        The speed in m/s that a station or scan position can have.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool.
    """
    rejected = column_values(footprints, "rejected")
    time = column_values(footprints, "time")
    # A bad value says nothing about the place: such footprints belong to the track, and the
    # outcome of an earlier run must not change this one.
    located = np.isin(
        rejected,
        [
            Reason.USED,
            Reason.DENIED,
            Reason.RANGE,
            Reason.OUTLIER,
            Reason.TRACK,
            Reason.WITHHELD,
        ],
    )
    rows = np.flatnonzero(
        located & has_identity(footprints) & ~repeated & ~outside_days(time, start, end)
    )
    keys = [key[rows] for key in identity_keys(footprints)]
    lat, lon = (column_values(footprints, name)[rows].astype(float) for name in ("lat", "lon"))
    strays = np.zeros(len(footprints), bool)
    strays[rows] = track_check.off_track(keys, time[rows], lat, lon, max_speed)
    return strays


def duplicate_footprints(footprints: pa.Table) -> np.ndarray:
    """Mark the used footprints that repeat an earlier used one.

    Duplicates have the same platform, station, scan position and time. Where there is neither a
    station nor a scan position, the place has to be the same too: such reports may come from
    anybody.

    Parameters
    ----------
    footprints : pa.Table
        Footprints, n rows in the table's order, with the columns :data:`IDENTITY`.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool.
    """
    used = np.flatnonzero(column_values(footprints, "rejected") == Reason.USED)
    anonymous = ~has_identity(footprints)[used]
    places = [
        np.where(anonymous, column_values(footprints, name)[used], 0.0) for name in ("lat", "lon")
    ]
    keys = [key[used] for key in identity_keys(footprints)] + places
    keys.append(column_values(footprints, "time")[used].astype(np.int64))
    # A key that is the same everywhere tells nothing, and costs a pass of the sort.
    keys = [key for key in keys if len(key) and (key != key[0]).any()]
    # Rows break ties: the earliest footprint of equal ones comes first, and stays.
    order = np.lexsort((used, *keys))
    same = np.ones(len(used), bool)
    same[:1] = False
    for key in keys:
        same[1:] &= np.diff(key[order]) == 0
    repeated = np.zeros(len(footprints), bool)
    repeated[used[order[same]]] = True
    return repeated


def _part(footprints: pa.Table, parts: int) -> np.ndarray:
    """Number ``(n,)`` of the part in which each footprint is looked at, below ``parts``.

    Footprints of one platform and station or scan position are in the same part; of those that
    have neither, footprints of one time and place are.
    """
    platforms, stations = (
        footprints[name].unify_dictionaries().to_pandas().cat for name in ("platform", "station")
    )
    # Codes differ from piece to piece, so the hash is of the texts; the last one is for null.
    texts = [
        np.array([*(zlib.crc32(str(text).encode()) for text in kind.categories), 0], np.uint64)[
            kind.codes
        ]
        for kind in (platforms, stations)
    ]
    position = column_values(footprints, "scan_position").astype(np.uint64)
    moment = column_values(footprints, "time").astype(np.int64).astype(np.uint64)
    # Adding zero makes +0 of -0, which is the same place.
    places = [
        np.ascontiguousarray(column_values(footprints, name) + np.float32(0))
        .view(np.uint32)
        .astype(np.uint64)
        for name in ("lat", "lon")
    ]
    apart = np.where(
        has_identity(footprints), position, moment ^ (places[0] << np.uint64(32)) ^ places[1]
    )
    mixed = (texts[0] * np.uint64(31) + texts[1]) * np.uint64(1_000_003) + apart
    # Neighbours come into different parts, so that all parts are of like size.
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed >> np.uint64(40)) % np.uint64(parts)


@contextmanager
def _scattered(path: Path, parts: int) -> Iterator[list[BinaryIO]]:
    """Put the columns :data:`IDENTITY` and :data:`ROW` of a table into a scratch file a part.

    Parameters
    ----------
    path : Path
        A footprint table.
    parts : int
        Number of parts.

    Yields
    ------
    list of BinaryIO
        Arrow streams, one for each part. They have no name, so that nothing stays after a kill.
    """
    schema = footprint_table.footprint_schema([])
    schema = pa.schema([*(schema.field(name) for name in IDENTITY), (ROW, pa.int64())])
    with ExitStack() as files, ExitStack() as writers:
        scratch = [files.enter_context(TemporaryFile(dir=path.parent)) for _ in range(parts)]
        streams = [writers.enter_context(pa.ipc.new_stream(file, schema)) for file in scratch]
        first = 0
        for piece in footprint_table.read_row_groups(path, IDENTITY):
            numbers = pa.array(np.arange(first, first + len(piece)))
            numbered = piece.select(IDENTITY).append_column(ROW, numbers).cast(schema)
            first += len(piece)
            part = _part(piece, parts)
            # rows of a part keep their order
            order = np.argsort(part, kind="stable")
            sorted_piece = numbered.take(order).unify_dictionaries().combine_chunks()
            edges = np.searchsorted(part[order], np.arange(parts + 1))
            for stream, begin, end in zip(streams, edges[:-1], edges[1:], strict=True):
                if begin < end:
                    stream.write_table(sorted_piece.slice(begin, end - begin))
        writers.close()
        yield scratch


def duplicates_and_off_track(
    path: Path, start: date, end: date, max_speed: float, rows: int = ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """Mark duplicates and footprints off their track in a table on disk.

    The table is read once. Its rows go into scratch files beside it, 35 octets of each, and then
    each file is looked at: it has all rows of some stations and scan positions. So time is linear
    in rows, and memory does not grow with them, but for two octets a row. The result does not
    depend on ``rows``.

    Parameters
    ----------
    path : Path
        A footprint table of n rows.
    start, end : date
        First and last day of the segment, both included.
    max_speed : float
        The speed in m/s that a station or scan position can have.
    rows : int
        Rows that are held in memory at a time, about.

    Returns
    -------
    repeated : np.ndarray
        ``(n,)`` bool, see :func:`duplicate_footprints`.
    strayed : np.ndarray
        ``(n,)`` bool, see :func:`off_track_footprints`.
    """
    count = footprint_table.count_rows(path)
    repeated = np.zeros(count, bool)
    strayed = np.zeros(count, bool)
    with _scattered(path, max(1, -(-count // rows))) as scratch:
        for file in scratch:
            file.seek(0)
            footprints = pa.ipc.open_stream(file).read_all()
            here = column_values(footprints, ROW)
            repeated[here] = duplicate_footprints(footprints)
            strayed[here] = off_track_footprints(footprints, repeated[here], start, end, max_speed)
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
    denials: Sequence[Mapping] = (),
    withheld: Mapping | None = None,
) -> CheckedFootprints:
    """Apply every check to the footprints that are still used.

    Parameters
    ----------
    footprints : pa.Table
        Footprints, n rows.
    repeated, strayed : np.ndarray
        ``(n,)`` bool: duplicates and footprints off their track, over the whole table
        (:func:`duplicates_and_off_track`).
    limits : BiweightLimits
        Limits of the table's channels. A band without training data has none.
    start, end : date
        First and last day of the segment, both included.
    ranges : Sequence[tuple[float, float]]
        Least and largest valid value by channel, in its unit, both valid.
    max_z : float
        The largest distance from the bi-weight mean of the band, in standard deviations.
    denials : Sequence[Mapping]
        Channels that had died, see :func:`denied_values`.
    withheld : Mapping, optional
        Those that verification alone reads, see
        :func:`fuxiflow.observations.withholding.withheld_footprints`.

    Returns
    -------
    CheckedFootprints
        The table with ``rejected`` set, and the single values that were set missing.

    Raises
    ------
    ValueError
        Where the limits are of other channels.
    """
    channels = footprint_table.channels_of(footprints)
    if channels != limits.channels:
        raise ValueError(
            f"limits are of channels {', '.join(limits.channels)}, "
            f"the table has {', '.join(channels)}"
        )
    values = footprint_table.values_of(footprints)
    rejected = column_values(footprints, "rejected").copy()

    def reject(failed: np.ndarray, reason: Reason) -> None:
        # The first reason stays.
        rejected[failed & (rejected == Reason.USED)] = reason

    reject(outside_days(column_values(footprints, "time"), start, end), Reason.SEGMENT)
    reject(repeated, Reason.DUPLICATE)
    present = np.isfinite(values)
    denied = denied_values(footprints, denials)
    reject(present.any(axis=1) & ~(present & ~denied).any(axis=1), Reason.DENIED)
    with np.errstate(invalid="ignore"):
        least, largest = np.asarray(ranges, np.float32).reshape(-1, 2).T
        in_range = (values >= least) & (values <= largest) & ~denied
        far = np.abs(limits.z(values, column_values(footprints, "lat"))) > max_z
    reject(~in_range.any(axis=1), Reason.RANGE)
    good = in_range & ~far
    reject(~good.any(axis=1), Reason.OUTLIER)
    reject(strayed, Reason.TRACK)
    used = (rejected == Reason.USED)[:, None]
    kept = np.where(used & ~good, np.nan, values).astype(np.float32)
    reject(withheld_footprints(footprints, withheld), Reason.WITHHELD)
    return CheckedFootprints(
        footprint_table.replace_values(footprints, kept, rejected),
        used & present & ~in_range & ~denied,
        used & in_range & far,
        used & present & denied,
    )


def check_table(
    path: Path,
    limits: BiweightLimits,
    start: date,
    end: date,
    ranges: Sequence[tuple[float, float]],
    max_z: float,
    max_speed: float,
    denials: Sequence[Mapping] = (),
    withheld: Mapping | None = None,
) -> Iterator[CheckedFootprints]:
    """Apply every check to a table on disk, one row group after the other.

    Parameters
    ----------
    path : Path
        A footprint table as it was read.
    limits : BiweightLimits
        Limits of the table's channels.
    start, end : date
        First and last day of the segment, both included.
    ranges : Sequence[tuple[float, float]]
        Least and largest valid value by channel, in its unit.
    max_z : float
        The largest distance from the bi-weight mean of the band, in standard deviations.
    max_speed : float
        The speed in m/s that a station or scan position can have.
    denials : Sequence[Mapping]
        Channels that had died, see :func:`denied_values`.
    withheld : Mapping, optional
        Those that verification alone reads, see :func:`check_footprints`.

    Yields
    ------
    CheckedFootprints
        Each row group, see :func:`check_footprints`.
    """
    repeated, strayed = duplicates_and_off_track(path, start, end, max_speed)
    first = 0
    for piece in footprint_table.read_row_groups(path):
        part = slice(first, first + len(piece))
        first += len(piece)
        yield check_footprints(
            piece,
            repeated[part],
            strayed[part],
            limits,
            start,
            end,
            ranges,
            max_z,
            denials,
            withheld,
        )
