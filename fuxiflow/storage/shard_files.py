"""Write a shard file of a Zarr v3 array a chunk at a time.

Zarr encodes and holds all chunks of a shard before it writes the file. The leads of a forecast at
0.25 degrees are 11.6 GB, so they are appended one by one. The layout is that of the codec
``sharding_indexed`` with its table at the end, see :mod:`fuxiflow.states.shards`.
"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from fuxiflow.storage.checksums import crc32c
from fuxiflow.storage.files import leftovers, remove, temporary
from fuxiflow.storage.packing import BlockPackingCodec
from fuxiflow.storage.zarr_checks import EMPTY

Encoder = Callable[[np.ndarray], bytes]
SUM_BYTES = 4


def with_sum(content: bytes | np.ndarray) -> bytes:
    """Return bytes with their CRC32C at the end, little-endian."""
    return bytes(content) + crc32c(content).to_bytes(SUM_BYTES, "little")


def zarr_encoder(array: zarr.Array) -> Encoder:
    """Return a function that encodes a chunk of a sharded array by the array's own codecs."""
    sharding = array.async_array.codec_pipeline.array_bytes_codec
    prototype = default_buffer_prototype()
    shard = array.metadata.get_chunk_spec(
        (0,) * array.ndim, array.async_array.config, prototype=prototype
    )
    chunk = dataclasses.replace(shard, shape=array.chunks)

    def encode(values: np.ndarray) -> bytes:
        buffer = prototype.nd_buffer.from_numpy_array(values.reshape(array.chunks))
        (encoded,) = sync(sharding.codec_pipeline.encode([(buffer, chunk)]))
        return encoded.to_bytes()

    return encode


def chunk_encoder(array: zarr.Array) -> Encoder:
    """Return the fastest function that encodes a chunk as :func:`zarr_encoder` does.

    Fields are packed without Zarr's event loop, which takes longer than a small chunk does.
    """
    codec = array.serializer
    kinds = [type(compressor) for compressor in array.compressors]
    if array.filters or not isinstance(codec, BlockPackingCodec) or kinds != [Crc32cCodec]:
        return zarr_encoder(array)
    packing = codec.packing(array.chunks)
    return lambda values: with_sum(packing.pack(values))


class AppendedShard:
    """A shard file that grows by a chunk at a time, in any order.

    It lies under a temporary name beside its place until :meth:`finish`. No file is held open
    meanwhile, as there is one for each variable of each forecast that is made.
    """

    def __init__(self, path: Path, count: int):
        """Begin a file; what a killed process left of it goes.

        Parameters
        ----------
        path : Path
            Its place.
        count : int
            Number of chunks that the shard has.
        """
        self.path = Path(path)
        self._aside = temporary(self.path)
        self._table = np.full((count, 2), EMPTY, "<u8")
        self._end = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in leftovers(self.path):
            remove(left)

    def append(self, position: int, chunk: bytes) -> None:
        """Add the encoded chunk of a position; of a position that came before, it takes the place.

        Raises ValueError when the file is not as long as what was appended.
        """
        with open(self._aside, "ab") as file:
            if file.tell() != self._end:
                raise ValueError(
                    f"{self._aside}: has {file.tell()} bytes where {self._end} were written: "
                    "another process writes to it; run the job again"
                )
            file.write(chunk)
        self._table[position] = self._end, len(chunk)
        self._end += len(chunk)

    def finish(self) -> None:
        """Write the table of chunks and give the file its name.

        Raises ValueError when a chunk was never appended.
        """
        lacking = np.flatnonzero(self._table[:, 0] == EMPTY)
        if len(lacking):
            raise ValueError(
                f"{self.path}: {len(lacking)} of {len(self._table)} chunks were never written, "
                f"the first at position {lacking[0]}"
            )
        with open(self._aside, "ab") as file:
            file.write(with_sum(self._table.tobytes()))
        os.replace(self._aside, self.path)

    def abandon(self) -> None:
        """Remove what was written, where the file is not finished."""
        self._aside.unlink(missing_ok=True)
