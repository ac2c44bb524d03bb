"""Download files over HTTP: resumed, checked for length, and whole or not at all.

The files of a segment are gathered in a folder that survives failures, then handed over together.
"""

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from fuxiflow.progress import Progress
from fuxiflow.storage import provenance

Download = tuple[str, Callable[[requests.Session, Path], Path]]
"""A file's name relative to the segment, and a function ``(session, target)`` that downloads it."""
log = logging.getLogger(__name__)
_local = threading.local()
CHUNK = 1 << 16
"""Bytes that a broken connection may lose."""
TIMEOUT = (20, 120)
"""Seconds to connect, and between two pieces of an answer."""
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses of failures that pass, so that it is worth asking again."""


class Absent(Exception):
    """The archive has no such file (404): a gap of the record, not a failure."""


class Incomplete(Exception):
    """An answer is of another length than announced."""


class DownloadError(RuntimeError):
    """A download failed for good; the text names address, reason and what was tried."""


def attempt(action: Callable[[], object], url: str, attempts: int = 6, pause: float = 2.0):
    """Call a function until it succeeds, pausing twice as long after each passing failure.

    Connection errors, broken answers and the statuses of :data:`PASSING` pass; :class:`Absent` and
    other statuses do not.

    Parameters
    ----------
    action : Callable
        Makes one request.
    url : str
        Its address, for messages.
    attempts : int
        Number of tries.
    pause : float
        Seconds to wait after the first failure.

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
    for number in range(1, attempts + 1):
        try:
            return action()
        except requests.HTTPError as error:
            status = error.response.status_code
            if status == 404:
                raise Absent(url) from None
            if status not in PASSING:
                raise DownloadError(
                    f"{url}: refused with status {status} {error.response.reason}"
                ) from error
            reason = f"status {status}"
        except (requests.RequestException, Incomplete) as error:
            reason = str(error)
        if number < attempts:
            log.warning("%s: %s; attempt %d of %d", url, reason, number, attempts)
            time.sleep(pause * 2 ** (number - 1))
    raise DownloadError(f"{url}: {reason}; gave up after {attempts} attempts")


def get_whole(session: requests.Session, url: str, **parameters) -> requests.Response:
    """Request an address and read the answer whole.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        The address.
    **parameters
        Parameters of the query.

    Returns
    -------
    requests.Response
        The answer.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`.
    """

    def action():
        response = session.get(url, params=parameters or None, timeout=TIMEOUT)
        response.raise_for_status()
        return response

    return attempt(action, url)


def _announced(response: requests.Response, offset: int) -> int | None:
    """Return the whole file's length by the headers of a full (200) or partial (206) answer."""
    if response.status_code == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length")
    return int(length) + offset if length else None


def fetch(
    session: requests.Session, url: str, target: Path, length: int | None = None, **patience
) -> Path:
    """Download a file, resuming what an earlier call left in ``target.part``.

    A target that exists with the expected length is kept. The part is resumed only while the
    server's ``ETag`` is the same.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    target : Path
        Where it goes.
    length : int, optional
        Expected length in bytes; by default any target that exists is kept, and the length is that
        which the server announces.
    **patience
        Number of attempts and pause of :func:`attempt`.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`; the part is left for the next call.
    """
    if target.exists() and (length is None or target.stat().st_size == length):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    tag = target.with_name(target.name + ".etag")

    def action():
        offset = part.stat().st_size if part.exists() and tag.exists() else 0
        if length is not None and offset > length:
            offset = 0
        headers = {"Range": f"bytes={offset}-", "If-Range": tag.read_text()} if offset else {}
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416:
                part.unlink()
                raise Incomplete("the server has less than was already loaded")
            response.raise_for_status()
            resumed = response.status_code == 206
            expected = length if length is not None else _announced(response, 0)
            tag.write_text(response.headers.get("ETag", ""))
            with open(part, "ab" if resumed else "wb") as file:
                for piece in response.iter_content(CHUNK):
                    file.write(piece)
        # without a tag there is no telling if the rest would be of the same file
        if not tag.read_text():
            tag.unlink()
        size = part.stat().st_size
        if expected is not None and size != expected:
            if size > expected:
                part.unlink()
            raise Incomplete(f"{size} bytes instead of {expected}")

    attempt(action, url, **patience)
    os.replace(part, target)
    tag.unlink(missing_ok=True)
    return target


def fetch_ranges(
    session: requests.Session,
    url: str,
    target: Path,
    ranges: Sequence[tuple[int, int | None]],
    **patience,
) -> Path:
    """Download byte ranges of a file, one after the other into one target.

    Neighbouring ranges are asked for together. A target that exists is kept.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    url : str
        Address of the file.
    target : Path
        Where the ranges go.
    ranges : Sequence of tuple
        First byte and the byte after the last; None for the rest of the file.
    **patience
        Number of attempts and pause of :func:`attempt`.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    Absent, DownloadError
        As :func:`attempt`, and when the server ignores byte ranges.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")

    def piece(start: int, end: int | None) -> bytes:
        def action():
            last = "" if end is None else end - 1
            response = session.get(url, headers={"Range": f"bytes={start}-{last}"}, timeout=TIMEOUT)
            response.raise_for_status()
            if response.status_code != 206:
                raise DownloadError(
                    f"{url}: the server ignores byte ranges (status {response.status_code})"
                )
            if end is not None and len(response.content) != end - start:
                raise Incomplete(
                    f"bytes {start}-{last}: {len(response.content)} bytes instead of {end - start}"
                )
            return response.content

        return attempt(action, url, **patience)

    with open(part, "wb") as file:
        for start, end in merge_ranges(ranges):
            file.write(piece(start, end))
    os.replace(part, target)
    return target


def merge_ranges(ranges: Sequence[tuple[int, int | None]]) -> list[tuple[int, int | None]]:
    """Sort byte ranges and join neighbours."""
    joined: list[tuple[int, int | None]] = []
    for start, end in sorted(ranges, key=lambda r: r[0]):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _session() -> requests.Session:
    """Return the session of this thread, as sessions are not thread-safe."""
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


def download_segment(
    downloads: Iterable[Download],
    partial: Path,
    output: Path,
    log: logging.Logger,
    label: str,
    workers: int = 4,
) -> None:
    """Carry out the downloads of a segment and publish them as one directory.

    Files that the archive lacks are logged and listed as ``absent`` in ``manifest.json``.

    Parameters
    ----------
    downloads : Iterable of Download
        The downloads.
    partial : Path
        Directory in which files are gathered; a later call resumes from it.
    output : Path
        The directory that is published.
    log : logging.Logger
        Takes progress and warnings.
    label : str
        Name of the segment, for messages.
    workers : int
        Number of downloads at once.

    Raises
    ------
    FileNotFoundError
        When the archive has none of the files.
    DownloadError
        When a download fails for good; what was loaded stays in ``partial``.
    """
    downloads = list(downloads)
    partial.mkdir(parents=True, exist_ok=True)
    progress = Progress(len(downloads), label, log)
    lock = threading.Lock()

    def carry_out(item: Download) -> tuple[str, int | None]:
        name, download = item
        try:
            size = download(_session(), partial / name).stat().st_size
        except Absent as error:
            log.warning("the archive has no %s", error)
            size = None
        with lock:
            progress.step()
        return name, size

    with ThreadPoolExecutor(workers) as pool:
        try:
            sizes = dict(pool.map(carry_out, downloads))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not any(size is not None for size in sizes.values()):
        raise FileNotFoundError(
            f"{label}: the archive has none of {len(downloads)} files, first: {downloads[0][0]}"
            if downloads
            else f"{label}: nothing was asked for"
        )
    manifest = {
        "fetched": {name: size for name, size in sorted(sizes.items()) if size is not None},
        "absent": sorted(name for name, size in sizes.items() if size is None),
    }
    publish_segment(partial, output, manifest)


def publish_segment(partial: Path, output: Path, manifest: dict) -> None:
    """Move the files of a segment to their place, with manifest and provenance.

    Parameters
    ----------
    partial : Path
        Directory in which files were gathered; it is removed.
    output : Path
        New directory.
    manifest : dict
        ``fetched``, the files that are moved, by name with their sizes in bytes; ``absent``, names.
    """
    output.mkdir(parents=True)
    for name in manifest["fetched"]:
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial / name, target)
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1))
    provenance.write_sidecar(output)
    shutil.rmtree(partial)
