"""List scheduling: answers worked out by hand, and what holds for any plan."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.runtime.job_scheduling import Task, critical_path, simulate

# a (3) then b (2) and c (4), then d (1); e (5) on its own
DIAMOND = [
    Task("a", 3, (), {"cores": 1}),
    Task("b", 2, ("a",), {"cores": 1}),
    Task("c", 4, ("a",), {"cores": 1}),
    Task("d", 1, ("b", "c"), {"cores": 1}),
    Task("e", 5, (), {"cores": 1}),
]


@pytest.mark.parametrize(("cores", "makespan"), [(1, 15), (2, 8), (100, 8)])
def test_a_diamond_on_some_cores(cores, makespan):
    assert simulate(DIAMOND, {"cores": cores}).makespan == makespan


def test_the_longest_chain_goes_first():
    assert simulate(DIAMOND, {"cores": 2}).start == {"a": 0, "e": 0, "c": 3, "b": 5, "d": 7}


def test_a_higher_priority_goes_before_a_longer_chain():
    tasks = [Task("a", 5, (), {"cores": 1}), Task("b", 1, (), {"cores": 1}, priority=1)]
    assert simulate(tasks, {"cores": 1}).start == {"b": 0, "a": 1}
    # among those that can start
    late = Task("c", 1, ("a",), {"cores": 1}, priority=2)
    assert simulate([*tasks, late], {"cores": 1}).start == {"b": 0, "a": 1, "c": 6}


def test_the_critical_path():
    path = critical_path(DIAMOND)
    assert [task.name for task in path] == ["a", "c", "d"]


def test_each_resource_limits_on_its_own():
    tasks = [Task(f"t{i}", 2, (), {"gpu": 1, "cores": 1}) for i in range(4)] + [
        Task("c", 2, (), {"cores": 1})
    ]
    assert simulate(tasks, {"cores": 10, "gpu": 2}).makespan == 4
    assert simulate(tasks, {"gpu": 1}).makespan == 8
    assert simulate(tasks, {}).makespan == 2


def test_a_task_that_asks_for_more_than_there_is_gets_all():
    assert (
        simulate(
            [Task("a", 2, (), {"cores": 8}), Task("b", 1, (), {"cores": 1})], {"cores": 4}
        ).makespan
        == 3
    )


def test_what_is_not_in_the_plan_is_done():
    assert simulate([Task("b", 2, ("made before",))], {}).makespan == 2
    assert simulate([], {"cores": 1}).makespan == 0
    assert critical_path([]) == []


def test_tasks_that_wait_for_each_other_are_refused():
    with pytest.raises(ValueError, match="2 tasks wait for each other"):
        simulate([Task("a", 1, ("b",)), Task("b", 1, ("a",)), Task("c", 1)], {})


@st.composite
def plans(draw):
    count = draw(st.integers(1, 12))
    return [
        Task(
            str(i),
            draw(st.integers(0, 9)),
            tuple(map(str, draw(st.sets(st.integers(0, i - 1), max_size=3) if i else st.just(())))),
            {"cores": draw(st.integers(1, 3))},
        )
        for i in range(count)
    ]


@settings(max_examples=60)
@given(plans(), st.integers(3, 6))
def test_no_schedule_breaks_its_rules(tasks, cores):
    found = simulate(tasks, {"cores": cores})
    named = {task.name: task for task in tasks}
    end = {name: found.start[name] + named[name].duration for name in named}
    assert all(found.start[task.name] >= end[name] for task in tasks for name in task.after)
    for moment in found.start.values():
        used = sum(
            task.needs["cores"]
            for task in tasks
            if found.start[task.name] <= moment < end[task.name]
        )
        assert used <= cores
    shortest = sum(task.duration for task in critical_path(tasks))
    work = sum(task.duration * task.needs["cores"] for task in tasks)
    assert max(shortest, work / cores) <= found.makespan <= sum(task.duration for task in tasks)
