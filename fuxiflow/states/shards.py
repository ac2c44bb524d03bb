"""Read single chunks of a sharded Zarr v3 array without the detour over its event loop.

Training reads a hundred thousand times, and ``zarr`` takes 0.7 ms longer for a field of 70 x 32 x
64 than unpacking it does (it fetches the shard's table each time). The layout is that of the codec
``sharding_indexed``
(https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html): at the end of a
shard file lies a table of (offset, length) of its chunks, little-endian uint64, followed by its
CRC32C. Each chunk ends with the CRC32C of its bytes. Both sums are compared at every read.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr
from numcodecs.blosc import decompress

from fuxiflow.storage.checksums import crc32c, damaged
from fuxiflow.storage.packing import BlockPackingCodec, Packing
from fuxiflow.storage.zarr_checks import EMPTY, SUM_BYTES, is_sound, stored_sum


@lru_cache(maxsize=4096)
def _index(path: str, count: int, mtime_ns: int) -> np.ndarray:
    """Read the table of a shard file, once while the file is unchanged.

    Parameters
    ----------
    path : str
        The shard file.
    count : int
        Number of chunks in it.
    mtime_ns : int
        Its modification time, which tells the cache of a change.

    Returns
    -------
    np.ndarray
        Offsets and lengths ``(chunk, 2)`` in bytes.

    Raises
    ------
    OSError
        When the table is damaged or points outside the file.
    """
    with open(path, "rb") as file:
        end = file.seek(-16 * count - SUM_BYTES, os.SEEK_END)
        stored = file.read()
    if not is_sound(stored):
        raise OSError("the checksum of its table of chunks differs")
    table = np.frombuffer(stored[:-SUM_BYTES], "<u8").reshape(count, 2)
    beyond = (table[:, 0] != EMPTY) & ((table > end).any(axis=1) | (table.sum(axis=1) > end))
    if beyond.any():
        raise OSError(
            "its table of chunks points outside the file: the file is cut short or damaged"
        )
    return table


RELEASED_BYTES = 1 << 20
"""Least bytes read from a map at once that leave the memory of the process afterwards.

Pages of a map count as such. Mapping them anew takes a tenth of the time of unpacking them.
"""


@lru_cache(maxsize=256)
def _map(path: str, mtime_ns: int) -> mmap.mmap:
    """Map a shard file into memory, once while the file is unchanged."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def _mapped(path: str, mtime_ns: int, begin: int, end: int) -> Iterator[np.ndarray]:
    """Give bytes of a shard file, which are not copied.

    Parameters
    ----------
    path : str
        The shard file.
    mtime_ns : int
        Its modification time.
    begin, end : int
        The first byte, and that after the last.

    Yields
    ------
    np.ndarray
        The bytes, while the context lasts.
    """
    mapped = _map(path, mtime_ns)
    yield np.frombuffer(mapped, np.uint8)[begin:end]
    if end - begin >= RELEASED_BYTES and hasattr(mmap, "MADV_DONTNEED"):
        first = begin // mmap.PAGESIZE * mmap.PAGESIZE
        mapped.madvise(mmap.MADV_DONTNEED, first, min(end, len(mapped)) - first)


def _decompress(path: str, offset: int, length: int, values: np.ndarray) -> None:
    """Unpack a chunk of a shard file.

    Parameters
    ----------
    path : str
        The shard file.
    offset, length : int
        Where the chunk lies in it, in bytes.
    values : np.ndarray
        Contiguous array into which the chunk is unpacked.

    Raises
    ------
    OSError
        When the chunk is not as it was written.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        packed = os.pread(file, length, offset)
    finally:
        os.close(file)
    if not is_sound(packed):
        raise OSError("its checksum differs")
    decompress(memoryview(packed)[:-SUM_BYTES], values)


def _copy(chunks: np.ndarray, out: np.ndarray) -> None:
    """Copy chunks that are not compressed, and compare their sums.

    Parameters
    ----------
    chunks : np.ndarray
        Bytes ``(chunk, byte)`` of neighbours, each with its sum at the end.
    out : np.ndarray
        Contiguous array ``(chunk, ...)``.

    Raises
    ------
    OSError
        When a chunk is not as it was written.
    """
    values = out.reshape(len(out), -1).view(np.uint8)
    for stored, copied in zip(chunks, values, strict=True):
        if not is_sound(stored):
            raise OSError("its checksum differs")
        np.copyto(copied, stored[:-SUM_BYTES])


def _unpack(chunk: np.ndarray, packing: Packing, values: np.ndarray) -> None:
    """Turn the integers of a chunk into fields, and compare its sum.

    Parameters
    ----------
    chunk : np.ndarray
        Its bytes, with the sum at the end.
    packing : Packing
        How they are packed.
    values : np.ndarray
        Contiguous array into which they are unpacked.

    Raises
    ------
    OSError
        When the chunk is not as it was written.
    """
    total = 0
    try:
        for part in packing.unpack_parts(chunk[:-SUM_BYTES], values):
            total = crc32c(part, total)
    except ValueError as error:
        raise OSError(f"its checksum differs, {error}") from error
    if total != stored_sum(chunk):
        raise OSError("its checksum differs")


class ShardReader:
    """Reads chunks along the leading dimensions of an array; a chunk spans all other dimensions.

    There is one leading dimension, the time, or there are two, as initial time and lead of
    forecasts. Chunks are counted in row order: that of the second lead of the third of forecasts
    with 40 leads has position 81. Of two leading dimensions a shard file has the whole second one
    and one place of the first. Arrays of another layout (other shards or none, other codecs, other
    stores than a local directory) are read through ``zarr``.
    """

    def __init__(
        self,
        path: Path,
        array: zarr.Array,
        times: Sequence[str] = (),
        leads: Sequence[int] | None = None,
    ):
        """Take an array.

        Parameters
        ----------
        path : Path
            Its folder.
        array : zarr.Array
            The open array.
        times : Sequence[str]
            Texts of its times, for errors; by default positions stand for them.
        leads : Sequence[int], optional
            Leads in hours, where they are the second leading dimension.
        """
        self.path = Path(path)
        self._times = times
        self._leads = leads
        leading = 1 if leads is None else 2
        self._array = array
        # the name of a shard file: folder, number of the shard, and the rest
        self._folder, self._rest = f"{path}/c/", "/0" * (array.ndim - 1)
        self.shape = array.shape[leading:]
        shards = array.shards or (0,) * array.ndim
        self._shard = int(np.prod(shards[:leading]))
        compressors = [type(codec).__name__ for codec in array.compressors]
        self._compressed = compressors == ["BloscCodec", "Crc32cCodec"]
        codec = array.serializer
        self._packing = None
        if isinstance(codec, BlockPackingCodec):
            self._packing = codec.packing(self.shape)
        self._direct = (
            bool(array.shards)
            and array.chunks == (*(1,) * leading, *self.shape)
            and shards[leading:] == self.shape
            and (leads is None or shards[:2] == (1, array.shape[1]))
            and (self._compressed or compressors == ["Crc32cCodec"])
            and array.dtype == np.dtype("<f4")
            and self.path.is_dir()
        )

    def stored(self, shard: int) -> np.ndarray:
        """Tell which chunks of a shard file are there, ``(chunk,)``; none where it is cut short."""
        path = f"{self._folder}{shard}{self._rest}"
        try:
            return _index(path, self._shard, os.stat(path).st_mtime_ns)[:, 0] != EMPTY
        except (OSError, ValueError):
            return np.zeros(self._shard, bool)

    def read(self, index: int) -> np.ndarray:
        """Read the chunk at position ``index``.

        Its shape is that of the array without the leading dimensions. Raises DamagedError as
        :meth:`read_into`.
        """
        values = np.empty((1, *self.shape), "<f4")
        self.read_into(index, values)
        return values[0]

    def read_into(self, index: int, out: np.ndarray) -> None:
        """Read the chunks from position ``index`` on straight into ``out (chunk, ...)``.

        ``out`` is a contiguous array. Raises DamagedError naming store, array, time and remedy when
        a chunk is absent or not as it was written.
        """
        if not self._direct:
            self._read_by_zarr(index, out)
            return
        while len(out):
            shard, first = divmod(index, self._shard)
            count = min(len(out), self._shard - first)
            self._read_shard(f"{self._folder}{shard}{self._rest}", first, out[:count])
            index, out = index + count, out[count:]

    def _read_by_zarr(self, index: int, out: np.ndarray) -> None:
        """Read chunks of an array of another layout, as :meth:`read_into` does."""
        if self._leads is None:
            out[...] = self._array[index : index + len(out)]
            return
        for position, values in enumerate(out, index):
            values[...] = self._array[divmod(position, len(self._leads))]

    def _name(self, position: int) -> str:
        """Name a chunk by its time, and its lead where there is one."""
        time, lead = position, ""
        if self._leads is not None:
            time, place = divmod(position, len(self._leads))
            lead = f" + {self._leads[place]} h"
        return f"time {self._times[time]}{lead}" if time < len(self._times) else f"position {time}"

    def _read_shard(self, path: str, first: int, out: np.ndarray) -> None:
        """Read chunks of one shard file.

        Parameters
        ----------
        path : str
            The shard file.
        first : int
            Position of the first chunk in the shard.
        out : np.ndarray
            Contiguous array ``(chunk, ...)`` into which the chunks are read.

        Raises
        ------
        DamagedError
            When a chunk is absent, cut short or damaged.
        """
        try:
            mtime = os.stat(path).st_mtime_ns
            rows = _index(path, self._shard, mtime)[first : first + len(out)].tolist()
            if (
                not self._compressed
                and self._packing is None
                and all(b[0] == sum(a) for a, b in pairwise(rows))
                and rows[0][0] != EMPTY
            ):
                # neighbours, all copied at once
                begin, end = rows[0][0], sum(rows[-1])
                with _mapped(path, mtime, begin, end) as chunks:
                    _copy(chunks.reshape(len(out), -1), out)
                return
            for (offset, length), values in zip(rows, out, strict=True):
                if offset == EMPTY:
                    raise OSError("it was never written, and is not listed as missing or pending")
                if self._compressed:
                    _decompress(path, offset, length, values)
                    continue
                with _mapped(path, mtime, offset, offset + length) as chunk:
                    if self._packing:
                        _unpack(chunk, self._packing, values)
                    else:
                        _copy(chunk[None], values[None])
        except (OSError, ValueError, RuntimeError) as error:
            raise self._damaged(path, first, len(out), error) from error

    def _damaged(self, path: str, first: int, count: int, error: Exception) -> OSError:
        """Make the error for chunks that cannot be read.

        Parameters
        ----------
        path : str
            The shard file.
        first : int
            Position in it of the first chunk that was asked for.
        count : int
            How many were asked for.
        error : Exception
            What went wrong.

        Returns
        -------
        DamagedError
            Names store, array, times, reason and remedy.
        """
        start = int(os.path.relpath(path, self._folder).split("/")[0]) * self._shard + first
        ends = [self._name(i) for i in dict.fromkeys((start, start + count - 1))]
        reason = error
        if isinstance(error, FileNotFoundError):
            reason = "its file is absent, and it is not listed as missing or pending"
        return damaged(
            self.path.parent,
            f"{self.path.name}, {' .. '.join(ends)}: cannot be read from "
            f"{os.path.relpath(path, self.path.parent)} ({reason})",
        )
