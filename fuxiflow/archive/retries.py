"""Ask an archive again where a failure passes, and say what to do where it does not."""

import json
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests

from fuxiflow.progress import format_duration

log = logging.getLogger(__name__)
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses of failures that pass, so that it is worth asking again."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts, unless the archive asks for more."""
PROGRESS = 1 << 23
"""New bytes after which the attempts are counted from the first again."""
MISMATCHES = 3
"""Attempts after which a file whose checksum is wrong each time is given up."""
AGAIN = "Run the same command again later: what was loaded is kept"


class Absent(Exception):
    """The archive has no such file (404): a gap of the record, not a failure."""


class Incomplete(Exception):
    """An answer is not what was announced: too short, too long, or of another version."""


class Mismatch(Incomplete):
    """A file's checksum is not that which the archive names."""


class DownloadError(RuntimeError):
    """A download failed for good; the text names address, reason and what was tried."""


class Refused(DownloadError):
    """The archive refuses a request with a status that does not pass, such as 401 or 403."""


class Changed(DownloadError):
    """A file was replaced by another version while its parts were loaded."""


def attempt(
    action: Callable[[], object],
    url: str,
    attempts: int = 6,
    pause: float = 2.0,
    idle: float = 600.0,
    total: float = 6 * 3600.0,
    loaded: Callable[[], int] = lambda: 0,
):
    """Call a function until it succeeds, pausing about twice as long after each passing failure.

    Connection errors, broken answers and the statuses of :data:`PASSING` pass; :class:`Absent`,
    credentials and other statuses do not. Pauses are drawn between half and the whole of their
    length, so that many jobs do not ask at the same moment; an archive's ``Retry-After`` is kept.

    Parameters
    ----------
    action : Callable
        Makes one request.
    url : str
        Its address, for messages.
    attempts : int
        Number of tries in a row that bring less than :data:`PROGRESS` new bytes.
    pause : float
        Seconds to wait after the first failure.
    idle : float
        Seconds after which a series of such tries is given up.
    total : float
        Seconds after which no further try begins, whatever was loaded.
    loaded : Callable
        Number of bytes that are there so far.

    Returns
    -------
    object
        What ``action`` returns.

    Raises
    ------
    Absent
        When there is no such file.
    DownloadError
        When the request is refused, or the last try has failed.
    """
    start = since = time.monotonic()
    counted, failures, mismatches = loaded(), 0, 0
    while True:
        asked, remedy = 0.0, AGAIN
        try:
            return action()
        except requests.HTTPError as error:
            status = error.response.status_code
            if status == 404:
                raise Absent(url) from None
            if status not in PASSING:
                raise Refused(f"{url}: {refusal(error.response)}") from error
            reason = f"status {status} {error.response.reason}"
            asked = retry_after(error.response)
        except Mismatch as error:
            reason, mismatches = str(error), mismatches + 1
            remedy = "The archive's copy or the way to it is damaged"
        except Incomplete as error:
            reason = str(error)
        except requests.RequestException as error:
            if not passes(error):
                raise DownloadError(f"{url}: {error}") from error
            reason = str(error)
            remedy = (
                f"Is {urlsplit(url).netloc} reachable from this machine (network, proxy, "
                f"firewall)? {AGAIN}"
            )
        now = time.monotonic()
        if loaded() >= counted + PROGRESS:
            counted, failures, since = loaded(), 0, now
        failures += 1
        wait = min(pause * 2 ** (failures - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        wait = max(wait, asked)
        over = now + wait > min(since + idle, start + total)
        if failures >= attempts or mismatches >= min(MISMATCHES, attempts) or over:
            asks = f", which asks to be left alone for {asked:.0f} s" if asked and over else ""
            raise DownloadError(
                f"{url}: {reason}{asks}; gave up after {failures} attempts in "
                f"{format_duration(now - start)}. {remedy}"
            )
        log.warning(
            "%s: %s; attempt %d of %d, the next in %.0f s", url, reason, failures, attempts, wait
        )
        time.sleep(wait)


def passes(error: requests.RequestException) -> bool:
    """Return whether a failure may pass: not so bad addresses and certificates."""
    lasting = (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        requests.exceptions.TooManyRedirects,
    )
    return not isinstance(error, lasting) and "CERTIFICATE_VERIFY_FAILED" not in str(error)


def retry_after(response: requests.Response) -> float:
    """Return the seconds that an answer asks to wait, 0 where it does not ask."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), 0.0)


def refusal(response: requests.Response) -> str:
    """Return what an answer that refuses says, with what helps."""
    words = answered_words(response)
    text = f"refused with status {response.status_code} {response.reason}"
    text += f" ({words})" if words else ""
    if response.status_code in (401, 403):
        return (
            f"{text}, which is not tried again. A public archive asks for no account: check its "
            "address in config/archive.yaml. One with accounts asks for a valid key and for "
            "licences that you have accepted"
        )
    return text


def answered_words(response: requests.Response) -> str:
    """Return the reason in the body of an error: JSON of the data stores, XML of buckets."""
    body = response.content
    try:
        values = json.loads(body)
        parts = [values.get(key) for key in ("title", "detail", "message")]
    except (ValueError, AttributeError):
        try:
            root = ElementTree.fromstring(body)
            parts = [root.findtext("{*}Code"), root.findtext("{*}Message")]
        except ElementTree.ParseError:
            parts = []
    return " ".join(" ".join(str(part) for part in parts if part).split())[:400]
