"""Checks of Zarr stores by the bytes on disk: digests of metadata, sums of chunks, absent chunks.

They tell where a store is damaged, and unpack nothing.
"""

import json
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zarr

from fuxiflow.storage.checksums import DamagedError, crc32c
from fuxiflow.storage.provenance import digest

METADATA = "zarr.json"
DIGEST = "digest"
"""The attribute of each group and array that holds the digest of its ``zarr.json``."""
SUM_BYTES = 4
"""Bytes of a CRC32C."""
EMPTY = 2**64 - 1
"""Offset and length in the table of a shard of a chunk that was never written."""
EPOCH = "since 1970-01-01"


def metadata_digest(document: dict) -> str:
    """Return the digest of the contents of a ``zarr.json`` without the digest that it holds."""
    attributes = {k: v for k, v in document.get("attributes", {}).items() if k != DIGEST}
    return digest({**document, "attributes": attributes})


def check_metadata(content: bytes) -> dict:
    """Return the contents of a ``zarr.json``.

    Raises
    ------
    DamagedError
        When they are not JSON, or not those that were written; the text names no file.
    """
    try:
        document = json.loads(content)
        stated = document["attributes"][DIGEST]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            "carries no digest: it is damaged, or was made by an earlier version"
        ) from error
    if stated != metadata_digest(document):
        raise DamagedError("its contents are not those that were written: its digest differs")
    return document


def is_sound(chunk: bytes | memoryview | np.ndarray) -> bool:
    """Tell if bytes end with the CRC32C of those before."""
    return len(chunk) > SUM_BYTES and crc32c(chunk[:-SUM_BYTES]) == stored_sum(chunk)


def stored_sum(chunk: bytes | memoryview | np.ndarray) -> int:
    """Return the CRC32C that bytes end with."""
    return int.from_bytes(chunk[-SUM_BYTES:], "little")


def with_sum(content: bytes | np.ndarray) -> bytes:
    """Return bytes with their CRC32C at the end, little-endian."""
    return b"".join([content, crc32c(content).to_bytes(SUM_BYTES, "little")])


def time_texts(store: Path) -> list[str]:
    """Return the times of a store's ``time`` as texts to the second, none where it has no time."""
    try:
        axis = zarr.open_array(Path(store) / "time", mode="r")
        unit = str(axis.attrs["units"]).removesuffix(" 00:00:00")
        kind = {f"seconds {EPOCH}": "s", f"hours {EPOCH}": "h"}[unit]
        return [str(np.datetime64(t, "s")) for t in axis[:].astype(f"datetime64[{kind}]")]
    except (ValueError, RuntimeError, OSError, KeyError, TypeError):
        return []


class ArrayLayout:
    """The chunks of an array and the files in which they lie, by its metadata."""

    def __init__(self, name: str, document: dict):
        """Read the metadata.

        Parameters
        ----------
        name : str
            Path of the array in the store.
        document : dict
            Its ``zarr.json``.

        Raises
        ------
        DamagedError
            When its chunks carry no sums.
        """
        self.name = name
        self.shape = tuple(document["shape"])
        self.file_shape = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
        self.dimensions = list(document.get("dimension_names") or [])
        self.attributes = document.get("attributes", {})
        codecs = document["codecs"]
        self.sharded = codecs[0]["name"] == "sharding_indexed"
        inner = codecs[0]["configuration"] if self.sharded else {"codecs": codecs}
        self.chunk_shape = tuple(inner.get("chunk_shape", self.file_shape))
        if inner["codecs"][-1]["name"] != "crc32c":
            raise DamagedError(f"{name}: its chunks carry no sums: it is of an earlier version")

    def files(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the key of each file that the array has, and its place in the grid of files."""
        counts = [-(-n // size) for n, size in zip(self.shape, self.file_shape, strict=True)]
        for place in product(*map(range, counts)):
            yield "/".join([*([self.name] if self.name else []), "c", *map(str, place)]), place

    def entries(self, place: tuple[int, ...], inner: tuple[int, ...] | None = None) -> range:
        """Return the positions along the first dimension that a file, or a chunk in it, holds."""
        if not self.shape:
            return range(0)
        first = place[0] * self.file_shape[0]
        size = self.file_shape[0]
        if inner is not None:
            first, size = first + inner[0] * self.chunk_shape[0], self.chunk_shape[0]
        return range(min(first, self.shape[0]), min(first + size, self.shape[0]))

    def describe(self, entries: range, times: list[str], more: str = "") -> str:
        """Name a part of the array.

        Parameters
        ----------
        entries : range
            Positions along the first dimension.
        times : list of str
            The times of the store, by which the part is named where the first dimension is time.
        more : str
            What :meth:`lead_of` says.

        Returns
        -------
        str
            The name.
        """
        if not len(entries):
            return self.name
        axis = self.dimensions[0] if self.dimensions else "dimension 0"
        if axis == "time" and len(times) == self.shape[0]:
            words, before, after = times[entries.start : entries.stop], "time ", ""
        else:
            words, before, after = list(map(str, entries)), "position ", f" of {axis}"
        span = words[0] if len(words) == 1 else f"{words[0]} .. {words[-1]}"
        return f"{self.name}, {before}{span}{after}{more}"

    def lead_of(self, place: tuple[int, ...], inner: tuple[int, ...]) -> str:
        """Name the place of a chunk along the second dimension, where it is divided there."""
        if len(self.shape) < 2 or self.chunk_shape[1] == self.shape[1]:
            return ""
        axis = self.dimensions[1] if self.dimensions else "dimension 1"
        first = place[1] * self.file_shape[1] + inner[1] * self.chunk_shape[1]
        return f", {axis} {first}"

    def inner_places(self) -> Iterator[tuple[int, ...]]:
        """Yield the places of the chunks in a shard, in the order of its table."""
        counts = (n // size for n, size in zip(self.file_shape, self.chunk_shape, strict=True))
        return product(*map(range, counts))

    def holds(self, place: tuple[int, ...], inner: tuple[int, ...]) -> bool:
        """Tell if a chunk of a shard lies inside the array."""
        axes = zip(place, self.file_shape, inner, self.chunk_shape, self.shape, strict=True)
        return all(p * size + i * chunk < n for p, size, i, chunk, n in axes)


def _allowed(layout: ArrayLayout, root: dict, times: list[str]) -> set[int]:
    """Find the entries along the first dimension whose chunks need not be there.

    Parameters
    ----------
    layout : ArrayLayout
        The array.
    root : dict
        Attributes of the store.
    times : list of str
        The times of the store.

    Returns
    -------
    set of int
        Positions of times that are listed as missing or pending.
    """
    lists = [layout.attributes.get("missing", []), layout.attributes.get("pending", [])]
    named = {text for one in [*lists, root.get("pending", [])] for text in one}
    if not layout.dimensions or layout.dimensions[0] != "time":
        return set()
    return {i for i, text in enumerate(times) if text in named}


def _shard_faults(
    layout: ArrayLayout, place: tuple[int, ...], file: BinaryIO
) -> Iterator[tuple[range, str, str]]:
    """Yield what is wrong in a shard, of which one chunk after the other is read.

    Parameters
    ----------
    layout : ArrayLayout
        The array.
    place : tuple of int
        Place of the shard in the grid of files.
    file : BinaryIO
        Its open file.

    Yields
    ------
    tuple of range, str and str
        Positions along the first dimension, what :meth:`ArrayLayout.lead_of` says, and the reason.
    """
    inner_places = list(layout.inner_places())
    length = 16 * len(inner_places) + 4
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - length))
    table = file.read()
    if len(table) < length or not is_sound(table):
        yield layout.entries(place), "", "the table of chunks in its file is damaged"
        return
    rows = np.frombuffer(table[:-4], "<u8").reshape(-1, 2).tolist()
    for inner, (offset, count) in zip(inner_places, rows, strict=True):
        if not layout.holds(place, inner):
            continue
        part = layout.entries(place, inner), layout.lead_of(place, inner)
        if offset == EMPTY:
            yield *part, "absent"
            continue
        if offset + count <= size:
            file.seek(offset)
            if is_sound(file.read(count)):
                continue
        yield *part, "its checksum differs"


def array_faults(store: Path, layout: ArrayLayout, root: dict) -> Iterator[str]:
    """Yield what is wrong with the chunks of an array.

    Parameters
    ----------
    store : Path
        The store.
    layout : ArrayLayout
        The array.
    root : dict
        Attributes of the store.

    Yields
    ------
    str
        Array, time or position, reason and file.
    """
    group = Path(store) / layout.name
    times = time_texts(group.parent)
    allowed = _allowed(layout, root, times)
    for key, place in layout.files():
        path = Path(store) / key
        try:
            file = path.open("rb")
        except FileNotFoundError:
            entries = layout.entries(place)
            if not len(entries) or not allowed.issuperset(entries):
                yield (
                    f"{layout.describe(entries, times)}: absent, and not listed as missing or "
                    f"pending: there is no file {key}"
                )
            continue
        with file:
            if layout.sharded:
                faults = list(_shard_faults(layout, place, file))
            else:
                sound = is_sound(file.read())
                faults = [] if sound else [(layout.entries(place), "", "its checksum differs")]
        for entries, lead, reason in faults:
            name = layout.describe(entries, times, lead)
            if reason != "absent":
                yield f"{name}: damaged, {reason} (file {key})"
            elif not allowed.issuperset(entries):
                yield f"{name}: absent, and not listed as missing or pending (file {key})"


def metadata_faults(store: Path) -> tuple[dict[str, dict], list[str]]:
    """Read the metadata of a store.

    Parameters
    ----------
    store : Path
        The store.

    Returns
    -------
    dict of str to dict
        The sound ``zarr.json`` by the path of their group or array; the store's own is ``""``.
    list of str
        What is wrong with others.
    """
    store = Path(store)
    documents: dict[str, dict] = {}
    faults = []
    for path in [store / METADATA, *sorted(store.rglob(f"*/{METADATA}"))]:
        name = path.parent.relative_to(store).as_posix().removeprefix(".")
        try:
            documents[name] = check_metadata(path.read_bytes())
        except FileNotFoundError:
            faults.append(f"absent: there is no file {METADATA}")
        except DamagedError as error:
            faults.append(f"{path.relative_to(store)} {error}")
    for name, document in list(documents.items()):
        below = (document.get("consolidated_metadata") or {}).get("metadata", {})
        for member in below:
            path = store / name / member / METADATA
            if not path.is_file():
                faults.append(f"absent: there is no file {path.relative_to(store)}")
    return documents, faults


def store_faults(store: Path) -> Iterator[str]:
    """Yield what is wrong with a store: its metadata, then each chunk of its arrays."""
    documents, faults = metadata_faults(store)
    yield from faults
    root = documents.get("", {}).get("attributes", {})
    for name, document in documents.items():
        if document.get("node_type") == "array":
            try:
                layout = ArrayLayout(name, document)
            except DamagedError as error:
                yield str(error)
                continue
            yield from array_faults(store, layout, root)


def count_chunks(store: Path) -> int:
    """Count the files of chunks of a store."""
    return sum(
        "c" in path.relative_to(store).parts[:-1] or path.name == "c"
        for path in Path(store).rglob("*")
        if path.is_file()
    )
