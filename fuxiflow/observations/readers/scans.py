"""What the readers of cross-track scanners share: damage that is caught, and checks of positions and times.

A flipped bit gives a valid number. What it cannot give is a place and a time that fit the scans around it, so each
footprint is compared with what its neighbours, the viewing angles and the satellite's speed let expect.
"""

import logging
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date

import numpy as np
import pyarrow as pa

from fuxiflow.observations import table
from fuxiflow.observations.readers.granule import Granule
from fuxiflow.observations.reasons import Reason

DAMAGE = (OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, OverflowError, MemoryError)
"""What h5py, numpy and satpy raise on damaged files."""
PLAUSIBLE = 2.7, 350.0
"""Temperatures in K that a sounder can see: from the cosmic background up to more than any surface on earth."""
LARGEST = 20_000, 512
"""More scans and positions than any file has; a damaged shape must not fill the memory."""
EARTH_RADIUS = 6371.0
SATELLITE_HEIGHT = 835.0  # km: NOAA 807-870, Metop 817, FY-3 836 (WMO OSCAR)
GROUND_SPEED = 6.6  # km/s of the point below a satellite at that height
_WIDTH_TOLERANCE = 0.15  # heights differ by up to 5 %, the earth's radius by 0.3 %
_WIDTH_SLACK = 30.0  # km
_ZENITH_TOLERANCE = 2.0  # degrees; the earth's flattening and the orbit's eccentricity change it by 0.4
_TRUSTED = 0.25
_LAG = 32  # scans
_POSITION_TOLERANCE = 5.0  # km, a tenth of a footprint of AMSU-A; the predictions are good to 0.2 km there


class Refused(Exception):
    """A file that is not used: the reason and how many footprints are lost."""

    def __init__(self, reason: Reason, message: str, count: int = 0):
        super().__init__(message)
        self.reason, self.count = reason, count


def granule(file: str, day: date | None, decode: Callable[[], pa.Table]) -> Granule:
    """The granule of a file: the footprints that ``decode`` returns or why there are none."""
    try:
        with quiet():
            found = decode()
    except Refused as refusal:
        return Granule(file, reason=refusal.reason, message=str(refusal), count=refusal.count, day=day)
    except DAMAGE as error:
        return Granule(file, reason=Reason.UNREADABLE, message=f"{type(error).__name__}: {error}", day=day)
    return Granule(file, footprints=found, count=len(found), day=day)


@contextmanager
def quiet():
    """Without satpy's traceback of a damaged file, which the ledger and the log name in one line."""
    logger = logging.getLogger("satpy.readers.core.hdf5")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def known_channels(channels, known) -> list[int]:
    """Indices of ``channels`` in ``known``; ValueError lists the known ones."""
    unknown = sorted(set(channels) - set(known))
    if unknown:
        raise ValueError(f"no channel {', '.join(unknown)}; known: {', '.join(known)}")
    return [known.index(name) for name in channels]


def plausible(temperature: np.ndarray) -> np.ndarray:
    """Temperatures in K as float32, NaN where no sounder can see them."""
    with np.errstate(invalid="ignore", over="ignore"):
        seen = (temperature >= PLAUSIBLE[0]) & (temperature <= PLAUSIBLE[1])
        return np.where(seen, temperature, np.nan).astype(np.float32)


def flagged(found: pa.Table, unusable: np.ndarray) -> pa.Table:
    """The table with the code ``quality`` for footprints (n,) that their producer calls unusable."""
    codes = table.column(found, "rejected")
    codes = np.where((codes == Reason.USED) & unusable, np.uint8(Reason.QUALITY), codes)
    return table.replace(found, table.values_of(found), codes)


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
_ACROSS = ({-2: -1 / 6, -1: 4 / 6, 1: 4 / 6, 2: -1 / 6}, {-1: 3.0, -2: -3.0, -3: 1.0}, {1: 3.0, 2: -3.0, 3: 1.0})


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
    across = EARTH_RADIUS * _central_angle(zenith) * np.where(np.arange(positions) < nadir, -1.0, 1.0)
    known, every = np.isfinite(vectors[..., 0]), np.arange(scans)
    first, last = known.argmax(axis=1), positions - 1 - known[:, ::-1].argmax(axis=1)
    expected = across[last] - across[first]
    width = _distance(vectors[every, first], vectors[every, last])
    with np.errstate(invalid="ignore"):
        return np.abs(width - expected) > _WIDTH_TOLERANCE * expected + _WIDTH_SLACK


def misplaced(lat: np.ndarray, lon: np.ndarray, zenith: np.ndarray) -> np.ndarray:
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
            wrong |= _misfit(np.where(wrong[..., None], np.nan, vectors), np.nanmedian(zenith, axis=0))[:, None]
    for axis in (1, None):
        wrong |= (wrong & known).sum(axis, keepdims=True) > _TRUSTED * known.sum(axis, keepdims=True)
    return wrong | absent


def mistimed(time: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Scans ``(scan,)`` whose time does not fit how far the satellite went since and until the scans around them.

    ``time`` (scan,) datetime64, NaT where missing; coordinates ``(scan, position)``. A scan is wrong if no neighbour
    within two scans agrees to a third and 4 s; scans without any such neighbour are not judged. All are wrong if over
    :data:`_LAG` scans the satellite is on the median more than a fifth faster or slower than it can be.
    """
    seconds = np.where(np.isnat(time), np.nan, (time - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "s"))
    middle = _vectors(lat, lon)[:, lat.shape[1] // 2]
    agreed = np.zeros(len(time), bool)
    judged = np.zeros(len(time), bool)
    for by in (-2, -1, 1, 2):
        expected = np.sign(by) * _distance(middle, _shifted(middle, by, 0)) / GROUND_SPEED
        elapsed = _shifted(seconds, by, 0) - seconds
        with np.errstate(invalid="ignore"):
            agreed |= np.abs(elapsed - expected) <= 4.0 + np.abs(expected) / 3.0
        judged |= np.isfinite(elapsed) & np.isfinite(expected)
    lag = min(_LAG, len(time) - 1)
    if lag:
        way, elapsed = _distance(middle, _shifted(middle, lag, 0)), _shifted(seconds, lag, 0) - seconds
        with np.errstate(invalid="ignore", divide="ignore"):
            speeds = (way / elapsed)[(elapsed > 20.0) & (elapsed < 600.0) & np.isfinite(way)]
        if speeds.size and not 0.8 < np.median(speeds) / GROUND_SPEED < 1.2:
            return np.ones(len(time), bool)
    return judged & ~agreed
