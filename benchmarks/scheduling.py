"""Simulate a run of a configuration: its real plan, with dummies that last as long as the jobs.

    python -m benchmarks.scheduling [CONFIG] [--nodes 1 8 64] [--cores N] [--jobs N] [--benchmarks
    FOLDER]

Plans ``CONFIG`` (config/paper.yaml) as if nothing had been made and prints what planning took; then
the critical path, which no number of machines can shorten, and the time that the whole takes with
1, 8 and 64 GPU nodes, where a job that asks for a GPU has a node to itself and all others share
``--cores`` cores and ``--memory`` GB; limits of the profiles (jobs at once, downloads) hold. All
that is printed twice: from nothing, and with the raw files there. The peer of each time is what no
schedule can beat: the longest of the critical path and of each resource's work shared out evenly.

Durations are estimated from the size of the problem (:mod:`fuxiflow.config.resources`), which is
fitted to the measurements of ``benchmarks/durations.csv``; those of a real run, ``FOLDER``, come
first where it has that job, or else that rule. ``--overhead`` s are added to each, 5 to 6 on Slurm
as measured. Memory is what jobs ask for; jobs beyond their time limit, or beyond ``--node-memory``,
are named. ``--nodes 0`` has no GPU nodes: GPU jobs run on the cores, as the demonstration's do.
"""

import argparse
import math
import resource
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import yaml

from fuxiflow import ROOT
from fuxiflow.config.configuration import Config, load_configuration
from fuxiflow.config.resources import job_cost
from fuxiflow.progress import format_duration
from fuxiflow.runtime import job_benchmarks
from fuxiflow.runtime.job_scheduling import Task, critical_path, least_times, simulate
from fuxiflow.runtime.snakemake_internals import PlannedJob, plan_jobs

SHARED = {"cores": "threads", "memory": "mem_mb"}
"""Pools that jobs without a GPU node share, each with the resource that says how much."""


def duration(
    job: PlannedJob,
    config: Config,
    measured: Mapping[tuple[str, str], float],
    typical: Mapping[str, float],
) -> float:
    """Estimate the duration of a job from its own benchmark, its rule's, or the configuration.

    Parameters
    ----------
    job : PlannedJob
        The job.
    config : Config
        The configuration that it is of.
    measured : Mapping[tuple[str, str], float]
        Seconds of each job of a real run, by rule and wildcards.
    typical : Mapping[str, float]
        Seconds of a job of each rule of a real run.

    Returns
    -------
    float
        Seconds.
    """
    own = measured.get((job.rule, "/".join(job.wildcards.values())))
    if own is not None or job.rule in typical:
        return typical[job.rule] if own is None else own
    return job_cost(config, job.rule, job.wildcards).seconds


def over_limits(jobs: Iterable[PlannedJob], seconds: Iterable[float], node_mb: float) -> list[str]:
    """Return a line for each rule with jobs that no node could end.

    Parameters
    ----------
    jobs : iterable of PlannedJob
        The plan.
    seconds : iterable of float
        Duration of each job.
    node_mb : float
        Memory of a node in MB.

    Returns
    -------
    list of str
        Rules whose jobs last longer than their limit, or ask for more memory than a node has.
    """
    late, large = Counter(), Counter()
    for job, taken in zip(jobs, seconds, strict=True):
        late[job.rule] += taken > 60 * job.resources.get("runtime", math.inf)
        large[job.rule] += job.resources.get("mem_mb", 0) > node_mb
    lines = [f"{count} {rule}: longer than the limit" for rule, count in late.items() if count]
    return lines + [
        f"{count} {rule}: more memory than a node has" for rule, count in large.items() if count
    ]


def tasks(jobs: list[PlannedJob], seconds: list[float], gpu_nodes: bool) -> list[Task]:
    """Make the dummies of a plan.

    Parameters
    ----------
    jobs : list[PlannedJob]
        The plan.
    seconds : list[float]
        Duration of each job.
    gpu_nodes : bool
        Whether a job that asks for a GPU needs a node and none of the cores.

    Returns
    -------
    list[Task]
        A task for each job, named after its first output.
    """
    maker = {name: job.outputs[0] for job in jobs for name in job.outputs}
    dummies = []
    for job, taken in zip(jobs, seconds, strict=True):
        on_gpu = gpu_nodes and job.resources.get("gpu", 0) > 0
        needs = {"gpu_nodes": 1}
        if not on_gpu:
            needs = {name: job.resources.get(key, 0) for name, key in SHARED.items()}
        needs |= {"jobs": 1, "downloads": job.resources.get("downloads", 0)}
        after = tuple(dict.fromkeys(maker[name] for name in job.inputs if name in maker))
        dummies.append(Task(job.outputs[0], taken, after, needs))
    return dummies


def limits(profile: Path) -> dict[str, float]:
    """Jobs and downloads that a profile lets run at once."""
    values = yaml.safe_load(profile.read_text(encoding="utf-8"))
    named = dict(entry.split("=") for entry in values.get("resources", []))
    most = {name: float(value) for name, value in named.items()}
    return most | ({"jobs": float(values["jobs"])} if "jobs" in values else {})


def path_of(every: list[Task], rules: Mapping[str, str]) -> str:
    """The critical path, jobs of a rule that follow each other together."""
    path = critical_path(every)
    lines = [
        f"critical path: {format_duration(sum(task.duration for task in path))}, {len(path)} jobs"
    ]
    for rule, group in groupby(path, key=lambda task: rules[task.name]):
        part = list(group)
        times = f" x {len(part)}" if len(part) > 1 else ""
        lines.append(f"  {format_duration(sum(task.duration for task in part)):>10}  {rule}{times}")
    return "\n".join(lines)


def makespans(every: list[Task], capacity: Mapping[str, float], nodes: list[int]) -> str:
    """Simulate the whole by number of GPU nodes, beside the longest of the least times.

    Parameters
    ----------
    every : list[Task]
        All tasks.
    capacity : Mapping[str, float]
        Amount of each resource but the GPU nodes.
    nodes : list[int]
        Numbers of GPU nodes, 0 for GPU jobs on the cores.

    Returns
    -------
    str
        A table with a line for each number of nodes.
    """
    lines = [
        f"{'GPU nodes':>9} {'makespan':>11} {'bound':>11} {'ratio':>6} {'speed-up':>8}  bound by"
    ]
    first = None
    for count in nodes:
        limited = {**capacity, **({"gpu_nodes": count} if count else {})}
        makespan = simulate(every, limited).makespan
        first = first or makespan
        why, bound = max(least_times(every, limited).items(), key=lambda item: item[1])
        lines.append(
            f"{count:9d} {format_duration(makespan):>11} {format_duration(bound):>11} "
            f"{makespan / bound:6.2f} {first / makespan:8.2f}  {why}"
        )
    return "\n".join(lines)


def main() -> None:
    """Plan, simulate and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "configuration", type=Path, nargs="?", default=ROOT / "config" / "paper.yaml"
    )
    parser.add_argument(
        "--nodes",
        type=int,
        nargs="+",
        default=[1, 8, 64],
        help="GPU nodes; 0: GPU jobs on the cores",
    )
    parser.add_argument("--cores", type=int, default=128, help="cores of all other jobs")
    parser.add_argument(
        "--memory", type=float, default=1024, help="GB of memory that those jobs share"
    )
    parser.add_argument("--node-memory", type=float, default=512, help="GB of memory of a node")
    parser.add_argument(
        "--jobs", type=int, help="jobs at once, by default those of slurm/config.yaml"
    )
    parser.add_argument(
        "--overhead", type=float, default=6.0, help="seconds that a job takes before it starts work"
    )
    parser.add_argument(
        "--benchmarks", type=Path, help="benchmarks of a real run: results/{name}/benchmarks"
    )
    options = parser.parse_args()
    start = time.process_time(), time.perf_counter()
    jobs = plan_jobs(options.configuration, everything=True)
    spent, wall = time.process_time() - start[0], time.perf_counter() - start[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.configuration.name}: {len(jobs)} jobs planned in {spent:.1f} s of the "
        f"processor, {wall:.1f} s on the clock, {memory:.0f} MB"
    )
    print(
        "  "
        + ", ".join(
            f"{count} {rule}" for rule, count in Counter(job.rule for job in jobs).most_common(8)
        )
    )
    real = job_benchmarks.read_benchmarks(options.benchmarks) if options.benchmarks else []
    measured, typical = (
        {(one.rule, one.wildcards): one.seconds for one in real},
        job_benchmarks.typical_seconds(real),
    )
    config = load_configuration(options.configuration)
    seconds = [duration(job, config, measured, typical) for job in jobs]
    for line in over_limits(jobs, seconds, 1e3 * options.node_memory):
        print(line)
    capacity = {"cores": options.cores, "memory": 1e3 * options.memory}
    capacity |= limits(ROOT / "slurm" / "config.yaml")
    capacity |= {"jobs": options.jobs} if options.jobs else {}
    rules = {job.outputs[0]: job.rule for job in jobs}
    for there in (False, True) if any(job.rule.startswith("archive_") for job in jobs) else (True,):
        kept = [
            0.0 if there and job.rule.startswith("archive_") else one + options.overhead
            for job, one in zip(jobs, seconds, strict=True)
        ]
        every = tasks(jobs, kept, options.nodes != [0])
        gpu = sum(task.duration for task in every if "gpu_nodes" in task.needs) / 3600
        cores = sum(task.duration * task.needs.get("cores", 0) for task in every) / 3600
        print(
            f"\n{'raw files there' if there else 'from nothing'}: {gpu:.1f} hours of GPU nodes, "
            f"{cores:.1f} of cores"
        )
        print(path_of(every, rules))
        print(makespans(every, capacity, options.nodes))


if __name__ == "__main__":
    main()
