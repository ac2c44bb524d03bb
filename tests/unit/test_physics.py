"""Moist thermodynamics and pressure reduction."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow import physics


def test_saturation_at_the_triple_point_and_below_freezing():
    assert physics.saturation_vapour_pressure(273.16) == pytest.approx(6.1121)
    # ice alone at and below 250.16 K: 6.1121 exp(22.587 (T - 273.16) / (T + 0.7))
    assert physics.saturation_vapour_pressure(250.16) == pytest.approx(
        6.1121 * np.exp(22.587 * -23.0 / 250.86)
    )
    # half way the water part weighs a quarter
    t = 261.66
    water = 6.1121 * np.exp(17.502 * (t - 273.16) / (t - 32.19))
    ice = 6.1121 * np.exp(22.587 * (t - 273.16) / (t + 0.7))
    assert physics.saturation_vapour_pressure(t) == pytest.approx(0.25 * water + 0.75 * ice)


@given(st.floats(1.0, 110.0), st.floats(200.0, 310.0), st.floats(300.0, 1050.0))
def test_humidity_round_trip(relative, temperature, pressure):
    specific = physics.specific_humidity(relative, temperature, pressure)
    assert physics.relative_humidity(specific, temperature, pressure) == pytest.approx(
        relative, rel=1e-9
    )


def test_humidity_of_thin_warm_air_is_held_below_half_the_pressure():
    q = physics.specific_humidity(100.0, 300.0, 20.0)
    assert physics.vapour_pressure(q, 20.0) == pytest.approx(10.0)


def test_tensors_and_arrays_agree():
    rng = np.random.default_rng(0)
    t, p, r = rng.uniform(220, 310, 20), rng.uniform(200, 1000, 20), rng.uniform(0, 100, 20)
    z, msl = rng.uniform(-500, 30000, 20), rng.uniform(9.7e4, 1.04e5, 20)
    as_tensor = [torch.from_numpy(x) for x in (r, t, p, msl, z)]
    expected = physics.specific_humidity(r, t, p)
    np.testing.assert_allclose(
        physics.specific_humidity(*as_tensor[:3]).numpy(), expected, rtol=1e-12
    )
    pressures = physics.surface_pressure(as_tensor[3], as_tensor[1], as_tensor[4])
    np.testing.assert_allclose(pressures.numpy(), physics.surface_pressure(msl, t, z), rtol=1e-12)


def test_surface_pressure_of_a_standard_atmosphere():
    # ICAO: 898.76 hPa and 281.65 K at 1000 m
    ground = physics.surface_pressure(
        np.array([101325.0]), np.array([281.65]), np.array([1000 * physics.GRAVITY])
    )
    assert ground[0] == pytest.approx(89876.0, abs=20.0)
    assert physics.surface_pressure(101325.0, 288.0, 0.0) == 101325.0


def test_altimeter_settings_of_the_standard_atmosphere():
    """Pressures of ICAO Doc 7488 at 0, 1000, 3000 and 5000 m."""
    heights = np.array([0.0, 1000.0, 3000.0, 5000.0])
    pressure = physics.pressure_of_altimeter_setting(101_325.0, heights)
    np.testing.assert_allclose(pressure, [101_325, 89_874.6, 70_108.5, 54_019.9], rtol=2e-5)
    assert physics.pressure_of_altimeter_setting(102_000.0, 0.0) == pytest.approx(102_000.0)
    assert physics.pressure_of_altimeter_setting(101_325.0, 50_000.0) == 0.0


@pytest.mark.parametrize(
    ("temperature", "geopotential"), [(220.0, 30000.0), (280.0, 5000.0), (300.0, 9000.0)]
)
def test_surface_pressure_inverts_the_worlds_reduction(temperature, geopotential):
    levels = pytest.importorskip("fuxiflow.world.levels")
    ps, t, z = np.array([8.0e4]), np.array([temperature]), np.array([geopotential])
    msl = levels.sea_level_pressure(ps, t, z)
    np.testing.assert_allclose(physics.surface_pressure(msl, t, z), ps, rtol=1e-9)


def test_great_circles_across_the_date_line_and_the_pole():
    assert physics.great_circle(0.0, 179.0, 0.0, -179.0) == pytest.approx(2 * 111.195, rel=1e-4)
    assert physics.great_circle(90.0, 10.0, 89.0, 100.0) == pytest.approx(111.195, rel=1e-4)
    assert np.isnan(physics.great_circle(np.nan, 0.0, 0.0, 0.0))


def test_brightness_temperature_inverts_plancks_law():
    temperature, wavenumber = 250.0, 64500.0
    radiance = (
        physics.PLANCK_1 * wavenumber**3 / np.expm1(physics.PLANCK_2 * wavenumber / temperature)
    )
    assert physics.brightness_temperature(radiance, wavenumber) == pytest.approx(temperature)
    assert np.isnan(physics.brightness_temperature(np.array([0.0, -1.0, np.nan]), wavenumber)).all()
