"""Zenith angles, and footprints and scans that do not fit the geometry of a scan.

A flipped bit gives a valid number. It does not give a place and a time that fit the scans around
it, so each footprint is compared with the places that its neighbours, the viewing angles and the
satellite's speed let expect. Whole scans ``(scan, position)`` are judged by
:func:`misplaced_footprints` and :func:`mistimed_scans`; footprints one after the other, as messages
hold them, with gaps, by :func:`stray_footprints`.
"""

import warnings

import numpy as np

from fuxiflow.physics import EARTH_RADIUS, great_circle

SATELLITE_HEIGHT = 835.0  # km: NOAA 807-870, Metop 817, FY-3 836, DMSP 830-860 (WMO OSCAR)
_MEAN_SPEED = 6.6  # km/s of the point below a satellite at that height
_GREATEST_SPEED = 9.0  # km/s of a footprint: that, with the Earth's rotation and the swath's edges
_WIDTH_TOLERANCE = 0.15  # heights differ by up to 5 %, the earth's radius by 0.3 %
_WIDTH_SLACK = 30.0  # km
# degrees; the earth's flattening and the orbit's eccentricity change it by 0.4
_ZENITH_TOLERANCE = 2.0
_TRUSTED = 0.25  # largest share of wrong footprints with which the others are believed
_LAG = 32  # scans
# km, a tenth of a footprint of AMSU-A; the predictions are good to 0.2 km there
_POSITION_TOLERANCE = 5.0
# km, of chords in float32, whose coordinates are good to 3e-7 of the earth's radius; and an arc of
# less than 3000 km is at most 1.01 times its chord
_CHORD_ERROR = 10.0
_ARC = 1.01
MANY = 20_000
"""Footprints from which on loops are worth the half second that numba takes to load."""


def zenith_at(angle: np.ndarray) -> np.ndarray:
    """Return the satellite's zenith angle at the footprint of a view, on a spherical earth.

    ``angle`` is that off nadir; both are in degrees, of any shape.
    """
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
    """Find footprints of one instrument that lie too far from their neighbours.

    Neighbours are the next footprint of a scan, and the one at the same scan position in an
    adjacent scan. They are at most as far apart as their places across the track and the time
    between them allow. What is too far from most neighbours is left out until no two neighbours are
    too far apart; where it cannot be told which one is wrong, both are.

    Parameters
    ----------
    lat, lon : np.ndarray
        Coordinates ``(n,)`` in degrees, in the order of observation; NaN where missing.
    time : np.ndarray
        Times ``(n,)``, datetime64.
    position : np.ndarray
        Scan positions ``(n,)`` from 1; those without one, 0, have no neighbours.
    across : np.ndarray
        Places ``(n,)`` across the track, in km.
    duration : float
        Seconds that a scan takes.
    slack : float
        Distance in km that is allowed on top.

    Returns
    -------
    np.ndarray
        Booleans ``(n,)``. Footprints without coordinates, time or position are not judged.
    """
    seconds = (time - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "s")
    if len(lat) >= MANY and _surely_together(lat, lon, seconds, position, across, duration, slack):
        return np.zeros(len(lat), bool)
    order = np.arange(len(lat))
    in_order = (np.diff(seconds) >= 0).all()
    by_position = (
        np.argsort(position, kind="stable") if in_order else np.lexsort((seconds, position))
    )
    left_out = ~(np.isfinite(lat) & np.isfinite(lon) & np.isfinite(seconds) & (position > 0))
    not_judged = left_out.copy()
    points = lat, lon, _points_on_sphere(lat, lon)
    while True:
        links = []
        for line, wait, same in ((order, duration, False), (by_position, 3 * duration, True)):
            line = line[~left_out[line]] if left_out.any() else line
            # a slice copies nothing
            rows = slice(None) if line is order else line
            delay = np.abs(np.diff(seconds[rows]))
            steps = np.diff(position[rows])
            pairs = (delay <= wait) & ((steps == 0) if same else (steps != 0))
            aside = 0.0 if same else 1.3 * np.abs(np.diff(across[rows]))
            limit = aside + delay * _GREATEST_SPEED + slack
            links.append((line, pairs, pairs & _farther(points, rows, limit)))
        if not any(too_far.any() for *_, too_far in links):
            return left_out & ~not_judged
        checked = np.zeros(len(lat), int)
        failed = np.zeros(len(lat), int)
        for line, pairs, too_far in links:
            # a footprint stands once in each of the two
            for index in (line[:-1], line[1:]):
                checked[index] += pairs
                failed[index] += too_far
        # one round takes out the worst alone: their neighbours fail on their account
        mostly = 2 * failed > checked
        left_out |= mostly if mostly.any() else failed > 0


def _surely_together(
    lat: np.ndarray,
    lon: np.ndarray,
    seconds: np.ndarray,
    position: np.ndarray,
    across: np.ndarray,
    duration: float,
    slack: float,
) -> bool:
    """Tell if no two neighbours are too far apart; false also where that is not told soon.

    Parameters
    ----------
    lat, lon, position, across, duration, slack
        See :func:`stray_footprints`.
    seconds : np.ndarray
        Times ``(n,)``, NaN where missing.

    Returns
    -------
    bool
        True where nothing is stray.
    """
    # numba takes half a second to load, which a reader of single messages need not wait for
    from fuxiflow.observations import scan_kernels

    pairs, limits, in_order = scan_kernels.doubtful_neighbours(
        *map(np.ascontiguousarray, (lat, lon, seconds, position, across)),
        float(duration),
        float(slack),
        _GREATEST_SPEED,
    )
    first, second = pairs.T
    apart = great_circle(lat[first], lon[first], lat[second], lon[second])
    return in_order and not (apart > limits).any()


def _points_on_sphere(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the three coordinates ``(n,)`` of points on the sphere in km, float32."""
    phi, theta = (np.radians(angle.astype(np.float32)) for angle in (lat, lon))
    across = np.float32(EARTH_RADIUS) * np.cos(phi)
    return across * np.cos(theta), across * np.sin(theta), np.float32(EARTH_RADIUS) * np.sin(phi)


def _farther(
    points: tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]],
    rows: np.ndarray | slice,
    limit: np.ndarray,
) -> np.ndarray:
    """Tell which footprints that follow each other are farther apart than a limit.

    Great circles, which take long, are computed where the chord does not tell.

    Parameters
    ----------
    points : tuple
        Latitudes and longitudes ``(n,)`` in degrees, and :func:`_points_on_sphere`.
    rows : np.ndarray or slice
        The footprints, ``m`` of them, one after the other.
    limit : np.ndarray
        Distances in km, ``(m - 1,)``.

    Returns
    -------
    np.ndarray
        Booleans ``(m - 1,)``.
    """
    lat, lon, coordinates = points
    x, y, z = (np.diff(coordinate[rows]) for coordinate in coordinates)
    near = (limit < 3000.0) & (np.sqrt(x * x + y * y + z * z) * _ARC + _CHORD_ERROR < limit)
    farther = ~near
    (first,) = np.nonzero(farther)
    if len(first):
        lat, lon, second = lat[rows], lon[rows], first + 1
        apart = great_circle(lat[first], lon[first], lat[second], lon[second])
        farther[first] = apart > limit[first]
    return farther


def _vectors(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Return unit vectors ``(scan, position, 3)``, NaN where a coordinate is missing or absurd."""
    with np.errstate(invalid="ignore"):
        valid = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
    phi, lam = (np.deg2rad(np.where(valid, value, np.nan).astype(float)) for value in (lat, lon))
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the great-circle distance in km of unit vectors ``(..., 3)``.

    It is computed by the chord, which is exact for small distances.
    """
    return 2.0 * EARTH_RADIUS * np.arcsin(np.clip(0.5 * np.linalg.norm(a - b, axis=-1), 0.0, 1.0))


def _shifted(values: np.ndarray, by: int, axis: int) -> np.ndarray:
    """Shift an array along an axis.

    Parameters
    ----------
    values : np.ndarray
        The array.
    by : int
        Steps on to the neighbour whose value is taken.
    axis : int
        The axis.

    Returns
    -------
    np.ndarray
        The neighbours' values, NaN beyond the ends.
    """
    moved = np.full_like(values, np.nan)
    size = values.shape[axis]
    if abs(by) < size:
        source = [slice(None)] * values.ndim
        target = [slice(None)] * values.ndim
        source[axis] = slice(max(by, 0), size + min(by, 0))
        target[axis] = slice(max(-by, 0), size - max(by, 0))
        moved[tuple(target)] = values[tuple(source)]
    return moved


# weights of neighbours by distance: between two, beyond two, and cubic across the scan, where the
# spacing changes
_ALONG = ({-1: 0.5, 1: 0.5}, {-1: 2.0, -2: -1.0}, {1: 2.0, 2: -1.0})
_ACROSS = (
    {-2: -1 / 6, -1: 4 / 6, 1: 4 / 6, 2: -1 / 6},
    {-1: 3.0, -2: -3.0, -3: 1.0},
    {1: 3.0, 2: -3.0, 3: 1.0},
)


def _off_track(vectors: np.ndarray) -> np.ndarray:
    """Return the distance in km of each footprint from the nearest place that neighbours predict.

    NaN where no neighbours predict any.
    """
    nearest = np.full(vectors.shape[:2], np.nan)
    for axis, rules in enumerate((_ALONG, _ACROSS)):
        for rule in rules:
            sum_ = sum(weight * _shifted(vectors, by, axis) for by, weight in rule.items())
            length = np.linalg.norm(sum_, axis=-1, keepdims=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                nearest = np.fmin(nearest, _distance(vectors, sum_ / length))
    return nearest


def _central_angle(zenith: np.ndarray) -> np.ndarray:
    """Return the angle at the earth's centre, in radians, between footprints and the satellite.

    ``zenith`` is the satellite's zenith angle at the footprint, in degrees.
    """
    angle = np.deg2rad(zenith)
    return angle - np.arcsin(np.sin(angle) * EARTH_RADIUS / (EARTH_RADIUS + SATELLITE_HEIGHT))


def _misfit(vectors: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Find scans ``(scan,)`` whose width does not fit the zenith angles.

    The width is that between the first and the last footprint with coordinates; ``zenith``
    ``(position,)``, in degrees, implies another. Scanners that do not look down between the two are
    not judged.
    """
    scans, positions = vectors.shape[:2]
    nadir = np.argmin(zenith) if np.isfinite(zenith).all() else 0
    if not 0 < nadir < positions - 1:
        return np.zeros(scans, bool)
    # of two positions about nadir, either may be the least
    left = nadir + (zenith[nadir + 1] < zenith[nadir - 1])
    side = np.where(np.arange(positions) < left, -1.0, 1.0)
    across = EARTH_RADIUS * _central_angle(zenith) * side
    located = np.isfinite(vectors[..., 0])
    every = np.arange(scans)
    first = located.argmax(axis=1)
    last = positions - 1 - located[:, ::-1].argmax(axis=1)
    expected = across[last] - across[first]
    width = _distance(vectors[every, first], vectors[every, last])
    with np.errstate(invalid="ignore"):
        return np.abs(width - expected) > _WIDTH_TOLERANCE * expected + _WIDTH_SLACK


def misplaced_footprints(lat: np.ndarray, lon: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Find footprints whose place or zenith angle does not fit the scans around them.

    Wrong are: both coordinates exactly zero (what producers write where navigation failed); more
    than 5 km and a twentieth of the spacing from all places that neighbours along and across the
    track predict; a zenith angle more than 2 degrees from the median of its position; scans whose
    width differs by more than 15 % and 30 km from what their zenith angles imply. Where more than a
    quarter of a scan or of a file is wrong, what else is in it is not believed either.

    Parameters
    ----------
    lat, lon, zenith : np.ndarray
        Coordinates and the satellite's zenith angles ``(scan, position)``, in degrees.

    Returns
    -------
    np.ndarray
        Booleans ``(scan, position)``. Missing coordinates are not judged.
    """
    absent = (lat == 0) & (lon == 0)
    vectors = _vectors(np.where(absent, np.nan, lat), lon)
    located = np.isfinite(vectors[..., 0])
    wrong = np.zeros_like(absent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing, where all is missing
        spacing = np.nanmedian(_distance(vectors, _shifted(vectors, 1, 0)))
        tolerance = _POSITION_TOLERANCE + 0.05 * np.nan_to_num(spacing)
        with np.errstate(invalid="ignore"):
            wrong |= _off_track(vectors) > tolerance
            wrong |= np.abs(zenith - np.nanmedian(zenith, axis=0)) > _ZENITH_TOLERANCE
            good_vectors = np.where(wrong[..., None], np.nan, vectors)
            wrong |= _misfit(good_vectors, np.nanmedian(zenith, axis=0))[:, None]
    # of a scan, then of the whole file
    for axis in (1, None):
        wrong_count = (wrong & located).sum(axis, keepdims=True)
        wrong |= wrong_count > _TRUSTED * located.sum(axis, keepdims=True)
    return wrong | absent


def mistimed_scans(time: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Find scans whose time does not fit the satellite's way from and to the scans around them.

    A scan is wrong if no neighbour within two scans agrees to a third and 4 s; scans without any
    such neighbour are not judged. All are wrong if over 32 scans the satellite is on the median
    more than a fifth faster or slower than it can be.

    Parameters
    ----------
    time : np.ndarray
        Times ``(scan,)``, datetime64, NaT where missing.
    lat, lon : np.ndarray
        Coordinates ``(scan, position)`` in degrees.

    Returns
    -------
    np.ndarray
        Booleans ``(scan,)``.
    """
    seconds = np.where(
        np.isnat(time), np.nan, (time - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "s")
    )
    middle = _vectors(lat, lon)[:, lat.shape[1] // 2]
    agreed = np.zeros(len(time), bool)
    judged = np.zeros(len(time), bool)
    # two scans away too: the nearest neighbour may be the wrong one
    for by in (-2, -1, 1, 2):
        expected = np.sign(by) * _distance(middle, _shifted(middle, by, 0)) / _MEAN_SPEED
        elapsed = _shifted(seconds, by, 0) - seconds
        with np.errstate(invalid="ignore"):
            agreed |= np.abs(elapsed - expected) <= 4.0 + np.abs(expected) / 3.0
        judged |= np.isfinite(elapsed) & np.isfinite(expected)
    # a clock that runs too fast or too slow all along shows over many scans alone
    lag = min(_LAG, len(time) - 1)
    if lag:
        way = _distance(middle, _shifted(middle, lag, 0))
        elapsed = _shifted(seconds, lag, 0) - seconds
        with np.errstate(invalid="ignore", divide="ignore"):
            speeds = (way / elapsed)[(elapsed > 20.0) & (elapsed < 600.0) & np.isfinite(way)]
        if speeds.size and not 0.8 < np.median(speeds) / _MEAN_SPEED < 1.2:
            return np.ones(len(time), bool)
    return judged & ~agreed
