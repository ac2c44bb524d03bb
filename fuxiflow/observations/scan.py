"""What the geometry of a scan allows: zenith angles by scan position, and distances between neighbours."""

import numpy as np

EARTH_RADIUS = 6371.0  # km
_ALTITUDE = 830.0  # km: of the NOAA, JPSS, Metop, FY-3 and DMSP orbits, 805 to 870
_GROUND_SPEED = 9.0  # km s-1: of a sub-satellite point 6.7, with Earth's rotation and the swath's edges


def zenith_at(angle: np.ndarray) -> np.ndarray:
    """Satellite zenith angle at the footprint (degrees) of a view ``angle`` degrees off nadir, on a sphere."""
    return np.degrees(np.arcsin((EARTH_RADIUS + _ALTITUDE) / EARTH_RADIUS * np.sin(np.radians(angle))))


def distance(lat: np.ndarray, lon: np.ndarray, other_lat: np.ndarray, other_lon: np.ndarray) -> np.ndarray:
    """Great-circle distance in km of points given in degrees (haversine formula); NaN where one is missing."""
    phi, other = np.radians(lat), np.radians(other_lat)
    across = np.sin(np.radians(lon - other_lon) / 2) ** 2
    square = np.sin((phi - other) / 2) ** 2 + np.cos(phi) * np.cos(other) * across
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(square, 0, 1)))


def strays(lat: np.ndarray, lon: np.ndarray, time: np.ndarray, position: np.ndarray, across: np.ndarray,
           duration: float, slack: float) -> np.ndarray:
    """Which footprints of one instrument, each ``(n,)`` in order of observation, lie too far from their neighbours.

    Neighbours are the next footprint of a scan, which takes ``duration`` s, and the one at the same scan position in
    an adjacent scan. They are at most as far apart as their places ``across`` the track (km) and the time between them
    allow, and ``slack`` km; those without a position, 0, have no neighbours. What is too far from most neighbours is
    left out until no two neighbours are too far apart; where it cannot be told which one is wrong, both are.
    """
    seconds = (time - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "s")
    order = np.arange(len(lat))
    by_position = np.lexsort((seconds, position))
    found = ~(np.isfinite(lat) & np.isfinite(lon) & np.isfinite(seconds) & (position > 0))
    given = found.copy()
    while True:
        checked, failed = np.zeros(len(lat), int), np.zeros(len(lat), int)
        for line, wait, same in ((order, duration, False), (by_position, 3 * duration, True)):
            line = line[~found[line]]
            first, second = line[:-1], line[1:]
            delay = np.abs(seconds[second] - seconds[first])
            steps = np.abs(position[second].astype(int) - position[first])
            apart = distance(lat[first], lon[first], lat[second], lon[second])
            pairs = (delay <= wait) & ((steps == 0) if same else (steps > 0))
            limit = 1.3 * np.abs(across[second] - across[first]) + delay * _GROUND_SPEED + slack
            for index in (first, second):
                np.add.at(checked, index, pairs)
                np.add.at(failed, index, pairs & (apart > limit))
        if not failed.any():
            return found & ~given
        mostly = 2 * failed > checked
        found |= mostly if mostly.any() else failed > 0
