"""Regrid fields between regular latitude-longitude grids.

Regridding is conservative where the target is coarser, bilinear where it is not. Both are
separable: a sparse matrix for latitude and one for longitude.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy import sparse

from fuxiflow.grids import Grid, row_edges
from fuxiflow.interpolation import linear_matrix
from fuxiflow.states.grib_messages import GribError

TOLERANCE = 2e-3  # degrees: edition 1 keeps coordinates to a thousandth


@dataclass(frozen=True)
class SourceGrid:
    """A global regular grid as files have it, in degrees.

    Latitudes run from ``north`` to ``south``, ``nlon`` longitudes eastwards from ``west``. With
    ``repeated`` the files' last column is the first again; :meth:`normalise` drops it.
    """

    north: float
    south: float
    nlat: int
    west: float
    nlon: int
    repeated: bool = False

    @classmethod
    def spanning(
        cls, north: float, south: float, nlat: int, west: float, east: float, columns: int
    ) -> "SourceGrid":
        """Make a grid of a file's first and last coordinates.

        Parameters
        ----------
        north, south : float
            First and last latitude in degrees.
        nlat : int
            Number of rows.
        west, east : float
            First and last longitude in degrees.
        columns : int
            Number of columns in the file.

        Returns
        -------
        SourceGrid
            The grid, without a column that stands twice.

        Raises
        ------
        GribError
            Unless the grid is global; the text names the extent.
        """
        if nlat < 2 or columns < 2:
            raise GribError(f"a grid of {nlat} x {columns} points cannot be regridded")
        step = (north - south) / (nlat - 1)
        span = (east - west) % 360.0
        span = 360.0 if span < TOLERANCE else span
        repeated = abs(span - 360.0) < TOLERANCE
        closed = abs(span + span / (columns - 1) - 360.0) < columns * TOLERANCE
        if max(90.0 - north, south + 90.0) > step + TOLERANCE or not (repeated or closed):
            raise GribError(
                f"the field is not global: latitude {north} .. {south}, longitude {west} .. {east}"
            )
        # files round coordinates to a thousandth of a degree, but rows at the poles are exact
        north, south = (
            np.sign(value) * 90.0 if abs(90.0 - abs(value)) < TOLERANCE else value
            for value in (north, south)
        )
        return cls(
            float(north),
            float(south),
            nlat,
            float(west % 360.0),
            columns - repeated,
            bool(repeated),
        )

    @classmethod
    def of(cls, grid: Grid) -> "SourceGrid":
        """Take a :class:`Grid` as a source."""
        return cls(float(grid.lat[0]), float(grid.lat[-1]), grid.nlat, 0.0, grid.nlon)

    @cached_property
    def lat(self) -> np.ndarray:
        """Latitudes ``(lat,)``, north to south."""
        return np.linspace(self.north, self.south, self.nlat)

    @cached_property
    def lon(self) -> np.ndarray:
        """Longitudes ``(lon,)`` eastwards from ``west``, in [west, west + 360)."""
        return self.west + np.arange(self.nlon) * (360.0 / self.nlon)

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Drop the repeated column of a file's values ``(lat, column)``."""
        return values[:, :-1] if self.repeated else values


def conservative_rows(source: np.ndarray, target: np.ndarray) -> sparse.csr_matrix:
    """Return weights ``(target, source)``: the share of a target row's area in each source row."""
    edges, goals = (np.sin(np.deg2rad(row_edges(lat))) for lat in (source, target))
    top = np.minimum(goals[:-1, None], edges[None, :-1])
    bottom = np.maximum(goals[1:, None], edges[None, 1:])
    overlap = np.maximum(top - bottom, 0.0)
    return sparse.csr_matrix(overlap / (goals[:-1] - goals[1:])[:, None])


def conservative_columns(source: np.ndarray, target: np.ndarray) -> sparse.csr_matrix:
    """Return weights ``(target, source)``: the share of a target column in each source column."""
    width, goal = 360.0 / len(source), 360.0 / len(target)
    # distance between centres, wrapped to [-180, 180)
    distance = (target[:, None] - source[None, :] + 180.0) % 360.0 - 180.0
    overlap = np.minimum(distance + goal / 2, width / 2) - np.maximum(
        distance - goal / 2, -width / 2
    )
    return sparse.csr_matrix(np.maximum(overlap, 0.0) / goal)


def bilinear_rows(source: np.ndarray, target: np.ndarray) -> sparse.csr_matrix:
    """Return linear weights ``(target, source)``; beyond the outermost rows those count."""
    position = np.interp(-target, -source, np.arange(len(source)))
    return linear_matrix(position, len(source), wrap=False)


def bilinear_columns(source: np.ndarray, target: np.ndarray) -> sparse.csr_matrix:
    """Return linear weights ``(target, source)`` around the globe."""
    position = ((target - source[0]) % 360.0) * len(source) / 360.0
    return linear_matrix(position, len(source), wrap=True)


def is_conservative(source: SourceGrid, target: Grid) -> bool:
    """Tell if the target is coarser than the source, along latitude or longitude."""
    step = (source.north - source.south) / (source.nlat - 1)
    goal = float(target.lat[0] - target.lat[1])
    return goal > step * (1 + 1e-6) or target.nlon < source.nlon


@lru_cache(maxsize=16)
def _weights(source: SourceGrid, target: Grid) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    if is_conservative(source, target):
        rows, columns = (
            conservative_rows(source.lat, target.lat),
            conservative_columns(source.lon, target.lon),
        )
    else:
        rows, columns = (
            bilinear_rows(source.lat, target.lat),
            bilinear_columns(source.lon, target.lon),
        )
    return rows.astype(np.float32), columns.astype(np.float32)


def regrid(values: np.ndarray, source: SourceGrid, target: Grid) -> np.ndarray:
    """Regrid fields, conservatively to a coarser grid and bilinearly to one as fine or finer.

    Conservative regridding is of first order: exact overlaps of cell areas, the area mean is kept.

    Parameters
    ----------
    values : np.ndarray
        Fields ``(channel, lat, lon)`` on the source grid.
    source : SourceGrid
        Grid of the fields.
    target : Grid
        Grid of the result.

    Returns
    -------
    np.ndarray
        Fields ``(channel, lat, lon)`` on the target, float32.

    Raises
    ------
    ValueError
        When the fields are not on the source grid.
    """
    if values.shape[1:] != (source.nlat, source.nlon):
        raise ValueError(
            f"fields of {values.shape[1:]} are not on a grid of {(source.nlat, source.nlon)}"
        )
    rows, columns = _weights(source, target)
    count = len(values)
    # (lat, channel * lon), then (lon, channel * lat): sparse @ dense contracts the first axis
    across = rows @ np.ascontiguousarray(values.transpose(1, 0, 2), np.float32).reshape(
        source.nlat, -1
    )
    along = np.ascontiguousarray(across.reshape(target.nlat, count, source.nlon).transpose(2, 1, 0))
    result = columns @ along.reshape(source.nlon, -1)
    return np.ascontiguousarray(result.reshape(target.nlon, count, target.nlat).transpose(1, 2, 0))
