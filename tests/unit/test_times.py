"""Periods and segments."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow import times

DAYS = st.dates(date(1979, 1, 1), date(2030, 12, 31))
MONTHS = st.sampled_from([1, 2, 3, 4, 6, 12])


def test_times_include_both_days():
    listed = times.times(date(2022, 2, 28), date(2022, 3, 1))
    assert listed[0] == datetime(2022, 2, 28)
    assert listed[-1] == datetime(2022, 3, 1, 18)
    assert len(listed) == 8


def test_segments_of_a_quarter():
    assert times.segment(date(2022, 12, 31), 3) == "2022-10"
    assert times.segment_bounds("2022-10", 3) == (date(2022, 10, 1), date(2022, 12, 31))
    assert times.previous_segment("2022-01", 3) == "2021-10"
    assert times.segments(date(2022, 3, 31), date(2022, 7, 1), 3) == [
        "2022-01",
        "2022-04",
        "2022-07",
    ]


def test_february_of_a_leap_year():
    assert times.segment_bounds("2024-02", 1)[1] == date(2024, 2, 29)


@given(DAYS, st.integers(0, 900), MONTHS)
def test_segments_tile_a_period(start, length, months):
    end = start + timedelta(days=length)
    labels = times.segments(start, end, months)
    parts = [times.clip(label, months, start, end) for label in labels]
    assert parts[0][0] == start
    assert parts[-1][1] == end
    assert all(b[0] - a[1] == timedelta(days=1) for a, b in pairwise(parts))
    assert all(times.previous_segment(b, months) == a for a, b in pairwise(labels))


@given(DAYS, MONTHS)
def test_a_day_lies_in_its_segment(day, months):
    first, last = times.segment_bounds(times.segment(day, months), months)
    assert first <= day <= last


def test_a_segment_outside_the_period_is_refused():
    with pytest.raises(
        ValueError, match="segment 2022-05 has no day between 2022-01-01 and 2022-04-30"
    ):
        times.clip("2022-05", 1, date(2022, 1, 1), date(2022, 4, 30))


def test_datetime64():
    values = times.as_datetime64([datetime(2022, 1, 1, 6)])
    assert values.dtype == np.dtype("datetime64[ns]")
    assert values[0] == np.datetime64("2022-01-01T06")
