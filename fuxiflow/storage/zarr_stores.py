"""Zarr stores whose chunks and metadata are checked whenever they are read.

Every chunk ends with its CRC32C (:func:`codecs`), in a shard and outside of one, and zarr compares
it. Each ``zarr.json`` carries a digest of itself in its attributes. A chunk that is not there is an
error, as all chunks are written, those of fill values too. A store is made with
:func:`create_store` and read with :func:`open_store`; :mod:`fuxiflow.storage.datasets` does both
through xarray.
"""

import contextvars
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import zarr
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore, WrapperStore

from fuxiflow.storage.checksums import DamagedError, damaged, remedy
from fuxiflow.storage.zarr_checks import (
    DIGEST,
    METADATA,
    ArrayLayout,
    array_faults,
    check_metadata,
    metadata_digest,
    metadata_faults,
    store_faults,
)

CHUNK = re.compile(r"(^|/)c(/\d+)*$")
"""The key of a chunk, such as ``array/c/0/0``."""
READ_ERRORS = (ValueError, RuntimeError, OSError, TypeError, IndexError)
"""Errors that zarr and codecs may raise for damaged bytes."""
# a chunk that is written in parts is read first, and need not be there
_writing: contextvars.ContextVar[bool] = contextvars.ContextVar("writing", default=False)


class AbsentChunk(Exception):
    """A chunk that is not there; the text is its key in the store."""


def codecs(compressors: object = "auto") -> tuple:
    """Return the codecs of an array: ``compressors``, and the CRC32C of what they give.

    ``compressors`` are one codec, several, None for values as they are, ``auto`` for Zstandard.
    """
    if isinstance(compressors, str):
        compressors = ZstdCodec(level=0)
    if compressors is None:
        compressors = ()
    several = isinstance(compressors, (tuple, list))
    return (*(compressors if several else (compressors,)), Crc32cCodec())


class CheckedStore(WrapperStore[LocalStore]):
    """A folder whose metadata have digests, and in which an absent chunk is an error."""

    async def get(self, key, prototype, byte_range=None):
        """Read a key; DamagedError for damaged metadata, AbsentChunk for a chunk not there."""
        value = await self._store.get(key, prototype, byte_range)
        if value is None:
            if CHUNK.search(key) and not _writing.get():
                raise AbsentChunk(key)
        elif key.split("/")[-1] == METADATA:
            try:
                check_metadata(value.to_bytes())
            except DamagedError as error:
                raise damaged(self._store.root, f"{key} {error}") from error
        return value

    async def set(self, key, value):
        """Write a key; metadata get their digest."""
        if key.split("/")[-1] == METADATA:
            document = json.loads(value.to_bytes())
            attributes = {**document.get("attributes", {}), DIGEST: metadata_digest(document)}
            text = json.dumps({**document, "attributes": attributes}, indent=2)
            value = default_buffer_prototype().buffer.from_bytes(text.encode())
        await self._store.set(key, value)

    async def set_if_not_exists(self, key, value):
        """Write a key that is not there."""
        if not await self._store.exists(key):
            await self.set(key, value)

    async def list_dir(self, prefix):
        """List a folder without hidden names, such as the time stamp that Snakemake puts there."""
        async for name in self._store.list_dir(prefix):
            if not name.split("/")[-1].startswith("."):
                yield name

    async def get_partial_values(self, prototype, key_ranges):
        """Read several keys, or parts of them."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    # the wrapped folder's own would pass by the checks
    _get_many = Store._get_many
    _set_many = Store._set_many


@contextmanager
def writing_parts() -> Iterator[None]:
    """Let chunks be absent that are read because a part of them is written."""
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)


@contextmanager
def naming_damage(store: Path, name: str = "") -> Iterator[None]:
    """Turn an error of zarr or a codec into one that names store, array, place and remedy.

    Parameters
    ----------
    store : Path
        The store.
    name : str
        The array that is read; all by default.

    Yields
    ------
    None
        While the store is read.

    Raises
    ------
    DamagedError
        When a chunk is damaged or absent. Other errors stay as they are.
    """
    try:
        yield
    except (*READ_ERRORS, AbsentChunk) as error:
        if isinstance(error, DamagedError):
            raise
        documents, faults = metadata_faults(store)
        if not faults and name in documents and name:
            root = documents.get("", {}).get("attributes", {})
            faults = array_faults(store, ArrayLayout(name, documents[name]), root)
        elif not faults:
            faults = store_faults(store)
        if first := list(islice(faults, 1)):
            raise damaged(store, first[0]) from error
        if isinstance(error, AbsentChunk):
            # listed as missing or pending, and asked for all the same
            raise DamagedError(f"{store}: there is no chunk {error}; {remedy(store)}") from error
        raise


class CheckedArray(zarr.Array):
    """An array of a checked store: errors of reading name the place and the remedy."""

    @property
    def _root(self) -> Path:
        return self.store._store.root

    def __getitem__(self, selection):
        with naming_damage(self._root, self.path):
            return super().__getitem__(selection)

    def __setitem__(self, selection, value) -> None:
        with writing_parts():
            super().__setitem__(selection, value)


def _checked(array: zarr.Array) -> CheckedArray:
    return CheckedArray(array.async_array.with_config({"write_empty_chunks": True}))


class CheckedGroup(zarr.Group):
    """A group of a checked store, whose arrays all carry checksums."""

    def __getitem__(self, path: str):
        node = super().__getitem__(path)
        return _checked(node) if isinstance(node, zarr.Array) else CheckedGroup(node._async_group)

    def arrays(self) -> Iterator[tuple[str, CheckedArray]]:
        """Yield the arrays of the group with their names, as :meth:`__getitem__` gives them."""
        for name, array in super().arrays():
            yield name, _checked(array)

    def array_values(self) -> Iterator[CheckedArray]:
        """Yield the arrays of the group."""
        for _, array in self.arrays():
            yield array

    def create_array(self, name: str, *, compressors: object = "auto", **options) -> CheckedArray:
        """Create an array as zarr does, with the CRC32C of each chunk.

        Parameters
        ----------
        name : str
            Name of the array.
        compressors
            What :func:`codecs` takes.
        **options
            Further arguments of :meth:`zarr.Group.create_array`.

        Returns
        -------
        CheckedArray
            The array. All its chunks are written, those of fill values too.
        """
        with writing_parts():
            array = super().create_array(
                name,
                compressors=codecs(compressors),
                config={"write_empty_chunks": True},
                **options,
            )
        return CheckedArray(array.async_array)


def create_store(path: Path, attributes: dict | None = None) -> CheckedGroup:
    """Make an empty store, in place of one that is there."""
    store = CheckedStore(LocalStore(path))
    group = zarr.create_group(store, overwrite=True, zarr_format=3, attributes=attributes or {})
    return CheckedGroup(group._async_group)


def open_store(path: Path, what: str = "store", mode: str = "r") -> CheckedGroup:
    """Open a store by its own metadata.

    The consolidated copy of the metadata is made for other tools and may lag behind.

    Parameters
    ----------
    path : Path
        The store.
    what : str
        What the store holds, for the error when it is not there.
    mode : str
        ``r`` to read, ``r+`` to continue it.

    Returns
    -------
    CheckedGroup
        The store.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    DamagedError
        When its metadata are damaged, or one of its arrays is gone.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no {what}")
    try:
        document = check_metadata((path / METADATA).read_bytes())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: no {what}, it has no {METADATA}; {remedy(path)}"
        ) from error
    except DamagedError as error:
        raise damaged(path, f"{METADATA} {error}") from error
    for name in (document.get("consolidated_metadata") or {}).get("metadata", {}):
        if not (path / name / METADATA).is_file():
            raise damaged(path, f"{name} is absent: there is no file {name}/{METADATA}")
    store = CheckedStore(LocalStore(path, read_only=mode == "r"))
    group = zarr.open_group(store, mode=mode, zarr_format=3, use_consolidated=False)
    return CheckedGroup(group._async_group)


def carries_digest(path: Path) -> bool:
    """Tell if a store's metadata can be checked: not those that other programs wrote."""
    try:
        document = json.loads((Path(path) / METADATA).read_bytes())
        return DIGEST in document.get("attributes", {})
    except (OSError, ValueError, AttributeError):
        return True


def consolidate(path: Path) -> None:
    """Put a copy of all metadata in one place, in each group: xarray opens a store by it."""
    store = CheckedStore(LocalStore(path))
    with warnings.catch_warnings():
        # zarr 3 warns that the Zarr v3 specification does not know it yet
        warnings.simplefilter("ignore")
        root = zarr.open_group(store, mode="r+", zarr_format=3, use_consolidated=False)
        groups = [name for name, node in root.members(None) if isinstance(node, zarr.Group)]
        for name in [*sorted(groups, reverse=True), ""]:
            zarr.consolidate_metadata(store, path=name)
