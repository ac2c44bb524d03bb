"""Listings of buckets that speak S3, and what they say about files that are not there."""

from collections.abc import Iterator
from itertools import islice
from xml.etree import ElementTree

import requests

from fuxiflow.archive.retries import Absent, DownloadError, Incomplete, attempt
from fuxiflow.archive.transfer import get_whole

WRONG_ADDRESS = "is it the address of the bucket (config/archive.yaml)?"


def _page(session: requests.Session, base: str, parameters: dict) -> ElementTree.Element:
    """Return one page of a listing; DownloadError where the answer is another thing.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    base : str
        Address of the bucket.
    parameters : dict
        The query.

    Returns
    -------
    xml.etree.ElementTree.Element
        The root of the page.
    """
    place = f"{base}/?prefix={parameters['prefix']}"

    def action():
        text = get_whole(session, f"{base}/", **parameters).content
        try:
            return ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            if b"<ListBucketResult" in text:
                raise Incomplete(f"not a listing ({error})") from error
            raise DownloadError(f"{place}: not a listing ({error}); {WRONG_ADDRESS}") from error

    try:
        root = attempt(action, place)
    except Absent as error:
        raise DownloadError(
            f"{place}: there is no listing here (status 404); {WRONG_ADDRESS}"
        ) from error
    name = root.tag.rpartition("}")[2]
    if name != "ListBucketResult":
        words = root.findtext("{*}Code") or ""
        raise DownloadError(f"{place}: not a listing (<{name}> {words}); {WRONG_ADDRESS}")
    return root


def list_objects(session: requests.Session, base: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the objects of a bucket under a prefix, page by page (S3 ``ListObjectsV2``).

    A store that knows the first version of the listing alone is asked to go on after the last key.

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
        When the answer is not such a list, or is cut short without saying how to go on.
    """
    query = {"list-type": "2", "prefix": prefix}
    parameters = query
    last = ""
    while True:
        root = _page(session, base, parameters)
        page = [
            (item.findtext("{*}Key") or "", int(item.findtext("{*}Size") or 0))
            for item in root.iterfind("{*}Contents")
        ]
        # an object that stands for a folder has no bytes
        yield from (entry for entry in page if not entry[0].endswith("/"))
        token = root.findtext("{*}NextContinuationToken")
        if root.findtext("{*}IsTruncated") != "true" and not token:
            return
        before, last = last, max((key for key, _ in page), default="")
        if last <= before:
            raise DownloadError(
                f"{base}/?prefix={prefix}: the listing is cut short after {before!r} and does not "
                "go on"
            )
        after = {"continuation-token": token} if token else {"start-after": last, "marker": last}
        parameters = query | after


def has_objects(session: requests.Session, base: str, prefix: str) -> bool:
    """Return whether a bucket has anything under a prefix.

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
    bool
        Whether there is an object.
    """
    return any(True for _ in islice(list_objects(session, base, prefix), 1))
