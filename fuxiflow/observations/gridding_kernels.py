"""Loops over footprints that numba compiles: which hour and cell each falls into, and what the cells get of them.

Values lie in memory in the order of time, cells go from north to south: what a cell averages is spread. So the loop
asks for the footprints of the next cells while it adds up those of this one, which halves its time.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

SEVERAL = -1
HOUR = 3600 * 10**9  # ns
_AHEAD = 24  # footprints: what is added up in the time that memory takes to answer
_LINE = 64  # bytes that come from memory together


@intrinsic
def _prefetch(typing, address):
    """Ask memory for what lies at ``address``, without waiting: LLVM's llvm.prefetch, to read, into the second cache,
    which waits for more of memory at a time than the first."""

    def generate(context, builder, signature, arguments):
        pointer, number = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@njit(cache=True, error_model="numpy")
def _mix(x):
    """A 64-bit number as random as a hash: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, error_model="numpy")
def _turned(angle):
    """An angle between -360 and 720 degrees as one in [0, 360): as ``% 360``, to the last bit, without a division."""
    if angle < 0.0:
        return angle + 360.0
    return angle - 360.0 if angle >= 360.0 else angle


@njit(cache=True, error_model="numpy")
def nearest_cells(lat, lon, nlat, nlon):
    """Nearest cells (n,), int32, of a grid without poles, as :meth:`fuxiflow.grids.Grid.cell`; -1 for invalid places.

    Without a branch, so that the processor takes several at a time.
    """
    cells = np.empty(lat.size, np.int32)
    for i in range(lat.size):
        north, east = np.float64(lat[i]), np.float64(lon[i])
        valid = (abs(north) <= 90.0) & (abs(east) <= 360.0)
        row = min(np.int32((90.0 - north) * nlat / 180.0), np.int32(nlat - 1))
        column = np.int32(_turned(east) * nlon / 360.0 + 0.5)
        column = column if column < nlon else np.int32(column - nlon)
        cells[i] = np.int32(row * nlon + column) if valid else np.int32(-1)
    return cells


@njit(cache=True, error_model="numpy")
def is_ascending(time):
    """Whether none of ``time`` (n,) is before the one in front of it; without a branch, as :func:`nearest_cells`."""
    found = True
    for i in range(1, time.size):
        found &= time[i] >= time[i - 1]
    return found


@njit(cache=True, error_model="numpy")
def sort_by_hour(time, start, hours):
    """Sort footprints by the hour after ``start`` that ``time`` (n,) falls into, both in ns since 1970.

    Returns indices (m,) and edges (hours + 1,), those of an hour in their order; what is of no hour is left out.
    """
    edges = np.zeros(hours + 1, np.int64)
    hour, begin = -1, start - HOUR  # of the footprint before: most share its hour
    for i in range(time.size):
        if not begin <= time[i] < begin + HOUR:
            hour = (time[i] - start) // HOUR if time[i] >= start else -1
            begin = start + hour * HOUR
        if 0 <= hour < hours:
            edges[hour + 1] += 1
    for hour in range(hours):
        edges[hour + 1] += edges[hour]
    order, place = np.empty(edges[hours], np.int32), edges.copy()
    hour, begin = -1, start - HOUR
    for i in range(time.size):
        if not begin <= time[i] < begin + HOUR:
            hour = (time[i] - start) // HOUR if time[i] >= start else -1
            begin = start + hour * HOUR
        if 0 <= hour < hours:
            order[place[hour]] = i
            place[hour] += 1
    return order, edges


@njit(cache=True, error_model="numpy")
def sort_by_cell(cell_of, first, scratch):
    """Sort footprints by their cells ``cell_of`` (n,), -1 for none: a counting sort, as cells are few.

    Returns the cells seen (m,) in increasing order, edges (m + 1,) and footprints, counted from ``first``: those of the
    i-th cell are ``footprints[edges[i]:edges[i + 1]]``, in the order given. ``scratch``, one for each cell, is zero
    before and after.
    """
    seen = 0
    for cell in cell_of:
        if cell >= 0:
            seen += scratch[cell] == 0
            scratch[cell] += 1
    cells, edges = np.empty(seen, np.int32), np.zeros(seen + 1, np.int32)
    row = 0
    for cell in range(scratch.size):
        if scratch[cell]:
            cells[row], edges[row + 1] = cell, edges[row] + scratch[cell]
            scratch[cell] = edges[row]
            row += 1
    footprints = np.empty(edges[seen], np.int32)
    for i in range(cell_of.size):
        cell = cell_of[i]
        if cell >= 0:
            footprints[scratch[cell]] = first + i
            scratch[cell] += 1
    for row in range(seen):
        scratch[cells[row]] = 0
    return cells, edges, footprints


@njit(cache=True, error_model="numpy")
def draw_platforms(code, keys, hour, cells, edges, footprints):
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


@njit(cache=True, error_model="numpy")
def common_platform(code, edges, footprints):
    """The platform of each cell's footprints (n,), :data:`SEVERAL` where they differ."""
    found = np.empty(edges.size - 1, np.int8)
    for row in range(edges.size - 1):
        found[row] = code[footprints[edges[row]]]
        for k in range(edges[row], edges[row + 1]):
            if code[footprints[k]] != found[row]:
                found[row] = SEVERAL
                break
    return found


@njit(cache=True, error_model="numpy")
def _mean_of_present(values, footprints, found):
    """The mean of ``values`` of the ``footprints`` by channel without the missing ones, into ``found`` (channel,)."""
    for c in range(found.size):
        total, count = 0.0, 0
        for i in footprints:
            if values[i, c] == values[i, c]:
                total += values[i, c]
                count += 1
        found[c] = total / count if count else np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def mean_by_cell(
    values, zenith, lat, lon, cells, edges, footprints, nlat, nlon, means, zeniths, offsets
):
    """Means by cell of values, zenith angle and of how far north and east of the cell's centre the footprints lie, in
    cells, into ``means`` (n, channel), ``zeniths`` (n,) and ``offsets`` (n, 2).

    Sums are in double precision: exact for single-precision values of like size, so that the order of the footprints
    does not matter.
    """
    channels, last_of_all = values.shape[1], edges[-1]
    here, step, width = values.ctypes.data, values.strides[0], channels * values.itemsize
    others = zenith.ctypes.data, lat.ctypes.data, lon.ctypes.data
    sums = np.empty(channels)
    north, west_end, east_end = 0.0, 0, 0  # of the grid's row
    for row in range(cells.size):
        if cells[row] >= east_end:
            west_end = cells[row] // nlon * nlon
            east_end = west_end + nlon
            north = 90.0 - (west_end // nlon + 0.5) * 180.0 / nlat
        east = (cells[row] - west_end) * 360.0 / nlon
        first, last = edges[row], edges[row + 1]
        angle, up, across = 0.0, 0.0, 0.0
        few = last - first <= 2  # of most cells of an hour
        if not few:
            sums[:] = 0.0
        for k in range(first, last):  # no test for missing values here: plain sums vectorise
            if k + _AHEAD < last_of_all:
                soon = np.int64(footprints[k + _AHEAD])
                for byte in range(0, width, _LINE):
                    _prefetch(here + soon * step + byte)
                _prefetch(here + soon * step + width - 1)  # may lie on a line of its own
                for other in others:
                    _prefetch(other + soon * 4)
            i = footprints[k]
            angle += zenith[i]
            up += lat[i] - north
            across += _turned(lon[i] - east + 180.0) - 180.0
            if not few:
                for c in range(channels):
                    sums[c] += values[i, c]
        share = 1.0 / (last - first)
        zeniths[row] = angle / (last - first)
        offsets[row, 0], offsets[row, 1] = up * share * nlat / 180.0, across * share * nlon / 360.0
        missing = False
        if last - first == 1:
            for c in range(channels):
                means[row, c] = 0.0 + values[footprints[first], c]
        elif few:
            one, other = footprints[first], footprints[first + 1]
            for c in range(channels):
                found = (0.0 + values[one, c] + values[other, c]) * 0.5
                means[row, c] = found
                missing |= found != found
        else:
            for c in range(channels):
                found = sums[c] / (last - first)
                means[row, c] = found
                missing |= found != found
        if missing:
            _mean_of_present(values, footprints[first:last], means[row])


@njit(cache=True, error_model="numpy")
def nearest_by_cell(values, zenith, lat, lon, time, cells, edges, footprints, nlat, nlon):
    """By cell and channel the value of the footprint nearest to the cell's centre that has one, of equally near ones
    the earliest, of those the lowest; zenith is that of the nearest footprint."""
    seen, channels = cells.size, values.shape[1]
    chosen, zeniths = np.full((seen, channels), np.float32(np.nan)), np.empty(seen, np.float32)
    best, when, lowest = (
        np.empty(channels + 1),
        np.empty(channels + 1, np.int64),
        np.empty(channels + 1),
    )
    for row in range(seen):
        north = 90.0 - (cells[row] // nlon + 0.5) * 180.0 / nlat
        east = cells[row] % nlon * 360.0 / nlon
        shrink = np.cos(np.deg2rad(north))
        best[:] = np.inf
        for k in range(edges[row], edges[row + 1]):
            i = footprints[k]
            across = (_turned(lon[i] - east + 180.0) - 180.0) * shrink
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


@njit(cache=True, error_model="numpy")
def nearest_offset(lat, lon, time, cells, edges, footprints, nlat, nlon):
    """How far north and east of its centre the footprint nearest to it lies for each cell, in cells (n, 2): of equally
    near ones the earliest, of those the southernmost, then the westernmost."""
    offsets = np.zeros((cells.size, 2), np.float32)
    for row in range(cells.size):
        north = 90.0 - (cells[row] // nlon + 0.5) * 180.0 / nlat
        east = cells[row] % nlon * 360.0 / nlon
        shrink = np.cos(np.deg2rad(north))
        up, across, best, when = 0.0, 0.0, np.inf, time[footprints[edges[row]]]
        for k in range(edges[row], edges[row + 1]):
            i = footprints[k]
            dy, dx = lat[i] - north, _turned(lon[i] - east + 180.0) - 180.0
            distance = dy**2 + (dx * shrink) ** 2
            if distance < best or (distance == best and (time[i], dy, dx) < (when, up, across)):
                up, across, best, when = dy, dx, distance, time[i]
        offsets[row, 0], offsets[row, 1] = up * nlat / 180.0, across * nlon / 360.0
    return offsets
