"""From footprints to sparse hourly cells: every footprint goes to its hour and its nearest cell.

A counting sort orders the footprints of an hour by cell, then each cell's are averaged and written once. Beside its
input and output it needs one integer for each cell of the grid and a few for each footprint of the hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numba import njit

from fuxiflow.grids import Grid
from fuxiflow.observations import table
from fuxiflow.observations.sparse import SparseWriter

METHODS = ("mean", "nearest")


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
    """By cell and channel the value of the footprint nearest to the cell's centre that has one, of equal ones the
    earliest; zenith is that of the nearest footprint."""
    seen, channels = cells.size, values.shape[1]
    chosen, zeniths = np.full((seen, channels), np.float32(np.nan)), np.empty(seen, np.float32)
    best, when = np.empty(channels + 1), np.empty(channels + 1, np.int64)
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
                if c < channels and values[i, c] != values[i, c]:
                    continue
                if distance < best[c] or (distance == best[c] and time[i] < when[c]):
                    best[c], when[c] = distance, time[i]
                    if c < channels:
                        chosen[row, c] = values[i, c]
                    else:
                        zeniths[row] = zenith[i]
    return chosen, zeniths


@njit(cache=True)
def _offset(lat, lon, cells, edges, footprints, nlat, nlon, nearest):
    """How far north and east of its centre the footprints of each cell lie, in cells (n, 2): mean, or the nearest."""
    offsets = np.zeros((cells.size, 2), np.float32)
    for row in range(cells.size):
        north = 90.0 - (cells[row] // nlon + 0.5) * 180.0 / nlat
        east = cells[row] % nlon * 360.0 / nlon
        shrink = np.cos(np.deg2rad(north))
        first, last = edges[row], edges[row + 1]
        up, across, best = 0.0, 0.0, np.inf
        for k in range(first, last):
            i = footprints[k]
            dy, dx = lat[i] - north, (lon[i] - east + 180.0) % 360.0 - 180.0
            if not nearest:
                up += dy / (last - first)
                across += dx / (last - first)
            elif dy**2 + (dx * shrink) ** 2 < best:
                up, across, best = dy, dx, dy**2 + (dx * shrink) ** 2
        offsets[row, 0], offsets[row, 1] = up * nlat / 180.0, across * nlon / 360.0
    return offsets


@dataclass(frozen=True)
class Cells:
    """One hour on the grid: ``cell`` (n,) increasing, ``values`` (n, channel), mean ``zenith`` (n,), ``offset`` (n, 2)
    from the cell's centre as in :class:`fuxiflow.observations.sparse.SparseWindow`, ``count`` (n,)."""

    hour: int
    cell: np.ndarray
    values: np.ndarray
    zenith: np.ndarray
    offset: np.ndarray
    count: np.ndarray


def hourly_cells(time: np.ndarray, lat: np.ndarray, lon: np.ndarray, values: np.ndarray, zenith: np.ndarray,
                 grid: Grid, start: np.datetime64, hours: int, method: str = "mean") -> Iterator[Cells]:
    """Grid footprints onto the hours ``start`` + [0, ``hours``), one after the other, hours without any left out.

    ``time``, ``lat``, ``lon``, ``zenith`` are (n,), ``values`` (n, channel) float32, NaN where missing. A footprint
    counts in the hour its time falls into, and in the nearest cell; those outside the hours or without coordinates are
    left out. ``method`` is ``mean`` or ``nearest`` to the cell's centre, each channel by itself; ValueError lists the
    known ones.
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
    scratch = np.zeros(grid.nlat * grid.nlon, np.int32)
    nanoseconds = time.astype("datetime64[ns]").astype(np.int64)
    for index in np.flatnonzero(np.diff(edges)):
        part = order[edges[index]:edges[index + 1]]
        cells, bounds, members = _by_cell(lat, lon, part, grid.nlat, grid.nlon, scratch)
        if method == "mean":
            found = _mean(values, zenith, bounds, members)
        else:
            found = _nearest(values, zenith, lat, lon, nanoseconds, cells, bounds, members, grid.nlat, grid.nlon)
        if len(cells):
            offset = _offset(lat, lon, cells, bounds, members, grid.nlat, grid.nlon, method == "nearest")
            yield Cells(int(index), cells, *found, offset, np.diff(bounds))


def grid_table(path: Path, output: Path, source: str, units: list[str], grid: Grid, start: date, end: date,
               method: str) -> Iterator[tuple[date, int, int]]:
    """Grid the used footprints of a table over the days from ``start`` to ``end`` into a sparse store, day by day.

    Yields day, footprints and cells, for a log. RuntimeError when a footprint is lost on the way.
    """
    channels = table.channel_names(path)
    days = (end - start).days + 1
    attributes = {"method": method}
    with SparseWriter(output, source, channels, units, grid, np.datetime64(start), 24 * days, attributes) as out:
        for number in range(days):
            day = start + timedelta(days=number)
            used = table.read_used(path, day, day)
            columns = (table.column(used, name) for name in ("time", "lat", "lon"))
            cells = gridded = 0
            for found in hourly_cells(*columns, table.values_of(used), table.column(used, "zenith"), grid,
                                      np.datetime64(day), 24, method):
                out.write(24 * number + found.hour, found.cell, found.values, found.zenith, found.offset,
                          found.count)
                cells, gridded = cells + len(found.cell), gridded + int(found.count.sum())
            if gridded != len(used):
                raise RuntimeError(f"{path}: {len(used)} footprints of {day}, but {gridded} on the grid")
            yield day, len(used), cells
