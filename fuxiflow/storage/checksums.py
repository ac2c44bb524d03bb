"""Checksums of products, in the files or beside them, and the error for one that is damaged.

A file of a format that has room for a text carries the CRC32C of its bytes (:data:`MARK`): Parquet
tables in their metadata, checkpoints and other ZIP archives in their comment. The digits count as
zeros in the sum. Of a file without room, a figure or a CSV, the SHA-256 lies beside the results,
in ``results/{name}/checksums/``, under the path of the file. Chunks of Zarr stores have their own
sums, see :mod:`fuxiflow.storage.zarr_stores`.
"""

import hashlib
import json
import mmap
import os
import re
from pathlib import Path

import google_crc32c
import numpy as np

from fuxiflow.storage.files import whole_file

MARK = b"fuxiflow crc32c "
"""Text before the eight hexadecimal digits of the sum in a file that carries its own."""
ZEROS = b"0" * 8
BLOCK = 1 << 24
"""Bytes of a file that are summed at a time, a multiple of the size of a page."""
FOLDER = "checksums"
"""The folder of a run's results that holds sums of files without room for one."""
RULE = re.compile(rb'rule\\*": \\*"(\w+)')
INPUTS = re.compile(rb'inputs\\*": (\{[^{}]*\})')
# end of the central directory of a ZIP archive: its signature, and its length without a comment
ZIP_END, ZIP_END_LENGTH = b"PK\x05\x06", 22


Maker = tuple[str, frozenset[str]]
"""The name of a rule, and those of the files that it read."""


class DamagedError(ValueError, OSError):
    """A product that is not as it was written; the text names it, the reason and the remedy."""


def crc32c(data: bytes | memoryview | np.ndarray, before: int = 0) -> int:
    """Return the CRC32C of contiguous bytes, or of those that had the sum ``before`` and these."""
    # an array is passed on without a copy, a memoryview not at all
    part = data if isinstance(data, (bytes, np.ndarray)) else np.asarray(data)
    return google_crc32c.extend(before, part)


def remedy(path: Path) -> str:
    """Say what mends a damaged product: deleting it and running its rule again.

    The rule is that of the provenance in the file or in the store's metadata, where it is readable.
    """
    path = Path(path)
    named = path / "zarr.json" if path.is_dir() else path
    maker = "its rule"
    if named.is_file() and named.stat().st_size:
        with (
            open(named, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            if (named_rule := RULE.search(data)) and named_rule[1] != b"interactive":
                maker = f"rule {named_rule[1].decode()}"
    return f"delete {path} and run the same command again: {maker} makes it anew"


def maker_of(path: Path) -> Maker | None:
    """Return the rule that made a product and what it read, by the provenance in it or beside it.

    None where it carries none.
    """
    path = Path(path)
    stamps = [path / "zarr.json", path / "provenance.json"] if path.is_dir() else [path]
    for stamp in stamps:
        if not stamp.is_file() or not stamp.stat().st_size:
            continue
        with (
            open(stamp, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            rule, inputs = RULE.search(data), INPUTS.search(data)
            if rule and inputs:
                names = json.loads(inputs[1].replace(b"\\", b""))
                return rule[1].decode(), frozenset(names)
    return None


def damaged(path: Path, reason: str) -> DamagedError:
    """Return the error for a damaged product: its path, the reason and the remedy."""
    return DamagedError(f"{path}: {reason}; {remedy(path)}")


def _sum_without(data: mmap.mmap, digits: int) -> bytes:
    """Return the sum of a file's bytes as hexadecimal digits; its own at ``digits`` are zeros."""
    octets = np.frombuffer(data, np.uint8)
    total = 0
    for first in range(0, len(octets), BLOCK):
        block = octets[first : first + BLOCK]
        begin, end = max(digits - first, 0), min(digits + len(ZEROS) - first, len(block))
        if begin < end:
            block = block.copy()
            block[begin:end] = ord("0")
        total = crc32c(block, total)
        # what was summed stays in the page cache, and counts no longer as memory of this process
        if hasattr(mmap, "MADV_DONTNEED"):
            data.madvise(mmap.MADV_DONTNEED, first, len(block))
    return b"%08x" % total


def seal(path: Path) -> None:
    """Put a file's checksum in the place that it holds for it.

    Raises
    ------
    ValueError
        When the file has no such place.
    """
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        place = data.rfind(MARK + ZEROS)
        if place < 0:
            raise ValueError(f"{path}: has no place for a checksum")
        digits = place + len(MARK)
        data[digits : digits + 8] = _sum_without(data, digits)


def seal_zip(path: Path) -> None:
    """Put the checksum of a ZIP archive, as torch and numpy write them, into its comment.

    Raises
    ------
    ValueError
        When the file is no ZIP archive, or one that has a comment.
    """
    with open(path, "r+b") as file:
        file.seek(-ZIP_END_LENGTH, os.SEEK_END)
        end = file.read()
        if not end.startswith(ZIP_END) or end[-2:] != b"\0\0":
            raise ValueError(f"{path}: not a ZIP archive without a comment")
        comment = MARK + ZEROS
        file.seek(-2, os.SEEK_END)
        file.write(len(comment).to_bytes(2, "little") + comment)
    seal(path)


def is_sealed(path: Path) -> bool:
    """Tell if a file carries a checksum, sound or not."""
    if not Path(path).stat().st_size:
        return False
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.rfind(MARK) >= 0


def check_sealed(path: Path) -> None:
    """Compare a file with the checksum that it carries.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    DamagedError
        When it is empty, carries no checksum, or has other bytes than were written.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file; run the same command again: its rule makes it"
        )
    if not path.stat().st_size:
        raise damaged(path, "is empty")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.rfind(MARK)
        digits = place + len(MARK)
        stated = data[digits : digits + 8] if place >= 0 else b""
        sound = len(stated) == 8 and _sum_without(data, digits) == stated
    if not sound:
        raise damaged(
            path,
            "its bytes are not those that were written: its checksum differs"
            if stated
            else "carries no checksum: it is damaged, or was made by an earlier version",
        )


def file_sha256(path: Path, from_disk: bool = False) -> str:
    """Return the SHA-256 of a file in 64 hexadecimal digits; ``from_disk``, past the cache."""
    with open(path, "rb") as file:
        if from_disk and hasattr(os, "posix_fadvise"):
            # the kernel's copy in memory would hide what the disk has lost
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def noted_place(results: Path, path: Path) -> Path:
    """Return where the checksum of a file below ``results`` is noted."""
    inside = os.path.relpath(os.path.abspath(path), os.path.abspath(results))
    return Path(results) / FOLDER / f"{inside}.json"


def note_checksum(results: Path, path: Path, rule: str) -> None:
    """Note the SHA-256 of a finished file beside the results.

    Parameters
    ----------
    results : Path
        The folder of the results of a configuration.
    path : Path
        The file, below it; one that lies elsewhere is passed over.
    rule : str
        The rule that made it.
    """
    place = noted_place(results, path)
    if ".." in place.relative_to(results).parts:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"sha256": file_sha256(path, from_disk=True), "rule": rule})
    with whole_file(place) as file:
        file.write(text.encode("utf-8"))


def check_noted(path: Path, results: Path | None = None) -> bool:
    """Compare a file with the checksum that is noted for it beside the results.

    Parameters
    ----------
    path : Path
        A file.
    results : Path, optional
        The folder of results that it belongs to; by default the nearest above it that has sums.

    Returns
    -------
    bool
        Whether there is a note. A file that was copied elsewhere has none.

    Raises
    ------
    FileNotFoundError
        When there is a note, but no file.
    DamagedError
        When the file, or the note, has other bytes than were written.
    """
    path = Path(path)
    if results is None:
        above = Path(os.path.abspath(path)).parents
        results = next((folder for folder in above if (folder / FOLDER).is_dir()), None)
    if results is None or not (place := noted_place(results, path)).is_file():
        return False
    try:
        note = json.loads(place.read_text(encoding="utf-8"))
        stated, rule = str(note["sha256"]), str(note["rule"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{place}: the checksum of {path} is not readable ({error}); delete both and run the "
            "same command again"
        ) from error
    again = f"delete {path} and run the same command again: rule {rule} makes it anew"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: rule {rule} made it, and it is gone; {again}")
    if file_sha256(path, from_disk=True) != stated:
        raise DamagedError(
            f"{path}: its bytes are not those that rule {rule} wrote: its SHA-256 differs; {again}"
        )
    return True
