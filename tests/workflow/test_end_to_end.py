"""One real run of config/test.yaml, and what a finished run looks like."""

import json

import pytest

from fuxiflow.runtime import records

pytestmark = pytest.mark.slow


def test_a_finished_run_has_nothing_to_do(finished):
    assert finished.pending() == set()


def test_records_give_snakemake_the_memory_that_it_has(finished, tmp_path):
    """The same parameters and inputs for every product, so that ``.snakemake`` may be deleted."""
    own, restored = finished.folder / ".snakemake/metadata", tmp_path / "metadata"
    count = records.restore(finished.folder / "results/test/records", restored, finished.folder)
    files = [path for path in own.rglob("*") if path.is_file()]
    assert count == len(files)
    for path in files:
        mine = json.loads((restored / path.relative_to(own)).read_text())
        theirs = json.loads(path.read_text())
        for key in ("rule", "input", "params", "record_format_version"):
            assert mine[key] == theirs[key], (theirs["rule"], key)


def test_reasons_resolve_the_code_of_a_finished_run(finished, tmp_path):
    copy = finished.clone(tmp_path / "fuxiflow")
    assert copy.explain().startswith("nothing would run")
    copy.edit("fuxiflow/observations/quality.py", "\ndef ", "\nADDED = 1\n\n\ndef ", count=1)
    assert "code fuxiflow/observations/quality.py: ADDED is new" in copy.explain().splitlines()


def test_every_product_is_there_and_nothing_half_written(finished, plans):
    for job in plans("test"):
        for name in job.outputs:
            assert (finished.folder / name).exists(), name
    results = finished.folder / "results" / "test"
    assert not list(results.rglob(".tmp-*"))


def test_scores_have_their_columns_and_systems(finished):
    import pandas as pd

    scores = pd.read_parquet(finished.folder / "results/test/scores/scores.parquet")
    assert list(scores.columns) == [
        "experiment",
        "system",
        "reference",
        "metric",
        "channel",
        "region",
        "lead_time",
        "value",
        "n",
        "ci_low",
        "ci_high",
    ]
    assert set(scores["system"]) == {"fuxiflow", "gfs", "persistence", "climatology"}
    assert set(scores["reference"]) >= {"era5", "own", "truth"}
    assert set(scores["experiment"].dropna()) >= {"full", "no_observations"}
    analyses = scores[scores["metric"].isin(["rmse", "bias"])]
    assert analyses["value"].notna().all()
    assert (scores["n"] > 0).all()


def test_every_figure_has_its_table(finished):
    figures = finished.folder / "results/test/figures"
    for figure in (
        "system",
        "coverage",
        "cycling",
        "analysis_error",
        "surface_error",
        "skill_vs_lead",
        "scorecard_era5",
        "increment_case",
        "error_maps",
        "costs",
    ):
        for suffix in (".pdf", ".png", ".csv"):
            assert (figures / f"{figure}{suffix}").stat().st_size > 0


def test_products_say_where_they_came_from(finished):
    import xarray as xr

    results = finished.folder / "results/test"
    for name in (
        "states/statistics.zarr",
        "states/climatology.zarr",
        "states/era5/2022-01.zarr",
        "analyses/full/2022-02.zarr",
        "forecasts/full/2022-02.zarr",
        "forecasts/gfs/2022-02.zarr",
    ):
        with xr.open_zarr(results / name, consolidated=False) as data:
            stamp = json.loads(data.attrs["provenance"])
        assert stamp["world"] == "embedded synthetic world", name
        assert len(stamp["code"]) == 16, name
        assert stamp["inputs"], name


def test_the_ledger_balances(finished):
    import pandas as pd

    ledgers = list((finished.folder / "results/test/observations").glob("*/ledger/*.parquet"))
    assert ledgers
    for path in ledgers:
        ledger = pd.read_parquet(path)
        assert len(ledger)


def test_a_report_can_be_made(finished):
    finished.snakemake("--report", "report.html")
    assert (finished.folder / "report.html").stat().st_size > 1_000_000


def test_a_run_leaves_its_last_account(finished):
    page = (finished.folder / "results/test/status.html").read_text()
    assert ">finished</span>" in page
    assert "http-equiv" not in page
    assert "training_joint full: loss" in page
    assert "Z500 RMSE of analyses against truth" in page


def test_every_job_has_its_costs_beside_what_it_asked_for(finished, plans):
    import pandas as pd

    costs = pd.read_parquet(finished.folder / "results/test/costs.parquet")
    assert set(costs["rule"]) == {job.rule for job in plans("test") if job.outputs} - {
        "figure_costs"
    }
    assert len(costs) == len({job.outputs for job in plans("test") if job.outputs}) - 1
    for column in ("seconds", "requested_mb", "requested_seconds", "threads", "gpus"):
        assert costs[column].notna().all(), column
    assert set(costs["experiment"]) == {"", "full", "no_observations"}
