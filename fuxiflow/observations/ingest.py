"""Ingest: from a directory of level-1 files to a footprint table and a ledger."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd

from fuxiflow.observations import ledger, readers
from fuxiflow.observations.antenna_patterns import corrected_for_antenna, read_antenna_patterns
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.ledger import LedgerEntry
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.progress import count_items
from fuxiflow.storage import file_kinds
from fuxiflow.storage.raw_files import verified_files

_TOLD = 3  # files that an error names
# kinds that no reader takes; a text may hold messages further on
_FOREIGN = frozenset(
    {
        *("ZIP", "tar", "compress (.Z)", "Zstandard", "7-Zip"),
        *("web page", "XML", "JSON", "PDF", "Parquet", "HDF4", "GRIB", "NCEP BUFR"),
    }
)
_TAKEN = {"nnja_ai": "Parquet", "ncep": "NCEP BUFR", "prepbufr": "NCEP BUFR"}
"""Kinds that only one reader takes, by its module."""


class NoUsableFileError(RuntimeError):
    """A directory has files, but not one can be used.

    This is a mistake of the user, where an empty directory is an outage of the source.
    """


def _readable(
    paths: Sequence[Path], unpacked: file_kinds.Unpacked, reader: str
) -> tuple[list[Path], list[Granule]]:
    """Unpack what is compressed, and leave out what no reader takes.

    Parameters
    ----------
    paths : Sequence[Path]
        Files of the source by their names.
    unpacked : file_kinds.Unpacked
        Holds the unpacked files while they are read.
    reader : str
        Name of the reader.

    Returns
    -------
    files : list[Path]
        Files to read.
    refused : list[Granule]
        The others, with what they are and what to do.
    """
    files, refused = [], []
    foreign = _FOREIGN - {_TAKEN.get(reader.partition(".")[0])}
    for path in paths:
        try:
            names = file_kinds.plain_names(path)
            file = unpacked(path, names[-1] if len(names) > 1 else "")
            if file_kinds.file_kind(file) not in foreign:
                files.append(file)
                continue
            reason, why = Reason.FORMAT, file_kinds.describe_file(file)
        except file_kinds.UnpackError as error:
            several = file_kinds.file_kind(path) == "ZIP"
            reason = Reason.FORMAT if several else Reason.UNREADABLE
            why = str(error).removeprefix(f"{path}: ")
        except OSError as error:
            reason, why = Reason.UNREADABLE, str(error)
        refused.append(Granule(path.name, reason=reason, message=why))
    return files, refused


def _explained(granule: Granule, files: Mapping[str, Path]) -> Granule:
    """Say what a file is that a reader could make nothing of."""
    path = files.get(granule.file)
    if path is None or granule.count or granule.reason != Reason.UNREADABLE:
        return granule
    if file_kinds.file_kind(path) == "unknown" or "at octet" in granule.message:
        return granule
    return replace(granule, message=f"{granule.message}; {file_kinds.describe_file(path)}")


def _refused(source: str, granule: Granule, log: logging.Logger) -> list[LedgerEntry]:
    """Log a file that is not used, and make its ledger entries.

    Parameters
    ----------
    source : str
        Name of the source.
    granule : Granule
        The file, with a reason and a message.
    log : logging.Logger
        Gets a warning.

    Returns
    -------
    list[LedgerEntry]
        The reason; before it the footprints read, where the file's count is known.
    """
    log.warning("%s: %s (%s)", granule.file, granule.reason.description, granule.message)
    lost = LedgerEntry(
        source,
        granule.file,
        granule.day,
        granule.reason.label,
        granule.count,
        message=granule.message,
    )
    if not granule.count:
        return [lost]
    # Conservation: what is lost has to be read first.
    return [LedgerEntry(source, granule.file, granule.day, ledger.READ, granule.count), lost]


def ingest(
    directory: Path,
    pattern: str,
    reader: str,
    source: str,
    platforms: Sequence[str],
    channels: Sequence[str],
    start: date,
    output: Path,
    log: logging.Logger,
    antenna_patterns: Sequence[Path] = (),
) -> pd.DataFrame:
    """Read the level-1 files of a directory into a footprint table.

    The table is written granule by granule, as it may not fit into memory.

    Parameters
    ----------
    directory : Path
        Files of one source and segment, or the receipt of them. An empty one is an outage: the
        table has no rows, and the ledger has the reason ``no_file`` on the day ``start``.
    pattern : str
        Pattern of the names of the source's files; others are refused.
    reader : str
        Name of a reader in :mod:`fuxiflow.observations.readers`.
    source : str
        Name of the source.
    platforms : Sequence[str]
        Platforms that the source consists of.
    channels : Sequence[str]
        Channel names.
    start : date
        First day of the segment.
    output : Path
        The Parquet file that is written.
    log : logging.Logger
        Gets a warning for each file that is refused, and the progress.
    antenna_patterns : Sequence[Path]
        Files of coefficients by which antenna temperatures are corrected; none by default.

    Returns
    -------
    pd.DataFrame
        The ledger of all that was read and refused, see :mod:`fuxiflow.observations.ledger`.

    Raises
    ------
    NoUsableFileError
        Where there are files but none can be used.
    ValueError
        Where there are coefficients, but not of a platform or channel.
    """
    patterns = read_antenna_patterns(antenna_patterns) if antenna_patterns else {}
    raw = verified_files(directory)
    matching, others = readers.sort_by_pattern(raw.paths, pattern)
    entries: list[LedgerEntry] = []
    if raw.remark:
        entries.append(LedgerEntry(source, "", start, ledger.READ, 0, message=raw.remark))
    for path in others:
        entries += _refused(
            source, Granule(path.name, reason=Reason.NAME, message=f"expected {pattern}"), log
        )
    if not matching and not others:
        log.warning("%s: %s", directory, Reason.NO_FILE.description)
        entries.append(
            LedgerEntry(
                source,
                "",
                start,
                Reason.NO_FILE.label,
                0,
                message=raw.reason or "empty directory",
            )
        )
    used = 0
    unpacked = file_kinds.Unpacked()
    files, foreign = _readable(matching, unpacked, reader)
    for granule in foreign:
        entries += _refused(source, granule, log)
    paths = {path.name: path for path in files}
    with FootprintWriter(output, channels) as table:
        granules = readers.read(reader, files, platforms, channels)
        for granule in count_items(granules, f"{source} granules", log):
            if granule.footprints is None:
                entries += _refused(source, _explained(granule, paths), log)
                continue
            used += 1
            if patterns:
                footprints, file = corrected_for_antenna(granule.footprints, patterns)
                message = f"antenna temperatures, corrected by {file}" if granule.message else ""
                granule = replace(granule, footprints=footprints, message=message)
            if granule.message:
                log.warning("%s: %s", granule.file, granule.message)
            entries += ledger.count_read(source, granule.footprints, granule.message)
            entries += [
                LedgerEntry(
                    source,
                    lost.file,
                    lost.day,
                    lost.reason.label,
                    lost.count,
                    lost.channel,
                    lost.message,
                )
                for lost in granule.values
            ]
            table.write(granule.footprints)
    frame = ledger.build_ledger(entries)
    # A wrong pattern or platform must not look like an outage of months.
    if not used and (matching or others):
        reasons = frame.loc[frame["reason"] != ledger.READ, "reason"].value_counts()
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        with_message = frame[(frame["reason"] != ledger.READ) & (frame["message"] != "")]
        first = "; ".join(
            f"{row.file}: {row.message}" for row in with_message.head(_TOLD).itertuples()
        )
        raise NoUsableFileError(
            f"{directory}: {len(matching) + len(others)} files, but none can be used ({why}): "
            f"{first}; "
            f"check file_pattern {pattern!r}, platforms {', '.join(platforms)} and the download, "
            f"or empty the directory if the source was out"
        )
    return frame
