"""Sizes of what is fitted by wavenumber."""

import pytest

from fuxiflow.config.linear_fits import FilterFit, VariationalFit

SIZE = {"waves": 24, "vertical_modes": 10, "rows": 60, "rank": 50}


def test_a_matrix_has_the_modes_of_all_rows_that_the_grid_has():
    assert FilterFit(**SIZE).size(720) == 600
    assert FilterFit(**SIZE).size(32) == 320


def test_a_filter_has_two_factors_and_errors_have_one():
    # 25 wavenumbers, 320 rows, 50 directions of 8 bytes
    assert VariationalFit(**SIZE).megabytes(32, 64) == pytest.approx(3.2)
    assert FilterFit(**SIZE).megabytes(32, 64) == pytest.approx(6.4)


def test_a_coarse_grid_has_fewer_waves_and_directions():
    # 5 wavenumbers, 4 rows of 10 modes, as many directions
    assert VariationalFit(**SIZE).megabytes(4, 8) == pytest.approx(8 * 5 * 40 * 40 / 1e6)


def test_shapes_are_those_of_the_layers():
    assert VariationalFit(**SIZE).shape == SIZE
    assert FilterFit(**SIZE).shape == {**SIZE, "keep_small_scales": False}
