"""Restart files: the state that a killed job goes on from, whole and checked.

A file is written whole, then read back and compared before the one that it supersedes goes. Its
name holds the number of steps done and the SHA-256 of its bytes, ``update-00000400-….ckpt``: one
rename makes both, so a file and its checksum cannot part. Where several processes share tensors
out, such a file is a folder (:mod:`fuxiflow.storage.restart_parts`).
"""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from fuxiflow.storage.checksums import file_sha256
from fuxiflow.storage.files import leftovers, remove, settle, temporary
from fuxiflow.storage.tensor_files import write_tensors


class Damaged(ValueError):
    """A restart file whose bytes are not those that were written."""


class HashingFile:
    """A file that is written once, from its beginning to its end, and its SHA-256."""

    def __init__(self, file):
        self.file, self.name, self.digest = file, file.name, hashlib.sha256()

    def write(self, data) -> int:
        """Write bytes."""
        self.digest.update(data)
        return self.file.write(data)

    def __getattr__(self, name: str):
        return getattr(self.file, name)


@dataclass
class RestartFiles:
    """The last ``keep`` restart files in ``folder``, whose names begin with ``stem``."""

    folder: Path
    keep: int
    log: logging.Logger
    stem: str = "update"

    def _named(self) -> list[tuple[int, str, Path]]:
        """Return steps done, checksum and path of complete files, the newest first."""
        pattern = re.compile(rf"{re.escape(self.stem)}-(\d+)-([0-9a-f]{{64}})\.ckpt")
        matches = [(pattern.fullmatch(path.name), path) for path in self.folder.glob("*.ckpt")]
        return sorted(((int(m[1]), m[2], path) for m, path in matches if m), reverse=True)

    def files(self) -> list[Path]:
        """Complete files, the newest first."""
        return [path for _, _, path in self._named()]

    def _place(self, step: int, checksum: str) -> Path:
        return self.folder / f"{self.stem}-{step:08d}-{checksum}.ckpt"

    def _drop_older(self) -> None:
        for older in self.files()[self.keep :]:
            remove(older)

    def save(self, step: int, content: dict) -> Path:
        """Write ``content`` after ``step`` steps, read it back, and drop files beyond ``keep``.

        Raises
        ------
        OSError
            When the bytes that are read are not those that were written; all older files stay.
        """
        half = self.folder / f"{self.stem}.half"
        for left in leftovers(half):
            remove(left)
        half = temporary(half)
        try:
            with open(half, "wb") as file:
                hashing = HashingFile(file)
                write_tensors(content, hashing)
                file.flush()
                os.fsync(file.fileno())
            written = hashing.digest.hexdigest()
            if file_sha256(half, from_disk=True) != written:
                raise OSError(
                    f"{half}: what was written is not what is read back; check the file system. "
                    f"The restart files before it remain"
                )
            path = self._place(step, written)
            os.replace(half, path)
        except BaseException:
            half.unlink(missing_ok=True)
            raise
        settle(self.folder)
        self._drop_older()
        return path

    def save_parts(self, step: int, content: dict) -> None:
        """Do as :meth:`save` in all processes together, each of which writes its shared-out part.

        Raises
        ------
        OSError
            As :meth:`save`, in all processes.
        """
        # torch's distributed checkpoints take a while to import
        from fuxiflow.storage import restart_parts

        half = self.folder / f"{self.stem}.half"
        if restart_parts.write_parts(half, partial(self._place, step), content):
            self._drop_older()

    def sound(
        self, target_of: Callable[[str, Tensor], Tensor] | None = None
    ) -> Iterator[tuple[int, dict]]:
        """Yield steps done and content of the sound files, the newest first, on the processor.

        Damaged files are passed over with a warning. ``target_of`` returns the tensors to read
        shared-out ones of a folder into, by name and shape; by default whole.
        """
        for step, checksum, path in self._named():
            if path.is_dir():
                from fuxiflow.storage import restart_parts

                if restart_parts.are_sound(path, checksum):
                    yield step, restart_parts.read_parts(path, target_of)
                    continue
            elif file_sha256(path, from_disk=True) == checksum:
                yield step, torch.load(path, map_location="cpu", weights_only=True)
                continue
            self.log.warning(
                "%s is damaged: its checksum is another than its name says; trying the one before",
                path,
            )

    def load(self, target_of: Callable[[str, Tensor], Tensor] | None = None) -> dict | None:
        """Load the newest sound file as :meth:`sound` does; None when there are no files.

        Raises
        ------
        Damaged
            When there are files and none is sound.
        """
        for _, content in self.sound(target_of):
            return content
        if files := self.files():
            raise Damaged(
                f"no restart file in {self.folder} is sound ({len(files)} damaged); delete the "
                f"folder to start anew"
            )
        return None
