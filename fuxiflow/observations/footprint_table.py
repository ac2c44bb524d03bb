"""Footprint tables: Parquet, one row per footprint, ``rejected`` 0 where it is used.

================= ============================================================================
time              timestamp[ns], UTC; null where the file has none
lat, lon          float32, degrees; lon in [-180, 180)
zenith, azimuth   float32, degrees: of the satellite, seen from the footprint
scan_position     int16, from 1: column of the swath in its file; 0 where there is no scan
station           dictionary of strings: who reports, empty for a scan and for whom nobody can tell apart
platform, file    dictionary of strings
channel_<name>    float32, one for each channel, in its unit; NaN where missing
rejected          uint8, :class:`fuxiflow.observations.rejection_codes.Reason`
================= ============================================================================
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fuxiflow.storage import tables

PREFIX = "channel_"
ROW_GROUP = 100_000
# times grow by small steps, and angles are too many for a dictionary: a quarter less on disk, and faster
ENCODINGS = {
    "time": "DELTA_BINARY_PACKED",
    **dict.fromkeys(("lat", "lon", "zenith", "azimuth"), "BYTE_STREAM_SPLIT"),
}
_TEXTS = pa.dictionary(pa.int32(), pa.string())


class FootprintTableError(ValueError):
    """A file that is not a footprint table, or not one with the channels asked for."""


def footprint_schema(channels: Sequence[str]) -> pa.Schema:
    """The schema of a table with ``channels``."""
    return pa.schema(
        [
            ("time", pa.timestamp("ns")),
            ("lat", pa.float32()),
            ("lon", pa.float32()),
            ("zenith", pa.float32()),
            ("azimuth", pa.float32()),
            ("scan_position", pa.int16()),
            ("station", _TEXTS),
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
    """A table of one file from ``values`` (n, channel) and the ``columns`` time (datetime64), lat, lon, zenith,
    azimuth, scan_position and rejected, each (n,), and station, texts, where there are some. Longitudes of any
    convention are brought to [-180, 180)."""
    rows = len(values)
    lon = np.asarray(columns["lon"], np.float32)
    with np.errstate(invalid="ignore"):
        lon = np.where((lon >= 180) | (lon < -180), np.mod(lon + 180.0, 360.0) - 180.0, lon)
    data = {
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
    found = footprint_schema(channels)
    return pa.table(
        [
            data[field.name]
            if isinstance(data[field.name], pa.Array)
            else pa.array(np.ascontiguousarray(data[field.name]), field.type, from_pandas=False)
            for field in found
        ],
        schema=found,
    )


def values_of(table: pa.Table) -> np.ndarray:
    """Channel values ``(n, channel)`` float32, in row order."""
    names = channels_of(table)
    values = np.empty((len(table), len(names)), np.float32)
    for i, name in enumerate(names):
        values[:, i] = table[PREFIX + name].to_numpy()
    return values


def column_values(table: pa.Table, name: str) -> np.ndarray:
    """One column as a numpy array; null times become NaT."""
    return table[name].to_numpy()


def category_indices(table: pa.Table, name: str, known: Sequence[str]) -> np.ndarray:
    """A column of texts as indices (n,) int8 into the ``known`` ones; ValueError names one that is not among them."""
    found = table[name].unify_dictionaries().to_pandas().cat
    unknown = sorted(set(found.categories[np.unique(found.codes[found.codes >= 0])]) - set(known))
    if unknown or (found.codes < 0).any():
        raise ValueError(
            f"{name} {unknown[0] if unknown else 'missing'}, expected one of {', '.join(known)}"
        )
    numbers = np.array(
        [known.index(text) if text in known else -1 for text in found.categories], np.int8
    )
    return numbers[found.codes] if len(numbers) else np.zeros(len(table), np.int8)


def replace_values(table: pa.Table, values: np.ndarray, rejected: np.ndarray) -> pa.Table:
    """The table with other channel values ``(n, channel)`` and other codes ``(n,)``."""
    new = {PREFIX + name: values[:, i] for i, name in enumerate(channels_of(table))} | {
        "rejected": rejected
    }
    arrays = [
        pa.array(np.ascontiguousarray(new[field.name]), field.type)
        if field.name in new
        else table[field.name]
        for field in table.schema
    ]
    return pa.table(arrays, schema=table.schema)


class FootprintWriter:
    """Writes a footprint table piece by piece, in row groups of about :data:`ROW_GROUP` rows; a context manager.

    ``metadata`` goes into the file's beside the provenance.
    """

    def __init__(
        self, path: Path, channels: Sequence[str], metadata: Mapping[str, str] | None = None
    ):
        stamped = tables.stamp_schema(footprint_schema(channels), metadata)
        dictionary = [name for name in stamped.names if name not in ENCODINGS]
        self._writer = pq.ParquetWriter(
            path, stamped, compression="zstd", use_dictionary=dictionary, column_encoding=ENCODINGS
        )
        self._pending: list[pa.Table] = []
        self._held = 0

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._pending.append(table)
        self._held += len(table)
        if self._held >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            joined = (
                pa.concat_tables(self._pending)
                .replace_schema_metadata()
                .unify_dictionaries()
                .combine_chunks()
            )
            self._writer.write_table(joined.cast(self._writer.schema), row_group_size=2 * ROW_GROUP)
        self._pending, self._held = [], 0

    def __enter__(self) -> "FootprintWriter":
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _open(path: Path) -> pq.ParquetFile:
    """Open a footprint table; :class:`FootprintTableError` when it is damaged or something else."""
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise FootprintTableError(
            f"{path}: not a readable Parquet file ({error}); run its rule again"
        ) from error
    lacking = set(footprint_schema([]).names) - set(file.schema_arrow.names)
    if lacking:
        raise FootprintTableError(
            f"{path}: not a footprint table, it lacks {', '.join(sorted(lacking))}"
        )
    return file


def count_rows(path: Path) -> int:
    """How many footprints a table on disk has."""
    with _open(path) as file:
        return file.metadata.num_rows


def read_row_groups(path: Path, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a table, one after the other, all columns or those called ``names``."""
    with _open(path) as file:
        for i in range(file.num_row_groups):
            yield file.read_row_group(i, columns=None if names is None else list(names))


def read_footprints(path: Path) -> pa.Table:
    """A whole table."""
    with _open(path) as file:
        return file.read()


def read_used_footprints(path: Path, start: date, end: date) -> pa.Table:
    """The used footprints of the days from ``start`` to ``end``, both included; other row groups are not decoded."""
    _open(path).close()
    first, after = np.datetime64(start, "ns"), np.datetime64(end, "D") + np.timedelta64(1, "D")
    return pq.read_table(
        path,
        filters=[
            ("rejected", "=", 0),
            ("time", ">=", pa.scalar(first)),
            ("time", "<", pa.scalar(after.astype("datetime64[ns]"))),
        ],
    )


def used_by_day(path: Path, start: date, end: date) -> Iterator[tuple[date, pa.Table]]:
    """The days from ``start`` to ``end``, both included, with the used footprints of each.

    A row group is decoded once where rows are in order of time, and again where they are not.
    """
    with _open(path) as file:
        spans = [_span(file, i) for i in range(file.num_row_groups)]
        held: dict[int, pa.Table] = {}
        for number in range((end - start).days + 1):
            day = start + timedelta(days=number)
            first, after = (np.datetime64(day + timedelta(days=i), "ns") for i in (0, 1))
            touched = [i for i, (low, high) in enumerate(spans) if high >= first and low < after]
            held = {i: held[i] if i in held else _used(file.read_row_group(i)) for i in touched}
            parts = [
                part.filter(
                    (pc.field("time") >= pa.scalar(first)) & (pc.field("time") < pa.scalar(after))
                )
                for part in held.values()
            ]
            yield day, pa.concat_tables(parts) if parts else file.schema_arrow.empty_table()


def _span(file: pq.ParquetFile, group: int) -> tuple[np.datetime64, np.datetime64]:
    """First and last time of a row group; all times where the file does not say, or where one is missing."""
    found = (
        file.metadata.row_group(group).column(file.schema_arrow.get_field_index("time")).statistics
    )
    if found is None or not found.has_min_max:
        limits = np.iinfo(np.int64)
        return np.datetime64(limits.min + 1, "ns"), np.datetime64(limits.max, "ns")
    return np.datetime64(found.min, "ns"), np.datetime64(found.max, "ns")


def _used(piece: pa.Table) -> pa.Table:
    return piece.filter(pc.field("rejected") == 0)


def read_channel_names(path: Path) -> list[str]:
    """Channel names of a table on disk, in order."""
    with _open(path) as file:
        return channels_of(file.schema_arrow.empty_table())
