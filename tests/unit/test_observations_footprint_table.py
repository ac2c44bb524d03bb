"""Footprint tables: what is written is what is read, piece by piece and by day."""

import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fuxiflow.observations import footprint_table
from fuxiflow.storage import tables
from fuxiflow.storage.checksums import DamagedError
from tests.support.footprint_tables import START, footprints


def write(path, *parts):
    with footprint_table.FootprintWriter(path, footprint_table.channels_of(parts[0])) as writer:
        for part in parts:
            writer.write(part)
    return path


def test_round_trip(tmp_path):
    values = np.array([[200, np.nan], [210, 220]], "f4")
    path = write(
        tmp_path / "t.parquet", footprints(values, file="a"), footprints(values + 1, file="b")
    )
    footprints_read = footprint_table.read_footprints(path)
    assert footprints_read.schema.names == footprint_table.footprint_schema(["1", "2"]).names
    assert np.array_equal(
        footprint_table.values_of(footprints_read),
        np.concatenate([values, values + 1]),
        equal_nan=True,
    )
    assert footprints_read["file"].to_pylist() == ["a", "a", "b", "b"]
    assert footprint_table.column_values(footprints_read, "time")[1] == START + np.timedelta64(
        1, "s"
    )
    assert footprint_table.read_channel_names(path) == ["1", "2"]
    assert json.loads(pq.read_schema(path).metadata[b"provenance"])["rule"]


def test_missing_times_stay_missing(tmp_path):
    time = np.array([START, np.datetime64("NaT")], "datetime64[ns]")
    path = write(tmp_path / "t.parquet", footprints(np.ones((2, 2)), time=time, rejected=[0, 2]))
    assert np.isnat(
        footprint_table.column_values(footprint_table.read_footprints(path), "time")
    ).tolist() == [False, True]


def test_pieces_are_the_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(footprint_table, "ROW_GROUP", 10)
    path = write(
        tmp_path / "t.parquet", *(footprints(np.full((6, 2), i), file=str(i)) for i in range(5))
    )
    pieces = list(footprint_table.read_row_groups(path))
    assert [len(piece) for piece in pieces] == [12, 12, 6]
    values = np.concatenate([footprint_table.values_of(piece)[:, 0] for piece in pieces])
    assert values.tolist() == np.repeat(range(5), 6).tolist()


def test_read_used_keeps_days_and_drops_rejected(tmp_path):
    hours = START + np.array([-1, 0, 23, 24, 47, 48]) * np.timedelta64(1, "h")
    path = write(
        tmp_path / "t.parquet",
        footprints(np.arange(12).reshape(6, 2), time=hours, rejected=[0, 0, 5, 0, 0, 0]),
    )
    assert footprint_table.values_of(
        footprint_table.read_used_footprints(path, date(2022, 7, 1), date(2022, 7, 2))
    )[:, 0].tolist() == [2, 6, 8]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [4, 0, 5, 2, 1, 3]])
@pytest.mark.parametrize("hours_at_a_time", [24, 6, 1])
def test_days_of_a_table_are_those_read_one_by_one(tmp_path, monkeypatch, order, hours_at_a_time):
    monkeypatch.setattr(footprint_table, "ROW_GROUP", 2)
    hours = (START + np.array([-1, 0, 23, 24, 47, 96]) * np.timedelta64(1, "h"))[order]
    path, rejected = tmp_path / "t.parquet", [0, 0, 5, 0, 0, 0]
    with footprint_table.FootprintWriter(path, ["1", "2"]) as writer:
        for part in (slice(0, 2), slice(2, 4), slice(4, 6)):
            writer.write(
                footprints(
                    np.arange(12).reshape(6, 2)[part], time=hours[part], rejected=rejected[part]
                )
            )
    with pq.ParquetFile(path) as file:
        assert file.num_row_groups == 3
    days = date(2022, 6, 30), date(2022, 7, 6)
    turns = list(footprint_table.used_in_turn(path, *days, hours_at_a_time))
    firsts = np.datetime64(days[0], "h") + np.arange(0, 7 * 24, hours_at_a_time)
    np.testing.assert_array_equal([first for first, _ in turns], firsts)
    for first, used in turns:
        times = footprint_table.column_values(used, "time")
        assert (times >= first).all()
        assert (times < first + np.timedelta64(hours_at_a_time, "h")).all()
    assert sum(len(used) for _, used in turns) == 5
    for day in (days[0] + timedelta(days=i) for i in range(7)):
        one = footprint_table.read_used_footprints(path, day, day)
        of_day = [used for first, used in turns if first.astype("datetime64[D]").item() == day]
        together = pa.concat_tables(of_day)
        ours, theirs = (footprint_table.values_of(table) for table in (together, one))
        if hours_at_a_time == 24:
            assert ours.tolist() == theirs.tolist()
        assert sorted(ours.tolist()) == sorted(theirs.tolist())
        assert together.schema.equals(one.schema)


def test_an_empty_table_keeps_its_schema(tmp_path):
    with footprint_table.FootprintWriter(tmp_path / "t.parquet", ["1"]):
        pass
    assert list(footprint_table.read_row_groups(tmp_path / "t.parquet")) == []
    assert footprint_table.read_footprints(tmp_path / "t.parquet").num_rows == 0
    assert (
        len(
            footprint_table.read_used_footprints(
                tmp_path / "t.parquet", date(2022, 7, 1), date(2022, 7, 2)
            )
        )
        == 0
    )
    ((_, day),) = footprint_table.used_in_turn(
        tmp_path / "t.parquet", date(2022, 7, 1), date(2022, 7, 1)
    )
    assert len(day) == 0
    assert footprint_table.channels_of(day) == ["1"]


def test_replace_changes_values_and_codes_alone():
    before = footprints([[1, 2], [3, 4]])
    after = footprint_table.replace_values(
        before, np.array([[1, np.nan], [3, 4]], "f4"), np.array([0, 7], "u1")
    )
    assert footprint_table.column_values(after, "rejected").tolist() == [0, 7]
    assert np.isnan(footprint_table.values_of(after)[0, 1])
    assert after["lat"].equals(before["lat"])
    assert footprint_table.values_of(before)[0, 1] == 2


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DamagedError, match=r"a\.parquet: carries no checksum"):
        footprint_table.read_footprints(tmp_path / "a.parquet")
    tables.write_parquet(tmp_path / "b.parquet", pa.table({"time": [1]}))
    with pytest.raises(footprint_table.FootprintTableError, match="lacks azimuth, file"):
        list(footprint_table.read_row_groups(tmp_path / "b.parquet"))
