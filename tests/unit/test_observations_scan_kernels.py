import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.observations import scan_geometry, scan_kernels
from fuxiflow.observations.readers import bufr_footprints
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.physics import great_circle

AMSUA = INSTRUMENTS["amsua"]
MANY_MODULES = (scan_geometry, bufr_footprints)


def both_ways(function, *arguments):
    """Return what a function gives by its loops and by its arrays."""
    results = []
    for many in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            for module in MANY_MODULES:
                patch.setattr(module, "MANY", many)
            results.append(function(*arguments))
    return results


def scans(rng, lines, turn):
    """Make scans of AMSU-A over the pole and the date line, turned by an angle in degrees."""
    position = np.tile(np.arange(1, 31), lines).astype(np.int16)
    line = np.repeat(np.arange(lines), 30)
    east = np.radians(178 + AMSUA.across(position) / 111.2)
    north = np.radians(0.47 * (line - lines / 2) + turn)
    x = np.cos(east)
    x, z = x * np.cos(north), x * np.sin(north)
    lat, lon = np.degrees(np.arcsin(z)), np.degrees(np.arctan2(np.sin(east), x))
    time = np.datetime64("2022-07-01", "us") + line * np.timedelta64(8, "s")
    return lat, lon, time, position, AMSUA.across(position)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 45.0, 90.0, 170.0]), st.integers(0, 4))
def test_strays_are_those_that_arrays_find(seed, turn, kind):
    rng = np.random.default_rng(seed)
    lat, lon, time, position, across = scans(rng, 12, turn)
    some = rng.choice(len(lat), 5, replace=False)
    if kind == 1:
        lat[some] = np.nan
        position[some[:2]] = 0
        time[some[2:]] = np.datetime64("NaT")
    elif kind == 2:
        lat[some] = rng.uniform(-90, 90, 5)
    elif kind == 3:
        lon[some] = rng.uniform(-720, 720, 5)
    elif kind == 4:
        time[some] += rng.integers(-60, 60, 5) * np.timedelta64(1, "s")
    loops, arrays = both_ways(
        scan_geometry.stray_footprints, lat, lon, time, position, across, 8.0, 20.0
    )
    np.testing.assert_array_equal(loops, arrays)
    if kind in (0, 1):
        assert not loops.any()


def test_few_neighbours_are_in_doubt():
    lat, lon, time, position, across = scans(np.random.default_rng(0), 40, 30.0)
    seconds = (time - time[0]) / np.timedelta64(1, "s")
    pairs, limits, in_order = scan_kernels.doubtful_neighbours(
        lat, lon, seconds, position, across, 8.0, 20.0, 9.0
    )
    assert in_order
    assert len(pairs) == len(limits) < 0.01 * len(lat)
    *_, in_order = scan_kernels.doubtful_neighbours(
        lat, lon, seconds[::-1].copy(), position, across, 8.0, 20.0, 9.0
    )
    assert not in_order


@given(
    *[st.floats(-100, 100)] * 2, *[st.floats(-400, 400)] * 2, st.sampled_from([1e-3, 0.1, 1, 10])
)
def test_what_is_surely_near_is_near(lat, other_lat, lon, other_lon, near):
    other_lat, other_lon = lat + near * other_lat / 100, lon + near * other_lon / 100
    apart = great_circle(lat, lon, other_lat, other_lon)
    assert not scan_kernels._surely_near(lat, lon, other_lat, other_lon, float(apart))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, -1]), st.sampled_from(["amsua", "atms"]))
def test_positions_are_those_that_arrays_find(seed, shift, name):
    rng = np.random.default_rng(seed)
    kind = INSTRUMENTS[name]
    true = rng.integers(1, kind.positions + 1, 200)
    zenith = scan_geometry.zenith_at(kind.scan_angle(true)) + rng.normal(0, 1.2, 200)
    number = true + shift + 0.0
    number[rng.integers(0, 200, 20)] = rng.choice([np.nan, -1, -5, 0, 40, 97, 1e6, 2.5], 20)
    zenith[rng.integers(0, 200, 20)] = rng.choice([np.nan, np.inf, 89.0], 20)
    if seed % 7 == 0:
        zenith[:] = np.nan
    loops, arrays = both_ways(bufr_footprints.positions_and_zeniths, kind, number, zenith)
    for one, other in zip(loops, arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
