"""Errors of analyses: the library's differences, its clock, and the bias near the ground."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.world.analysis_errors import AnalysisErrors, ErrorLibrary, write_library

GRID = Grid(5, 8, poles=True)
START = datetime(2021, 12, 20)
STEP = timedelta(hours=6)
CHANNELS = ["T500", "R850", "T2M"]


def series(days):
    """Times, fields that grow by one a step, and native fields that grow by 1e-4 a step."""
    times = [START + i * STEP for i in range(4 * days + 1)]
    fields = [np.full((3, *GRID.shape), float(i * i), np.float32) for i in range(len(times))]
    native = [
        {
            name: np.full((2, 4, 6), 1e-4 * i, np.float32)
            for name in (
                "u_component_of_wind",
                "v_component_of_wind",
                "temperature",
                "specific_humidity",
            )
        }
        | {"surface_pressure": np.full((4, 6), 1e-4 * i, np.float32)}
        for i in range(len(times))
    ]
    return times, fields, native


@pytest.fixture
def library(tmp_path):
    times, fields, native = series(9)
    write_library(tmp_path / "errors.zarr", times, GRID, CHANNELS, fields, native)
    return ErrorLibrary(tmp_path / "errors.zarr")


def test_patterns_are_24_h_differences(library):
    assert library.length == 32
    first = START + timedelta(hours=30)
    index = library.index("era5", first)
    pattern = library.fields("era5", first)
    assert list(pattern) == CHANNELS
    step = 5 + index
    np.testing.assert_allclose(pattern["T500"], step**2 - (step - 4) ** 2, rtol=1e-3)


def test_native_humidity_keeps_its_unit(library):
    native = library.native("gfs", START)
    np.testing.assert_allclose(native["specific_humidity"], 4e-4, rtol=1e-3)
    np.testing.assert_allclose(native["temperature"], 4e-4, rtol=1e-3)
    assert native["surface_pressure"].shape == (4, 6)


def test_clock_of_the_library(library):
    time = datetime(2023, 1, 11, 12)
    indices = [library.index("gfs", time + i * STEP) for i in range(2 * library.length)]
    assert [(b - a) % library.length for a, b in pairwise(indices)] == [1] * (len(indices) - 1)
    assert library.index("gfs", time) != library.index("era5", time)
    first = START + timedelta(hours=30)
    for product in ("era5", "gfs"):
        # a pattern is of the hour of the day that it is used at
        assert (library.index(product, time) * 6 + first.hour) % 24 == time.hour


def test_a_library_of_a_year_keeps_the_season(tmp_path):
    times = [START + i * STEP for i in range(4 * 366 + 1)]
    fields = [np.full((1, 5, 8), float(i), np.float32) for i in range(len(times))]
    native = series(1)[2][:1] * len(times)
    write_library(tmp_path / "year.zarr", times, GRID, CHANNELS[:1], fields, native)
    library = ErrorLibrary(tmp_path / "year.zarr")
    assert library.length == 4 * 365
    first = times[-1] - timedelta(days=365) + STEP
    for time in (datetime(2022, 12, 24, 6), datetime(2023, 7, 1, 18)):
        for product, shift in (("era5", -9), ("gfs", 9)):
            pattern = first + library.index(product, time) * STEP
            apart = (time + timedelta(days=shift) - pattern) % timedelta(days=365)
            assert apart == timedelta(0)


def test_unknown_product_lists_the_known(library):
    with pytest.raises(KeyError, match="era5, gfs"):
        library.index("jra55", START)


def test_too_short_a_spinup_is_refused(tmp_path):
    times, fields, native = series(1)
    with pytest.raises(ValueError, match="spinup_days is too short"):
        write_library(tmp_path / "errors.zarr", times[:4], GRID, CHANNELS, fields[:4], native[:4])


LAND, LON = np.array([[1.0, 0.0]]), np.array([0.0, 180.0])
BIASED = AnalysisErrors(0.0, 0.0, warm_bias=0.8, slow_bias=0.1)


def test_analysed_scales_and_clips():
    truth = {
        "T500": np.full((1, 2), 250.0),
        "R850": np.array([[5.0, 108.0]]),
        "TP": np.ones((1, 2)),
    }
    pattern = {"T500": np.full((1, 2), 2.0), "R850": np.array([[-100.0, 100.0]])}
    fields = AnalysisErrors(0.1, 0.1).analysed(truth, pattern, START, LAND, LON)
    np.testing.assert_allclose(fields["T500"], 250.2)
    np.testing.assert_allclose(fields["R850"], [[0.0, 110.0]])
    np.testing.assert_allclose(fields["TP"], 1.0)
    assert truth["R850"].tolist() == [[5.0, 108.0]]


def test_errors_grow_towards_the_ground():
    errors = AnalysisErrors(0.1, 0.5)
    scale = {
        name: errors.scale(channel_table()[name])
        for name in ("T50", "T500", "R850", "V925", "U1000", "T2M", "U10")
    }
    expected = {
        "T50": 0.1,
        "T500": 0.1,
        "R850": 0.38,
        "V925": 0.44,
        "U1000": 0.5,
        "T2M": 0.5,
        "U10": 0.5,
    }
    assert scale == pytest.approx(expected)
    # what holds the mass of the column together is as good at the ground as aloft
    assert {errors.scale(channel_table()[name]) for name in ("Z1000", "Z500", "MSL")} == {0.1}


def test_errors_of_channels_are_those_of_their_scale():
    truth = {name: np.zeros((1, 2)) for name in ("T2M", "T850", "Z1000")}
    fields = AnalysisErrors(0.1, 0.5).analysed(
        truth, {name: np.full((1, 2), 2.0) for name in truth}, START, LAND, LON
    )
    assert [float(field[0, 0]) for field in fields.values()] == pytest.approx([1.0, 0.76, 0.2])


def test_bias_by_hand():
    fields = {
        name: np.full((1, 2), 10.0, np.float32)
        for name in ("T2M", "T1000", "T850", "U10", "U925", "U850")
    }
    # 14 h local solar time at 0 E and at 120 E, 12 h later in the day, 2 h
    biased = BIASED.biased(fields, datetime(2022, 7, 1, 14), LAND, LON)
    np.testing.assert_allclose(biased["T2M"], [[10.0 + 0.8 * 1.5, 10.0 + 0.8 * 0.3]], rtol=1e-6)
    np.testing.assert_allclose(biased["T1000"], [[10.0 + 0.6 * 1.5, 10.0 + 0.6 * 0.3]], rtol=1e-6)
    np.testing.assert_allclose(biased["U10"], 9.0, rtol=1e-6)
    np.testing.assert_allclose(biased["U925"], 9.5, rtol=1e-6)
    for name in ("T850", "U850"):
        np.testing.assert_array_equal(biased[name], fields[name])
    night = BIASED.biased(fields, datetime(2022, 7, 1, 2), LAND, LON)
    np.testing.assert_allclose(night["T2M"][0, 0], 10.0 + 0.8 * 0.5, rtol=1e-6)


def test_bias_averages_over_the_day_to_its_mean():
    land, fields = np.ones((1, 1)), {"T2M": np.zeros((1, 1))}
    daily = [
        BIASED.biased(fields, datetime(2022, 1, 1, hour), land, np.array([33.0]))["T2M"]
        for hour in range(24)
    ]
    assert np.mean(daily) == pytest.approx(0.8, rel=1e-6)
