"""Findings about buckets of forecasts in GRIB 2 with an index: GFS, and ECMWF's open data.

What is expected: NOAA's registry page of GFS; ECMWF, "Open data: real-time forecasts".
"""

import re
from datetime import datetime

import requests

from fuxiflow.archive import gfs
from fuxiflow.archive.bucket_findings import spell_days
from fuxiflow.archive.findings import ProviderReport, lacking, outside_period
from fuxiflow.archive.listings import list_folders
from fuxiflow.archive.open_data import (
    choose_messages,
    fields_of_stores,
    find_index,
    index_address,
    parse_json_lines,
    step_paths,
)
from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import get_range, get_whole
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import GfsArchive, OpenDataArchive

GRID_OF_OPEN_DATA = (1440, 721, 90.0, 180.0)
"""Columns, rows, and latitude and longitude of the first point."""


def check_gfs(
    session: requests.Session,
    report: ProviderReport,
    archive: GfsArchive,
    days: tuple[str, str] | None,
) -> None:
    """Compare a bucket of GFS with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : GfsArchive
        Address and resolution.
    days : tuple of str or None
        First and last day that are needed.
    """
    there = _days_of_folders(session, archive.url, "gfs.")
    report.expect("folders gfs.YYYYMMDD", "" if there else "there are none")
    if not there:
        return
    report.newest_day = there[-1]
    report.expect(f"days {spell_days(days)}", outside_period(there[0], there[-1], days))
    init = _whole_day(there)
    for lead in (0, 6):
        url = f"{archive.url}/{gfs.file_path(init, lead, archive.resolution)}"
        lines = gfs.parse_index(get_whole(session, f"{url}.idx").text, f"{url}.idx")
        try:
            ranges = gfs.select_ranges(lines, channel_table(), lead, url)
        except DownloadError as error:
            report.expect(f"all channels at {lead} h in .idx", str(error).removeprefix(f"{url}: "))
            continue
        report.expect(f"all channels at {lead} h in .idx")
        start, end = next((start, end) for start, end in ranges if end)
        _check_message(session, report, url, (start, end), f" at {lead} h where .idx has it")


def check_open_data(
    session: requests.Session, report: ProviderReport, archive: OpenDataArchive
) -> None:
    """Compare ECMWF's open data with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : OpenDataArchive
        Address, model and resolution.
    """
    there = _days_of_folders(session, archive.url, "", "2")
    report.expect("folders YYYYMMDD", "" if there else "there are none", assumed=True)
    if not there:
        return
    report.newest_day = there[-1]
    places = step_paths(archive, _whole_day(there), 6)
    url, text = find_index(session, archive, places)
    report.expect(
        f"files at {places[0]}",
        "" if url == f"{archive.url}/{places[0]}" else f"at {url}",
        assumed=True,
        matters=False,
    )
    index = index_address(url)
    messages = parse_json_lines(text, index)
    levels = {one.level for one in messages} - {None}
    report.expect(
        "the 13 levels of the channels",
        lacking(f"{one} hPa" for one in channel_table().pressure_levels if one not in levels),
        assumed=True,
        matters=False,
    )
    try:
        selected = choose_messages(messages, fields_of_stores(channel_table()), index)
    except DownloadError as error:
        report.expect("all channels in .index", str(error).removeprefix(f"{index}: "))
        return
    report.expect("all channels in .index")
    first = min(selected, key=lambda one: one.end - one.start)
    message = _check_message(session, report, url, (first.start, first.end), " where .index has it")
    if message:
        seen = grid_corner(message)
        report.expect(
            "1440 x 721 points from 90 north and 180 west",
            "" if seen == GRID_OF_OPEN_DATA else "{} x {} from {} and {}".format(*seen),
            assumed=True,
            matters=False,
        )


def _days_of_folders(
    session: requests.Session, url: str, prefix: str, beginning: str = ""
) -> list[str]:
    """List the days, in ISO form and in order, of which a bucket has a folder.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the bucket.
    prefix : str
        What stands before YYYYMMDD in the folders' names.
    beginning : str
        With which the day begins, so that fewer folders are listed.

    Returns
    -------
    list of str
        The days.
    """
    names = list_folders(session, url, f"{prefix}{beginning}")
    texts = [name.removeprefix(prefix) for name in names]
    return [f"{one[:4]}-{one[4:6]}-{one[6:]}" for one in texts if re.fullmatch(r"\d{8}", one)]


def _whole_day(days: list[str]) -> datetime:
    """Return the last day but one, as the newest may not have come whole."""
    return datetime.fromisoformat(days[max(len(days) - 2, 0)])


def _check_message(
    session: requests.Session,
    report: ProviderReport,
    url: str,
    place: tuple[int, int],
    words: str,
) -> bytes:
    """Load a message by its place, and see whether it is one of GRIB 2.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the finding.
    url : str
        Address of the file.
    place : tuple of int
        First byte, and the one after the last.
    words : str
        Where it is expected to be.

    Returns
    -------
    bytes
        The message, empty where it is none.
    """
    message = get_range(session, url, *place)
    whole = (message[:4], message[-4:]) == (b"GRIB", b"7777") and message[7] == 2
    report.expect(
        f"a message of GRIB 2{words}",
        "" if whole else "bytes {} to {} are none".format(*place),
    )
    return message if whole else b""


def grid_corner(message: bytes) -> tuple[int, int, float, float]:
    """Return columns, rows, and latitude and longitude of the first point (template 3.0 of GRIB 2).

    ``message`` is whole; all are 0 where it has no grid.
    """
    place = 16
    while place + 63 < len(message):
        length, kind = int.from_bytes(message[place : place + 4], "big"), message[place + 4]
        if kind == 3:
            section = message[place : place + length]
            columns, rows, lat, lon = (
                int.from_bytes(section[octet : octet + 4], "big") for octet in (30, 34, 46, 50)
            )
            return columns, rows, lat / 1e6, lon / 1e6
        if length < 5:
            break
        place += length
    return 0, 0, 0.0, 0.0
