"""From footprints to sparse hourly cells: every footprint goes to its hour and its nearest cell.

A counting sort orders the footprints of an hour by cell, then each cell's are averaged and written once. Beside its
input and output it needs one integer for each cell of the grid and a few for each footprint of the hour.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numba import njit

from fuxiflow.grids import Grid
from fuxiflow.observations import table
from fuxiflow.observations.sparse import SparseWriter

METHODS = ("mean", "nearest")
SEVERAL = -1


@njit(cache=True)
def _mix(x):
    """A 64-bit number as random as a hash: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def _cell(lat, lon, nlat, nlon):
    """Nearest cell of a grid without poles, as :meth:`fuxiflow.grids.Grid.cell`; -1 for invalid coordinates."""
    if not (abs(lat) <= 90.0 and abs(lon) <= 360.0):
        return -1
    row = min(int((90.0 - lat) * nlat / 180.0), nlat - 1)
    column = int(np.floor(lon % 360.0 * nlon / 360.0 + 0.5)) % nlon
    return row * nlon + column


@njit(cache=True)
def _by_cell(lat, lon, order, nlat, nlon, scratch):
    """Sort the footprints ``order`` by cell: a counting sort, as cells are few and numbers.

    Returns the cells seen (n,) in increasing order, edges (n + 1,) and footprints (m,): those of the i-th cell are
    ``footprints[edges[i]:edges[i + 1]]``, in the order given. ``scratch`` (nlat * nlon,) is zero before and after.
    """
    cell_of = np.empty(order.size, np.int64)
    seen = 0
    for k in range(order.size):
        cell = _cell(np.float64(lat[order[k]]), np.float64(lon[order[k]]), nlat, nlon)
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
def _draw(code, keys, hour, cells, edges, footprints):
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
def _whose(code, edges, footprints):
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
def _mean(values, zenith, edges, footprints):
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
def _nearest(values, zenith, lat, lon, time, cells, edges, footprints, nlat, nlon):
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
def _offset(lat, lon, time, cells, edges, footprints, nlat, nlon, nearest):
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


@dataclass(frozen=True)
class Cells:
    """One hour on the grid: ``cell`` (n,) increasing, ``values`` (n, channel), mean ``zenith`` (n,), ``offset`` (n, 2)
    from the cell's centre as in :class:`fuxiflow.observations.sparse.SparseWindow`, ``count`` (n,), ``platform`` (n,);
    ``passed_over`` footprints are of platforms that were not drawn."""

    hour: int
    cell: np.ndarray
    values: np.ndarray
    zenith: np.ndarray
    offset: np.ndarray
    count: np.ndarray
    platform: np.ndarray
    passed_over: int = 0


@dataclass(frozen=True)
class Shared:
    """What becomes of footprints of several platforms in a cell: ``code`` (n,) int8 is the platform of each, ``keys``
    (platform,) uint64 are what one of them is drawn by, None where all count."""

    code: np.ndarray
    keys: np.ndarray | None = None


def draw_keys(seed: int, source: str, platforms: Sequence[str]) -> np.ndarray:
    """Numbers (platform,) uint64 that platforms are drawn by: of the seed, the source and their names."""
    digests = (hashlib.blake2b(f"{seed}/{source}/{name}".encode(), digest_size=8).digest() for name in platforms)
    return np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)


def hourly_cells(time: np.ndarray, lat: np.ndarray, lon: np.ndarray, values: np.ndarray, zenith: np.ndarray,
                 grid: Grid, start: np.datetime64, hours: int, method: str = "mean",
                 shared: Shared | None = None) -> Iterator[Cells]:
    """Grid footprints onto the hours ``start`` + [0, ``hours``), one after the other, hours without any left out.

    ``time``, ``lat``, ``lon``, ``zenith`` are (n,), ``values`` (n, channel) float32, NaN where missing. A footprint
    counts in the hour its time falls into, and in the nearest cell; those outside the hours or without coordinates are
    left out. ``method`` is ``mean`` or ``nearest`` to the cell's centre, each channel by itself; ValueError lists the
    known ones. ``shared`` says of which platforms the footprints are; without it all are of the first.
    """
    if method not in METHODS:
        raise ValueError(f"unknown gridding method {method!r}; known: {', '.join(METHODS)}")
    if grid.poles:
        raise ValueError("sparse grids have no rows on the poles: use a Grid with poles=False")
    # one compiled version serves all: columns of Parquet files come read-only, others not
    lat, lon, zenith = (np.array(column, np.float32) for column in (lat, lon, zenith))
    values = np.require(values, np.float32, ["C", "W"])
    hour = (time.astype("datetime64[h]") - np.datetime64(start, "h")).astype(np.int64)
    hour = np.where(np.isnat(time), -1, hour)
    order = np.argsort(hour, kind="stable")
    edges = np.searchsorted(hour[order], np.arange(hours + 1))
    first = int(np.datetime64(start, "h").astype(np.int64))
    scratch = np.zeros(grid.nlat * grid.nlon, np.int32)
    nanoseconds = time.astype("datetime64[ns]").astype(np.int64)
    for index in np.flatnonzero(np.diff(edges)):
        part = order[edges[index]:edges[index + 1]]
        cells, bounds, members = _by_cell(lat, lon, part, grid.nlat, grid.nlon, scratch)
        platform, bounds = _platforms(shared, first + index, cells, bounds, members)
        passed_over = len(members) - int(bounds[-1])
        if method == "mean":
            found = _mean(values, zenith, bounds, members)
        else:
            found = _nearest(values, zenith, lat, lon, nanoseconds, cells, bounds, members, grid.nlat, grid.nlon)
        if len(cells):
            offset = _offset(lat, lon, nanoseconds, cells, bounds, members, grid.nlat, grid.nlon, method == "nearest")
            yield Cells(int(index), cells, *found, offset, np.diff(bounds), platform, passed_over)


def _platforms(shared: Shared | None, hour: int, cells: np.ndarray, edges: np.ndarray,
               footprints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Platforms (n,) of cells and edges (n + 1,) of the footprints that count, which move to the front."""
    if shared is None:
        return np.zeros(len(cells), np.int8), edges
    seen = shared.code[footprints]
    if len(seen) and (seen == seen[0]).all():
        return np.full(len(cells), seen[0], np.int8), edges
    if shared.keys is None:
        return _whose(shared.code, edges, footprints), edges
    return _draw(shared.code, shared.keys, hour, cells, edges, footprints)


@dataclass(frozen=True)
class Options:
    """How a source is gridded: names of its ``platforms``, ``method``, whether one platform is drawn by ``seed`` or all
    are ``merged``, and the ``frame`` in which its windows are read."""

    platforms: list[str]
    method: str = "mean"
    merged: bool = False
    frame: str = "hourly"
    seed: int = 0


def grid_table(path: Path, output: Path, source: str, units: list[str], grid: Grid, start: date, end: date,
               options: Options) -> Iterator[tuple[date, int, int, int]]:
    """Grid the used footprints of a table over the days from ``start`` to ``end`` into a sparse store, day by day.

    Yields day, footprints, cells and footprints of platforms that were not drawn, for a log. RuntimeError when a
    footprint is lost on the way, ValueError for one of a platform that ``options`` do not name.
    """
    channels = table.channel_names(path)
    days = (end - start).days + 1
    keys = None if options.merged else draw_keys(options.seed, source, options.platforms)
    total = left = 0
    with SparseWriter(output, source, channels, units, grid, np.datetime64(start), 24 * days, options.platforms,
                      options.frame, {"method": options.method}) as out:
        for number in range(days):
            day = start + timedelta(days=number)
            used = table.read_used(path, day, day)
            columns = (table.column(used, name) for name in ("time", "lat", "lon"))
            shared = Shared(table.codes(used, "platform", options.platforms), keys)
            cells = gridded = passed_over = 0
            for found in hourly_cells(*columns, table.values_of(used), table.column(used, "zenith"), grid,
                                      np.datetime64(day), 24, options.method, shared):
                out.write(24 * number + found.hour, found.cell, found.values, found.zenith, found.offset,
                          found.count, found.platform)
                cells, gridded = cells + len(found.cell), gridded + int(found.count.sum())
                passed_over += found.passed_over
            if gridded + passed_over != len(used):
                raise RuntimeError(f"{path}: {len(used)} footprints of {day}, but {gridded + passed_over} on the grid")
            total, left = total + gridded, left + passed_over
            yield day, len(used), cells, passed_over
        out.note(footprints=total, passed_over=left)
