"""Downloads over HTTP that resume, are checked for length, and appear whole or not at all."""

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

Task = tuple[str, Callable[[requests.Session, Path], Path]]
log = logging.getLogger(__name__)
_local = threading.local()
CHUNK = 1 << 16  # what a broken connection may lose
TIMEOUT = (20, 120)  # seconds to connect, and between two pieces of an answer
PASSING = {408, 425, 429, 500, 502, 503, 504}


class Absent(Exception):
    """The archive has no such file (404): a gap of the record, not a failure."""


class DownloadError(RuntimeError):
    """A download that failed for good; the message names address, reason and what was tried."""


def attempt(action: Callable[[], object], url: str, attempts: int = 6, pause: float = 2.0):
    """Call ``action`` until it succeeds, pausing twice as long after each passing failure.

    Connection errors, broken answers and the statuses of :data:`PASSING` pass; :class:`Absent` and other statuses
    do not. Raises :class:`DownloadError` after ``attempts`` tries.
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


class Incomplete(Exception):
    """An answer of another length than announced."""


def get_whole(session: requests.Session, url: str, **parameters) -> requests.Response:
    """One GET, read whole; raises as :func:`attempt`."""

    def action():
        response = session.get(url, params=parameters or None, timeout=TIMEOUT)
        response.raise_for_status()
        return response

    return attempt(action, url)


def _announced(response: requests.Response, offset: int) -> int | None:
    """The whole file's length by the headers of a full (200) or partial (206) answer."""
    if response.status_code == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length")
    return int(length) + offset if length else None


def fetch(
    session: requests.Session, url: str, target: Path, length: int | None = None, **patience
) -> Path:
    """Download ``url`` to ``target``, resuming what an earlier call left in ``target.part``.

    A target that exists with the expected length (where ``length`` is given, else any) is kept. The part is resumed
    only while the server's ``ETag`` is the same. ``patience`` goes to :func:`attempt`. Raises :class:`Absent` or
    :class:`DownloadError`; the part is left for the next call.
    """
    if target.exists() and (length is None or target.stat().st_size == length):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part, tag = target.with_name(target.name + ".part"), target.with_name(target.name + ".etag")

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
    """Download byte ranges ``[start, end)`` of a file, end None for its rest, one after the other into ``target``.

    Neighbouring ranges are asked for together. A target that exists is kept. Raises as :func:`fetch`.
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
    """Byte ranges in order, neighbours joined."""
    joined: list[tuple[int, int | None]] = []
    for start, end in sorted(ranges, key=lambda r: r[0]):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _session() -> requests.Session:
    """The session of this thread: sessions are not thread-safe."""
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


def download_segment(
    tasks: Iterable[Task],
    partial: Path,
    output: Path,
    log: logging.Logger,
    label: str,
    workers: int = 4,
) -> None:
    """Carry out the downloads of a segment and publish them as the directory ``output``.

    A task is a file's name relative to the segment and a function ``(session, target)`` that downloads it. Files are
    gathered under ``partial``, which a later call resumes from. What the archive lacks is logged and listed as
    ``absent`` in ``manifest.json``. Raises FileNotFoundError when it has nothing at all, and the first other error.
    """
    tasks = list(tasks)
    partial.mkdir(parents=True, exist_ok=True)
    progress, lock = Progress(len(tasks), label, log), threading.Lock()

    def one(task: Task) -> tuple[str, int | None]:
        name, download = task
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
            sizes = dict(pool.map(one, tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not any(size is not None for size in sizes.values()):
        raise FileNotFoundError(
            f"{label}: the archive has none of {len(tasks)} files, first: {tasks[0][0]}"
            if tasks
            else f"{label}: nothing was asked for"
        )
    manifest = {
        "fetched": {name: size for name, size in sorted(sizes.items()) if size is not None},
        "absent": sorted(name for name, size in sizes.items() if size is None),
    }
    publish_segment(partial, output, manifest)


def publish_segment(partial: Path, output: Path, manifest: dict) -> None:
    """Move what ``manifest`` lists from ``partial`` to ``output`` with manifest and provenance; drop the rest."""
    output.mkdir(parents=True)
    for name in manifest["fetched"]:
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial / name, target)
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1))
    provenance.write_sidecar(output)
    shutil.rmtree(partial)
