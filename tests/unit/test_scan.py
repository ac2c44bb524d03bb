"""Geometry of a scan."""

import numpy as np
import pytest

from fuxiflow.observations.scan import distance, strays, zenith_at


def test_distance_and_zenith():
    assert distance(0.0, 179.0, 0.0, -179.0) == pytest.approx(2 * 111.195, rel=1e-4)
    assert distance(90.0, 10.0, 89.0, 100.0) == pytest.approx(111.195, rel=1e-4)
    assert zenith_at(np.array([0.0, 48.333])) == pytest.approx([0, 57.6], abs=0.1)


def swath(tilt):
    """A swath of 4 scans and 10 positions across the equator at 180 degrees, turned north by ``tilt`` degrees."""
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
    assert not strays(lat, lon, time, position, across, 8, 20).any()
    lat[[0, 15, 39]] -= 8
    assert np.flatnonzero(strays(lat, lon, time, position, across, 8, 20)).tolist() == [0, 15, 39]
    lat[15] = np.nan
    assert np.flatnonzero(strays(lat, lon, time, position, across, 8, 20)).tolist() == [0, 39]
    assert not strays(lat, lon, time, 0 * position, across, 8, 20).any()


def test_where_it_cannot_be_told_both_are_strays():
    time = np.full(2, np.datetime64("2022-07-01", "us"))
    position = np.array([1, 2])
    assert strays(np.array([0.0, 9]), np.zeros(2), time, position, 50.0 * position, 8, 20).all()
