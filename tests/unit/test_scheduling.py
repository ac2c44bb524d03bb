"""The simulated run: how long a dummy lasts, what it needs, what no schedule can beat."""

import pandas as pd
import pytest

from benchmarks import scheduling
from fuxiflow import ROOT
from fuxiflow.runtime.job_scheduling import Task
from fuxiflow.runtime.snakemake_internals import PlannedJob


def planned(
    rule="cycling_analyses", params=None, inputs=(), outputs=("a",), wildcards=None, **resources
):
    return PlannedJob(
        rule,
        wildcards or {},
        params or {},
        list(inputs),
        list(outputs),
        "",
        True,
        [],
        [],
        False,
        False,
        set(),
        set(),
        resources,
    )


JANUARY = {"dates": ["2023-01-01", "2023-01-31"]}


@pytest.mark.parametrize(
    ("per", "params", "expected"),
    [
        ("job", {}, 1),
        ("day", JANUARY, 31),
        ("analysis", JANUARY, 124),
        ("init", JANUARY | {"init_hours": [0, 12]}, 62),
        ("update", {"stage": {"updates": 40000}}, 40000),
        ("day", {"period": ["2023-01-01", "2023-01-02"], "dates": ["2020-01-01", "2020-01-31"]}, 2),
    ],
)
def test_amounts_of_work(per, params, expected):
    assert scheduling.amount(planned(params=params), per) == expected


def test_a_jobs_own_benchmark_goes_before_its_rules_and_that_before_the_table():
    known = pd.DataFrame(
        {"rule": ["cycling_analyses"], "seconds": [2.0], "per": ["analysis"]}
    ).set_index("rule")
    job = planned(params=JANUARY, wildcards={"experiment": "full", "segment": "2023-01"})
    assert scheduling.duration(job, known, {}, {}) == 248
    assert scheduling.duration(job, known, {}, {"cycling_analyses": 7.0}) == 7
    own = {("cycling_analyses", "full/2023-01"): 5.0}
    assert scheduling.duration(job, known, own, {"cycling_analyses": 7.0}) == 5
    assert scheduling.duration(planned("figure_new"), known, {}, {}) == scheduling.FIGURE
    with pytest.raises(ValueError, match=r"durations\.csv: no duration of states_new"):
        scheduling.duration(planned("states_new"), known, {}, {})


def test_gpu_jobs_take_nodes_and_others_cores():
    jobs = [
        planned(outputs=("a", "b"), gpu=1, threads=2),
        planned(inputs=("b", "raw"), outputs=("c",), threads=4),
    ]
    first, second = scheduling.tasks(jobs, [3.0, 4.0], gpu_nodes=True)
    assert first.needs == {"gpu_nodes": 1, "jobs": 1, "downloads": 0}
    assert second.needs == {"cores": 4, "jobs": 1, "downloads": 0}
    assert second.after == ("a",)
    assert scheduling.tasks(jobs, [3.0, 4.0], gpu_nodes=False)[0].needs["cores"] == 2


def test_bounds_are_those_of_each_resource():
    tasks = [Task(str(i), 10, (), {"gpu_nodes": 1, "jobs": 1}) for i in range(6)]
    tasks += [Task("last", 5, ("0",), {"cores": 4, "jobs": 1})]
    assert scheduling.bounds(tasks, {"gpu_nodes": 2, "cores": 2, "jobs": 100}) == {
        "critical path": 15,
        "gpu_nodes": 30,
        "cores": 5,
        "jobs": 0.65,
    }
    table = scheduling.makespans(tasks, {"cores": 4, "jobs": 100}, [1, 6]).splitlines()
    assert table[1].split() == ["1", "0:01:00", "0:01:00", "1.00", "1.00", "gpu_nodes"]
    assert table[2].split() == ["6", "0:00:15", "0:00:15", "1.00", "4.00", "critical", "path"]


def test_the_path_is_told_by_rule():
    tasks = [Task("a", 1), Task("b", 2, ("a",)), Task("c", 3, ("b",)), Task("x", 4)]
    told = scheduling.path_of(
        tasks, {"a": "read", "b": "grid", "c": "grid", "x": "other"}
    ).splitlines()
    assert told[0] == "critical path: 0:00:06, 3 jobs"
    assert [line.split() for line in told[1:]] == [
        ["0:00:01", "read"],
        ["0:00:05", "grid", "x", "2"],
    ]


def test_the_profile_limits_jobs_and_downloads():
    found = scheduling.limits(ROOT / "slurm" / "config.yaml")
    assert found["downloads"] >= 1
    assert found["jobs"] >= 1


def test_every_duration_says_where_it_is_from():
    known = pd.read_csv(scheduling.DURATIONS)
    assert known["basis"].str.match(r"(measured|estimated)").all()
    assert set(known["per"]) <= {"job", "day", "analysis", "init", "update"}
    rules = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
    assert set(known["rule"]) <= rules
    missing = {name for name in rules if not name.startswith(("figure_", "world_"))} - set(
        known["rule"]
    )
    assert missing <= {"states_truth"}, "rules of the archive's plan without a duration"
