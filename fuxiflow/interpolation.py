"""Linear interpolation on latitude-longitude grids: as sparse matrices, and at scattered points."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fuxiflow.grids import Grid


def linear_matrix(position: np.ndarray, count: int, wrap: bool) -> sparse.csr_matrix:
    """Build the matrix of linear interpolation at fractional indices of a row of values.

    Parameters
    ----------
    position : np.ndarray
        Fractional source indices ``(target,)``, within 0 and ``count - 1``, or ``count`` on a ring.
    count : int
        Number of sources.
    wrap : bool
        The sources lie on a ring: the first follows the last.

    Returns
    -------
    sparse.csr_matrix
        Weights ``(target, source)``, float64, without stored zeros.
    """
    # a target that lies on a source up to rounding takes that source alone
    nearest = np.rint(position)
    position = np.where(np.abs(position - nearest) < 1e-9, nearest, position)
    before = np.floor(position).astype(int)
    share = position - before
    after = (before + 1) % count if wrap else np.minimum(before + 1, count - 1)
    before = before % count
    rows = np.arange(len(position))
    weights = sparse.csr_matrix(
        (np.concatenate([1 - share, share]), (np.tile(rows, 2), np.concatenate([before, after]))),
        shape=(len(position), count),
    )
    weights.eliminate_zeros()
    return weights


class GridPosition(NamedTuple):
    """Position of points among the rows and columns of a grid, each part of the points' shape.

    ``north`` and ``west`` are the indices of the row and column before a point; ``down`` and
    ``across`` its distance to them in rows and columns, between 0 and 1.
    """

    north: np.ndarray
    west: np.ndarray
    down: np.ndarray
    across: np.ndarray


def grid_position(grid: Grid, lat: np.ndarray, lon: np.ndarray) -> GridPosition:
    """Find the rows and columns between which points lie.

    Parameters
    ----------
    grid : Grid
        Points beyond its outermost rows are moved to them.
    lat, lon : np.ndarray
        Degrees, float64, of one shape; longitudes in any convention.

    Returns
    -------
    GridPosition
        Indices and distances, of the shape of ``lat``.
    """
    nlat, nlon = grid.shape
    # The two branches round differently: each keeps its order of factors, so that results stay
    # the same to the last bit.
    if grid.poles:
        row = (90.0 - lat) * ((nlat - 1) / 180.0)
        column = np.mod(lon, 360.0) * (nlon / 360.0)
    else:
        row = np.clip((90.0 - lat) * nlat / 180.0 - 0.5, 0, nlat - 1)
        column = np.mod(lon, 360.0) * nlon / 360.0
    north = np.minimum(row.astype(np.int64), max(nlat - 2, 0))
    west = column.astype(np.int64) % nlon
    return GridPosition(north, west, row - north, column - np.floor(column))


def corners(
    grid: Grid, lat: np.ndarray, lon: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the four cells about each point with the two factors of their bilinear weights.

    Parameters
    ----------
    grid : Grid
        The grid of the cells.
    lat, lon : np.ndarray
        Degrees, float64 ``(n,)``.

    Yields
    ------
    tuple of np.ndarray
        Index ``row * nlon + column`` of the cell, weight of its row and weight of its column,
        ``(n,)`` each; from north-west to south-east.
    """
    nlat, nlon = grid.shape
    north, west, down, across = grid_position(grid, lat, lon)
    for row, row_weight in ((north, 1.0 - down), (np.minimum(north + 1, nlat - 1), down)):
        for column, column_weight in ((west, 1.0 - across), ((west + 1) % nlon, across)):
            yield row * nlon + column, row_weight, column_weight


def bilinear(field: np.ndarray, grid: Grid, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Interpolate a field bilinearly to points.

    Parameters
    ----------
    field : np.ndarray
        Values ``(lat, lon)`` on ``grid``.
    grid : Grid
        Grid of the field.
    lat, lon : np.ndarray
        Degrees, float64, of one shape.

    Returns
    -------
    np.ndarray
        Values at the points, in the field's unit, of the shape of ``lat``.
    """
    nlat, nlon = grid.shape
    north, west, down, across = grid_position(grid, lat, lon)
    east = (west + 1) % nlon
    above, below = (
        (1.0 - across) * field[row, west] + across * field[row, east]
        for row in (north, np.minimum(north + 1, nlat - 1))
    )
    return (1.0 - down) * above + down * below
