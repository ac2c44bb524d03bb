"""Residuals of the geostrophic and of the hydrostatic balance of a state.

Departures from balance are large in the real atmosphere too: friction, curvature, divergence and
thick layers are in them. So a residual means something beside that of a reference alone.
"""

from itertools import pairwise

import numpy as np

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.grids import Grid

ROTATION = 7.292115e-5
"""Angular velocity of the Earth, s-1 (IERS)."""
EXTRATROPICS = (20.0, 80.0)
"""Latitudes in degrees, of both hemispheres, between which winds are compared with geostrophy."""
LAYERS = tuple(pairwise(PRESSURE_LEVELS))
"""Upper and lower level of each layer in hPa, from the top."""


def in_extratropics(grid: Grid) -> np.ndarray:
    """Tell the rows ``(lat,)`` on which winds are compared with geostrophic ones."""
    south, north = EXTRATROPICS
    return (np.abs(grid.lat) >= south) & (np.abs(grid.lat) <= north)


def geostrophic_wind(geopotential: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the zonal and meridional wind that balance a geopotential, by centred differences.

    Parameters
    ----------
    geopotential : np.ndarray
        ``(lat, lon)`` in m2 s-2.
    grid : Grid
        Its grid.

    Returns
    -------
    tuple of np.ndarray
        u = -1 / (a f) dZ/dphi and v = 1 / (a f cos phi) dZ/dlambda in m s-1, ``(lat, lon)``.
    """
    latitude = np.deg2rad(grid.lat)
    radius = 1000 * physics.EARTH_RADIUS
    coriolis = (2 * ROTATION * np.sin(latitude))[:, None]
    field = np.asarray(geopotential, float)
    northward = np.gradient(field, latitude, axis=0) / radius
    step = 2 * 2 * np.pi / grid.nlon
    eastward = (np.roll(field, -1, axis=1) - np.roll(field, 1, axis=1)) / step
    eastward /= radius * np.cos(latitude)[:, None]
    return -northward / coriolis, eastward / coriolis


def ageostrophic_wind(
    geopotential: np.ndarray, zonal: np.ndarray, meridional: np.ndarray, grid: Grid
) -> np.ndarray:
    """Return the part of a wind that is not geostrophic, on the rows of the extratropics.

    Parameters
    ----------
    geopotential : np.ndarray
        ``(lat, lon)`` in m2 s-2.
    zonal, meridional : np.ndarray
        Wind on the same level, in m s-1.
    grid : Grid
        Their grid.

    Returns
    -------
    np.ndarray
        ``(component, row, lon)`` in m s-1.
    """
    balanced = geostrophic_wind(geopotential, grid)
    rows = in_extratropics(grid)
    pairs = zip((zonal, meridional), balanced, strict=True)
    return np.stack([wind[rows] - other[rows] for wind, other in pairs])


def hydrostatic_residual(
    geopotential: np.ndarray,
    temperature: np.ndarray,
    relative_humidity: np.ndarray,
    layer: tuple[int, int],
) -> np.ndarray:
    """Return how much warmer a layer is by its thickness than by its temperatures.

    The mean virtual temperature by the hypsometric equation, (Z_top - Z_bottom) / (R ln(p_bottom /
    p_top)), less the mean of those at top and bottom. A layer whose temperature is not linear in
    ln p has a residual of its own.

    Parameters
    ----------
    geopotential, temperature, relative_humidity : np.ndarray
        Top and bottom of the layer, ``(2, lat, lon)``, in m2 s-2, K and %.
    layer : tuple of int
        Pressures of top and bottom in hPa.

    Returns
    -------
    np.ndarray
        ``(lat, lon)`` in K.
    """
    pressure = np.array(layer, float)[:, None, None]
    temperature = np.asarray(temperature, float)
    humidity = physics.specific_humidity(
        np.asarray(relative_humidity, float), temperature, pressure
    )
    virtual = physics.virtual_temperature(temperature, humidity)
    thickness = np.subtract(*np.asarray(geopotential, float))
    by_thickness = thickness / (physics.GAS_CONSTANT_DRY * np.log(layer[1] / layer[0]))
    return by_thickness - virtual.mean(axis=0)
