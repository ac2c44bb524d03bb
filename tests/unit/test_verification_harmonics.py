"""Spherical harmonics: known fields, area means of squares, and derivatives of winds."""

import numpy as np
import pytest
from scipy.special import sph_harm_y

from fuxiflow.grids import Grid
from fuxiflow.verification import harmonics
from fuxiflow.verification.harmonics import SphericalHarmonics, power_by_degree

GRID = Grid(12, 24)
THETA, LON = np.meshgrid(np.deg2rad(90 - GRID.lat), np.deg2rad(GRID.lon), indexing="ij")
MODES = [(0, 0), (1, 0), (1, 1), (4, 3), (7, 2), (11, 0), (11, 1), (11, 10), (11, 11)]


def harmonic(degree, order):
    """The real part of a harmonic whose mean square over the sphere is 1."""
    whole = np.sqrt(4 * np.pi) * sph_harm_y(degree, order, THETA, LON).real
    return whole if order == 0 else np.sqrt(2) * whole


@pytest.mark.parametrize(("degree", "order"), MODES)
def test_a_harmonic_has_its_power_at_its_degree_alone(degree, order):
    power = power_by_degree(SphericalHarmonics(GRID).scalars(3.0 * harmonic(degree, order)))
    expected = np.zeros(12)
    expected[degree] = 9.0
    np.testing.assert_allclose(power, expected, atol=1e-10)


@pytest.mark.parametrize(("degree", "order"), MODES[1:])
@pytest.mark.parametrize("part", ["rotational", "divergent"])
def test_a_wind_of_a_stream_function_or_a_potential_is_of_one_part(degree, order, part):
    step = 1e-5
    whole = [
        np.sqrt(8 * np.pi if order else 4 * np.pi) * sph_harm_y(degree, order, theta, LON).real
        for theta in (THETA - step, THETA + step)
    ]
    northward = (whole[0] - whole[1]) / (2 * step)
    wave = np.sqrt(8 * np.pi if order else 4 * np.pi) * sph_harm_y(degree, order, THETA, LON)
    eastward = -order * wave.imag / np.sin(THETA)
    wind = (-northward, eastward) if part == "rotational" else (eastward, northward)
    parts = dict(
        zip(("rotational", "divergent"), SphericalHarmonics(GRID).winds(*wind), strict=True)
    )
    # the mean square of a gradient is l (l + 1) of that of the function
    expected = np.zeros(12)
    expected[degree] = degree * (degree + 1)
    np.testing.assert_allclose(power_by_degree(parts.pop(part)), expected, rtol=1e-6, atol=1e-6)
    assert np.abs(*parts.values()).max() < 1e-6


def test_power_is_the_area_mean_of_the_square_where_degrees_suffice(monkeypatch):
    rng = np.random.default_rng(1)
    field = sum(rng.normal() * harmonic(degree, order) for degree, order in MODES)
    fine = Grid(200, 400)
    theta = np.deg2rad(90 - fine.lat)
    weights = np.sin(theta) / np.sin(theta).sum()
    rng = np.random.default_rng(1)
    lon, colatitude = np.meshgrid(np.deg2rad(fine.lon), theta)
    dense = sum(
        rng.normal()
        * np.sqrt(8 * np.pi if order else 4 * np.pi)
        * sph_harm_y(degree, order, colatitude, lon).real
        for degree, order in MODES
    )
    mean_square = (weights[:, None] * dense**2).sum() / fine.nlon
    power = power_by_degree(SphericalHarmonics(GRID).scalars(field))
    assert power.sum() == pytest.approx(mean_square, rel=1e-3)
    # large grids keep no functions of latitude
    monkeypatch.setattr(harmonics, "KEPT_BYTES", 0)
    again = power_by_degree(SphericalHarmonics(GRID).scalars(field))
    np.testing.assert_array_equal(again, power)


def test_fields_come_in_stacks_and_few_longitudes_give_few_orders():
    grid = Grid(12, 10)
    fields = np.random.default_rng(2).normal(size=(2, 3, *grid.shape))
    transform = SphericalHarmonics(grid)
    coefficients = transform.scalars(fields)
    assert coefficients.shape == (2, 3, 12, 12)
    np.testing.assert_allclose(coefficients[1, 2], transform.scalars(fields[1, 2]), atol=1e-12)
    assert transform.orders == 5
    assert not coefficients[..., 5:].any()


def test_rows_on_the_poles_are_refused():
    with pytest.raises(ValueError, match="cell centres"):
        SphericalHarmonics(Grid(13, 24, poles=True))
