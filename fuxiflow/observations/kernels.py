"""Loops over footprints that numba compiles: which cell each falls into, and what the cells get of them."""

import numpy as np
from numba import njit

SEVERAL = -1


@njit(cache=True)
def _mix(x):
    """A 64-bit number as random as a hash: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def nearest_cell(lat, lon, nlat, nlon):
    """Nearest cell of a grid without poles, as :meth:`fuxiflow.grids.Grid.cell`; -1 for invalid coordinates."""
    if not (abs(lat) <= 90.0 and abs(lon) <= 360.0):
        return -1
    row = min(int((90.0 - lat) * nlat / 180.0), nlat - 1)
    column = int(np.floor(lon % 360.0 * nlon / 360.0 + 0.5)) % nlon
    return row * nlon + column


@njit(cache=True)
def by_cell(lat, lon, order, nlat, nlon, scratch):
    """Sort the footprints ``order`` by cell: a counting sort, as cells are few and numbers.

    Returns the cells seen (n,) in increasing order, edges (n + 1,) and footprints (m,): those of the i-th cell are
    ``footprints[edges[i]:edges[i + 1]]``, in the order given. ``scratch`` (nlat * nlon,) is zero before and after.
    """
    cell_of = np.empty(order.size, np.int64)
    seen = 0
    for k in range(order.size):
        cell = nearest_cell(np.float64(lat[order[k]]), np.float64(lon[order[k]]), nlat, nlon)
        cell_of[k] = cell
        if cell >= 0:
            seen += scratch[cell] == 0
            scratch[cell] += 1
    cells, edges = np.empty(seen, np.int64), np.zeros(seen + 1, np.int64)
    row = 0
    for cell in range(scratch.size):
        if scratch[cell]:
            cells[row], edges[row + 1] = cell, edges[row] + scratch[cell]
            scratch[cell] = edges[row]
            row += 1
    footprints = np.empty(edges[seen], np.int64)
    for k in range(order.size):
        if cell_of[k] >= 0:
            footprints[scratch[cell_of[k]]] = order[k]
            scratch[cell_of[k]] += 1
    for row in range(seen):
        scratch[cells[row]] = 0
    return cells, edges, footprints


@njit(cache=True)
def draw(code, keys, hour, cells, edges, footprints):
    """Leave of each cell's footprints those of one platform, drawn by ``hour`` (since 1970) and cell, in place.

    Each platform present has a random number of its key, the hour and the cell, and the largest one wins: neither the
    order of the footprints nor that of the platforms matters. Returns platforms (n,) and edges (n + 1,) anew.
    """
    chosen, fewer = np.empty(cells.size, np.int8), np.zeros_like(edges)
    kept = 0
    for row in range(cells.size):
        place = _mix(np.uint64(hour) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(cells[row]))
        best, largest = -1, np.uint64(0)
        for k in range(edges[row], edges[row + 1]):
            platform = np.int64(code[footprints[k]])
            if platform != best:
                number = _mix(place ^ keys[platform])
                if best < 0 or number > largest:
                    best, largest = platform, number
        for k in range(edges[row], edges[row + 1]):
            if code[footprints[k]] == best:
                footprints[kept] = footprints[k]
                kept += 1
        chosen[row], fewer[row + 1] = best, kept
    return chosen, fewer


@njit(cache=True)
def whose(code, edges, footprints):
    """The platform of each cell's footprints (n,), :data:`SEVERAL` where they differ."""
    found = np.empty(edges.size - 1, np.int8)
    for row in range(edges.size - 1):
        found[row] = code[footprints[edges[row]]]
        for k in range(edges[row], edges[row + 1]):
            if code[footprints[k]] != found[row]:
                found[row] = SEVERAL
                break
    return found


@njit(cache=True)
def mean(values, zenith, edges, footprints):
    """Means by cell. Sums are in double precision: exact for single-precision values of like size, so that the order
    of the footprints does not matter."""
    seen, channels = edges.size - 1, values.shape[1]
    means, zeniths = np.empty((seen, channels), np.float32), np.empty(seen, np.float32)
    sums, counts = np.empty(channels), np.empty(channels, np.int64)
    for row in range(seen):
        first, last = edges[row], edges[row + 1]
        angle, missing = 0.0, 0.0
        sums[:] = 0.0
        for k in range(first, last):  # no test for missing values here: plain sums vectorise
            i = footprints[k]
            angle += zenith[i]
            for c in range(channels):
                sums[c] += values[i, c]
        zeniths[row] = angle / (last - first)
        for c in range(channels):
            missing += sums[c]
            means[row, c] = sums[c] / (last - first)
        if missing != missing:
            sums[:], counts[:] = 0.0, 0
            for k in range(first, last):
                i = footprints[k]
                for c in range(channels):
                    if values[i, c] == values[i, c]:
                        sums[c] += values[i, c]
                        counts[c] += 1
            for c in range(channels):
                means[row, c] = sums[c] / counts[c] if counts[c] else np.nan
    return means, zeniths


@njit(cache=True)
def nearest(values, zenith, lat, lon, time, cells, edges, footprints, nlat, nlon):
    """By cell and channel the value of the footprint nearest to the cell's centre that has one, of equally near ones
    the earliest, of those the lowest; zenith is that of the nearest footprint."""
    seen, channels = cells.size, values.shape[1]
    chosen, zeniths = np.full((seen, channels), np.float32(np.nan)), np.empty(seen, np.float32)
    best, when, lowest = np.empty(channels + 1), np.empty(channels + 1, np.int64), np.empty(channels + 1)
    for row in range(seen):
        north = 90.0 - (cells[row] // nlon + 0.5) * 180.0 / nlat
        east = cells[row] % nlon * 360.0 / nlon
        shrink = np.cos(np.deg2rad(north))
        best[:] = np.inf
        for k in range(edges[row], edges[row + 1]):
            i = footprints[k]
            across = ((lon[i] - east + 180.0) % 360.0 - 180.0) * shrink
            distance = (lat[i] - north) ** 2 + across**2
            for c in range(channels + 1):
                value = np.float64(values[i, c] if c < channels else zenith[i])
                if c < channels and value != value:
                    continue
                later = time[i] > when[c] or (time[i] == when[c] and not value < lowest[c])
                if distance < best[c] or (distance == best[c] and not later):
                    best[c], when[c], lowest[c] = distance, time[i], value
                    if c < channels:
                        chosen[row, c] = values[i, c]
                    else:
                        zeniths[row] = zenith[i]
    return chosen, zeniths


@njit(cache=True)
def offset(lat, lon, time, cells, edges, footprints, nlat, nlon, nearest):
    """How far north and east of its centre the footprints of each cell lie, in cells (n, 2): mean, or the nearest, of
    equally near ones the earliest, of those the southernmost, then the westernmost."""
    offsets = np.zeros((cells.size, 2), np.float32)
    for row in range(cells.size):
        north = 90.0 - (cells[row] // nlon + 0.5) * 180.0 / nlat
        east = cells[row] % nlon * 360.0 / nlon
        shrink = np.cos(np.deg2rad(north))
        first, last = edges[row], edges[row + 1]
        up, across, best, when = 0.0, 0.0, np.inf, time[footprints[first]]
        for k in range(first, last):
            i = footprints[k]
            dy, dx = lat[i] - north, (lon[i] - east + 180.0) % 360.0 - 180.0
            if not nearest:
                up += dy / (last - first)
                across += dx / (last - first)
                continue
            distance = dy**2 + (dx * shrink) ** 2
            if distance < best or (distance == best and (time[i], dy, dx) < (when, up, across)):
                up, across, best, when = dy, dx, distance, time[i]
        offsets[row, 0], offsets[row, 1] = up * nlat / 180.0, across * nlon / 360.0
    return offsets
