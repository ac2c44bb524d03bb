"""Build the coastline of the maps: Natural Earth 110 m land, from TopoJSON to GeoJSON.

The committed file was made, in an empty directory, by::

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m fuxiflow build-coastline package/land-110m.json resources/coastline/land_110m.geojson

:mod:`fuxiflow.figures.maps` reads it. TopoJSON: https://github.com/topojson/topojson-specification
(quantised arcs: section 2.1.4).
"""

import json
from pathlib import Path

import numpy as np
from shapely import affinity, geometry
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

DECIMALS = 3  # of a degree: 100 m


def decode_arcs(topology: dict) -> list[np.ndarray]:
    """Decode the arcs of a topology, each ``(point, 2)``: longitude and latitude in degrees.

    Quantised arcs hold differences of integers: position = cumulative sum * scale + translate.
    """
    arcs = [np.asarray(arc, float)[:, :2] for arc in topology["arcs"]]
    if transform := topology.get("transform"):
        arcs = [
            np.cumsum(arc, axis=0) * transform["scale"] + transform["translate"] for arc in arcs
        ]
    return arcs


def stitch_ring(indices: list[int], arcs: list[np.ndarray]) -> np.ndarray:
    """Stitch a closed ring ``(point, 2)`` from arcs; shared ends enter once.

    Index ``~i`` is arc ``i`` backwards.
    """
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def cut_at_date_line(points: np.ndarray) -> BaseGeometry:
    """Turn a ring ``(point, 2)`` on the sphere into polygons within longitudes -180 to 180.

    Longitudes are unwrapped across the date line. A ring that goes round the globe (Antarctica) is
    closed through the pole that it lies nearer to. The parts beyond the date line are then cut off
    and moved round.
    """
    lon = np.unwrap(points[:, 0], period=360.0)
    lat = points[:, 1]
    if abs(lon[-1] - lon[0]) > 180.0:
        pole = -90.0 if lat.mean() < 0 else 90.0
        lon = np.append(lon, [lon[-1], lon[0]])
        lat = np.append(lat, [pole, pole])
    polygon = geometry.Polygon(np.column_stack([lon, lat])).buffer(0)
    turns = range(int(np.floor((lon.min() + 180) / 360)), int(np.ceil((lon.max() + 180) / 360)))
    pieces = [
        polygon.intersection(geometry.box(360 * k - 180, -90, 360 * k + 180, 90)) for k in turns
    ]
    return unary_union(
        [affinity.translate(piece, xoff=-360.0 * k) for k, piece in zip(turns, pieces, strict=True)]
    )


def _polygons(shape: dict) -> list[list[list[int]]]:
    """List the arc indices of all polygons, each a list of rings, of a TopoJSON geometry."""
    match shape["type"]:
        case "GeometryCollection":
            return [polygon for part in shape["geometries"] for polygon in _polygons(part)]
        case "MultiPolygon":
            return shape["arcs"]
        case "Polygon":
            return [shape["arcs"]]
    raise ValueError(
        f"geometry {shape['type']!r} is no area; known: Polygon, MultiPolygon, GeometryCollection"
    )


def decode_land(topology: dict, name: str = "land") -> BaseGeometry:
    """Decode the areas of object ``name`` of a topology; KeyError lists the objects there are."""
    if name not in topology.get("objects", {}):
        raise KeyError(
            f"no object {name!r} in the topology; known: {', '.join(topology.get('objects', {}))}"
        )
    arcs = decode_arcs(topology)
    shapes = []
    for outer, *holes in _polygons(topology["objects"][name]):
        shape = cut_at_date_line(stitch_ring(outer, arcs))
        for hole in holes:
            shape = shape.difference(cut_at_date_line(stitch_ring(hole, arcs)))
        shapes.append(shape)
    return unary_union(shapes)


def write_coastline(shape: BaseGeometry, target: Path) -> None:
    """Write areas as a GeoJSON geometry, rounded to :data:`DECIMALS`."""

    def rounded(value):
        return (
            [rounded(v) for v in value]
            if isinstance(value, (list, tuple))
            else round(value, DECIMALS)
        )

    mapping = geometry.mapping(shape)
    mapping = {"type": mapping["type"], "coordinates": rounded(mapping["coordinates"])}
    Path(target).write_text(json.dumps(mapping, separators=(",", ":")) + "\n", encoding="utf-8")
