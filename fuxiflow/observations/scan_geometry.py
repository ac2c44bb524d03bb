"""What the geometry of a scan allows: zenith angles, places and times of footprints.

A flipped bit gives a valid number. What it cannot give is a place and a time that fit the scans around it, so each
footprint is compared with what its neighbours, the viewing angles and the satellite's speed let expect. Whole scans
``(scan, position)`` are judged by :func:`misplaced` and :func:`mistimed`; footprints one after the other, as messages
hold them, with gaps, by :func:`strays`.
"""

import warnings

import numpy as np

from fuxiflow.physics import EARTH_RADIUS, great_circle

SATELLITE_HEIGHT = 835.0  # km: NOAA 807-870, Metop 817, FY-3 836, DMSP 830-860 (WMO OSCAR)
_MEAN_SPEED = 6.6  # km/s of the point below a satellite at that height
_GREATEST_SPEED = 9.0  # km/s of a footprint: that, with the Earth's rotation and the swath's edges
_WIDTH_TOLERANCE = 0.15  # heights differ by up to 5 %, the earth's radius by 0.3 %
_WIDTH_SLACK = 30.0  # km
_ZENITH_TOLERANCE = (
    2.0  # degrees; the earth's flattening and the orbit's eccentricity change it by 0.4
)
_TRUSTED = 0.25
_LAG = 32  # scans
_POSITION_TOLERANCE = (
    5.0  # km, a tenth of a footprint of AMSU-A; the predictions are good to 0.2 km there
)


def zenith_at(angle: np.ndarray) -> np.ndarray:
    """Satellite zenith angle at the footprint (degrees) of a view ``angle`` degrees off nadir, on a sphere."""
    return np.degrees(
        np.arcsin((EARTH_RADIUS + SATELLITE_HEIGHT) / EARTH_RADIUS * np.sin(np.radians(angle)))
    )


def stray_footprints(
    lat: np.ndarray,
    lon: np.ndarray,
    time: np.ndarray,
    position: np.ndarray,
    across: np.ndarray,
    duration: float,
    slack: float,
) -> np.ndarray:
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
            apart = great_circle(lat[first], lon[first], lat[second], lon[second])
            pairs = (delay <= wait) & ((steps == 0) if same else (steps > 0))
            limit = 1.3 * np.abs(across[second] - across[first]) + delay * _GREATEST_SPEED + slack
            for index in (first, second):
                np.add.at(checked, index, pairs)
                np.add.at(failed, index, pairs & (apart > limit))
        if not failed.any():
            return found & ~given
        mostly = 2 * failed > checked
        found |= mostly if mostly.any() else failed > 0


def _vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Unit vectors ``(scan, position, 3)``, NaN where a coordinate is missing or out of range."""
    with np.errstate(invalid="ignore"):
        known = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
    phi, lam = (np.deg2rad(np.where(known, value, np.nan).astype(float)) for value in (lat, lon))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Great-circle distance in km of unit vectors ``(..., 3)``, by the chord, which is exact for small ones."""
    return 2.0 * EARTH_RADIUS * np.arcsin(np.clip(0.5 * np.linalg.norm(a - b, axis=-1), 0.0, 1.0))


def _shifted(values: np.ndarray, by: int, axis: int) -> np.ndarray:
    """``values`` of the neighbour ``by`` steps on along ``axis``, NaN beyond the ends."""
    moved = np.full_like(values, np.nan)
    size = values.shape[axis]
    if abs(by) < size:
        source = [slice(None)] * values.ndim
        target = [slice(None)] * values.ndim
        source[axis] = slice(max(by, 0), size + min(by, 0))
        target[axis] = slice(max(-by, 0), size - max(by, 0))
        moved[tuple(target)] = values[tuple(source)]
    return moved


# weights of neighbours by distance: between two, beyond two, and cubic across the scan, where the spacing changes
_ALONG = ({-1: 0.5, 1: 0.5}, {-1: 2.0, -2: -1.0}, {1: 2.0, 2: -1.0})
_ACROSS = (
    {-2: -1 / 6, -1: 4 / 6, 1: 4 / 6, 2: -1 / 6},
    {-1: 3.0, -2: -3.0, -3: 1.0},
    {1: 3.0, 2: -3.0, 3: 1.0},
)


def _off_track(vectors: np.ndarray) -> np.ndarray:
    """Distance in km of each footprint from the nearest of the places that its neighbours predict; NaN without any."""
    nearest = np.full(vectors.shape[:2], np.nan)
    for axis, rules in enumerate((_ALONG, _ACROSS)):
        for rule in rules:
            sum_ = sum(weight * _shifted(vectors, by, axis) for by, weight in rule.items())
            length = np.linalg.norm(sum_, axis=-1, keepdims=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                nearest = np.fmin(nearest, _distance(vectors, sum_ / length))
    return nearest


def _central_angle(zenith: np.ndarray) -> np.ndarray:
    """Angle (radians) at the earth's centre between a footprint seen at ``zenith`` (degrees) and the satellite."""
    angle = np.deg2rad(zenith)
    return angle - np.arcsin(np.sin(angle) * EARTH_RADIUS / (EARTH_RADIUS + SATELLITE_HEIGHT))


def _misfit(vectors: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Scans ``(scan,)`` whose first and last known footprints are not as far apart as their zenith angles
    ``(position,)`` imply. Scanners that do not look down between them are not judged."""
    scans, positions = vectors.shape[:2]
    nadir = np.argmin(zenith) if np.isfinite(zenith).all() else 0
    if not 0 < nadir < positions - 1:
        return np.zeros(scans, bool)
    left = nadir + (
        zenith[nadir + 1] < zenith[nadir - 1]
    )  # of two positions about nadir, either may be the least
    across = (
        EARTH_RADIUS * _central_angle(zenith) * np.where(np.arange(positions) < left, -1.0, 1.0)
    )
    known, every = np.isfinite(vectors[..., 0]), np.arange(scans)
    first, last = known.argmax(axis=1), positions - 1 - known[:, ::-1].argmax(axis=1)
    expected = across[last] - across[first]
    width = _distance(vectors[every, first], vectors[every, last])
    with np.errstate(invalid="ignore"):
        return np.abs(width - expected) > _WIDTH_TOLERANCE * expected + _WIDTH_SLACK


def misplaced_footprints(lat: np.ndarray, lon: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Footprints ``(scan, position)`` whose place or zenith angle (degrees) does not fit the scans around them.

    Wrong are: both coordinates exactly zero (what producers write where navigation failed); more than 5 km and a
    twentieth of the spacing from all places that neighbours along and across the track predict; a zenith angle more
    than 2 degrees from the median of its position; scans whose width differs by more than 15 % and 30 km from what
    their zenith angles imply. Where more than a quarter of a scan or of a file is wrong, what else is in it is not
    believed either. Missing coordinates are not judged.
    """
    absent = (lat == 0) & (lon == 0)
    vectors = _vectors(np.where(absent, np.nan, lat), lon)
    known = np.isfinite(vectors[..., 0])
    wrong = np.zeros_like(absent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing, where all is missing
        spacing = np.nanmedian(_distance(vectors, _shifted(vectors, 1, 0)))
        tolerance = _POSITION_TOLERANCE + 0.05 * np.nan_to_num(spacing)
        with np.errstate(invalid="ignore"):
            wrong |= _off_track(vectors) > tolerance
            wrong |= np.abs(zenith - np.nanmedian(zenith, axis=0)) > _ZENITH_TOLERANCE
            wrong |= _misfit(
                np.where(wrong[..., None], np.nan, vectors), np.nanmedian(zenith, axis=0)
            )[:, None]
    for axis in (1, None):
        wrong |= (wrong & known).sum(axis, keepdims=True) > _TRUSTED * known.sum(
            axis, keepdims=True
        )
    return wrong | absent


def mistimed_scans(time: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Scans ``(scan,)`` whose time does not fit how far the satellite went since and until the scans around them.

    ``time`` (scan,) datetime64, NaT where missing; coordinates ``(scan, position)``. A scan is wrong if no neighbour
    within two scans agrees to a third and 4 s; scans without any such neighbour are not judged. All are wrong if over
    :data:`_LAG` scans the satellite is on the median more than a fifth faster or slower than it can be.
    """
    seconds = np.where(
        np.isnat(time), np.nan, (time - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "s")
    )
    middle = _vectors(lat, lon)[:, lat.shape[1] // 2]
    agreed = np.zeros(len(time), bool)
    judged = np.zeros(len(time), bool)
    for by in (-2, -1, 1, 2):
        expected = np.sign(by) * _distance(middle, _shifted(middle, by, 0)) / _MEAN_SPEED
        elapsed = _shifted(seconds, by, 0) - seconds
        with np.errstate(invalid="ignore"):
            agreed |= np.abs(elapsed - expected) <= 4.0 + np.abs(expected) / 3.0
        judged |= np.isfinite(elapsed) & np.isfinite(expected)
    lag = min(_LAG, len(time) - 1)
    if lag:
        way, elapsed = (
            _distance(middle, _shifted(middle, lag, 0)),
            _shifted(seconds, lag, 0) - seconds,
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            speeds = (way / elapsed)[(elapsed > 20.0) & (elapsed < 600.0) & np.isfinite(way)]
        if speeds.size and not 0.8 < np.median(speeds) / _MEAN_SPEED < 1.2:
            return np.ones(len(time), bool)
    return judged & ~agreed
