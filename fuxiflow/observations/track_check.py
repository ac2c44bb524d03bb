"""Track check: reports whose time or place does not fit where their station was before and after.

A ship's reports, or what one position of a sounder's scan sees, follow a track. Of each track the
sub-sequence is kept that has the most reports, less :data:`PENALTY` for every step that is too
fast: a wrong time or place is left out, and a station that moved for good is not.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

from fuxiflow.physics import EARTH_RADIUS

PENALTY = 2  # four wrong reports in a row are left out, five are a place of their own
SLACK = 50_000.0  # m: rounding of places, and of times to seconds
LOOK_BACK = 200  # reports: bounds the work on a station whose reports all contradict each other
_RADIUS = 1000.0 * EARTH_RADIUS  # m
_UNIT = np.int64(1) << 32  # a score above, a count below


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
    """Mark the reports that lie on the best sub-sequence of their track.

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
        ``(n,)`` bool, True where a report is kept.
    """
    kept = np.zeros(time.size, np.bool_)
    # Of the sub-sequences that end at a report: the best score, and the report before it.
    best = np.empty(time.size, np.int64)
    before = np.empty(time.size, np.int64)
    most = np.empty(time.size, np.int64)  # the best score up to a report, whichever it ends at
    # A jump costs score but counts as a report: of equal scores the longer sequence wins.
    one, jump = _UNIT + 1, _UNIT + 1 - PENALTY * _UNIT
    for track in range(edges.size - 1):
        first, last = edges[track], edges[track + 1]
        for i in range(first, last):
            best[i], before[i] = one, -1
            for j in range(i - 1, max(first, i - LOOK_BACK) - 1, -1):
                # No report before j can do better than what there is.
                if most[j] + one <= best[i]:
                    break
                score = best[j] + (one if _possible(time, lat, lon, j, i, speed) else jump)
                if score > best[i]:
                    best[i], before[i] = score, j
            most[i] = best[i] if i == first else max(best[i], most[i - 1])
        i = first
        for j in range(first, last):
            if best[j] > best[i]:
                i = j
        while i >= 0:
            kept[i] = True
            i = before[i]
    return kept


def off_track(
    identity: Sequence[np.ndarray],
    time: np.ndarray,
    lat: np.ndarray,
    lon: np.ndarray,
    max_speed: float,
) -> np.ndarray:
    """Mark the reports that do not lie on the track of their identity.

    The order of the reports does not matter where no two of an identity have the same time.

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
