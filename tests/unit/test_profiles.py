"""Profiles: refractivity at heights, soundings at levels, refractivity from bending angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow import physics
from fuxiflow.observations.profiles import (
    refractivity_at,
    refractivity_of_bending_angles,
    sounding_at,
)


def test_refractivity_of_an_exponential_atmosphere_is_exact():
    height = np.random.default_rng(0).permutation(np.arange(500.0, 40_500, 1_000))
    found = refractivity_at(
        np.array([499.0, 500, 777, 12_345, 39_500, 39_501]), height, 320 * np.exp(-height / 7_000)
    )
    exact = 320 * np.exp(-np.array([500, 777, 12_345, 39_500]) / 7_000)
    np.testing.assert_allclose(found[1:5], exact, rtol=1e-12)
    assert np.isnan(found[[0, 5]]).all()


def test_gaps_and_absurd_levels():
    height = np.array([0.0, 1_000, 4_000, 5_000, 5_500, 6_000])
    refractivity = np.array([300.0, 270, 180, 160, 1e30, 140])
    found = refractivity_at(np.array([500.0, 2_000, 4_000, 4_500, 5_500]), height, refractivity)
    assert np.isnan(found).tolist() == [False, True, False, False, False]
    assert found[4] == pytest.approx(np.sqrt(160 * 140))
    assert np.isnan(refractivity_at(np.array([1.0]), np.empty(0), np.empty(0))).all()


@given(st.lists(st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True)), max_size=30))
def test_any_levels_give_refractivity_or_nothing(levels):
    height, refractivity = np.array(levels, float).reshape(-1, 2).T
    found = refractivity_at(np.linspace(0, 50_000, 50), height, refractivity)
    assert ((found > 0) & (found <= 500.001) | np.isnan(found)).all()


@given(st.lists(st.tuples(st.floats(1, 1_100), st.floats(150, 330)), min_size=1, max_size=20))
def test_values_lie_between_those_about_them(levels):
    pressure, temperature = np.array(levels).T
    found = sounding_at(np.array([100.0, 500, 850]), pressure, {"T": temperature})["T"]
    known = found[np.isfinite(found)]
    assert ((known >= temperature.min() - 1e-9) & (known <= temperature.max() + 1e-9)).all()


def test_geopotential_without_temperature_is_linear_in_log_pressure():
    found = sounding_at(
        np.array([600.0]), np.array([700.0, 500.0]), {"Z": np.array([29_000.0, 54_000.0])}
    )["Z"]
    assert found[0] == pytest.approx(29_000 + 25_000 * np.log(700 / 600) / np.log(700 / 500))


def exponential(radius=6_370_000.0, surface=320.0, scale=7_400.0):
    """Return impact parameters, bending angles and radius of an exponential atmosphere.

    The forward Abel transform is integrated numerically.
    """
    impact = radius + np.arange(4_000.0, 60_000, 200)
    t = np.linspace(0, np.sqrt(8e5), 40_001)[1:]  # x = a + t**2 removes the pole
    angles = []
    for a in impact:
        x = a + t**2
        height = x - radius  # x = n r; n - 1 <= 3e-4, so three steps of iteration are plenty
        for _ in range(3):
            height = x / (1 + 1e-6 * surface * np.exp(-height / scale)) - radius
        n = 1 + 1e-6 * surface * np.exp(-height / scale)
        slope = np.gradient(np.log(n), x)
        angles.append(-2 * a * np.trapezoid(slope * 2 * t / np.sqrt(x**2 - a**2), t))
    return impact, np.array(angles), radius


def test_bending_angles_give_the_refractivity_they_came_from():
    impact, bending, radius = exponential()
    height, refractivity = refractivity_of_bending_angles(impact, bending, radius)
    exact = 320 * np.exp(-height / 7_400)
    assert height.max() < 45_000
    assert np.abs(refractivity / exact - 1)[height < 35_000].max() < 3e-3
    assert np.abs(refractivity / exact - 1).max() < 1e-2


@pytest.mark.parametrize(
    ("impact", "bending", "radius"),
    [
        (np.empty(0), np.empty(0), 6.37e6),
        (6.37e6 + np.arange(50) * 1e3, np.full(50, 0.01), 6.37e6),
        (6.37e6 + np.arange(50) * 1e3, 0.02 * np.exp(-np.arange(50) / 7.0), 1.0),
        (np.full(50, np.nan), np.full(50, 0.01), 6.37e6),
    ],
)
def test_what_cannot_be_inverted_gives_nothing(impact, bending, radius):
    height, refractivity = refractivity_of_bending_angles(impact, bending, radius)
    assert len(height) == len(refractivity) == 0


def test_saturation_over_water_agrees_with_murphy_and_koop_and_with_the_guide_of_wmo():
    t = np.linspace(205, 320, 50)
    logarithm = (
        54.842763 - 6763.22 / t - 4.210 * np.log(t) + 0.000367 * t
    )  # Murphy & Koop (2005), equation 10, Pa
    logarithm += np.tanh(0.0415 * (t - 218.8)) * (
        53.878 - 1331.22 / t - 9.44523 * np.log(t) + 0.014025 * t
    )
    np.testing.assert_allclose(
        physics.saturation_over_water(t), np.exp(logarithm) / 100, rtol=0.015
    )
    celsius = t[t > 273.15] - 273.15
    guide = 6.112 * np.exp(17.62 * celsius / (243.12 + celsius))
    np.testing.assert_allclose(physics.saturation_over_water(celsius + 273.15), guide, rtol=2e-3)


def test_reported_humidity_becomes_that_of_era5():
    assert physics.relative_humidity_of_dew_point(280.0, 280.0) == pytest.approx(100)
    assert physics.relative_humidity_of_reported(50.0, 290.0) == pytest.approx(50)
    assert (
        physics.relative_humidity_of_reported(100.0, 250.0) > 110
    )  # saturated over water, in frost
