"""Track check: reports that travelled in time or space, found by where their station was before and after.

A ship's reports, or what one position of a sounder's scan sees, follow a track. Of each the sub-sequence is kept that
has the most reports, less :data:`PENALTY` for every step that is too fast: a wrong time or place is left out, and a
station that moved house is not.
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
    """Whether one can get from report ``a`` to the later ``b`` at ``speed`` (m/s): haversine distance."""
    reach = (speed * 1e-9 * (time[b] - time[a]) + SLACK) / _RADIUS
    if reach >= np.pi:
        return True
    dlat, dlon = np.deg2rad(lat[b] - lat[a]), np.deg2rad(lon[b] - lon[a])
    h = (
        np.sin(dlat / 2) ** 2
        + np.cos(np.deg2rad(lat[a])) * np.cos(np.deg2rad(lat[b])) * np.sin(dlon / 2) ** 2
    )
    return h <= np.sin(reach / 2) ** 2


@njit(cache=True)
def _keep(time, lat, lon, edges, speed):
    """Which of the reports (n,), sorted by identity and time, lie on the tracks between ``edges``."""
    kept = np.zeros(time.size, np.bool_)
    best, most, before = (
        np.empty(time.size, np.int64),
        np.empty(time.size, np.int64),
        np.empty(time.size, np.int64),
    )
    one, jump = _UNIT + 1, _UNIT + 1 - PENALTY * _UNIT
    for track in range(edges.size - 1):
        first, last = edges[track], edges[track + 1]
        for i in range(first, last):
            best[i], before[i] = one, -1
            for j in range(i - 1, max(first, i - LOOK_BACK) - 1, -1):
                if most[j] + one <= best[i]:
                    break
                found = best[j] + (one if _possible(time, lat, lon, j, i, speed) else jump)
                if found > best[i]:
                    best[i], before[i] = found, j
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
    """Which reports (n,) do not lie on the track of their identity, equal numbers in all arrays of ``identity`` (n,).

    ``time`` (n,) datetime64, ``lat`` and ``lon`` in degrees, ``max_speed`` in m/s. The order of the reports does not
    matter where no two of an identity have the same time.
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
    found = np.zeros(len(time), bool)
    found[order] = ~_keep(
        nanoseconds[order], lat[order].astype(float), lon[order].astype(float), edges, max_speed
    )
    return found
