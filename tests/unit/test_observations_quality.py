"""Quality control: each check by itself, their order, single values, and that it settles."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.observations import footprint_table, quality
from fuxiflow.observations.biweight import BiweightLimits
from fuxiflow.observations.rejection_codes import Reason
from tests.support.footprint_tables import START, footprints

LIMITS = BiweightLimits(
    ["1", "2"], np.full((2, 3), 250.0), np.full((2, 3), 10.0), np.ones((2, 3), int)
)
RANGES = [(50, 350)] * 2
DAYS = date(2022, 7, 1), date(2022, 7, 2)


def check(part, limits=LIMITS, max_speed=9000, denials=(), withheld=None):
    repeated = quality.duplicate_footprints(part)
    strayed = quality.off_track_footprints(part, repeated, *DAYS, max_speed)
    return quality.check_footprints(
        part,
        repeated,
        strayed,
        limits,
        *DAYS,
        ranges=RANGES,
        max_z=6,
        denials=denials,
        withheld=withheld,
    )


def codes(checked):
    return footprint_table.column_values(checked.footprints, "rejected").tolist()


def test_good_footprints_pass_unchanged():
    part = footprints([[250, 260], [191, 309]])
    checked = check(part)
    assert codes(checked) == [0, 0]
    # no height is NaN, which equals nothing
    assert checked.footprints.drop_columns("height").equals(part.drop_columns("height"))
    assert not checked.out_of_range.any()
    assert not checked.outliers.any()


def test_a_single_bad_value_becomes_missing():
    checked = check(footprints([[40, 250], [250, 320], [np.nan, 250]]))
    assert codes(checked) == [0, 0, 0]
    assert np.isnan(footprint_table.values_of(checked.footprints)).tolist() == [
        [True, False],
        [False, True],
        [True, False],
    ]
    assert checked.out_of_range.tolist() == [[True, False], [False, False], [False, False]]
    assert checked.outliers.tolist() == [[False, False], [False, True], [False, False]]


def test_a_footprint_without_a_good_value_is_rejected_with_its_values():
    checked = check(footprints([[40, 400], [320, 180], [40, 320]]))
    assert codes(checked) == [Reason.RANGE, Reason.OUTLIER, Reason.OUTLIER]
    assert footprint_table.values_of(checked.footprints).tolist() == [
        [40, 400],
        [320, 180],
        [40, 320],
    ]
    assert not checked.out_of_range.any()
    assert not checked.outliers.any()


def denial(channel, since, until="2022-07-02", platform="NOAA-20"):
    return {"platform": platform, "channel": channel, "since": since, "until": until}


def test_a_channel_that_died_is_missing_from_its_day_on():
    time = START + np.array([86399, 86400, 2 * 86400 - 1]) * np.timedelta64(1, "s")
    part = footprints([[250, 260], [250, 260], [250, 400]], time=time)
    checked = check(
        part, denials=[denial("1", "2022-07-02"), denial("2", "2022-07-01", platform="X")]
    )
    assert codes(checked) == [0, 0, Reason.RANGE]
    values = footprint_table.values_of(checked.footprints)
    assert np.isnan(values).tolist() == [[False, False], [True, False], [False, False]]
    assert checked.denied.tolist() == [[False, False], [True, False], [False, False]]
    assert checked.set_missing[Reason.DENIED] is checked.denied
    assert not checked.out_of_range.any()
    other = check(part, denials=[denial("1", "2022-07-02", platform="NOAA-19")])
    assert not other.denied.any()


def test_a_footprint_whose_channels_have_all_died_is_denied_with_its_values():
    part = footprints([[250, 260], [250, np.nan], [np.nan, 260]])
    both = [denial("1", "2022-07-01"), denial("2", "2022-07-01")]
    once = check(part, denials=both)
    assert codes(once) == [Reason.DENIED] * 3
    assert codes(check(once.footprints, denials=both)) == [Reason.DENIED] * 3
    assert codes(check(part, denials=both[:1])) == [0, Reason.DENIED, 0]


def test_bands_have_their_own_limits_and_may_have_none():
    limits = BiweightLimits(
        ["1", "2"],
        np.array([[250, 200, np.nan]] * 2),
        np.array([[10, 1, np.nan]] * 2),
        np.ones((2, 3)),
    )
    part = footprints([[250, 250]] * 3, lat=[0, 45, 80])
    assert codes(check(part, limits=limits)) == [0, Reason.OUTLIER, 0]


def test_the_segment_ends_at_midnight():
    time = START + np.array([-1, 0, 2 * 86400 - 1, 2 * 86400]) * np.timedelta64(1, "s")
    assert codes(check(footprints(np.full((4, 2), 250), time=time))) == [
        Reason.SEGMENT,
        0,
        0,
        Reason.SEGMENT,
    ]


def test_the_first_of_equal_footprints_is_kept():
    time = START + np.array([5, 5, 5, 6]) * np.timedelta64(1, "s")
    part = footprints(np.full((4, 2), 250), time=time, scan_position=[1, 2, 1, 1], lon=np.zeros(4))
    assert codes(check(part)) == [0, 0, Reason.DUPLICATE, 0]


def test_stations_report_once_at_a_time_and_the_nameless_once_a_place():
    time, station = [START] * 5, ["A", "B", "A", "", ""]
    part = footprints(
        np.full((5, 2), 250), time=time, station=station, scan_position=[0] * 5, lon=[0, 0, 0, 1, 2]
    )
    assert codes(check(part)) == [0, 0, Reason.DUPLICATE, 0, 0]
    again = footprints(
        np.full((5, 2), 250), time=time, station=station, scan_position=[0] * 5, lon=[0, 0, 0, 1, 1]
    )
    assert codes(check(again)) == [0, 0, Reason.DUPLICATE, 0, Reason.DUPLICATE]


def test_a_ship_cannot_be_elsewhere_within_the_hour():
    time = START + np.arange(6) * np.timedelta64(1, "h")
    lat = [0, 0.3, 40, 0.9, 1.2, 1.5]
    part = footprints(
        np.full((6, 2), 250),
        time=time,
        station=["A"] * 6,
        scan_position=[0] * 6,
        lat=lat,
        lon=[0] * 6,
    )
    assert codes(check(part, max_speed=30)) == [0, 0, Reason.TRACK, 0, 0, 0]
    nameless = footprints(
        np.full((6, 2), 250), time=time, scan_position=[0] * 6, lat=lat, lon=[0] * 6
    )
    assert codes(check(nameless, max_speed=30)) == [0] * 6


def test_a_table_that_grows_keeps_its_verdicts():
    # as of a real-time run: the same table six, and then twelve hours later
    hours = np.arange(12)
    lat = np.array([0, 0, 60, 0, 0, 60, 60, 60, 60, 60, 60, 60.0])
    tables = [
        footprints(
            np.full((n, 2), 250),
            time=START + hours[:n] * np.timedelta64(1, "h"),
            station=["A"] * n,
            scan_position=[0] * n,
            lat=lat[:n],
            lon=[0] * n,
        )
        for n in (6, 12)
    ]
    early, late = (codes(check(table, max_speed=30)) for table in tables)
    assert early == late[:6] == [0, 0, Reason.TRACK, 0, 0, Reason.TRACK]
    assert late[6:] == [Reason.TRACK] * 2 + [0] * 4


def test_a_scan_that_travelled_in_time_is_found():
    # a scan every 8/3 s, 18 km further; the fifth says that it was seen a minute later
    scan = np.arange(40)
    time = START + (scan * 8000 // 3).astype("timedelta64[ms]")
    time[4] += np.timedelta64(60, "s")
    part = footprints(
        np.full((40, 2), 250), time=time, lat=scan * 0.16, lon=np.zeros(40), scan_position=[7] * 40
    )
    assert codes(check(part)) == [Reason.TRACK if i == 4 else 0 for i in range(40)]


def test_a_rejected_footprint_has_no_duplicate():
    time = np.array([START, START])
    part = footprints(
        np.full((2, 2), 250), time=time, rejected=[Reason.LOCATION, 0], scan_position=[1, 1]
    )
    assert codes(check(part)) == [Reason.LOCATION, 0]


def test_what_the_reader_rejected_stays_so():
    part = footprints([[10, 10]] * 3, rejected=[Reason.LOCATION, Reason.TIME, Reason.MISSING])
    assert codes(check(part)) == [Reason.LOCATION, Reason.TIME, Reason.MISSING]


def test_limits_of_other_channels_are_refused():
    with pytest.raises(ValueError, match="limits are of channels 1, 2, the table has 1, 3"):
        check(footprints([[1, 2]], channels=("1", "3")))


@given(seed=st.integers(0, 2**16), n=st.integers(1, 50))
@settings(max_examples=50)
def test_applied_twice_nothing_changes(seed, n):
    generator = np.random.default_rng(seed)
    values = generator.choice([250, 40, 320, np.nan, 180, 260], (n, 2))
    time = START + generator.integers(-5, 30, n) * np.timedelta64(1, "s")
    part = footprints(
        values,
        time=time,
        lat=generator.choice([0, 0, 0, 1, 50, -80], n),
        rejected=generator.choice([0, 0, 1], n),
        scan_position=generator.integers(0, 3, n),
        station=generator.choice(["", "A", "B"], n),
    )
    once = check(part)
    twice = check(once.footprints)
    assert codes(once) == codes(twice)
    assert np.array_equal(
        footprint_table.values_of(once.footprints),
        footprint_table.values_of(twice.footprints),
        equal_nan=True,
    )
    assert not twice.out_of_range.any()
    assert not twice.outliers.any()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), n=st.integers(0, 60), rows=st.sampled_from([1, 7, 25]))
def test_parts_of_a_table_on_disk_give_what_the_whole_gives(tmp_path_factory, seed, n, rows):
    """Stations, scans and anonymous reports with duplicates and leaps, in small row groups."""
    generator = np.random.default_rng(seed)
    nameless = generator.random(n) < 0.3
    station = np.where(
        nameless | (generator.random(n) < 0.3), "", generator.choice(["A", "B", "C"], n)
    )
    position = np.where(nameless | (station != ""), 0, generator.integers(1, 4, n))
    part = footprints(
        generator.uniform(200, 300, (n, 2)),
        station=station,
        scan_position=position,
        time=START + generator.integers(0, 20, n) * np.timedelta64(600, "s"),
        lat=generator.choice([0, 0, 0.0, -0.0, 50], n),
        lon=generator.choice([0, 0, 100], n),
    )
    repeated = quality.duplicate_footprints(part)
    expected = repeated, quality.off_track_footprints(part, repeated, *DAYS, 30)
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint_table, "ROW_GROUP", 5)
        with footprint_table.FootprintWriter(path, ["1", "2"]) as out:
            for first in range(0, n, 4):
                out.write(part.slice(first, 4))
    for marks, whole in zip(
        quality.duplicates_and_off_track(path, *DAYS, 30, rows), expected, strict=True
    ):
        assert marks.tolist() == whole.tolist()
