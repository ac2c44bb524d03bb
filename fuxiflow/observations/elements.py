"""The elements of a BUFR message, decoded by ecCodes: all as a matrix, or those wanted of each subset in their order.

Footprints have equal elements in all subsets of a message: :func:`matrix` gives them at once. Reports differ from
subset to subset, and the order tells what an element is of: of the level, the height or the period that stands before
it; these are :func:`subsets`. pdbufr, which knows this too, takes 1.3 times as long for elements by name, and 5 times
with its reader of stations, which looks at heights. To be called in a process of its own, a
:class:`fuxiflow.observations.bufr.Decoder`: ecCodes may crash on damaged messages.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import eccodes
import numpy as np

from fuxiflow.observations.bufr import Message

Subset = list[tuple[str, float | str]]
"""Names of WMO Table B as ecCodes abbreviates them, with values in SI units (NaN where missing) or texts."""

TEXTS = frozenset(
    {
        "shipOrMobileLandStationIdentifier",
        "stationaryBuoyPlatformIdentifierEGCManBuoys",
        "wigosLocalIdentifierCharacter",
        "stationOrSiteName",
        "longStationName",
    }
)
_MISSING = -1e99  # ecCodes gives -1e100
_REPLICATIONS = (
    "delayedDescriptorReplicationFactor",
    "shortDelayedDescriptorReplicationFactor",
    "extendedDelayedDescriptorReplicationFactor",
)
_LAYOUTS = 500
_layouts: dict[Hashable, Any] = {}


@contextmanager
def _unpacked(data: bytes, **keys: int) -> Iterator[int]:
    """ecCodes' handle of a message, decoded with ``keys`` set; ecCodes' errors when it cannot be decoded."""
    handle = eccodes.codes_new_from_message(data)
    try:
        for key, value in (keys | {"unpack": 1}).items():
            eccodes.codes_set(handle, key, value)
        yield handle
    finally:
        eccodes.codes_release(handle)


def _keys(handle: int) -> Iterator[str]:
    """The keys of a decoded message in their order."""
    iterator = eccodes.codes_bufr_keys_iterator_new(handle)
    try:
        while eccodes.codes_bufr_keys_iterator_next(iterator):
            yield eccodes.codes_bufr_keys_iterator_get_name(iterator)
    finally:
        eccodes.codes_bufr_keys_iterator_delete(iterator)


def _is_element(key: str) -> bool:
    return key.startswith("#") and "->" not in key


def _tables(handle: int) -> tuple[int, ...]:
    """The versions of the tables that say what the descriptors mean."""
    names = ("masterTablesVersionNumber", "localTablesVersionNumber", "bufrHeaderCentre")
    return tuple(eccodes.codes_get_long(handle, name) for name in names)


def _replications(handle: int) -> Iterator[np.ndarray]:
    """The delayed replication factors of each kind, empty where there are none: how often is what repeated."""
    for name in _REPLICATIONS:
        defined = eccodes.codes_is_defined(handle, name)
        yield eccodes.codes_get_long_array(handle, name) if defined else np.zeros(0, int)


def _remembered(key: Hashable, make: Callable[[], Any]) -> Any:
    """The layout of a kind of message, made when the first one comes."""
    if key not in _layouts:
        if len(_layouts) >= _LAYOUTS:
            _layouts.clear()
        _layouts[key] = make()
    return _layouts[key]


def matrix(data: bytes) -> tuple[list[int], np.ndarray]:
    """Element descriptors (FXXYYY as integers) of one subset in their order, and values ``(subset, element)`` float64.

    Missing values are NaN; characters stand as numbers without meaning. ValueError when subsets differ in their
    elements, ecCodes' errors when the message cannot be decoded.
    """
    with _unpacked(data) as handle:
        count = eccodes.codes_get(handle, "numberOfSubsets")
        values = eccodes.codes_get_double_array(handle, "numericValues")
        width, rest = divmod(len(values), count)
        # compressed data share their factors, others have them subset by subset
        factors = [
            row
            for found in _replications(handle)
            for row in (found[:, None] if len(found) % count else found.reshape(count, -1).T)
        ]
        if rest or any((row != row[0]).any() for row in factors):
            raise ValueError("subsets differ in their elements")
        kind = (
            "matrix",
            *_tables(handle),
            eccodes.codes_get(handle, "compressedData"),
            width,
            tuple(int(row[0]) for row in factors),
            eccodes.codes_get_long_array(handle, "unexpandedDescriptors").tobytes(),
        )
        layout = _remembered(kind, lambda: _descriptors(handle, width))
    values = values.reshape(count, width)
    values[values < _MISSING] = np.nan
    return layout, values


def _descriptors(handle: int, width: int) -> list[int]:
    """Descriptors of the ``width`` elements of a subset."""
    elements = (key for key in _keys(handle) if _is_element(key))
    found = [int(eccodes.codes_get(handle, f"{key}->code")) for key in islice(elements, width)]
    if len(found) != width:
        raise ValueError(
            f"{width} values for {len(found)} elements: quality information is not supported"
        )
    return found


def subsets(data: bytes, wanted: frozenset[str]) -> list[Subset]:
    """The elements called ``wanted`` of every subset of a message; ecCodes' errors when it cannot be decoded."""
    header = Message(0, data).header
    if header is None:
        raise ValueError("sections 1 and 3 cannot be decoded")
    with _unpacked(data, skipExtraKeyAttributes=1) as handle:
        kind = (
            "subsets",
            wanted,
            header.descriptors,
            header.subsets,
            header.compressed,
            *_tables(handle),
            *(tuple(factors.tolist()) for factors in _replications(handle)),
        )
        layout = _remembered(kind, lambda: _layout(handle, wanted))
        found = list(
            _compressed(handle, layout, header.subsets)
            if header.compressed
            else _plain(handle, layout)
        )
    if len(found) != header.subsets:
        raise ValueError(f"{len(found)} subsets, its header says {header.subsets}")
    return found


@dataclass(frozen=True)
class _Layout:
    """The wanted elements of each subset, or of all where they are compressed: name, rank from 0 among those of its
    name, and the same with those counted that follow an operator with a bit map; and how many there are both ways."""

    subsets: list[list[tuple[str, int, int]]]
    counts: Counter
    all_counts: Counter


def _layout(handle: int, wanted: frozenset[str]) -> _Layout:
    """The layout of a decoded message. What follows an operator with a bit map, such as 2-22-000, is left out: it is
    about elements, none itself. ecCodes ranks it among them; their values hold it in some cases."""
    found: list[list[tuple[str, int, int]]] = []
    counts, all_counts = Counter(), Counter()
    about_data = False
    for key in _keys(handle):
        if key == "subsetNumber":
            found.append([])
            about_data = False
        elif key == "operator":
            about_data = True
        elif _is_element(key):
            name = key.rpartition("#")[2]
            if not found:
                found.append([])
            if name in wanted:
                if not about_data:
                    found[-1].append((name, counts[name], all_counts[name]))
                    counts[name] += 1
                all_counts[name] += 1
    return _Layout(found, counts, all_counts)


def _value(handle: int, name: str) -> Sequence[float | str]:
    """The one value of an element that a message has once: a fifth of the time that an array takes."""
    if name in TEXTS:
        return [eccodes.codes_get_string(handle, name).strip().strip("\0\xff")]
    value = eccodes.codes_get_double(handle, name)
    return [value if value > _MISSING else np.nan]


def _values(handle: int, key: str) -> Sequence[float | str]:
    """All values of a key: texts stripped, numbers with NaN where missing."""
    if key.rpartition("#")[2] in TEXTS:
        return [
            value.strip().strip("\0\xff") for value in eccodes.codes_get_string_array(handle, key)
        ]
    values = np.array(eccodes.codes_get_double_array(handle, key))
    return np.where(values > _MISSING, values, np.nan).tolist()


def _plain(handle: int, layout: _Layout) -> Iterator[Subset]:
    """Subsets one after the other: a name's values of all of them lie in one array."""
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
    """Subsets of equal structure: each element holds the values of all subsets, or one value that they share."""
    names, columns = [], []
    for name, _, rank in layout.subsets[0] if layout.subsets else []:
        values = _values(handle, f"#{rank + 1}#{name}")
        if len(values) not in (1, count):
            raise ValueError(f"{name} has {len(values)} values for {count} subsets")
        names.append(name)
        columns.append(values if len(values) == count else [values[0]] * count)
    for row in zip(*columns, strict=True):
        yield list(zip(names, row, strict=True))
