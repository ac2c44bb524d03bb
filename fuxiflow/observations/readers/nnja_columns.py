"""Columns of NNJA-AI's Parquet files, looked up by BUFR mnemonic.

A column is named by its sequences and its mnemonic, ``TMPSQ1.TMDB``, and by the number of a channel
or level, ``BRITCSTC.TMBR_00007`` or ``TMDB_PRLC85000``. What is missing is null or 1e11. Formats:
NNJA-AI's ``docs/datasets.md`` (brightbandtech/nnja-ai).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuxiflow.observations.readers.granule import RefusedFile
from fuxiflow.observations.rejection_codes import Reason

ROWS = 400_000
"""Rows that are read at a time, so that a day of ATMS does not fill the memory."""
_MISSING = 9.9e10  # BUFRLIB's number for a missing value is 1e11
_DAY = np.timedelta64(1, "D")
TIME = "OBS_TIMESTAMP"


def columns_by_mnemonic(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Find columns of a file by the last part of their names.

    Parameters
    ----------
    path : Path
        The file.
    names : iterable of str
        Last parts, such as ``TMDB`` or ``TMBR_00007``.

    Returns
    -------
    dict
        Whole names by last part, of those that there are. Of several the one in fewest sequences
        counts, and then the first.

    Raises
    ------
    RefusedFile
        When the file has no rows, or cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            rows, there = file.metadata.num_rows, file.schema_arrow.names
    except (OSError, pa.ArrowException) as error:
        raise RefusedFile(Reason.UNREADABLE, f"{type(error).__name__}: {error}") from error
    if not rows:
        raise RefusedFile(Reason.EMPTY, "no rows")
    wanted_names = {*names}
    by_mnemonic: dict[str, str] = {}
    for name in sorted(there, key=lambda name: name.count(".")):
        mnemonic = name.rpartition(".")[2]
        if mnemonic in wanted_names:
            by_mnemonic.setdefault(mnemonic, name)
    return by_mnemonic


def require_columns(columns: dict[str, str], needed: Iterable[str]) -> None:
    """Raise RefusedFile that names the columns without which a file cannot be used."""
    if lacking := [name for name in needed if name not in columns]:
        raise RefusedFile(
            Reason.UNREADABLE,
            f"no column {', '.join(lacking)}: it is of another data set than its name says, or the "
            "archive has changed its layout; compare with its catalog.json",
        )


def read_batches(path: Path, columns: dict[str, str]) -> Iterator[pa.Table]:
    """Read columns of a file some rows at a time, under their last names.

    Parameters
    ----------
    path : Path
        The file.
    columns : dict
        Whole names by last part.

    Yields
    ------
    pa.Table
        At most :data:`ROWS` rows.
    """
    shorter = {name: mnemonic for mnemonic, name in columns.items()}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=list(shorter)):
            table = pa.Table.from_batches([batch])
            yield table.rename_columns([shorter[name] for name in table.column_names])


def numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers ``(n,)`` by its last name, NaN where one is missing.

    All are where there is no such column.
    """
    return without_missing(raw_numbers(table, name))


def raw_numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers ``(n,)`` as :func:`numbers`, but as it is where one is 1e11."""
    if name not in table.column_names or pa.types.is_null(table[name].type):
        return np.full(len(table), np.nan)
    column = table[name]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise RefusedFile(Reason.UNREADABLE, f"column {name} is {column.type}, no numbers")
    return column.to_numpy().astype(float, copy=False)


def without_missing(values: np.ndarray) -> np.ndarray:
    """Return numbers with NaN in place of those that stand for a missing value."""
    # false of NaN
    if not len(values) or values.max() < _MISSING:
        return values
    return np.where(values >= _MISSING, np.nan, values)


def observation_times(table: pa.Table, day: np.datetime64) -> np.ndarray:
    """Return the times of observation ``(n,)``, NaT where missing.

    NaT are also those that are not within a day of the file's ``day`` (NaT where it is not known).
    """
    column = table[TIME]
    if not pa.types.is_timestamp(column.type):
        raise RefusedFile(Reason.UNREADABLE, f"column {TIME} is {column.type}, no times")
    time = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    moments = time.to_numpy().astype("datetime64[us]")
    if np.isnat(day):
        return moments
    inside = (moments >= day - _DAY) & (moments < day + 2 * _DAY)
    return moments if inside.all() else np.where(inside, moments, np.datetime64("NaT"))


def day_of_name(path: Path) -> np.datetime64:
    """Return the day in a file's name, ``gdas.YYYYMMDD.…``, NaT where it has none."""
    match = re.search(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)", path.name)
    try:
        return np.datetime64("-".join(match.groups())) if match else np.datetime64("NaT")
    except ValueError:
        return np.datetime64("NaT")


def in_order_of_time(files: Sequence[Path]) -> list[Path]:
    """Sort files by the day in their names, and then by name."""
    return sorted(map(Path, files), key=lambda path: (str(day_of_name(path)), path.name))


def station_names(table: pa.Table, shared: frozenset[str]) -> np.ndarray:
    """Return the names ``(n,)`` of stations, empty where many go by a name.

    A station has block and number of WMO's list, or else its own name.

    Parameters
    ----------
    table : pa.Table
        Columns by last name.
    shared : frozenset of str
        Names that many go by.

    Returns
    -------
    np.ndarray
        Texts.
    """
    block, index = numbers(table, "WMOB"), numbers(table, "WMOS")
    listed = (block > 0) & np.isfinite(index)
    names = np.full(len(table), "", object)
    if "RPID" in table.column_names:
        texts = table["RPID"].to_pylist()
        own = (text.decode(errors="replace") if isinstance(text, bytes) else text for text in texts)
        names[:] = [str(text).strip() if text is not None else "" for text in own]
        names[np.isin(np.char.upper(names.astype(str)), list(shared))] = ""
    codes = np.where(listed, block * 1000 + index, 0).astype(int)
    unique, places = np.unique(codes, return_inverse=True)
    numbered = np.array([f"{code:05d}" for code in unique])[places]
    return np.where(listed, numbered, names.astype(str))
