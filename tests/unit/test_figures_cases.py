"""Maps of a case, of the answer to one observation, and of mean errors."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from fuxiflow.figures import (
    error_maps,
    files,
    increment_case,
)
from fuxiflow.grids import Grid
from fuxiflow.states.store import StateSeries
from tests.support import figure_stores as data
from tests.support.figure_tables import GRID, case_table, texts


def test_increment_and_what_was_needed(figure_stores):
    table = case_table(figure_stores)
    assert len(table) == 4 * GRID.nlat * GRID.nlon
    analysis, background, truth = (
        StateSeries([figure_stores / f"{name}.zarr"], array).read(data.CASE)
        for name, array in (
            ("analyses", "analysis"),
            ("analyses", "background"),
            ("truth", "state"),
        )
    )
    index = StateSeries([figure_stores / "truth.zarr"]).channels.index("U500")
    rows = table[table["channel"] == "U500"]
    np.testing.assert_allclose(rows["increment"], (analysis - background)[index].ravel(), rtol=1e-5)
    np.testing.assert_allclose(rows["needed_truth"], (truth - background)[index].ravel(), rtol=1e-5)


def test_increment_draws_only_the_references_there_are(figure_stores):
    text = texts(increment_case.draw(case_table(figure_stores, ("era5",))))
    assert "ERA5 − background (r = 0." in text
    assert "truth" not in text
    alone = texts(increment_case.draw(case_table(figure_stores, ())))
    assert "T500: increment" in alone


def test_an_answer_goes_below_the_maps(figure_stores, tmp_path):
    maps_of = case_table(figure_stores)
    table = increment_case.with_response(maps_of, data.response())
    assert set(table["part"]) == {"increment", "response"}
    profile = table[(table["part"] == "response") & table["north"].isna()].set_index("level")
    assert profile.loc[400, "response"] == pytest.approx(2)  # of 1, 2 and 3 K
    assert profile.loc[400, "spread"] == pytest.approx((2 / 3) ** 0.5)
    assert profile.loc[400, "jacobian"] == pytest.approx(0.1 / (0.5 * np.log(500 / 300)))
    near = table[table["north"].notna()].set_index(["level", "north", "east"])["response"]
    assert near[400, 0, 1] == pytest.approx(0.5)
    assert near[400, 1, 0] == 0
    text = texts(increment_case.draw(table))
    for part in (
        "T500: increment",
        "+5 K in channel 7 of noaa20_atms in one observation",
        "mean of 3",
        "+0.80 K",
        "T400 about the observed cell",
        "(m) T in the observed cell",
        "cells to the east (22.5°)",
    ):
        assert part in text
    table.to_csv(tmp_path / "t.csv", index=False, float_format="%.7g")
    assert texts(increment_case.draw(files.read_figure_table(tmp_path / "t.csv"))) == text


def test_no_answer_of_networks_that_heed_nothing_is_drawn_flat(figure_stores):
    response = data.response()
    response = replace(
        response,
        response=0 * response.response,
        around=0 * response.around,
        followed=0 * response.followed,
    )
    assert "+0.00 K" in texts(
        increment_case.draw(increment_case.with_response(case_table(figure_stores, ()), response))
    )


def test_nothing_perturbed_leaves_the_maps_alone(figure_stores):
    table = case_table(figure_stores)
    assert increment_case.with_response(table, data.response(0)) is table


def test_increment_of_an_unknown_time_names_the_store(figure_stores):
    path = [figure_stores / "analyses.zarr"]
    with pytest.raises(KeyError, match=r"1999.*analyses\.zarr"):
        increment_case.table(
            StateSeries(path, "analysis"), StateSeries(path, "background"), {}, datetime(1999, 1, 1)
        )


def test_correlation_is_weighted_by_area():
    grid = Grid(2, 2)
    a = np.array([[1.0, -1.0], [1.0, -1.0]])
    assert increment_case.area_correlation(a, 3 * a + 5, grid) == pytest.approx(1.0)
    assert increment_case.area_correlation(a, -a, grid) == pytest.approx(-1.0)
    assert np.isnan(increment_case.area_correlation(a, np.ones((2, 2)), grid))
    grid = Grid(4, 2)  # rows weigh 1 - s, s, s, 1 - s with s = sin 45 degrees: 0.293, 0.707
    a = np.array([[1.0, -1.0]] * 4)
    b = a * np.array([[-1.0], [1.0], [1.0], [-1.0]])
    assert increment_case.area_correlation(a, b, grid) == pytest.approx(2 * np.sin(np.pi / 4) - 1)


def test_error_maps_hold_the_mean_error_of_the_reference(figure_stores):
    table = error_maps.table(figure_stores / "maps.zarr", "truth")
    assert len(table) == 2 * 2 * GRID.nlat * GRID.nlon
    assert set(table["n"]) == {5}
    assert set(table["unit"]) == {"m² s⁻²", "Pa"}
    text = texts(error_maps.draw(table))
    for part in ("Z500, day 1", "MSL, 54 h", "forecast − truth, of 5 forecasts", "MSL (Pa)"):
        assert part in text


def test_error_maps_refuse_an_unknown_reference(figure_stores):
    with pytest.raises(
        ValueError, match=r"maps\.zarr: no error maps against 'own', known: era5, truth"
    ):
        error_maps.table(figure_stores / "maps.zarr", "own")
