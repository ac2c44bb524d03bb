"""Compiled loops of NCEP's BUFR: numbers of any width at any bit."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy", nogil=True)
def read_integers(octets, last, place, offset, width, integers):
    """Read unsigned integers of one width, of at most 56 bits.

    Parameters
    ----------
    octets : np.ndarray
        The data, uint8, with eight octets behind ``last``.
    last : int
        No number is read that begins behind this octet.
    place : np.ndarray
        Bits ``(n,)``, int64.
    offset : int
        Bits that are added to all places.
    width : int
        Bits of a number.
    integers : np.ndarray
        Takes the numbers ``(n,)``, int64.
    """
    right = np.uint64(64 - width)
    for i in range(len(place)):
        bit = place[i] + offset
        octet = min(bit >> 3, last)
        word = np.uint64(0)
        for k in range(8):
            word = (word << np.uint64(8)) | np.uint64(octets[octet + k])
        integers[i] = np.int64((word << np.uint64(bit & 7)) >> right)


@njit(cache=True, error_model="numpy", nogil=True)
def read_numbers(octets, last, place, offset, width, reference, divisor, factor, lost, numbers):
    """Read the numbers of an element: (integer + reference) / divisor x factor.

    Parameters
    ----------
    octets, last, place, offset, width
        See :func:`read_integers`.
    reference : int
        Reference value.
    divisor, factor : float
        Powers of ten; one of the two is 1, so that each number is rounded once.
    lost : int
        The integer that stands for a missing value; -1 where none does.
    numbers : np.ndarray
        Takes the numbers ``(n,)``, NaN where missing.
    """
    right = np.uint64(64 - width)
    for i in range(len(place)):
        bit = place[i] + offset
        octet = min(bit >> 3, last)
        word = np.uint64(0)
        for k in range(8):
            word = (word << np.uint64(8)) | np.uint64(octets[octet + k])
        integer = np.int64((word << np.uint64(bit & 7)) >> right)
        value = np.float64(integer + reference) / divisor * factor
        numbers[i] = np.nan if integer == lost else value
