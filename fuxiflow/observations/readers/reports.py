"""What readers of reports share: stations, ships, soundings and occultations have no swath, and many share a file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fuxiflow.observations import bufr, footprint_table
from fuxiflow.observations.bufr import Decoder, Failure, Message
from fuxiflow.observations.readers import granule
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.rejection_codes import Reason

DAY = np.timedelta64(1, "D")
ROWS = 10_000
"""Reports that share a granule: many files hold a single one, and a table for each would cost more than they do."""


@dataclass(frozen=True)
class Report:
    """One report: ``time`` (datetime64, NaT where it is no date), ``lat``, ``lon`` in degrees, its ``platform``, the
    ``station`` that made it, empty where others go by its name, ``values`` (channel,) and the ``period`` that its time
    has to lie in; ``reason`` is what the report itself gives for not being used."""

    time: np.datetime64
    lat: float
    lon: float
    platform: str
    station: str
    values: np.ndarray
    period: tuple[np.datetime64, np.datetime64]
    azimuth: float = np.nan
    reason: Reason = Reason.USED


def date(
    year: float, month: float, day: float, hour: float, minute: float, second: float = 0.0
) -> np.datetime64:
    """A date to the microsecond from numbers as a message gives them; NaT where they are no date. Seconds may lack."""
    second = second if np.isfinite(second) else 0.0
    try:
        parts = [int(part) for part in (year, month, day, hour, minute)]
        whole = np.datetime64("{:04d}-{:02d}-{:02d}T{:02d}:{:02d}".format(*parts), "us")
    except (ValueError, OverflowError):
        return np.datetime64("NaT", "us")
    return (
        whole + np.timedelta64(round(second * 1e6), "us")
        if 0 <= second < 61
        else np.datetime64("NaT", "us")
    )


def about(message: Message) -> tuple[np.datetime64, np.datetime64]:
    """The times that reports of a message may have: a day about its header's. NaT, which none has, without one."""
    time = np.datetime64(message.header.time if message.header else None, "us")
    return time - DAY, time + DAY


def footprints(
    reports: Sequence[Report], files: Sequence[str], channels: Sequence[str]
) -> pa.Table:
    """The footprint table of ``reports`` from ``files``, with the reasons that they themselves give."""
    values = np.stack([report.values for report in reports]).astype(np.float32)
    columns = {
        name: np.array([getattr(report, name) for report in reports], np.float32)
        for name in ("lat", "lon", "azimuth")
    }
    columns["station"] = np.array([report.station for report in reports])
    columns["time"], first, last = (
        np.array(times, "datetime64[us]")
        for times in (
            [report.time for report in reports],
            [report.period[0] for report in reports],
            [report.period[1] for report in reports],
        )
    )
    found = granule.footprints(channels, values, columns, (first, last), "", "")
    rejected = footprint_table.column_values(found, "rejected").copy()
    refused = rejected == Reason.USED
    rejected[refused] = np.array([report.reason for report in reports], np.uint8)[refused]
    found = footprint_table.replace_values(found, footprint_table.values_of(found), rejected)
    for name, texts in (("platform", [report.platform for report in reports]), ("file", files)):
        found = found.set_column(
            found.schema.get_field_index(name),
            found.schema.field(name),
            pa.array(texts, pa.string()).dictionary_encode(),
        )
    return found


@dataclass
class Collector:
    """Reports gathered from files into granules of some thousand, and what was refused, told once for each file,
    reason and message."""

    channels: Sequence[str]
    reports: list[Report] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    refused: Counter = field(default_factory=Counter)

    def add(self, file: str, report: Report) -> None:
        """Add a report of a file."""
        self.reports.append(report)
        self.files.append(file)

    def refuse(self, file: str, reason: Reason, message: str, count: int) -> None:
        """Add ``count`` reports that a file would have had."""
        self.refused[file, reason, message] += count

    def damaged(self, file: str, message: Message, failure: Failure) -> None:
        """Add a message that cannot be decoded."""
        self.refuse(
            file,
            Reason.UNREADABLE,
            f"message at octet {message.offset}: {failure.why}",
            message.subsets,
        )

    def granules(self, rest: bool = False) -> Iterator[Granule]:
        """What is refused so far, and the reports, once there are enough of them or ``rest`` asks for what is left.

        Reports come in the order of time and station; of those that share both, the one with most values first."""
        for (file, reason, message), count in self.refused.items():
            yield Granule(file, reason=reason, message=message, count=count)
        self.refused.clear()
        if len(self.reports) < (1 if rest else ROWS):
            return
        times = np.array([report.time for report in self.reports], "datetime64[us]")
        order = np.lexsort(
            (
                [-np.isfinite(report.values).sum() for report in self.reports],
                [report.station for report in self.reports],
                times,
            )
        )
        reports, files = [self.reports[i] for i in order], [self.files[i] for i in order]
        self.reports, self.files = [], []
        yield Granule(
            files[0], footprints=footprints(reports, files, self.channels), count=len(reports)
        )


def decoded(
    path: Path, decoder: Decoder, collector: Collector, category: int
) -> Iterator[tuple[Message, Any]]:
    """The messages of ``category`` (BUFR Table A) of a file, decoded; others, damaged ones and files without a message
    are refused."""
    try:
        found = list(bufr.messages(path))
    except OSError as error:
        collector.refuse(path.name, Reason.UNREADABLE, str(error), 0)
        return
    if not found:
        what = "no BUFR message" if path.stat().st_size else "zero bytes"
        collector.refuse(path.name, Reason.EMPTY, what, 0)
    for message in found:
        if message.damage:
            collector.damaged(path.name, message, Failure(message.damage))
        elif message.header and message.header.category != category:
            why = f"BUFR of category {message.header.category}, expected {category}"
            collector.refuse(path.name, Reason.PLATFORM, why, message.subsets)
        elif message.hollow:
            collector.refuse(
                path.name, Reason.EMPTY, f"message at octet {message.offset}: no subset", 0
            )
        else:
            result = decoder(message.data)
            if isinstance(result, Failure):
                collector.damaged(path.name, message, result)
            else:
                yield message, result
