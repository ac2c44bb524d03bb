"""Equivalents at points: bilinear at known places, lapse rate and hypsometric equation by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.config import sources
from fuxiflow.grids import REGIONS, Grid
from fuxiflow.operators.columns import SOUNDED
from fuxiflow.operators.radio_occultation import REFRACTED
from fuxiflow.physics import GRAVITY
from fuxiflow.verification import point_equivalents
from fuxiflow.verification.point_equivalents import ObservedPoints, PointOperator

GRID = Grid(4, 8)  # rows at 67.5, 22.5, -22.5 and -67.5, columns every 45 degrees
FIELD = np.arange(32, dtype=np.float32).reshape(1, 4, 8)


def at(lat, lon):
    return point_equivalents.interpolate_columns(
        FIELD, GRID, np.array([float(lat)]), np.array([float(lon)])
    ).item()


@pytest.mark.parametrize(
    ("lat", "lon", "value"),
    [
        (22.5, 90, 10),  # the centre of a cell
        (22.5, 112.5, 10.5),  # the edge between two columns
        (0, 90, 14),  # the edge between two rows: 10 and 18
        (0, 112.5, 14.5),  # the corner of four: 10, 11, 18 and 19
        (22.5, 337.5, 11.5),  # between the last column and the first: 15 and 8
        (22.5, -22.5, 11.5),  # the same in the other convention
        (22.5, 180, 12),  # the date line
        (22.5, -180, 12),
        (90, 45, 1),  # a pole has the value of the outermost row
        (-90, 45, 25),
        (45, 45, 5),  # half-way between 1 and 9
    ],
)
def test_states_are_interpolated_bilinearly(lat, lon, value):
    assert at(lat, lon) == pytest.approx(value, abs=1e-5)


@given(st.floats(-90, 90), st.floats(-180, 360))
def test_a_constant_stays_one_and_no_value_is_beyond_the_neighbours(lat, lon):
    lat, lon = np.array([lat]), np.array([lon])
    constant = point_equivalents.interpolate_columns(np.full((2, 4, 8), 7.0), GRID, lat, lon)
    np.testing.assert_allclose(constant, 7.0, rtol=1e-6)
    assert 0 <= point_equivalents.interpolate_columns(FIELD, GRID, lat, lon).item() <= 31


def test_temperature_falls_by_the_standard_lapse_rate():
    rise = np.array([1000.0, 0.0, -200.0])
    np.testing.assert_allclose(
        point_equivalents.temperature_at_height(np.full(3, 288.15), rise), [281.65, 288.15, 289.45]
    )


def test_pressure_follows_the_hypsometric_equation():
    # the standard atmosphere (ICAO Doc 7488): 89874.57 Pa at 1000 m, 113929.2 Pa at -1000 m
    values = point_equivalents.pressure_at_height(
        np.full(3, 101325.0), np.full(3, 288.15), np.array([1000.0, 0.0, -1000.0])
    )
    np.testing.assert_allclose(values, [89874.57, 101325.0, 113929.2], rtol=2e-6)


@given(st.floats(-400, 4000), st.floats(220, 310))
def test_pressure_comes_back_from_another_height(rise, temperature):
    up = point_equivalents.pressure_at_height(9e4, temperature, rise)
    there = point_equivalents.temperature_at_height(temperature, rise)
    assert point_equivalents.pressure_at_height(up, there, -rise) == pytest.approx(9e4)


def statics(height, land=1.0):
    return SimpleNamespace(
        grid=GRID,
        surface_geopotential=np.full(GRID.shape, height * GRAVITY),
        land_fraction=np.full(GRID.shape, land),
    )


def points(height):
    return ObservedPoints(*(np.array([value]) for value in (22.5, 90.0, np.nan, height)))


NAMES = ["MSL", "T2M", "U10", "V10"]


def test_stations_are_compared_at_their_own_height():
    operator = PointOperator(sources.load_source("land_stations"), statics(300.0))
    columns = np.array([[101325.0, 280.0, 3.0, -4.0]], np.float32)
    model, above, unknown = (
        dict(
            zip(operator.channels, operator.equivalents(columns, NAMES, points(h))[0], strict=True)
        )
        for h in (300.0, 700.0, np.nan)
    )
    assert model["T2M"] == pytest.approx(280.0)
    assert above["T2M"] == pytest.approx(280.0 - 2.6, abs=1e-4)
    ratio = (1 - 2.6 / 280.0) ** (9.80665 / (287.05287 * 0.0065))
    assert above["PS"] / model["PS"] == pytest.approx(ratio, rel=1e-5)
    for name in ("U10", "V10", "MSL"):
        assert above[name] == pytest.approx(model[name])
    # a station without a height stands on the model's ground
    assert all(unknown[n] == pytest.approx(model[n], nan_ok=True) for n in operator.channels)
    # humidity at 2 m is in no state
    assert np.isnan(above["R2M"])


def test_channels_that_a_state_determines():
    land = PointOperator(sources.load_source("land_stations"), statics(0.0))
    determined = dict(zip(land.channels, land.determined(["MSL", "U10"]), strict=True))
    assert {name for name, known in determined.items() if known} == {"MSL", "U10"}
    assert land.determined(NAMES)[land.channels.index("PS")]
    sounder = PointOperator(sources.load_source("noaa20_atms"), statics(0.0))
    assert sounder.determined(SOUNDED).all()
    assert not sounder.determined(SOUNDED[1:]).any()
    nothing = sounder.equivalents(np.zeros((1, 4), np.float32), NAMES, points(np.nan))
    assert nothing.shape == (1, 22)
    assert np.isnan(nothing).all()


def test_occultations_are_relative_to_their_equivalents_at_some_heights():
    source = sources.load_source("gnssro")
    operator = PointOperator(source, statics(0.0))
    heights = [channel.height for channel in source.channels if channel.name in operator.channels]
    wanted = np.arange(2000, 40001, 2000)
    assert len(heights) == len(wanted)
    assert np.abs(np.array(heights) - wanted).max() < 50
    assert operator.departures(np.array([[102.0]]), np.array([[100.0]])) == pytest.approx(2.0)
    assert operator.determined(REFRACTED).all()
    reports = PointOperator(sources.load_source("radiosondes"), statics(0.0))
    assert reports.departures(np.array([[102.0]]), np.array([[100.0]])) == pytest.approx(2.0)


@pytest.mark.parametrize("name", REGIONS)
def test_regions_of_points_are_those_of_cells(name):
    grid = Grid(18, 36)
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    inside = point_equivalents.inside_region(name, lat.ravel(), lon.ravel() - 360)
    assert (inside == grid.region(name).ravel()).all()
