"""The figure of the cycle: its lines, spin-up and outages."""

import pandas as pd
import pytest

from fuxiflow.figures import (
    cycling,
)
from fuxiflow.storage import tables
from tests.support import figure_stores as data
from tests.support.figure_tables import cycle_table, texts


def test_cycling_keeps_the_main_background_and_marks_spin_up_and_outage(figure_stores):
    table = cycle_table(figure_stores)
    kept = set(map(tuple, table[["experiment", "array"]].drop_duplicates().to_numpy()))
    assert kept == {
        ("full", "analysis"),
        ("full", "background"),
        ("full", "climatology"),
        ("no_observations", "analysis"),
    }
    assert table.loc[table["spin_up"], "time"].max() == pd.Timestamp("2023-01-03T18:00")
    out = table[table["outage"]]["time"]
    assert (out.min(), out.max(), out.nunique()) == (
        pd.Timestamp("2023-01-10"),
        pd.Timestamp("2023-01-10T18:00"),
        4,
    )
    assert set(table["channel"]) == set(cycling.CHANNELS)


def test_cycling_draws_every_line_and_the_outage(figure_stores):
    text = texts(cycling.draw(cycle_table(figure_stores, "era5")))
    for label in (
        "full: analysis",
        "full: background",
        "no observations: analysis",
        "climatology",
        "spin-up",
        "observation outage",
    ):
        assert label in text
    assert "Z500 against ERA5" in text
    assert "observed values in the assimilation window; out: noaa20_atms in 4" in text


def test_runs_of_marked_times():
    times = pd.Series(pd.date_range("2023-01-01", periods=6, freq="6h"))
    spans = cycling._spans(times, pd.Series([True, False, True, True, False, True]))
    hours = [
        ((a - times[0]).total_seconds() / 3600, (b - times[0]).total_seconds() / 3600)
        for a, b in spans
    ]
    assert hours == [(-3, 3), (9, 21), (27, 33)]


def test_an_outage_of_one_source_of_two_is_an_outage(tmp_path):
    times = pd.date_range("2023-01-01", periods=3, freq="6h")
    frame = pd.DataFrame(
        {
            "experiment": "full",
            "time": times.repeat(2),
            "source": ["a", "b"] * 3,
            "n": [9, 9, 9, 1, 9, 9],
        }
    )
    tables.write_parquet(tmp_path / "o.parquet", frame)
    counts = cycling.count_observations(tmp_path / "o.parquet")
    assert list(counts["observations"]) == [18, 10, 18]
    assert list(counts["outage"]) == [False, True, False]
    assert list(counts["sources_out"]) == ["", "b", ""]


def test_cycling_without_observations_of_its_own(figure_stores):
    path = figure_stores / "no_observations"
    table = cycling.table(
        [path / "cycle.parquet"],
        path / "observations.parquet",
        "no_observations",
        "era5",
        data.TEST_START.date(),
    )
    assert not table["outage"].any()
    assert set(table["observations"]) == {0}
    cycling.draw(table)


def test_cycling_refuses_an_unknown_reference_or_experiment(figure_stores):
    with pytest.raises(ValueError, match=r"cycle\.parquet: no error of Z500.* against own"):
        cycle_table(figure_stores, "own")
    with pytest.raises(ValueError, match="no rows of the experiment 'other'"):
        cycling.table(
            [figure_stores / "full" / "cycle.parquet"],
            figure_stores / "full" / "observations.parquet",
            "other",
            "era5",
            data.TEST_START.date(),
        )


def test_cycling_names_the_file_that_lacks_a_column(tmp_path):
    tables.write_parquet(tmp_path / "bad.parquet", pd.DataFrame({"time": [1]}))
    with pytest.raises(ValueError, match=r"bad\.parquet: no column source, n; it has time"):
        cycling.count_observations(tmp_path / "bad.parquet")
