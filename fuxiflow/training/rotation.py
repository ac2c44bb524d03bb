"""Restart files in rotation: written whole, read back and compared before the one that is superseded goes.

The name of a file holds the update and the SHA-256 of its bytes, ``update-00000400-….ckpt``, so that a file and its
checksum can not part: one rename makes both.
"""

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

NAME = re.compile(r"update-(\d+)-([0-9a-f]{64})\.ckpt")
BLOCK = 1 << 22


class Damaged(ValueError):
    """A restart file whose bytes are not those that were written."""


class _Hashing:
    """A file that is written once, from its beginning to its end, and its SHA-256."""

    def __init__(self, file):
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def digest(path: Path) -> str:
    """The SHA-256 of a file as it lies on disk: what the kernel holds of it is dropped first, where it can be."""
    total = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


@dataclass
class Rotation:
    """The restart files in ``folder``, the last ``keep`` of them."""

    folder: Path
    keep: int
    log: logging.Logger

    def files(self) -> list[Path]:
        """Complete files, the newest first."""
        named = [(NAME.fullmatch(path.name), path) for path in self.folder.glob("update-*.ckpt")]
        return [
            path for _, path in sorted(((int(m[1]), path) for m, path in named if m), reverse=True)
        ]

    def save(self, step: int, content: dict) -> Path:
        """Write ``content`` after ``step`` updates; older files go when it has been read back. OSError when that which
        is read is not that which was written: all older ones then stay."""
        temporary = self.folder / "update.tmp"
        with open(temporary, "wb") as file:
            hashing = _Hashing(file)
            torch.save(content, hashing)
            file.flush()
            os.fsync(file.fileno())
        wanted = hashing.digest.hexdigest()
        if digest(temporary) != wanted:
            raise OSError(
                f"{temporary}: what was written is not what is read back; check the file system. The restart "
                f"files before it remain"
            )
        path = self.folder / f"update-{step:08d}-{wanted}.ckpt"
        os.replace(temporary, path)
        for older in self.files()[self.keep :]:
            older.unlink()
        return path

    def load(self) -> dict | None:
        """What the newest sound file holds, on the processor; None when there are no files.

        Damaged ones are passed over with a warning; :class:`Damaged` when no file is sound.
        """
        files = self.files()
        for path in files:
            if digest(path) == NAME.fullmatch(path.name)[2]:
                return torch.load(path, map_location="cpu", weights_only=True)
            self.log.warning(
                "%s is damaged: its checksum is another than its name says; trying the one before",
                path,
            )
        if files:
            raise Damaged(
                f"no restart file in {self.folder} is sound ({len(files)} damaged); delete the folder to "
                f"start anew"
            )
        return None
