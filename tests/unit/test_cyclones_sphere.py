"""Displacements on the sphere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.cyclones.sphere import along_and_across, displaced, displacement
from fuxiflow.physics import EARTH_RADIUS, great_circle

DEGREE = np.pi * EARTH_RADIUS / 180.0


def test_a_degree_to_the_north_and_one_along_the_equator():
    assert displacement(10.0, 20.0, 11.0, 20.0) == pytest.approx((0.0, DEGREE), abs=1e-6)
    assert displacement(0.0, 359.5, 0.0, 0.5) == pytest.approx((DEGREE, 0.0), abs=1e-6)


@given(
    st.floats(-89.0, 89.0),
    st.floats(-180.0, 360.0),
    st.floats(-89.0, 89.0),
    st.floats(-180.0, 360.0),
)
def test_a_displacement_leads_to_the_other_place_and_is_as_long_as_the_great_circle(
    lat, lon, other_lat, other_lon
):
    east, north = displacement(lat, lon, other_lat, other_lon)
    distance = great_circle(lat, lon, other_lat, other_lon)
    assert np.hypot(east, north) == pytest.approx(distance, abs=1e-3)
    back = displaced(lat, lon, np.float64(east), np.float64(north))
    assert great_circle(*back, other_lat, other_lon) == pytest.approx(0.0, abs=1e-3)
    assert 0.0 <= back[1] <= 360.0


def test_a_displacement_over_the_pole_goes_on_along_the_opposite_meridian():
    lat, lon = displaced(np.float64(89.0), np.float64(10.0), np.float64(0.0), 2 * DEGREE)
    assert (lat, lon) == pytest.approx((89.0, 190.0))


def test_parts_along_and_to_the_right_of_a_direction():
    # 3 km east and 4 km north of a storm that moves north: 4 km ahead, 3 km to its right
    assert along_and_across(3.0, 4.0, 0.0, 10.0) == (4.0, 3.0)
    # of one that moves west: 3 km behind, 4 km to its right
    assert along_and_across(3.0, 4.0, -1.0, 0.0) == (-3.0, 4.0)
    assert np.isnan(along_and_across(3.0, 4.0, np.float64(0.0), np.float64(0.0))).all()
