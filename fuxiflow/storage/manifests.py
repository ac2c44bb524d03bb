"""Manifests of raw files: size, SHA-256 and origin of every file, and checks against them.

A folder of raw files has a ``manifest.json``. Its entries are numbered in the order in which they
were added, so that a receipt can name those that there were when it was made. The manifest carries
a digest of itself.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from fuxiflow.storage import provenance
from fuxiflow.storage.checksums import file_sha256
from fuxiflow.storage.files import SealError, read_sealed_json, write_sealed_json

MANIFEST = "manifest.json"
"""Name of a folder's manifest."""
SIDECARS = (MANIFEST, "provenance.json")
"""Names of files that are no raw files."""
FORMAT = 1


class RawFileError(ValueError):
    """A raw file, or the manifest that lists it, is damaged, missing or not listed."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a manifest.

    ``origin`` is the address that it came from, or says who brought it; ``fetched`` is a time in
    UTC, empty for files of the embedded world. ``covers`` says what it holds, see
    :mod:`fuxiflow.storage.raw_files`; ``agreed`` names the archive's checksums that it has.
    """

    bytes: int
    sha256: str
    origin: str
    fetched: str = ""
    number: int = 0
    covers: dict = field(default_factory=dict)
    agreed: list[str] = field(default_factory=list)


@dataclass
class Manifest:
    """The files of a folder by name, names that the archive lacked, and days that were listed.

    ``absent`` and ``complete`` say of each name and day when the archive was asked and where.
    ``unfinished`` says that files of the folder were still to be adopted when it was written.
    """

    files: dict[str, FileEntry] = field(default_factory=dict)
    absent: dict[str, dict] = field(default_factory=dict)
    complete: dict[str, dict] = field(default_factory=dict)
    unfinished: bool = False

    @property
    def last_number(self) -> int:
        """The number of the entry that was added last, 0 without any."""
        return max((entry.number for entry in self.files.values()), default=0)


def file_entry(path: Path, origin: str, **facts) -> FileEntry:
    """Return the entry of a file as it is now.

    Parameters
    ----------
    path : Path
        The file.
    origin : str
        The address that it came from, or who brought it.
    **facts
        Further fields of the entry.

    Returns
    -------
    FileEntry
        With size and SHA-256.
    """
    return FileEntry(path.stat().st_size, file_sha256(path), origin, **facts)


def is_manifest_of_old(folder: Path) -> bool:
    """Say whether a folder has a manifest of before there were digests: names and sizes alone."""
    try:
        content = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "fetched" in content and "format" not in content


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None where it has none, or one of old.

    RawFileError, with the remedy, where the manifest is damaged.
    """
    path = Path(folder) / MANIFEST
    if not path.exists() or is_manifest_of_old(folder):
        return None
    try:
        content = read_sealed_json(path)
        files = {name: FileEntry(**entry) for name, entry in content["files"].items()}
        unfinished = bool(content.get("unfinished", False))
        return Manifest(files, content["absent"], content["complete"], unfinished)
    except (SealError, KeyError, TypeError) as error:
        raise RawFileError(f"{error}; {remedy_of(path)}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder, whole or not at all."""
    content = {
        "format": FORMAT,
        "files": {name: asdict(entry) for name, entry in manifest.files.items()},
        "absent": manifest.absent,
        "complete": manifest.complete,
        **({"unfinished": True} if manifest.unfinished else {}),
    }
    write_sealed_json(Path(folder) / MANIFEST, content)


def files_below(folder: Path) -> Iterator[str]:
    """Yield the names of the raw files below a folder, sorted; hidden ones and sidecars are none.

    A name is the path relative to the folder, with slashes. Links to folders are followed. A link
    to nothing is a file too, one that cannot be read: it must not look like one there never was.
    OSError where a folder cannot be read.
    """

    def refuse(error: OSError):
        raise error

    names, seen = [], set()
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = os.path.realpath(place)
        # a link may lead back to where it lies
        folders[:] = [] if here in seen else [name for name in folders if name[0] != "."]
        paths = (Path(place, name) for name in files if name[0] != "." and name not in SIDECARS)
        if here not in seen:
            names += [
                path.relative_to(folder) for path in paths if path.is_file() or _dangles(path)
            ]
        seen.add(here)
    yield from (name.as_posix() for name in sorted(names))


def _dangles(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def seal_folder(folder: Path) -> None:
    """Give a finished folder of raw files its provenance and its manifest.

    Used for what the embedded world writes. Nothing in the manifest depends on the time of day.
    """
    folder = Path(folder)
    provenance.write_sidecar(folder)
    names = [*files_below(folder), "provenance.json"]
    entries = {
        name: file_entry(folder / name, "embedded world", number=number)
        for number, name in enumerate(names, start=1)
    }
    write_manifest(folder, Manifest(entries))


def in_raw_store(path: Path) -> bool:
    """Say whether a path lies in the raw store, below ``resources/archive``."""
    parts = Path(os.path.abspath(path)).parts
    return ("resources", "archive") in pairwise(parts)


def remedy_of(path: Path) -> str:
    """Return what to do about a damaged or missing raw file or manifest."""
    path = Path(path)
    if not in_raw_store(path):
        return f"delete {path.parent} and run again: it is made anew"
    if path.name == MANIFEST:
        return f"delete this manifest and run 'fuxiflow adopt {path.parent}'"
    return (
        f"move the file away where it is there, then run 'fuxiflow fetch' with the configuration, "
        f"or bring it again and run 'fuxiflow adopt {path.parent}'"
    )


def difference(path: Path, entry: FileEntry, content: bool = True) -> str:
    """Say how a file differs from its entry, in a few words; an empty text where it does not.

    Parameters
    ----------
    path : Path
        The file.
    entry : FileEntry
        Its entry in the manifest.
    content : bool
        Read the file and compare its SHA-256; otherwise its size alone is compared.

    Returns
    -------
    str
        The difference.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return "missing, but listed in the manifest"
    if size != entry.bytes:
        return f"damaged: {size} bytes instead of {entry.bytes}"
    if content and file_sha256(path) != entry.sha256:
        return "damaged: its content does not have the SHA-256 of the manifest"
    return ""


def check_file(path: Path, entry: FileEntry) -> None:
    """Raise RawFileError, naming file, reason and remedy, where a file differs from its entry."""
    if words := difference(path, entry):
        raise RawFileError(f"{path}: {words}; {remedy_of(path)}")
