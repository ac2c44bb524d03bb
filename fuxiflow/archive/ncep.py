"""Download NCEP's BUFR of NNJA, NOAA's and NASA's joint archive: one file a cycle of six hours.

Layout: ``{url}/{data set}/YYYY/MM/bufr/gdas.YYYYMMDD.tHHz.{name}.tm00.bufr_d``, of PrepBUFR
``{url}/{data set}/YYYY/MM/prepbufr/gdas.YYYYMMDD.tHHz.prepbufr.nr``. A file holds observations from
three hours before its cycle to three hours after.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import requests

from fuxiflow.archive.granules import object_download
from fuxiflow.archive.listings import WRONG_ADDRESS, has_objects, list_objects
from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import Download
from fuxiflow.config.archives import NcepArchive

_CYCLE = re.compile(r"\.(\d{8})\.t(\d{2})z\.")
# asked on every day on which there is nothing
_is_there = cache(has_objects)


def ncep_downloads(
    session: requests.Session, archive: NcepArchive, day: date
) -> Iterator[Download]:
    """Yield the downloads of the files that hold observations of a day.

    They are those of its four cycles, and that of the next day's first cycle, which begins at
    21 UTC. A day without files is a gap. A data set that is not there at all is an error.

    Parameters
    ----------
    session : requests.Session
        For listing the bucket.
    archive : NcepArchive
        Address and data sets.
    day : date
        The day, by the times of the observations.

    Returns
    -------
    Iterator of Download
        Names and downloads.

    Raises
    ------
    DownloadError
        When a data set is not there, or the address is not that of a bucket.
    """
    after = day + timedelta(days=1)
    cycles = {(f"{day:%Y%m%d}", hour) for hour in ("00", "06", "12", "18")}
    cycles.add((f"{after:%Y%m%d}", "00"))
    for data_set in archive.data_sets:
        count = 0
        for month in sorted({f"{moment:%Y/%m}" for moment in (day, after)}):
            for key, length in list_objects(session, archive.url, f"{data_set}/{month}/"):
                match = _CYCLE.search(key.rpartition("/")[2])
                if match and match.groups() in cycles:
                    count += 1
                    yield object_download(archive.url, key, length)
        if not count and not _is_there(session, archive.url, f"{data_set}/"):
            raise DownloadError(
                f"{archive.url}: the bucket has nothing below {data_set}; {WRONG_ADDRESS} Is that "
                "the data set's folder there?"
            )
