"""Read public Zarr stores of format 2 over HTTP, chunk by chunk.

All metadata come at once (``.zmetadata``). zarr decodes the chunks, which are loaded before with
the attempts and checks of all downloads. Dimensions are told by name (``_ARRAY_DIMENSIONS``):
stores of one archive have them in different orders.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import requests
import xarray as xr
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.transfer import get_file
from fuxiflow.config.base import did_you_mean
from fuxiflow.storage.field_files import SYNONYMS
from fuxiflow.storage.mirrors import chunk_keys

METADATA = ".zmetadata"
KEPT_BYTES = 256 << 20
"""Chunks of several times that are kept, as the next days may need them again."""
WRONG_ADDRESS = "is it the address of a Zarr store (config/archive.yaml)?"
_DAMAGED = "The store's copy or the way to it is damaged"
_BLOSC_HEADER = 16


class PublicStore:
    """A Zarr store at an address; threads may share it."""

    def __init__(self, session: requests.Session, url: str):
        """Load the metadata.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        url : str
            Base address of the store.

        Raises
        ------
        DownloadError
            When there is no such store; the text names the address and what is there.
        """
        self.url = url
        place = f"{url}/{METADATA}"
        try:
            content = get_file(session, place).content
        except Absent:
            raise DownloadError(
                f"{place}: there is none (status 404); {WRONG_ADDRESS} It has to be of format 2 "
                f"and to have consolidated metadata"
            ) from None
        try:
            self._metadata = json.loads(content)["metadata"]
            self.attributes = self._metadata.get(".zattrs", {})
            self.names = sorted(
                key.removesuffix("/.zarray") for key in self._metadata if key.endswith("/.zarray")
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DownloadError(
                f"{place}: no metadata of a Zarr store of format 2 ({error!r}); {WRONG_ADDRESS}"
            ) from error
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def array(self, name: str, chunks: dict[str, bytes] | None = None) -> zarr.Array:
        """Return an array over chunks that were loaded; all others hold its fill value."""
        if name not in self:
            raise DownloadError(
                f"{self.url}: it has no array {name}{did_you_mean(name, self.names)}; it holds "
                f"{', '.join(self.names) or 'none'}"
            )
        buffer = default_buffer_prototype().buffer
        content = {
            key: buffer.from_bytes(json.dumps(self._metadata[f"{name}/{key}"]).encode("utf-8"))
            for key in (".zarray", ".zattrs")
            if f"{name}/{key}" in self._metadata
        }
        content |= {key: buffer.from_bytes(body) for key, body in (chunks or {}).items()}
        try:
            return zarr.open_array(MemoryStore(content), mode="r", zarr_format=2)
        except (ValueError, KeyError, TypeError) as error:
            raise DownloadError(
                f"{self.url}/{name}: its metadata cannot be used: {error!r}"
            ) from error

    def attributes_of(self, name: str) -> dict:
        """Return the attributes of an array."""
        return self._metadata.get(f"{name}/.zattrs", {})

    def dimensions(self, name: str) -> tuple[str, ...]:
        """Return the names of an array's dimensions, in their order."""
        count = self.array(name).ndim
        names = self.attributes_of(name).get("_ARRAY_DIMENSIONS")
        if not isinstance(names, list) or len(names) != count:
            raise DownloadError(f"{self.url}/{name}: it does not name its dimensions")
        return tuple(SYNONYMS.get(one, one) for one in names)

    def coordinate(self, session: requests.Session, name: str) -> np.ndarray:
        """Load a coordinate; times are decoded. ``lat`` and ``lon`` are taken for long names.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        name : str
            Name of the coordinate.

        Returns
        -------
        np.ndarray
            Its values; those of times as ``datetime64[s]``.

        Raises
        ------
        DownloadError
            When it is not whole, times cannot be decoded, or values do not rise or fall throughout.
        """
        other = next((short for short, long in SYNONYMS.items() if long == name), name)
        stored = other if name not in self and other in self else name
        shape = self.array(stored).shape
        values, there = self.load(session, stored, [range(shape[0])] if len(shape) == 1 else [])
        if len(shape) != 1 or not there.all():
            raise DownloadError(f"{self.url}/{stored}: the coordinate is not whole")
        if name == "time":
            attributes = self.attributes_of(stored)
            try:
                axis = xr.decode_cf(xr.Dataset(coords={"time": ("time", values, attributes)}))
                values = axis["time"].values.astype("datetime64[s]")
            except (ValueError, TypeError, OverflowError) as error:
                raise DownloadError(
                    f"{self.url}/{stored}: its times cannot be decoded (units "
                    f"{attributes.get('units')!r}): {error}"
                ) from error
        if len(values) > 1 and not (
            (values[1:] > values[:-1]).all() or (values[1:] < values[:-1]).all()
        ):
            raise DownloadError(f"{self.url}/{stored}: its values neither rise nor fall throughout")
        return values

    def chunk_length(self, name: str, dimension: str) -> int:
        """Return how many values of a dimension are in a chunk of an array."""
        return self.array(name).chunks[self.dimensions(name).index(dimension)]

    def load(
        self, session: requests.Session, name: str, positions: Sequence[Sequence[int]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Load values of an array at some positions; whole chunks are transferred.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        name : str
            Name of the array.
        positions : sequence of sequence of int
            Positions along each dimension.

        Returns
        -------
        values : np.ndarray
            The values, those of chunks that are not in the store (404) being its fill value.
        there : np.ndarray of bool
            Of the same shape: whether the chunk is in the store.

        Raises
        ------
        DownloadError
            When a chunk cannot be had, or is damaged; the text names its address.
        """
        array = self.array(name)
        there = np.zeros([len(along) for along in positions], bool)
        numbers = [
            np.asarray(along) // size for along, size in zip(positions, array.chunks, strict=True)
        ]
        chunks = {}
        for key, one in chunk_keys(array, positions):
            body = self._chunk(session, f"{name}/{key}", array)
            if body is not None:
                chunks[key] = body
                inside = [along == number for along, number in zip(numbers, one, strict=True)]
                there[np.ix_(*inside)] = True
        try:
            values = self.array(name, chunks).oindex[tuple(np.asarray(p) for p in positions)]
        except (ValueError, RuntimeError, OSError, TypeError) as error:
            raise DownloadError(
                f"{self.url}/{name}: a chunk of {', '.join(chunks)} cannot be decoded ({error}). "
                f"{_DAMAGED}"
            ) from error
        return np.asarray(values), there

    def _chunk(self, session: requests.Session, key: str, array: zarr.Array) -> bytes | None:
        """Load a chunk, or None where the store has none.

        Parameters
        ----------
        session : requests.Session
            Session of the calling thread.
        key : str
            Its key.
        array : zarr.Array
            The array that it is of.

        Returns
        -------
        bytes or None
            What the store has.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        address = f"{self.url}/{key}"
        try:
            body = get_file(session, address).content
        except Absent:
            return None
        if complaint := chunk_complaint(body, array):
            raise DownloadError(f"{address}: {complaint}. {_DAMAGED}")
        if array.chunks[0] > 1:
            with self._lock:
                self._kept[key] = body
                while sum(map(len, self._kept.values())) > KEPT_BYTES:
                    self._kept.popitem(last=False)
        return body


def chunk_complaint(body: bytes, array: zarr.Array) -> str:
    """Say that a chunk has not the size it should have; empty where it has, or zarr will tell.

    Blosc takes a chunk that was cut off for a whole one, and reads beyond its end.
    """
    codecs = [*array.filters, *array.compressors]
    whole = int(np.prod(array.chunks)) * array.dtype.itemsize
    if not codecs and len(body) != whole:
        return f"the chunk has {len(body)} bytes instead of {whole}"
    if codecs and getattr(codecs[-1], "codec_id", "") == "blosc":
        if len(body) < _BLOSC_HEADER:
            return f"the chunk has only {len(body)} bytes"
        unpacked, packed = (int.from_bytes(body[at : at + 4], "little") for at in (4, 12))
        if packed != len(body):
            return f"the chunk has {len(body)} bytes instead of {packed}"
        if len(codecs) == 1 and unpacked != whole:
            return f"the chunk holds {unpacked} bytes instead of {whole}"
    return ""
