"""Regular latitude-longitude grids, their cell areas, and the regions scores are taken over."""

from dataclasses import dataclass

import numpy as np

# name: (south, north, west, east) in degrees; west > east wraps the date line
REGIONS = {
    "global": (-90.0, 90.0, 0.0, 360.0),
    "northern_extratropics": (20.0, 90.0, 0.0, 360.0),
    "tropics": (-20.0, 20.0, 0.0, 360.0),
    "southern_extratropics": (-90.0, -20.0, 0.0, 360.0),
    "central_africa": (-10.0, 10.0, 15.0, 35.0),
}


def row_edges(lat: np.ndarray) -> np.ndarray:
    """Return cell edges ``(lat + 1,)`` in degrees, half-way between rows from north to south.

    The first and last edges are the poles.
    """
    return np.concatenate([[90.0], 0.5 * (lat[1:] + lat[:-1]), [-90.0]])


@dataclass(frozen=True)
class Grid:
    """A global grid of ``nlat`` x ``nlon`` cells, latitude north to south, longitude eastwards.

    With ``poles`` the first and last rows lie on the poles (ERA5 and GFS files, 721 x 1440);
    without, rows are cell centres (the networks' grid, 720 x 1440, first row at 89.875 north).
    Longitudes start at 0 in both.
    """

    nlat: int
    nlon: int
    poles: bool = False

    @property
    def lat(self) -> np.ndarray:
        """Latitudes ``(lat,)`` in degrees north, decreasing."""
        if self.poles:
            return np.linspace(90.0, -90.0, self.nlat)
        step = 180.0 / self.nlat
        return 90.0 - step * (np.arange(self.nlat) + 0.5)

    @property
    def lon(self) -> np.ndarray:
        """Longitudes ``(lon,)`` in degrees east, in [0, 360)."""
        return np.arange(self.nlon) * (360.0 / self.nlon)

    @property
    def shape(self) -> tuple[int, int]:
        """``(nlat, nlon)``."""
        return self.nlat, self.nlon

    @property
    def lat_bounds(self) -> np.ndarray:
        """Cell edges ``(lat + 1,)`` in degrees, from 90 to -90."""
        return row_edges(self.lat)

    @property
    def area_weights(self) -> np.ndarray:
        """Exact cell areas ``(lat,)``, scaled to a mean of 1.

        The area of a cell is proportional to the difference of sin(latitude) at its edges.
        """
        edges = np.sin(np.deg2rad(self.lat_bounds))
        area = edges[:-1] - edges[1:]
        return area / area.mean()

    def cell(self, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
        """Return the index ``row * nlon + column`` of the nearest cell.

        ``lat`` and ``lon`` are in degrees, of one shape, longitudes in any convention; the result
        has that shape, -1 where either is missing or out of range.
        """
        lat, lon = np.asarray(lat, float), np.asarray(lon, float)
        valid = np.isfinite(lat) & np.isfinite(lon) & (np.abs(lat) <= 90.0) & (np.abs(lon) <= 360.0)
        lat, lon = np.where(valid, lat, 0.0), np.where(valid, lon, 0.0)
        if self.poles:
            row = np.rint((90.0 - lat) * (self.nlat - 1) / 180.0).astype(np.int64)
        else:
            row = np.minimum(((90.0 - lat) * self.nlat / 180.0).astype(np.int64), self.nlat - 1)
        column = np.floor(np.mod(lon, 360.0) * self.nlon / 360.0 + 0.5).astype(np.int64) % self.nlon
        return np.where(valid, row * self.nlon + column, -1)

    def region(self, name: str) -> np.ndarray:
        """Return the mask ``(lat, lon)`` of cell centres inside a region of :data:`REGIONS`.

        Raises KeyError with the names of the regions for another one.
        """
        if name not in REGIONS:
            raise KeyError(f"unknown region {name!r}; known: {', '.join(REGIONS)}")
        south, north, west, east = REGIONS[name]
        rows = (self.lat >= south) & (self.lat <= north)
        columns = (
            (self.lon >= west) & (self.lon <= east)
            if west <= east
            else (self.lon >= west) | (self.lon <= east)
        )
        return rows[:, None] & columns[None, :]
