"""Decode the elements of a BUFR message with ecCodes.

Footprints have equal elements in all subsets of a message: :func:`element_matrix` gives them at
once. Reports differ from subset to subset, and the order tells what an element is of: of the level,
the height or the period that stands before it; :func:`element_subsets` keeps that order. pdbufr,
which knows this too, takes 1.3 times as long for elements by name, and 5 times with its reader of
stations, which looks at heights.

To be called in a :class:`fuxiflow.observations.decoding_process.DecodingProcess`: ecCodes may crash
on damaged messages.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import eccodes
import numpy as np

from fuxiflow.observations.bufr_messages import BufrMessage

Subset = list[tuple[str, float | str]]
"""Elements of one subset in their order: names of WMO Table B as ecCodes abbreviates them, with
values in SI units (NaN where missing) or texts."""

TEXTS = frozenset(
    {
        "shipOrMobileLandStationIdentifier",
        "stationaryBuoyPlatformIdentifierEGCManBuoys",
        "wigosLocalIdentifierCharacter",
        "stationOrSiteName",
        "longStationName",
    }
)
"""Elements whose values are texts."""
_MISSING = -1e99  # ecCodes gives -1e100
_REPLICATIONS = (
    "delayedDescriptorReplicationFactor",
    "shortDelayedDescriptorReplicationFactor",
    "extendedDelayedDescriptorReplicationFactor",
)
# Asking ecCodes for all keys takes longer than decoding, and files repeat few kinds of messages.
_LAYOUTS = 500
_layouts: dict[Hashable, Any] = {}


@contextmanager
def _unpacked(data: bytes, **keys: int) -> Iterator[int]:
    """Open a message, set ``keys``, decode it and yield ecCodes' handle.

    ecCodes' errors when it cannot be decoded.
    """
    handle = eccodes.codes_new_from_message(data)
    try:
        for key, value in (keys | {"unpack": 1}).items():
            eccodes.codes_set(handle, key, value)
        yield handle
    finally:
        eccodes.codes_release(handle)


def _keys(handle: int) -> Iterator[str]:
    """Yield the keys of a decoded message in their order."""
    iterator = eccodes.codes_bufr_keys_iterator_new(handle)
    try:
        while eccodes.codes_bufr_keys_iterator_next(iterator):
            yield eccodes.codes_bufr_keys_iterator_get_name(iterator)
    finally:
        eccodes.codes_bufr_keys_iterator_delete(iterator)


def _is_element(key: str) -> bool:
    return key.startswith("#") and "->" not in key


def _tables(handle: int) -> tuple[int, ...]:
    """Return the versions of the tables that define the descriptors, and their centre."""
    names = ("masterTablesVersionNumber", "localTablesVersionNumber", "bufrHeaderCentre")
    return tuple(eccodes.codes_get_long(handle, name) for name in names)


def _replications(handle: int) -> Iterator[np.ndarray]:
    """Yield the delayed replication factors of each of the three kinds, empty where absent."""
    for name in _REPLICATIONS:
        defined = eccodes.codes_is_defined(handle, name)
        yield eccodes.codes_get_long_array(handle, name) if defined else np.zeros(0, int)


def _cached_layout(key: Hashable, make: Callable[[], Any]) -> Any:
    """Return the layout of a kind of message, made when the first one comes."""
    if key not in _layouts:
        if len(_layouts) >= _LAYOUTS:
            _layouts.clear()
        _layouts[key] = make()
    return _layouts[key]


def element_matrix(data: bytes) -> tuple[list[int], np.ndarray]:
    """Decode a message whose subsets have equal elements.

    Returns
    -------
    descriptors : list[int]
        Element descriptors (FXXYYY as integers) of one subset in their order.
    values : np.ndarray
        Values ``(subset, element)``, float64, in the units of WMO Table B. Missing values are NaN;
        characters stand as numbers without meaning.

    Raises
    ------
    ValueError
        When subsets differ in their elements.
    eccodes.CodesInternalError
        When the message cannot be decoded.
    """
    with _unpacked(data) as handle:
        count = eccodes.codes_get(handle, "numberOfSubsets")
        values = eccodes.codes_get_double_array(handle, "numericValues")
        width, rest = divmod(len(values), count)
        # compressed data share their factors, others have them subset by subset
        factors = [
            row
            for kind in _replications(handle)
            for row in (kind[:, None] if len(kind) % count else kind.reshape(count, -1).T)
        ]
        if rest or any((row != row[0]).any() for row in factors):
            raise ValueError("subsets differ in their elements")
        key = (
            "matrix",
            *_tables(handle),
            eccodes.codes_get(handle, "compressedData"),
            width,
            tuple(int(row[0]) for row in factors),
            eccodes.codes_get_long_array(handle, "unexpandedDescriptors").tobytes(),
        )
        descriptors = _cached_layout(key, lambda: _descriptors(handle, width))
    values = values.reshape(count, width)
    values[values < _MISSING] = np.nan
    return descriptors, values


def _descriptors(handle: int, width: int) -> list[int]:
    """Return the descriptors of the ``width`` elements of a subset."""
    elements = islice((key for key in _keys(handle) if _is_element(key)), width)
    descriptors = [int(eccodes.codes_get(handle, f"{key}->code")) for key in elements]
    if len(descriptors) != width:
        raise ValueError(
            f"{width} values for {len(descriptors)} elements: quality information is not supported"
        )
    return descriptors


def element_subsets(data: bytes, names: frozenset[str]) -> list[Subset]:
    """Decode the elements called ``names`` of every subset of a message.

    ValueError or ecCodes' errors when it cannot be decoded.
    """
    header = BufrMessage(0, data).header
    if header is None:
        raise ValueError("sections 1 and 3 cannot be decoded")
    with _unpacked(data, skipExtraKeyAttributes=1) as handle:
        key = (
            "subsets",
            names,
            header.descriptors,
            header.subsets,
            header.compressed,
            *_tables(handle),
            *(tuple(factors.tolist()) for factors in _replications(handle)),
        )
        layout = _cached_layout(key, lambda: _layout(handle, names))
        subsets = list(
            _compressed(handle, layout, header.subsets)
            if header.compressed
            else _plain(handle, layout)
        )
    if len(subsets) != header.subsets:
        raise ValueError(f"{len(subsets)} subsets, its header says {header.subsets}")
    return subsets


@dataclass(frozen=True)
class _Layout:
    """The places of selected elements in a message.

    ``subsets`` has a list of elements for each subset, or one for all where they are compressed.
    An element is its name, its rank from 0 among those of its name, and its rank when those are
    counted too that follow an operator with a bit map. ``counts`` and ``all_counts`` say how many
    there are of each name, counted both ways.
    """

    subsets: list[list[tuple[str, int, int]]]
    counts: Counter
    all_counts: Counter


def _layout(handle: int, names: frozenset[str]) -> _Layout:
    """Find the elements called ``names`` of a decoded message.

    Elements after an operator with a bit map, such as 2-22-000, are left out: they describe other
    elements. ecCodes ranks them among the others, and in some cases their values are there too.
    """
    subsets: list[list[tuple[str, int, int]]] = []
    counts, all_counts = Counter(), Counter()
    about_data = False
    for key in _keys(handle):
        if key == "subsetNumber":
            subsets.append([])
            about_data = False
        elif key == "operator":
            about_data = True
        elif _is_element(key):
            name = key.rpartition("#")[2]
            if not subsets:  # a single subset has no number
                subsets.append([])
            if name in names:
                if not about_data:
                    subsets[-1].append((name, counts[name], all_counts[name]))
                    counts[name] += 1
                all_counts[name] += 1
    return _Layout(subsets, counts, all_counts)


def _value(handle: int, name: str) -> Sequence[float | str]:
    """Return the value of an element that a message has once; five times as fast as an array."""
    if name in TEXTS:
        return [eccodes.codes_get_string(handle, name).strip().strip("\0\xff")]
    value = eccodes.codes_get_double(handle, name)
    return [value if value > _MISSING else np.nan]


def _values(handle: int, key: str) -> Sequence[float | str]:
    """Return all values of a key: texts stripped, numbers with NaN where missing."""
    if key.rpartition("#")[2] in TEXTS:
        return [
            value.strip().strip("\0\xff") for value in eccodes.codes_get_string_array(handle, key)
        ]
    values = np.array(eccodes.codes_get_double_array(handle, key))
    return np.where(values > _MISSING, values, np.nan).tolist()


def _plain(handle: int, layout: _Layout) -> Iterator[Subset]:
    """Yield subsets that are stored one after the other.

    The values of one name lie in one array for all subsets.
    """
    values = {
        name: _value(handle, name)
        if count == layout.all_counts[name] == 1
        else _values(handle, name)
        for name, count in layout.counts.items()
    }
    everything = {}
    for name, count in layout.counts.items():
        everything[name] = len(values[name]) != count
        if everything[name] and len(values[name]) != layout.all_counts[name]:
            raise ValueError(f"{name} has {len(values[name])} values, expected {count}")
    for elements in layout.subsets:
        yield [
            (name, values[name][overall if everything[name] else rank])
            for name, rank, overall in elements
        ]


def _compressed(handle: int, layout: _Layout, count: int) -> Iterator[Subset]:
    """Yield the subsets of compressed data, which have equal elements.

    Parameters
    ----------
    handle : int
        ecCodes' handle of the decoded message.
    layout : _Layout
        Its elements, of the one structure that all subsets share.
    count : int
        The number of subsets. An element has a value for each, or one that they share.

    Yields
    ------
    Subset
        The elements of one subset.

    Raises
    ------
    ValueError
        When an element has another number of values.
    """
    names, columns = [], []
    for name, _, rank in layout.subsets[0] if layout.subsets else []:
        values = _values(handle, f"#{rank + 1}#{name}")
        if len(values) not in (1, count):
            raise ValueError(f"{name} has {len(values)} values for {count} subsets")
        names.append(name)
        columns.append(values if len(values) == count else [values[0]] * count)
    for row in zip(*columns, strict=True):
        yield list(zip(names, row, strict=True))
