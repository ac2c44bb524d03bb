"""The observations that are compared: near analysis times, one a station, at most so many."""

from datetime import date
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.config import sources
from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.verification.observation_samples import one_a_station, sample_observations
from tests.support.footprint_tables import START, footprints

GRID = Grid(4, 8)
SEA = SimpleNamespace(grid=GRID, land_fraction=np.zeros(GRID.shape))
DAY = date(2022, 7, 1)
MINUTE = np.timedelta64(1, "m")


def draw(tmp_path, part, source, statics=SEA, **options):
    path = tmp_path / "table.parquet"
    with footprint_table.FootprintWriter(path, footprint_table.channels_of(part)) as writer:
        writer.write(part)
    return list(sample_observations(path, source, statics, DAY, DAY, 0, **options))


def reports(minutes, station, rejected, source):
    n = len(minutes)
    return footprints(
        np.full((n, len(source.channels)), 250.0),
        channels=source.channel_names,
        time=START + np.array(minutes) * MINUTE,
        station=station,
        scan_position=[0] * n,
        rejected=rejected,
    )


def test_reports_within_an_hour_are_taken_once_a_station(tmp_path):
    source = sources.load_source("land_stations")
    minutes = [299, 301, 355, 370, 419, 420, 350, 365]
    station = ["A", "A", "A", "A", "B", "C", "", ""]
    rejected = [0, 0, 0, 0, Reason.WITHHELD, 0, 0, Reason.RANGE]
    taken = draw(tmp_path, reports(minutes, station, rejected, source), source)
    found = {
        (name, int((time - START) / MINUTE), int(code))
        for piece in taken
        for name, time, code in zip(
            piece["station"].to_pylist(),
            footprint_table.column_values(piece, "time"),
            footprint_table.column_values(piece, "rejected"),
            strict=True,
        )
    }
    # of A the report at 05:55 is nearest to 06 UTC; those before 05:00 and from 07:00 on are of
    # no time, and a bad one is not compared
    assert found == {("A", 355, 0), ("B", 419, Reason.WITHHELD), ("", 350, 0)}


def test_of_equally_near_reports_the_first_is_taken():
    part = footprints(
        [[1, 1]] * 2,
        time=START + np.array([-5, 5]) * MINUTE,
        station=["A", "A"],
        scan_position=[0, 0],
    )
    assert one_a_station(part, START).tolist() == [0]


def test_the_draw_is_of_each_kind_and_the_same_each_time(tmp_path):
    source = sources.load_source("land_stations")
    n = 60
    rejected = np.where(np.arange(n) < 20, Reason.WITHHELD, 0)
    part = reports([360] * n, [f"S{i}" for i in range(n)], rejected, source)
    one, again = (draw(tmp_path, part, source, size=10) for _ in range(2))
    assert [len(piece) for piece in one] == [10, 10]
    assert [p["station"].to_pylist() for p in one] == [p["station"].to_pylist() for p in again]
    assert sum(map(len, draw(tmp_path, part, source))) == n


@pytest.mark.parametrize(("land", "rows"), [(0.0, 1), (1.0, 0)])
def test_radiances_are_of_clear_sky_over_sea(tmp_path, land, rows):
    source = sources.load_source("noaa20_atms")
    values = np.full((2, 22), 250.0)
    values[:, 0], values[:, 1] = 195.0, [165.0, 230.0]
    part = footprints(values, channels=source.channel_names)
    statics = SimpleNamespace(grid=GRID, land_fraction=np.full(GRID.shape, land))
    assert sum(map(len, draw(tmp_path, part, source, statics))) == rows
