"""Tracks of cyclones: which cases are drawn, and what a figure without any says."""

import numpy as np
import pandas as pd
import pytest

from fuxiflow.cyclones import errors
from fuxiflow.figures import typhoon
from fuxiflow.storage.tables import write_parquet
from tests.support import figure_stores as data


@pytest.fixture
def drawn(tmp_path):
    data.write_cyclones(tmp_path)
    return typhoon.table(
        tmp_path / "errors.parquet", tmp_path / "cyclone_scores.parquet", "full", 2
    )


def test_scores_are_of_the_common_sample_with_counts_and_intervals(drawn):
    scores = drawn[drawn["part"] == "score"]
    assert set(scores["sample"]) == {"homogeneous"}
    assert set(scores["system"]) == {"fuxiflow", "gfs"}
    assert set(scores["metric"]) == {name for names, *_ in typhoon.PANELS for name in names}
    rows = scores[scores["metric"] == "track_error"]
    assert rows["cases"].tolist() == [9] * len(rows)
    assert rows["storms"].tolist() == [3] * len(rows)
    assert (rows["ci_low"] <= rows["value"]).all()


def test_tracks_are_of_one_start_beside_the_whole_best_track(drawn):
    tracks = drawn[drawn["part"] == "track"]
    assert tracks["storm"].nunique() == 2
    one = tracks[tracks["storm"] == tracks["storm"].iloc[0]]
    assert one["init_time"].nunique() == 1
    counts = one["system"].value_counts().to_dict()
    # best tracks are those of all cases: from three starts, 12 h apart
    assert counts == {typhoon.BEST_TRACK: 16, "fuxiflow": 12, "gfs": 12}


def test_panels_go_on_past_the_date_line(drawn):
    figure = typhoon.draw(drawn)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert len(titles) == len(typhoon.PANELS) + 2
    assert titles[0] == "(a) track error"
    assert "ONE" in "".join(titles)
    for ax in figure.axes[len(typhoon.PANELS) :]:
        for line in ax.lines:
            assert np.abs(np.diff(line.get_xdata())).max() < 10
    # a rising error is drawn as it is
    heights = figure.axes[0].lines[0].get_ydata()
    assert (np.diff(heights) > 0).all()


def test_own_cases_are_shown_where_there_is_none_in_common(tmp_path):
    data.write_cyclones(tmp_path)
    path = tmp_path / "errors.parquet"
    cases = pd.read_parquet(path).assign(homogeneous=False)
    write_parquet(path, cases)
    write_parquet(tmp_path / "scores.parquet", errors.score(cases, ["full", "gfs"], 20, 0))
    table = typhoon.table(path, tmp_path / "scores.parquet", "full", 1)
    assert set(table.loc[table["part"] == "score", "sample"]) == {"all"}
    assert "all cases" in typhoon.draw(table).get_suptitle()


def test_a_run_without_a_storm_says_so(tmp_path):
    data.write_cyclones(tmp_path)
    cases = pd.read_parquet(tmp_path / "errors.parquet").iloc[:0]
    write_parquet(tmp_path / "errors.parquet", cases)
    write_parquet(tmp_path / "scores.parquet", errors.score(cases, ["full"], 20, 0))
    table = typhoon.table(tmp_path / "errors.parquet", tmp_path / "scores.parquet", "full", 2)
    assert list(table.columns) == typhoon.COLUMNS
    assert table.empty
    assert [text.get_text() for text in typhoon.draw(table).texts] == ["no storm was followed"]
