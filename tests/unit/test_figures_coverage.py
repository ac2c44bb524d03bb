"""The figure of coverage: what was observed where, and how much of the globe."""

import numpy as np
import pandas as pd

from fuxiflow.figures import (
    coverage,
)
from fuxiflow.observations.sparse_grids import SparseGrids
from tests.support import figure_stores as data
from tests.support.figure_tables import GRID, texts


def test_coverage_has_a_row_for_each_filled_cell_and_hour(figure_stores):
    grids = SparseGrids([figure_stores / "noaa20_atms.zarr"])
    table = coverage.table({"noaa20_atms": grids}, {"noaa20_atms": (-3, 5)}, data.CASE)
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
            "hour": 0.0,
            "lat": lat.ravel(),
            "lon": lon.ravel(),
        }
    )
    assert "filled: 50 % of the globe" in texts(coverage.draw(table))


def test_coverage_of_an_empty_window_says_so(figure_stores):
    grids = SparseGrids([figure_stores / "empty.zarr"])
    table = coverage.table({"noaa20_atms": grids}, {"noaa20_atms": (-3, 5)}, data.CASE)
    assert len(table) == 1
    assert table["hour"].isna().all()
    text = texts(coverage.draw(table))
    assert "no observation in this window" in text
    assert "filled: 0 %" in text
