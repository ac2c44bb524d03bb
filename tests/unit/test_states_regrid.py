import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.grids import Grid, row_edges
from fuxiflow.states import regrid as module
from fuxiflow.states.grib_messages import GribError
from fuxiflow.states.regrid import SourceGrid, regrid

SOURCES = [(721, 1440), (181, 360), (73, 144), (61, 120), (49, 96)]
TARGET = Grid(32, 64)


def source(nlat, nlon, west=0.0):
    return SourceGrid(90.0, -90.0, nlat, west, nlon)


def area_mean(values, lat, lon_count):
    edges = np.sin(np.deg2rad(row_edges(lat)))
    return ((edges[:-1] - edges[1:])[:, None] * values).sum() / (2 * lon_count)


@pytest.mark.parametrize("shape", SOURCES)
def test_coarsening_keeps_the_area_mean(shape):
    grid = source(*shape)
    values = np.random.default_rng(0).normal(280.0, 20.0, (1, *shape))
    result = regrid(values, grid, TARGET)
    assert module.is_conservative(grid, TARGET)
    before, after = (
        area_mean(values[0], grid.lat, grid.nlon),
        area_mean(result[0].astype(float), TARGET.lat, TARGET.nlon),
    )
    assert after == pytest.approx(before, rel=1e-6)


@settings(max_examples=30)
@given(
    st.integers(3, 40),
    st.integers(4, 60),
    st.integers(2, 30),
    st.integers(3, 40),
    st.booleans(),
    st.floats(0, 359),
)
def test_a_constant_stays_and_the_range_is_not_left(nlat, nlon, rows, columns, poles, west):
    grid = (
        SourceGrid(90.0, -90.0, nlat, west, nlon)
        if poles
        else SourceGrid(90 - 90 / nlat, 90 / nlat - 90, nlat, west, nlon)
    )
    values = np.random.default_rng(nlat).random((2, nlat, nlon))
    values[0] = 273.15
    result = regrid(values, grid, Grid(rows, columns))
    np.testing.assert_allclose(result[0], 273.15, rtol=1e-6)
    assert values[1].min() - 1e-6 <= result[1].min()
    assert result[1].max() <= values[1].max() + 1e-6


def test_bilinear_keeps_a_linear_function_of_latitude_with_the_papers_half_cell_shift():
    grid, target = source(721, 1440), Grid(720, 1440)
    assert not module.is_conservative(grid, target)
    values = np.broadcast_to(grid.lat[:, None], (721, 1440))[None]
    np.testing.assert_allclose(
        regrid(values, grid, target)[0],
        np.broadcast_to(target.lat[:, None], target.shape),
        atol=2e-5,
    )


def test_bilinear_by_hand_around_the_date_line():
    grid = source(3, 4)
    values = np.array([[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]], float)
    result = regrid(values, grid, Grid(2, 8))[0]
    # rows at 45 north and south lie half-way; longitudes 0, 45, .. 315
    np.testing.assert_allclose(result[0], [2, 2.5, 3, 3.5, 4, 4.5, 5, 3.5])


def test_conservative_by_hand():
    values = np.arange(32, dtype=float).reshape(1, 4, 8)
    grid = SourceGrid(67.5, -67.5, 4, 22.5, 8)
    result = regrid(values, grid, Grid(2, 4))[0]
    # cells of 90 x 90 degrees, centred at 0 east, hold the half cells of columns 7 and 0
    top = np.sin(np.deg2rad([90, 45, 0]))
    rows = np.array([[top[0] - top[1], top[1] - top[2]]]) @ values[0, :2]
    np.testing.assert_allclose(result[0, 1], rows[0, 1:3].mean(), rtol=1e-6)
    np.testing.assert_allclose(result[0, 0], rows[0, [7, 0]].mean(), rtol=1e-6)


def test_the_same_grid_changes_nothing():
    values = np.random.default_rng(0).normal(size=(3, 32, 64)).astype(np.float32)
    np.testing.assert_array_equal(regrid(values, SourceGrid.of(TARGET), TARGET), values)


def test_a_grid_from_180_is_turned():
    values = np.random.default_rng(0).normal(size=(1, 61, 120))
    turned = np.roll(values, 60, axis=-1)
    np.testing.assert_allclose(
        regrid(turned, source(61, 120, 180.0), TARGET),
        regrid(values, source(61, 120), TARGET),
        atol=1e-5,
    )


def test_nan_spreads_only_to_the_cells_it_touches():
    values = np.ones((1, 49, 96))
    values[0, 24, 10] = np.nan
    result = regrid(values, source(49, 96), TARGET)
    assert 1 <= np.isnan(result).sum() <= 4


def test_shapes_and_extents_are_checked():
    with pytest.raises(ValueError, match="are not on a grid of"):
        regrid(np.zeros((1, 5, 5)), source(61, 120), TARGET)
    assert SourceGrid.spanning(90, -90, 721, 0.0, 359.75, 1440) == source(721, 1440)
    assert SourceGrid.spanning(90, -90, 7, 0.0, 0.0, 13).nlon == 12
    assert SourceGrid.spanning(87.188, -87.188, 32, 0.0, 354.375, 64).nlat == 32
    for args in (
        (60, -90, 31, 0.0, 357.0, 120),
        (90, -90, 61, 0.0, 177.0, 60),
        (90, 90, 1, 0.0, 357.0, 120),
    ):
        with pytest.raises(GribError, match=r"not global|cannot be regridded"):
            SourceGrid.spanning(*args)
