"""Compiled loops of the gridding: sort footprints by hour and cell, and reduce each cell's.

Values lie in memory in the order of time, cells go from north to south: what a cell averages is
spread over memory. So the loop asks for the footprints of the next cells while it adds up those of
this one, which halves its time.

Grids have no rows on the poles. A footprint is an index into the columns of a table; the footprints
of the i-th cell are ``footprints[edges[i]:edges[i + 1]]``.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

SEVERAL = -1  # the platform of a cell with footprints of several
HOUR = 3600 * 10**9  # ns
_AHEAD = 24  # footprints that are added up in the time that memory takes to answer
_LINE = 64  # octets that come from memory together


@intrinsic
def _prefetch(typing, address):
    """Ask memory for the octets at ``address``, without waiting.

    This is LLVM's ``llvm.prefetch``, to read, into the second cache, which waits for more of
    memory at a time than the first.
    """

    def generate(context, builder, signature, arguments):
        """Build the call that numba compiles.

        Parameters
        ----------
        context, builder, signature, arguments
            As numba hands them to the code generator of an intrinsic.

        Returns
        -------
        llvmlite.ir.Value
            Nothing, as LLVM has it.
        """
        pointer, number = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@njit(cache=True, error_model="numpy")
def _mix(x):
    """Mix 64 bits into a number as random as a hash.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, error_model="numpy")
def _wrap_degrees(angle):
    """Turn an angle between -360 and 720 degrees into [0, 360).

    The same as ``% 360``, to the last bit, without a division.
    """
    if angle < 0.0:
        return angle + 360.0
    return angle - 360.0 if angle >= 360.0 else angle


@njit(cache=True, error_model="numpy")
def nearest_cells(lat, lon, nlat, nlon):
    """Look up the nearest cell of each footprint, as :meth:`fuxiflow.grids.Grid.cell` does.

    Parameters
    ----------
    lat, lon : np.ndarray
        Degrees, ``(n,)``; longitudes from -360 to 360.
    nlat, nlon : int
        Rows and columns of the grid.

    Returns
    -------
    np.ndarray
        ``(n,)`` int32: row * nlon + column; -1 for invalid places.
    """
    # Without a branch, so that the processor takes several at a time.
    cells = np.empty(lat.size, np.int32)
    for i in range(lat.size):
        north, east = np.float64(lat[i]), np.float64(lon[i])
        valid = (abs(north) <= 90.0) & (abs(east) <= 360.0)
        row = min(np.int32((90.0 - north) * nlat / 180.0), np.int32(nlat - 1))
        column = np.int32(_wrap_degrees(east) * nlon / 360.0 + 0.5)
        column = column if column < nlon else np.int32(column - nlon)
        cells[i] = np.int32(row * nlon + column) if valid else np.int32(-1)
    return cells


@njit(cache=True, error_model="numpy")
def is_ascending(time):
    """Tell if no time of ``time (n,)`` is before the one in front of it."""
    # Without a branch, so that the processor takes several at a time.
    ascending = True
    for i in range(1, time.size):
        ascending &= time[i] >= time[i - 1]
    return ascending


@njit(cache=True, error_model="numpy")
def sort_by_hour(time, start, hours):
    """Sort footprints by the hour that their time falls into.

    Parameters
    ----------
    time : np.ndarray
        Times in ns since 1970, ``(n,)`` int64.
    start : int
        The first hour, in ns since 1970.
    hours : int
        The number of hours; footprints of other hours are left out.

    Returns
    -------
    order : np.ndarray
        Indices ``(m,)`` int32 of footprints by hour, within an hour in their order.
    edges : np.ndarray
        ``(hours + 1,)``: where each hour begins in ``order``.
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
    order = np.empty(edges[hours], np.int32)
    place = edges.copy()
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
    """Sort footprints by their cell: a counting sort, as cells are few.

    Parameters
    ----------
    cell_of : np.ndarray
        The cell of each footprint, ``(n,)`` int32, -1 for none.
    first : int
        The index of the first of these footprints.
    scratch : np.ndarray
        One integer for each cell of the grid, zero before and after.

    Returns
    -------
    cells : np.ndarray
        The observed cells, ``(m,)`` int32, increasing.
    edges : np.ndarray
        ``(m + 1,)`` int32: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell, within a cell in their order, counted from ``first``.
    """
    seen = 0
    for cell in cell_of:
        if cell >= 0:
            seen += scratch[cell] == 0
            scratch[cell] += 1
    cells = np.empty(seen, np.int32)
    edges = np.zeros(seen + 1, np.int32)
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
    """Draw one platform for each cell and keep its footprints alone.

    Each platform present has a random number of its key, the hour and the cell, and the largest
    number wins: neither the order of the footprints nor that of the platforms matters.

    Parameters
    ----------
    code : np.ndarray
        The platform of each footprint of the table, int8.
    keys : np.ndarray
        A number for each platform, ``(platform,)`` uint64.
    hour : int
        Hours since 1970.
    cells : np.ndarray
        The observed cells, ``(n,)``.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell; changed in place: the ones that are kept move to the front.

    Returns
    -------
    drawn : np.ndarray
        The platform of each cell, ``(n,)`` int8.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints that are kept begin.
    """
    drawn = np.empty(cells.size, np.int8)
    fewer = np.zeros_like(edges)
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
        drawn[row], fewer[row + 1] = best, kept
    return drawn, fewer


@njit(cache=True, error_model="numpy")
def common_platform(code, edges, footprints):
    """Look up the platform that the footprints of each cell have in common.

    Parameters
    ----------
    code : np.ndarray
        The platform of each footprint of the table, int8.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell.

    Returns
    -------
    np.ndarray
        ``(n,)`` int8, :data:`SEVERAL` where platforms differ.
    """
    platforms = np.empty(edges.size - 1, np.int8)
    for row in range(edges.size - 1):
        platforms[row] = code[footprints[edges[row]]]
        for k in range(edges[row], edges[row + 1]):
            if code[footprints[k]] != platforms[row]:
                platforms[row] = SEVERAL
                break
    return platforms


@njit(cache=True, error_model="numpy")
def _mean_of_present(values, footprints, means):
    """Average the values that are not missing, by channel.

    Parameters
    ----------
    values : np.ndarray
        Values of all footprints, ``(n, channel)``.
    footprints : np.ndarray
        Indices of the footprints of one cell.
    means : np.ndarray
        ``(channel,)``, is written; NaN where all are missing.
    """
    for c in range(means.size):
        total, count = 0.0, 0
        for i in footprints:
            if values[i, c] == values[i, c]:
                total += values[i, c]
                count += 1
        means[c] = total / count if count else np.nan


@njit(cache=True, error_model="numpy", nogil=True)
def mean_by_cell(
    values, zenith, lat, lon, cells, edges, footprints, nlat, nlon, means, zeniths, offsets
):
    """Average values, zenith angles and places of the footprints of each cell.

    Sums are in double precision: exact for single-precision values of like size, so that the order
    of the footprints does not matter.

    Parameters
    ----------
    values : np.ndarray
        Values of all footprints, ``(footprint, channel)`` float32, NaN where missing.
    zenith, lat, lon : np.ndarray
        Degrees, ``(footprint,)`` float32.
    cells : np.ndarray
        The observed cells, ``(n,)``, increasing.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell.
    nlat, nlon : int
        Rows and columns of the grid.
    means : np.ndarray
        Mean values, ``(n, channel)``, is written.
    zeniths : np.ndarray
        Mean zenith angles in degrees, ``(n,)``, is written.
    offsets : np.ndarray
        Mean distances to the north and to the east of the cell's centre, in cells, ``(n, 2)``, is
        written.
    """
    channels = values.shape[1]
    last_of_all = edges[-1]
    address, stride, width = values.ctypes.data, values.strides[0], channels * values.itemsize
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
        few = last - first <= 2  # as in most cells of an hour: no sums are needed
        if not few:
            sums[:] = 0.0
        for k in range(first, last):  # no test for missing values here: plain sums vectorise
            if k + _AHEAD < last_of_all:
                soon = np.int64(footprints[k + _AHEAD])
                for byte in range(0, width, _LINE):
                    _prefetch(address + soon * stride + byte)
                _prefetch(address + soon * stride + width - 1)  # may lie on a line of its own
                for other in others:
                    _prefetch(other + soon * 4)
            i = footprints[k]
            angle += zenith[i]
            up += lat[i] - north
            across += _wrap_degrees(lon[i] - east + 180.0) - 180.0
            if not few:
                for c in range(channels):
                    sums[c] += values[i, c]
        share = 1.0 / (last - first)
        zeniths[row] = angle / (last - first)
        offsets[row, 0], offsets[row, 1] = up * share * nlat / 180.0, across * share * nlon / 360.0
        missing = False
        # 0.0 + x makes 0 of -0, as a sum that begins at zero does.
        if last - first == 1:
            for c in range(channels):
                means[row, c] = 0.0 + values[footprints[first], c]
        elif few:
            one, other = footprints[first], footprints[first + 1]
            for c in range(channels):
                average = (0.0 + values[one, c] + values[other, c]) * 0.5
                means[row, c] = average
                missing |= average != average
        else:
            for c in range(channels):
                average = sums[c] / (last - first)
                means[row, c] = average
                missing |= average != average
        if missing:
            _mean_of_present(values, footprints[first:last], means[row])


@njit(cache=True, error_model="numpy")
def _comes_before(values, zenith, lat, lon, one, other):
    """Tell if a footprint comes before another of the same completeness, distance and time.

    Any order will do, as long as it does not depend on that of the table: by values from the first
    channel on, a missing one first, then zenith angle, latitude and longitude.

    Parameters
    ----------
    values : np.ndarray
        Values of all footprints, ``(footprint, channel)``, NaN where missing.
    zenith, lat, lon : np.ndarray
        Degrees, ``(footprint,)``.
    one, other : int
        Indices of the two footprints.

    Returns
    -------
    bool
        True where ``one`` comes first.
    """
    for c in range(values.shape[1]):
        a, b = values[one, c], values[other, c]
        if (a != a) != (b != b):
            return a != a
        if a == a and a != b:
            return a < b
    for column in (zenith, lat, lon):
        if column[one] != column[other]:
            return column[one] < column[other]
    return False


@njit(cache=True, error_model="numpy")
def whole_by_cell(values, zenith, lat, lon, time, cells, edges, footprints, nlat, nlon):
    """Choose one footprint for each cell, whole.

    It is the one with the most values, of equally complete ones the nearest to the cell's centre,
    of equally near ones the earliest.

    Parameters
    ----------
    values : np.ndarray
        Values of all footprints, ``(footprint, channel)`` float32, NaN where missing.
    zenith, lat, lon : np.ndarray
        Degrees, ``(footprint,)`` float32.
    time : np.ndarray
        Times in ns, ``(footprint,)`` int64.
    cells : np.ndarray
        The observed cells, ``(n,)``.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell.
    nlat, nlon : int
        Rows and columns of the grid.

    Returns
    -------
    representative : np.ndarray
        ``(n,)`` int64: index of the footprint.
    offsets : np.ndarray
        ``(n, 2)`` float32: its distance to the north and to the east of the cell's centre, in
        cells.
    """
    representative = np.empty(cells.size, np.int64)
    offsets = np.zeros((cells.size, 2), np.float32)
    for row in range(cells.size):
        north = 90.0 - (cells[row] // nlon + 0.5) * 180.0 / nlat
        east = cells[row] % nlon * 360.0 / nlon
        shrink = np.cos(np.deg2rad(north))
        best, most, least, when = np.int64(-1), -1, np.inf, np.int64(0)
        for k in range(edges[row], edges[row + 1]):
            i = np.int64(footprints[k])
            count = 0
            for c in range(values.shape[1]):
                count += values[i, c] == values[i, c]
            up = lat[i] - north
            across = _wrap_degrees(lon[i] - east + 180.0) - 180.0
            distance = up**2 + (across * shrink) ** 2
            if count != most:
                better = count > most
            elif distance != least:
                better = distance < least
            elif time[i] != when:
                better = time[i] < when
            else:
                better = _comes_before(values, zenith, lat, lon, i, best)
            if better:
                best, most, least, when = i, count, distance, time[i]
                offsets[row, 0], offsets[row, 1] = up * nlat / 180.0, across * nlon / 360.0
        representative[row] = best
    return representative, offsets
