"""Readers of level-1 files, one module a format, by the name that a source's ``reader`` gives.

``reader: atms_sdr`` is ``read(files, platforms, channels)`` of the module ``atms_sdr``. A module that declares
``VARIANTS``, a tuple of names, has ``read(variant, files, platforms, channels)``: ``reader: surface.sea``. Modules are
imported when they are used, by name: what a source's rule depends on, and what it loads, is its
own reader alone.
"""

import ast
import fnmatch
import importlib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuxiflow.observations.readers.granule import Granule


def _variants(module: Path) -> list[str]:
    """The readers of a module, from its source: its VARIANTS, an empty name where it is one reader, [] where none."""
    tree = ast.parse(module.read_text(), module)
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "VARIANTS":
            return list(ast.literal_eval(node.value))
    return (
        [""]
        if any(isinstance(node, ast.FunctionDef) and node.name == "read" for node in tree.body)
        else []
    )


@cache
def known() -> tuple[str, ...]:
    """Names of all readers, of this package's modules and their variants."""
    modules = Path(__file__).parent.glob("[a-z]*.py")
    return tuple(
        sorted(
            f"{path.stem}.{variant}".strip(".") for path in modules for variant in _variants(path)
        )
    )


def _check(reader: str) -> None:
    if reader not in known():
        raise KeyError(f"unknown reader {reader!r}; known: {', '.join(known())}")


def module_file(reader: str) -> Path:
    """The module that a reader is in: what a fingerprint of it starts from. KeyError lists the known readers."""
    _check(reader)
    return Path(__file__).with_name(f"{reader.split('.')[0]}.py")


def read(
    reader: str, files: Sequence[Path], platforms: Sequence[str], channels: Sequence[str]
) -> "Iterator[Granule]":
    """Read files with the reader called ``reader``, one granule at a time in time order.

    Only what is of one of the ``platforms`` is used. What cannot be used comes as a granule without footprints, with
    the reason. KeyError lists the known readers, ValueError the known channels.
    """
    _check(reader)
    name, _, variant = reader.partition(".")
    module = importlib.import_module(f"{__name__}.{name}")
    return module.read(*[variant] if variant else [], files, platforms, channels)


def _alternatives(pattern: str) -> list[str]:
    """A glob pattern with ``{a,b}`` groups as plain patterns."""
    group = re.search(r"\{([^{}]*)\}", pattern)
    if not group:
        return [pattern]
    head, tail = pattern[: group.start()], pattern[group.end() :]
    return [whole for word in group[1].split(",") for whole in _alternatives(head + word + tail)]


def find(directory: Path, pattern: str) -> tuple[list[Path], list[Path]]:
    """Files below a directory whose names match a source's ``file_pattern``, and the others, both sorted.

    Hidden files, provenance stamps and a download's ``manifest.json`` are neither. FileNotFoundError when there is no
    such directory.
    """
    if not Path(directory).is_dir():
        raise FileNotFoundError(
            f"{directory}: no such directory; the files of an outage are an empty directory"
        )
    patterns = _alternatives(pattern)
    matching, others = [], []
    for path in sorted(Path(directory).rglob("*")):
        if (
            path.is_dir()
            or path.name.startswith(".")
            or path.name in ("provenance.json", "manifest.json")
        ):
            continue
        fits = any(fnmatch.fnmatchcase(path.name, single) for single in patterns)
        (matching if fits else others).append(path)
    return matching, others
