"""UTC from TAI, GPS time, IDPS epoch time, days of the year and calendar dates."""

import numpy as np
import pytest

from fuxiflow.observations.clocks import (
    NOT_A_TIME,
    complete_time,
    time_of_date,
    times_of_dates,
    times_of_year_and_day,
    utc_of_gps,
    utc_of_idps,
    utc_of_tai,
)


def test_leap_seconds_enter_at_midnight():
    midnight = np.datetime64("2017-01-01", "us")
    tai = midnight + np.array([36, 37, 38, 35]) * np.timedelta64(1, "s")
    expected = midnight + np.array([0, 0, 1, -1]) * np.timedelta64(1, "s")
    assert (utc_of_tai(tai) == expected).all()
    assert np.isnat(utc_of_tai(np.array(["1998-12-31", "NaT"], "datetime64[us]"))).all()


@pytest.mark.parametrize(
    ("day", "seconds"),
    [
        ("2012-06-30T23:59:59", 34),
        ("2012-07-01", 35),
        ("2015-07-01", 36),
        ("2016-12-31T23:59:59", 36),
        ("2017-01-01", 37),
        ("2023-02-01", 37),
    ],
)
def test_leap_seconds(day, seconds):
    time = np.datetime64(day, "us")
    tai = (time - np.datetime64("1958-01-01", "us")).astype(int) + seconds * 1_000_000
    assert utc_of_idps(np.array([tai]))[0] == time


def test_times_before_any_atms_are_refused():
    assert np.isnat(utc_of_idps(np.array([-993]))[0])
    with pytest.raises(ValueError, match="before 2009"):
        utc_of_idps(np.array([1_000_000]))


def test_gps_time():
    gps = (np.datetime64("2017-01-01T00:00:17") - np.datetime64("1980-01-06")) / np.timedelta64(
        1, "s"
    )
    assert utc_of_gps(gps) == np.datetime64("2017-01-01T00:00:00")  # the leap second itself
    assert utc_of_gps(gps + 1) == np.datetime64("2017-01-01T00:00:00")
    assert utc_of_gps(gps - 1) == np.datetime64("2016-12-31T23:59:59")
    assert np.isnat(utc_of_gps(1e30))
    assert np.isnat(utc_of_gps(1e6))


def test_clocks_of_days_and_milliseconds():
    times = times_of_year_and_day(
        np.array([2020, 2020, 1997, 2022], ">u2"), [366, 367, 1, 1], [86_399_999, 0, 0, 86_400_000]
    )
    assert times[0] == np.datetime64("2020-12-31T23:59:59.999")
    assert np.isnat(times[1:]).all()


@pytest.mark.parametrize(
    ("parts", "time"),
    [
        ((2020, 2, 29, 23, 59, 59.5), "2020-02-29T23:59:59.500000"),
        ((2021, 2, 29, 0, 0, 0), "NaT"),
        ((2022, 13, 1, 0, 0, 0), "NaT"),
        ((2022, 7, 1, 24, 0, 0), "NaT"),
        ((2022, 7, 1, np.nan, 0, 0), "NaT"),
    ],
)
def test_calendar_dates_one_at_a_time_and_many(parts, time):
    expected = np.datetime64(time, "us")
    for result in (time_of_date(*parts), times_of_dates(*np.array(parts, float)[:, None])[0]):
        assert result == expected or (np.isnat(result) and np.isnat(expected))


def test_missing_seconds_count_as_none_in_reports_alone():
    parts = (2022, 7, 1, 12, 30, np.nan)
    assert time_of_date(*parts) == np.datetime64("2022-07-01T12:30")
    assert np.isnat(times_of_dates(*np.array(parts)[:, None])).all()


@pytest.mark.parametrize(
    ("parts", "about", "expected"),
    [
        ((2025, 1, 21, 6, np.nan, np.nan), "2025-01-21T06:00", "2025-01-21T06:00"),
        ((2025, 1, 21, 5, np.nan, np.nan), "2025-01-21T06:30", "2025-01-21T05:00"),
        ((np.nan,) * 6, "2025-01-21T06:30", "2025-01-21T06:30"),
        ((np.nan, np.nan, np.nan, 23, 50, np.nan), "2025-01-01T00:00", "2024-12-31T23:50"),
        ((np.nan, np.nan, 1, 0, 10, 5), "2024-12-31T23:00", "2025-01-01T00:10:05"),
        ((np.nan, 12, 31, 23, 50, np.nan), "2025-01-01T00:00", "2024-12-31T23:50"),
        ((25, 1, 21, 6, 0, 0), "2025-01-21T06:00", "2025-01-21T06:00"),
        ((125, 1, 21, 6, 0, 0), "2025-01-21T06:00", "2025-01-21T06:00"),
        ((99, 12, 31, 23, 0, 0), "2000-01-01T00:00", "1999-12-31T23:00"),
    ],
)
def test_a_header_completes_a_date(parts, about, expected):
    assert complete_time(parts, np.datetime64(about, "us")) == (np.datetime64(expected), True)


def test_what_cannot_be_completed_is_no_time():
    about = np.datetime64("2025-01-21T06:00", "us")
    whole = (2025, 1, 20, 6, 0, np.nan)
    assert complete_time(whole, about) == (np.datetime64("2025-01-20T06:00"), False)
    assert np.isnat(complete_time((2025, 1, 21, 6, np.nan, 0), NOT_A_TIME)[0])
    assert np.isnat(complete_time((25, 1, 21, 6, 0, 0), about, century=False)[0])
    assert np.isnat(complete_time((np.nan, 13, 21, 6, 0, 0), about)[0])
