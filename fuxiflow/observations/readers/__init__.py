"""Readers of level-1 files, by the name a source's ``reader`` gives."""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fuxiflow.observations.readers import atms_sdr
from fuxiflow.observations.readers.granule import Granule

READERS = {"atms_sdr_hdf5": atms_sdr.read}


def read(reader: str, files: Sequence[Path], platform: str, channels: Sequence[str]) -> Iterator[Granule]:
    """Read files with the reader called ``reader``, one granule at a time in time order.

    What cannot be used comes as a granule without footprints, with the reason. KeyError lists the known readers,
    ValueError the known channels.
    """
    if reader not in READERS:
        raise KeyError(f"unknown reader {reader!r}; known: {', '.join(sorted(READERS))}")
    return READERS[reader](files, platform, channels)


def _alternatives(pattern: str) -> list[str]:
    """A glob pattern with ``{a,b}`` groups as plain patterns."""
    group = re.search(r"\{([^{}]*)\}", pattern)
    if not group:
        return [pattern]
    head, tail = pattern[:group.start()], pattern[group.end():]
    return [whole for word in group[1].split(",") for whole in _alternatives(head + word + tail)]


def find(directory: Path, pattern: str) -> tuple[list[Path], list[Path]]:
    """Files below a directory whose names match a source's ``file_pattern``, and the others, both sorted.

    Hidden files and provenance stamps are neither. FileNotFoundError when there is no such directory.
    """
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"{directory}: no such directory; the files of an outage are an empty directory")
    patterns = _alternatives(pattern)
    matching, others = [], []
    for path in sorted(Path(directory).rglob("*")):
        if path.is_dir() or path.name.startswith(".") or path.name == "provenance.json":
            continue
        fits = any(fnmatch.fnmatchcase(path.name, single) for single in patterns)
        (matching if fits else others).append(path)
    return matching, others
