"""Restart folders: tensors that processes share out, each process's part in a file of its own.

Torch's distributed checkpoints write and read the parts, on any number of processes. Beside them
lie everything else in one file, and the SHA-256 of all files, whose own SHA-256 the folder's name
holds (:mod:`fuxiflow.storage.restart_files`). All processes call these functions together.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.distributed import checkpoint
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystem
from torch.distributed.tensor import DTensor

from fuxiflow.storage.checksums import file_sha256
from fuxiflow.storage.files import (
    SealError,
    leftovers,
    read_sealed_json,
    remove,
    settle,
    temporary,
    write_sealed_json,
)
from fuxiflow.storage.restart_files import HashingFile
from fuxiflow.storage.tensor_files import disk_refusal, map_tensors, write_tensors

DIGESTS, REST = "digests.json", "rest.pt"
"""Files of a folder: the SHA-256 of all others by name, and all that is not shared out."""


class _HashedFiles(FileSystem):
    """The files of a folder as torch writes them, with the SHA-256 of what was written."""

    def __init__(self):
        self.digests: dict[str, str] = {}

    @contextmanager
    def create_stream(self, path: Path, mode: str) -> Iterator[HashingFile]:
        """Open a file; an error of the file system keeps its reason."""
        with super().create_stream(path, mode) as file:
            hashing = HashingFile(file)
            try:
                yield hashing
            except (RuntimeError, OSError) as error:
                raise disk_refusal(error, str(path)) from error
        self.digests[Path(path).name] = hashing.digest.hexdigest()

    def rename(self, path: Path, new_path: Path) -> None:
        """Rename a file."""
        super().rename(path, new_path)
        self.digests[Path(new_path).name] = self.digests.pop(Path(path).name)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise the first error of a process in all of them, and not torch's, which is no Exception."""
    try:
        with warnings.catch_warnings():
            # a single process reads what several have written
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            yield
    except CheckpointException as error:
        failure, _ = next(iter(error.failures.values()))
        raise failure from error


def _from_all(value: object) -> list:
    """Return a value of each process."""
    if not distributed.is_initialized():
        return [value]
    values = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def _rank() -> tuple[int, int]:
    """Return the number of this process, and how many there are."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def write_parts(half: Path, place: Callable[[str], Path], content: dict) -> bool:
    """Write a folder under a temporary name, read it back, and rename it.

    Parameters
    ----------
    half : Path
        Has the temporary name, which all processes share (:func:`files.writer_name`).
    place : callable
        Returns the place of the folder by its checksum.
    content : dict
        Dictionaries and lists of values and tensors. Shared-out tensors are written in parts; all
        else is that of the first process.

    Returns
    -------
    bool
        Whether this is the first process.

    Raises
    ------
    OSError
        When the folder cannot be written, or is not what is read back. It is removed.
    """
    first = _rank()[0] == 0
    aside = temporary(half)
    if first:
        for left in leftovers(half):
            remove(left)
        aside.mkdir()
    distributed.barrier()
    try:
        digests = _write(aside, content, first)
        if first:
            write_sealed_json(aside / DIGESTS, digests)
            settle(aside)
            os.replace(aside, place(file_sha256(aside / DIGESTS)))
            settle(half.parent)
    except BaseException:
        if first:
            remove(aside)
        raise
    distributed.barrier()
    return first


def _write(folder: Path, content: dict, first: bool) -> dict[str, str]:
    """Write all files of a folder but the list of digests, which is returned.

    Parameters
    ----------
    folder : Path
        An empty folder.
    content : dict
        As of :func:`write_parts`.
    first : bool
        Whether this process writes what is not shared out.

    Returns
    -------
    dict
        The SHA-256 of the files of all processes by name.

    Raises
    ------
    OSError
        In all processes, when what one has written is not what it reads back.
    """
    parts = {}

    def set_apart(name: str, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, DTensor):
            return tensor
        parts[name] = tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    rest = map_tensors(content, set_apart)
    files = _HashedFiles()
    writer = checkpoint.FileSystemWriter(folder)
    writer.fs = files
    with _own_errors():
        checkpoint.save(parts, storage_writer=writer)
    if first:
        with files.create_stream(folder / REST, "wb") as file:
            write_tensors(rest, file)
            file.flush()
            os.fsync(file.fileno())
    changed = [
        name
        for name, digest in files.digests.items()
        if file_sha256(folder / name, from_disk=True) != digest
    ]
    of_all = _from_all((files.digests, changed))
    if names := [name for _, names in of_all for name in names]:
        raise OSError(
            f"{folder}: what was written of {', '.join(names)} is not what is read back; check the "
            f"file system. The restart files before it remain"
        )
    return {name: digest for digests, _ in of_all for name, digest in digests.items()}


def are_sound(folder: Path, checksum: str) -> bool:
    """Say whether the files of a folder are those that were written; processes share the reading.

    Parameters
    ----------
    folder : Path
        The folder.
    checksum : str
        That in its name.

    Returns
    -------
    bool
        The same in all processes.
    """
    rank, count = _rank()
    try:
        digests = read_sealed_json(folder / DIGESTS)
        sound = file_sha256(folder / DIGESTS) == checksum and all(
            file_sha256(folder / name, from_disk=True) == digests[name]
            for name in sorted(digests)[rank::count]
        )
    except (FileNotFoundError, SealError):
        sound = False
    return all(_from_all(sound))


def read_parts(folder: Path, target_of: Callable[[str, Tensor], Tensor] | None = None) -> dict:
    """Read a folder, of which each process takes what it has a target for.

    Parameters
    ----------
    folder : Path
        A sound folder.
    target_of : callable, optional
        Returns the tensors to read shared-out ones into, by their names and examples of their
        shape; by default whole, on the processor.

    Returns
    -------
    dict
        The content, as it was written.
    """
    rest = torch.load(folder / REST, map_location="cpu", weights_only=True)
    target_of = target_of or (lambda name, example: torch.empty_like(example, device="cpu"))
    parts = {}

    def take(name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return tensor
        parts[name] = target_of(name, tensor)
        return parts[name]

    content = map_tensors(rest, take)
    with _own_errors():
        checkpoint.load(parts, storage_reader=checkpoint.FileSystemReader(folder))
    return content
