"""Fields about a place on a global grid: minima, vorticity, strongest and mean winds.

Longitudes wrap, and cells beyond a pole are those of the opposite meridian.
"""

from dataclasses import dataclass

import numpy as np

from fuxiflow.cyclones.sphere import displaced, displacement
from fuxiflow.grids import Grid
from fuxiflow.physics import EARTH_RADIUS, great_circle

_KM = 1000.0
_FITTED = 6
"""Coefficients of a parabola in two dimensions."""


@dataclass(frozen=True)
class Surroundings:
    """The cells about a place, with a margin of one cell on each side.

    Attributes
    ----------
    grid : Grid
        The grid.
    rows, columns : np.ndarray
        Indices ``(row,)`` and ``(column,)`` of the cells; rows may lie beyond a pole.
    distance : np.ndarray
        Distance ``(row, column)`` from the place in km.
    """

    grid: Grid
    rows: np.ndarray
    columns: np.ndarray
    distance: np.ndarray

    @classmethod
    def of(cls, grid: Grid, lat: float, lon: float, radius: float) -> "Surroundings":
        """Gather the cells within a distance of a place.

        Parameters
        ----------
        grid : Grid
            The grid.
        lat, lon : float
            The place in degrees.
        radius : float
            The distance in km.

        Returns
        -------
        Surroundings
            The cells, those of the margin farther away.
        """
        cell = int(grid.cell(np.array(lat), np.array(lon % 360.0)))
        row, column = divmod(cell, grid.nlon)
        angle = np.degrees(radius / EARTH_RADIUS)
        step = 180.0 / (grid.nlat - grid.poles)
        height = int(np.ceil(angle / step)) + 2
        rows = np.arange(max(row - height, -1), min(row + height, grid.nlat) + 1)
        half = grid.nlon // 2 + 1
        if abs(lat) + angle < 90.0:
            opening = np.sin(np.radians(angle)) / np.cos(np.radians(lat))
            width = np.degrees(np.arcsin(min(opening, 1.0)))
            half = min(int(np.ceil(width * grid.nlon / 360.0)) + 2, half)
        columns = np.arange(column - half, column + half + 1)
        lats = row_latitudes(grid, rows)
        distance = great_circle(lat, lon, lats[:, None], columns[None, :] * (360.0 / grid.nlon))
        return cls(grid, rows, columns, distance)

    @property
    def lat(self) -> np.ndarray:
        """Latitudes ``(row,)`` in degrees, beyond 90 past a pole."""
        return row_latitudes(self.grid, self.rows)

    @property
    def lon(self) -> np.ndarray:
        """Longitudes ``(column,)`` in degrees, in any interval of 360."""
        return self.columns * (360.0 / self.grid.nlon)

    def cut(self, field: np.ndarray, component: bool = False) -> np.ndarray:
        """Cut ``(row, column)`` from a field ``(lat, lon)``, in float64.

        A ``component`` of a vector has the other sign past a pole.
        """
        edge = 0 if self.grid.poles else 1
        north, south = self.rows < 0, self.rows >= self.grid.nlat
        rows = np.where(north, -self.rows - edge, self.rows)
        rows = np.where(south, 2 * self.grid.nlat - 2 + edge - self.rows, rows)
        beyond = north | south
        columns = self.columns + np.where(beyond, self.grid.nlon // 2, 0)[:, None]
        values = field[rows[:, None], columns % self.grid.nlon].astype(float)
        return np.where(beyond[:, None], -values, values) if component else values

    def within(self, radius: float) -> np.ndarray:
        """Mark the inner cells ``(row - 2, column - 2)`` within a distance in km.

        On a grid so coarse that there is none it is the nearest one.
        """
        inner = self.distance[1:-1, 1:-1]
        return inner <= max(radius, float(inner.min()))

    def minima(self, field: np.ndarray, radius: float) -> list[tuple[float, int, int]]:
        """Find the local minima of a field: above none of their neighbours, below one at least.

        Parameters
        ----------
        field : np.ndarray
            Field ``(lat, lon)``.
        radius : float
            Distance in km within which they lie.

        Returns
        -------
        list of tuple
            Value, and indices in :attr:`rows` and :attr:`columns`, from the lowest up.
        """
        values = self.cut(field)
        inner = values[1:-1, 1:-1]
        parts = [
            values[i : i + inner.shape[0], j : j + inner.shape[1]] for i, j in np.ndindex(3, 3)
        ]
        lowest, highest = np.min(parts, axis=0), np.max(parts, axis=0)
        places = np.argwhere((inner == lowest) & (inner < highest) & self.within(radius))
        return sorted((float(inner[i, j]), int(i) + 1, int(j) + 1) for i, j in places)

    def vorticity(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Compute the relative vorticity of the inner cells by central differences.

        (dv/dlon - d(u cos(lat))/dlat) / (a cos(lat)), a the radius of the Earth.

        Parameters
        ----------
        u, v : np.ndarray
            Eastward and northward wind ``(lat, lon)`` in m s-1.

        Returns
        -------
        np.ndarray
            Vorticity ``(row - 2, column - 2)`` in s-1, NaN on a pole.
        """
        lat = np.radians(self.lat)
        u, v = self.cut(u, component=True), self.cut(v, component=True)
        by_lon = (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * np.radians(360.0 / self.grid.nlon))
        scaled = u * np.cos(lat)[:, None]
        by_lat = (scaled[2:, 1:-1] - scaled[:-2, 1:-1]) / (lat[2:] - lat[:-2])[:, None]
        across = EARTH_RADIUS * _KM * np.cos(lat[1:-1])
        across = np.where(np.abs(across) > 1.0, across, np.nan)
        return (by_lon - by_lat) / across[:, None]

    def strongest(self, values: np.ndarray, radius: float) -> float:
        """Return the largest of ``values`` of inner cells within a distance, NaN without any."""
        near = values[self.within(radius)]
        return float(np.nanmax(near)) if np.isfinite(near).any() else np.nan

    def mean(self, field: np.ndarray, radius: float) -> float:
        """Average a component of a vector over the area within a distance."""
        weights = self.within(radius) * np.abs(np.cos(np.radians(self.lat[1:-1])))[:, None]
        values = self.cut(field, component=True)[1:-1, 1:-1]
        return float((weights * values).sum() / weights.sum())

    def between_cells(self, field: np.ndarray, i: int, j: int) -> tuple[float, float, float]:
        """Fit a parabola to the nine cells about a minimum.

        Coordinates are those of the plane that touches the sphere there. Where the parabola has no
        minimum among the nine cells, it is the cell's.

        Parameters
        ----------
        field : np.ndarray
            Field ``(lat, lon)``.
        i, j : int
            Indices of the minimum in :attr:`rows` and :attr:`columns`.

        Returns
        -------
        tuple of float
            Latitude and longitude in degrees, and value of the minimum.
        """
        lat, lon = float(self.lat[i]), float(self.lon[j] % 360.0)
        values = self.cut(field)[i - 1 : i + 2, j - 1 : j + 2].ravel()
        lats, lons = np.meshgrid(self.lat[i - 1 : i + 2], self.lon[j - 1 : j + 2], indexing="ij")
        x, y = displacement(lat, lon, lats.ravel(), lons.ravel())
        scale = max(np.abs(x).max(), np.abs(y).max())
        x, y = x / scale, y / scale
        terms = np.stack([np.ones_like(x), x, y, x * x / 2, x * y, y * y / 2], axis=1)
        fitted, _, rank, _ = np.linalg.lstsq(terms, values, rcond=None)
        level, slope = fitted[0], fitted[1:3]
        bend = np.array([[fitted[3], fitted[4]], [fitted[4], fitted[5]]])
        if rank < _FITTED or np.linalg.eigvalsh(bend)[0] <= 0:
            return lat, lon, float(field[self._index(i, j)])
        offset = -np.linalg.solve(bend, slope)
        if abs(offset[0]) > np.abs(x).max() or abs(offset[1]) > np.abs(y).max():
            return lat, lon, float(field[self._index(i, j)])
        place = displaced(lat, lon, *(offset * scale))
        return float(place[0]), float(place[1]), float(level + 0.5 * slope @ offset)

    def _index(self, i: int, j: int) -> tuple[int, int]:
        """Return the index in a field of an inner cell."""
        return int(self.rows[i]), int(self.columns[j] % self.grid.nlon)


def row_latitudes(grid: Grid, rows: np.ndarray) -> np.ndarray:
    """Return the latitudes in degrees of rows, continued past the poles."""
    if grid.poles:
        return 90.0 - np.asarray(rows) * (180.0 / (grid.nlat - 1))
    return 90.0 - (np.asarray(rows) + 0.5) * (180.0 / grid.nlat)
