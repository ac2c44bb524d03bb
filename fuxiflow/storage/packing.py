"""A codec of Zarr that packs fields in integers of 16 bits, with a bound on what is lost.

Each field, the last two dimensions of a chunk, is cut into blocks of cells with a base and a step
of their own, as neighbours differ little. A field whose blocks are so rough that the root mean
square of its error would be more than :data:`SHARE` of that of 16 bits over the range of the whole
field, which is how ERA5 comes in its GRIB files, takes 24 bits. A field without any value takes no
integers.

A chunk holds, little-endian: the bytes that an integer takes in each field (``uint8``), the bases
and the steps ``(field, block row, block column)`` (``float32``), and for each field the lower 16
bits of its integers and, where they have 24, the upper 8. Each part is filled up to a multiple of
four bytes. :mod:`fuxiflow.storage.packing_kernels` says what an integer stands for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.common import parse_named_configuration
from zarr.registry import register_codec

NAME = "fuxiflow.block_packing"
SHARE = 0.1
"""Largest root mean square error of a packed field, of that of 16 bits over its range."""
ROWS, COLUMNS = 8, 8
LAST = {2: 0xFFFF - 1, 3: 0xFFFFFF - 1}
"""The largest integer that stands for a value, by the bytes of an integer."""
NONE = 0
"""Bytes of an integer of a field that is missing."""
LARGEST = 2.0**126
"""The differences of smaller values, rounded up to a step, are still numbers of float32."""
PART = 1 << 22
"""Bytes of a packed chunk that are looked at together: they fit into the cache."""


def _padded(count: int) -> int:
    return -(-count // 4) * 4


@dataclass(frozen=True)
class Packing:
    """A way to pack fields of one shape, in blocks of so many rows and columns."""

    shape: tuple[int, ...]
    rows: int = ROWS
    columns: int = COLUMNS

    @property
    def fields(self) -> int:
        """Number of fields."""
        return prod(self.shape[:-2])

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Shape of bases and steps."""
        south_north, west_east = self.shape[-2:]
        return self.fields, -(-south_north // self.rows), -(-west_east // self.columns)

    @property
    def head(self) -> int:
        """Bytes before the integers."""
        return _padded(self.fields) + 8 * prod(self.blocks)

    def integers(self, width: int) -> int:
        """Return the bytes that the integers of a field take, of ``width`` bytes each."""
        cells = prod(self.shape[-2:]) if width != NONE else 0
        return _padded(2 * cells) + (_padded(cells) if width == 3 else 0)

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Pack fields.

        Parameters
        ----------
        values : np.ndarray
            Fields of this shape, float32; NaN where one is missing.

        Returns
        -------
        np.ndarray
            The packed bytes, uint8.

        Raises
        ------
        ValueError
            For infinite values, and those of :data:`LARGEST` and more.
        """
        # numba takes half a second to load, which a process that packs nothing need not wait for
        from fuxiflow.storage.packing_kernels import lay_blocks, to_integers

        fields = np.ascontiguousarray(values, np.float32).reshape(self.fields, *self.shape[-2:])
        widths = np.full(self.fields, 2, np.uint8)
        bases, steps = np.empty((2, *self.blocks), np.float32)
        packed = []
        for i, (field, base, step) in enumerate(zip(fields, bases, steps, strict=True)):
            least, most = lay_blocks(field, self.rows, self.columns, LAST[2], base, step)
            if least > most:
                widths[i] = NONE
                continue
            if max(most, -least) >= LARGEST:
                raise ValueError(f"infinite values, or of {LARGEST:g} and more, cannot be packed")
            bound = SHARE * (most - least) / LAST[2]
            if np.sqrt(np.mean(np.square(step, dtype=np.float64))) > bound:
                widths[i] = 3
                lay_blocks(field, self.rows, self.columns, LAST[3], base, step)
            integers = np.zeros(self.integers(widths[i]), np.uint8)
            to_integers(
                field, self.rows, self.columns, base, step, *self._planes(integers, widths[i])
            )
            packed.append(integers)
        head = np.zeros(self.head, np.uint8)
        head[: self.fields] = widths
        head[_padded(self.fields) :].view(np.float32)[:] = np.concatenate([bases, steps]).ravel()
        return np.concatenate([head, *packed])

    def _planes(self, integers: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower 16 and the upper 8 bits of the integers of a field, as views."""
        height, length = self.shape[-2:]
        cells = height * length
        low = integers[: 2 * cells].view(np.uint16).reshape(height, length)
        if width == 2:
            return low, np.empty((0, length), np.uint8)
        return low, integers[_padded(2 * cells) :][:cells].reshape(height, length)

    def unpack_parts(self, packed: np.ndarray, values: np.ndarray) -> Iterator[np.ndarray]:
        """Unpack fields, and yield the bytes of each part before they are unpacked.

        Who reads them, to compare a checksum, does so while they are in the processor's cache.

        Parameters
        ----------
        packed : np.ndarray
            What :meth:`pack` returned, uint8, at an address that is a multiple of four.
        values : np.ndarray
            Contiguous array of this shape, float32: filled.

        Yields
        ------
        np.ndarray
            All bytes, in order.

        Raises
        ------
        ValueError
            When the packed bytes are not those of fields of this shape.
        """
        from fuxiflow.storage.packing_kernels import to_values

        widths = packed[: self.fields].tolist()
        if not set(widths) <= {NONE, *LAST}:
            raise ValueError("it does not begin as packed fields do")
        lengths = [self.integers(width) for width in widths]
        if self.head + sum(lengths) != len(packed):
            raise ValueError(f"it has {len(packed)} bytes, not {self.head + sum(lengths)}")
        yield packed[: self.head]
        head = packed[_padded(self.fields) : self.head].view(np.float32)
        bases, steps = head.reshape(2, *self.blocks)
        fields = values.reshape(self.fields, *self.shape[-2:])
        begin = self.head
        together = PART // max([1, *lengths]) or 1
        for first in range(0, self.fields, together):
            part = range(first, min(first + together, self.fields))
            end = begin + sum(lengths[part.start : part.stop])
            yield packed[begin:end]
            for i in part:
                if widths[i] == NONE:
                    fields[i] = np.nan
                    continue
                planes = self._planes(packed[begin : begin + lengths[i]], widths[i])
                to_values(*planes, self.rows, self.columns, bases[i], steps[i], fields[i])
                begin += lengths[i]

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Unpack what :meth:`pack` returned; raise ValueError as :meth:`unpack_parts`."""
        values = np.empty(self.shape, np.float32)
        aligned = packed if packed.ctypes.data % 4 == 0 else packed.copy()
        for _ in self.unpack_parts(aligned, values):
            pass
        return values


@dataclass(frozen=True)
class BlockPackingCodec(ArrayBytesCodec):
    """The codec :data:`NAME` of Zarr v3: chunks of float32 to packed bytes."""

    rows: int = ROWS
    columns: int = COLUMNS

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict) -> "BlockPackingCodec":
        """Make the codec of its entry in the metadata of an array."""
        return cls(**parse_named_configuration(data, NAME)[1])

    def to_dict(self) -> dict:
        """Return its entry in the metadata of an array."""
        return {"name": NAME, "configuration": {"rows": self.rows, "columns": self.columns}}

    def validate(self, *, shape: tuple[int, ...], dtype: object, chunk_grid: object) -> None:
        """Raise ValueError for an array of other numbers than float32, or without two dimensions.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        dtype : object
            Its type, as zarr has it.
        chunk_grid : object
            Not looked at.
        """
        if dtype.to_native_dtype() != np.dtype(np.float32) or len(shape) < 2:
            raise ValueError(f"{NAME} packs fields of float32, not {shape} of {dtype}")

    def packing(self, shape: tuple[int, ...]) -> Packing:
        """Return how chunks of a shape are packed."""
        return Packing(tuple(shape), self.rows, self.columns)

    async def _decode_single(self, chunk_bytes, chunk_spec):
        values = self.packing(chunk_spec.shape).unpack(chunk_bytes.as_numpy_array())
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values)

    async def _encode_single(self, chunk_array, chunk_spec):
        packed = self.packing(chunk_spec.shape).pack(chunk_array.as_numpy_array())
        return chunk_spec.prototype.buffer.from_array_like(packed)

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: object) -> int:
        """Raise NotImplementedError: how much room fields take depends on their values."""
        raise NotImplementedError(f"the size of chunks of {NAME} differs")


register_codec(NAME, BlockPackingCodec)
