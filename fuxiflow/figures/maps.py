"""Maps on the Robinson projection with the committed coastline: plotting fetches nothing."""

import json
from functools import cache
from pathlib import Path

import cartopy.crs as ccrs
import numpy as np
import pandas as pd
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.figure import Figure
from shapely import geometry
from shapely.geometry.base import BaseGeometry

from fuxiflow import ROOT

COASTLINE = ROOT / "resources" / "coastline" / "land_110m.geojson"
PLATE = ccrs.PlateCarree()
ROBINSON = ccrs.Robinson()
# degrees: larger cells are drawn as several, so that their edges follow the projection
COARSEST = 2.0
FINEST = 256  # columns: finer fields are averaged over blocks, no page resolves them


def read_coastline(path: Path = COASTLINE) -> BaseGeometry:
    """Read the areas of a GeoJSON geometry; ValueError names a file that holds none."""
    try:
        return geometry.shape(json.loads(Path(path).read_text(encoding="utf-8")))
    except (KeyError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: not a GeoJSON geometry ({error}); "
            "make it again: see fuxiflow.figures.coastline"
        ) from error


@cache
def land() -> BaseGeometry:
    """Return the committed land areas."""
    return read_coastline(COASTLINE)


@cache
def _project(projection: ccrs.Projection) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return coastlines and graticule as lines ``(point, 2)`` in a projection's metres.

    Projected once and drawn as plain lines: cartopy's own features project anew for every map and
    format, which made a figure of twelve maps three times slower.
    """
    rings = [np.asarray(polygon.exterior.coords) for polygon in land().geoms]
    lats = np.linspace(-90, 90, 91)
    lons = np.linspace(-180, 180, 181)
    net = [np.column_stack([np.full_like(lats, lon), lats]) for lon in range(-120, 121, 60)]
    net += [np.column_stack([lons, np.full_like(lons, lat)]) for lat in range(-60, 61, 30)]
    coasts, lines = (
        [projection.transform_points(PLATE, line[:, 0], line[:, 1])[:, :2] for line in group]
        for group in (rings, net)
    )
    return coasts, lines


def add_map(figure: Figure, *position, title: str = "") -> GeoAxes:
    """Add a global map with coastlines to a figure.

    Parameters
    ----------
    figure : Figure
        Figure or part of one.
    *position
        Place, as ``Figure.add_subplot`` takes it.
    title : str
        Title on the left.

    Returns
    -------
    GeoAxes
        Map with coastlines and a graticule.
    """
    ax = figure.add_subplot(*position, projection=ROBINSON)
    ax.set_global()
    coasts, net = _project(ROBINSON)
    ax.add_collection(
        LineCollection(coasts, colors="0.25", linewidths=0.4, zorder=3), autolim=False
    )
    ax.add_collection(
        LineCollection(net, colors="0.6", linewidths=0.3, linestyles=":", zorder=2), autolim=False
    )
    ax.spines["geo"].set_linewidth(0.6)
    ax.set_title(title, loc="left")
    return ax


def coarsen(
    field: np.ndarray, lat: np.ndarray, lon: np.ndarray, columns: int = FINEST
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average a field over square blocks until the page can resolve it.

    Parameters
    ----------
    field : np.ndarray
        Field ``(…, lat, lon)``.
    lat, lon : np.ndarray
        Cell centres in degrees, ``(lat,)`` and ``(lon,)``.
    columns : int
        Columns to leave at most.

    Returns
    -------
    tuple of np.ndarray
        Field, latitudes and longitudes. The block size is the smallest that divides both
        dimensions; a grid that has none is returned as it is.
    """
    nlat, nlon = field.shape[-2:]
    sizes = [
        n for n in range(1, nlon + 1) if nlon % n == 0 and nlat % n == 0 and nlon // n <= columns
    ]
    if not sizes:
        return field, lat, lon
    n = sizes[0]
    blocks = field.reshape(*field.shape[:-2], nlat // n, n, nlon // n, n)
    return (
        blocks.mean(axis=(-3, -1)),
        lat.reshape(-1, n).mean(axis=1),
        lon.reshape(-1, n).mean(axis=1),
    )


def cell_mesh(
    lat: np.ndarray, lon: np.ndarray, field: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make the cell edges and values that ``pcolormesh`` takes.

    Columns are put in order from -180 to 180; the one across the date line is halved, so that no
    cell crosses the map's edge.

    Parameters
    ----------
    lat, lon : np.ndarray
        Cell centres in degrees, ``(lat,)`` and ``(lon,)``.
    field : np.ndarray
        Field ``(lat, lon)``.

    Returns
    -------
    tuple of np.ndarray
        Edges in longitude and in latitude, and the values between them.
    """
    step = 360.0 / lon.size
    west = np.mod(lon - step / 2 + 180.0, 360.0) - 180.0
    order = np.argsort(west)
    west = west[order]
    field = field[:, order]
    if west[0] > -180.0 + 1e-6:
        west = np.concatenate([[-180.0], west])
        field = np.concatenate([field[:, -1:], field], axis=1)
    lon_edges = np.append(west, 180.0)
    top, bottom = (90.0, -90.0) if lat[0] > lat[-1] else (-90.0, 90.0)
    lat_edges = np.concatenate([[top], 0.5 * (lat[1:] + lat[:-1]), [bottom]])
    pieces = max(1, int(np.ceil(180.0 / lat.size / COARSEST)))
    fractions = np.arange(pieces) / pieces
    fine = (lat_edges[:-1, None] + fractions * np.diff(lat_edges)[:, None]).ravel()
    return lon_edges, np.append(fine, lat_edges[-1]), np.repeat(field, pieces, axis=0)


def shade_cells(
    ax: GeoAxes, lat: np.ndarray, lon: np.ndarray, field: np.ndarray, **keywords
) -> QuadMesh:
    """Colour the cells of a field on a map; NaN stays blank.

    Parameters
    ----------
    ax : GeoAxes
        Map of :func:`add_map`.
    lat, lon : np.ndarray
        Cell centres in degrees, ``(lat,)`` and ``(lon,)``.
    field : np.ndarray
        Field ``(lat, lon)``.
    **keywords
        Further arguments of ``pcolormesh``.

    Returns
    -------
    QuadMesh
        The cells, for a colour bar.
    """
    lon_edges, lat_edges, values = cell_mesh(lat, lon, field)
    return ax.pcolormesh(
        lon_edges,
        lat_edges,
        np.ma.masked_invalid(values),
        transform=PLATE,
        rasterized=True,
        **keywords,
    )


def field_of_rows(table: pd.DataFrame, value: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn a long table with columns lat, lon and ``value`` into a field.

    Returns latitudes from north to south, longitudes, and the field ``(lat, lon)``.
    """
    wide = table.pivot(index="lat", columns="lon", values=value).sort_index(ascending=False)
    return wide.index.to_numpy(float), wide.columns.to_numpy(float), wide.to_numpy(float)
