"""Footprints found and usual by platform and window, and which windows are short."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.observations import window_counts
from fuxiflow.observations.footprint_table import FootprintWriter, build_footprints
from fuxiflow.storage import tables

DAYS = [date(2022, 2, 1), date(2022, 2, 2), date(2022, 2, 3)]


def write_table(path, times_by_platform):
    """Write a table with footprints of platforms at times."""
    with FootprintWriter(path, ["1"]) as writer:
        for platform, times in times_by_platform.items():
            time = np.array(times, "datetime64[ns]")
            zeros = np.zeros(len(time), np.float32)
            columns = dict.fromkeys(("lat", "lon", "zenith", "azimuth"), zeros)
            columns |= {"scan_position": zeros, "rejected": zeros, "time": time}
            writer.write(build_footprints(["1"], zeros[:, None], columns, platform, "a.nc"))
    return path


def hourly(first, count, each):
    """``each`` footprints at every full hour."""
    start = np.datetime64(first, "h")
    return np.repeat(start + np.arange(count) * np.timedelta64(1, "h"), each)


def test_windows_reach_from_three_hours_before_to_three_after(tmp_path):
    times = ["2022-02-01T02:59:59", "2022-02-01T03:00", "2022-02-01T08:59:59.9", "2022-02-01T09:00"]
    path = write_table(tmp_path / "t.parquet", {"NOAA-19": times})
    counts = window_counts.count_windows(path, {"NOAA-19": DAYS[:1]})
    assert counts["window"].tolist() == [
        pd.Timestamp(f"2022-02-01T{hour}") for hour in ["06", "12", "18"]
    ]
    assert counts["found"].tolist() == [2, 1, 0]


def test_a_window_around_midnight_is_whole_where_both_days_are_there(tmp_path):
    path = write_table(tmp_path / "t.parquet", {"NOAA-19": hourly("2022-02-01", 72, 1)})
    whole = window_counts.count_windows(path, {"NOAA-19": DAYS})
    assert len(whole) == 11
    assert (whole["found"] == 6).all()
    apart = window_counts.count_windows(path, {"NOAA-19": [DAYS[0], DAYS[2]]})
    assert [str(window) for window in apart["window"]] == [
        f"2022-02-0{day} {hour}:00:00" for day in (1, 3) for hour in ("06", "12", "18")
    ]


def test_a_cycle_and_a_platform_that_are_absent_are_short(tmp_path):
    gap = hourly("2022-02-01", 72, 100)
    cycle = (gap >= np.datetime64("2022-02-02T09")) & (gap < np.datetime64("2022-02-02T15"))
    ended = hourly("2022-02-01", 48, 50)
    path = write_table(tmp_path / "t.parquet", {"NOAA-19": gap[~cycle], "Metop-B": ended})
    days = dict.fromkeys(["NOAA-19", "Metop-B"], DAYS)
    short = window_counts.short_windows(window_counts.count_windows(path, days))
    assert window_counts.list_windows(short) == (
        "Metop-B 2022-02-03T06 .. 2022-02-03T18 (3): 0 of some 900 footprints, "
        "NOAA-19 2022-02-02T12: 0 of some 600 footprints"
    )


@pytest.mark.parametrize("share", [0.3, 0.55, 0.7])
@pytest.mark.parametrize("rest", [0, 33])
def test_an_outage_of_most_of_a_segment_is_not_usual(tmp_path, share, rest):
    days = [date(2022, 2, day) for day in range(1, 21)]
    cut = round(24 * 20 * (1 - share))
    times = np.append(
        hourly("2022-02-01", cut, 100),
        hourly(np.datetime64("2022-02-01T00") + cut, 24 * 20 - cut, rest),
    )
    path = write_table(tmp_path / "t.parquet", {"NOAA-19": times})
    short = window_counts.short_windows(window_counts.count_windows(path, {"NOAA-19": days}))
    assert len(short) == pytest.approx(4 * 20 * share, abs=2)


def test_a_platform_is_not_expected_on_other_days_than_its_own(tmp_path):
    path = write_table(tmp_path / "t.parquet", {"Metop-A": hourly("2022-02-01", 24, 100)})
    counts = window_counts.count_windows(path, {"Metop-A": DAYS[:1], "Metop-B": DAYS})
    assert counts["found"].tolist() == [600] * 3


def test_a_sparse_source_is_not_short_by_chance(tmp_path):
    """One footprint in most windows, as single stations and occultations have."""
    times = hourly("2022-02-01", 72, 1)[::6]
    path = write_table(tmp_path / "t.parquet", {"COSMIC-2": np.delete(times, 4)})
    counts = window_counts.count_windows(path, {"COSMIC-2": DAYS})
    assert (counts["found"] == 0).any()
    assert window_counts.short_windows(counts).empty


def test_times_that_are_missing_count_nowhere(tmp_path):
    path = write_table(tmp_path / "t.parquet", {"NOAA-19": ["NaT", "2022-02-01T06"]})
    assert window_counts.count_windows(path, {"NOAA-19": DAYS[:1]})["found"].tolist() == [1, 0, 0]


def test_an_empty_table_has_no_windows(tmp_path):
    path = write_table(tmp_path / "t.parquet", {})
    counts = window_counts.count_windows(path, {"NOAA-19": DAYS})
    assert counts.empty
    assert window_counts.list_windows(window_counts.short_windows(counts)) == "nothing"
    window_counts.write_windows(tmp_path / "w.parquet", counts)
    assert (
        tables.read_parquet(tmp_path / "w.parquet").columns.tolist() == window_counts.SCHEMA.names
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("windows")


@given(
    hours=st.lists(st.integers(0, 71), max_size=40), rows=st.sampled_from(["NOAA-19", "Metop-B"])
)
def test_every_footprint_of_whole_windows_counts_once(folder, hours, rows):
    times = np.datetime64("2022-02-01T00") + np.array(hours, int) * np.timedelta64(1, "h")
    path = write_table(folder / "t.parquet", {rows: times})
    counts = window_counts.count_windows(path, {rows: DAYS})
    assert counts["found"].sum() == sum(3 <= hour < 69 for hour in hours)
