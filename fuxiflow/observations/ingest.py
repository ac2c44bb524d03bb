"""From a directory of level-1 files to a footprint table and the ledger of what was read and refused."""

import logging
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from fuxiflow.observations import ledger, readers
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.ledger import LedgerEntry
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.progress import count_items


class NoUsableFileError(RuntimeError):
    """A directory with files of which not one can be used: a mistake, where an empty directory is an outage."""


def _refused(source: str, granule: Granule, log: logging.Logger) -> list[LedgerEntry]:
    """The ledger's lines of a file that is not used, which the log names too."""
    log.warning("%s: %s (%s)", granule.file, granule.reason.description, granule.message)
    lost = LedgerEntry(
        source,
        granule.file,
        granule.day,
        granule.reason.label,
        granule.count,
        message=granule.message,
    )
    return (
        [lost]
        if not granule.count
        else [LedgerEntry(source, granule.file, granule.day, ledger.READ, granule.count), lost]
    )


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
) -> pd.DataFrame:
    """Read all files of a directory that match ``pattern`` into the footprint table ``output``; return the ledger.

    A directory without files gives an empty table and the reason ``no_file`` for the day ``start``.
    :class:`NoUsableFileError` when there are files but none can be used.
    """
    matching, others = readers.find_files(directory, pattern)
    entries: list[LedgerEntry] = []
    for path in others:
        entries += _refused(
            source, Granule(path.name, reason=Reason.NAME, message=f"expected {pattern}"), log
        )
    if not matching and not others:
        log.warning("%s: %s", directory, Reason.NO_FILE.description)
        entries.append(
            LedgerEntry(source, "", start, Reason.NO_FILE.label, 0, message="empty directory")
        )
    used = 0
    with FootprintWriter(output, channels) as table:
        granules = readers.read(reader, matching, platforms, channels)
        for granule in count_items(granules, f"{source} granules", log):
            if granule.footprints is None:
                entries += _refused(source, granule, log)
                continue
            used += 1
            if granule.message:
                log.warning("%s: %s", granule.file, granule.message)
            entries += ledger.count_read(source, granule.footprints, granule.message)
            table.write(granule.footprints)
    found = ledger.build_ledger(entries)
    if not used and (matching or others):
        reasons = found.loc[found["reason"] != ledger.READ, "reason"].value_counts()
        why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
        raise NoUsableFileError(
            f"{directory}: {len(matching) + len(others)} files, but none can be used ({why}); "
            f"check file_pattern {pattern!r}, platforms {', '.join(platforms)} and the download, "
            f"or empty the directory if the source was out"
        )
    return found
