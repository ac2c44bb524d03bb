"""From footprints to sparse hourly cells: every footprint goes to its hour and its nearest cell.

A counting sort orders the footprints of an hour by cell, then each cell's are averaged and written once. Beside its
input and output it needs one integer for each cell of the grid and a few for each footprint of the hour.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table, gridding_kernels
from fuxiflow.observations.sparse_grids import SparseWriter

METHODS = ("mean", "nearest")


@dataclass(frozen=True)
class HourlyCells:
    """One hour on the grid: ``cell`` (n,) increasing, ``values`` (n, channel), mean ``zenith`` (n,), ``offset`` (n, 2)
    from the cell's centre as in :class:`fuxiflow.observations.sparse_grids.SparseWindow`, ``count`` (n,), ``platform`` (n,);
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
class PlatformChoice:
    """What becomes of footprints of several platforms in a cell: ``code`` (n,) int8 is the platform of each, ``keys``
    (platform,) uint64 are what one of them is drawn by, None where all count."""

    code: np.ndarray
    keys: np.ndarray | None = None


def platform_keys(seed: int, source: str, platforms: Sequence[str]) -> np.ndarray:
    """Numbers (platform,) uint64 that platforms are drawn by: of the seed, the source and their names."""
    digests = (
        hashlib.blake2b(f"{seed}/{source}/{name}".encode(), digest_size=8).digest()
        for name in platforms
    )
    return np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)


def hourly_cells(
    time: np.ndarray,
    lat: np.ndarray,
    lon: np.ndarray,
    values: np.ndarray,
    zenith: np.ndarray,
    grid: Grid,
    start: np.datetime64,
    hours: int,
    method: str = "mean",
    shared: PlatformChoice | None = None,
    threads: int = 1,
) -> Iterator[HourlyCells]:
    """Grid footprints onto the hours ``start`` + [0, ``hours``), one after the other, hours without any left out.

    ``time``, ``lat``, ``lon``, ``zenith`` are (n,), ``values`` (n, channel) float32, NaN where missing. A footprint
    counts in the hour its time falls into, and in the nearest cell; those outside the hours or without coordinates are
    left out. ``method`` is ``mean`` or ``nearest`` to the cell's centre, each channel by itself; ValueError lists the
    known ones. ``shared`` says of which platforms the footprints are; without it all are of the first.
    Means are the same to the last bit on any number of ``threads``, each of which has some of the cells.
    """
    if method not in METHODS:
        raise ValueError(f"unknown gridding method {method!r}; known: {', '.join(METHODS)}")
    if grid.poles:
        raise ValueError("sparse grids have no rows on the poles: use a Grid with poles=False")
    lat, lon, zenith = (_column(column, np.float32) for column in (lat, lon, zenith))
    values = _column(values, np.float32)
    instants = _column(time, "datetime64[ns]").view(np.int64)
    begin = np.datetime64(np.datetime64(start, "h"), "ns").astype(np.int64)
    order, hour_edges = _by_hour(instants, begin, hours)
    scratch, shape = np.zeros(grid.nlat * grid.nlon, np.int32), (grid.nlat, grid.nlon)
    cell_of = gridding_kernels.nearest_cells(lat, lon, *shape)[order]
    for index in np.flatnonzero(np.diff(hour_edges)):
        first, last = hour_edges[index : index + 2]
        cells, bounds, members = gridding_kernels.sort_by_cell(cell_of[first:last], first, scratch)
        if isinstance(order, np.ndarray):
            members = order[members]
        platform, bounds = _platforms(
            shared, begin // gridding_kernels.HOUR + index, cells, bounds, members
        )
        passed_over = len(members) - int(bounds[-1])
        if method == "mean":
            found = _means((values, zenith, lat, lon), cells, bounds, members, shape, threads)
        else:
            places = lat, lon, instants, cells, bounds, members
            found = (
                *gridding_kernels.nearest_by_cell(values, zenith, *places, *shape),
                gridding_kernels.nearest_offset(*places, *shape),
            )
        if len(cells):
            yield HourlyCells(int(index), cells, *found, np.diff(bounds), platform, passed_over)


def _by_hour(time: np.ndarray, begin: int, hours: int) -> tuple[np.ndarray | slice, np.ndarray]:
    """Footprints by the hour after ``begin`` that their ``time`` (n,) falls into, both in ns since 1970: their order,
    a slice of all where they come in the order of time, and the edges (hours + 1,) of the hours in it."""
    if gridding_kernels.is_ascending(time):
        return slice(None), np.searchsorted(
            time, begin + gridding_kernels.HOUR * np.arange(hours + 1)
        )
    return gridding_kernels.sort_by_hour(time, begin, hours)


def _column(array: np.ndarray, kind: type | str) -> np.ndarray:
    """An array as one block of a kind, copied only where it is not, and read-only as columns of Parquet files are: one
    compiled version of the kernels serves all."""
    found = np.ascontiguousarray(array, kind).view()
    found.flags.writeable = False
    return found


def _means(
    columns: tuple[np.ndarray, ...],
    cells: np.ndarray,
    edges: np.ndarray,
    footprints: np.ndarray,
    shape: tuple[int, int],
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Mean values (n, channel), zenith angles (n,) and offsets (n, 2) of cells."""
    # numpy makes room for them: unlike numba it asks for huge pages
    found = tuple(
        np.empty((len(cells), *tail), np.float32) for tail in ((columns[0].shape[1],), (), (2,))
    )

    def some(first: int, last: int) -> None:
        gridding_kernels.mean_by_cell(
            *columns,
            cells[first:last],
            edges[first : last + 1],
            footprints,
            *shape,
            *(array[first:last] for array in found),
        )

    limits = np.linspace(0, len(cells), threads + 1).astype(int).tolist()
    if threads == 1:
        some(*limits)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, limits[:-1], limits[1:]))
    return found


def _platforms(
    shared: PlatformChoice | None,
    hour: int,
    cells: np.ndarray,
    edges: np.ndarray,
    footprints: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Platforms (n,) of cells and edges (n + 1,) of the footprints that count, which move to the front."""
    if shared is None:
        return np.zeros(len(cells), np.int8), edges
    seen = shared.code[footprints]
    if len(seen) and (seen == seen[0]).all():
        return np.full(len(cells), seen[0], np.int8), edges
    if shared.keys is None:
        return gridding_kernels.common_platform(shared.code, edges, footprints), edges
    return gridding_kernels.draw_platforms(shared.code, shared.keys, hour, cells, edges, footprints)


@dataclass(frozen=True)
class GriddingOptions:
    """How a source is gridded: names of its ``platforms``, ``method``, whether one platform is drawn by ``seed`` or all
    are ``merged``, and the ``frame`` in which its windows are read. ``origin`` says what they are, ``observed`` or
    ``simulated``."""

    platforms: list[str]
    method: str = "mean"
    merged: bool = False
    frame: str = "hourly"
    seed: int = 0
    origin: str = "observed"


def grid_footprints(
    path: Path,
    output: Path,
    source: str,
    units: list[str],
    grid: Grid,
    start: date,
    end: date,
    options: GriddingOptions,
) -> Iterator[tuple[date, int, int, int]]:
    """Grid the used footprints of a table over the days from ``start`` to ``end`` into a sparse store, day by day.

    Yields day, footprints, cells and footprints of platforms that were not drawn, for a log. RuntimeError when a
    footprint is lost on the way, ValueError for one of a platform that ``options`` do not name.
    """
    channels = footprint_table.read_channel_names(path)
    days = (end - start).days + 1
    keys = None if options.merged else platform_keys(options.seed, source, options.platforms)
    total = left = 0
    with SparseWriter(
        output,
        source,
        channels,
        units,
        grid,
        np.datetime64(start),
        24 * days,
        options.platforms,
        options.frame,
        {"method": options.method, "origin": options.origin},
    ) as out:
        for number, (day, used) in enumerate(footprint_table.used_by_day(path, start, end)):
            columns = (footprint_table.column_values(used, name) for name in ("time", "lat", "lon"))
            shared = PlatformChoice(
                footprint_table.category_indices(used, "platform", options.platforms), keys
            )
            cells = gridded = passed_over = 0
            for found in hourly_cells(
                *columns,
                footprint_table.values_of(used),
                footprint_table.column_values(used, "zenith"),
                grid,
                np.datetime64(day),
                24,
                options.method,
                shared,
            ):
                out.write(
                    24 * number + found.hour,
                    found.cell,
                    found.values,
                    found.zenith,
                    found.offset,
                    found.count,
                    found.platform,
                )
                cells, gridded = cells + len(found.cell), gridded + int(found.count.sum())
                passed_over += found.passed_over
            if gridded + passed_over != len(used):
                raise RuntimeError(
                    f"{path}: {len(used)} footprints of {day}, but {gridded + passed_over} on the grid"
                )
            total, left = total + gridded, left + passed_over
            yield day, len(used), cells, passed_over
        out.note(footprints=total, passed_over=left)
