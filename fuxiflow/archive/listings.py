"""Listings of buckets that speak S3, or Google's JSON, and what they say of files not there."""

from collections.abc import Iterable, Iterator
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


def _pages(
    session: requests.Session, base: str, prefix: str, **further: str
) -> Iterator[ElementTree.Element]:
    """Yield the pages of a listing (S3 ``ListObjectsV2``).

    A store that knows the first version of the listing alone is asked to go on after the last key.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    base : str
        Address of the bucket.
    prefix : str
        Beginning of the keys.
    **further : str
        Further parameters of the query.

    Yields
    ------
    xml.etree.ElementTree.Element
        The root of a page.

    Raises
    ------
    DownloadError
        When the answer is not such a list, or is cut short without saying how to go on.
    """
    query = {"list-type": "2", "prefix": prefix} | further
    parameters = query
    last = ""
    while True:
        root = _page(session, base, parameters)
        yield root
        token = root.findtext("{*}NextContinuationToken")
        if root.findtext("{*}IsTruncated") != "true" and not token:
            return
        names = [*_texts(root, "Contents", "Key"), *_texts(root, "CommonPrefixes", "Prefix")]
        before, last = last, max(names, default="")
        if last <= before:
            raise DownloadError(
                f"{base}/?prefix={prefix}: the listing is cut short after {before!r} and does not "
                "go on"
            )
        after = {"continuation-token": token} if token else {"start-after": last, "marker": last}
        parameters = query | after


def _texts(root: ElementTree.Element, kind: str, member: str) -> list[str]:
    """Return a member of all entries of a kind.

    Parameters
    ----------
    root : xml.etree.ElementTree.Element
        A page of a listing.
    kind, member : str
        Names of the entries, and of the member.

    Returns
    -------
    list of str
        Texts.
    """
    return [item.findtext(f"{{*}}{member}") or "" for item in root.iterfind(f"{{*}}{kind}")]


def list_objects(session: requests.Session, base: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the objects of a bucket under a prefix, page by page.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    base : str
        Address of the bucket.
    prefix : str
        Beginning of the keys.

    Yields
    ------
    tuple
        Key and length in bytes.

    Raises
    ------
    DownloadError
        When the answer is not such a list, or is cut short without saying how to go on.
    """
    for root in _pages(session, base, prefix):
        keys, sizes = (_texts(root, "Contents", member) for member in ("Key", "Size"))
        for key, size in zip(keys, sizes, strict=True):
            # an object that stands for a folder has no bytes
            if not key.endswith("/"):
                yield key, int(size or 0)


def list_folders(session: requests.Session, base: str, prefix: str) -> list[str]:
    """List the names of the folders of a bucket that are directly below a prefix.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    base : str
        Address of the bucket.
    prefix : str
        Beginning of the folders, with a slash at its end where it is a folder itself.

    Returns
    -------
    list of str
        Names without the part before the last slash of the prefix, sorted.

    Raises
    ------
    DownloadError
        As :func:`list_objects`.
    """
    names: set[str] = set()
    for root in _pages(session, base, prefix, delimiter="/"):
        keys = [*_texts(root, "CommonPrefixes", "Prefix"), *_texts(root, "Contents", "Key")]
        names |= _first_folders(keys, prefix)
    return sorted(names)


def _first_folders(keys: Iterable[str], prefix: str) -> set[str]:
    """Return the first folders of keys after the last slash of a prefix."""
    start = prefix.rpartition("/")[0]
    parts = [key.removeprefix(f"{start}/" if start else "").partition("/") for key in keys]
    return {name for name, slash, _ in parts if slash}


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
    session: requests.Session,
    base: str,
    prefix: str,
    most: int | None = None,
    folders: bool = False,
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
    folders : bool
        Whether the names of the folders directly below ``prefix`` are listed instead.

    Returns
    -------
    list of str or None
        Keys below the folder, or names of folders; None where the host has no such listing, as a
        plain mirror.

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
    if folders:
        query |= {"delimiter": "/", "fields": "prefixes,items(name),nextPageToken"}
    if most:
        query["maxResults"] = str(most)
    token = ""
    while True:
        try:
            page = get_whole(session, address, **query).json()
            keys += [item["name"].removeprefix(root) for item in page.get("items", [])]
            keys += [name.removeprefix(root) for name in page.get("prefixes", []) if folders]
        except (Absent, Refused, ValueError, TypeError, KeyError, AttributeError) as error:
            if not token:
                return None
            raise DownloadError(f"{address}?prefix={query['prefix']}: {error!r}") from error
        before, token = token, page.get("nextPageToken", "")
        if not token or (most and len(keys) >= most):
            return sorted(_first_folders(keys, prefix)) if folders else keys
        if token == before:
            raise DownloadError(f"{address}?prefix={query['prefix']}: the listing does not go on")
        query["pageToken"] = token
