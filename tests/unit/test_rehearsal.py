"""A run beside its requests, and what a larger one needs by it; measurements that are kept."""

import math

import pandas as pd
import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import Cost, job_cost, request_of
from fuxiflow.runtime import rehearsal
from fuxiflow.runtime.rehearsal import MeasuredJob, RuleNeeds
from fuxiflow.runtime.snakemake_internals import PlannedJob

TEST, PAPER = (load_configuration(ROOT / "config" / f"{name}.yaml") for name in ("test", "paper"))


def planned(rule, **wildcards):
    nothing = ([], [], False, False, set(), set())
    return PlannedJob(rule, wildcards, {}, [], ["a"], "", True, *nothing)


def measured(rule="states_decode", seconds=1.0, mb=100.0, cost=None, **wildcards):
    cost = cost or Cost(100.0, 1000.0)
    return MeasuredJob(rule, wildcards, seconds, mb, cost, request_of(cost))


def costs(*rows):
    return pd.DataFrame(rows, columns=["rule", "wildcards", "seconds", "peak_mb"])


def one(needs, rule):
    (found,) = [entry for entry in needs if entry.rule == rule]
    return found


def test_measurements_meet_the_jobs_of_the_plan():
    plan = [
        planned("states_decode", reference="era5", segment="2022-01"),
        planned("states_decode", reference="era5", segment="2022-02"),
        planned("world_spinup"),
    ]
    rows = costs(
        ("states_decode", "era5/2022-01", 12.0, 500.0),
        ("world_spinup", "all", 30.0, math.nan),
        ("states_decode", "era5/2021-12", 99.0, 9e9),
    )
    jobs = rehearsal.measured_jobs(TEST, plan, rows)
    assert [(job.rule, job.seconds) for job in jobs] == [
        ("states_decode", 12),
        ("world_spinup", 30),
    ]
    assert jobs[0].wildcards == {"reference": "era5", "segment": "2022-01"}
    assert jobs[0].request == request_of(job_cost(TEST, "states_decode", plan[0].wildcards))
    assert not any(job.exceeds for job in jobs)


@pytest.mark.parametrize(
    ("seconds", "mb", "remarks"),
    [
        (1799, 1299, []),
        (1801, 1300, ["MORE TIME THAN ASKED FOR"]),
        (1, 1301, ["MORE MEMORY THAN ASKED FOR"]),
        (1, math.nan, []),
        (1801, 1301, ["MORE TIME THAN ASKED FOR", "MORE MEMORY THAN ASKED FOR"]),
    ],
)
def test_a_job_beyond_its_request_is_marked(seconds, mb, remarks):
    # of 100 s and 1000 MB it asks for the least time, half an hour, and for 1.3 times the memory
    job = measured(seconds=seconds, mb=mb)
    assert job.exceeds == bool(remarks)
    needs = one(rehearsal.rule_needs([job], PAPER, []), "states_decode")
    assert needs.remarks == remarks
    assert needs.later is None


def test_a_larger_run_needs_more_in_proportion_where_more_was_taken():
    january = planned("states_decode", reference="era5", segment="2020-01")
    estimate = job_cost(PAPER, "states_decode", january.wildcards)
    jobs = [measured(seconds=50, mb=900), measured(seconds=120, mb=2000)]
    needs = one(rehearsal.rule_needs(jobs, PAPER, [january]), "states_decode")
    assert needs.later[0] == pytest.approx(1.2 * estimate.seconds)
    assert needs.bigger[0] == pytest.approx(2 * estimate.mb)
    assert needs.later[1] == request_of(estimate)
    assert "larger run: over its memory" in needs.remarks
    # what took less than was thought lowers nothing
    needs = one(rehearsal.rule_needs(jobs[:1], PAPER, [january]), "states_decode")
    assert (needs.later[0], needs.bigger[0]) == (estimate.seconds, estimate.mb)
    slow = [measured(seconds=250, mb=1)]
    needs = one(rehearsal.rule_needs(slow, PAPER, [january]), "states_decode")
    assert needs.remarks == ["larger run: over two thirds of its time"]


def test_time_of_a_processor_says_nothing_of_that_of_a_gpu():
    training = planned("training_joint", experiment="full")
    estimate = job_cost(PAPER, training.rule, training.wildcards)
    assert estimate.on_gpu
    job = measured("training_joint", seconds=1000, mb=10)
    needs = one(rehearsal.rule_needs([job], PAPER, [training]), "training_joint")
    assert needs.later[0] == estimate.seconds


def test_the_table_has_a_line_for_each_rule_of_either():
    jobs = [measured(seconds=2000, mb=900), measured("world_spinup", mb=math.nan)]
    plan = [
        planned("states_decode", reference="era5", segment="2020-01"),
        planned("verification_scores"),
    ]
    needs = rehearsal.rule_needs(jobs, PAPER, plan)
    lines = rehearsal.needs_table(needs, "rehearsal", "paper").split("\n")
    assert len({len(line.split("  MORE")[0].rstrip()) for line in lines[2:3]}) == 1
    decode, spinup, scores = lines[2:]
    assert decode.startswith("states_decode")
    assert decode.split()[1:4] == ["1", "0:33:20", "0:30:00"]
    assert decode.endswith("MORE TIME THAN ASKED FOR  larger run: over two thirds of its time")
    assert spinup.split()[:2] == ["world_spinup", "1"]
    assert spinup.split()[-1] == "–"
    assert scores.split()[:3] == ["verification_scores", "0", "–"]


def test_measurements_are_kept_once(tmp_path):
    path = tmp_path / "durations.csv"
    header = ",".join(rehearsal.COLUMNS)
    other = 'states_decode,720x1440,1,state,7.3,2770,measured,"one core, GRIB1",,'
    path.write_text(f"{header}\n{other}\n")
    jobs = [
        measured(seconds=50, mb=900, reference="era5", segment="2022-01"),
        measured(seconds=40, mb=950, reference="gfs", segment="2022-02"),
        measured("world_spinup", seconds=3.14, mb=math.nan),
    ]
    rows = rehearsal.measurement_rows(TEST, rehearsal.rule_needs(jobs, PAPER, []))
    assert rehearsal.add_measurements(path, rows) == 0
    assert rehearsal.add_measurements(path, rows) == 3
    assert path.read_text().split("\n")[1] == other
    table = pd.read_csv(path, keep_default_na=False)
    assert len(table) == 4
    slow, large, spinup = table.iloc[1:].to_dict("records")
    assert (slow["seconds"], slow["mb"], slow["wildcards"]) == (
        50,
        "900",
        "reference=era5;segment=2022-01",
    )
    assert (large["mb"], large["wildcards"]) == ("950", "reference=gfs;segment=2022-02")
    assert (spinup["seconds"], spinup["mb"], spinup["basis"]) == (3.1, "", "measured")
    assert set(table["configuration"]) == {"", "test"}
    path.write_text("rule,seconds\n")
    with pytest.raises(ValueError, match=r"durations.csv: columns rule, seconds, expected rule, "):
        rehearsal.add_measurements(path, rows)


def test_the_kept_table_has_these_columns():
    table = pd.read_csv(ROOT / "benchmarks" / "durations.csv")
    assert tuple(table) == rehearsal.COLUMNS


def test_shares_are_of_the_first_request():
    entry = RuleNeeds("a", 0, None, None, None, None)
    assert entry.remarks == []
    assert measured(seconds=900).time_share == 0.5
    assert measured(mb=650).memory_share == 0.5
