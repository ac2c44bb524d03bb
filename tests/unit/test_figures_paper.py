"""The folder of a paper: numbers that their queries give again, and no need of torch."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fuxiflow import ROOT
from fuxiflow.figures import paper, scorecard
from fuxiflow.verification import score_table
from tests.support import figure_stores as data


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of a run named demo, with a score table and the table of one figure."""
    folder = tmp_path_factory.mktemp("work") / "results" / "demo"
    (folder / "figures").mkdir(parents=True)
    (folder / "scores").mkdir()
    scores = folder / "scores" / "scores.parquet"
    data.write_scores(scores, leads=[24, 72])
    table = scorecard.table(scores, "full", "gfs", "own")
    table.to_csv(folder / "figures" / "scorecard_own.csv", index=False)
    return folder


def test_the_query_of_a_number_gives_it_again(results):
    numbers = paper.headline_numbers(results / paper.SCORES, "full", "truth", "gfs")
    names = [number.name for number in numbers]
    assert len(names) == len(set(names))
    assert {"RMSE of Z500, analysis, fuxiflow", "RMSE of R500, analysis, GFS"} <= set(names)
    for number in numbers:
        rows = pd.read_parquet(results / number.table).query(number.filter)
        if number.statistic == "value":
            assert rows["value"].item() == number.value
            assert number.ci_low <= number.value <= number.ci_high
        elif number.statistic == "100 value":
            assert 100 * rows["value"].item() == pytest.approx(number.value)
            assert number.unit == "%"
        else:
            assert len(rows) == number.n


def test_shares_of_the_scorecard(results):
    numbers = {
        number.name: number
        for number in paper.headline_numbers(results / paper.SCORES, "full", "truth", "gfs")
    }
    rows = score_table.read_scores(
        results / paper.SCORES,
        experiment="full",
        reference="truth",
        metric="rmse_vs_gfs",
        region="global",
    )
    rows = rows[rows["channel"] != "TP"]
    better = numbers["cells of the scorecard better than GFS"]
    assert better.n == len(rows) == 69 * 2
    assert better.value == pytest.approx(100 * (rows["value"] < 0).mean())
    worse = numbers["cells of the scorecard significantly worse than GFS"]
    assert worse.value == pytest.approx(100 * (rows["ci_low"] > 0).mean())


@pytest.mark.parametrize(
    ("correlation", "hours"),
    [([0.9, 0.7, 0.5], 48), ([0.9, 0.5, 0.7], 24), ([0.5, 0.4, 0.3], 0), ([0.9, 0.8, 0.7], 72)],
)
def test_a_forecast_is_skilful_up_to_the_first_lead_below(correlation, hours):
    leads = np.array([24, 48, 72])
    assert paper._last_skilful(leads, np.array(correlation)) == hours
    assert np.isnan(paper._last_skilful(leads, np.array([0.9, np.nan, 0.7])))


def test_latex_rounds_by_the_interval_and_shows_the_query():
    numbers = [
        paper.Number("RMSE of Z500", "value", 131.95, 126.6, 137.2, "m2 s-2", 20, "n == 20"),
        paper.Number("lead", "last", 72, 72, 72, "h", 4, "n > 1", "skilful to the longest lead"),
        paper.Number("cells", "100 mean", 40.2, np.nan, np.nan, "%", 9, 'channel != "TP"'),
    ]
    text = paper.latex_table(numbers)
    assert r"RMSE of Z500 & 132 & [127, 137] & m$^{2}$ s$^{-2}$ & 20 \\" in text
    assert "% scores/scores.parquet: n == 20; value" in text
    assert r"lead & $\geq$ 72 & [72, 72] & h & 4 \\" in text
    assert r"cells & 40.2 & -- & \% & 9 \\" in text


def test_the_folder_is_made_from_tables_alone_and_without_torch(results):
    """By the command itself, in a folder that holds nothing but tables."""
    code = (
        "import sys; from fuxiflow.cli import main\n"
        f"status = main(['paper', {str(ROOT / 'config' / 'demo.yaml')!r}])\n"
        "print(status, 'torch' in sys.modules)"
    )
    work = results.parents[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 False"
    folder = results / "paper"
    assert {path.name for path in folder.iterdir()} == {
        "scorecard_own.pdf",
        "figures.csv",
        "numbers.csv",
        "numbers.tex",
    }
    assert (folder / "scorecard_own.pdf").read_bytes().startswith(b"%PDF")
    assert list(pd.read_csv(folder / "figures.csv")["table"]) == ["figures/scorecard_own.csv"]
    assert len(pd.read_csv(folder / "numbers.csv")) > 30


def test_a_run_without_scores_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"scores\.parquet: there is no score table"):
        paper.make_paper(tmp_path, "full", "truth", None)
