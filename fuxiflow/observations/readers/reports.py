"""Shared parts of the readers of reports: stations, ships, soundings and occultations.

Reports have no swath, and many share a file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fuxiflow.observations import footprint_table
from fuxiflow.observations.bufr_elements import Subset
from fuxiflow.observations.bufr_messages import BufrHeader, BufrMessage, read_messages
from fuxiflow.observations.clocks import complete_time
from fuxiflow.observations.decoding_process import DecodingFailure, DecodingProcess
from fuxiflow.observations.readers.granule import (
    Granule,
    ValueCount,
    day_of,
    footprints_of_granule,
)
from fuxiflow.observations.rejection_codes import Reason

DAY = np.timedelta64(1, "D")
# the first observations that reanalyses have in BUFR, and beyond all of them
_EVER = (np.datetime64("1930-01-01", "us"), np.datetime64("2100-01-01", "us"))
ROWS = 10_000
"""Reports that share a granule: many files hold a single one, and a table for each would cost more
than they do."""

_CLOCK = ("year", "month", "day", "hour", "minute", "second")
_NUMBERS = ("marineObservingPlatformIdentifier", "buoyOrPlatformIdentifier")
_TEXTS = (
    "shipOrMobileLandStationIdentifier",
    "stationaryBuoyPlatformIdentifierEGCManBuoys",
    "wigosLocalIdentifierCharacter",
    "stationOrSiteName",
    "longStationName",
)
_WIGOS = (
    "wigosIdentifierSeries",
    "wigosIssuerOfIdentifier",
    "wigosIssueNumber",
    "wigosLocalIdentifierCharacter",
)
SHARED_NAMES = frozenset({"SHIP", "PLAT", "RIGG", "BUOY", "TEST", "MASKSTID", "XXXX"})
"""Names that many go by: those of FM 13 (WMO-No. 306, Volume I.1) for want of a call sign, and
masked call signs."""
_HEIGHTS = (
    "heightOfStationGroundAboveMeanSeaLevel",
    "heightOfStation",
    "heightOfBarometerAboveMeanSeaLevel",
)
"""Elements of a station's height in m, the preferred one first."""
LOWEST, HIGHEST = -450.0, 9000.0
"""Heights in m that a station may have: from below the Dead Sea's shore to above all summits."""
STATION_ELEMENTS = frozenset(
    {*_CLOCK, *_NUMBERS, *_TEXTS, *_WIGOS, *_HEIGHTS}
    | {"latitude", "longitude", "blockNumber", "stationNumber"}
)
"""Elements from which :func:`reporting_station` takes the head of a report."""


@dataclass(frozen=True)
class ReportingStation:
    """The head of a SYNOP, SHIP, BUOY or TEMP report.

    ``identifier`` is empty where the station has none of its own; ``lat`` and ``lon`` are in
    degrees, ``time`` is UTC. ``dated_by_header`` says that the report lacks a part of its date,
    which is the message's. ``height`` is in m above mean sea level, NaN where it is not given.
    """

    identifier: str
    time: np.datetime64
    lat: float
    lon: float
    dated_by_header: bool = False
    height: float = np.nan

    @property
    def vessel(self) -> str:
        """``ship`` or ``buoy``: buoys are numbered, ships have call signs."""
        return "buoy" if self.identifier.isdecimal() else "ship"


def reporting_station(subset: Subset, header: BufrHeader | None = None) -> ReportingStation:
    """Return the head of the report in a subset of a message with some ``header``.

    The first of each element counts; later ones are of levels or of other moments.
    """
    head: dict[str, float | str] = {}
    for name, value in subset:
        if name in STATION_ELEMENTS and name not in head:
            head[name] = value

    def number(name: str) -> float:
        return head.get(name, np.nan)

    lat, lon = number("latitude"), number("longitude")
    about = np.datetime64(header.time if header else None, "us")
    time, completed = complete_time(
        [number(name) for name in _CLOCK], about, header is None or header.century
    )
    heights = (number(name) for name in _HEIGHTS)
    height = next((value for value in heights if LOWEST <= value <= HIGHEST), np.nan)
    block, index = number("blockNumber"), number("stationNumber")
    if block > 0 and index == index:  # unequal to itself where NaN
        identifier = f"{block:02.0f}{index:03.0f}"
        return ReportingStation(identifier, time, lat, lon, completed, height)
    numbers = (number(name) for name in _NUMBERS)
    identifier = next((f"{value:.0f}" for value in numbers if value == value), "")
    if head.get(_WIGOS[-1]) and not identifier:
        parts = (f"{number(name):.0f}" for name in _WIGOS[:-1])
        identifier = "-".join([*parts, str(head[_WIGOS[-1]])])
    identifier = identifier or next((str(head[name]) for name in _TEXTS if head.get(name)), "")
    own = "" if identifier.upper() in SHARED_NAMES else identifier
    return ReportingStation(own, time, lat, lon, completed, height)


@dataclass(frozen=True)
class Report:
    """One report, which becomes one footprint.

    Attributes
    ----------
    time : np.datetime64
        UTC, NaT where it is no date.
    lat, lon : float
        Degrees.
    platform : str
        Name of the platform.
    station : str
        The station that made it, empty where others go by its name.
    values : np.ndarray
        Values ``(channel,)``.
    period : tuple[np.datetime64, np.datetime64]
        First and last time that the report may have.
    azimuth : float
        Degrees from north.
    height : float
        Of the station, in m above mean sea level.
    reason : Reason
        The reason that the report itself gives for not being used.
    update : int
        Number of the correction that the report is, 0 of a first report.
    """

    time: np.datetime64
    lat: float
    lon: float
    platform: str
    station: str
    values: np.ndarray
    period: tuple[np.datetime64, np.datetime64]
    azimuth: float = np.nan
    height: float = np.nan
    reason: Reason = Reason.USED
    update: int = 0


def period_about(message: BufrMessage, time: np.datetime64) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last time that a report of a message may have.

    It is a day about the header's time, in the century of the report's own ``time`` where the
    header gives none; all of time where the header has no date.
    """
    header = message.header
    if header is None or header.time is None:
        return _EVER
    middle = header.time_near(time)
    return middle - DAY, middle + DAY


def footprints_of_reports(
    reports: Sequence[Report], files: Sequence[str], channels: Sequence[str]
) -> pa.Table:
    """Build the footprint table of reports, with the reasons that they themselves give.

    Parameters
    ----------
    reports : Sequence[Report]
        The reports, one or more.
    files : Sequence[str]
        Name of the file of each.
    channels : Sequence[str]
        Names of their channels.

    Returns
    -------
    pa.Table
        The footprint table, rows in the order of the reports.
    """
    values = np.stack([report.values for report in reports]).astype(np.float32)
    columns = {
        name: np.array([getattr(report, name) for report in reports], np.float32)
        for name in ("lat", "lon", "azimuth", "height")
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
    footprints = footprints_of_granule(channels, values, columns, (first, last), "", "")
    rejected = footprint_table.column_values(footprints, "rejected").copy()
    good = rejected == Reason.USED
    rejected[good] = np.array([report.reason for report in reports], np.uint8)[good]
    footprints = footprint_table.replace_values(
        footprints, footprint_table.values_of(footprints), rejected
    )
    # one platform and file a granule is what the table's builder takes; reports have their own
    for name, texts in (("platform", [report.platform for report in reports]), ("file", files)):
        footprints = footprints.set_column(
            footprints.schema.get_field_index(name),
            footprints.schema.field(name),
            pa.array(texts, pa.string()).dictionary_encode(),
        )
    return footprints


@dataclass
class ReportCollector:
    """Reports of many files, gathered into granules of some thousand.

    Refusals are gathered too, and reported once for each file, reason and message.
    """

    channels: Sequence[str]
    reports: list[Report] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    refused: Counter = field(default_factory=Counter)
    values: Counter = field(default_factory=Counter)

    def add(self, file: str, report: Report) -> None:
        """Add a report of a file."""
        self.reports.append(report)
        self.files.append(file)

    def lose(self, file: str, time: np.datetime64, channel: str, reason: Reason) -> None:
        """Count a single value that is not read, or a remark on one.

        Parameters
        ----------
        file : str
            Name of the file.
        time : np.datetime64
            Time of the report.
        channel : str
            Name of the channel, or of the column that a remark is about.
        reason : Reason
            The reason.
        """
        self.values[file, day_of(time), channel, reason] += 1

    def remark_on_date(self, file: str, message: BufrMessage, station: ReportingStation) -> None:
        """Count a report whose date is not given twice.

        Parameters
        ----------
        file : str
            Name of the file.
        message : BufrMessage
            The message, whose header may lack a date.
        station : ReportingStation
            The head of the report, which may have the header's date.
        """
        if np.isnat(station.time):
            return
        if station.dated_by_header:
            self.lose(file, station.time, "time", Reason.HEADER_DATE)
        elif message.header is None or message.header.time is None:
            self.lose(file, station.time, "time", Reason.BODY_DATE)

    def refuse(self, file: str, reason: Reason, message: str, count: int) -> None:
        """Add a refusal.

        Parameters
        ----------
        file : str
            Name of the file.
        reason : Reason
            The reason.
        message : str
            More about the reason.
        count : int
            Reports that are lost.
        """
        self.refused[file, reason, message] += count

    def refuse_message(self, file: str, message: BufrMessage, why: str) -> None:
        """Add a message that cannot be decoded.

        Parameters
        ----------
        file : str
            Name of the file.
        message : BufrMessage
            The message.
        why : str
            The reason why it cannot be decoded.
        """
        text = f"message at octet {message.offset}: {why}"
        self.refuse(file, Reason.UNREADABLE, text, message.subsets)

    def granules(self, rest: bool = False) -> Iterator[Granule]:
        """Yield the refusals so far, and the reports once there are enough of them.

        With ``rest`` all reports that are left are yielded. They come in the order of time and
        station; of those that share both, the last correction first, and then the one with most
        values.
        """
        for (file, reason, message), count in self.refused.items():
            yield Granule(file, reason=reason, message=message, count=count)
        self.refused.clear()
        if len(self.reports) < (1 if rest else ROWS):
            return
        # duplicates become neighbours, the fullest first: the quality control keeps the first
        times = np.array([report.time for report in self.reports], "datetime64[us]")
        order = np.lexsort(
            (
                [-np.isfinite(report.values).sum() for report in self.reports],
                [-report.update for report in self.reports],
                [report.station for report in self.reports],
                times,
            )
        )
        reports = [self.reports[i] for i in order]
        files = [self.files[i] for i in order]
        self.reports = []
        self.files = []
        footprints = footprints_of_reports(reports, files, self.channels)
        values = tuple(ValueCount(*key, count) for key, count in self.values.items())
        self.values.clear()
        yield Granule(files[0], footprints=footprints, count=len(reports), values=values)


def messages_of_category(
    path: Path, process: DecodingProcess, collector: ReportCollector, category: int
) -> Iterator[tuple[BufrMessage, Any]]:
    """Decode the messages of one category in a file.

    Parameters
    ----------
    path : Path
        The file.
    process : DecodingProcess
        Decodes a message.
    collector : ReportCollector
        Refusals are added to it: of messages of other categories, of damaged ones, and of files
        without a message.
    category : int
        Data category, BUFR Table A.

    Yields
    ------
    message : BufrMessage
        The message.
    result : Any
        The result of decoding it.
    """
    try:
        messages = list(read_messages(path))
    except OSError as error:
        collector.refuse(path.name, Reason.UNREADABLE, str(error), 0)
        return
    if not messages:
        why = "no BUFR message" if path.stat().st_size else "zero bytes"
        collector.refuse(path.name, Reason.EMPTY, why, 0)
    for message in messages:
        if message.damage:
            collector.refuse_message(path.name, message, message.damage)
        elif message.header and message.header.category != category:
            why = f"BUFR of category {message.header.category}, expected {category}"
            collector.refuse(path.name, Reason.PLATFORM, why, message.subsets)
        elif message.hollow:  # nothing to lose, and ecCodes would fail on it
            why = f"message at octet {message.offset}: no subset"
            collector.refuse(path.name, Reason.EMPTY, why, 0)
        else:
            result = process(message.data)
            if isinstance(result, DecodingFailure):
                collector.refuse_message(path.name, message, result.why)
            else:
                yield message, result
