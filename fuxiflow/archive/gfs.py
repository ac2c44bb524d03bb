"""Download the channels of GFS files from a public bucket, by byte ranges.

The inventories are those that wgrib2 writes: ``number:offset:d=YYYYMMDDHH:parameter:level:step:``.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import requests

from fuxiflow.archive.listings import list_objects
from fuxiflow.archive.retries import Absent, Changed, DownloadError
from fuxiflow.archive.transfer import (
    Download,
    Fetched,
    Range,
    fetch,
    fetch_ranges,
    get_whole,
    kept,
)
from fuxiflow.channels import Channel, ChannelTable
from fuxiflow.config.archives import GfsArchive
from fuxiflow.times import STEP_HOURS, times

log = logging.getLogger(__name__)
ATMOS_FOLDER_SINCE = datetime(2021, 3, 22, 12)
"""First cycle whose files lie in a folder ``atmos``, UTC."""
VERSIONS = 3
"""Times that a file is begun which is replaced while it is loaded."""
# NCEP's abbreviations by (discipline, category, number) of GRIB2, tables 4.2-0-*
ABBREVIATIONS = {
    (0, 0, 0): "TMP",
    (0, 1, 1): "RH",
    (0, 1, 8): "APCP",
    (0, 2, 2): "UGRD",
    (0, 2, 3): "VGRD",
    (0, 3, 1): "PRMSL",
    (0, 3, 5): "HGT",
}


@dataclass(frozen=True)
class InventoryLine:
    """One line of an inventory: a message and its bytes.

    ``end`` is where the next message starts, None for the last.
    """

    start: int
    end: int | None
    parameter: str
    level: str
    step: str


def file_path(init: datetime, lead: int, resolution: str) -> str:
    """Return a file's path in the bucket, which is that under the segment's folder too.

    Parameters
    ----------
    init : datetime
        Initial time, UTC.
    lead : int
        Lead in hours.
    resolution : str
        Resolution as in the file's name, such as ``0p25``.

    Returns
    -------
    str
        The path.
    """
    return f"gfs.{init:%Y%m%d}/{init:%H}/atmos/gfs.t{init:%H}z.pgrb2.{resolution}.f{lead:03d}"


def segment_files(
    start: date,
    end: date,
    forecast_days: tuple[date, date] | None,
    init_hours: Iterable[int],
    max_lead_hours: int,
) -> Iterator[tuple[datetime, int]]:
    """Yield initial time and lead of all files of a segment.

    Parameters
    ----------
    start, end : date
        First and last day of the 6-hourly analyses, both included.
    forecast_days : tuple of date or None
        First and last day from which forecasts start; None for no forecasts.
    init_hours : Iterable[int]
        Hours of the day, UTC, at which forecasts start.
    max_lead_hours : int
        Last lead of a forecast.

    Returns
    -------
    Iterator of tuple
        Initial time and lead in hours.
    """
    for init in times(start, end):
        forecast = (
            forecast_days
            and forecast_days[0] <= init.date() <= forecast_days[1]
            and init.hour in init_hours
        )
        for lead in range(0, max_lead_hours + 1 if forecast else 1, STEP_HOURS):
            yield init, lead


def parse_index(text: str, url: str) -> list[InventoryLine]:
    """Parse an inventory; raise :class:`DownloadError` naming a line that cannot be one of it."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.split(":")
        if len(parts) < 6 or not parts[1].isdigit():
            raise DownloadError(
                f"{url}, line {number}: not a line of a GRIB inventory: {line[:60]!r}"
            )
        rows.append((int(parts[1]), *parts[3:6]))
    # sub-messages share the offset of the message they are in: the end is the next larger offset
    offsets = sorted({row[0] for row in rows})
    ends = dict(zip(offsets, [*offsets[1:], None], strict=True))
    return [InventoryLine(row[0], ends[row[0]], *row[1:]) for row in rows]


def _level(channel: Channel) -> str:
    """Return a channel's level in the words of an inventory (GRIB2 code table 4.5)."""
    match channel.gfs_surface:
        case 100:
            return f"{channel.gfs_level} mb"
        case 103:
            return f"{channel.gfs_level} m above ground"
        case 101:
            return "mean sea level"
        case 1:
            return "surface"
    raise KeyError(f"channel {channel.name}: unknown GFS surface type {channel.gfs_surface}")


def field_name(channel: Channel) -> str:
    """Return a channel's name in an inventory: parameter and level, such as ``TMP:500 mb``."""
    key = (channel.gfs_discipline, channel.gfs_category, channel.gfs_number)
    return f"{ABBREVIATIONS[key]}:{_level(channel)}"


def select_ranges(
    messages: Iterable[InventoryLine], channels: ChannelTable, lead: int, url: str
) -> list[tuple[int, int | None]]:
    """Return the byte ranges of the channels of a file.

    Precipitation is the sum over the six hours that end at the lead; an analysis has none.

    Parameters
    ----------
    messages : Iterable[InventoryLine]
        The file's inventory.
    channels : ChannelTable
        Channels of the state.
    lead : int
        Lead of the file in hours.
    url : str
        The file's address, for messages.

    Returns
    -------
    list of tuple
        First byte and the byte after the last, None for the rest of the file.

    Raises
    ------
    DownloadError
        With the channels that are not in the file.
    """
    by_name = {(m.parameter, m.level, m.step): m for m in messages}
    ranges: list[tuple[int, int | None]] = []
    lacking: list[str] = []
    for channel in channels:
        if not channel.analysed and lead == 0:
            continue
        key = (
            ABBREVIATIONS.get((channel.gfs_discipline, channel.gfs_category, channel.gfs_number)),
            _level(channel),
        )
        if channel.analysed:
            step = "anl" if lead == 0 else f"{lead} hour fcst"
        else:
            step = f"{lead - STEP_HOURS}-{lead} hour acc fcst"
        message = by_name.get((*key, step))
        if message is None:
            lacking.append(f"{channel.name} ({key[0]}:{key[1]}:{step})")
        else:
            ranges.append((message.start, message.end))
    if lacking:
        raise DownloadError(
            f"{url}: the inventory lacks {', '.join(lacking[:5])}"
            + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        )
    return ranges


def remote_paths(init: datetime, lead: int, resolution: str) -> list[str]:
    """Return the places of a file in the bucket, the likely one first.

    NCEP put the files into a folder ``atmos`` with version 16 of the model.

    Parameters
    ----------
    init : datetime
        Initial time, UTC.
    lead : int
        Lead in hours.
    resolution : str
        Resolution as in the file's name, such as ``0p25``.

    Returns
    -------
    list of str
        The paths.
    """
    later = file_path(init, lead, resolution)
    earlier = later.replace("/atmos/", "/")
    return [earlier, later] if init < ATMOS_FOLDER_SINCE else [later, earlier]


def check_messages(path: Path, ranges: list[Range]) -> None:
    """Raise :class:`Changed` unless byte ranges are whole GRIB messages.

    They are not where the inventory is of another version of the file. A file without any GRIB is
    left to the reader, which says what it is.

    Parameters
    ----------
    path : Path
        The ranges, one after the other.
    ranges : list of Range
        Where they were in the archive's file.
    """
    edges = []
    with open(path, "rb") as file:
        for start, end in ranges:
            first = file.read(4)
            file.seek(end - start - 8, os.SEEK_CUR)
            edges.append((start, first, file.read(4)))
    if not any(first == b"GRIB" for _, first, _ in edges):
        return
    for start, first, last in edges:
        if (first, last) != (b"GRIB", b"7777"):
            raise Changed(
                f"{path.name}: what the inventory has at byte {start} is no GRIB message: "
                "inventory and file are of different versions"
            )


def _find_inventory(
    session: requests.Session, archive: GfsArchive, places: list[str]
) -> tuple[str, str | None]:
    """Return address and inventory of the first place that has a file.

    That a file is absent is believed if the bucket's listing says so too.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    archive : GfsArchive
        The bucket.
    places : list of str
        Paths in the bucket.

    Returns
    -------
    tuple
        Address and inventory; None for the latter where the bucket has the file without it.

    Raises
    ------
    Absent
        When the bucket has none of them.
    DownloadError
        When the address is not that of a bucket, which is no gap.
    """
    for place in places:
        url = f"{archive.url}/{place}"
        try:
            return url, get_whole(session, f"{url}.idx").text
        except Absent:
            continue
    for place in places:
        listed = {key for key, _ in list_objects(session, archive.url, place)}
        if place in listed:
            return f"{archive.url}/{place}", None
    raise Absent(f"{archive.url}/{places[0]}")


def of_one_version(
    load: Callable[[requests.Session, Path], Fetched],
) -> Callable[[requests.Session, Path], Fetched]:
    """Return a download that begins again where inventory and file are of different versions.

    ``load`` loads the inventory, and what it names, to a path.
    """

    def download(session: requests.Session, target: Path) -> Fetched:
        for _ in range(VERSIONS - 1):
            try:
                return load(session, target)
            except Changed as error:
                log.warning("%s; inventory and file are loaded anew", error)
        return load(session, target)

    return download


def gfs_download(
    archive: GfsArchive, channels: ChannelTable, init: datetime, lead: int
) -> Download:
    """Return the download of the channels of one file.

    Parameters
    ----------
    archive : GfsArchive
        The bucket and the resolution of its files.
    channels : ChannelTable
        Channels of the state.
    init : datetime
        Initial time, UTC.
    lead : int
        Lead in hours.

    Returns
    -------
    Download
        Name and download.
    """
    places = remote_paths(init, lead, archive.resolution)

    def load(session: requests.Session, target: Path) -> Fetched:
        url, index = _find_inventory(session, archive, places)
        if index is None:
            log.warning("%s: there is no inventory (.idx), so the whole file is loaded", url)
            return fetch(session, url, target)
        ranges = select_ranges(parse_index(index, f"{url}.idx"), channels, lead, url)
        return fetch_ranges(session, url, target, ranges, check_messages)

    load_anew = of_one_version(load)

    def download(session: requests.Session, target: Path) -> Fetched:
        if target.exists():
            return kept(target, f"{archive.url}/{places[0]}")
        return load_anew(session, target)

    return file_path(init, lead, archive.resolution), download
