"""The coastline of the maps: Natural Earth 110 m land, decoded from TopoJSON to GeoJSON.

The committed file was made, in an empty directory, by::

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python -m fuxiflow build-coastline package/land-110m.json resources/coastline/land_110m.geojson

TopoJSON: https://github.com/topojson/topojson-specification (quantised arcs: section 2.1.4).
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
from shapely import affinity, geometry
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from fuxiflow import ROOT

LAND = ROOT / "resources" / "coastline" / "land_110m.geojson"
DECIMALS = 3


def decode_arcs(topology: dict) -> list[np.ndarray]:
    """The arcs of a topology, each ``(point, 2)``: longitude and latitude in degrees.

    Quantised arcs hold differences of integers: position = cumulative sum * scale + translate.
    """
    arcs = [np.asarray(arc, float)[:, :2] for arc in topology["arcs"]]
    if transform := topology.get("transform"):
        arcs = [
            np.cumsum(arc, axis=0) * transform["scale"] + transform["translate"] for arc in arcs
        ]
    return arcs


def ring(indices: list[int], arcs: list[np.ndarray]) -> np.ndarray:
    """A closed ring ``(point, 2)`` stitched from arcs; index ``~i`` is arc ``i`` backwards, shared ends enter once."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])


def cut(points: np.ndarray) -> BaseGeometry:
    """A ring ``(point, 2)`` on the sphere as planar polygons within longitudes -180 to 180.

    Longitudes are unwrapped across the date line; a ring that goes round the globe (Antarctica) is closed through the
    pole that it lies nearer to. What then lies beyond the date line is cut off and moved round.
    """
    lon = np.unwrap(points[:, 0], period=360.0)
    lat = points[:, 1]
    if abs(lon[-1] - lon[0]) > 180.0:
        pole = -90.0 if lat.mean() < 0 else 90.0
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    polygon = geometry.Polygon(np.column_stack([lon, lat])).buffer(0)
    turns = range(int(np.floor((lon.min() + 180) / 360)), int(np.ceil((lon.max() + 180) / 360)))
    pieces = [
        polygon.intersection(geometry.box(360 * k - 180, -90, 360 * k + 180, 90)) for k in turns
    ]
    return unary_union(
        [affinity.translate(piece, xoff=-360.0 * k) for k, piece in zip(turns, pieces, strict=True)]
    )


def _polygons(shape: dict) -> list[list[list[int]]]:
    """Arc indices of all polygons, each a list of rings, of a TopoJSON geometry."""
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


def decode(topology: dict, name: str = "land") -> BaseGeometry:
    """The areas of object ``name`` of a topology; KeyError lists the objects there are."""
    if name not in topology.get("objects", {}):
        raise KeyError(
            f"no object {name!r} in the topology; known: {', '.join(topology.get('objects', {}))}"
        )
    arcs = decode_arcs(topology)
    shapes = []
    for outer, *holes in _polygons(topology["objects"][name]):
        shape = cut(ring(outer, arcs))
        for hole in holes:
            shape = shape.difference(cut(ring(hole, arcs)))
        shapes.append(shape)
    return unary_union(shapes)


def write(shape: BaseGeometry, target: Path) -> None:
    """Write areas as a GeoJSON geometry, rounded to 0.001 degrees (100 m)."""

    def rounded(value):
        return (
            [rounded(v) for v in value]
            if isinstance(value, (list, tuple))
            else round(value, DECIMALS)
        )

    mapping = geometry.mapping(shape)
    mapping = {"type": mapping["type"], "coordinates": rounded(mapping["coordinates"])}
    Path(target).write_text(json.dumps(mapping, separators=(",", ":")) + "\n")


def read(path: Path = LAND) -> BaseGeometry:
    """Read the areas of a GeoJSON geometry; ValueError names a file that holds none."""
    try:
        return geometry.shape(json.loads(Path(path).read_text()))
    except (KeyError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path}: not a GeoJSON geometry ({error}); make it again: see {__name__}"
        ) from error


@cache
def land() -> BaseGeometry:
    """The committed land areas."""
    return read(LAND)
