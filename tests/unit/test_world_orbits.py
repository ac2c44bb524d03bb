"""Geometry of the synthetic orbit."""

import numpy as np
import pytest

from fuxiflow.config import sources
from fuxiflow.observations import orbits

DAY = np.datetime64("2023-01-01T00:00:00", "ns")
HOUR = np.timedelta64(1, "h")
NOAA_20 = sources.load_source("noaa20_atms").flown[0]


def swath(start=DAY, length=24 * HOUR, scans=16, views=8):
    return orbits.swath(NOAA_20.name, NOAA_20.orbit, "atms", start, start + length, scans, views)


@pytest.fixture(scope="module")
def day():
    return swath()


def test_thinned_shape_and_times(day):
    # 32400 scans a day, every 16th; 96 views, every 8th
    assert day.lat.shape == (2025, 12)
    assert day.time[0, 0] >= DAY
    assert day.time[-1, -1] < DAY + 24 * HOUR
    np.testing.assert_array_equal(np.diff(day.time[:, 0]) // np.timedelta64(1, "ms"), 42666)
    assert (day.scan % 16 == 0).all()
    assert day.field_of_view[0] == 3


def test_near_polar_coverage_and_angles(day):
    # inclination 98.7 degrees: nadir to 81.3 degrees, the edges of the swath almost to the poles
    middle = np.abs(day.lat[:, 5:7]).max()
    assert 80.5 < middle < 83.0
    assert 88.0 < np.abs(day.lat).max() <= 90.0
    assert (np.abs(day.lon) <= 180.0).all()
    assert (day.zenith > 0).all()
    np.testing.assert_allclose(day.zenith[:, 0], day.zenith[:, 0].mean(), atol=1.5)


def test_edge_zenith_of_the_whole_scan():
    view = swath(length=np.timedelta64(60, "s"), scans=1, views=1)
    assert view.lat.shape[1] == 96
    assert view.scan_angle[0, 0] == pytest.approx(52.725)
    assert view.zenith[:, [0, 95]].min() > 63.0
    assert view.zenith[:, [0, 95]].max() < 66.0
    assert view.zenith[:, 47:49].max() < 1.5


def test_period_and_local_time_of_the_ascending_node():
    view = swath(length=24 * HOUR, scans=4, views=48)
    nadir = view.lat[:, 0] * 0.5 + view.lat[:, 1] * 0.5
    node = np.flatnonzero((nadir[:-1] <= 0) & (nadir[1:] > 0))
    minutes = np.diff(view.time[node, 0]) / np.timedelta64(1, "m")
    assert minutes.mean() == pytest.approx(101.4, abs=0.3)
    hour = (view.time[node, 0] - DAY) / HOUR
    lon = np.rad2deg(np.angle(np.exp(1j * np.deg2rad(view.lon[node])).mean(axis=1)))
    assert (
        np.abs((hour + lon / 15.0 - NOAA_20.orbit.ascending_node_hour + 12) % 24 - 12).max() < 0.2
    )


def test_days_join_and_do_not_depend_on_what_is_asked():
    across = swath(DAY - HOUR, 2 * HOUR)
    after = swath(DAY, HOUR)
    np.testing.assert_array_equal(across.scan[-len(after) :], after.scan)
    np.testing.assert_allclose(across.lat[-len(after) :], after.lat, atol=1e-9)
    assert np.abs(np.diff(across.lat[:, 5])).max() < 3.0


def test_thinning_keeps_the_same_footprints():
    whole, thin = (
        swath(length=np.timedelta64(5, "m"), scans=1, views=1),
        swath(length=np.timedelta64(5, "m")),
    )
    rows = np.searchsorted(whole.scan, thin.scan)
    np.testing.assert_allclose(whole.lat[rows][:, thin.field_of_view], thin.lat, atol=1e-9)
    np.testing.assert_array_equal(whole.time[rows][:, thin.field_of_view], thin.time)


def test_sun_is_up_at_noon_on_the_equator():
    view = swath(np.datetime64("2023-03-21T00:00", "ns"))
    low = np.abs(view.lat) < 5
    local = (view.time - np.datetime64("2023-03-21", "ns")) / HOUR + view.lon / 15.0
    day_side = np.abs((local - 12 + 12) % 24 - 12) < 4
    assert (view.solar_zenith[low & day_side] < 75).all()
    assert (view.solar_zenith[low & ~day_side] > 60).all()


def test_nothing_in_an_empty_span():
    view = swath(DAY + np.timedelta64(1, "ms"), np.timedelta64(1, "ms"))
    assert len(view) == 0
    assert view.lat.shape == (0, 12)


def test_element_lines_have_their_length_and_checksum():
    for line in orbits.two_line_elements(NOAA_20.orbit):
        assert len(line) == 69
        assert line[-1] == orbits._checksum(line[:-1])
    # the checksum of a published line (ISS, Space-Track documentation)
    assert (
        orbits._checksum("1 25544U 98067A   08264.51782528 -.00002182  00000-0 -11606-4 0  292")
        == "7"
    )


def test_unknown_instrument_is_named():
    with pytest.raises(KeyError, match="known: atms"):
        orbits.scanner("amsr2")
