"""Footprint tables: Parquet, one row per footprint, ``rejected`` 0 where it is used.

================= =============================================================================
time              timestamp[ns], UTC; null where the file has none
lat, lon          float32, degrees; lon in [-180, 180)
zenith, azimuth   float32, degrees: of the satellite, seen from the footprint
scan_position     int16, from 1: column of the swath in its file; 0 where there is no scan
station           dictionary of strings: the reporting station; empty for a scan and for
                  stations that cannot be told apart
height            float32, m above mean sea level, of the reporting station; NaN where there is none
                  or it does not say
platform, file    dictionary of strings
channel_<name>    float32, one for each channel, in its unit; NaN where missing
rejected          uint8, :class:`fuxiflow.observations.rejection_codes.Reason`
================= =============================================================================
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fuxiflow.storage import tables

PREFIX = "channel_"
ROW_GROUP = 100_000
# Times grow by small steps, and angles are too many for a dictionary: the table takes a quarter
# less on disk, and is written faster.
ENCODINGS = {
    "time": "DELTA_BINARY_PACKED",
    **dict.fromkeys(("lat", "lon", "zenith", "azimuth"), "BYTE_STREAM_SPLIT"),
}
_TEXTS = pa.dictionary(pa.int32(), pa.string())


class FootprintTableError(ValueError):
    """A file that is not a footprint table, or not one with the channels asked for."""


def footprint_schema(channels: Sequence[str]) -> pa.Schema:
    """The columns and types of a footprint table with ``channels``."""
    return pa.schema(
        [
            ("time", pa.timestamp("ns")),
            ("lat", pa.float32()),
            ("lon", pa.float32()),
            ("zenith", pa.float32()),
            ("azimuth", pa.float32()),
            ("scan_position", pa.int16()),
            ("station", _TEXTS),
            ("height", pa.float32()),
            ("platform", _TEXTS),
            ("file", _TEXTS),
            *((PREFIX + name, pa.float32()) for name in channels),
            ("rejected", pa.uint8()),
        ]
    )


def channels_of(table: pa.Table) -> list[str]:
    """Channel names of a table, in order."""
    return [name.removeprefix(PREFIX) for name in table.schema.names if name.startswith(PREFIX)]


def _constant(text: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([text], pa.string()))


def build_footprints(
    channels: Sequence[str],
    values: np.ndarray,
    columns: Mapping[str, np.ndarray],
    platform: str,
    file: str,
) -> pa.Table:
    """Build the footprint table of one file.

    Parameters
    ----------
    channels : Sequence[str]
        Channel names.
    values : np.ndarray
        Channel values in their units, ``(n, channel)`` float32, NaN where missing.
    columns : Mapping[str, np.ndarray]
        ``time`` (datetime64), ``lat``, ``lon``, ``zenith``, ``azimuth``, ``scan_position`` and
        ``rejected``, each ``(n,)``; where there are stations also ``station``, texts ``(n,)``, and
        ``height``, in m above mean sea level ``(n,)``.
        Longitudes of any convention are brought to [-180, 180).
    platform : str
        The platform of all footprints.
    file : str
        The name of the file.

    Returns
    -------
    pa.Table
        One row for each footprint, in the schema of :func:`footprint_schema`.
    """
    rows = len(values)
    lon = np.asarray(columns["lon"], np.float32)
    with np.errstate(invalid="ignore"):
        if (outside := (lon >= 180) | (lon < -180)).any():
            lon = np.where(outside, np.mod(lon + 180.0, 360.0) - 180.0, lon)
    data = {
        "height": np.full(rows, np.nan, np.float32),
        **columns,
        "lon": lon,
        "time": columns["time"].astype("datetime64[ns]"),
        "platform": _constant(platform, rows),
        "file": _constant(file, rows),
        "station": _constant("", rows),
    }
    if "station" in columns:
        texts = pa.array(np.asarray(columns["station"]).astype(str), pa.string())
        data["station"] = texts.dictionary_encode().cast(_TEXTS)
    data |= {PREFIX + name: values[:, i] for i, name in enumerate(channels)}
    schema = footprint_schema(channels)
    return pa.table(
        [
            data[field.name]
            if isinstance(data[field.name], pa.Array)
            # A missing channel stays NaN: null would be something else to all that read the table.
            else pa.array(np.ascontiguousarray(data[field.name]), field.type, from_pandas=False)
            for field in schema
        ],
        schema=schema,
    )


def values_of(table: pa.Table) -> np.ndarray:
    """Channel values ``(n, channel)`` float32, in row order."""
    names = channels_of(table)
    values = np.empty((len(table), len(names)), np.float32)
    for i, name in enumerate(names):
        values[:, i] = table[PREFIX + name].to_numpy()
    return values


def column_values(table: pa.Table, name: str) -> np.ndarray:
    """One column ``(n,)`` as a numpy array; null times become NaT."""
    return table[name].to_numpy()


def category_indices(table: pa.Table, name: str, categories: Sequence[str]) -> np.ndarray:
    """Turn a column of texts into indices into a list of categories.

    Parameters
    ----------
    table : pa.Table
        A footprint table of n rows.
    name : str
        The column: ``platform``, ``station`` or ``file``.
    categories : Sequence[str]
        The texts that may occur, at most 127.

    Returns
    -------
    np.ndarray
        Indices into ``categories``, ``(n,)`` int8.

    Raises
    ------
    ValueError
        Where a text is missing or not among ``categories``; the message names it.
    """
    texts = table[name].unify_dictionaries().to_pandas().cat
    # The dictionary may hold texts that no row has: only those that occur can be wrong.
    occurring = set(texts.categories[np.unique(texts.codes[texts.codes >= 0])])
    unknown = sorted(occurring - set(categories))
    if unknown or (texts.codes < 0).any():
        raise ValueError(
            f"{name} {unknown[0] if unknown else 'missing'}, "
            f"expected one of {', '.join(categories)}"
        )
    indices = np.array(
        [categories.index(text) if text in categories else -1 for text in texts.categories],
        np.int8,
    )
    return indices[texts.codes] if len(indices) else np.zeros(len(table), np.int8)


def replace_values(table: pa.Table, values: np.ndarray, rejected: np.ndarray) -> pa.Table:
    """Replace the channel values and the rejection codes of a table.

    Parameters
    ----------
    table : pa.Table
        A footprint table of n rows.
    values : np.ndarray
        New channel values, ``(n, channel)``.
    rejected : np.ndarray
        New rejection codes, ``(n,)``.

    Returns
    -------
    pa.Table
        A new table, all other columns as they were.
    """
    new = {PREFIX + name: values[:, i] for i, name in enumerate(channels_of(table))}
    new["rejected"] = rejected
    arrays = [
        pa.array(np.ascontiguousarray(new[field.name]), field.type)
        if field.name in new
        else table[field.name]
        for field in table.schema
    ]
    return pa.table(arrays, schema=table.schema)


class FootprintWriter:
    """Write a footprint table piece by piece, in row groups of about :data:`ROW_GROUP` rows.

    A context manager. The file is complete when the context ends.
    """

    def __init__(
        self, path: Path, channels: Sequence[str], metadata: Mapping[str, str] | None = None
    ):
        """Open the file.

        Parameters
        ----------
        path : Path
            The Parquet file.
        channels : Sequence[str]
            Channel names.
        metadata : Mapping[str, str], optional
            Texts that go into the file's metadata beside the provenance.
        """
        stamped = tables.stamp_schema(footprint_schema(channels), metadata)
        dictionary = [name for name in stamped.names if name not in ENCODINGS]
        self._writer = tables.ParquetWriter(
            path, stamped, compression="zstd", use_dictionary=dictionary, column_encoding=ENCODINGS
        )
        self._pending: list[pa.Table] = []
        self._pending_rows = 0

    def write(self, table: pa.Table) -> None:
        """Add the rows of a table of the same channels."""
        self._pending.append(table)
        self._pending_rows += len(table)
        if self._pending_rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._pending_rows:
            # Each file has a dictionary of its own: a row group needs one for all.
            joined = (
                pa.concat_tables(self._pending)
                .replace_schema_metadata()
                .unify_dictionaries()
                .combine_chunks()
            )
            self._writer.write_table(joined.cast(self._writer.schema), row_group_size=2 * ROW_GROUP)
        self._pending = []
        self._pending_rows = 0

    def __enter__(self) -> "FootprintWriter":
        return self

    def __exit__(self, kind, *_error) -> None:
        if kind is None:
            self._flush()
        self._writer.__exit__(kind)


def _open(path: Path) -> pq.ParquetFile:
    """Open a footprint table; DamagedError, or FootprintTableError when it is something else."""
    file = tables.open_parquet(path)
    lacking = set(footprint_schema([]).names) - set(file.schema_arrow.names)
    if lacking:
        raise FootprintTableError(
            f"{path}: not a footprint table, it lacks {', '.join(sorted(lacking))}"
        )
    return file


def count_rows(path: Path) -> int:
    """Count the footprints of a table on disk, without reading them."""
    with _open(path) as file:
        return file.metadata.num_rows


def read_channel_names(path: Path) -> list[str]:
    """Channel names of a table on disk, in order."""
    with _open(path) as file:
        return channels_of(file.schema_arrow.empty_table())


def read_row_groups(path: Path, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read a table row group by row group, all columns or those called ``names``."""
    with _open(path) as file:
        for i in range(file.num_row_groups):
            yield file.read_row_group(i, columns=None if names is None else list(names))


def read_footprints(path: Path) -> pa.Table:
    """Read a whole table."""
    with _open(path) as file:
        return file.read()


def read_used_footprints(path: Path, start: date, end: date) -> pa.Table:
    """Read the used footprints of some days; row groups of other days are not decoded.

    Parameters
    ----------
    path : Path
        A footprint table.
    start, end : date
        First and last day, both included.

    Returns
    -------
    pa.Table
        The rows with ``rejected`` 0 and a time on these days.
    """
    _open(path).close()  # names what is wrong with the file; read_table would not
    first = np.datetime64(start, "ns")
    after = np.datetime64(end, "D") + np.timedelta64(1, "D")
    return pq.read_table(
        path,
        filters=[
            ("rejected", "=", 0),
            ("time", ">=", pa.scalar(first)),
            ("time", "<", pa.scalar(after.astype("datetime64[ns]"))),
        ],
        page_checksum_verification=True,
    )


def used_in_turn(
    path: Path, start: date, end: date, hours: int = 24, codes: Sequence[int] = (0,)
) -> Iterator[tuple[np.datetime64, pa.Table]]:
    """Read the used footprints of some days, a few hours after the other.

    A row group is decoded once where rows are in order of time, and again where they are not.

    Parameters
    ----------
    path : Path
        A footprint table.
    start, end : date
        First and last day, both included.
    hours : int
        Hours that are read at a time, a divisor of 24.
    codes : Sequence[int]
        Values of ``rejected`` of the footprints that are read, by default those that are used.

    Yields
    ------
    tuple[np.datetime64, pa.Table]
        The first hour with the used footprints from it on; a table without any may be among them.
    """
    step = np.timedelta64(hours, "h")
    with _open(path) as file:
        spans = [_time_span(file, group) for group in range(file.num_row_groups)]
        # Groups that reach into the next hours stay decoded until these are done.
        decoded: dict[int, pa.Table] = {}
        for first in np.arange(np.datetime64(start, "h"), np.datetime64(end, "D") + 1, step):
            begin, after = (moment.astype("datetime64[ns]") for moment in (first, first + step))
            touched = [i for i, (low, high) in enumerate(spans) if high >= begin and low < after]
            decoded = {i: decoded[i] for i in touched if i in decoded}
            parts = []
            for i in touched:
                if i not in decoded:
                    decoded[i] = _with_codes(file.read_row_group(i), codes)
                time = pc.field("time")
                inside = (time >= pa.scalar(begin)) & (time < pa.scalar(after))
                parts.append(decoded[i].filter(inside))
                if spans[i][1] < after:
                    # no later hour needs it
                    del decoded[i]
            yield first, pa.concat_tables(parts) if parts else file.schema_arrow.empty_table()


def _time_span(file: pq.ParquetFile, group: int) -> tuple[np.datetime64, np.datetime64]:
    """First and last time of a row group; all of time where the file does not say."""
    column = file.schema_arrow.get_field_index("time")
    statistics = file.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        limits = np.iinfo(np.int64)
        # The least number is NaT, which compares with nothing.
        return np.datetime64(limits.min + 1, "ns"), np.datetime64(limits.max, "ns")
    return np.datetime64(statistics.min, "ns"), np.datetime64(statistics.max, "ns")


def _with_codes(piece: pa.Table, codes: Sequence[int]) -> pa.Table:
    return piece.filter(pc.field("rejected").isin(pa.array(codes, pa.uint8())))
