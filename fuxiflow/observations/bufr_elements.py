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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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
# operators whose elements describe others by a bit map: quality, substitution, statistics …
_BIT_MAPPED = frozenset({222, 223, 224, 225, 232})
_CANCEL = 235_000  # data follow
# operators that ecCodes gives a value: text, and all about bit maps and events
_VALUED = _BIT_MAPPED | {205, 234, 235, 236, 237, 241, 242}
_ASSOCIATED = 999_999
_FACTORS = (31_001, 31_000, 31_002)  # in the order of _REPLICATIONS
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
        Element descriptors (FXXYYY as integers) of one subset in their order. Elements that an
        operator with a bit map, such as 2-22-000, has say about others are left out. An associated
        field (operator 2-04) is 999999.
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
        copies = _copies(handle)
        replications = list(_replications(handle))
        if rest or any(len(kind) % copies for kind in replications):
            raise ValueError("subsets differ in their elements")
        factors = [kind.reshape(copies, -1) for kind in replications]
        if any((kind != kind[0]).any() for kind in factors):
            raise ValueError("subsets differ in their elements")
        repeats = [tuple(kind[0].tolist()) for kind in factors]
        key = (
            "matrix",
            *_tables(handle),
            eccodes.codes_get(handle, "compressedData"),
            width,
            *repeats,
            eccodes.codes_get_long_array(handle, "unexpandedDescriptors").tobytes(),
        )
        descriptors, columns = _cached_layout(key, lambda: _descriptors(handle, width, repeats))
    values = values.reshape(count, width)
    if len(columns) != width:
        values = values[:, columns]
    values[values < _MISSING] = np.nan
    return descriptors, values


def _descriptors(
    handle: int, width: int, repeats: Sequence[Sequence[int]]
) -> tuple[list[int], Sequence[int]]:
    """Return the descriptors of the elements of a subset, and their columns.

    Parameters
    ----------
    handle : int
        ecCodes' handle of the decoded message.
    width : int
        The number of values of a subset, those of operators included.
    repeats : Sequence[Sequence[int]]
        The factors of the delayed replications of a subset, by kind as :func:`_replications` has
        them.

    Returns
    -------
    descriptors : list[int]
        Descriptors of the elements that are data.
    columns : Sequence[int]
        Their places among the values of a subset.

    Raises
    ------
    ValueError
        When the descriptors do not account for all values.
    """
    expanded = eccodes.codes_get_long_array(handle, "expandedDescriptors").tolist()
    if max(expanded) < 200_000:
        # closed before the handle is released, whatever happens: ecCodes would crash otherwise
        with closing(_keys(handle)) as keys:
            elements = islice((key for key in keys if _is_element(key)), width)
            descriptors = [int(eccodes.codes_get(handle, f"{key}->code")) for key in elements]
        if len(descriptors) == width:
            return descriptors, range(width)
    # operators and associated fields have values, and ecCodes' keys do not tell all of them apart
    factors = dict(zip(_FACTORS, map(iter, repeats), strict=True))
    entries = list(_valued(expanded, factors))
    if len(entries) != width:
        raise ValueError(
            f"{width} values for {len(entries)} elements and operators: "
            "an operator that is not supported"
        )
    columns, about_data = [], False
    for column, code in enumerate(entries):
        if code // 100_000 != 2:
            columns += [] if about_data else [column]
        else:
            about_data = _about_data(code, about_data)
    return [entries[column] for column in columns], columns


def _copies(handle: int) -> int:
    """Return how often a message stores its factors: once where compressed, or for each subset."""
    compressed = eccodes.codes_get(handle, "compressedData")
    return 1 if compressed else eccodes.codes_get(handle, "numberOfSubsets")


def _about_data(operator: int, about_data: bool) -> bool:
    """Say whether what follows an operator describes other elements, or is data again."""
    if operator // 1000 in _BIT_MAPPED:
        return True
    return about_data and operator != _CANCEL


def _valued(descriptors: Sequence[int], factors: Mapping[int, Iterator[int]]) -> Iterator[int]:
    """Yield the descriptors that have a value each, in the order of the values.

    Parameters
    ----------
    descriptors : Sequence[int]
        Descriptors as ecCodes expands them: all sequences and fixed replications, and the number
        of descriptors that a delayed replication repeats.
    factors : Mapping[int, Iterator[int]]
        Factors of delayed replications by their element.

    Yields
    ------
    int
        Elements; operators too, as far as ecCodes gives them a value.
    """
    position, defining = 0, False
    while position < len(descriptors):
        code = descriptors[position]
        position += 1
        if code // 1000 == 203:
            # up to 2-03-255 new reference values stand in place of the elements' values
            defining = code not in (203_000, 203_255)
        elif defining:
            continue
        elif code // 100_000 == 1 and code != _ASSOCIATED:
            repeated = code // 1000 % 100
            element = descriptors[position]
            yield element
            body = descriptors[position + 1 : position + 1 + repeated]
            for _ in range(next(factors[element])):
                yield from _valued(body, factors)
            position += 1 + repeated
        elif code // 100_000 == 2 and code // 1000 not in _VALUED:
            continue
        else:
            yield code


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

    Elements after an operator with a bit map, such as 2-22-000, are left out until 2-35-000: they
    describe other elements. ecCodes ranks them among the others, and in some cases their values are
    there too.
    """
    subsets: list[list[tuple[str, int, int]]] = []
    counts, all_counts = Counter(), Counter()
    about_data = False
    codes = _operators(handle)
    operators = list(codes)
    for key in _keys(handle):
        if key == "subsetNumber":
            subsets.append([])
            about_data = False
            operators = list(codes)
        elif key == "operator":
            # what cannot be told apart begins a description, as most operators do
            operator = operators.pop(0) if operators else 222_000
            about_data = _about_data(operator, about_data)
        elif _is_element(key):
            name = key.rpartition("#")[2]
            if not subsets:  # a single subset has no number
                subsets.append([])
            if name in names:
                if not about_data:
                    subsets[-1].append((name, counts[name], all_counts[name]))
                    counts[name] += 1
                all_counts[name] += 1
    if len(subsets) == 1 and not eccodes.codes_get(handle, "compressedData"):
        subsets = _split(subsets[0], eccodes.codes_get(handle, "numberOfSubsets"))
    return _Layout(subsets, counts, all_counts)


def _split(elements: list[tuple[str, int, int]], count: int) -> list[list[tuple[str, int, int]]]:
    """Split elements into ``count`` subsets, where ecCodes does not.

    It leaves the borders out where subsets begin with an element of operator 2-06. What cannot be
    split into equal subsets stays one.
    """
    size, rest = divmod(len(elements), count)
    if rest or not size:
        return [elements]
    parts = [elements[i : i + size] for i in range(0, len(elements), size)]
    names = [[name for name, *_ in part] for part in parts]
    return parts if all(name == names[0] for name in names) else [elements]


def _operators(handle: int) -> list[int]:
    """Return the operators of a subset that are keys of a message, in their order.

    The list is empty where a replication repeats them.
    """
    codes = eccodes.codes_get_long_array(handle, "expandedDescriptors").tolist()
    operators = [code for code in codes if code // 1000 in _VALUED - {205}]
    keys = sum(key == "operator" for key in _keys(handle)) if operators else 0
    return operators if keys == _copies(handle) * len(operators) else []


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
