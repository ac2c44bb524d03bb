"""Costs of a run: what was measured beside what was requested, in numbers worked out by hand."""

import json

import pytest

from fuxiflow.figures import costs as figure
from fuxiflow.runtime import costs
from fuxiflow.runtime.run_state import STAGES
from tests.support.cost_files import write_report, write_run

EXPERIMENTS = ["full", "denial"]


@pytest.fixture
def results(tmp_path):
    write_run(tmp_path)
    return tmp_path


def by_name(table):
    return {(row.rule, row.wildcards): row for row in table.itertuples()}


def test_jobs_have_what_they_took_and_what_they_asked_for(results):
    jobs = costs.job_costs(results, EXPERIMENTS)
    assert len(jobs) == 6
    joint = by_name(jobs)["training_joint", "full"]
    assert (joint.seconds, joint.cpu_seconds, joint.peak_mb, joint.threads) == (3600, 7200, 5000, 4)
    assert (joint.requested_mb, joint.requested_seconds, joint.gpus) == (4000, 86400, 2)
    assert (joint.experiment, joint.source, joint.attempts) == ("full", "benchmark", 1)
    assert {row.experiment for row in jobs.itertuples() if row.stage in ("world", "states")} == {""}


def test_a_source_named_like_an_experiment_is_shared(results):
    jobs = costs.job_costs(results, ["era5", *EXPERIMENTS])
    assert set(jobs.loc[jobs["stage"] == "states", "experiment"]) == {""}


def test_sums_by_rule_and_experiment(results):
    jobs = costs.cost_summary(costs.job_costs(results, EXPERIMENTS)).set_index(
        ["rule", "experiment"]
    )
    decode = jobs.loc["states_decode", ""]
    assert decode[["jobs", "hours", "cpu_hours", "longest_hours"]].tolist() == pytest.approx(
        [2, 0.3, 0.2, 0.2]
    )
    assert decode[["peak_mb", "requested_hours", "gpu_hours"]].tolist() == [300, 2, 0]
    joint = jobs.loc["training_joint", "full"]
    assert (joint["core_hours"], joint["gpu_hours"]) == (4, 2)
    assert jobs.loc["cycling_analyses", "denial"]["gpu_hours"] == 0.5


def test_slurm_counts_every_attempt(results):
    write_report(results)
    write_report(
        results, "efficiency_report_2.csv"
    )  # the same jobs, told again by the run that went on
    jobs = by_name(costs.job_costs(results, EXPERIMENTS))
    joint = jobs["training_joint", "full"]
    assert (joint.source, joint.attempts, joint.seconds, joint.cpu_seconds) == (
        "slurm",
        2,
        7200,
        12000,
    )
    assert (joint.peak_mb, joint.requested_mb) == (5500, 8000)
    assert jobs["world_spinup", ""].seconds == 60
    assert jobs["world_spinup", ""].peak_mb == 100, "the benchmark saw more"
    assert jobs["states_decode", "era5/2022-01"].source == "benchmark"
    assert not any(rule == "gone" for rule, _ in jobs)


def test_a_site_without_comments_tells_nothing(results):
    path = write_report(results)
    path.write_text(path.read_text().replace("RuleName", "Other"))
    assert set(costs.job_costs(results, EXPERIMENTS)["source"]) == {"benchmark"}


def test_a_foreign_report_is_named(results):
    path = write_report(results)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"efficiency_report_1\.csv: no column JobID, NCPUS"):
        costs.job_costs(results, EXPERIMENTS)


def test_what_nobody_recorded_stays_unknown(results):
    (results / "records/training_joint/full.json").unlink()
    (results / "records/world_spinup.json").write_text("{")
    (results / "benchmarks/states_decode/era5/2022-01.tsv").write_text(
        "s\tmax_rss\tcpu_time\n360\tNA\tNA\n"
    )
    jobs = costs.job_costs(results, EXPERIMENTS)
    joint = by_name(jobs)["training_joint", "full"]
    assert joint.requested_mb != joint.requested_mb
    table = figure.table(costs.cost_summary(jobs), STAGES, EXPERIMENTS)
    assert table.set_index("rule").loc["states_decode", "peak_mb"] == 300
    figure.draw(table)


def test_the_figures_rows_are_in_the_order_of_stages_and_experiments(results):
    table = figure.table(
        costs.cost_summary(costs.job_costs(results, EXPERIMENTS)), STAGES, EXPERIMENTS
    )
    assert list(zip(table["rule"], table["experiment"], strict=True)) == [
        ("world_spinup", "shared"),
        ("states_decode", "shared"),
        ("training_joint", "full"),
        ("cycling_analyses", "full"),
        ("cycling_analyses", "denial"),
    ]
    titles = [ax.get_title(loc="left") for ax in figure.draw(table).axes]
    assert titles == [
        "(a) time of all jobs",
        "(b) GPU-hours",
        "(c) largest memory",
        "(d) longest job",
        "(e) use of cores",
    ]


def test_without_gpus_there_is_no_panel_of_them(results):
    for path in (results / "records").rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"gpus": 0}))
    table = figure.table(
        costs.cost_summary(costs.job_costs(results, EXPERIMENTS)), STAGES, EXPERIMENTS
    )
    assert len(figure.draw(table).axes) == 4


def test_results_without_benchmarks_draw_a_remark(tmp_path):
    table = figure.table(
        costs.cost_summary(costs.job_costs(tmp_path, EXPERIMENTS)), STAGES, EXPERIMENTS
    )
    assert table.empty
    assert figure.draw(table).texts[0].get_text() == figure.NONE


@pytest.mark.parametrize(
    ("hours", "text"), [(0.001, "3.6 s"), (0.02, "72 s"), (0.1, "6 min"), (3, "3 h"), (72, "3 d")]
)
def test_lengths_read_well(hours, text):
    assert figure._length(hours) == text
