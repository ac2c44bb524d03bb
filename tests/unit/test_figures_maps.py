"""Map geometry: cell edges, block averages, tables as fields."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.figures import maps, style
from fuxiflow.grids import Grid


@given(st.integers(2, 40), st.integers(1, 24).map(lambda n: 2 * n), st.booleans())
@settings(max_examples=40)
def test_mesh_covers_the_globe_once_and_keeps_every_value_in_its_place(nlat, nlon, poles):
    grid = Grid(nlat, nlon, poles=poles)
    field = np.arange(nlat * nlon, dtype=float).reshape(grid.shape)
    lon_edges, lat_edges, values = maps.cell_mesh(grid.lat, grid.lon, field)
    assert values.shape == (lat_edges.size - 1, lon_edges.size - 1)
    assert (lon_edges[0], lon_edges[-1], lat_edges[0], lat_edges[-1]) == (-180, 180, 90, -90)
    assert np.all(np.diff(lon_edges) > 0)
    assert np.all(np.diff(lat_edges) < 0)
    assert -np.diff(lat_edges).min() <= max(maps.COARSEST, 180 / nlat) * 1.01
    for row, column in ((0, 0), (nlat - 1, nlon - 1), (nlat // 2, nlon // 2)):
        lon = (grid.lon[column] + 180) % 360 - 180
        x = np.searchsorted(lon_edges, lon + 1e-6) - 1
        lat = np.clip(grid.lat[row], -90 + 1e-6, 90 - 1e-6)
        y = np.searchsorted(-lat_edges, -lat - 1e-9) - 1
        assert values[y, x] == field[row, column]


def test_mesh_takes_latitudes_from_south_to_north():
    _, lat_edges, values = maps.cell_mesh(
        np.array([-45.0, 45.0]), np.array([0.0, 180.0]), np.array([[1.0, 1.0], [2.0, 2.0]])
    )
    assert lat_edges[0] == -90
    assert values[0, 0] == 1.0


def test_coarsen_averages_square_blocks():
    grid = Grid(4, 8)
    field = np.arange(32.0).reshape(4, 8)
    small, lat, lon = maps.coarsen(field, grid.lat, grid.lon, columns=4)
    assert small.shape == (2, 4)
    assert small[0, 0] == np.mean([0, 1, 8, 9])
    np.testing.assert_allclose(lat, [45, -45])
    np.testing.assert_allclose(lon[:2], [22.5, 112.5])
    assert small.mean() == field.mean()


def test_coarsen_leaves_small_and_indivisible_grids_alone():
    grid = Grid(7, 12)
    field = np.ones(grid.shape)
    assert maps.coarsen(field, grid.lat, grid.lon, columns=12)[0] is not None
    assert maps.coarsen(field, grid.lat, grid.lon, columns=5)[0].shape == (7, 12)


def test_to_grid_turns_a_long_table_into_a_field():
    grid = Grid(4, 8)
    field = np.random.default_rng(0).normal(size=grid.shape)
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    table = pd.DataFrame({"lat": lat.ravel(), "lon": lon.ravel(), "x": field.ravel()}).sample(
        frac=1, random_state=1
    )
    lat_again, lon_again, again = maps.field_of_rows(table, "x")
    np.testing.assert_allclose(lat_again, grid.lat)
    np.testing.assert_allclose(lon_again, grid.lon)
    np.testing.assert_array_equal(again, field)


def test_a_map_needs_no_download(monkeypatch, tmp_path):
    import urllib.request

    def refuse(*_, **__):
        pytest.fail("a map tried to fetch something")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    figure = style.new_figure(4, 2)
    ax = maps.add_map(figure, 1, 1, 1, title="here")
    grid = Grid(8, 16)
    maps.shade_cells(ax, grid.lat, grid.lon, np.full(grid.shape, np.nan))
    figure.savefig(tmp_path / "map.png")
    assert len(ax.collections) == 3  # coast, graticule, cells
