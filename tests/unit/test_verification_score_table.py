"""The score table's contract."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fuxiflow.storage import tables
from fuxiflow.verification import score_table


def frame(value=1.0, n=3, **more) -> pd.DataFrame:
    value = np.full((2, 2, 1), value)
    return score_table.score_rows(
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
    assert list(rows.columns) == score_table.COLUMNS
    selected = rows[(rows["lead_time"] == 12) & (rows["channel"] == "Z500")]
    assert selected["value"].item() == 2.0


def test_scores_that_do_not_exist_have_no_row():
    value = np.array([1.0, np.nan, 3.0, 4.0]).reshape(2, 2, 1)
    assert len(frame(value=value, n=np.array([1, 1, 0, 1]).reshape(2, 2, 1))) == 2


def test_round_trip_with_filters_and_provenance(tmp_path):
    path = tmp_path / "scores.parquet"
    score_table.write_scores(
        path, score_table.concatenate_scores([frame(), frame(system="gfs", value=2.0)])
    )
    assert len(score_table.read_scores(path)) == 8
    selected = score_table.read_scores(path, system="gfs", channel=["Z500"], lead_time=6)
    assert selected["value"].tolist() == [2.0]
    assert "versions" in json.loads(pq.read_schema(path).metadata[b"provenance"])
    assert pq.read_schema(path).names == score_table.COLUMNS
    with pytest.raises(KeyError, match="no column station"):
        score_table.read_scores(path, station="x")


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
        score_table.check_scores(bad, "here")


def test_duplicates_columns_and_types_are_refused():
    with pytest.raises(ValueError, match="second row with its key"):
        score_table.check_scores(
            score_table.concatenate_scores([frame(), frame(value=2.0)]), "here"
        )
    with pytest.raises(ValueError, match="columns are"):
        score_table.check_scores(frame().drop(columns="n"), "here")
    with pytest.raises(ValueError, match="lead_time is float64"):
        score_table.check_scores(frame().astype({"lead_time": float}), "here")


def test_one_case_may_lack_an_interval():
    rows = frame(n=1, ci_low=np.full((2, 2, 1), np.nan), ci_high=np.full((2, 2, 1), np.nan))
    assert len(score_table.check_scores(rows, "here")) == 4


def test_merge_names_the_table_at_fault(tmp_path):
    good = tmp_path / "good.parquet"
    score_table.write_scores(good, frame())
    bad = tmp_path / "bad.parquet"
    tables.write_parquet(bad, frame().drop(columns="n"))
    assert len(score_table.merge_scores([good])) == 4
    with pytest.raises(ValueError, match=r"bad\.parquet: columns are"):
        score_table.merge_scores([good, bad])


def test_nothing_is_a_table_too(tmp_path):
    score_table.write_scores(tmp_path / "empty.parquet", score_table.concatenate_scores([]))
    assert score_table.read_scores(tmp_path / "empty.parquet").empty
    score_table.write_scores(tmp_path / "some.parquet", frame())
    assert (
        len(score_table.merge_scores([tmp_path / "empty.parquet", tmp_path / "some.parquet"])) == 4
    )


def test_a_references_own_error_stays_out_of_the_merged_table():
    rows = pd.DataFrame({"system": ["fuxiflow", "era5", "gfs"], "value": [1.0, 2.0, 3.0]})
    assert score_table.system_scores(rows)["value"].tolist() == [1.0, 3.0]
