"""The verified files of a raw input: of a folder with a manifest, or of a receipt.

In the embedded world a raw input is a folder. Of the archives it is a receipt: a small file that
says which entries of which manifests a segment is made of. What an entry ``covers``:

======== =======================================================================================
days     ISO days of the fields or observations; without, any
fields   names of the fields, as the archive calls them; without, any
hours    hours of the day, UTC, of ERA5
blocks   instead of the three, several sets of them, where one file holds more than a product
======== =======================================================================================
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuxiflow.storage.files import SealError, read_sealed_json, write_sealed_json
from fuxiflow.storage.manifests import (
    SIDECARS,
    FileEntry,
    Manifest,
    RawFileError,
    check_file,
    files_below,
    in_raw_store,
    read_manifest,
)

LOG = logging.getLogger("fuxiflow")
RECEIPT_FORMAT = 1
UNVERIFIED_REMARK = "not verified: the folder has no manifest.json"
"""Remark on the files of a folder that nothing vouches for."""


@dataclass(frozen=True)
class RawFiles:
    """The files of a raw input, and what a reader should know of them.

    ``remark`` is empty, or says that nothing vouches for the files; it belongs into ledgers.
    ``reason`` says why there is no file, where a receipt knows.
    """

    paths: list[Path]
    remark: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """The days and fields that are asked of a product.

    ``days`` are first and last, in ISO form; ``fields`` are all where there is none. ``extras`` are
    pairs of a field and a further day.
    """

    days: tuple[str, str]
    fields: tuple[str, ...] = ()
    extras: tuple[tuple[str, str], ...] = ()

    def concerns(self, entry: FileEntry) -> bool:
        """Say whether a file holds something of what is asked."""
        return any(self._meets(block) for block in blocks_of(entry.covers))

    def _meets(self, block: dict) -> bool:
        days, fields = block.get("days"), block.get("fields")
        in_days = days is None or any(self.days[0] <= day <= self.days[1] for day in days)
        in_fields = not (self.fields and fields) or bool({*self.fields} & {*fields})
        if in_days and in_fields:
            return True
        return any(
            (fields is None or field in fields) and (days is None or day in days)
            for field, day in self.extras
        )


def blocks_of(covers: dict) -> list[dict]:
    """Return the sets of days, hours and fields that a file covers."""
    return covers.get("blocks", [covers])


def selected_entries(
    manifest: Manifest, question: Question, last_number: int
) -> Iterator[tuple[str, FileEntry]]:
    """Yield the entries of a manifest that a receipt is about, with their names.

    Parameters
    ----------
    manifest : Manifest
        A month's files of a product.
    question : Question
        What was asked.
    last_number : int
        Number of the last entry that there was.

    Returns
    -------
    Iterator of tuple
        Name and entry, in the order of their numbers.
    """
    for name, entry in sorted(manifest.files.items(), key=lambda item: item[1].number):
        if entry.number <= last_number and question.concerns(entry):
            yield name, entry


def entries_digest(entries: Iterable[tuple[str, FileEntry]]) -> str:
    """Return the SHA-256 of names, sizes and digests of files."""
    lines = [f"{name} {entry.bytes} {entry.sha256}" for name, entry in entries]
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()


def write_receipt(
    path: Path,
    product: str,
    segment: str,
    question: Question,
    folders: Iterable[Path],
    reason: str = "",
) -> dict:
    """Write what a segment of a product is made of, as the manifests are now.

    Two receipts of the same files are the same text: Snakemake compares them by checksum.

    Parameters
    ----------
    path : Path
        The file to write.
    product, segment : str
        What it is a receipt of.
    question : Question
        The days and fields that were asked.
    folders : iterable of Path
        Folders of the raw store; those without a manifest are left out.
    reason : str
        Why there is no file, where that is so.

    Returns
    -------
    dict
        The content.
    """
    numbers, entries_used = {}, []
    for folder in folders:
        manifest = read_manifest(folder)
        if manifest is None:
            continue
        entries = list(selected_entries(manifest, question, manifest.last_number))
        numbers[Path(folder).as_posix()] = max((entry.number for _, entry in entries), default=0)
        entries_used += entries
    content = {
        "format": RECEIPT_FORMAT,
        "product": product,
        "segment": segment,
        "days": list(question.days),
        "fields": list(question.fields),
        "extras": [list(extra) for extra in question.extras],
        "manifests": numbers,
        "files": len(entries_used),
        "bytes": sum(entry.bytes for _, entry in entries_used),
        "sha256": entries_digest(entries_used),
        "reason": reason,
    }
    write_sealed_json(Path(path), content)
    return content


def verified_files(raw: Path, is_read: Callable[[str], bool] = lambda name: True) -> RawFiles:
    """Return the files of a raw input, each compared with its size and SHA-256 in the manifest.

    Parameters
    ----------
    raw : Path
        A receipt, a folder of raw files, or one raw file.
    is_read : callable
        Says of a name whether the file is wanted; others are left out, and not read.

    Returns
    -------
    RawFiles
        Sorted paths. Those of a folder without a manifest are not verified; a warning and the
        remark say so.

    Raises
    ------
    RawFileError
        When a file is damaged or missing, a receipt is older than what it speaks of, or a folder of
        the raw store or of the embedded world has no manifest; the text names the file and what
        to do.
    FileNotFoundError
        When there is no such input.
    """
    raw = Path(raw)
    if raw.suffix == ".json" and raw.is_file():
        return _files_of_receipt(raw, is_read)
    if not raw.exists():
        raise FileNotFoundError(
            f"{raw}: no such directory; the files of an outage are an empty directory"
        )
    folder = raw if raw.is_dir() else raw.parent
    names = list(files_below(raw)) if raw.is_dir() else [raw.name]
    manifest = read_manifest(folder)
    if manifest is None and (folder / "provenance.json").exists():
        raise RawFileError(
            f"{folder}: its manifest.json is gone, without which its files cannot be checked; "
            f"delete {folder} and run the same command again: its rule makes it anew"
        )
    if manifest is None:
        return _unverified(raw, [folder / name for name in names if is_read(name)])
    unlisted = sorted({*names} - manifest.files.keys())
    if unlisted:
        LOG.warning(
            "%s: %d files are not in the manifest and not read, first: %s",
            folder,
            len(unlisted),
            unlisted[0],
        )
    listed = [
        (folder / name, entry)
        for name, entry in manifest.files.items()
        if is_read(name) and (raw.is_dir() or name == raw.name)
    ]
    return RawFiles(_checked(listed))


def unverified_remark(raw: Path) -> str:
    """Return what ledgers say of a folder that nothing vouches for; empty where something does."""
    raw = Path(raw)
    return UNVERIFIED_REMARK if raw.is_dir() and read_manifest(raw) is None else ""


def _files_of_receipt(path: Path, is_read: Callable[[str], bool]) -> RawFiles:
    """Return the verified files that a receipt speaks of."""
    again = f"delete {path} and run again: it is made anew from the raw store"
    try:
        content = read_sealed_json(path)
    except SealError as error:
        raise RawFileError(f"{error}; {again}") from error
    extras = tuple((field, day) for field, day in content["extras"])
    question = Question(tuple(content["days"]), tuple(content["fields"]), extras)
    entries_used, listed = [], []
    for folder, last_number in content["manifests"].items():
        manifest = read_manifest(Path(folder))
        if manifest is None:
            raise RawFileError(f"{folder}: no manifest.json, which {path} speaks of; {again}")
        entries = list(selected_entries(manifest, question, last_number))
        entries_used += entries
        listed += [(Path(folder) / name, entry) for name, entry in entries if is_read(name)]
    if entries_digest(entries_used) != content["sha256"]:
        raise RawFileError(
            f"{path}: the manifests below {', '.join(content['manifests'])} list other files than "
            f"when it was made; {again}"
        )
    return RawFiles(_checked(listed), reason=content["reason"])


def _checked(listed: Iterable[tuple[Path, FileEntry]]) -> list[Path]:
    """Return the sorted paths of files after each was compared with its entry."""
    paths = []
    for path, entry in listed:
        check_file(path, entry)
        if path.name not in SIDECARS:
            paths.append(path)
    return sorted(paths)


def _unverified(raw: Path, paths: list[Path]) -> RawFiles:
    """Return files without a manifest, with a warning; RawFileError in the raw store."""
    folder = raw if raw.is_dir() else raw.parent
    if in_raw_store(raw):
        raise RawFileError(
            f"{folder}: no manifest.json vouches for its files; run 'fuxiflow adopt {folder}'"
        )
    remark = UNVERIFIED_REMARK
    LOG.warning("%s: %s", folder, remark)
    return RawFiles(sorted(paths), remark)
