import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.statistics import (
    Statistics,
    accumulate_moments,
    standardise_static,
    static_fields,
    transform_precipitation,
)
from fuxiflow.storage.moments import Moments, SegmentMoments, merge_segments

GRID = Grid(4, 8)
NAMES = ["Z500", "T850", "TP"]
TIMES = np.datetime64("2022-01-01", "ns") + np.arange(8) * np.timedelta64(6, "h")


def fields(count=8, seed=0):
    values = np.random.default_rng(seed).normal(5.0, 2.0, (count, 3, 4, 8)).astype(np.float32)
    values[:, 2] = np.abs(values[:, 2])
    return values


def expected(values):
    """Area-weighted mean and standard deviation over times and cells, by numpy alone."""
    weights = np.broadcast_to(GRID.area_weights[:, None], GRID.shape)
    mean = np.array(
        [np.average(v, weights=np.broadcast_to(weights, v.shape)) for v in values.swapaxes(0, 1)]
    )
    square = np.array(
        [
            np.average((v - m) ** 2, weights=np.broadcast_to(weights, v.shape))
            for v, m in zip(values.swapaxes(0, 1), mean, strict=True)
        ]
    )
    return mean, np.sqrt(square)


def test_moments_equal_those_of_all_values_at_once():
    values = fields().astype(float)
    values[:, 2] = np.log1p(values[:, 2])
    moments, tendencies = accumulate_moments(
        zip(TIMES, fields(), strict=True), NAMES, GRID.area_weights
    )
    mean, std = expected(values)
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(moments.std, std, rtol=1e-5)
    np.testing.assert_allclose(tendencies.std, expected(np.diff(values, axis=0))[1], rtol=1e-5)
    assert moments.count.tolist() == [8, 8, 8]
    assert tendencies.count.tolist() == [7, 7, 7]


def test_by_hand():
    # two cells of equal area with 1 and 3, then 5 and 7: mean 4, variance (9 + 1 + 1 + 9) / 4
    values = np.array([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])
    moments, tendencies = accumulate_moments(
        zip(TIMES[:2], values, strict=True), ["T850"], np.ones(1)
    )
    assert moments.mean[0] == pytest.approx(4.0)
    assert moments.std[0] == pytest.approx(5**0.5)
    assert tendencies.mean[0] == 4.0
    assert tendencies.std[0] == 0.0


def test_no_tendency_across_a_gap():
    values = fields()
    _, tendencies = accumulate_moments(
        zip(TIMES[[0, 1, 3, 4]], values[:4], strict=True), NAMES, GRID.area_weights
    )
    assert tendencies.count.tolist() == [2, 2, 2]


def test_a_channel_that_is_nan_in_a_field_is_not_counted():
    values = fields()
    values[3, 2] = np.nan
    moments, tendencies = accumulate_moments(
        zip(TIMES, values, strict=True), NAMES, GRID.area_weights
    )
    assert moments.count.tolist() == [8, 8, 7]
    assert tendencies.count.tolist() == [7, 7, 5]
    assert np.isfinite(moments.std).all()
    assert np.isnan(Moments.empty(2).std).all()


@settings(max_examples=30)
@given(st.integers(1, 7), st.floats(-1e5, 1e5), st.integers(0, 1000))
def test_merging_in_any_split_is_the_same(split, offset, seed):
    values = fields(seed=seed) + offset
    parts = [Moments.of_field(value, GRID.area_weights) for value in values]

    def merged(some):
        total = Moments.empty(3)
        for part in some:
            total = total.merge(part)
        return total

    whole, halves = merged(parts), merged(parts[:split]).merge(merged(parts[split:]))
    np.testing.assert_allclose(halves.mean, whole.mean, rtol=1e-9)
    np.testing.assert_allclose(halves.squares, whole.squares, rtol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 7), st.integers(1, 7), st.sets(st.integers(0, 7)))
def test_segments_merge_to_the_whole_with_the_differences_across_their_bounds(
    seed, first, second, missing
):
    present = [i for i in range(8) if i not in missing]
    values = fields(seed=seed)
    values[seed % 8, 2] = np.nan

    def part(begin, end):
        """As a job reads it: its own times, and the one before the first of them."""
        near = [i for i in present if begin - 1 <= i < end]
        pairs = ((TIMES[i], values[i].copy()) for i in near)
        own = [str(TIMES[i]) for i in near if i >= begin] or [""]
        since = TIMES[begin] if begin < 8 else TIMES[-1] + np.timedelta64(6, "h")
        states, differences = accumulate_moments(pairs, NAMES, GRID.area_weights, since)
        kinds = {"state": states, "difference": differences}
        return SegmentMoments(NAMES, kinds, own[0], own[-1])

    low, high = sorted((first, second))
    parts = [part(0, low), part(low, high), part(high, 8)]
    one_pass = part(0, 8)
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[2].merge(parts[1].merge(parts[0]))
    for merged in (left, right):
        assert (merged.first, merged.last) == (one_pass.first, one_pass.last)
        for kind, moments in one_pass.kinds.items():
            np.testing.assert_array_equal(merged.kinds[kind].count, moments.count)
            np.testing.assert_allclose(merged.kinds[kind].mean, moments.mean, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(merged.kinds[kind].squares, moments.squares, rtol=1e-9)


def test_moments_by_channel_equal_those_of_whole_states_in_double_precision():
    """The way in which they were computed before: copies of whole states, 2 m above 10^5 Pa."""
    values = fields(2, seed=5) + np.float32(1e5)
    area = (GRID.area_weights / GRID.area_weights.sum())[:, None] / GRID.nlon
    for whole, moments in (
        (values[1].astype(float), Moments.of_field(values[1], GRID.area_weights)),
        (
            values[1].astype(float) - values[0],
            Moments.of_field(values[1], GRID.area_weights, before=values[0]),
        ),
    ):
        mean = (whole * area).sum(axis=(1, 2))
        squares = ((whole - mean[:, None, None]) ** 2 * area).sum(axis=(1, 2))
        np.testing.assert_allclose(moments.mean, mean, rtol=1e-8)
        np.testing.assert_allclose(moments.squares, squares, rtol=1e-8)


def test_moments_of_segments_as_tables(tmp_path):
    states = Moments(np.array([4.0, 3.0]), np.array([1 / 3, 2.0]), np.array([0.1, 1e-30]))
    part = SegmentMoments(["T850", "TP"], {"state": states}, "2022-01-01", "2022-01-31")
    empty = SegmentMoments(["T850", "TP"], {"state": Moments.empty(2)})
    for name, written in (("a", part), ("b", empty), ("c", part)):
        written.write(tmp_path / f"{name}.parquet")
    read = SegmentMoments.read(tmp_path / "a.parquet")
    assert (read.channels, read.first, read.last) == (part.channels, part.first, part.last)
    for name in ("count", "mean", "squares"):
        np.testing.assert_array_equal(getattr(read.kinds["state"], name), getattr(states, name))
    merged = merge_segments([tmp_path / f"{name}.parquet" for name in "bac"])
    assert (merged.first, merged.last) == (part.first, part.last)
    np.testing.assert_array_equal(merged.kinds["state"].count, [8, 6])
    SegmentMoments(["T850", "Z500"], {"state": states}).write(tmp_path / "d.parquet")
    with pytest.raises(ValueError, match=r"d\.parquet: moments of other channels"):
        merge_segments([tmp_path / "a.parquet", tmp_path / "d.parquet"])


def test_transform_is_a_copy_and_only_precipitation_changes():
    values = fields()[0]
    values[2, 0, 0] = -1e-3
    before = values.copy()
    result = transform_precipitation(values, NAMES)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(result[:2], values[:2])
    np.testing.assert_allclose(result[2], np.log1p(np.maximum(values[2], 0)))
    np.testing.assert_array_equal(
        transform_precipitation(values, channel_table().select(["Z500", "T850", "U50"])), values
    )


def test_statics():
    height = np.random.default_rng(0).random(GRID.shape) * 5e4
    land = np.random.default_rng(1).random(GRID.shape)
    named = static_fields(
        {"surface_geopotential": height, "land_fraction": land, "lake_cover": land**2}, GRID
    )
    assert list(named) == [
        "land_fraction",
        "surface_geopotential",
        "sin_lat",
        "cos_lat",
        "sin_lon",
        "cos_lon",
        "lake_cover",
    ]
    statics = np.stack(list(named.values()))
    weights = np.broadcast_to(GRID.area_weights[:, None], GRID.shape)
    assert np.average(statics[1], weights=weights) == pytest.approx(0, abs=1e-6)
    assert np.average(statics[1] ** 2, weights=weights) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(statics[0], land, rtol=1e-6)
    np.testing.assert_allclose(statics[2] ** 2 + statics[3] ** 2, 1, rtol=1e-5)
    np.testing.assert_allclose(statics[4, :, 2], 1, rtol=1e-6)
    np.testing.assert_allclose(statics[6], land**2, rtol=1e-6)
    np.testing.assert_array_equal(
        standardise_static(np.full(GRID.shape, 3.0), GRID.area_weights), 0
    )


def test_round_trip_and_plain_xarray(tmp_path):
    raw = {
        "surface_geopotential": np.full(GRID.shape, 100.0),
        "land_fraction": np.zeros(GRID.shape),
    }
    written = Statistics(
        NAMES,
        np.arange(3.0),
        np.arange(1.0, 4),
        np.ones(3),
        np.ones((6, 4, 8)),
        list("abcdef"),
        raw,
        ("2022-01-01T00:00:00", "2022-12-31T18:00:00"),
    )
    written.write(tmp_path / "s.zarr")
    read = Statistics.read(tmp_path / "s.zarr")
    assert read.channels == NAMES
    assert read.static_names == list("abcdef")
    assert read.grid == GRID
    assert read.period == written.period
    for name in ("mean", "std", "tendency_std", "statics", "surface_geopotential", "land_fraction"):
        assert getattr(read, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    with xr.open_zarr(tmp_path / "s.zarr") as data:
        assert float(data["mean"].sel(channel="T850")) == 1.0
        assert data.surface_geopotential.attrs["units"] == "m2 s-2"
    with pytest.raises(FileNotFoundError, match="no statistics"):
        Statistics.read(tmp_path / "none.zarr")
