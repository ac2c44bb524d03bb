"""Files that appear whole or not at all, JSON with a digest, and folders of restart state.

Restart state is what a killed job continues from. It lies outside the outputs of the job.
"""

import functools
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fuxiflow.storage import provenance

KEY = "key"
WRITER = "FUXIFLOW_WRITER"
"""Environment variable with the name under which the processes of one job write together."""
LOG = logging.getLogger("fuxiflow")


class SealError(ValueError):
    """A JSON file that does not agree with the digest in it; the text names the file."""


@functools.cache
def _own_writer(pid: int) -> str:
    host = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname().split(".")[0])
    return f"{host}_{pid}_{secrets.token_hex(4)}"


def writer_name() -> str:
    """Name this process as a writer, by host, number and chance; no other has the name.

    The processes of one job share the name that :data:`WRITER` gives them.
    """
    return os.environ.get(WRITER) or _own_writer(os.getpid())


def temporary(path: Path) -> Path:
    """Return the hidden neighbour of ``path`` that this process writes first.

    It keeps the suffix, which writers look at.
    """
    path = Path(path)
    return path.with_name(f".tmp-{writer_name()}-{path.name}")


def leftovers(path: Path) -> list[Path]:
    """List the temporary files and folders of ``path``, whoever wrote them."""
    path = Path(path)
    name = re.compile(rf"\.tmp-(?:[A-Za-z0-9]*_\d+_[0-9a-f]{{8}}-)?{re.escape(path.name)}")
    try:
        return [entry for entry in path.parent.iterdir() if name.fullmatch(entry.name)]
    except FileNotFoundError:
        return []


def settle(path: Path) -> None:
    """Have the disk take what was written to a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some file systems cannot do that with folders
        if not Path(path).is_dir():
            raise error
    finally:
        os.close(handle)


def settle_tree(folder: Path, since: float = 0.0) -> None:
    """Have the disk take all files below ``folder`` that were written after ``since`` (s)."""
    for place, _, names in os.walk(folder):
        changed = [path for name in names if os.stat(path := Path(place, name)).st_mtime >= since]
        for path in changed:
            settle(path)
        if changed:
            settle(Path(place))


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name whole, and on disk, at the end of the block.

    After an error nothing is left of it, and what was there before stays.
    """
    path = Path(path)
    aside = temporary(path)
    try:
        with open(aside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    settle(path.parent)


def write_sealed_json(path: Path, content: Mapping) -> None:
    """Write a JSON file whole or not at all, with a digest of its content in it.

    It is on the disk when this returns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**content, "digest": _digest_of(content)}, indent=1)
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def read_sealed_json(path: Path) -> dict:
    """Read a file of :func:`write_sealed_json`.

    SealError where it does not agree with its digest; FileNotFoundError where it is not there.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("digest")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SealError(f"{path}: damaged ({type(error).__name__}: {error})") from error
    if digest != _digest_of(content):
        raise SealError(f"{path}: damaged: it does not agree with its own digest")
    return content


def _digest_of(content: Mapping) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def remove(path: Path) -> None:
    """Remove a file or a directory tree, if there is one."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def publish(written: Path, final: Path) -> None:
    """Rename what was written under a temporary name; what was there goes only then."""
    written, final = Path(written), Path(final)
    if written.is_file():
        settle(written)
    if not final.is_dir() or final.is_symlink():
        if written.is_dir():
            final.unlink(missing_ok=True)
        os.replace(written, final)
        return
    # a folder with something in it cannot be replaced by one renaming
    aside = final.with_name(f".old-{final.name}")
    remove(aside)
    os.rename(final, aside)
    try:
        os.replace(written, final)
    except BaseException:
        os.rename(aside, final)
        raise
    remove(aside)


def state_key(settings: Mapping[str, object] | None = None) -> str:
    """Digest what changes the result of the running rule: its settings, code and inputs.

    All parameters of the rule are its settings, unless ``settings`` name those that matter.
    """
    current = provenance.current()
    configuration = current.get("configuration")
    if settings is not None:
        configuration = provenance.digest(dict(settings))
    return provenance.digest(
        [current.get("rule"), configuration, current.get("code"), current.get("inputs")]
    )


def superseded(path: Path) -> Path:
    """Return the place beside a folder of restart state for one that no longer fits."""
    return path.with_name(f"{path.name}.superseded")


def workspace(path: Path, settings: Mapping[str, object] | None = None) -> Path:
    """Open a directory for restart state.

    State that was made with other settings, code or inputs is renamed, not deleted: it may be the
    work of days. The log says where it lies; one that was set aside before it goes.

    Parameters
    ----------
    path : Path
        The directory.
    settings : Mapping[str, object], optional
        The settings that change the result; by default all parameters of the running rule.

    Returns
    -------
    Path
        The directory, which exists and is empty where nothing fits.
    """
    path = Path(path)
    stamp, key = path / KEY, state_key(settings)
    fits = stamp.exists() and stamp.read_text(encoding="utf-8") == key
    if path.exists() and not fits and any(path.glob("[!.]*")):
        aside = superseded(path)
        remove(aside)
        path.rename(aside)
        LOG.warning(
            "the restart state in %s was made with other settings, code or inputs; "
            "it is set aside as %s, and the job begins anew",
            path,
            aside.name,
        )
    path.mkdir(parents=True, exist_ok=True)
    if not fits:
        with whole_file(stamp) as file:
            file.write(key.encode())
    return path
