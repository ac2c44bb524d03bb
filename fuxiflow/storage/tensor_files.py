"""Tensor files: written as torch does, with the error of the file system where it refuses."""

from pathlib import Path
from typing import IO

import torch

from fuxiflow.storage import checksums


def write_tensors(content: dict, file: IO[bytes]) -> None:
    """Write ``content`` into an open file.

    Raises
    ------
    OSError
        When the file cannot be written, as on a full disk; torch's own error names no reason.
    """
    try:
        torch.save(content, file)
    except (RuntimeError, OSError) as error:
        refusal: BaseException | None = error
        while refusal is not None and not isinstance(refusal, OSError):
            refusal = refusal.__context__
        if refusal is None:
            raise
        raise OSError(refusal.errno, refusal.strerror, getattr(file, "name", None)) from error


def save_tensors(content: dict, path: Path) -> None:
    """Write ``content`` into a file of its own, with a checksum.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    with open(path, "wb") as file:
        write_tensors(content, file)
    checksums.seal_zip(path)
