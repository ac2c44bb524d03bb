"""The data section of a BUFR message as a matrix, decoded by ecCodes; to be called in a process of its own
(:mod:`fuxiflow.observations.bufr`), for ecCodes may crash on damaged messages."""

from collections.abc import Sequence

import eccodes
import numpy as np

_REPLICATIONS = ("delayedDescriptorReplicationFactor", "extendedDelayedDescriptorReplicationFactor",
                 "shortDelayedDescriptorReplicationFactor")
_MISSING = -1e99  # ecCodes gives -1e100 for missing values
_layouts: dict[tuple, list[int]] = {}


def elements(data: bytes) -> tuple[list[int], np.ndarray]:
    """Element descriptors (FXXYYY as integers) of one subset in their order, and values ``(subset, element)`` float64.

    Missing values are NaN; characters stand as numbers without meaning. ValueError when subsets differ in their
    elements, ecCodes' errors when the message cannot be decoded.
    """
    handle = eccodes.codes_new_from_message(data)
    try:
        eccodes.codes_set(handle, "unpack", 1)
        subsets = eccodes.codes_get(handle, "numberOfSubsets")
        values = eccodes.codes_get_double_array(handle, "numericValues")
        width, rest = divmod(len(values), subsets)
        replications = [row for name in _REPLICATIONS for row in _replication(handle, name, subsets)]
        if rest or any((row != row[0]).any() for row in replications):
            raise ValueError("subsets differ in their elements")
        layout = _layout(handle, width, tuple(int(row[0]) for row in replications))
    finally:
        eccodes.codes_release(handle)
    values = values.reshape(subsets, width)
    values[values < _MISSING] = np.nan
    return layout, values


def _replication(handle: int, name: str, subsets: int) -> Sequence[np.ndarray]:
    """Each delayed replication factor of one name, over the subsets."""
    if not eccodes.codes_is_defined(handle, name):
        return []
    factors = eccodes.codes_get_long_array(handle, name)
    if len(factors) % subsets:  # of compressed data, which share it
        return factors[:, None]
    return factors.reshape(subsets, -1).T


def _layout(handle: int, width: int, replications: tuple[int, ...]) -> list[int]:
    """Descriptors of the ``width`` elements of a subset, remembered for the next message of the kind."""
    tables = ("masterTablesVersionNumber", "localTablesVersionNumber", "bufrHeaderCentre", "compressedData")
    kind = (*(eccodes.codes_get(handle, name) for name in tables), width, replications,
            eccodes.codes_get_long_array(handle, "unexpandedDescriptors").tobytes())
    if kind not in _layouts:
        found = []
        iterator = eccodes.codes_bufr_keys_iterator_new(handle)
        while len(found) < width and eccodes.codes_bufr_keys_iterator_next(iterator):
            name = eccodes.codes_bufr_keys_iterator_get_name(iterator)
            if name.startswith("#") and "->" not in name:
                found.append(int(eccodes.codes_get(handle, name + "->code")))
        eccodes.codes_bufr_keys_iterator_delete(iterator)
        if len(found) != width:
            raise ValueError(f"{width} values for {len(found)} elements: quality information is not supported")
        _layouts[kind] = found
    return _layouts[kind]
