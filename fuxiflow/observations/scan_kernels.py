"""Loops over the footprints of a scan, for files of so many that arrays would take long.

:mod:`fuxiflow.observations.scan_geometry` and
:func:`fuxiflow.observations.readers.bufr_footprints.positions_and_zeniths` say what they compute.
"""

import numpy as np
from numba import njit

from fuxiflow.physics import EARTH_RADIUS

# a bound of a distance against its great circle: both are rounded
_MARGIN = 1.0 + 1e-6


@njit(cache=True)
def _surely_near(lat_a, lon_a, lat_b, lon_b, limit):
    """Tell if two places are nearer than a limit, by a bound that no distance exceeds.

    A straight line between the two on a map of latitude and longitude is at least as long as the
    great circle. Its length is bounded with the cosine of the latitude nearest the equator, and the
    cosine by three terms of its series.

    Parameters
    ----------
    lat_a, lon_a, lat_b, lon_b : float
        Degrees.
    limit : float
        Distance in km.

    Returns
    -------
    bool
        False also where the bound does not tell.
    """
    along = np.radians(abs(lat_a - lat_b))
    turn = abs(lon_a - lon_b)
    across = np.radians(360.0 - turn if 180.0 < turn <= 360.0 else turn)
    cosine = 1.0
    if lat_a * lat_b > 0 and max(abs(lat_a), abs(lat_b)) <= 90.0:
        equatorward = np.radians(min(abs(lat_a), abs(lat_b)))
        square = equatorward * equatorward
        cosine = 1.0 - square / 2.0 + square * square / 24.0
    way = EARTH_RADIUS * np.sqrt(along * along + cosine * cosine * across * across)
    return way * _MARGIN < limit


@njit(cache=True)
def doubtful_neighbours(lat, lon, seconds, position, across, duration, slack, speed):
    """List the neighbours of which a bound does not tell that they are near enough.

    Parameters
    ----------
    lat, lon : np.ndarray
        Degrees ``(n,)``, NaN where missing.
    seconds : np.ndarray
        Times ``(n,)``, NaN where missing.
    position : np.ndarray
        Scan positions ``(n,)`` from 1, 0 where missing.
    across : np.ndarray
        Places ``(n,)`` across the track, in km.
    duration, slack, speed : float
        Seconds of a scan, km that are allowed on top, and the greatest speed in km/s.

    Returns
    -------
    pairs : np.ndarray
        Indices ``(pair, 2)`` of the footprints.
    limits : np.ndarray
        How far they may be apart, in km, ``(pair,)``.
    in_order : bool
        False where times go back: then nothing is told.
    """
    before = np.full(position.max() + 1 if position.size else 1, -1, np.int64)
    pairs = np.empty((position.size // 8 + 16, 2), np.int64)
    limits = np.empty(len(pairs), np.float64)
    count = 0
    last = -1
    for i in range(position.size):
        here = position[i]
        if here <= 0 or not (
            np.isfinite(lat[i]) and np.isfinite(lon[i]) and np.isfinite(seconds[i])
        ):
            continue
        if last >= 0 and seconds[i] < seconds[last]:
            return pairs[:0], limits[:0], False
        for same in (False, True):
            other = before[here] if same else last
            if other < 0:
                continue
            delay = seconds[i] - seconds[other]
            if delay > (3 * duration if same else duration) or (
                not same and position[other] == here
            ):
                continue
            aside = 0.0 if same else 1.3 * abs(across[i] - across[other])
            limit = aside + delay * speed + slack
            if not _surely_near(lat[other], lon[other], lat[i], lon[i], limit):
                if count == len(pairs):
                    # many are in doubt: the arrays do that as well
                    return pairs[:0], limits[:0], False
                pairs[count, 0], pairs[count, 1], limits[count] = other, i, limit
                count += 1
        before[here] = last = i
    return pairs[:count], limits[:count], True


@njit(cache=True)
def misfits_of_counts(number, seen, nominal, most):
    """Average how far zenith angles are off those of their positions, counted from 1 or from 0.

    Parameters
    ----------
    number : np.ndarray
        Scan positions ``(n,)`` as the message counts them, NaN where missing.
    seen : np.ndarray
        Zenith angles ``(n,)`` without sign, NaN where missing.
    nominal : np.ndarray
        Those of the numbers from -1 on, NaN outside the scan.
    most : float
        What a misfit counts at most.

    Returns
    -------
    tuple
        Of positions as they are counted, and of those one further: the mean of the misfits, NaN
        where none is finite.
    """
    sums = np.zeros(2)
    counts = np.zeros(2)
    finite = np.zeros(2, np.bool_)
    last = len(nominal) - 3
    for i in range(number.size):
        counted = -1.0 if np.isnan(number[i]) else min(max(number[i], -1.0), float(last))
        place = int(counted) + 1
        for shift in range(2):
            misfit = abs(seen[i] - nominal[place + shift])
            if not np.isnan(misfit):
                finite[shift] |= np.isfinite(misfit)
                sums[shift] += min(misfit, most)
                counts[shift] += 1
    return (
        sums[0] / counts[0] if finite[0] else np.nan,
        sums[1] / counts[1] if finite[1] else np.nan,
    )


@njit(cache=True)
def placed_footprints(number, seen, nominal, shift, positions, tilt):
    """Place footprints in their scan, with the zenith angles that suit their positions.

    Parameters
    ----------
    number, seen, nominal
        See :func:`misfits_of_counts`.
    shift : int
        0 where positions are counted from 1, else 1.
    positions : int
        Positions of a scan.
    tilt : float
        Degrees that an angle may be off.

    Returns
    -------
    position : np.ndarray
        Positions ``(n,)`` from 1, 0 where missing.
    zenith : np.ndarray
        Angles ``(n,)``, NaN where the position does not allow them.
    """
    position = np.zeros(number.size, np.int16)
    zenith = np.full(number.size, np.nan)
    for i in range(number.size):
        place = number[i] + shift
        if 1.0 <= place <= positions:
            position[i] = np.int16(place)
            # of the numbers from -1 on
            if abs(seen[i] - nominal[int(number[i]) + 1 + shift]) <= tilt:
                zenith[i] = seen[i]
    return position, zenith
