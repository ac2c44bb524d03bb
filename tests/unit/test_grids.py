"""Grids: coordinates, areas against integrals done by hand, cells, regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.grids import REGIONS, Grid

SIZES = st.tuples(st.integers(2, 60), st.integers(1, 120), st.booleans())


def test_coordinates_of_the_papers_grids():
    grid = Grid(720, 1440)
    assert grid.lat[0] == pytest.approx(89.875)
    assert grid.lat[-1] == pytest.approx(-89.875)
    assert grid.lon[-1] == pytest.approx(359.75)
    assert Grid(721, 1440, poles=True).lat[[0, 360, -1]] == pytest.approx([90.0, 0.0, -90.0])


@given(SIZES)
def test_invariants(size):
    grid = Grid(*size)
    assert grid.lat.shape + grid.lon.shape == grid.shape
    assert (np.diff(grid.lat) < 0).all()
    assert grid.area_weights.mean() == pytest.approx(1.0)
    assert grid.area_weights == pytest.approx(grid.area_weights[::-1])
    assert grid.lat_bounds[[0, -1]] == pytest.approx([90, -90])


def test_areas_are_the_integral_of_cosine():
    # rows 90..30, 30..-30, -30..-90: sin differences 0.5, 1, 0.5, of mean 2/3
    assert Grid(3, 4).area_weights == pytest.approx([0.75, 1.5, 0.75])


def test_mean_of_sine_squared_over_the_sphere():
    grid = Grid(360, 4)
    values = np.sin(np.deg2rad(grid.lat)) ** 2
    assert (values * grid.area_weights).mean() == pytest.approx(1 / 3, abs=1e-4)


@given(SIZES)
def test_every_centre_is_in_its_own_cell(size):
    grid = Grid(*size)
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    assert (grid.cell(lat, lon).ravel() == np.arange(grid.nlat * grid.nlon)).all()
    assert (grid.cell(lat, lon - 360.0).ravel() == np.arange(grid.nlat * grid.nlon)).all()


def test_cells_wrap_and_reach_the_poles():
    grid = Grid(4, 8)
    assert grid.cell([90, -90, 0.1], [0, 359.0, 350.0]).tolist() == [0, 24, 8]


def test_invalid_positions_have_no_cell():
    grid = Grid(4, 8)
    assert grid.cell([np.nan, 91.0, 0.0, 0.0], [0.0, 0.0, np.inf, 500.0]).tolist() == [
        -1,
        -1,
        -1,
        -1,
    ]


def test_extratropics_and_tropics_make_up_the_globe():
    grid = Grid(36, 72)
    parts = [
        grid.region(name) for name in ("northern_extratropics", "tropics", "southern_extratropics")
    ]
    assert (np.sum(parts, axis=0) == 1).all()
    assert grid.region("global").all()


def test_a_region_may_wrap(monkeypatch):
    monkeypatch.setitem(REGIONS, "pacific", (-90.0, 90.0, 350.0, 10.0))
    assert Grid(2, 36).region("pacific")[0].nonzero()[0].tolist() == [0, 1, 35]


def test_an_unknown_region_lists_the_known():
    with pytest.raises(KeyError, match="unknown region 'mars'; known: global"):
        Grid(2, 2).region("mars")
