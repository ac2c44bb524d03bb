"""The simulated run: how long a dummy lasts, what it needs, what no schedule can beat."""

import pytest

from benchmarks import scheduling
from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import job_cost
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


TEST = load_configuration(ROOT / "config" / "test.yaml")


def test_a_jobs_own_benchmark_goes_before_its_rules_and_that_before_the_estimate():
    job = planned(wildcards={"experiment": "full", "segment": "2022-02"})
    estimate = job_cost(TEST, job.rule, job.wildcards).seconds
    assert scheduling.duration(job, TEST, {}, {}) == estimate
    assert scheduling.duration(job, TEST, {}, {"cycling_analyses": 7.0}) == 7
    own = {("cycling_analyses", "full/2022-02"): 5.0}
    assert scheduling.duration(job, TEST, own, {"cycling_analyses": 7.0}) == 5
    with pytest.raises(KeyError, match="states_new has no entry in COSTS"):
        scheduling.duration(planned("states_new"), TEST, {}, {})


def test_jobs_that_no_node_could_end_are_named():
    jobs = [
        planned("late", runtime=1),
        planned("large", mem_mb=3000, runtime=9),
        planned("fine", mem_mb=10, runtime=1),
    ]
    assert scheduling.over_limits(jobs, [61.0, 60.0, 60.0], 2000) == [
        "1 late: longer than the limit",
        "1 large: more memory than a node has",
    ]


def test_gpu_jobs_take_nodes_and_others_cores():
    jobs = [
        planned(outputs=("a", "b"), gpu=1, threads=2, mem_mb=700),
        planned(inputs=("b", "raw"), outputs=("c",), threads=4, mem_mb=500),
    ]
    first, second = scheduling.tasks(jobs, [3.0, 4.0], gpu_nodes=True)
    assert first.needs == {"gpu_nodes": 1, "jobs": 1, "downloads": 0}
    assert second.needs == {"cores": 4, "memory": 500, "jobs": 1, "downloads": 0}
    assert second.after == ("a",)
    assert scheduling.tasks(jobs, [3.0, 4.0], gpu_nodes=False)[0].needs["cores"] == 2


def test_bounds_are_those_of_each_resource():
    tasks = [Task(str(i), 10, (), {"gpu_nodes": 1, "jobs": 1}) for i in range(6)]
    tasks += [Task("last", 5, ("0",), {"cores": 4, "jobs": 1})]
    assert scheduling.least_times(tasks, {"gpu_nodes": 2, "cores": 2, "jobs": 100}) == {
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
