"""Cells about a place: across the date line, over the poles, on coarse grids."""

import numpy as np
import pytest

from fuxiflow.cyclones.surroundings import Surroundings
from fuxiflow.grids import Grid
from fuxiflow.physics import EARTH_RADIUS, great_circle
from tests.support.vortices import PRESSURE, QUARTER, add_vortex, calm


@pytest.mark.parametrize("poles", [False, True])
@pytest.mark.parametrize("place", [(10.0, 0.1), (-70.3, 359.9), (88.0, 120.0), (-90.0, 0.0)])
def test_all_cells_within_the_distance_are_there_once_or_twice_and_no_others(poles, place):
    grid = Grid(91, 180, poles) if poles else Grid(90, 180)
    near = Surroundings.of(grid, *place, 700.0)
    distance = great_circle(*place, grid.lat[:, None], grid.lon[None, :])
    rows, columns = np.nonzero(near.within(700.0))
    cells = {
        (int(near.rows[i + 1]), int(near.columns[j + 1]) % grid.nlon)
        for i, j in zip(rows, columns, strict=True)
    }
    assert cells == set(map(tuple, np.argwhere(distance <= 700.0).tolist()))


def test_a_field_goes_on_behind_the_pole_and_a_wind_turns_round_there():
    grid = Grid(6, 8)
    field = np.arange(48.0).reshape(6, 8)
    near = Surroundings.of(grid, 80.0, 90.0, 1000.0)
    row = list(near.rows).index(-1)
    opposite = field[0, (near.columns + 4) % 8]
    np.testing.assert_array_equal(near.cut(field)[row], opposite)
    np.testing.assert_array_equal(near.cut(field, component=True)[row], -opposite)


def test_vorticity_of_a_solid_rotation():
    # u = a w cos(lat): vorticity 2 w sin(lat)
    u = np.repeat(50.0 * np.cos(np.radians(QUARTER.lat))[:, None], QUARTER.nlon, axis=1)
    near = Surroundings.of(QUARTER, -40.0, 0.0, 300.0)
    expected = 2 * 50.0 / (1e3 * EARTH_RADIUS) * np.sin(np.radians(near.lat[1:-1]))
    vorticity = near.vorticity(u, np.zeros_like(u))
    np.testing.assert_allclose(vorticity, np.repeat(expected[:, None], vorticity.shape[1], 1), 1e-4)


def test_vorticity_across_the_pole_is_that_of_a_uniform_rotation():
    grid = Grid(90, 180)
    u = np.repeat(50.0 * np.cos(np.radians(grid.lat))[:, None], grid.nlon, axis=1)
    near = Surroundings.of(grid, 89.0, 0.0, 300.0)
    expected = 2 * 50.0 / (1e3 * EARTH_RADIUS) * np.sin(np.radians(near.lat[1:-1]))
    vorticity = near.vorticity(u, np.zeros_like(u))
    np.testing.assert_allclose(vorticity, np.repeat(expected[:, None], vorticity.shape[1], 1), 1e-3)


@pytest.mark.parametrize("place", [(15.06, 0.03), (-27.31, 179.97), (60.4, 240.2)])
def test_the_minimum_of_a_vortex_lies_between_cells(place):
    fields = add_vortex(calm(), *place)
    near = Surroundings.of(QUARTER, place[0] + 1, place[1] - 1, 445.0)
    [(value, i, j)] = [m for m in near.minima(fields["MSL"], 445.0) if m[0] < PRESSURE - 100]
    lat, lon, pressure = near.between_cells(fields["MSL"], i, j)
    assert great_circle(lat, lon, *place) < 0.5  # of the 28 km between rows
    assert pressure == pytest.approx(PRESSURE - 5000.0, abs=20.0)
    assert pressure < value + 1.0


def test_without_a_minimum_of_the_parabola_the_cell_itself_is_given():
    grid = Grid(90, 180)
    field = np.zeros(grid.shape)
    near = Surroundings.of(grid, 11.0, 40.0, 445.0)
    i, j = (size // 2 for size in near.distance.shape)
    assert near.between_cells(field, i, j) == (near.lat[i], near.lon[j], 0.0)


def test_on_a_grid_coarser_than_the_radius_there_is_the_nearest_cell():
    near = Surroundings.of(Grid(16, 32), 3.0, 8.0, 100.0)
    assert near.within(100.0).sum() == 1
    assert near.mean(np.full((16, 32), 7.0), 100.0) == pytest.approx(7.0)
