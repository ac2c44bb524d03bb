"""Fetch IBTrACS, the best tracks of tropical cyclones, from NCEI's public folder of CSV files.

Names of files and columns: IBTrACS version 4, Column Documentation (NCEI).
"""

import logging
from pathlib import Path

import requests

from fuxiflow.archive.fetching import fill
from fuxiflow.archive.findings import ProviderReport, lacking
from fuxiflow.archive.needs import BEST_TRACKS, WHOLE
from fuxiflow.archive.orders import Order
from fuxiflow.archive.raw_store import STORE, MonthFolder
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.transfer import Fetched, fetch, get_range, ranged_length
from fuxiflow.config.archives import BestTrackArchive

COLUMNS = (
    *("SID", "SEASON", "BASIN", "NAME", "ISO_TIME", "NATURE", "LAT", "LON"),
    *("WMO_WIND", "WMO_PRES", "USA_WIND", "USA_PRES"),
)
"""Columns that are read."""
_HEAD = 1 << 14  # bytes that hold the names and units of the columns, and some fixes


def file_address(archive: BestTrackArchive) -> str:
    """Return the address of the file of an archive's part and version."""
    return f"{archive.url}/csv/ibtracs.{archive.part}.list.{archive.version}.csv"


def fetch_best_tracks(archive: BestTrackArchive, log: logging.Logger, store: Path = STORE) -> Path:
    """Fetch the file into the raw store, unless it is there.

    Parameters
    ----------
    archive : BestTrackArchive
        Address, part and version.
    log : logging.Logger
        Takes progress.
    store : Path
        The raw store.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DownloadError
        When there is no such file, or it has not the columns of IBTrACS.
    """
    folder = MonthFolder(store, BEST_TRACKS, WHOLE)
    with folder.locked():
        return fill_best_tracks(folder, archive, log)


def fill_best_tracks(folder: MonthFolder, archive: BestTrackArchive, log: logging.Logger) -> Path:
    """Fetch the file into its folder, which is locked, unless it is there.

    Parameters
    ----------
    folder : MonthFolder
        The folder of best tracks.
    archive : BestTrackArchive
        Address, part and version.
    log : logging.Logger
        Takes progress.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DownloadError
        When there is no such file, or it has not the columns of IBTrACS.
    """
    url = file_address(archive)
    name = url.rpartition("/")[2]

    def download(session: requests.Session, target: Path) -> Fetched:
        try:
            fetched = fetch(session, url, target)
        except Absent:
            raise DownloadError(
                f"{url}: there is none (status 404); are url, version and part of ibtracs in "
                "config/archive.yaml right?"
            ) from None
        with open(fetched.path, "rb") as file:
            complaint = lacking_columns(file.read(_HEAD))
        if complaint:
            fetched.path.unlink()
            raise DownloadError(f"{url}: no IBTrACS: {complaint}")
        return fetched

    if name not in folder.manifest.files:
        fill(folder, [Order(name, url, {}, download)], log, workers=1)
    return folder.path / name


def lacking_columns(head: bytes) -> str:
    """Say which columns the beginning of a file lacks; empty where it has all."""
    names = head.decode("utf-8", "replace").partition("\n")[0].strip().split(",")
    return lacking(name for name in COLUMNS if name not in names)


def check_best_tracks(
    session: requests.Session, report: ProviderReport, archive: BestTrackArchive
) -> None:
    """Compare the file with what is read of it.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    archive : BestTrackArchive
        Address, part and version.
    """
    url = file_address(archive)
    length = ranged_length(session, url)
    report.expect("byte ranges are answered", "" if length else "they are not", matters=False)
    if not length:
        return
    head = get_range(session, url, 0, min(_HEAD, length))
    complaint = lacking_columns(head)
    report.expect("columns of IBTrACS version 4", complaint)
    if complaint:
        return
    tail = get_range(session, url, max(length - _HEAD, 0), length).decode("utf-8", "replace")
    place = head.decode("utf-8", "replace").partition("\n")[0].split(",").index("ISO_TIME")
    rows = [line.split(",") for line in tail.splitlines()[1:] if line.count(",") > place]
    report.newest_day = max((row[place][:10] for row in rows), default="")
