"""The TopoJSON decoder on topologies small enough to check by hand, and the committed coastline."""

import json

import numpy as np
import pytest
from shapely import geometry

from fuxiflow.cli import main
from fuxiflow.figures import coastline, maps

# two unit squares side by side that share the arc between them, quantised: scale 0.5, origin (10,
# 20)
SQUARES = {
    "type": "Topology",
    "transform": {"scale": [0.5, 0.5], "translate": [10.0, 20.0]},
    "objects": {
        "land": {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Polygon", "arcs": [[0, 1]]},
                {"type": "MultiPolygon", "arcs": [[[2, -1]]]},
            ],
        },
        "line": {"type": "LineString", "arcs": [0]},
    },
    "arcs": [
        [[2, 0], [0, 2]],  # the shared side, from (11, 20) to (11, 21)
        [[2, 2], [-2, 0], [0, -2], [2, 0]],  # round the western square, back to (11, 20)
        [[2, 0], [2, 0], [0, 2], [-2, 0]],  # round the eastern one, to (11, 21)
    ],
}


def test_arcs_are_summed_scaled_and_moved():
    arcs = coastline.decode_arcs(SQUARES)
    np.testing.assert_allclose(arcs[0], [[11, 20], [11, 21]])
    np.testing.assert_allclose(arcs[1], [[11, 21], [10, 21], [10, 20], [11, 20]])


def test_unquantised_arcs_are_taken_as_they_are():
    np.testing.assert_allclose(
        coastline.decode_arcs({"arcs": [[[1.5, 2.5], [3.5, 4.5]]]})[0], [[1.5, 2.5], [3.5, 4.5]]
    )


def test_ring_reverses_arcs_and_keeps_shared_ends_once():
    arcs = coastline.decode_arcs(SQUARES)
    ring = coastline.stitch_ring([2, -1], arcs)
    np.testing.assert_allclose(ring, [[11, 20], [12, 20], [12, 21], [11, 21], [11, 20]])


def test_decode_joins_the_areas():
    shape = coastline.decode_land(SQUARES)
    assert shape.area == pytest.approx(2.0)
    assert shape.bounds == (10.0, 20.0, 12.0, 21.0)


def test_decode_leaves_holes_out():
    square = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
    hole = [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]
    shape = coastline.decode_land(
        {"arcs": [square, hole], "objects": {"land": {"type": "Polygon", "arcs": [[0], [1]]}}}
    )
    assert shape.area == pytest.approx(15.0)
    assert not shape.contains(geometry.Point(1.5, 1.5))


def test_ring_across_the_date_line_is_cut():
    shape = coastline.cut_at_date_line(
        np.array([[175.0, 0], [-175, 0], [-175, 10], [175, 10], [175, 0]])
    )
    assert shape.area == pytest.approx(100.0)
    assert shape.bounds == (-180.0, 0.0, 180.0, 10.0)
    assert not shape.intersects(geometry.Point(0, 5))


@pytest.mark.parametrize("sign", [-1, 1])
def test_ring_round_the_globe_is_closed_through_its_pole(sign):
    lon = np.arange(0.0, 361.0, 30.0)
    ring = np.column_stack([(lon + 180) % 360 - 180, np.full(lon.size, sign * 70.0)])
    shape = coastline.cut_at_date_line(ring)
    assert shape.area == pytest.approx(360 * 20)
    assert shape.contains(geometry.Point(12.3, sign * 85))


def test_unknown_object_lists_the_known():
    with pytest.raises(KeyError, match=r"no object 'sea'.*land, line"):
        coastline.decode_land(SQUARES, "sea")


def test_a_line_is_no_area():
    with pytest.raises(ValueError, match="'LineString' is no area; known: Polygon"):
        coastline.decode_land(SQUARES, "line")


def test_command_line_writes_what_read_reads(tmp_path):
    source, target = tmp_path / "land.json", tmp_path / "land.geojson"
    source.write_text(json.dumps(SQUARES))
    assert main(["build-coastline", str(source), str(target)]) == 0
    assert maps.read_coastline(target).equals(coastline.decode_land(SQUARES))


@pytest.mark.parametrize("text", ["{", "{}", "[]", '"land"'])
def test_read_names_a_file_that_holds_no_geometry(tmp_path, text):
    path = tmp_path / "land.geojson"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"land\.geojson: not a GeoJSON geometry"):
        maps.read_coastline(path)


def test_committed_land_is_the_earth():
    land = maps.land()
    assert land.is_valid
    assert land.bounds[0] >= -180
    assert land.bounds[2] <= 180
    for lon, lat in (
        (10, 50),
        (-100, 40),
        (20, 0),
        (0, -85),
        (135, -25),
        (-178, 66.5),
        (178, 66.5),
    ):
        assert land.contains(geometry.Point(lon, lat)), (lon, lat)
    for lon, lat in ((-30, 0), (-150, 20), (80, -30), (0, 85), (180, 0)):
        assert not land.contains(geometry.Point(lon, lat)), (lon, lat)
