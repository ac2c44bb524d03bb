"""Balances of made-up states: winds that are geostrophic, layers that are hydrostatic."""

import numpy as np
import pytest

from fuxiflow import physics
from fuxiflow.grids import Grid
from fuxiflow.verification import balance

GRID = Grid(90, 180)
RADIUS = 1000 * physics.EARTH_RADIUS


def test_the_wind_about_a_zonal_flow_is_geostrophic():
    # solid rotation: u = U cos(phi), Z = -a Omega U sin(phi)^2
    latitude = np.deg2rad(GRID.lat)[:, None]
    speed = 20.0
    geopotential = -RADIUS * balance.ROTATION * speed * np.sin(latitude) ** 2
    geopotential = np.broadcast_to(geopotential, GRID.shape)
    zonal = np.broadcast_to(speed * np.cos(latitude), GRID.shape)
    residual = balance.ageostrophic_wind(geopotential, zonal, np.zeros(GRID.shape), GRID)
    assert residual.shape == (2, 60, 180)  # 20 to 80 degrees in both hemispheres, by 2 degrees
    assert np.abs(residual).max() < 0.05
    # what is added to the wind remains
    more = balance.ageostrophic_wind(geopotential, zonal + 3, np.full(GRID.shape, -2.0), GRID)
    np.testing.assert_allclose(more - residual, np.broadcast_to([[[3.0]], [[-2.0]]], more.shape))


def test_a_wave_along_a_parallel_has_a_meridional_wind():
    latitude, lon = np.deg2rad(GRID.lat)[:, None], np.deg2rad(GRID.lon)[None]
    geopotential = 1000 * np.sin(2 * lon) * np.ones_like(latitude)
    _, meridional = balance.geostrophic_wind(geopotential, GRID)
    coriolis = 2 * balance.ROTATION * np.sin(latitude)
    expected = 2000 * np.cos(2 * lon) / (RADIUS * np.cos(latitude) * coriolis)
    np.testing.assert_allclose(meridional, expected, rtol=3e-3, atol=1e-9)


def test_thickness_of_a_layer_of_one_temperature_fits_it():
    layer, shape = (500, 600), (4, 8)
    temperature = np.full((2, *shape), 260.0)
    thickness = physics.GAS_CONSTANT_DRY * 260 * np.log(6 / 5)
    geopotential = np.stack([np.full(shape, 4e4 + thickness), np.full(shape, 4e4)])
    dry = np.zeros((2, *shape))
    residual = balance.hydrostatic_residual(geopotential, temperature, dry, layer)
    np.testing.assert_allclose(residual, 0, atol=1e-9)
    # moist air is lighter: the same thickness is too cold for it
    moist = balance.hydrostatic_residual(geopotential, temperature, dry + 80, layer)
    assert (moist < -0.2).all()
    # a thickness of 1 K more
    geopotential[0] *= (4e4 + thickness * 261 / 260) / (4e4 + thickness)
    warmer = balance.hydrostatic_residual(geopotential, temperature, dry, layer)
    np.testing.assert_allclose(warmer, 1.0, rtol=1e-6)


def test_layers_are_those_between_neighbouring_levels():
    assert len(balance.LAYERS) == 12
    assert balance.LAYERS[0] == (50, 100)
    assert balance.LAYERS[-1] == (925, 1000)
    assert balance.in_extratropics(Grid(4, 8)).tolist() == [True, True, True, True]
    assert balance.in_extratropics(Grid(18, 36)).sum() == pytest.approx(12)
