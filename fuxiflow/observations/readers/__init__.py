"""Readers of level-1 files, one module a format.

A source's ``reader`` names the module: ``reader: atms_sdr`` is ``read(files, platforms, channels)``
of the module ``atms_sdr``. A module that declares ``VARIANTS``, a tuple of names, has
``read(variant, files, platforms, channels)``: ``reader: surface.sea``. Modules are imported when
they are used, by name: what a source's rule depends on, and what it loads, is its own reader alone.
"""

import ast
import fnmatch
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fuxiflow.storage import file_kinds
from fuxiflow.storage.raw_files import verified_files

if TYPE_CHECKING:
    from fuxiflow.observations.readers.granule import Granule


def _variants(module: Path) -> list[str]:
    """Return the variants that a module declares, [""] for a reader without, [] for no reader.

    The source is parsed and not imported, so that listing the readers loads none of their
    libraries.
    """
    tree = ast.parse(module.read_text(encoding="utf-8"), module)
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "VARIANTS":
            return list(ast.literal_eval(node.value))
    reads = any(isinstance(node, ast.FunctionDef) and node.name == "read" for node in tree.body)
    return [""] if reads else []


@cache
def reader_names() -> tuple[str, ...]:
    """Return the names of all readers: this package's modules and their variants."""
    modules = Path(__file__).parent.glob("[a-z]*.py")
    return tuple(
        sorted(
            f"{path.stem}.{variant}".strip(".") for path in modules for variant in _variants(path)
        )
    )


def _check(reader: str) -> None:
    if reader not in reader_names():
        raise KeyError(f"unknown reader {reader!r}; known: {', '.join(reader_names())}")


def module_file(reader: str) -> Path:
    """Return the module file of a reader, from which a fingerprint of it starts.

    KeyError lists the readers that there are.
    """
    _check(reader)
    return Path(__file__).with_name(f"{reader.split('.')[0]}.py")


def read(
    reader: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> "Iterator[Granule]":
    """Read files with the reader called ``reader``, one granule at a time in time order.

    Parameters
    ----------
    reader : str
        A module of this package, or ``module.variant``.
    files : Sequence[Path]
        Level-1 files.
    platforms : Sequence[str]
        Names in WMO OSCAR of the platforms to use; others are refused.
    channels : Sequence[str]
        Names of the channels to read.

    Returns
    -------
    Iterator[Granule]
        The granules. What cannot be used comes as a granule without footprints, with the reason.

    Raises
    ------
    KeyError
        When there is no such reader; the message lists those that there are.
    ValueError
        When there is no such channel; the message lists those that there are.
    """
    _check(reader)
    name, _, variant = reader.partition(".")
    module = importlib.import_module(f"{__name__}.{name}")
    return module.read(*[variant] if variant else [], files, platforms, channels)


def _alternatives(pattern: str) -> list[str]:
    """Expand the ``{a,b}`` groups of a glob pattern to plain patterns."""
    group = re.search(r"\{([^{}]*)\}", pattern)
    if not group:
        return [pattern]
    before, after = pattern[: group.start()], pattern[group.end() :]
    return [plain for word in group[1].split(",") for plain in _alternatives(before + word + after)]


def find_files(raw: Path, pattern: str) -> tuple[list[Path], list[Path]]:
    """Find the files of a raw input that match a source's ``file_pattern``, and the others.

    ``raw`` is a folder or a receipt. Both lists are sorted, and the files verified against their
    manifest. A compressed file may go by its own name or that of what it holds. Hidden files,
    provenance stamps and manifests are neither. FileNotFoundError when there is no such input.
    """
    return sort_by_pattern(verified_files(raw).paths, pattern)


def sort_by_pattern(paths: Iterable[Path], pattern: str) -> tuple[list[Path], list[Path]]:
    """Sort files into those that match a source's ``file_pattern`` and the others."""
    patterns = _alternatives(pattern)
    matching, others = [], []
    for path in paths:
        fits = any(
            fnmatch.fnmatchcase(name, single)
            for name in file_kinds.plain_names(path)
            for single in patterns
        )
        (matching if fits else others).append(path)
    return matching, others
