"""GFS files of a public bucket: which, and the byte ranges of the messages that are channels.

The inventories are those that wgrib2 writes: ``number:offset:d=YYYYMMDDHH:parameter:level:step:``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import requests

from fuxiflow.archive.transfer import DownloadError, Task, fetch_ranges, get_whole
from fuxiflow.channels import Channel, ChannelTable
from fuxiflow.times import STEP_HOURS, times

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
    """One line of an inventory; ``end`` is where the next message starts, None for the last."""

    start: int
    end: int | None
    parameter: str
    level: str
    step: str


def file_path(init: datetime, lead: int, resolution: str) -> str:
    """A file's path in the bucket, and under the segment's folder."""
    return f"gfs.{init:%Y%m%d}/{init:%H}/atmos/gfs.t{init:%H}z.pgrb2.{resolution}.f{lead:03d}"


def segment_files(
    start: date,
    end: date,
    forecast_days: tuple[date, date] | None,
    init_hours: Iterable[int],
    max_lead_hours: int,
) -> Iterator[tuple[datetime, int]]:
    """Initial time and lead in hours of all files of a segment.

    Analyses are 6-hourly from ``start`` to ``end``; forecasts start at ``init_hours`` of the ``forecast_days``, first
    and last, None for no forecasts.
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
    """The messages of an inventory; :class:`DownloadError` naming the line that is not one."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.split(":")
        if len(parts) < 6 or not parts[1].isdigit():
            raise DownloadError(
                f"{url}, line {number}: not a line of a GRIB inventory: {line[:60]!r}"
            )
        rows.append((int(parts[1]), *parts[3:6]))
    # sub-messages share an offset with the message they are in, so the end is the next *larger* offset
    offsets = sorted({row[0] for row in rows})
    ends = dict(zip(offsets, [*offsets[1:], None], strict=True))
    return [InventoryLine(row[0], ends[row[0]], *row[1:]) for row in rows]


def _level(channel: Channel) -> str:
    """A channel's level in the words of an inventory (GRIB2 code table 4.5)."""
    match channel.gfs_surface:
        case 100:
            return f"{channel.gfs_level} mb"
        case 103:
            return f"{channel.gfs_level} m above ground"
        case 101:
            return "mean sea level"
        case 1:
            return "surface"
    raise KeyError(f"channel {channel.name}: GFS surface type {channel.gfs_surface} is not known")


def select_ranges(
    messages: Iterable[InventoryLine], channels: ChannelTable, lead: int, url: str
) -> list[tuple[int, int | None]]:
    """Byte ranges of the channels; :class:`DownloadError` lists the channels that are not in the file.

    Precipitation is the sum over the six hours that end at ``lead`` and is absent from an analysis.
    """
    by_name = {(m.parameter, m.level, m.step): m for m in messages}
    ranges, lacking = [], []
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


def gfs_task(base: str, resolution: str, channels: ChannelTable, init: datetime, lead: int) -> Task:
    """The download of one file's channels."""
    name = file_path(init, lead, resolution)
    url = f"{base}/{name}"

    def download(session: requests.Session, target: Path) -> Path:
        if target.exists():
            return target
        index = get_whole(session, f"{url}.idx").text
        return fetch_ranges(
            session,
            url,
            target,
            select_ranges(parse_index(index, f"{url}.idx"), channels, lead, url),
        )

    return name, download
