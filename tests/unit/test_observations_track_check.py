"""Track check: what is left out, what is not, and that it looks back only.

Neither order nor hostile data matter.
"""

import time as clock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.config import sources
from fuxiflow.observations import track_check
from fuxiflow.observations.orbits import swath
from tests.support.helpers import realdata

START = np.datetime64("2022-07-01", "ns")
HOUR = np.timedelta64(1, "h")


def strays(lat, lon=None, hours=None, identity=None, speed=30.0):
    lat = np.asarray(lat, float)
    hours = np.arange(len(lat)) if hours is None else np.asarray(hours)
    identity = np.zeros(len(lat), int) if identity is None else np.asarray(identity)
    lon = np.zeros(len(lat)) if lon is None else np.asarray(lon, float)
    return track_check.off_track(
        [identity], START + (hours * 3600).astype("timedelta64[s]"), lat, lon, speed
    ).tolist()


@pytest.mark.parametrize(
    ("lat", "expected"),
    [
        ([0, 0, 0], [0, 0, 0]),
        ([], []),
        ([5], [0]),
        ([0, 40, 0], [0, 1, 0]),
        # the first is believed, and the second stands against it alone
        ([40, 0, 0, 0], [0, 1, 0, 0]),
        ([0, 0, 0, 40], [0, 0, 0, 1]),
        ([0, 0, 40, 41, 0, 0], [0, 0, 1, 1, 0, 0]),
        # moved house
        ([0] * 6 + [40] * 6, [0] * 6 + [1] * 4 + [0] * 2),
        # went there and back between reports
        ([0] * 5 + [40] * 5 + [0] * 5, [0] * 5 + [1] * 4 + [0, 1, 0, 0, 0, 0]),
        # two stations of one name
        ([0, 40] * 4, [0, 1] * 4),
        ([0] * 5 + [40] * 3 + [0] * 5, [0] * 5 + [1] * 3 + [0] * 5),
        ([0, 0.5, 1, 1.5], [0] * 4),
    ],
)
def test_by_hand(lat, expected):
    assert strays(lat) == [bool(stray) for stray in expected]


def test_time_is_part_of_it():
    assert strays([0, 20, 0], hours=[0, 24, 48]) == [False] * 3
    assert strays([0, 0, 20, 0], hours=[0, 1, 2, 48]) == [False, False, True, False]
    assert strays([0, 20, 0], speed=1000.0) == [False] * 3


def test_the_date_line_and_the_poles_are_near():
    assert strays([0, 0, 0], lon=[179.9, -179.9, 179.9]) == [False] * 3
    assert strays([89.9, 89.9, 89.9], lon=[0, 180, 90]) == [False] * 3
    assert strays([0, 0, 0], lon=[0, 180, 0]) == [False, True, False]


def test_identities_do_not_mix():
    assert strays([0, 40, 0, 40], identity=[1, 2, 1, 2]) == [False] * 4
    moment = START + np.arange(4) * HOUR
    keys = [np.zeros(4, int), np.array([1, 1, 1, 2])]
    assert track_check.off_track(
        keys, moment, np.array([0, 40, 0, 40.0]), np.zeros(4), 30.0
    ).tolist() == [
        False,
        True,
        False,
        False,
    ]


@given(seed=st.integers(0, 2**16), n=st.integers(0, 60), known=st.floats(0, 1))
@settings(max_examples=100)
def test_later_reports_never_change_the_verdict_on_earlier_ones(seed, n, known):
    generator = np.random.default_rng(seed)
    hours = np.sort(generator.uniform(0, 200, n))
    identity = generator.integers(0, 3, n)
    lat, lon = generator.choice([0, 0, 0, 0.1, 30, -70], n), generator.choice([0, 0, 0, 90], n)
    first = slice(0, round(known * n))
    whole = strays(lat, lon, hours, identity)
    assert strays(lat[first], lon[first], hours[first], identity[first]) == whole[first]


@given(seed=st.integers(0, 2**16), n=st.integers(0, 60))
@settings(max_examples=60)
def test_order_does_not_matter(seed, n):
    generator = np.random.default_rng(seed)
    hours = generator.permutation(200)[:n]
    identity = generator.integers(0, 3, n)
    lat, lon = generator.choice([0, 0, 0, 0.1, 30, -70], n), generator.choice([0, 0, 0, 90], n)
    marks = np.array(strays(lat, lon, hours, identity))
    order = generator.permutation(n)
    assert strays(lat[order], lon[order], hours[order], identity[order]) == marks[order].tolist()
    for one in range(3):
        assert (identity == one).sum() == 0 or not marks[identity == one].all()


def test_hostile_reports_take_bounded_time():
    generator = np.random.default_rng(0)
    n = 100_000
    lat, lon = np.degrees(np.arcsin(generator.uniform(-1, 1, n))), generator.uniform(-180, 180, n)
    strays(lat[:10], lon[:10], np.arange(10))
    begin = clock.perf_counter()
    marks = strays(lat, lon, np.arange(n) / 3600)
    assert clock.perf_counter() - begin < 10
    assert np.mean(marks) > 0.8


def test_a_swath_stays_on_its_track_and_a_wrong_minute_does_not():
    source = sources.load_source("noaa20_atms")
    flown = source.flown[0]
    view = swath(flown.name, flown.orbit, "atms", START, START + 12 * HOUR, 8, 19)
    positions = np.broadcast_to(view.field_of_view, view.lat.shape)
    columns = view.time.ravel(), view.lat.ravel(), view.lon.ravel(), source.max_speed
    assert not track_check.off_track([positions.ravel()], *columns).any()
    wrong = view.time.copy()
    wrong[100] += np.timedelta64(61, "s")
    marks = track_check.off_track([positions.ravel()], wrong.ravel(), *columns[1:]).reshape(
        view.lat.shape
    )
    assert marks[100].all()
    assert marks.sum() == marks.shape[1]


def test_a_real_granule_stays_on_its_track():
    from fuxiflow.observations import footprint_table, readers

    stem = "npp_d20181022_t0022213_e0022529_b36187_c20181022014936"
    pair = [
        realdata(f"atms_sdr/SATMS_{stem}019618_noac_ops.h5"),
        realdata(f"atms_sdr/GATMO_{stem}013060_noac_ops.h5"),
    ]
    (granule,) = readers.read("atms_sdr", pair, ["Suomi-NPP"], ["1"])
    columns = [
        footprint_table.column_values(granule.footprints, name)
        for name in ("scan_position", "time", "lat", "lon")
    ]
    assert not track_check.off_track(columns[:1], *columns[1:], 9000.0).any()
