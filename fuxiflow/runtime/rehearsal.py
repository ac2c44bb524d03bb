"""The jobs of a finished run: what they took, what they had asked for, what a larger run needs.

A rehearsal runs every rule at its full size on few days. Each of its jobs is compared with its own
request, the first it made: a job that was tried again had asked for too little. Estimates of the
larger run (:mod:`fuxiflow.config.resources`) are raised where the rehearsal took more than was
estimated for it, in proportion. Times of networks are not, where they ran on another device.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from fuxiflow.config.configuration import Config
from fuxiflow.config.resources import Cost, JobRequest, job_cost, request_of
from fuxiflow.progress import format_duration
from fuxiflow.runtime.budget import two_digits
from fuxiflow.runtime.snakemake_internals import PlannedJob
from fuxiflow.storage.files import whole_file

MOST = 2 / 3
"""Share of its limits that a job of the larger run may be estimated to need."""
COLUMNS = (
    *("rule", "grid", "amount", "unit", "seconds", "mb", "basis", "source"),
    *("configuration", "wildcards"),
)
"""Columns of ``benchmarks/durations.csv``; the last two are of measurements of whole jobs."""
HEADER = (
    f"{'rule':<30} {'jobs':>4}  {'time':>8} {'limit':>8}  {'memory':>8} {'asked':>7}   "
    f"{'time':>8} {'limit':>8}  {'memory':>8} {'asked':>7}"
)


@dataclass(frozen=True)
class MeasuredJob:
    """A job with what it took, in s and MB (NaN if not measured), its estimate and its request."""

    rule: str
    wildcards: Mapping[str, str]
    seconds: float
    mb: float
    cost: Cost
    request: JobRequest

    @property
    def time_share(self) -> float:
        """The share of its limit of time that it took."""
        return self.seconds / (60 * self.request.runtime)

    @property
    def memory_share(self) -> float:
        """The share of its memory that it took."""
        return self.mb / self.request.mem_mb

    @property
    def exceeds(self) -> bool:
        """True where it took more than it had asked for."""
        return self.time_share > 1 or self.memory_share > 1


@dataclass(frozen=True)
class RuleNeeds:
    """The most that jobs of a rule took in the rehearsal, and need in the larger run.

    Attributes
    ----------
    rule : str
        Name of the rule.
    jobs : int
        Jobs that were measured; 0 where the rehearsal has none.
    slowest, largest : MeasuredJob or None
        Those that took most of their time and of their memory.
    later, bigger : tuple or None
        Of the larger run the most that a job is estimated to take, in s and in MB, with the
        request of that job; None where the rule is not in it.
    """

    rule: str
    jobs: int
    slowest: MeasuredJob | None
    largest: MeasuredJob | None
    later: tuple[float, JobRequest] | None
    bigger: tuple[float, JobRequest] | None

    @property
    def remarks(self) -> list[str]:
        """Faults of the requests of the rule, in words."""
        remarks = []
        if self.slowest and self.slowest.time_share > 1:
            remarks.append("MORE TIME THAN ASKED FOR")
        if self.largest and self.largest.memory_share > 1:
            remarks.append("MORE MEMORY THAN ASKED FOR")
        if self.later and self.later[0] > MOST * 60 * self.later[1].runtime:
            remarks.append("larger run: over two thirds of its time")
        # requests of memory are 1.3 times the estimate
        if self.bigger and self.bigger[0] > self.bigger[1].mem_mb:
            remarks.append("larger run: over its memory")
        return remarks


def _key(job: PlannedJob) -> tuple[str, str]:
    """Return rule and wildcards of a job as its benchmark is called."""
    return job.rule, "/".join(job.wildcards.values()) or "all"


def measured_jobs(
    config: Config, plan: Iterable[PlannedJob], costs: pd.DataFrame
) -> list[MeasuredJob]:
    """Join measurements of a run with its plan.

    Parameters
    ----------
    config : Config
        The configuration of the run.
    plan : iterable of PlannedJob
        All its jobs.
    costs : pd.DataFrame
        What :func:`fuxiflow.runtime.costs.job_costs` gathered.

    Returns
    -------
    list of MeasuredJob
        Jobs of the plan that were measured.
    """
    measured = {(row.rule, row.wildcards): row for row in costs.itertuples()}
    jobs = []
    for job in plan:
        row = measured.get(_key(job))
        if row is not None:
            cost = job_cost(config, job.rule, job.wildcards)
            jobs.append(
                MeasuredJob(
                    job.rule, job.wildcards, row.seconds, row.peak_mb, cost, request_of(cost)
                )
            )
    return jobs


def rule_needs(
    jobs: Sequence[MeasuredJob], larger: Config, larger_plan: Iterable[PlannedJob]
) -> list[RuleNeeds]:
    """Compare the jobs of a rehearsal with those of a larger run, by rule.

    Parameters
    ----------
    jobs : sequence of MeasuredJob
        The rehearsal.
    larger : Config
        Configuration of the larger run.
    larger_plan : iterable of PlannedJob
        All its jobs.

    Returns
    -------
    list of RuleNeeds
        Rules of the rehearsal in the order of its plan, then those of the larger run alone.
    """
    by_rule: dict[str, list[MeasuredJob]] = defaultdict(list)
    for job in jobs:
        by_rule[job.rule].append(job)
    costs: dict[str, list[Cost]] = defaultdict(list)
    for job in larger_plan:
        costs[job.rule].append(job_cost(larger, job.rule, job.wildcards))
    needs = []
    for rule in dict.fromkeys([*by_rule, *costs]):
        own = by_rule.get(rule, [])
        slowest = max(own, key=lambda job: job.time_share, default=None)
        largest = max(own, key=lambda job: _or_zero(job.memory_share), default=None)
        later = bigger = None
        if rule in costs:
            long = max(costs[rule], key=lambda cost: cost.seconds)
            large = max(costs[rule], key=lambda cost: cost.mb)
            seconds, mb = long.seconds, large.mb
            if slowest and slowest.cost.on_gpu == long.on_gpu:
                seconds *= max(1.0, slowest.seconds / slowest.cost.seconds)
            if largest:
                mb *= max(1.0, _or_zero(largest.mb) / largest.cost.mb)
            later, bigger = (seconds, request_of(long)), (mb, request_of(large))
        needs.append(RuleNeeds(rule, len(own), slowest, largest, later, bigger))
    return needs


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _gigabytes(mb: float) -> str:
    return "–" if math.isnan(mb) else f"{two_digits(mb / 1e3)} GB"


def _pairs(seconds: float, minutes: float, mb: float, asked_mb: float) -> tuple[str, str, str, str]:
    """Return time, limit, memory and request as a table shows them.

    Parameters
    ----------
    seconds, minutes : float
        Time in s and its limit in min.
    mb, asked_mb : float
        Memory and what was asked for, in MB.

    Returns
    -------
    tuple of str
        The four.
    """
    limit = format_duration(60 * minutes)
    return format_duration(seconds), limit, _gigabytes(mb), _gigabytes(asked_mb)


def _cells(values: tuple[str, str, str, str]) -> str:
    return "{:>8} {:>8}  {:>8} {:>7}".format(*values)


def needs_table(needs: Sequence[RuleNeeds], name: str, larger: str) -> str:
    """Return the comparison as a table with a line for each rule.

    Parameters
    ----------
    needs : sequence of RuleNeeds
        The comparison.
    name, larger : str
        Names of the rehearsal and of the larger run.

    Returns
    -------
    str
        Time and memory are those of the jobs that took most of what they had asked for.
    """
    nothing = ("–",) * 4
    lines = [f"{'':<36} {name + ' took':<34}   {larger + ' needs, by estimate'}", HEADER]
    for one in needs:
        here = there = nothing
        if one.slowest and one.largest:
            asked = one.largest.request.mem_mb
            here = _pairs(one.slowest.seconds, one.slowest.request.runtime, one.largest.mb, asked)
        if one.later and one.bigger:
            asked = one.bigger[1].mem_mb
            there = _pairs(one.later[0], one.later[1].runtime, one.bigger[0], asked)
        line = f"{one.rule:<30} {one.jobs:>4}  {_cells(here)}   {_cells(there)}"
        lines.append("  ".join([line, *one.remarks]).rstrip())
    return "\n".join(lines)


def measurement_rows(config: Config, needs: Iterable[RuleNeeds]) -> list[dict[str, str]]:
    """Return rows of ``benchmarks/durations.csv`` for the slowest and largest job of each rule.

    Parameters
    ----------
    config : Config
        The configuration that was run.
    needs : iterable of RuleNeeds
        The comparison.

    Returns
    -------
    list of dict
        Values by column; one row where both are the same job.
    """
    rows = {}
    for one in needs:
        for job in (one.slowest, one.largest):
            if job is None:
                continue
            wildcards = ";".join(f"{key}={value}" for key, value in job.wildcards.items())
            rows[one.rule, wildcards] = {
                "rule": one.rule,
                "grid": f"{config.grid.nlat}x{config.grid.nlon}",
                "amount": "1",
                "unit": "job",
                "seconds": f"{job.seconds:.1f}",
                "mb": "" if math.isnan(job.mb) else f"{job.mb:.0f}",
                "basis": "measured",
                "source": f"fuxiflow rehearsal of {config.name}, {date.today()}",
                "configuration": config.name,
                "wildcards": wildcards,
            }
    return list(rows.values())


def add_measurements(path: Path, rows: Sequence[Mapping[str, str]]) -> int:
    """Put measurements of whole jobs into a table, in place of earlier ones of the configuration.

    Parameters
    ----------
    path : Path
        ``benchmarks/durations.csv``.
    rows : sequence of mapping
        What :func:`measurement_rows` returned.

    Returns
    -------
    int
        The number of rows that were replaced.

    Raises
    ------
    ValueError
        For a table with other columns.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(
                f"{path}: columns {', '.join(reader.fieldnames or ())}, expected "
                f"{', '.join(COLUMNS)}: give the path of benchmarks/durations.csv"
            )
        before = list(reader)
    names = {row["configuration"] for row in rows}
    kept = [row for row in before if row["configuration"] not in names]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*kept, *rows])
    with whole_file(path) as file:
        file.write(text.getvalue().encode())
    return len(before) - len(kept)
