"""Observations near best tracks, counted by what became of them."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from fuxiflow.cyclones.rejections import COLUMNS, count_near_tracks, join_counts
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.rejection_codes import Reason
from tests.support.footprint_tables import footprints

DAYS = (date(2022, 7, 1), date(2022, 7, 2))
DEGREE = 111.2
"""km of a degree of latitude, roughly."""


def fixes(storm="2022182N20140", lat=20.0, hours=(0, 3, 6, 12)):
    return pd.DataFrame(
        {
            "storm": storm,
            "name": "ONE",
            "basin": "WP",
            "time": pd.Timestamp("2022-07-01") + pd.to_timedelta(hours, unit="h"),
            "lat": lat,
            "lon": 179.0,
        }
    )


@pytest.fixture
def table(tmp_path):
    """Reports by time, latitude, longitude and what became of them."""
    rows = [
        ("2022-07-01T00:30", 20.0, 179.0, Reason.USED),
        ("2022-07-01T02:59", 20.0, -179.5, Reason.OUTLIER),  # across the date line
        ("2022-07-01T12:00", 20.0 + 444.0 / DEGREE, 179.0, Reason.OUTLIER),
        ("2022-07-01T12:00", 20.0 + 446.0 / DEGREE, 179.0, Reason.OUTLIER),  # too far
        ("2022-07-01T18:00", 20.0, 179.0, Reason.RANGE),  # no fix at that time
        ("2022-06-30T23:00", 20.0, 179.0, Reason.SEGMENT),  # before the days
        ("2022-07-01T06:00", np.nan, 179.0, Reason.LOCATION),
        ("2022-07-01T05:00", 19.0, 179.0, Reason.WITHHELD),
    ]
    time, lat, lon, codes = zip(*rows, strict=True)
    path = tmp_path / "table.parquet"
    part = footprints(
        np.ones((len(rows), 2)), time=np.array(time, "M8[ns]"), lat=lat, lon=lon, rejected=codes
    )
    with FootprintWriter(path, ["1", "2"]) as writer:
        writer.write(part)
    return path


def counted(table):
    return {(row.storm, row.reason): row.footprints for row in table.itertuples()}


def test_footprints_near_the_fix_of_their_time_are_counted(table):
    counts = count_near_tracks(table, "ships_buoys", fixes(), DAYS, 445.0)
    assert list(counts.columns) == list(COLUMNS)
    storm = "2022182N20140"
    assert counted(counts) == {(storm, "used"): 1, (storm, "outlier"): 2, (storm, "withheld"): 1}
    assert set(counts["source"]) == {"ships_buoys"}


def test_a_footprint_near_two_storms_counts_for_both(table):
    both = pd.concat([fixes(hours=[0]), fixes("2022182N22140", lat=22.0, hours=[0])])
    counts = counted(count_near_tracks(table, "ships_buoys", both, DAYS, 445.0))
    assert {storm for storm, reason in counts if reason == "used"} == set(both["storm"])


def test_parts_are_added_up(table):
    part = count_near_tracks(table, "ships_buoys", fixes(), DAYS, 445.0)
    empty = count_near_tracks(table, "atms", fixes().iloc[:0], DAYS, 445.0)
    joined = join_counts([part, part, empty])
    assert counted(joined)["2022182N20140", "outlier"] == 4
    for nothing in ([empty], []):
        assert list(join_counts(nothing).columns) == list(COLUMNS)
