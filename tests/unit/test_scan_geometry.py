"""Zenith angles, places and times of scans, on orbits from equator to pole and on made swaths."""

import numpy as np
import pytest

from fuxiflow.observations import scan_geometry
from fuxiflow.observations.scan_geometry import stray_footprints, zenith_at
from fuxiflow.physics import great_circle
from tests.support.level1_files import orbit

STARTS = [
    f"2022-07-01T{hour:02d}:{minute:02d}:00" for hour in (0, 7) for minute in range(0, 60, 10)
]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("columns", "stride"), [(slice(None), 1), (slice(4, None, 8), 3), (slice(None, None, 12), 12)]
)
def test_clean_swaths_pass_thinned_or_not_at_every_latitude(start, columns, stride):
    view = orbit(start, 4, columns, stride)
    assert not scan_geometry.misplaced_footprints(view.lat, view.lon, view.zenith).any()
    assert not scan_geometry.mistimed_scans(
        view.time[:, 0].astype("datetime64[us]"), view.lat, view.lon
    ).any()


def test_an_orbit_passes_with_a_gap_and_rounded_coordinates():
    view = orbit("2022-07-01T00:00:00", 100)
    keep = np.r_[0:700, 900:902, 1200 : len(view)]
    lat, lon, zenith = (np.round(value[keep], 2) for value in (view.lat, view.lon, view.zenith))
    assert np.abs(lat).max() > 85
    assert not scan_geometry.misplaced_footprints(lat, lon, zenith).any()
    assert not scan_geometry.mistimed_scans(
        view.time[keep, 0].astype("datetime64[us]"), lat, lon
    ).any()


def test_single_and_few_scans_are_not_judged_by_absent_neighbours():
    view = orbit(minutes=1)
    for count in (1, 2):
        part = view.scans(slice(0, count))
        assert not scan_geometry.misplaced_footprints(part.lat, part.lon, part.zenith).any()
        assert not scan_geometry.mistimed_scans(
            part.time[:, 0].astype("datetime64[us]"), part.lat, part.lon
        ).any()


def test_all_missing_swaths_are_not_judged():
    empty = np.full((5, 96), np.nan)
    assert not scan_geometry.misplaced_footprints(empty, empty, empty).any()
    assert not scan_geometry.mistimed_scans(
        np.full(5, np.datetime64("NaT"), "datetime64[us]"), empty, empty
    ).any()


@pytest.mark.parametrize("start", STARTS[::3])
def test_every_displacement_above_a_tenth_degree_is_found_alone(start):
    view = orbit(start, 1)
    generator = np.random.default_rng(1)
    for _ in range(30):
        scan, position = int(generator.integers(len(view))), int(generator.integers(96))
        lat = view.lat.copy()
        lat[scan, position] -= np.sign(lat[scan, position]) * generator.uniform(0.1, 30)
        found = scan_geometry.misplaced_footprints(lat, view.lon, view.zenith)
        assert found[scan, position]
        # a displaced end of a scan also spoils its width, by which the whole scan is judged
        assert np.count_nonzero(found) in (1, 96)


def test_zenith_angles_and_widths_are_compared_with_the_geometry():
    view = orbit()
    zenith = view.zenith.copy()
    zenith[3, 4] += 5
    assert np.argwhere(scan_geometry.misplaced_footprints(view.lat, view.lon, zenith)).tolist() == [
        [3, 4]
    ]
    assert scan_geometry.misplaced_footprints(view.lat / 2, view.lon / 2, view.zenith).all()


def test_times_are_compared_with_the_way_of_the_satellite():
    view = orbit()
    time = view.time[:, 0].astype("datetime64[us]")
    time[4] += np.timedelta64(30, "s")
    time[8] = np.datetime64("NaT")
    assert np.flatnonzero(scan_geometry.mistimed_scans(time, view.lat, view.lon)).tolist() == [4]
    assert scan_geometry.mistimed_scans(time[0] + 3 * (time - time[0]) * 10, view.lat, view.lon)[
        [0, 2]
    ].all()


def test_a_track_that_is_too_slow_is_not_believed():
    view = orbit()
    time = view.time[:, 0].astype("datetime64[us]")
    assert scan_geometry.mistimed_scans(time, view.lat * 0.5, view.lon).all()
    assert scan_geometry.mistimed_scans(time[0] + 2 * (time - time[0]), view.lat, view.lon).all()


def test_partly_known_scans_are_compared_too():
    view = orbit()
    lon = np.where(np.arange(96) < 60, view.lon, np.nan)
    assert not scan_geometry.misplaced_footprints(view.lat, lon, view.zenith).any()
    assert scan_geometry.misplaced_footprints(view.lat, lon / 2, view.zenith)[:, :60].all()


def test_zenith():
    assert zenith_at(np.array([0.0, 48.333])) == pytest.approx([0, 57.6], abs=0.1)


def swath(tilt):
    """Make a swath of 4 scans and 10 positions across the equator at 180 degrees.

    It is turned north by ``tilt`` degrees.
    """
    position, line = np.tile(np.arange(1, 11), 4), np.repeat(np.arange(4), 10)
    north, east = np.radians(0.4 * line - 0.6), np.radians(178 + 0.4 * position)
    x, y, z = np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)
    turn = np.radians(tilt)
    x, z = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
    time = np.datetime64("2022-07-01", "us") + line * np.timedelta64(8, "s")
    return np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x)), time, position


@pytest.mark.parametrize("tilt", [0.0, 50.0, 90.0])  # across the date line, and over the pole
def test_strays(tilt):
    lat, lon, time, position = swath(tilt)
    across = 44.5 * position
    assert not stray_footprints(lat, lon, time, position, across, 8, 20).any()
    lat[[0, 15, 39]] -= 8
    assert np.flatnonzero(stray_footprints(lat, lon, time, position, across, 8, 20)).tolist() == [
        0,
        15,
        39,
    ]
    lat[15] = np.nan
    assert np.flatnonzero(stray_footprints(lat, lon, time, position, across, 8, 20)).tolist() == [
        0,
        39,
    ]
    assert not stray_footprints(lat, lon, time, 0 * position, across, 8, 20).any()


def test_where_it_cannot_be_told_both_are_strays():
    time = np.full(2, np.datetime64("2022-07-01", "us"))
    position = np.array([1, 2])
    assert stray_footprints(
        np.array([0.0, 9]), np.zeros(2), time, position, 50.0 * position, 8, 20
    ).all()


def test_chords_tell_what_great_circles_do():
    rng = np.random.default_rng(0)
    count = 20_000
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    lat[: count // 4] = np.sign(lat[: count // 4]) * rng.uniform(89, 90, count // 4)
    lon = rng.uniform(-180, 180, count)
    # from neighbours to the other side of the earth, with places across the date line and the poles
    apart_degrees = 10 ** rng.uniform(-2, 2, count)
    lat[1::2] = (lat[::2] + apart_degrees[::2] * rng.normal(size=count // 2)).clip(-90, 90)
    lon[1::2] = (lon[::2] + apart_degrees[::2] + 180) % 360 - 180
    apart = great_circle(lat[:-1], lon[:-1], lat[1:], lon[1:])
    limit = apart + rng.normal(0, 1, count - 1) * 10 ** rng.uniform(-3, 3, count - 1)
    limit[:4] = np.nan, np.inf, 0, -1
    points = lat, lon, scan_geometry._points_on_sphere(lat, lon)
    farther = scan_geometry._farther(points, np.arange(count), limit)
    assert 0.2 < farther.mean() < 0.8
    np.testing.assert_array_equal(farther, apart > limit)
