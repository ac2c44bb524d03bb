"""Compiled loops of :mod:`fuxiflow.storage.packing`: fields to integers in blocks, and back.

A field ``(row, column)`` is cut into blocks, at its edges smaller ones. The value of an integer
``q`` of a block is ``base + q * step``. Steps are powers of two and bases multiples of them, below
2**24 steps: so sums and products are exact in single precision, whatever the order in which a
processor computes them.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def lay_blocks(field, rows, columns, last, base, step):
    """Choose base and step of each block of a field.

    Parameters
    ----------
    field : np.ndarray
        Values ``(row, column)``, float32; NaN where one is missing.
    rows, columns : int
        Cells of a block.
    last : int
        The largest integer that stands for a value.
    base, step : np.ndarray
        Of each block, ``(block row, block column)``, float32: filled. The step of a block whose
        values are all the same is 0.

    Returns
    -------
    tuple of float
        The smallest and the largest value of the field, inf and -inf where all are missing.
    """
    count, width = field.shape
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    least, most = np.inf, -np.inf
    for j in range(base.shape[0]):
        low[:], high[:] = np.inf, -np.inf
        for y in range(j * rows, min(count, (j + 1) * rows)):
            for x in range(width):
                value = field[y, x]
                low[x] = value if value < low[x] else low[x]
                high[x] = value if value > high[x] else high[x]
        for i in range(base.shape[1]):
            lowest, highest = np.inf, -np.inf
            for x in range(i * columns, min(width, (i + 1) * columns)):
                lowest, highest = min(lowest, low[x]), max(highest, high[x])
            least, most = min(least, lowest), max(most, highest)
            step[j, i], base[j, i] = 0.0, 0.0
            if lowest == highest:
                base[j, i] = lowest
            elif lowest < highest < np.inf and lowest > -np.inf:
                largest = max(abs(lowest), abs(highest))
                # no finer than the values themselves, of 24 bits
                power = max(
                    math.frexp((highest - lowest) / last)[1] - 1, math.frexp(largest)[1] - 24
                )
                size = math.ldexp(1.0, max(power, -149))
                while np.rint(highest / size) - np.rint(lowest / size) > last:
                    size *= 2
                step[j, i], base[j, i] = size, np.rint(lowest / size) * size
    return least, most


@njit(cache=True, nogil=True)
def to_integers(field, rows, columns, base, step, low, high):
    """Write a field as integers of 16 bits, or of 24.

    Parameters
    ----------
    field : np.ndarray
        Values ``(row, column)``, float32.
    rows, columns : int
        Cells of a block.
    base, step : np.ndarray
        Of each block, ``(block row, block column)``, float32.
    low : np.ndarray
        The lower 16 bits ``(row, column)``, uint16: filled. All are set for a missing value.
    high : np.ndarray
        The upper 8 bits, uint8: filled; without rows for integers of 16 bits.
    """
    count, width = field.shape
    first, scale = np.empty(width, np.float32), np.empty(width, np.float64)
    wide = high.shape[0] > 0
    missing = np.int32(0xFFFFFF)
    for j in range(base.shape[0]):
        for i in range(base.shape[1]):
            begin, length = base[j, i], 1.0 / step[j, i] if step[j, i] > 0 else 0.0
            for x in range(i * columns, min(width, (i + 1) * columns)):
                first[x], scale[x] = begin, length
        for y in range(j * rows, min(count, (j + 1) * rows)):
            for x in range(width):
                value = field[y, x]
                number = np.int32(np.rint((np.float64(value) - first[x]) * scale[x]))
                number = number if value == value else missing
                low[y, x] = np.uint16(number & 0xFFFF)
                if wide:
                    high[y, x] = np.uint8(number >> 16)


@njit(cache=True, nogil=True)
def to_values(low, high, rows, columns, base, step, field):
    """Turn integers into the values of a field.

    Parameters
    ----------
    low, high : np.ndarray
        As :func:`to_integers` fills them.
    rows, columns : int
        Cells of a block.
    base, step : np.ndarray
        Of each block, ``(block row, block column)``, float32.
    field : np.ndarray
        Values ``(row, column)``, float32: filled, with NaN for missing ones.
    """
    count, width = field.shape
    first, size = np.empty(width, np.float32), np.empty(width, np.float32)
    for j in range(base.shape[0]):
        for i in range(base.shape[1]):
            begin, length = base[j, i], step[j, i]
            for x in range(i * columns, min(width, (i + 1) * columns)):
                first[x], size[x] = begin, length
        for y in range(j * rows, min(count, (j + 1) * rows)):
            if high.shape[0] > 0:
                for x in range(width):
                    number = np.float32(low[y, x]) + np.float32(65536) * np.float32(high[y, x])
                    value = first[x] + size[x] * number
                    field[y, x] = value if number != np.float32(0xFFFFFF) else np.float32(np.nan)
            else:
                for x in range(width):
                    number = np.float32(low[y, x])
                    value = first[x] + size[x] * number
                    field[y, x] = value if number != np.float32(0xFFFF) else np.float32(np.nan)
