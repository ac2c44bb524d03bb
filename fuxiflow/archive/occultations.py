"""Download radio occultations of the public bucket gnss-ro-data, one NetCDF file each.

Layouts of its versions: the bucket's Data Description (github.com/gnss-ro/aws-opendata). One centre
is asked for each mission, as several process the same occultations.
"""

from collections.abc import Iterator
from datetime import date
from functools import cache

import requests

from fuxiflow.archive.granules import object_download
from fuxiflow.archive.listings import WRONG_ADDRESS, has_objects, list_objects
from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import Download
from fuxiflow.config.archives import OccultationArchive

LEVELS = {"refractivityRetrieval": "l2a", "atmosphericRetrieval": "l2b"}
"""Names of file types in version 2.0, by those of version 1.1."""
SUFFIXES = (".nc", ".nc4")


def mission_folder(archive: OccultationArchive, mission: str, centre: str) -> str:
    """Return the beginning of the keys of a mission, with a slash at its end.

    Parameters
    ----------
    archive : OccultationArchive
        The bucket.
    mission, centre : str
        A mission, and who has processed it.

    Returns
    -------
    str
        By the layout of the archive's version.
    """
    kind = archive.filetype
    root = f"contributed/{archive.version}"
    if archive.version == "v1.1":
        return f"{root}/{centre}/{mission}/{kind}/"
    return f"{root}/gnssro_{mission}_{centre}_{LEVELS[kind]}/"


# asked on every day before a mission's first, and after its last
_is_there = cache(has_objects)


def occultation_downloads(
    session: requests.Session, archive: OccultationArchive, day: date
) -> Iterator[Download]:
    """Yield the downloads of all occultations of a day.

    A day without files is a gap. A mission of which the bucket has nothing at all is an error.

    Parameters
    ----------
    session : requests.Session
        For listing the bucket.
    archive : OccultationArchive
        Address, version, missions and their centres.
    day : date
        The day whose folders are loaded; it is one of GPS time, 18 s ahead of UTC.

    Returns
    -------
    Iterator of Download
        Names and downloads.

    Raises
    ------
    DownloadError
        When a mission is not there, or the address is not that of a bucket.
    """
    for entry in archive.missions:
        mission, centre = entry.split("/")
        folder = mission_folder(archive, mission, centre)
        count = 0
        for key, length in list_objects(session, archive.url, f"{folder}{day:%Y/%m/%d}/"):
            count += 1
            if key.endswith(SUFFIXES):
                yield object_download(archive.url, key, length)
        if not count and not _is_there(session, archive.url, folder):
            raise DownloadError(
                f"{archive.url}/{folder}: the bucket has nothing of the mission {mission} by the "
                f"centre {centre}; {WRONG_ADDRESS} Are version, filetype, mission and centre "
                "named as they are there?"
            )
