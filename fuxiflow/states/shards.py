"""Reading single chunks of a sharded Zarr v3 array without the detour over its event loop.

Training reads a hundred thousand times, and ``zarr`` takes 0.7 ms longer for a field of 70 x 32 x 64 than unpacking it
does (it fetches the shard's table each time). The layout is that of the ``sharding_indexed`` codec
(https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html): at the end of a shard file lies a
table of (offset, length) of its chunks, little-endian uint64, followed by its CRC32C.
"""

import os
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr
from numcodecs.blosc import decompress

EMPTY = 2**64 - 1


@lru_cache(maxsize=4096)
def _index(path: str, count: int, mtime_ns: int) -> np.ndarray:
    """Offsets and lengths ``(chunk, 2)`` of the chunks of a shard file; cached while the file is unchanged."""
    with open(path, "rb") as file:
        end = file.seek(-16 * count - 4, os.SEEK_END)
        table = np.frombuffer(file.read(16 * count), "<u8").reshape(count, 2)
    beyond = (table[:, 0] != EMPTY) & ((table > end).any(axis=1) | (table.sum(axis=1) > end))
    if beyond.any():
        raise OSError(
            "its table of chunks points outside the file: the file is cut short or damaged"
        )
    return table


@lru_cache(maxsize=256)
def _mapped(path: str, mtime_ns: int) -> np.ndarray:
    """The bytes of a shard file, mapped into memory; cached while the file is unchanged. A plain array: a part of a
    memmap is one again, which takes longer to make than a small chunk to copy."""
    return np.memmap(path, np.uint8, "r").view(np.ndarray)


def _decompress(path: str, offset: int, length: int, values: np.ndarray) -> None:
    """Unpack a chunk of a shard file into ``values``."""
    file = os.open(path, os.O_RDONLY)
    try:
        packed = os.pread(file, length, offset)
    finally:
        os.close(file)
    decompress(packed, values)


class ShardReader:
    """Chunks along the first dimension of an array, each of which spans all other dimensions.

    Arrays of another layout (no shards, other codecs, other stores than a local directory) are read through ``zarr``.
    """

    def __init__(self, path: Path, array: zarr.Array):
        self.path, self._array = Path(path), array
        self._folder, self._rest = f"{path}/c/", "/0" * (array.ndim - 1)
        self.shape = array.shape[1:]
        self._shard = array.shards[0] if array.shards else 0
        compressors = [type(codec).__name__ for codec in array.compressors]
        self._compressed = bool(compressors)
        self._direct = (
            bool(array.shards)
            and array.chunks == (1, *self.shape)
            and array.shards[1:] == self.shape
            and compressors in ([], ["BloscCodec"])
            and array.dtype == np.dtype("<f4")
            and self.path.is_dir()
        )

    def read(self, index: int) -> np.ndarray:
        """The chunk at position ``index``, shaped as the array without its first dimension; NaN if never written.

        Raises OSError as :meth:`read_into`.
        """
        values = np.empty((1, *self.shape), "<f4")
        self.read_into(index, values)
        return values[0]

    def read_into(self, index: int, out: np.ndarray) -> None:
        """Unpack or copy the chunks from position ``index`` on straight into ``out (chunk, ...)``, a contiguous array.

        Raises OSError naming the file when its table or a chunk is cut short.
        """
        if not self._direct:
            out[...] = self._array[index : index + len(out)]
            return
        while len(out):
            shard, first = divmod(index, self._shard)
            count = min(len(out), self._shard - first)
            self._read_shard(f"{self._folder}{shard}{self._rest}", first, out[:count])
            index, out = index + count, out[count:]

    def _read_shard(self, path: str, first: int, out: np.ndarray) -> None:
        try:
            mtime = os.stat(path).st_mtime_ns
        except FileNotFoundError:
            out.fill(np.nan)
            return
        try:
            rows = _index(path, self._shard, mtime)[first : first + len(out)].tolist()
            if (
                not self._compressed
                and all(b[0] == sum(a) for a, b in pairwise(rows))
                and rows[0][0] != EMPTY
            ):
                begin, end = rows[0][0], sum(rows[-1])  # neighbours, all copied at once
                np.copyto(out, _mapped(path, mtime)[begin:end].view("<f4").reshape(out.shape))
                return
            for (offset, length), values in zip(rows, out, strict=True):
                if offset == EMPTY:
                    values.fill(np.nan)
                elif self._compressed:
                    _decompress(path, offset, length, values)
                else:
                    np.copyto(
                        values,
                        _mapped(path, mtime)[offset : offset + length]
                        .view("<f4")
                        .reshape(self.shape),
                    )
        except (OSError, ValueError, RuntimeError) as error:
            place = (
                f"chunk {first}"
                if len(out) == 1
                else f"one of the chunks {first} to {first + len(out) - 1}"
            )
            raise OSError(f"{path}: {place} cannot be read ({error})") from error
