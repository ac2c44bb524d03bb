"""Listings of buckets that speak S3, or Google's JSON, and what they say of files not there."""

from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests

from fuxiflow.archive.retries import Absent, DownloadError, Incomplete, Refused, attempt
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


def list_google_objects(
    session: requests.Session, base: str, prefix: str, most: int | None = None
) -> list[str] | None:
    """List the objects below a folder of a bucket of Google's, page by page (its JSON API).

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    base : str
        Address of a folder in a bucket: ``https://storage.googleapis.com/{bucket}/{folder}``.
    prefix : str
        Beginning of the keys, below the folder.
    most : int, optional
        Number of keys that will do; by default all are listed.

    Returns
    -------
    list of str or None
        Keys below the folder; None where the host has no such listing, as a plain mirror.

    Raises
    ------
    DownloadError
        When a listing breaks off.
    """
    place = urlsplit(base)
    bucket, _, folder = place.path.strip("/").partition("/")
    root = f"{folder}/" if folder else ""
    address = f"{place.scheme}://{place.netloc}/storage/v1/b/{bucket}/o"
    keys: list[str] = []
    query = {"prefix": f"{root}{prefix}", "fields": "items(name),nextPageToken"}
    if most:
        query["maxResults"] = str(most)
    token = ""
    while True:
        try:
            page = get_whole(session, address, **query).json()
            keys += [item["name"].removeprefix(root) for item in page.get("items", [])]
        except (Absent, Refused, ValueError, TypeError, KeyError, AttributeError) as error:
            if not token:
                return None
            raise DownloadError(f"{address}?prefix={query['prefix']}: {error!r}") from error
        before, token = token, page.get("nextPageToken", "")
        if not token or (most and len(keys) >= most):
            return keys
        if token == before:
            raise DownloadError(f"{address}?prefix={query['prefix']}: the listing does not go on")
        query["pageToken"] = token
