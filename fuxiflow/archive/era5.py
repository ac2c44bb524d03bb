"""Retrieve ERA5 through the API of the Climate Data Store.

Data sets and keywords: Hersbach et al. (2023), doi 10.24381/cds.bd0915c6 (pressure levels) and
10.24381/cds.adbb2d47 (single levels).
"""

import logging
import os
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from fuxiflow.archive.checksums import asset_checksum
from fuxiflow.archive.notes import Note
from fuxiflow.archive.retries import (
    LONGEST_PAUSE,
    Absent,
    DownloadError,
    Refused,
    answered_words,
    attempt,
)
from fuxiflow.archive.transfer import TIMEOUT, Download, Fetched, fetch, kept
from fuxiflow.progress import format_duration

if TYPE_CHECKING:
    import cdsapi

log = logging.getLogger(__name__)
REQUESTS = 3
"""Times that a request is made whose result the store loses."""
STORE_PATIENCE = 1800.0
"""Seconds after which a store that refuses for now, as with a full queue, is given up."""
QUEUE_PATIENCE = 2 * 86400.0
"""Seconds to wait for a request's result."""

UPPER_AIR = "reanalysis-era5-pressure-levels"
SINGLE = "reanalysis-era5-single-levels"
PRECIPITATION = "total_precipitation"
INVARIANTS = [
    "geopotential",
    "land_sea_mask",
    "lake_cover",
    "low_vegetation_cover",
    "high_vegetation_cover",
]
SYNOPTIC = [f"{hour:02d}:00" for hour in (0, 6, 12, 18)]
HOURLY = [f"{hour:02d}:00" for hour in range(24)]
# a value is the sum of the hour before its time: 6-h sums at 00 UTC need the evening before
EVENING = [f"{hour:02d}:00" for hour in range(19, 24)]


def grib_request(days: list[date], times: list[str], variables: list[str]) -> dict:
    """Return the request for some days of one month.

    Parameters
    ----------
    days : list of date
        Days of one month.
    times : list of str
        Times of day, HH:MM in UTC.
    variables : list of str
        The store's names of the variables.

    Returns
    -------
    dict
        The request.
    """
    return {
        "product_type": ["reanalysis"],
        "variable": variables,
        "year": [f"{days[0]:%Y}"],
        "month": [f"{days[0]:%m}"],
        "day": [f"{day:%d}" for day in days],
        "time": times,
        "data_format": "grib",
        "download_format": "unarchived",
    }


def invariants_request() -> dict:
    """Return the request for the fields that do not change, at one time."""
    return grib_request([date(2020, 1, 1)], ["00:00"], INVARIANTS)


class CredentialsError(RuntimeError):
    """The Climate Data Store cannot be asked: no key, one that it refuses, or no licence."""


@dataclass(frozen=True)
class Access:
    """Address and key of the store, and the place that they were found in."""

    url: str
    key: str
    place: str

    @property
    def site(self) -> str:
        """Return the address of the store's pages."""
        return self.url.removesuffix("/api")


def read_access() -> Access:
    """Return address and key; raise :class:`CredentialsError`, saying what to do, without them.

    They are looked for as the client ``cdsapi`` does: in the variables CDSAPI_URL and CDSAPI_KEY,
    else in the file CDSAPI_RC, by default ~/.cdsapirc. What served the store's first API, which
    was shut down in 2024, is refused.
    """
    file = Path(os.environ.get("CDSAPI_RC", "~/.cdsapirc")).expanduser()
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    written = {name.strip(): value.strip() for name, _, value in (a.partition(":") for a in lines)}
    url = os.environ.get("CDSAPI_URL") or written.get("url")
    key = os.environ.get("CDSAPI_KEY") or written.get("key")
    if not url or not key:
        raise CredentialsError(
            "no key for the Climate Data Store: set CDSAPI_URL and CDSAPI_KEY, or write the lines "
            f"'url: …' and 'key: …' of your profile page there to {file}, and accept the licences "
            "of both ERA5 data sets"
        )
    place = "CDSAPI_KEY" if os.environ.get("CDSAPI_KEY") else str(file)
    if ":" in key or re.search(r"/api/v\d", url):
        raise CredentialsError(
            f"the key in {place} is one of the Climate Data Store's old API (UID:key, or an "
            "address that ends in /api/v2): copy 'url: …' and 'key: …' of your profile page at "
            f"https://cds.climate.copernicus.eu/profile to {file}"
        )
    return Access(url.rstrip("/"), key, place)


def require_key() -> None:
    """Raise :class:`CredentialsError`, saying what to do, where the client would find no key."""
    read_access()


def check_credentials(timeout: float = 15.0) -> None:
    """Try the key by one small request, and ask which licences were accepted.

    Nothing is raised where the store does not answer, or has no such service: the log says so, and
    jobs find out.

    Parameters
    ----------
    timeout : float
        Seconds to wait for an answer.

    Raises
    ------
    CredentialsError
        When the key is refused, or a licence was not accepted.
    """
    access = read_access()
    account = f"{access.url}/profiles/v1/account"
    headers = {"PRIVATE-TOKEN": access.key}
    with requests.Session() as session:
        try:
            answer = session.post(f"{account}/verification/pat", headers=headers, timeout=timeout)
            if answer.status_code in (401, 403):
                raise CredentialsError(
                    f"the Climate Data Store at {access.url} refuses the key in {access.place} "
                    f"(status {answer.status_code} {answered_words(answer)}): copy that of your "
                    f"profile page, {access.site}/profile"
                )
            answer.raise_for_status()
            unaccepted = _unaccepted_licences(session, access, timeout)
        except requests.RequestException as error:
            log.warning("the key for the Climate Data Store could not be tried: %s", error)
            return
    if unaccepted:
        raise CredentialsError(
            "licences of the Climate Data Store are not accepted: "
            + "; ".join(
                f"{', '.join(names)} of {dataset}, see {_licence_page(access.site, dataset)}"
                for dataset, names in unaccepted.items()
            )
        )


def _licence_page(site: str, dataset: str) -> str:
    """Return the address at which the licences of a data set are accepted."""
    return f"{site}/datasets/{dataset}?tab=download#manage-licences"


def _unaccepted_licences(
    session: requests.Session, access: Access, timeout: float
) -> dict[str, list[str]]:
    """Return the licences that were not accepted, by data set, as far as the store tells.

    Parameters
    ----------
    session : requests.Session
        For the requests.
    access : Access
        Address and key.
    timeout : float
        Seconds to wait for an answer.

    Returns
    -------
    dict
        Names of licences; a data set without any is not in it.
    """

    def ask(path: str) -> dict:
        headers = {"PRIVATE-TOKEN": access.key}
        answer = session.get(f"{access.url}/{path}", headers=headers, timeout=timeout)
        answer.raise_for_status()
        return answer.json()

    try:
        accepted = {entry["id"] for entry in ask("profiles/v1/account/licences")["licences"]}
        vocabulary = ask("catalogue/v1/vocabularies/licences")["licences"]
        named = {entry["label"]: entry["id"] for entry in vocabulary}
        unaccepted = {}
        for dataset in (UPPER_AIR, SINGLE):
            links = ask(f"catalogue/v1/collections/{dataset}")["links"]
            titles = [link.get("title") for link in links if link.get("rel") == "license"]
            lacking = [name for name in titles if name in named and named[name] not in accepted]
            if lacking:
                unaccepted[dataset] = lacking
        return unaccepted
    # a store that answers in other words does not tell
    except (requests.HTTPError, KeyError, TypeError, ValueError) as error:
        log.debug("the licences of the Climate Data Store are not told: %r", error)
        return {}


def client(log: logging.Logger) -> "cdsapi.Client":
    """Return a client of the Climate Data Store that reports to ``log``; raise CredentialsError.

    It makes each request once: :func:`attempt` repeats it within minutes, where the client's own
    500 attempts, two minutes apart, would take a day to say that the store is not there.
    """
    # only the environment of this stage has the client; the key is checked without it
    import cdsapi

    require_key()
    with warnings.catch_warnings():
        # it warns where the store's news cannot be had, which the first request finds out
        warnings.simplefilter("ignore", UserWarning)
        return cdsapi.Client(
            progress=False,
            quiet=True,
            timeout=TIMEOUT,
            retry_max=1,
            sleep_max=1,
            delete=False,
            info_callback=log.info,
            warning_callback=log.warning,
            error_callback=log.error,
            debug_callback=log.debug,
        )


class Expired(Exception):
    """The store has forgotten a request or its result."""


@dataclass
class RequestNote(Note):
    """A request that was made, in a file beside its target: a killed job waits on for it."""

    store: str
    dataset: str
    request: dict
    identifier: str


def retrieve(
    store: "cdsapi.Client",
    dataset: str,
    request: dict,
    session: requests.Session,
    target: Path,
) -> Fetched:
    """Make a request to the store, wait for the result and download it.

    A target that exists is kept. The request's identifier stands in ``target.request`` until the
    file is there: a job that was killed waits for the same request. One that the store has
    forgotten is made anew.

    Parameters
    ----------
    store : cdsapi.Client
        The store.
    dataset : str
        Name of the data set.
    request : dict
        The request.
    session : requests.Session
        Session of the calling thread, for the download.
    target : Path
        Where the file goes.

    Returns
    -------
    Fetched
        The file.

    Raises
    ------
    DownloadError
        With the store's words where it refuses.
    """
    if target.exists():
        return kept(target, f"{dataset} of the Climate Data Store")
    path = target.with_name(target.name + ".request")
    for _ in range(REQUESTS):
        try:
            fetched = _take_result(store, dataset, request, session, target)
        except Expired as error:
            log.warning("%s, %s: %s; it is asked for anew", dataset, target.name, error)
            path.unlink(missing_ok=True)
            continue
        except DownloadError as error:
            raise DownloadError(_explained(store.url, dataset, target.name, error)) from error
        path.unlink(missing_ok=True)
        return fetched
    raise DownloadError(
        f"{dataset}, {target.name}: the Climate Data Store at {store.url} has lost {REQUESTS} "
        "requests one after the other; look at your requests there, and run the same command again"
    )


def _take_result(
    store: "cdsapi.Client",
    dataset: str,
    request: dict,
    session: requests.Session,
    target: Path,
) -> Fetched:
    """Wait for a request, one that was made before or a new one, and download its result.

    Parameters
    ----------
    store : cdsapi.Client
        The store.
    dataset : str
        Name of the data set.
    request : dict
        The request.
    session : requests.Session
        Session of the calling thread, for the download.
    target : Path
        Where the file goes.

    Returns
    -------
    Fetched
        The file.

    Raises
    ------
    Expired
        When the store does not have the request or its result any more.
    """
    path = target.with_name(target.name + ".request")
    note = RequestNote.read(path)
    made_before = note is not None and (note.store, note.dataset, note.request) == (
        store.url,
        dataset,
        request,
    )
    try:
        if made_before:
            log.info("%s: waiting on for request %s", target.name, note.identifier)
            remote = _ask(store, lambda: store.client.get_remote(note.identifier))
        else:
            remote = _ask(store, lambda: store.client.submit(dataset, request))
            RequestNote(store.url, dataset, request, remote.request_id).write(path)
        results = _wait(store, remote)
        checksum = asset_checksum(results.asset.get("file:checksum"))
        return fetch(
            session,
            results.location,
            target,
            results.content_length,
            [checksum] if checksum else [],
        )
    except Absent as error:
        raise Expired(
            f"the store does not have the request or its result any more ({error})"
        ) from None
    except Refused as error:
        if made_before:
            raise Expired(f"the request that was made before has failed ({error})") from error
        raise


def _ask(store: "cdsapi.Client", action: Callable[[], object]):
    """Make one request to the store; a full queue (429) is waited for longer than an error."""
    try:
        return attempt(action, store.url, attempts=10, idle=STORE_PATIENCE)
    except DownloadError:
        raise
    # the client's error for a request that failed, was rejected or dismissed
    except RuntimeError as error:
        raise Refused(f"{store.url}: {error}") from error


def _wait(store: "cdsapi.Client", remote):
    """Wait until a request (``Remote`` of the client) has its result, and return that.

    DownloadError names a request that takes too long; the next call waits on for it.
    """
    start, pause = time.monotonic(), 1.0
    while not _ask(store, lambda: remote.results_ready):
        if time.monotonic() - start > QUEUE_PATIENCE:
            raise DownloadError(
                f"{store.url}: request {remote.request_id} is not ready after "
                f"{format_duration(QUEUE_PATIENCE)}. Run the same command again to wait on for it"
            )
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return _ask(store, remote.get_results)


def _explained(url: str, dataset: str, name: str, error: DownloadError) -> str:
    """Return the message of an error of the store, with what helps.

    Parameters
    ----------
    url : str
        Address of the store.
    dataset : str
        Name of the data set.
    name : str
        Name of the file.
    error : DownloadError
        The error.

    Returns
    -------
    str
        The message.
    """
    text = f"{dataset}, {name}: the Climate Data Store refused or failed: {error}"
    if "licence" in str(error) and isinstance(error, Refused):
        page = _licence_page(url.removesuffix("/api"), dataset)
        return f"{text}. Licences of this data set are accepted at {page}"
    if "cost" in str(error) or "too large" in str(error):
        return f"{text}. Lower days_per_request in config/archive.yaml"
    return text


def era5_download(store: "cdsapi.Client", name: str, dataset: str, request: dict) -> Download:
    """Return the download of one request.

    Parameters
    ----------
    store : cdsapi.Client
        The store.
    name : str
        Name of the file.
    dataset : str
        Name of the data set.
    request : dict
        The request.

    Returns
    -------
    Download
        Name and download.
    """
    return name, lambda session, target: retrieve(store, dataset, request, session, target)
