"""Download level-1 granules from a public bucket with one folder for each product and day."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree

import requests

from fuxiflow.archive.transfer import Download, DownloadError, fetch, get_whole
from fuxiflow.config.archives import GranuleArchive


def list_objects(session: requests.Session, base: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the objects of a bucket under a prefix, page by page (S3 ``ListObjectsV2``).

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    base : str
        Address of the bucket.
    prefix : str
        Beginning of the keys.

    Returns
    -------
    Iterator of tuple
        Key and length in bytes.

    Raises
    ------
    DownloadError
        When the answer is not such a list.
    """
    parameters = {"list-type": "2", "prefix": prefix}
    while True:
        text = get_whole(session, f"{base}/", **parameters).text
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise DownloadError(f"{base}/?prefix={prefix}: not a listing ({error})") from error
        for item in root.iterfind("{*}Contents"):
            yield item.findtext("{*}Key"), int(item.findtext("{*}Size"))
        token = root.findtext("{*}NextContinuationToken")
        if not token:
            return
        parameters["continuation-token"] = token


def _granule_download(archive: GranuleArchive, key: str, length: int) -> Download:
    """Return the download of one granule.

    Parameters
    ----------
    archive : GranuleArchive
        The bucket.
    key : str
        Key of the granule; its last part is the name of the file.
    length : int
        Length in bytes.

    Returns
    -------
    Download
        Name and download.
    """

    def download(session: requests.Session, target: Path) -> Path:
        return fetch(session, f"{archive.url}/{key}", target, length)

    return key.rpartition("/")[2], download


def granule_downloads(
    session: requests.Session, archive: GranuleArchive, start: date, end: date
) -> Iterator[Download]:
    """Yield the downloads of all granules of some days.

    Parameters
    ----------
    session : requests.Session
        For listing the bucket.
    archive : GranuleArchive
        Address and products.
    start, end : date
        First and last day, both included, whose folders are loaded.

    Returns
    -------
    Iterator of Download
        Names and downloads.
    """
    day = start
    while day <= end:
        for product in archive.products:
            for key, length in list_objects(session, archive.url, f"{product}/{day:%Y/%m/%d}/"):
                yield _granule_download(archive, key, length)
        day += timedelta(days=1)
