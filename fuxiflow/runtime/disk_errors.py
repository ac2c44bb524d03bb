"""Say of an error which file system it comes from: one that is full, or one that is not there."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
AWAY = tuple(
    getattr(errno, name)
    for name in ("EIO", "ESTALE", "ENOTCONN", "EREMOTEIO", "EHOSTDOWN", "ESHUTDOWN", "ETIMEDOUT")
    if hasattr(errno, name)
)
SAYS_FULL = re.compile(r"No space left on device|Disk quota exceeded|errno = (28|122)\b")
LEAST = 1 << 20
"""Bytes that are free on a file system on which something can be written."""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def mount_of(path: Path) -> Path:
    """Return where the file system of a path is mounted; the path may not be there yet."""
    path = Path(path).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    path = path.resolve()
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path


def describe_disk_error(error: BaseException, folder: Path) -> str:
    """Name the file system that an error comes from, what is free on it, and what to do.

    Parameters
    ----------
    error : BaseException
        The error.
    folder : Path
        Where was written, for errors that name no file.

    Returns
    -------
    str
        A sentence; empty for other errors.
    """
    place, away = folder, ""
    is_full = False
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        if number in FULL or SAYS_FULL.search(str(one)):
            is_full = True
        elif number in AWAY:
            away = os.strerror(number)
        if (is_full or away) and isinstance(getattr(one, "filename", None), str):
            place = Path(one.filename)
        if is_full or away:
            break
    try:
        mount = mount_of(place)
        numbers = os.statvfs(mount)
    except OSError as unreachable:
        return (
            f"the file system of {place} does not answer ({unreachable.strerror}): have it mounted "
            f"again, then run the same command again"
        )
    if away:
        return (
            f"the file system {mount} did not answer, or is damaged ({away}, {place}): see that it "
            f"is mounted and sound, then run the same command again"
        )
    free = numbers.f_bavail * numbers.f_frsize
    # some libraries do not say why they could not write
    if not is_full and (free >= LEAST or not isinstance(error, OSError | RuntimeError)):
        return ""
    size = numbers.f_blocks * numbers.f_frsize
    files = f", {numbers.f_favail} files more" if numbers.f_files else ""
    return (
        f"the file system {mount} is full, or your quota on it ({place}): {free / 1e6:.0f} MB of "
        f"{size / 1e9:.0f} GB are free{files}. Free some space there, then run the same command "
        f"again: what is finished is kept"
    )
