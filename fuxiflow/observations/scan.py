"""What the geometry of a scan allows: zenith angles by scan position, and distances between neighbours."""

import numpy as np

EARTH_RADIUS = 6371.0  # km
_ALTITUDE = 830.0  # km: of the NOAA, JPSS, Metop, FY-3 and DMSP orbits, 805 to 870
_GROUND_SPEED = 9.0  # km s-1: of a sub-satellite point 6.7, with Earth's rotation and the swath's edges
_SLACK = 20.0  # km


def zenith_at(angle: np.ndarray) -> np.ndarray:
    """Satellite zenith angle at the footprint (degrees) of a view ``angle`` degrees off nadir, on a sphere."""
    return np.degrees(np.arcsin((EARTH_RADIUS + _ALTITUDE) / EARTH_RADIUS * np.sin(np.radians(angle))))


def distance(lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray) -> np.ndarray:
    """Great-circle distance in km of points given in degrees (haversine formula); NaN where one is missing."""
    phi, other = np.radians(lat), np.radians(other_lat)
    across = np.sin(np.radians(lon - other_lon) / 2) ** 2
    square = np.sin((phi - other) / 2) ** 2 + np.cos(phi) * np.cos(other) * across
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(square, 0, 1)))


def strays(lat: np.ndarray, lon: np.ndarray, time: np.ndarray, position: np.ndarray, spacing: float,
           duration: float) -> np.ndarray:
    """Which footprints of one instrument, each ``(n,)`` in order of observation, lie too far from their neighbours.

    Neighbours are the next footprint within a scan of ``duration`` s, at most ``spacing`` km for each scan position
    that they differ, and the one at the same position in an adjacent scan. A footprint is a stray when it is too far
    from most of its neighbours; one without neighbours is none.
    """
    seconds = (time - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "s")
    checked, failed = np.zeros(len(lat), int), np.zeros(len(lat), int)
    by_position = np.lexsort((seconds, position))
    for order, wait, same in ((np.arange(len(lat)), duration, False), (by_position, 3 * duration, True)):
        first, second = order[:-1], order[1:]
        delay = np.abs(seconds[second] - seconds[first])
        steps = np.abs(position[second] - position[first])
        with np.errstate(invalid="ignore"):
            apart = distance(lat[first], lon[first], lat[second], lon[second])
            pairs = np.isfinite(apart) & (delay <= wait) & ((steps == 0) if same else (steps > 0))
            far = pairs & (apart > steps * spacing + delay * _GROUND_SPEED + _SLACK)
        for index in (first, second):
            np.add.at(checked, index, pairs)
            np.add.at(failed, index, far)
    return (checked > 0) & (2 * failed > checked)
