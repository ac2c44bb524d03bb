"""Real BUFR messages written anew by ecCodes, for tests.

They have other subsets, compressed or not, and other values, and are wrapped as telecommunication
and file systems do.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import eccodes
import numpy as np

from tests.support.bufr_files import element_keys

Values = dict[str, float | str | None]
"""Of one subset by key with its rank in the subset, "#2#pressure"; None where missing."""
_HEADER = (
    "edition",
    "masterTableNumber",
    "bufrHeaderCentre",
    "bufrHeaderSubCentre",
    "updateSequenceNumber",
    "dataCategory",
    "dataSubCategory",
    "masterTablesVersionNumber",
    "localTablesVersionNumber",
    "typicalYearOfCentury",
    "typicalMonth",
    "typicalDay",
    "typicalHour",
    "typicalMinute",
)
_FACTORS = (
    "delayedDescriptorReplicationFactor",
    "shortDelayedDescriptorReplicationFactor",
    "extendedDelayedDescriptorReplicationFactor",
)
_ABOUT_DATA = 222000  # what follows is about elements, none itself

WRAPPINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "plain": lambda data, number: data,
    "bulletin": lambda data, number: (
        b"\x01\r\r\n%03d\r\r\nISMD01 EGRR 181200\r\r\n" % number + data + b"\r\r\n\x03"
    ),
    # WMO-No. 386, Attachment II-15: length in eight digits and format in two
    "length": lambda data, number: (
        b"%08d00\x01\r\r\n%03d\r\r\nINAX01 KNES 011000\r\r\n" % (len(data) + 35, number)
        + data
        + b"\r\r\n\x03"
    ),
    "ten digits": lambda data, number: (
        b"%010d\r\r\nIUAX01 EUMS 310000 RRA\r\r\n" % len(data) + data + b"\r\r\n"
    ),
    "comms header": lambda data, number: (
        b"****%010d****\nIUSN01 KWBC 021200\r\r\n" % len(data) + data
    ),
    "text between": lambda data, number: (
        b"\x01\r\r\n%03d\r\r\nSMDL40 EDZW 181200\r\r\nAAXX 18121\r\r\n" % number
        + b"10384 11458 82402 10171 20101 30085=\r\r\n\x03"
        + data
    ),
    "records": lambda data, number: (mark := len(data).to_bytes(4)) + data + mark,
    "little-endian records": lambda data, number: (
        (mark := len(data).to_bytes(4, "little")) + data + mark
    ),
    "records of bulletins": lambda data, number: (
        (mark := (len(data) + 24).to_bytes(4)) + b"IUSN01 KWBC 021200 \r\r\n\n" + data + mark
    ),
    "blocks": lambda data, number: data + bytes(-len(data) % 512),
}
"""What stands about the ``number``-th message of a file."""


@contextmanager
def decoded(data: bytes) -> Iterator[int]:
    """ecCodes' handle of a message, decoded."""
    handle = eccodes.codes_new_from_message(data)
    try:
        eccodes.codes_set(handle, "unpack", 1)
        yield handle
    finally:
        eccodes.codes_release(handle)


def _plain(value: float | str) -> float | str | None:
    if isinstance(value, str):
        return value.strip().strip("\0\xff")
    return None if value in (eccodes.CODES_MISSING_DOUBLE, eccodes.CODES_MISSING_LONG) else value


def subsets(data: bytes) -> list[Values]:
    """Decode the elements of each subset of a message, by ecCodes' keys one at a time.

    Values that describe other elements are left out.
    """
    with decoded(data) as handle:
        count = eccodes.codes_get(handle, "numberOfSubsets")
        if eccodes.codes_get(handle, "compressedData"):
            found: list[Values] = [{} for _ in range(count)]
            for key in element_keys(handle):
                values = eccodes.codes_get_array(handle, key)
                values = [_plain(value) for value in values]
                for i, subset in enumerate(found):
                    subset[key] = values[i if len(values) > 1 else 0]
            return found
        found, ranks, offsets, about = [], Counter(), Counter(), False
        iterator = eccodes.codes_bufr_keys_iterator_new(handle)
        while eccodes.codes_bufr_keys_iterator_next(iterator):
            key = eccodes.codes_bufr_keys_iterator_get_name(iterator)
            if key == "subsetNumber" or (not found and key.startswith("#")):
                found.append({})
                offsets, about = ranks.copy(), False
            if key == "operator":
                about = True
            if key.startswith("#") and "->" not in key:
                name = key.rpartition("#")[2]
                ranks[name] += 1
                if not about:
                    found[-1][f"#{ranks[name] - offsets[name]}#{name}"] = _plain(
                        eccodes.codes_get(handle, key)
                    )
        eccodes.codes_bufr_keys_iterator_delete(iterator)
        return found


def column(found: Sequence[Values], key: str) -> np.ndarray:
    """Return the values of a key over subsets, float64, NaN where missing or absent."""
    return np.array([np.nan if subset.get(key) is None else subset[key] for subset in found], float)


def message(
    like: bytes, found: Sequence[Values], compressed: bool, header: Mapping[str, int] | None = None
) -> bytes:
    """Encode subsets with the header and template of another message.

    Values that describe other elements are left out.
    """
    with decoded(like) as handle:
        descriptors = [
            int(code) for code in eccodes.codes_get_array(handle, "unexpandedDescriptors")
        ]
        keys = {
            name: eccodes.codes_get(handle, name)
            for name in _HEADER
            if eccodes.codes_is_defined(handle, name)
        }
    if _ABOUT_DATA in descriptors:
        descriptors = descriptors[: descriptors.index(_ABOUT_DATA)]
    handle = eccodes.codes_bufr_new_from_samples(f"BUFR{keys.pop('edition')}")
    try:
        keys |= {"numberOfSubsets": len(found), "compressedData": int(compressed)} | dict(
            header or {}
        )
        for name, value in keys.items():
            eccodes.codes_set(handle, name, value)
        for name in _FACTORS:
            factors = [
                int(value)
                for subset in found[: 1 if compressed else None]
                for key, value in subset.items()
                if key.rpartition("#")[2] == name
            ]
            if factors:
                eccodes.codes_set_array(handle, f"input{name[0].upper()}{name[1:]}", factors)
        eccodes.codes_set_array(handle, "unexpandedDescriptors", descriptors)
        if compressed:
            for key in found[0]:
                _set(handle, key, [subset[key] for subset in found])
        else:
            offsets: Counter = Counter()
            for subset in found:
                for key, value in subset.items():
                    rank, name = key[1:].split("#")
                    _set(handle, f"#{int(rank) + offsets[name]}#{name}", [value])
                offsets.update(key.rpartition("#")[2] for key in subset)
        eccodes.codes_set(handle, "pack", 1)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def _set(handle: int, key: str, values: list) -> None:
    if all(value is None for value in values) or key.rpartition("#")[2] in _FACTORS:
        return
    if isinstance(next(value for value in values if value is not None), str):
        texts = ["" if value is None else value for value in values]
        eccodes.codes_set(handle, key, texts[0]) if len(
            texts
        ) == 1 else eccodes.codes_set_string_array(handle, key, texts)
    elif eccodes.codes_get_native_type(handle, key) is int:
        eccodes.codes_set_array(
            handle,
            key,
            [eccodes.CODES_MISSING_LONG if value is None else int(value) for value in values],
        )
    else:
        eccodes.codes_set_array(
            handle,
            key,
            [eccodes.CODES_MISSING_DOUBLE if value is None else float(value) for value in values],
        )
