"""The ledger accounts for every footprint of every file, and conservation is asserted.

======= ========================================================================================
source  name of the source
file    name of the file
day     UTC; null where unknown
channel empty for whole footprints, else the count is of single values that were set missing, or
        of a column such as ``time`` that a remark is about
reason  ``read``, ``used``, or a label of
        :class:`fuxiflow.observations.rejection_codes.Reason`
count   footprints or values
message text for a reader of the ledger
======= ========================================================================================

For each file, read = used + the sum over all other reasons.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fuxiflow.observations import footprint_table
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.storage import tables

READ = "read"
USED = Reason.USED.label
SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("day", pa.date32()),
        ("channel", pa.string()),
        ("reason", pa.string()),
        ("count", pa.int64()),
        ("message", pa.string()),
    ]
)


class LedgerError(AssertionError):
    """Footprints of a file that neither are used nor have a reason, or the reverse."""


@dataclass(frozen=True)
class LedgerEntry:
    """One line of a ledger."""

    source: str
    file: str
    day: date | None
    reason: str
    count: int
    channel: str = ""
    message: str = ""


def build_ledger(entries: Iterable[LedgerEntry]) -> pd.DataFrame:
    """Build a ledger; entries that differ in nothing but the count are added up."""
    rows = pd.DataFrame([asdict(entry) for entry in entries], columns=SCHEMA.names)
    keys = [name for name in SCHEMA.names if name != "count"]
    # An unknown day is a group of its own.
    sums = rows.groupby(keys, dropna=False, sort=False, as_index=False)["count"].sum()
    # pandas makes a column without any day one of floats
    days = [None if pd.isna(day) else day for day in sums["day"]]
    return sums.assign(day=pd.Series(days, sums.index, object))[SCHEMA.names]


def _days(time: np.ndarray) -> np.ndarray:
    # pandas has no unit of days: midnights in seconds stand for them
    return time.astype("datetime64[D]").astype("datetime64[s]")


def count_reasons(
    source: str, footprints: pa.Table, labels: Sequence[str] | None = None
) -> list[LedgerEntry]:
    """Count the footprints of a table by file, day and rejection code.

    Parameters
    ----------
    source : str
        Name of the source.
    footprints : pa.Table
        A footprint table.
    labels : Sequence[str], optional
        The reason of each code, by default the labels of :class:`Reason`; ``[READ] * 256`` counts
        all footprints as read.

    Returns
    -------
    list[LedgerEntry]
        One for each file, day and code that occur.
    """
    labels = labels or {reason.value: reason.label for reason in Reason}
    groups = pd.DataFrame(
        {
            "file": footprints["file"].to_pandas(),
            "code": footprint_table.column_values(footprints, "rejected"),
            "day": _days(footprint_table.column_values(footprints, "time")),
        }
    )
    # The dictionary of files may hold names that no row of this piece has.
    sizes = groups.groupby(["file", "day", "code"], dropna=False, observed=True).size()
    return [
        LedgerEntry(source, file, None if pd.isna(day) else day.date(), labels[code], int(size))
        for (file, day, code), size in sizes.items()
    ]


def count_read(source: str, footprints: pa.Table, message: str = "") -> list[LedgerEntry]:
    """Count the footprints that were read, by file and day.

    Parameters
    ----------
    source : str
        Name of the source.
    footprints : pa.Table
        A footprint table.
    message : str
        A remark of the reader about the file.

    Returns
    -------
    list[LedgerEntry]
        Entries of the reason :data:`READ`.
    """
    return [
        replace(entry, message=message) for entry in count_reasons(source, footprints, [READ] * 256)
    ]


def count_missing_values(
    source: str, footprints: pa.Table, lost: np.ndarray, reason: Reason
) -> list[LedgerEntry]:
    """Count single values that were set missing, by file, day and channel.

    Parameters
    ----------
    source : str
        Name of the source.
    footprints : pa.Table
        A footprint table of n rows.
    lost : np.ndarray
        ``(n, channel)`` bool, True for the values.
    reason : Reason
        The check that they failed.

    Returns
    -------
    list[LedgerEntry]
        Empty where nothing was set missing.
    """
    names = np.array(footprint_table.channels_of(footprints))
    rows, columns = np.nonzero(lost)
    if not len(rows):
        return []
    files = footprints["file"].take(pa.array(rows)).to_pandas()
    days = _days(footprint_table.column_values(footprints, "time")[rows])
    groups = pd.DataFrame({"file": files.astype(str), "day": days, "channel": names[columns]})
    sizes = groups.groupby(["file", "day", "channel"], dropna=False).size()
    return [
        LedgerEntry(
            source, file, None if pd.isna(day) else day.date(), reason.label, int(size), channel
        )
        for (file, day, channel), size in sizes.items()
    ]


def check_ledger(ledger: pd.DataFrame) -> None:
    """Raise :class:`LedgerError` where read and used + rejected differ; it names the first file."""
    whole = ledger[ledger["channel"] == ""]
    # Single values belong to footprints that are counted already.
    was_read = whole["reason"] == READ
    read = whole[was_read].groupby("file")["count"].sum()
    accounted = whole[~was_read].groupby("file")["count"].sum()
    gap = read.sub(accounted, fill_value=0)
    unbalanced = gap[gap != 0]
    if len(unbalanced):
        name = unbalanced.index[0]
        raise LedgerError(
            f"{name}: {read.get(name, 0)} footprints read, but {accounted.get(name, 0)} used or "
            f"rejected; {len(unbalanced)} files in all"
        )


DAMAGED = (Reason.EMPTY, Reason.UNREADABLE, Reason.PARTNER, Reason.MISMATCH, Reason.FORMAT)
"""Reasons for which a file of the source itself cannot be used."""


def list_days(bounds: Sequence[str]) -> list[date]:
    """List the days from the first to the last of ``bounds``; none without bounds."""
    if not bounds:
        return []
    first, last = map(date.fromisoformat, bounds)
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def days_with(ledger: pd.DataFrame, reason: str) -> set[date]:
    """Return the days on which a ledger counts footprints with a reason."""
    whole = ledger[(ledger["reason"] == reason) & (ledger["channel"] == "")]
    counted = whole[whole["count"] > 0]
    return {pd.Timestamp(day).date() for day in counted["day"].dropna()}


def files_by_soundness(ledger: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the files that could be read, and those of :data:`DAMAGED`; both sorted.

    Files of other sources, and those that a later version supersedes, are in neither.
    """
    labels = [reason.label for reason in DAMAGED]
    damaged = set(ledger.loc[ledger["reason"].isin(labels), "file"])
    # a remark on the whole folder names no file
    read = set(ledger.loc[ledger["reason"] == READ, "file"]) - {""}
    return sorted(read - damaged), sorted(damaged)


def write_ledger(path: Path, ledger: pd.DataFrame) -> None:
    """Write a ledger as Parquet."""
    tables.write_parquet(path, ledger, SCHEMA)


def read_ledgers(paths: Iterable[Path]) -> pd.DataFrame:
    """Read several ledgers as one."""
    return pd.concat([tables.read_parquet(path) for path in paths], ignore_index=True)


def summarize_ledger(ledger: pd.DataFrame) -> str:
    """Sum up a ledger by reason, in one line for a log."""
    whole = ledger[ledger["channel"] == ""]
    totals = whole.groupby("reason", sort=False)["count"].agg(["sum", "size"])
    return ", ".join(
        f"{reason} {row['sum']}" + ("" if row["sum"] else f" ({row['size']} files)")
        for reason, row in totals.iterrows()
    )
