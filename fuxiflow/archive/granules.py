"""Download level-1 granules from a public bucket with one folder for each product and day."""

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import requests

from fuxiflow.archive.listings import WRONG_ADDRESS, has_objects, list_objects
from fuxiflow.archive.retries import DownloadError
from fuxiflow.archive.transfer import Download, Fetched, fetch
from fuxiflow.config.archives import GranuleArchive

log = logging.getLogger(__name__)


def object_download(url: str, key: str, length: int) -> Download:
    """Return the download of one object of a bucket.

    Parameters
    ----------
    url : str
        Address of the bucket.
    key : str
        Key of the object; its last part is the name of the file.
    length : int
        Length in bytes.

    Returns
    -------
    Download
        Name and download.
    """

    def download(session: requests.Session, target: Path) -> Fetched:
        return fetch(session, f"{url}/{key}", target, length)

    return key.rpartition("/")[2], download


def granule_downloads(
    session: requests.Session, archive: GranuleArchive, day: date
) -> Iterator[Download]:
    """Yield the downloads of all granules of a day.

    A day without granules is a gap. A product of which the bucket has nothing at all is an error.

    Parameters
    ----------
    session : requests.Session
        For listing the bucket.
    archive : GranuleArchive
        Address and products.
    day : date
        The day whose folders are loaded.

    Returns
    -------
    Iterator of Download
        Names and downloads.

    Raises
    ------
    DownloadError
        When a product is not there, or the address is not that of a bucket.
    """
    listed = {
        product: list(list_objects(session, archive.url, f"{product}/{day:%Y/%m/%d}/"))
        for product in archive.products
    }
    for product, entries in listed.items():
        if entries:
            continue
        if not has_objects(session, archive.url, f"{product}/"):
            raise DownloadError(
                f"{archive.url}: the bucket has no product {product}; {WRONG_ADDRESS} Is that the "
                "product's name there?"
            )
        if any(listed.values()):
            others = ", ".join(name for name in listed if listed[name])
            log.warning(
                "%s: on %s there is nothing of %s, but of %s: what cannot be read without it is "
                "lost",
                archive.url,
                day,
                product,
                others,
            )
    for entries in listed.values():
        for key, length in entries:
            yield object_download(archive.url, key, length)
