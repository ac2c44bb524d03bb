import numpy as np
import pytest

from fuxiflow.grids import Grid
from fuxiflow.interpolation import bilinear, corners, grid_position, linear_matrix

POINTS = np.array([90.0, 41.3, 0.0, -17.9, -90.0]), np.array([0.0, 359.9, -180.0, 45.0, 180.0])


@pytest.mark.parametrize(("wrap", "last"), [(False, [0, 0, 0, 1]), (True, [0.5, 0, 0, 0.5])])
def test_rows_of_a_matrix_sum_to_one_and_a_ring_closes(wrap, last):
    matrix = linear_matrix(np.array([0.0, 1.25, 3.5 if wrap else 3.0]), 4, wrap).toarray()
    np.testing.assert_allclose(matrix, [[1, 0, 0, 0], [0, 0.75, 0.25, 0], last])


def test_a_target_on_a_source_up_to_rounding_takes_that_source_alone():
    matrix = linear_matrix(np.array([2.0 - 1e-12]), 4, wrap=False)
    assert matrix.nnz == 1
    assert matrix[0, 2] == 1.0


@pytest.mark.parametrize("grid", [Grid(19, 36, poles=True), Grid(18, 36)])
def test_a_cell_is_located_at_itself(grid):
    lat, lon = np.repeat(grid.lat, grid.nlon), np.tile(grid.lon, grid.nlat)
    north, west, down, across = grid_position(grid, lat, lon)
    np.testing.assert_allclose(north + down, np.repeat(np.arange(grid.nlat), grid.nlon), atol=1e-9)
    np.testing.assert_allclose(
        (west + across) % grid.nlon, np.tile(np.arange(grid.nlon), grid.nlat), atol=1e-9
    )


def test_points_beyond_the_outermost_rows_of_cell_centres_take_those():
    grid = Grid(6, 8)
    north, _, down, _ = grid_position(grid, np.array([89.0, -89.0]), np.zeros(2))
    np.testing.assert_array_equal(north + down, [0, 5])


@pytest.mark.parametrize("grid", [Grid(19, 36, poles=True), Grid(18, 36)])
def test_weights_of_the_corners_sum_to_one_and_give_the_bilinear_value(grid):
    field = np.random.default_rng(1).normal(size=grid.shape)
    cells, rows, columns = map(np.stack, zip(*corners(grid, *POINTS), strict=True))
    np.testing.assert_allclose((rows * columns).sum(axis=0), 1.0)
    np.testing.assert_allclose(
        (rows * columns * field.ravel()[cells]).sum(axis=0), bilinear(field, grid, *POINTS)
    )


def test_a_linear_field_is_interpolated_exactly_across_the_date_line_and_at_the_poles():
    grid = Grid(19, 36, poles=True)
    wave = np.cos(np.deg2rad(grid.lon))[None] * np.ones((19, 1))
    values = bilinear(wave, grid, np.array([5.0, 90.0, -90.0]), np.array([355.0, 360.0, -5.0]))
    edge = 0.5 * (1.0 + np.cos(np.deg2rad(10.0)))
    np.testing.assert_allclose(values, [edge, 1.0, edge])
