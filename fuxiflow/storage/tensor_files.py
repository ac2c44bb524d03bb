"""Tensor files: written as torch does, with the error of the file system where it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from fuxiflow.storage import checksums


def map_tensors(value, change: Callable[[str, Tensor], Tensor], name: str = ""):
    """Change the tensors in a nest of dictionaries and lists; everything else stays as it is.

    Parameters
    ----------
    value : object
        The nest.
    change : callable
        Gets the name of a tensor, its keys joined by slashes, and the tensor.
    name : str
        The name of the nest in a larger one.

    Returns
    -------
    object
        A nest of the same keys.
    """
    if isinstance(value, Tensor):
        return change(name, value)
    if isinstance(value, dict):
        return {key: map_tensors(item, change, f"{name}/{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [map_tensors(item, change, f"{name}/{i}") for i, item in enumerate(value)]
    return value


def disk_refusal(error: BaseException, name: str | None) -> BaseException:
    """Return the error of the file system that is behind one of torch, which names no reason.

    Parameters
    ----------
    error : BaseException
        The error of torch.
    name : str, optional
        The file.

    Returns
    -------
    BaseException
        An OSError, or the error itself where no other is behind it.
    """
    refusal: BaseException | None = error
    while refusal is not None and not isinstance(refusal, OSError):
        refusal = refusal.__context__
    return error if refusal is None else OSError(refusal.errno, refusal.strerror, name)


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
        raise disk_refusal(error, getattr(file, "name", None)) from error


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
