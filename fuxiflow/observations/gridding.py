"""Gridding: each footprint goes to its hour and its nearest cell, and each cell gets one value.

A counting sort orders the footprints of an hour by cell, then each cell's are averaged and written
once. Beside its input and output it needs one integer for each cell of the grid and a few for each
footprint of the hour.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table, gridding_kernels
from fuxiflow.observations.sparse_grids import SparseWriter

METHODS = ("mean", "whole")
HOURS_AT_A_TIME = 6
"""Hours of a table that are gridded at a time."""


@dataclass(frozen=True)
class HourlyCells:
    """The observed cells of one hour.

    Attributes
    ----------
    hour : int
        Hours from the start.
    cell : np.ndarray
        ``(n,)`` increasing: row * nlon + column.
    values : np.ndarray
        ``(n, channel)`` float32, NaN where missing.
    zenith : np.ndarray
        Satellite zenith angle in degrees, ``(n,)``.
    offset : np.ndarray
        ``(n, 2)``: distance of the footprints from the cell's centre to the north and to the east,
        in cells, as in :class:`fuxiflow.observations.sparse_grids.SparseWindow`.
    count : np.ndarray
        Footprints in each cell, ``(n,)``.
    platform : np.ndarray
        Index of the platform of each cell, ``(n,)``; -1 for several. Of ``whole`` footprints that
        of the one that was chosen.
    passed_over : int
        Footprints of platforms that were not drawn.
    """

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
    """The choice between footprints of several platforms that fall into one cell.

    Attributes
    ----------
    code : np.ndarray
        Index of the platform of each footprint, ``(n,)`` int8.
    keys : np.ndarray or None
        Numbers ``(platform,)`` uint64 by which one platform is drawn; None where all count.
    """

    code: np.ndarray
    keys: np.ndarray | None = None


@dataclass(frozen=True)
class GriddingOptions:
    """The settings with which a source is gridded.

    Attributes
    ----------
    platforms : list[str]
        Names of the source's platforms.
    method : str
        One of :data:`METHODS`: the mean, or one whole footprint.
    merged : bool
        True where the footprints of all platforms count in a cell; else one platform is drawn.
    frame : str
        The frame in which the source's windows are read, ``hourly`` or ``single``.
    seed : int
        The seed by which platforms are drawn.
    origin : str
        ``observed`` or ``simulated``.
    """

    platforms: list[str]
    method: str = "mean"
    merged: bool = False
    frame: str = "hourly"
    seed: int = 0
    origin: str = "observed"


class GriddedDay(NamedTuple):
    """Counts of one day: used footprints, observed cells, footprints of platforms not drawn."""

    day: date
    footprints: int
    cells: int
    passed_over: int


def platform_keys(seed: int, source: str, platforms: Sequence[str]) -> np.ndarray:
    """Make the numbers by which one of several platforms is drawn.

    Parameters
    ----------
    seed : int
        The seed of the run.
    source : str
        Name of the source.
    platforms : Sequence[str]
        Names of its platforms.

    Returns
    -------
    np.ndarray
        ``(platform,)`` uint64: hashes of the seed and the names, the same in every process.
    """
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
    """Grid footprints onto the hours ``start`` + [0, ``hours``), one after the other.

    A footprint counts in the hour its time falls into, and in the nearest cell. Footprints outside
    the hours or without coordinates are left out. Means are the same to the last bit on any number
    of threads.

    Parameters
    ----------
    time : np.ndarray
        ``(n,)`` datetime64, UTC.
    lat, lon : np.ndarray
        Degrees, ``(n,)``.
    values : np.ndarray
        ``(n, channel)`` float32, NaN where missing.
    zenith : np.ndarray
        Satellite zenith angle in degrees, ``(n,)``.
    grid : Grid
        A grid without poles.
    start : np.datetime64
        The first hour.
    hours : int
        The number of hours.
    method : str
        ``mean`` of each channel, or one ``whole`` footprint: the most complete, of equally complete
        ones the nearest to the cell's centre. Levels of two soundings are never mixed.
    shared : PlatformChoice, optional
        The platforms of the footprints; without it all are of the first platform.
    threads : int
        Threads that compute means, each those of some of the cells.

    Yields
    ------
    HourlyCells
        Each hour with footprints; hours without any are left out.

    Raises
    ------
    ValueError
        For an unknown method, and for a grid with poles.
    """
    if method not in METHODS:
        raise ValueError(f"unknown gridding method {method!r}; known: {', '.join(METHODS)}")
    if grid.poles:
        raise ValueError("sparse grids have no rows on the poles: use a Grid with poles=False")
    lat, lon, zenith = (_contiguous(column, np.float32) for column in (lat, lon, zenith))
    values = _contiguous(values, np.float32)
    instants = _contiguous(time, "datetime64[ns]").view(np.int64)
    # Slots start on the hour, whatever the start says.
    begin = np.datetime64(np.datetime64(start, "h"), "ns").astype(np.int64)
    order, hour_edges = _by_hour(instants, begin, hours)
    shape = (grid.nlat, grid.nlon)
    scratch = np.zeros(grid.nlat * grid.nlon, np.int32)
    cell_of = gridding_kernels.nearest_cells(lat, lon, *shape)[order]
    for index in np.flatnonzero(np.diff(hour_edges)):
        first, last = hour_edges[index : index + 2]
        cells, edges, footprints = gridding_kernels.sort_by_cell(
            cell_of[first:last], first, scratch
        )
        # Positions in the order of time become rows of the table.
        if isinstance(order, np.ndarray):
            footprints = order[footprints]
        # Hours since 1970: the draw does not depend on where a segment begins.
        platform, edges = _choose_platforms(
            shared, begin // gridding_kernels.HOUR + index, cells, edges, footprints
        )
        passed_over = len(footprints) - int(edges[-1])
        if method == "mean":
            columns = (values, zenith, lat, lon)
            content = _means(columns, cells, edges, footprints, shape, threads)
        else:
            row, offset = gridding_kernels.whole_by_cell(
                values, zenith, lat, lon, instants, cells, edges, footprints, *shape
            )
            content = values[row], zenith[row], offset
            if shared is not None:
                platform = shared.code[row]
        if len(cells):
            yield HourlyCells(int(index), cells, *content, np.diff(edges), platform, passed_over)


def _by_hour(time: np.ndarray, begin: int, hours: int) -> tuple[np.ndarray | slice, np.ndarray]:
    """Sort footprints by the hour that their time falls into.

    Parameters
    ----------
    time : np.ndarray
        Times in ns since 1970, ``(n,)`` int64.
    begin : int
        The first hour, in ns since 1970.
    hours : int
        The number of hours.

    Returns
    -------
    order : np.ndarray or slice
        Indices of the footprints by hour; a slice of all where they come in the order of time.
    edges : np.ndarray
        ``(hours + 1,)``: where each hour begins in the order.
    """
    # Most files come in the order of time: that saves the sort, and a copy of all cells.
    if gridding_kernels.is_ascending(time):
        hour_starts = begin + gridding_kernels.HOUR * np.arange(hours + 1)
        return slice(None), np.searchsorted(time, hour_starts)
    return gridding_kernels.sort_by_hour(time, begin, hours)


def _contiguous(array: np.ndarray, kind: type | str) -> np.ndarray:
    """View an array as one read-only block of a type, copied only where it is not one.

    Columns of Parquet files are read-only: if all arrays are, one compiled version of the kernels
    serves all.
    """
    block = np.ascontiguousarray(array, kind).view()
    block.flags.writeable = False
    return block


def _means(
    columns: tuple[np.ndarray, ...],
    cells: np.ndarray,
    edges: np.ndarray,
    footprints: np.ndarray,
    shape: tuple[int, int],
    threads: int,
) -> tuple[np.ndarray, ...]:
    """Average the footprints of each cell.

    Parameters
    ----------
    columns : tuple[np.ndarray, ...]
        Values, zenith angles, latitudes and longitudes of all footprints.
    cells : np.ndarray
        The observed cells, ``(n,)``.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell.
    shape : tuple[int, int]
        Rows and columns of the grid.
    threads : int
        Each thread takes a run of cells.

    Returns
    -------
    tuple[np.ndarray, ...]
        Mean values ``(n, channel)``, zenith angles ``(n,)`` in degrees and offsets ``(n, 2)`` in
        cells, float32.
    """
    # numpy allocates them, not numba: it asks for huge pages
    means = tuple(
        np.empty((len(cells), *tail), np.float32) for tail in ((columns[0].shape[1],), (), (2,))
    )

    def average(first: int, last: int) -> None:
        gridding_kernels.mean_by_cell(
            *columns,
            cells[first:last],
            edges[first : last + 1],
            footprints,
            *shape,
            *(array[first:last] for array in means),
        )

    limits = np.linspace(0, len(cells), threads + 1).astype(int).tolist()
    if threads == 1:
        average(*limits)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(average, limits[:-1], limits[1:]))
    return means


def _choose_platforms(
    shared: PlatformChoice | None,
    hour: int,
    cells: np.ndarray,
    edges: np.ndarray,
    footprints: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the platform whose footprints each cell keeps; reorders ``footprints`` in place.

    Parameters
    ----------
    shared : PlatformChoice or None
        The platforms of the footprints and how one is chosen.
    hour : int
        Hours since 1970: each hour has a draw of its own.
    cells : np.ndarray
        The observed cells, ``(n,)``.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints of each cell begin.
    footprints : np.ndarray
        Indices of footprints by cell. Those that count move to the front.

    Returns
    -------
    platform : np.ndarray
        ``(n,)`` int8, -1 for several.
    edges : np.ndarray
        ``(n + 1,)``: where the footprints that count begin.
    """
    if shared is None:
        return np.zeros(len(cells), np.int8), edges
    present = shared.code[footprints]
    # One platform alone is the usual case; there is nothing to draw.
    if len(present) and (present == present[0]).all():
        return np.full(len(cells), present[0], np.int8), edges
    if shared.keys is None:
        return gridding_kernels.common_platform(shared.code, edges, footprints), edges
    return gridding_kernels.draw_platforms(shared.code, shared.keys, hour, cells, edges, footprints)


def grid_footprints(
    path: Path,
    output: Path,
    source: str,
    units: list[str],
    grid: Grid,
    start: date,
    end: date,
    options: GriddingOptions,
) -> Iterator[GriddedDay]:
    """Grid the used footprints of a table into a sparse store, day by day.

    The store is complete when the last day was taken from this iterator.

    Parameters
    ----------
    path : Path
        A footprint table after quality control.
    output : Path
        The Zarr store that is written, see :mod:`fuxiflow.observations.sparse_grids`.
    source : str
        Name of the source.
    units : list[str]
        Unit of each channel.
    grid : Grid
        A grid without poles.
    start, end : date
        First and last day, both included.
    options : GriddingOptions
        Settings of the source.

    Yields
    ------
    GriddedDay
        The counts of each day, for a log.

    Raises
    ------
    RuntimeError
        Where a footprint is lost on the way.
    ValueError
        For a footprint of a platform that ``options`` do not name.
    """
    channels = footprint_table.read_channel_names(path)
    days = (end - start).days + 1
    keys = None if options.merged else platform_keys(options.seed, source, options.platforms)
    total = total_passed_over = 0
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
    ) as store:
        cells = gridded = passed_over = 0
        # a day of a sounder at full density has a GB: a few hours of it are in memory at a time
        for first, used in footprint_table.used_in_turn(path, start, end, HOURS_AT_A_TIME):
            time, lat, lon, zenith = (
                footprint_table.column_values(used, name)
                for name in ("time", "lat", "lon", "zenith")
            )
            platforms = footprint_table.category_indices(used, "platform", options.platforms)
            number = int((first - np.datetime64(start, "h")).astype(int))
            placed = 0
            for part in hourly_cells(
                time,
                lat,
                lon,
                footprint_table.values_of(used),
                zenith,
                grid,
                first,
                HOURS_AT_A_TIME,
                options.method,
                PlatformChoice(platforms, keys),
            ):
                store.write(
                    number + part.hour,
                    part.cell,
                    part.values,
                    part.zenith,
                    part.offset,
                    part.count,
                    part.platform,
                )
                cells += len(part.cell)
                gridded += int(part.count.sum())
                passed_over += part.passed_over
                placed += int(part.count.sum()) + part.passed_over
            # Used footprints have valid places and times: each one must be in a cell.
            if placed != len(used):
                raise RuntimeError(
                    f"{path}: {len(used)} footprints of the {HOURS_AT_A_TIME} hours from "
                    f"{first} on, but {placed} on the grid"
                )
            if (number + HOURS_AT_A_TIME) % 24 == 0:
                total += gridded
                total_passed_over += passed_over
                day = first.astype("datetime64[D]").item()
                yield GriddedDay(day, gridded + passed_over, cells, passed_over)
                cells = gridded = passed_over = 0
        store.note(footprints=total, passed_over=total_passed_over)
