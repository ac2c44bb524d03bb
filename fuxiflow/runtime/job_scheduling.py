"""List scheduling of a plan on limited resources, and its critical path.

Used for the time that a run still takes (:mod:`fuxiflow.runtime.monitor`) and for simulated runs
(``benchmarks.scheduling``).
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Task:
    """A job with its ``duration`` in s.

    ``after`` are the tasks that it waits for, ``needs`` what it takes of each resource meanwhile.
    One of a higher ``priority`` goes first.
    """

    name: str
    duration: float
    after: tuple[str, ...] = ()
    needs: Mapping[str, float] = field(default_factory=dict)
    priority: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """The start of each task, and the end of the last, in s."""

    start: dict[str, float]
    makespan: float


def _followers(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    followers = defaultdict(list)
    for task in tasks.values():
        for name in task.after:
            followers[name].append(task.name)
    return followers


def _by_name(tasks: Iterable[Task]) -> dict[str, Task]:
    """Return tasks by name, without dependencies on what is not among them: that is done."""
    every = list(tasks)
    names = {task.name for task in every}
    return {
        task.name: Task(
            task.name,
            task.duration,
            tuple(n for n in dict.fromkeys(task.after) if n in names),
            task.needs,
            task.priority,
        )
        for task in every
    }


def _in_order(tasks: Mapping[str, Task]) -> list[str]:
    """Return names so that each comes after those it waits for.

    ValueError where tasks wait for each other.
    """
    waiting = {name: len(task.after) for name, task in tasks.items()}
    followers = _followers(tasks)
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:
        for follower in followers[name]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if len(ready) < len(tasks):
        raise ValueError(
            f"{len(tasks) - len(ready)} tasks wait for each other, "
            f"{next(name for name, count in waiting.items() if count)} for one"
        )
    return ready


def chain_lengths(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Return by task the s from its start to the end of the longest chain that it begins."""
    followers, lengths = _followers(tasks), {}
    for name in reversed(_in_order(tasks)):
        longest = max((lengths[after] for after in followers[name]), default=0.0)
        lengths[name] = tasks[name].duration + longest
    return lengths


def critical_path(tasks: Iterable[Task]) -> list[Task]:
    """Find the chain of tasks whose durations add up to the least time that any resources allow."""
    named = _by_name(tasks)
    left, followers = chain_lengths(named), _followers(named)
    path, candidates = [], list(named)
    while candidates:
        name = max(candidates, key=left.__getitem__)
        path.append(named[name])
        candidates = followers[name]
    return path


def least_times(tasks: Iterable[Task], capacity: Mapping[str, float]) -> dict[str, float]:
    """Return the times that no schedule beats, in s.

    They are the critical path and, of each resource, its work shared out evenly.
    """
    every = list(tasks)
    times = {"critical path": sum(task.duration for task in critical_path(every))}
    for name, most in capacity.items():
        times[name] = (
            sum(task.duration * min(task.needs.get(name, 0), most) for task in every) / most
        )
    return times


def simulate(tasks: Iterable[Task], capacity: Mapping[str, float]) -> Schedule:
    """Run ``tasks`` with at most ``capacity`` of each resource in use.

    Resources without a capacity are unlimited. Whenever something ends, of the tasks that can start
    the one with the highest priority does, of equal ones that with the longest chain behind it
    (list scheduling, Graham 1969, doi 10.1137/0117039: never beyond twice the best possible for one
    resource and one priority). A task that needs more than there is gets all there is, as in
    Snakemake.
    """
    named = _by_name(tasks)
    chains, followers = chain_lengths(named), _followers(named)
    order = {name: (-task.priority, -chains[name], name) for name, task in named.items()}
    needs = {
        name: tuple(
            sorted(
                (key, min(amount, capacity[key]))
                for key, amount in task.needs.items()
                if key in capacity and amount
            )
        )
        for name, task in named.items()
    }
    waiting = {name: len(task.after) for name, task in named.items()}
    # tasks with the same needs differ only in priority, so one heap for each kind of needs
    ready, free = defaultdict(list), dict(capacity)
    for name, count in waiting.items():
        if not count:
            heapq.heappush(ready[needs[name]], order[name])
    now, running, start = 0.0, [], {}
    while True:
        startable = True
        while startable:
            fitting = [
                kind
                for kind, heap in ready.items()
                if heap and all(free[key] >= n for key, n in kind)
            ]
            startable = bool(fitting)
            if startable:
                kind = min(fitting, key=lambda kind: ready[kind][0])
                *_, name = heapq.heappop(ready[kind])
                for key, amount in kind:
                    free[key] -= amount
                start[name] = now
                heapq.heappush(running, (now + named[name].duration, name))
        if not running:
            return Schedule(start, now)
        now, name = heapq.heappop(running)
        for key, amount in needs[name]:
            free[key] += amount
        for follower in followers[name]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready[needs[follower]], order[follower])
