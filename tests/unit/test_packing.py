import importlib.metadata
import warnings

import cfgrib
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fuxiflow.storage.packing import LARGEST, LAST, NAME, SHARE, BlockPackingCodec, Packing
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store
from tests.support.helpers import realdata

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20))
FIELDS = SHAPES.flatmap(
    lambda shape: arrays.arrays(
        np.float32,
        shape,
        elements=st.floats(-1e6, 1e6, width=32) | st.floats(250, 251, width=32) | st.just(np.nan),
    )
)


def allowed(field):
    """The bound on the root mean square error of a field."""
    return SHARE * (np.nanmax(field) - np.nanmin(field)) / LAST[2] / np.sqrt(12)


def test_steps_of_rough_fields_by_hand():
    """32767 in 24 bits: 2**-9 is the smallest power of two with no more than 2**24 - 2 steps."""
    values = np.linspace(0, 32767, 64).round(1).astype(np.float32)
    fields = np.stack([values / 2**14, values])[None]
    packed = Packing((1, 2, 64), 1, 64).pack(fields)
    base, step = packed[4:20].view(np.float32).reshape(2, 2)
    assert packed[0] == 3, "each row is one block, as rough as the whole field"
    np.testing.assert_array_equal(base, 0)
    np.testing.assert_array_equal(step, [2.0**-23, 2.0**-9])
    unpacked = Packing((1, 2, 64), 1, 64).unpack(packed)
    np.testing.assert_array_equal(unpacked[0, 1], np.rint(values * 2.0**9) / 2.0**9)


def test_bytes_of_a_smooth_field_by_hand():
    """Blocks of 8 x 8 whose values differ little beside the range of the field take 16 bits."""
    rows, columns = np.mgrid[:32, :16]
    field = (1000.0 * (rows // 8) + (rows % 8 + columns % 8) / 64).astype(np.float32)[None]
    packed = Packing(field.shape).pack(field)
    assert packed[0] == 2
    assert len(packed) == 4 + 8 * 4 * 2 + 2 * 32 * 16
    base = packed[4 : 4 + 4 * 8].view(np.float32)
    np.testing.assert_array_equal(base, np.repeat([0.0, 1000, 2000, 3000], 2))
    np.testing.assert_array_equal(Packing(field.shape).unpack(packed), field)


@settings(max_examples=150)
@given(FIELDS)
def test_the_error_of_any_field_is_below_its_bound(values):
    packing = Packing(values.shape)
    unpacked = packing.unpack(packing.pack(values))
    np.testing.assert_array_equal(np.isnan(unpacked), np.isnan(values))
    for field, again in zip(values.astype(np.float64), unpacked.astype(np.float64), strict=True):
        if np.isnan(field).all():
            continue
        error = np.sqrt(np.nanmean((again - field) ** 2))
        # a value cannot be nearer than the spacing of the largest beside it
        largest = np.spacing(np.float32(np.nanmax(np.abs(field))))
        assert error <= np.sqrt(3) * allowed(field) + largest
        assert (
            np.nanmax(np.abs(again - field))
            <= (np.nanmax(field) - np.nanmin(field)) / LAST[2] + largest
        )


@settings(max_examples=60)
@given(FIELDS, st.integers(1, 9), st.integers(1, 9))
def test_what_was_unpacked_is_packed_without_a_further_loss(values, rows, columns):
    packing = Packing(values.shape, rows, columns)
    once = packing.unpack(packing.pack(values))
    widths = packing.pack(values)[: packing.fields]
    again = packing.pack(once)
    # a field at the edge of the bound may take fewer bits once it is rounded
    same = again[: packing.fields] >= widths
    np.testing.assert_array_equal(packing.unpack(again)[same], once[same])


def test_constant_missing_and_tiny_fields_stay_as_they_are():
    fields = np.full((5, 9, 17), np.nan, np.float32)
    fields[1] = 271.35
    fields[2] = 0
    fields[3, 0, 0] = -3.5
    fields[4] = 1e-45
    fields[4, 3, 3] = 0
    packing = Packing(fields.shape)
    np.testing.assert_array_equal(packing.unpack(packing.pack(fields)), fields)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.finfo(np.float32).max, -(2.0**126)])
def test_values_whose_differences_are_infinite_are_refused(value):
    fields = np.zeros((2, 9, 9), np.float32)
    fields[1, 8, 8] = value
    with pytest.raises(ValueError, match="infinite"):
        Packing(fields.shape).pack(fields)


@settings(max_examples=150)
@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32)))
def test_what_is_packed_stays_finite(values):
    """Of any numbers at all: they are refused, or none of them becomes infinite or missing."""
    packing = Packing(values.shape)
    try:
        packed = packing.pack(values)
    except ValueError:
        assert (np.abs(values) >= LARGEST).any()
    else:
        unpacked = packing.unpack(packed)
        np.testing.assert_array_equal(np.isfinite(unpacked), ~np.isnan(values))


@pytest.mark.parametrize("shape", [(0, 5, 5), (3, 0, 5), (3, 5, 0)])
def test_fields_without_cells_come_back(shape):
    packing = Packing(shape)
    assert packing.unpack(packing.pack(np.empty(shape, np.float32))).shape == shape


def test_a_missing_field_takes_no_integers():
    """Levels that a variable of a forecast does not have are missing fields of its chunk."""
    fields = np.full((3, 16, 16), np.nan, np.float32)
    missing = Packing(fields.shape).pack(fields)
    assert len(missing) == 4 + 3 * 4 * 8
    fields[1] = 7
    packed = Packing(fields.shape).pack(fields)
    assert len(packed) == len(missing) + 2 * 16 * 16
    np.testing.assert_array_equal(Packing(fields.shape).unpack(packed), fields)


@pytest.mark.parametrize("harm", [lambda b: b[:-4], lambda b: np.append(b, b[:4]), lambda b: b * 0])
def test_bytes_that_are_no_packed_fields_are_refused(harm):
    fields = np.random.default_rng(0).normal(size=(2, 9, 9)).astype(np.float32)
    packing = Packing(fields.shape)
    with pytest.raises(ValueError, match=r"bytes, not|does not begin"):
        packing.unpack(harm(packing.pack(fields)))


def test_xarray_and_zarr_read_a_packed_store_without_a_word(tmp_path):
    fields = np.random.default_rng(1).normal(size=(3, 2, 17, 30)).astype(np.float32)
    group = create_store(tmp_path / "a.zarr")
    group.create_array(
        "state",
        shape=fields.shape,
        dtype="float32",
        chunks=(1, 2, 17, 30),
        shards=(3, 2, 17, 30),
        serializer=BlockPackingCodec(),
        compressors=None,
        fill_value=np.nan,
        dimension_names=("time", "channel", "lat", "lon"),
    )[:] = fields
    consolidate(tmp_path / "a.zarr")
    packing = Packing(fields.shape[1:])
    expected = np.stack([packing.unpack(packing.pack(field)) for field in fields])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(tmp_path / "a.zarr") as data:
            np.testing.assert_array_equal(data["state"][1:, 1].values, expected[1:, 1])
        np.testing.assert_array_equal(zarr.open_group(tmp_path / "a.zarr")["state"][:], expected)
    array = open_store(tmp_path / "a.zarr")["state"]
    assert array.serializer == BlockPackingCodec()
    assert array.metadata.to_dict()["codecs"][0]["configuration"]["codecs"][0]["name"] == NAME


def test_other_numbers_than_float32_are_refused(tmp_path):
    with pytest.raises(ValueError, match="float32"):
        zarr.create_array(
            tmp_path / "a.zarr", shape=(4, 4), dtype="int16", serializer=BlockPackingCodec()
        )


def test_the_package_tells_zarr_of_the_codec():
    """So that a program that does not import fuxiflow, but has it installed, reads the stores."""
    named = importlib.metadata.entry_points(group="zarr.codecs")
    assert [entry.load() for entry in named if entry.name == NAME] == [BlockPackingCodec]


def test_fields_of_era5_lose_a_tenth_of_what_their_file_has_lost():
    """At 1 degree; at 0.25 degrees neighbours differ less, and all four take 16 bits."""
    data = cfgrib.open_datasets(str(realdata("era5/ekd_test4.grib")), indexpath="")
    count = 0
    for name, variable in [(n, v) for one in data for n, v in one.data_vars.items()]:
        values = variable.values.reshape(-1, *variable.shape[-2:]).astype(np.float32)
        packing = Packing(values.shape)
        unpacked = packing.unpack(packing.pack(values)).astype(np.float64)
        for field, again in zip(values, unpacked, strict=True):
            error = np.sqrt(np.mean((again - field) ** 2))
            assert error <= allowed(field), name
            count += 1
    assert count == 4
