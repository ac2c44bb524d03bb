"""Level-1 granules of a public bucket: one folder a product and day, listed as S3 lists."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import requests

from fuxiflow.archive.transfer import DownloadError, Task, fetch, get_whole
from fuxiflow.config.archives import GranuleArchive


def list_objects(session: requests.Session, base: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Keys under ``prefix`` and their lengths in bytes, by pages (S3 ``ListObjectsV2``).

    Raises :class:`DownloadError` when the answer is not such a list.
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


def _download(session: requests.Session, target: Path, url: str, length: int) -> Path:
    return fetch(session, url, target, length)


def granule_tasks(
    session: requests.Session, archive: GranuleArchive, start: date, end: date
) -> Iterator[Task]:
    """The downloads of all granules whose folder is of a day from ``start`` to ``end``, both included."""
    day = start
    while day <= end:
        for product in archive.products:
            for key, length in list_objects(session, archive.url, f"{product}/{day:%Y/%m/%d}/"):
                yield (
                    key.rpartition("/")[2],
                    partial(_download, url=f"{archive.url}/{key}", length=length),
                )
        day += timedelta(days=1)
