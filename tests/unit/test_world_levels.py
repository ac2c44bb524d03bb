"""From sigma to pressure levels: analytic columns, hydrostatic balance, the ground, regridding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.physics import GAS_CONSTANT_DRY, GRAVITY, LAPSE_RATE, specific_humidity
from fuxiflow.world.levels import (
    HUMIDITY_FLOOR,
    RELATIVE_HUMIDITY_CAP,
    Regridder,
    sea_level_pressure,
    to_pressure,
    world_fields,
)

SIGMA = np.array([0.025, 0.095, 0.2, 0.34, 0.51, 0.685, 0.835, 0.95])
LEVELS = [50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]
LAT = np.array([75.0, 45.0, 15.0, -15.0, -45.0, -75.0])
LON = np.arange(0.0, 360.0, 45.0)


def isothermal(temperature=250.0, surface_pressure=95000.0, surface_geopotential=0.0):
    """A frame of a dry isothermal atmosphere in balance, and its surface geopotential."""
    shape = (len(LAT), len(LON))
    ps = np.full(shape, surface_pressure, np.float32)
    ground = np.full(shape, surface_geopotential, np.float32)
    column = np.ones((len(SIGMA), *shape), np.float32)
    height = -GAS_CONSTANT_DRY * temperature * np.log(SIGMA)[:, None, None]
    frame = {
        "u_component_of_wind": 10.0 * column,
        "v_component_of_wind": -5.0 * column,
        "temperature": temperature * column,
        "specific_humidity": 0.0 * column,
        "geopotential": (height + ground).astype(np.float32),
        "surface_pressure": ps,
        "2m_temperature": ps * 0 + 250.0,
        "10m_u_component_of_wind": ps * 0 + 3.0,
        "10m_v_component_of_wind": ps * 0 + 4.0,
        "skin_temperature": ps * 0 + 251.0,
        "total_precipitation_6hr": ps * 0 + 0.5,
    }
    return frame, ground


def test_isothermal_column_by_hand():
    frame, ground = isothermal()
    fields = to_pressure(frame, SIGMA, ground, [100, 500, 850])
    expected = GAS_CONSTANT_DRY * 250.0 * np.log(950.0 / np.array([100, 500, 850]))
    np.testing.assert_allclose(fields["geopotential"][:, 0, 0], expected, rtol=2e-4)
    # between the lowest level and the ground the column warms at the standard lapse rate
    np.testing.assert_allclose(fields["temperature"][:2], 250.0, atol=1e-3)
    np.testing.assert_allclose(fields["u_component_of_wind"], 10.0)
    np.testing.assert_allclose(fields["v_component_of_wind"], -5.0)


def test_temperature_is_linear_in_log_pressure_between_levels():
    frame, ground = isothermal(surface_pressure=1.0e5)
    frame["temperature"] = frame["temperature"] + np.arange(8, dtype=np.float32)[:, None, None]
    level = 1000.0 * np.sqrt(SIGMA[3] * SIGMA[4])
    fields = to_pressure(frame, SIGMA, ground, [level])
    np.testing.assert_allclose(fields["temperature"][0], 253.5, atol=1e-3)


def test_levels_above_the_top_are_isothermal():
    frame, ground = isothermal(surface_pressure=1.0e5)
    fields = to_pressure(frame, SIGMA, ground, [10, 50])
    np.testing.assert_allclose(fields["temperature"][0], 250.0)
    thickness = fields["geopotential"][0] - fields["geopotential"][1]
    np.testing.assert_allclose(thickness, GAS_CONSTANT_DRY * 250.0 * np.log(5.0), rtol=1e-3)


def test_humidity_is_held_between_floor_and_cap():
    frame, ground = isothermal(temperature=200.0)
    frame["specific_humidity"] = frame["specific_humidity"] + np.float32(0.01)
    wet = to_pressure(frame, SIGMA, ground, LEVELS)
    assert wet["relative_humidity"].max() <= RELATIVE_HUMIDITY_CAP + 1e-3
    limit = specific_humidity(RELATIVE_HUMIDITY_CAP, 200.0, 500.0)
    np.testing.assert_allclose(wet["specific_humidity"][LEVELS.index(500)], limit, rtol=1e-2)
    frame, ground = isothermal(temperature=280.0)
    dry = to_pressure(frame, SIGMA, ground, [50, 500])
    np.testing.assert_allclose(dry["specific_humidity"], HUMIDITY_FLOOR, rtol=1e-5)


def test_sea_level_pressure_at_sea_level_is_surface_pressure():
    assert sea_level_pressure(np.array(101325.0), np.array(288.0), np.array(0.0)) == pytest.approx(
        101325.0
    )


def test_sea_level_pressure_of_the_standard_atmosphere():
    # ICAO: 898.76 hPa and 281.65 K at 1000 m
    msl = sea_level_pressure(np.array(89876.0), np.array(281.65), np.array(1000.0 * GRAVITY))
    assert msl == pytest.approx(101325.0, rel=2e-4)


@given(st.floats(200.0, 320.0), st.floats(-500.0, 5500.0))
def test_sea_level_pressure_stays_plausible(ground, height):
    """The surface pressure of a standard column is brought back near its pressure at the sea."""
    scale = np.exp(
        -height
        * GRAVITY
        / (GAS_CONSTANT_DRY * np.clip(ground + LAPSE_RATE * height / 2, 245.0, 290.0))
    )
    msl = sea_level_pressure(
        np.array(101325.0 * scale), np.array(ground), np.array(height * GRAVITY)
    )
    assert 87000.0 < msl < 113000.0


def test_below_ground_meets_the_ground_without_a_step():
    frame, ground = isothermal(surface_pressure=70000.0, surface_geopotential=3000.0 * GRAVITY)
    fields = to_pressure(frame, SIGMA, ground, [699, 701])
    step = GAS_CONSTANT_DRY * 250.0 * np.log(701.0 / 699.0)
    np.testing.assert_allclose(
        fields["geopotential"][0] - fields["geopotential"][1], step, rtol=0.05
    )


def test_below_ground_temperature_rises_with_the_lapse_rate():
    frame, ground = isothermal(surface_pressure=70000.0, surface_geopotential=3000.0 * GRAVITY)
    fields = to_pressure(frame, SIGMA, ground, [850, 1000])
    assert (fields["temperature"][1] > fields["temperature"][0]).all()
    assert (fields["temperature"][0] > 250.0).all()


def test_regridding_keeps_constants_and_is_bounded():
    regrid = Regridder(LAT, LON, Grid(13, 24, poles=True))
    np.testing.assert_allclose(regrid(np.full((2, len(LAT), len(LON)), 7.0)), 7.0, rtol=1e-6)
    noise = np.random.default_rng(0).normal(size=(len(LAT), len(LON)))
    out = regrid(noise)
    assert out.min() >= noise.min() - 1e-6
    assert out.max() <= noise.max() + 1e-6
    assert np.ptp(out[0]) < 1e-6


def test_regridding_is_exact_where_grids_meet():
    field = np.random.default_rng(1).normal(size=(len(LAT), len(LON)))
    out = Regridder(LAT, LON, Grid(13, 8, poles=True))(field)
    np.testing.assert_allclose(out[1], field[0], rtol=1e-5)
    np.testing.assert_allclose(out[3], field[1], rtol=1e-5)


def test_regridding_wraps_around():
    field = np.zeros((len(LAT), len(LON)))
    field[:, -1] = 1.0
    out = Regridder(LAT, LON, Grid(13, 16, poles=True))(field)
    np.testing.assert_allclose(out[6, [13, 14, 15, 0]], [0.5, 1.0, 0.5, 0.0], atol=1e-6)


def test_vectors_turn_around_the_pole():
    """One vector at the north pole: u = -sin(lon), v = -cos(lon) on every ring around it."""
    angle = np.deg2rad(LON)
    ring = np.ones((len(LAT), 1))
    regrid = Regridder(LAT, LON, Grid(13, 8, poles=True))
    u, v = regrid(np.stack([ring * -np.sin(angle), ring * -np.cos(angle)]), vector=True)
    np.testing.assert_allclose(u[0], -np.sin(angle), atol=1e-6)
    np.testing.assert_allclose(v[0], -np.cos(angle), atol=1e-6)
    uniform = regrid(np.ones((len(LAT), len(LON))), vector=True)
    np.testing.assert_allclose(uniform[0], 0.0, atol=1e-6)


def test_world_fields_are_complete_and_in_range():
    frame, ground = isothermal(temperature=260.0, surface_pressure=1.0e5)
    fields = world_fields(frame, SIGMA, ground, Regridder(LAT, LON, Grid(13, 24, poles=True)))
    for channel in channel_table():
        assert fields[channel.name].shape == (13, 24)
        assert fields[channel.name].min() >= channel.valid_min
        assert fields[channel.name].max() <= channel.valid_max
    assert fields["specific_humidity"].shape == (13, 13, 24)
    np.testing.assert_allclose(fields["surface_pressure"], 1.0e5, rtol=1e-5)
    np.testing.assert_allclose(fields["MSL"], 1.0e5, rtol=1e-5)
    np.testing.assert_allclose(fields["TP"], 0.5, rtol=1e-5)
