"""One segment of downloads: files gathered in a folder that survives failures, then handed over as a whole."""

import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from fuxiflow.archive.transfer import Absent
from fuxiflow.progress import Progress
from fuxiflow.storage import provenance

Task = tuple[str, Callable[[requests.Session, Path], Path]]
_local = threading.local()


def _session() -> requests.Session:
    """The session of this thread: sessions are not thread-safe."""
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


def collect(
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
    publish(partial, output, manifest)


def publish(partial: Path, output: Path, manifest: dict) -> None:
    """Move what ``manifest`` lists from ``partial`` to ``output`` with manifest and provenance; drop the rest."""
    output.mkdir(parents=True)
    for name in manifest["fetched"]:
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial / name, target)
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1))
    provenance.write_sidecar(output)
    shutil.rmtree(partial)
