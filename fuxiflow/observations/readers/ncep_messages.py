"""Shared parts of the readers of NCEP's BUFR: reports of a file by kind, and their times."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np

from fuxiflow.observations.bufr_messages import BufrMessage
from fuxiflow.observations.clocks import times_of_dates
from fuxiflow.observations.ncep_bufr import NcepReports, RefusedMessage, read_ncep_reports
from fuxiflow.observations.ncep_decoder import Instances
from fuxiflow.observations.ncep_tables import TABLES
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.rejection_codes import Reason

CLOCK = ("YEAR", "MNTH", "DAYS", "HOUR", "MINU", "SECO")
PLACE = ("CLATH", "CLONH", "CLAT", "CLON")
"""Mnemonics of latitude and longitude: newer files have the more precise ones."""


def reports_of_kinds(
    path: Path, kinds: Collection[str], mnemonics: Iterable[str], mixed: bool = False
) -> Iterator[NcepReports | Granule]:
    """Decode the reports of some kinds in a file.

    Parameters
    ----------
    path : Path
        The file.
    kinds : collection of str
        Mnemonics of the reports that are wanted, such as ``NC021023``.
    mnemonics : iterable of str
        Mnemonics of their elements.
    mixed : bool
        Whether the file is PrepBUFR: it holds other kinds too, which are passed over and not
        refused, and all reports of a kind come at once, as mass and wind belong together.

    Yields
    ------
    NcepReports | Granule
        Reports, and the reasons why messages or the file are not used.
    """
    empty = True
    try:
        for result in read_ncep_reports(path, mnemonics, kinds if mixed else (), mixed):
            empty = False
            if isinstance(result, RefusedMessage):
                yield _refusal(path, result.message, Reason.UNREADABLE, result.why)
            elif result.kind in kinds:
                yield result
            else:
                yield Granule(
                    path.name,
                    reason=Reason.INSTRUMENT,
                    message=f"reports of {result.kind or 'no name'}, expected {', '.join(kinds)}",
                    count=len(result.reports),
                )
    except OSError as error:
        why = f"{type(error).__name__}: {error}"
        yield Granule(path.name, reason=Reason.UNREADABLE, message=why)
        return
    if empty:
        hollow = path.stat().st_size == 0
        yield Granule(
            path.name,
            reason=Reason.EMPTY,
            message="zero bytes" if hollow else f"no BUFR message of {', '.join(kinds)}",
        )


def _refusal(path: Path, message: BufrMessage, reason: Reason, why: str) -> Granule:
    """Return the granule of a message that is not used.

    Parameters
    ----------
    path : Path
        The file.
    message : BufrMessage
        The message.
    reason : Reason
        The reason.
    why : str
        More about it.

    Returns
    -------
    Granule
        Without footprints.
    """
    header = message.header
    tables = header is not None and header.category == TABLES
    return Granule(
        path.name,
        reason=reason,
        message=f"message at octet {message.offset}: {why}",
        count=0 if tables else message.subsets,
        day=header.time.date() if header and header.time and not tables else None,
    )


def report_times(reports: Instances) -> np.ndarray:
    """Return the times ``(n,)`` of reports by their own clocks, NaT where a part is missing."""
    return times_of_dates(*(reports.first(name) for name in CLOCK))


def report_places(reports: Instances) -> tuple[np.ndarray, np.ndarray]:
    """Return latitudes and longitudes ``(n,)`` of reports in degrees."""
    fine = "CLATH" in reports.values or not reports.has("CLAT")
    names = PLACE[:2] if fine else PLACE[2:]
    return reports.first(names[0]), reports.first(names[1])
