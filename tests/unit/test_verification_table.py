"""The score table's contract."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fuxiflow.storage import tables
from fuxiflow.verification import table


def frame(value=1.0, n=3, **more) -> pd.DataFrame:
    value = np.full((2, 2, 1), value)
    return table.rows(
        **{
            "experiment": "full",
            "system": "fuxiflow",
            "reference": "truth",
            "metric": "rmse",
            "leads": [6, 12],
            "channels": ["Z500", "T850"],
            "regions": ["global"],
            "value": value,
            "n": np.full(value.shape, n),
            "ci_low": value - 0.5,
            "ci_high": value + 0.5,
            **more,
        }
    )


def test_rows_are_tidy():
    value = np.arange(4.0).reshape(2, 2, 1)
    rows = frame(value=value)
    assert list(rows.columns) == table.COLUMNS
    chosen = rows[(rows["lead_time"] == 12) & (rows["channel"] == "Z500")]
    assert chosen["value"].item() == 2.0


def test_scores_that_do_not_exist_have_no_row():
    value = np.array([1.0, np.nan, 3.0, 4.0]).reshape(2, 2, 1)
    assert len(frame(value=value, n=np.array([1, 1, 0, 1]).reshape(2, 2, 1))) == 2


def test_round_trip_with_filters_and_provenance(tmp_path):
    path = tmp_path / "scores.parquet"
    table.write(path, table.concatenate([frame(), frame(system="gfs", value=2.0)]))
    assert len(table.read(path)) == 8
    chosen = table.read(path, system="gfs", channel=["Z500"], lead_time=6)
    assert chosen["value"].tolist() == [2.0]
    assert "versions" in json.loads(pq.read_schema(path).metadata[b"provenance"])
    assert pq.read_schema(path).names == table.COLUMNS
    with pytest.raises(KeyError, match="no column station"):
        table.read(path, station="x")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"value": np.inf}, "not finite"),
        ({"n": 0}, "counts no case"),
        ({"ci_low": 5.0}, "upside down"),
        ({"ci_low": np.nan, "ci_high": np.nan}, "no interval although"),
        ({"channel": np.nan}, "missing key"),
    ],
)
def test_bad_rows_are_named(change, complaint):
    bad = frame().astype({"channel": "object"})
    for name, value in change.items():
        bad.loc[bad.index[2], name] = value
    with pytest.raises(ValueError, match=f"here: 1 rows of 4: the first .*{complaint}"):
        table.check(bad, "here")


def test_duplicates_columns_and_types_are_refused():
    with pytest.raises(ValueError, match="second row with its key"):
        table.check(table.concatenate([frame(), frame(value=2.0)]), "here")
    with pytest.raises(ValueError, match="columns are"):
        table.check(frame().drop(columns="n"), "here")
    with pytest.raises(ValueError, match="lead_time is float64"):
        table.check(frame().astype({"lead_time": float}), "here")


def test_one_case_may_lack_an_interval():
    rows = frame(n=1, ci_low=np.full((2, 2, 1), np.nan), ci_high=np.full((2, 2, 1), np.nan))
    assert len(table.check(rows, "here")) == 4


def test_merge_names_the_table_at_fault(tmp_path):
    good = tmp_path / "good.parquet"
    table.write(good, frame())
    bad = tmp_path / "bad.parquet"
    tables.write_parquet(bad, frame().drop(columns="n"))
    assert len(table.merge([good])) == 4
    with pytest.raises(ValueError, match=r"bad\.parquet: columns are"):
        table.merge([good, bad])


def test_nothing_is_a_table_too(tmp_path):
    table.write(tmp_path / "empty.parquet", table.concatenate([]))
    assert table.read(tmp_path / "empty.parquet").empty
    table.write(tmp_path / "some.parquet", frame())
    assert len(table.merge([tmp_path / "empty.parquet", tmp_path / "some.parquet"])) == 4


def test_a_references_own_error_stays_out_of_the_merged_table():
    rows = pd.DataFrame({"system": ["fuxiflow", "era5", "gfs"], "value": [1.0, 2.0, 3.0]})
    assert table.systems(rows)["value"].tolist() == [1.0, 3.0]
