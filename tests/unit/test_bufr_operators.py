"""BUFR's operators: values equal ecCodes', and what describes other elements is passed over."""

import eccodes
import numpy as np
import pytest

from fuxiflow.observations import bufr_elements

T, TD = 12101, 12103
SHARED = {"airTemperature": (280.0, 281.5, 282.0), "dewpointTemperature": (270.0, 271.25, 272.0)}
NAMES = frozenset(SHARED)
QUALITY = (236000, 101002, 31031, 1031, 1032)
CASES = {
    "2-01, 2-02": ((201132, T, 202129, TD, 202000, 201000), {}),
    "2-03": ((203012, T, 203255, T, 203000, TD), {"inputOverriddenReferenceValues": [-5]}),
    "2-04": ((204007, 31021, T, 204000, TD), {}),
    "2-05": ((205004, T, TD), {}),
    "2-06": ((206010, 12230, T, TD), {}),
    "2-07": ((207002, T, 207000, TD), {}),
    "2-08": ((208004, 1015, 208000, T, TD), {}),
    "2-22": ((T, TD, 222000, *QUALITY, 101002, 33007), {}),
    "2-22 without a bit map defined": ((T, TD, 222000, *QUALITY[1:], 101002, 33007), {}),
    "2-22 twice, 2-37": (
        (T, TD, 222000, *QUALITY, 101002, 33007, 222000, 237000, 1031, 1032, 101002, 33007),
        {},
    ),
    "2-37-255": (
        (T, TD, 222000, *QUALITY, 101002, 33007, 222000, 237000, 1031, 1032, 101002, 33007, 237255),
        {},
    ),
    "2-23": ((T, TD, 223000, *QUALITY, 101002, 223255), {}),
    "2-24": ((T, TD, 224000, *QUALITY, 8023, 101002, 224255), {}),
    "2-25": ((T, TD, 225000, *QUALITY, 8024, 101002, 225255), {}),
    "2-32": ((T, TD, 232000, *QUALITY, 101002, 232255), {}),
    "2-35": ((T, TD, 222000, *QUALITY, 101002, 33007, 235000), {}),
    "2-41": ((241000, T, 241255, TD), {}),
    "2-42": ((242000, T, 242255, TD), {}),
    "delayed replication": (
        (101000, 31001, 1001, T, TD),
        {"inputDelayedDescriptorReplicationFactor": [3]},
    ),
    "two delayed replications": (
        (101000, 31001, 1001, 101000, 31001, 1002, T, TD),
        {"inputDelayedDescriptorReplicationFactor": [3, 2]},
    ),
    "delayed replication and 2-22": (
        (
            101000,
            31002,
            1001,
            T,
            TD,
            222000,
            236000,
            101000,
            31002,
            31031,
            1031,
            1032,
            101000,
            31002,
            33007,
        ),
        {
            "inputExtendedDelayedDescriptorReplicationFactor": [3, 5, 5],
            "inputDataPresentIndicator": [1, 1, 1, 0, 0],
        },
    ),
}


def keys_of(handle, name):
    """Keys of an element in all subsets."""
    iterator = eccodes.codes_bufr_keys_iterator_new(handle)
    keys = []
    while eccodes.codes_bufr_keys_iterator_next(iterator):
        keys.append(eccodes.codes_bufr_keys_iterator_get_name(iterator))
    eccodes.codes_bufr_keys_iterator_delete(iterator)
    return [key for key in keys if key.endswith(f"#{name}")]


def message(descriptors, keys, compressed, subsets):
    """A message with temperatures of :data:`SHARED` wherever they are first in a subset."""
    handle = eccodes.codes_bufr_new_from_samples("BUFR4")
    try:
        eccodes.codes_set(handle, "masterTablesVersionNumber", 31)
        if 236000 in descriptors or 31031 in descriptors:
            keys = {"inputDataPresentIndicator": [0, 0]} | keys
        for key, values in keys.items():
            copies = 1 if compressed or key == "inputOverriddenReferenceValues" else subsets
            eccodes.codes_set_array(handle, key, list(values) * copies)
        eccodes.codes_set(handle, "numberOfSubsets", subsets)
        eccodes.codes_set(handle, "compressedData", int(compressed))
        eccodes.codes_set_array(handle, "unexpandedDescriptors", descriptors)
        for name, values in SHARED.items():
            if compressed:
                eccodes.codes_set_double_array(handle, f"#1#{name}", values[:subsets])
                continue
            ranks = keys_of(handle, name)
            for i in range(subsets):
                eccodes.codes_set_double(handle, ranks[i * len(ranks) // subsets], values[i])
        eccodes.codes_set(handle, "pack", 1)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


@pytest.mark.parametrize("subsets", [1, 2, 3])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_that_were_written(name, compressed, subsets):
    descriptors, keys = CASES[name]
    try:
        data = message(descriptors, keys, compressed, subsets)
    except eccodes.CodesInternalError as error:
        pytest.skip(f"ecCodes cannot write it: {error}")
    codes, matrix = bufr_elements.element_matrix(data)
    assert matrix.shape == (subsets, len(codes))
    for code, wanted in zip((T, TD), SHARED.values(), strict=True):
        assert matrix[:, codes.index(code)] == pytest.approx(wanted[:subsets], abs=0.06)
    assert not {code // 1000 for code in codes} & {222, 223, 224, 225, 232, 235, 236, 237}
    assert not {31031, 33007} & set(codes)
    found = bufr_elements.element_subsets(data, NAMES)
    for i, subset in enumerate(found):
        values = [(key, value) for key, value in subset if value == value]
        for key, wanted in SHARED.items():
            assert next(value for name, value in values if name == key) == pytest.approx(
                wanted[i], abs=0.06
            )
        # one of each: what 2-24 … say is no observation
        assert len(subset) == 2


@pytest.mark.parametrize("compressed", [True, False])
def test_data_after_a_cancelled_bit_map_are_data(compressed):
    descriptors = (T, TD, 222000, *QUALITY, 101002, 33007, 235000, T, 13003)
    data = message(descriptors, {}, True, 2) if compressed else message(descriptors, {}, False, 1)
    codes, matrix = bufr_elements.element_matrix(data)
    assert codes == [T, TD, T, 13003]
    (first, *_) = bufr_elements.element_subsets(data, NAMES | {"relativeHumidity"})
    assert [name for name, _ in first] == [
        "airTemperature",
        "dewpointTemperature",
        "airTemperature",
        "relativeHumidity",
    ]
    assert np.isnan(matrix[:, 2:]).all()
