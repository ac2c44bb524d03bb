"""Displacements on the sphere: east and north of a place, along and across a direction."""

import numpy as np

from fuxiflow.physics import EARTH_RADIUS


def _unit(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return unit vectors ``(..., 3)`` of places in degrees."""
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _east_and_north(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors ``(..., 3)`` to the east and north of places in degrees."""
    phi, lam = np.radians(lat), np.radians(lon)
    zero = np.zeros(np.broadcast(phi, lam).shape)
    east = np.stack([-np.sin(lam) + zero, np.cos(lam) + zero, zero], axis=-1)
    north = np.stack(
        [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi) + zero], axis=-1
    )
    return east, north


def displacement(
    lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far east and north other places lie, along the great circle to each.

    Parameters
    ----------
    lat, lon : np.ndarray
        The first places, in degrees.
    other_lat, other_lon : np.ndarray
        The other places, in degrees; shapes broadcast.

    Returns
    -------
    tuple of np.ndarray
        Eastward and northward components in km of the displacement at the first places. Its length
        is the great-circle distance (azimuthal equidistant projection).
    """
    other = _unit(other_lat, other_lon)
    east, north = _east_and_north(lat, lon)
    x, y = (other * east).sum(axis=-1), (other * north).sum(axis=-1)
    across = np.hypot(x, y)
    angle = np.arctan2(across, (other * _unit(lat, lon)).sum(axis=-1))
    scale = EARTH_RADIUS * angle / np.where(across > 0, across, 1.0)
    return x * scale, y * scale


def displaced(
    lat: np.ndarray, lon: np.ndarray, east: np.ndarray, north: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places that lie so far east and north: the inverse of :func:`displacement`.

    Parameters
    ----------
    lat, lon : np.ndarray
        The first places, in degrees.
    east, north : np.ndarray
        Components of the displacement in km.

    Returns
    -------
    tuple of np.ndarray
        Latitude and longitude in degrees, longitude in [0, 360).
    """
    distance = np.hypot(east, north)
    angle = distance / EARTH_RADIUS
    length = np.where(distance > 0, distance, 1.0)
    to_east, to_north = _east_and_north(lat, lon)
    direction = to_east * (east / length)[..., None] + to_north * (north / length)[..., None]
    place = _unit(lat, lon) * np.cos(angle)[..., None] + direction * np.sin(angle)[..., None]
    x, y, z = np.moveaxis(place, -1, 0)
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x)) % 360.0


def along_and_across(
    east: np.ndarray, north: np.ndarray, toward_east: np.ndarray, toward_north: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Split displacements into parts along a direction and to the right of it.

    Parameters
    ----------
    east, north : np.ndarray
        Components of the displacements.
    toward_east, toward_north : np.ndarray
        Components of the direction, of any length.

    Returns
    -------
    tuple of np.ndarray
        The part along the direction and the part to the right; NaN where there is no direction.
    """
    length = np.hypot(toward_east, toward_north)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = toward_east / length, toward_north / length
    return east * x + north * y, east * y - north * x
