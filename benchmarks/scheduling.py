"""Simulate a run of a configuration: its real plan, with dummies that last as long as the jobs.

    python -m benchmarks.scheduling [CONFIG] [--nodes 1 8 64] [--cores N] [--jobs N] [--benchmarks
    FOLDER]

Plans ``CONFIG`` (config/paper.yaml) as if nothing had been made and prints what planning took; then
the critical path, which no number of machines can shorten, and the time that the whole takes with
1, 8 and 64 GPU nodes, where a job that asks for a GPU has a node to itself and all others share
``--cores`` cores; limits of the profiles (jobs at once, downloads) hold. All that is printed twice:
from nothing, and with the raw files there. The peer of each time is what no schedule can beat: the
longest of the critical path and of each resource's work shared out evenly.

Durations are those of ``benchmarks/durations.csv``, which says of each whether it was measured or
estimated, and of the benchmarks of a real run, ``FOLDER``, where it has that job, or else that
rule; ``--overhead`` s are added to each, 5 to 6 on Slurm as measured. ``--nodes 0`` has no GPU
nodes: GPU jobs run on the cores, as the demonstration's do.
"""

import argparse
import resource
import time
from collections import Counter
from collections.abc import Mapping
from datetime import date
from itertools import groupby
from pathlib import Path

import pandas as pd
import yaml

from fuxiflow import ROOT
from fuxiflow.progress import format_duration
from fuxiflow.runtime import job_benchmarks
from fuxiflow.runtime.job_scheduling import Task, critical_path, simulate
from fuxiflow.runtime.snakemake_internals import PlannedJob, plan_jobs

DURATIONS = ROOT / "benchmarks" / "durations.csv"
FIGURE = 5.0  # s; those of the demonstration took 2 to 7


def amount(job: PlannedJob, per: str) -> float:
    """Count the units of work of a job.

    They are the job itself, days, analyses (4 a day), initial times or updates.
    """
    if per == "job":
        return 1
    if per == "update":
        return job.params["stage"]["updates"]
    span = next(job.params[key] for key in ("period", "dates", "template") if key in job.params)
    first, last = (date.fromisoformat(day) for day in span)
    days = (last - first).days + 1
    return days * {"day": 1, "analysis": 4, "init": len(job.params.get("init_hours", []))}[per]


def duration(
    job: PlannedJob,
    table: pd.DataFrame,
    measured: Mapping[tuple[str, str], float],
    typical: Mapping[str, float],
) -> float:
    """Estimate the duration of a job from its own benchmark, its rule's, or the table.

    Parameters
    ----------
    job : PlannedJob
        The job.
    table : pd.DataFrame
        Durations by rule: ``seconds`` per unit of work, and ``per``, the unit.
    measured : Mapping[tuple[str, str], float]
        Seconds of each job of a real run, by rule and wildcards.
    typical : Mapping[str, float]
        Seconds of a job of each rule of a real run.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If neither the benchmarks nor the table have the rule.
    """
    own = measured.get((job.rule, "/".join(job.wildcards.values())))
    if own is not None or job.rule in typical:
        return typical[job.rule] if own is None else own
    if job.rule.startswith("figure_"):
        return FIGURE
    if job.rule not in table.index:
        raise ValueError(f"{DURATIONS}: no duration of {job.rule}; add one, or give --benchmarks")
    row = table.loc[job.rule]
    return row["seconds"] * amount(job, row["per"])


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
        needs = {"gpu_nodes": 1} if on_gpu else {"cores": job.resources.get("threads", 1)}
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


def bounds(every: list[Task], capacity: Mapping[str, float]) -> dict[str, float]:
    """Return the times that no schedule beats, in s.

    They are the critical path and, of each resource, its work shared out evenly.
    """
    times = {"critical path": sum(task.duration for task in critical_path(every))}
    for name, most in capacity.items():
        times[name] = (
            sum(task.duration * min(task.needs.get(name, 0), most) for task in every) / most
        )
    return times


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
    """Simulate the whole by number of GPU nodes, beside the longest of the :func:`bounds`.

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
        why, bound = max(bounds(every, limited).items(), key=lambda item: item[1])
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
    table = pd.read_csv(DURATIONS).set_index("rule")
    seconds = [duration(job, table, measured, typical) for job in jobs]
    capacity = {"cores": options.cores} | limits(ROOT / "slurm" / "config.yaml")
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
