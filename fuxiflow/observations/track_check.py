"""Track check: reports whose time or place does not fit where their station was before.

A ship's reports, or what one position of a sounder's scan sees, follow a track. A sequence of
reports is worth their number, less :data:`PENALTY` for every step that is too fast. A report is
kept where the best sequence that ends with it is worth more than all that end before it: a wrong
time or place is left out, and of a station that moved for good the first :data:`PENALTY` reports.

The check looks back only. Later reports never change the verdict on earlier ones, so that a run in
real time and one of years ago have the same.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

from fuxiflow.physics import EARTH_RADIUS

PENALTY = 4  # four wrong reports in a row are left out, from the fifth on they are believed
SLACK = 50_000.0  # m: rounding of places, and of times to seconds
LOOK_BACK = 200  # reports: bounds the work on a station whose reports all contradict each other
_RADIUS = 1000.0 * EARTH_RADIUS  # m


@njit(cache=True)
def _possible(time, lat, lon, a, b, speed):
    """Tell if one can get from report ``a`` to the later report ``b`` (haversine distance).

    Parameters
    ----------
    time : np.ndarray
        Times in ns, ``(n,)`` int64.
    lat, lon : np.ndarray
        Degrees, ``(n,)``.
    a, b : int
        Indices of the two reports.
    speed : float
        The largest speed in m/s.

    Returns
    -------
    bool
        True where ``b`` is within reach.
    """
    reach = (speed * 1e-9 * (time[b] - time[a]) + SLACK) / _RADIUS
    if reach >= np.pi:
        return True
    dlat = np.deg2rad(lat[b] - lat[a])
    dlon = np.deg2rad(lon[b] - lon[a])
    h = (
        np.sin(dlat / 2) ** 2
        + np.cos(np.deg2rad(lat[a])) * np.cos(np.deg2rad(lat[b])) * np.sin(dlon / 2) ** 2
    )
    return h <= np.sin(reach / 2) ** 2


@njit(cache=True)
def _keep(time, lat, lon, edges, speed):
    """Mark the reports that go on from the best sequence of their track so far.

    Parameters
    ----------
    time : np.ndarray
        Times in ns, ``(n,)`` int64, sorted within each track.
    lat, lon : np.ndarray
        Degrees, ``(n,)``.
    edges : np.ndarray
        ``(track + 1,)``: the reports of track i are ``edges[i]`` to ``edges[i + 1]``.
    speed : float
        The largest speed in m/s.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool, True where a report is kept. The first of a track always is.
    """
    kept = np.zeros(time.size, np.bool_)
    best = np.empty(time.size, np.int64)  # the worth of the best sequence that ends at a report
    most = np.empty(time.size, np.int64)  # and of those that end at it or before
    for track in range(edges.size - 1):
        first, last = edges[track], edges[track + 1]
        for i in range(first, last):
            best[i] = 1
            for j in range(i - 1, max(first, i - LOOK_BACK) - 1, -1):
                # No report before j can do better than what there is.
                if most[j] + 1 <= best[i]:
                    break
                worth = best[j] + (1 if _possible(time, lat, lon, j, i, speed) else 1 - PENALTY)
                best[i] = max(best[i], worth)
            kept[i] = i == first or best[i] > most[i - 1]
            most[i] = best[i] if i == first else max(best[i], most[i - 1])
    return kept


def off_track(
    identity: Sequence[np.ndarray],
    time: np.ndarray,
    lat: np.ndarray,
    lon: np.ndarray,
    max_speed: float,
) -> np.ndarray:
    """Mark the reports that do not lie on the track of their identity so far.

    The order of the reports does not matter where no two of an identity have the same time. Reports
    of later times do not change what is said of earlier ones.

    Parameters
    ----------
    identity : Sequence[np.ndarray]
        Numbers ``(n,)``: reports of one identity have equal numbers in all of these arrays.
    time : np.ndarray
        ``(n,)`` datetime64.
    lat, lon : np.ndarray
        Degrees, ``(n,)``.
    max_speed : float
        The largest speed of a station, or of what a scan position sees, in m/s.

    Returns
    -------
    np.ndarray
        ``(n,)`` bool, True where a report is off its track.
    """
    nanoseconds = time.astype("datetime64[ns]").astype(np.int64)
    order = np.lexsort((nanoseconds, *identity))
    changes = np.zeros(max(len(time) - 1, 0), bool)
    for number in identity:
        changes |= np.diff(number[order]) != 0
    edges = (
        np.concatenate([[0], np.flatnonzero(changes) + 1, [len(time)]])
        if len(time)
        else np.zeros(1, int)
    )
    strays = np.zeros(len(time), bool)
    strays[order] = ~_keep(
        nanoseconds[order], lat[order].astype(float), lon[order].astype(float), edges, max_speed
    )
    return strays
