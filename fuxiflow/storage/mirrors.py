"""Mirrors of public Zarr stores: the chunks that are needed, as they are, under their own keys.

The raw store has no hidden files, so metadata, which Zarr of format 2 keeps in ``.zmetadata``, lie
in ``zmetadata.json``. A chunk that is not there holds the fill value, as in the public store.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import LocalStore

from fuxiflow.storage.manifests import read_manifest
from fuxiflow.storage.raw_files import verified_files

METADATA_FILE = "zmetadata.json"
"""Name of the metadata in a mirror."""
CONSOLIDATED = ".zmetadata"
"""Key of the metadata in a public store."""


class MirrorStore(LocalStore):
    """A mirror in a folder, as Zarr of format 2 reads it."""

    def __init__(self, root: Path):
        """Take a folder; ValueError where its metadata cannot be read."""
        super().__init__(root, read_only=True)
        self._document = json.loads((Path(root) / METADATA_FILE).read_text(encoding="utf-8"))

    async def get(self, key, prototype, byte_range=None):
        """Read a key; hidden ones are of the metadata."""
        if not key.rpartition("/")[2].startswith("."):
            return await super().get(key, prototype, byte_range)
        whole = key == CONSOLIDATED
        value = self._document if whole else self._document["metadata"].get(key)
        return None if value is None else prototype.buffer.from_bytes(json.dumps(value).encode())


def chunk_keys(
    array: zarr.Array, positions: Sequence[Sequence[int]]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """List the chunks that hold values at some positions.

    Parameters
    ----------
    array : zarr.Array
        The array.
    positions : sequence of sequence of int
        Positions along each dimension.

    Yields
    ------
    key : str
        Key of a chunk below that of its array.
    numbers : tuple of int
        Number of the chunk along each dimension.
    """
    along = [
        sorted({*(np.asarray(places, int) // size).tolist()})
        for places, size in zip(positions, array.chunks, strict=True)
    ]
    for numbers in product(*along):
        yield array.metadata.encode_chunk_key(numbers), numbers


def open_mirror(receipt: Path) -> zarr.Group:
    """Open the mirror that a receipt is of, after its metadata were verified.

    RawFileError where they are damaged or missing; FileNotFoundError where nothing was fetched.
    """
    paths = verified_files(receipt, lambda name: name == METADATA_FILE).paths
    if not paths:
        raise FileNotFoundError(f"{receipt}: nothing was fetched of this store")
    return zarr.open_group(MirrorStore(paths[0].parent), mode="r", zarr_format=2)


def verify_chunks(receipt: Path, group: zarr.Group, names: set[str]) -> None:
    """Compare some chunks of a mirror with its manifest.

    Parameters
    ----------
    receipt : Path
        The receipt of what was fetched.
    group : zarr.Group
        The mirror, opened.
    names : set of str
        Names of the chunks; those that the public store lacks are not in the manifest.

    Raises
    ------
    RawFileError
        When one is damaged, missing, or neither listed nor known to be absent.
    """
    root = Path(group.store.root)
    verified = {
        path.relative_to(root).as_posix()
        for path in verified_files(receipt, names.__contains__).paths
    }
    absent = read_manifest(root).absent
    if lost := sorted(names - verified - set(absent)):
        raise FileNotFoundError(
            f"{root / lost[0]}: not fetched, as {len(lost)} chunks in all; delete {receipt} and "
            f"run again"
        )
