"""Restart files of a training, and the signals on which one is written at once.

A file is written whole, then read back and compared before the one that it supersedes goes. Its
name holds the update and the SHA-256 of its bytes, ``update-00000400-….ckpt``: one rename makes
both, so a file and its checksum cannot part.
"""

import hashlib
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

# SIGTERM ends jobs everywhere; SIGUSR1 is what `sbatch --signal=USR1@90` sends before a time limit
# or a pre-emption
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
NAME = re.compile(r"update-(\d+)-([0-9a-f]{64})\.ckpt")
BLOCK = 1 << 22


class Stopped(SystemExit):
    """The process was told to end and has saved its state; the exit status is the signal's."""

    def __init__(self, number: int):
        super().__init__(128 + number)


class SignalGuard:
    """Call ``act(number)`` when a signal comes: at once, or at the end of a :meth:`held` block.

    What is half changed must not be saved, so the code that changes it holds signals back.

    Parameters
    ----------
    act : Callable[[int], None]
        Saves and ends the process.
    wait : bool
        Always hold signals back, and let the caller ask :attr:`number`: of several ranks all must
        stop at the same update.
    """

    def __init__(self, act: Callable[[int], None], wait: bool = False):
        self.act, self.wait = act, wait
        self.number = 0
        self._holders = 0
        self._previous = {}

    def __enter__(self) -> "SignalGuard":
        self._previous = {number: signal.signal(number, self._came) for number in SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame) -> None:
        self.number = number
        self._act_now()

    def _act_now(self) -> None:
        if self.number and not (self._holders or self.wait):
            self._holders += 1  # a second signal must not cut the saving short
            self.act(self.number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back; one that came in between acts at the end of the block."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
        self._act_now()


def ignore_signals(*_) -> None:
    """Leave signals to the process that started this one.

    A loader's worker must outlive the saving, during which its parent may still read from it.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Damaged(ValueError):
    """A restart file whose bytes are not those that were written."""


class _HashingFile:
    """A file that is written once, from its beginning to its end, and its SHA-256."""

    def __init__(self, file):
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file as it lies on disk, in hexadecimal digits."""
    total = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            # the kernel's copy in memory would hide what the disk has lost
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


@dataclass
class RestartFiles:
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
        """Write ``content`` after ``step`` updates, read it back, and drop files beyond ``keep``.

        Raises
        ------
        OSError
            When the bytes that are read are not those that were written; all older files stay.
        """
        temporary = self.folder / "update.tmp"
        with open(temporary, "wb") as file:
            hashing = _HashingFile(file)
            torch.save(content, hashing)
            file.flush()
            os.fsync(file.fileno())
        written = hashing.digest.hexdigest()
        if file_sha256(temporary) != written:
            raise OSError(
                f"{temporary}: what was written is not what is read back; check the file system. "
                f"The restart files before it remain"
            )
        path = self.folder / f"update-{step:08d}-{written}.ckpt"
        os.replace(temporary, path)
        for older in self.files()[self.keep :]:
            older.unlink()
        return path

    def load(self) -> dict | None:
        """Load the newest sound file on the processor; None when there are no files.

        Damaged files are passed over with a warning.

        Raises
        ------
        Damaged
            When there are files and none is sound.
        """
        files = self.files()
        for path in files:
            if file_sha256(path) == NAME.fullmatch(path.name)[2]:
                return torch.load(path, map_location="cpu", weights_only=True)
            self.log.warning(
                "%s is damaged: its checksum is another than its name says; trying the one before",
                path,
            )
        if files:
            raise Damaged(
                f"no restart file in {self.folder} is sound ({len(files)} damaged); delete the "
                f"folder to start anew"
            )
        return None
