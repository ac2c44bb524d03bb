"""The figure of coverage: what was observed where, and how much of the globe."""

import numpy as np
import pandas as pd
import pytest
import torch

from fuxiflow.figures import (
    coverage,
)
from fuxiflow.observations.dense_grids import infill
from fuxiflow.observations.sparse_grids import SparseGrids
from tests.support import figure_stores as data
from tests.support.figure_tables import GRID, texts


def test_coverage_has_a_row_for_each_filled_cell_and_hour(figure_stores):
    grids = SparseGrids([figure_stores / "noaa20_atms.zarr"])
    table = coverage.table({"noaa20_atms": grids}, {"noaa20_atms": (-3, 5)}, data.CASE, 2.0)
    window = grids.window(data.CASE, -3, 5)
    assert len(table) == len(window)
    assert (table["hour"].min(), table["hour"].max()) == (-3, 4)
    cells = GRID.cell(table["lat"].to_numpy(), table["lon"].to_numpy())
    np.testing.assert_array_equal(np.sort(cells), np.sort(window.cell))


def test_coverage_counts_hours_and_keeps_the_last():
    rows = pd.DataFrame(
        {"hour": [-3.0, 2.0, 1.0], "lat": [78.75, 78.75, -11.25], "lon": [0.0, 0.0, 22.5]}
    )
    last, count = coverage._fields(rows, GRID)
    assert (last[0, 0], count[0, 0]) == (2.0, 2)
    assert (last[4, 1], count[4, 1]) == (1.0, 1)
    assert np.isnan(last).sum() == GRID.nlat * GRID.nlon - 2
    assert count.sum() == 3


def test_coverage_says_how_much_of_the_globe_is_filled():
    lat, lon = np.meshgrid(GRID.lat[:4], GRID.lon, indexing="ij")
    table = pd.DataFrame(
        {
            "source": "noaa20_atms",
            "analysis_time": pd.Timestamp(data.CASE),
            "window_start": -3,
            "window_end": 5,
            "nlat": 8,
            "nlon": 16,
            "infill_radius": 1.5,
            "hour": 0.0,
            "lat": lat.ravel(),
            "lon": lon.ravel(),
        }
    )
    text = texts(coverage.draw(table))
    assert "filled: 50 % of the globe" in text
    # the row south of them has a neighbour; a row by the equator is 0.383 / 2 of the globe
    assert "infilled: 69 %" in text


@pytest.mark.parametrize("radius", [0.5, 1.5, 4.0])
def test_the_infilled_mask_is_that_of_infill(radius):
    cells = np.random.default_rng(1).choice(GRID.nlat * GRID.nlon, (2, 3), replace=False)
    cells[0, 0] = 3 * GRID.nlon  # beside the last column
    rows = pd.DataFrame(
        {
            "hour": np.repeat([-1.0, 2.0], 3),
            "lat": GRID.lat[cells.ravel() // GRID.nlon],
            "lon": GRID.lon[cells.ravel() % GRID.nlon],
        }
    )
    measured = np.zeros((2, 1, GRID.nlat * GRID.nlon), bool)
    for hour, filled in enumerate(cells):
        measured[hour, 0, filled] = True
    mask = torch.from_numpy(measured.reshape(2, 1, *GRID.shape))
    expected = infill(mask.float(), mask, radius=radius).mask.sum(dim=(0, 1)).numpy()
    np.testing.assert_array_equal(coverage.infilled_hours(rows, GRID, radius), expected)


def test_coverage_of_an_empty_window_says_so(figure_stores):
    grids = SparseGrids([figure_stores / "empty.zarr"])
    table = coverage.table({"noaa20_atms": grids}, {"noaa20_atms": (-3, 5)}, data.CASE, 2.0)
    assert len(table) == 1
    assert table["hour"].isna().all()
    text = texts(coverage.draw(table))
    assert "no observation in this window" in text
    assert "filled: 0 %" in text
