"""Costs of a run, job by job, beside what was requested.

They come from the benchmarks of Snakemake, the records of the jobs and, where a site keeps
accounts, the efficiency reports of Snakemake's Slurm plugin. A benchmark tells of the last attempt
of a job, the accounts of Slurm of all of them, with the time that starting a job takes.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fuxiflow.runtime.job_benchmarks import Benchmark, read_benchmarks
from fuxiflow.runtime.records import read_job_record
from fuxiflow.runtime.run_state import stage_of
from fuxiflow.storage import tables

HOUR = 3600.0
STAGES_BY_EXPERIMENT = ("training", "cycling", "verification")
COLUMNS = {
    "rule": "str",
    "stage": "str",
    "wildcards": "str",
    "experiment": "str",
    "source": "str",
    "attempts": "int64",
    "seconds": "float64",
    "cpu_seconds": "float64",
    "peak_mb": "float64",
    "threads": "float64",
    "gpus": "float64",
    "requested_mb": "float64",
    "requested_seconds": "float64",
}
ACCOUNTED = ["JobID", "NCPUS", "Elapsed_sec", "TotalCPU_sec", "MaxRSS_MB", "RequestedMem_MB"]
COMMENT = re.compile(r"rule_(?P<rule>.+?)(?:_wildcards_(?P<wildcards>.*))?$")


def _experiment(rule: str, wildcards: str, experiments: Sequence[str]) -> str:
    """Find the experiment that a job belongs to.

    Parameters
    ----------
    rule : str
        The name of its rule.
    wildcards : str
        The values of its wildcards, joined by ``/``.
    experiments : sequence of str
        The experiments of the configuration.

    Returns
    -------
    str
        Its name; empty for a job whose products all experiments share.
    """
    first = wildcards.split("/")[0]
    return first if stage_of(rule) in STAGES_BY_EXPERIMENT and first in experiments else ""


def slurm_accounts(reports: Sequence[Path]) -> pd.DataFrame:
    """Read efficiency reports, all attempts of one job together.

    Reports without rules, of a site that keeps no comments, tell nothing.

    Parameters
    ----------
    reports : sequence of Path
        CSV files of Snakemake's Slurm plugin.

    Returns
    -------
    pd.DataFrame
        Columns rule, wildcards (joined by ``_``), attempts, seconds, cpu_seconds, peak_mb,
        requested_mb, threads.

    Raises
    ------
    ValueError
        Where a report lacks a column.
    """
    frames = []
    for path in reports:
        frame = pd.read_csv(path, dtype={"JobID": "str"})
        if absent := [name for name in ACCOUNTED if name not in frame]:
            raise ValueError(
                f"{path}: no column {', '.join(absent)}: "
                "is it a report of Snakemake's Slurm plugin?"
            )
        if "RuleName" in frame:
            frames.append(frame[[*ACCOUNTED, "RuleName"]])
    every = pd.concat(frames) if frames else pd.DataFrame(columns=[*ACCOUNTED, "RuleName"])
    # a step of a job may be in the reports of two runs, when the second went on with its results
    every = every.drop_duplicates("JobID")
    comments = every["RuleName"].astype("str").str.extract(COMMENT)
    wildcards = comments["wildcards"].fillna("")
    every = every.assign(rule=comments["rule"], wildcards=wildcards).dropna(subset=["rule"])
    return every.groupby(["rule", "wildcards"], as_index=False).agg(
        attempts=("JobID", "size"),
        seconds=("Elapsed_sec", "sum"),
        cpu_seconds=("TotalCPU_sec", "sum"),
        peak_mb=("MaxRSS_MB", "max"),
        requested_mb=("RequestedMem_MB", "max"),
        threads=("NCPUS", "max"),
    )


def _benchmark_row(one: Benchmark, record: dict, experiments: Sequence[str]) -> dict:
    """Return the costs of a job by its benchmark.

    Parameters
    ----------
    one : Benchmark
        The benchmark.
    record : dict
        The record of the job, which has what it asked for and its GPUs; empty without any.
    experiments : sequence of str
        The experiments of the configuration.

    Returns
    -------
    dict
        Values by column.
    """
    requested = record.get("requested") or {}
    return {
        "rule": one.rule,
        "stage": stage_of(one.rule),
        "wildcards": one.wildcards,
        "experiment": _experiment(one.rule, one.wildcards, experiments),
        "source": "benchmark",
        "attempts": 1,
        "seconds": one.seconds,
        "cpu_seconds": one.cpu_seconds,
        "peak_mb": one.peak_mb,
        "threads": requested.get("threads", math.nan),
        "gpus": record.get("gpus", math.nan),
        "requested_mb": requested.get("mem_mb", math.nan),
        "requested_seconds": 60.0 * requested.get("runtime", math.nan),
    }


def job_costs(results: Path, experiments: Sequence[str]) -> pd.DataFrame:
    """Gather the costs of the jobs of a run that were measured.

    Parameters
    ----------
    results : Path
        The folder of the results. Efficiency reports lie in its folder ``slurm``.
    experiments : sequence of str
        The experiments of the configuration.

    Returns
    -------
    pd.DataFrame
        One row a job, with :data:`COLUMNS`; NaN is what nobody measured. ``source`` says who did:
        ``benchmark`` or ``slurm``. ``gpus``, ``threads`` and ``requested_…`` are what the job was
        given, ``requested_seconds`` its limit.
    """
    results = Path(results)
    reports = slurm_accounts(sorted((results / "slurm").glob("efficiency_report_*.csv")))
    accounts = {(row.rule, row.wildcards): row for row in reports.itertuples()}
    rows = []
    for one in read_benchmarks(results / "benchmarks"):
        row = _benchmark_row(one, read_job_record(results, one.rule, one.wildcards), experiments)
        # a rule without wildcards calls its files by a word of its own
        account = accounts.get((one.rule, one.wildcards.replace("/", "_")))
        account = account or accounts.get((one.rule, ""))
        if account is not None:
            peak_mb = 0.0 if math.isnan(one.peak_mb) else one.peak_mb
            row |= {
                "source": "slurm",
                "attempts": account.attempts,
                "seconds": account.seconds,
                "cpu_seconds": account.cpu_seconds,
                "threads": account.threads,
                "peak_mb": max(account.peak_mb, peak_mb),
                "requested_mb": account.requested_mb or row["requested_mb"],
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def cost_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Sum the costs of :func:`job_costs` by rule and experiment.

    The sums are the number of jobs and hours: on the clock, of the processor, of the cores and
    GPUs given. Beside them stand the longest job and the largest memory, with what was requested.
    """
    frame = table.assign(
        hours=table["seconds"] / HOUR,
        cpu_hours=table["cpu_seconds"] / HOUR,
        core_hours=table["seconds"] / HOUR * table["threads"],
        gpu_hours=table["seconds"] / HOUR * table["gpus"],
        longest_hours=table["seconds"] / HOUR,
        requested_hours=table["requested_seconds"] / HOUR,
    )
    summed = {
        name: (name, lambda values: values.sum(min_count=1))
        for name in ("hours", "cpu_hours", "core_hours", "gpu_hours")
    }
    largest = {
        name: (name, "max")
        for name in ("longest_hours", "requested_hours", "peak_mb", "requested_mb")
    }
    return frame.groupby(["stage", "rule", "experiment"], as_index=False, sort=False).agg(
        jobs=("rule", "size"), attempts=("attempts", "sum"), **summed, **largest
    )


def write_costs(path: Path, table: pd.DataFrame) -> None:
    """Write the costs of jobs as Parquet, with provenance."""
    tables.write_parquet(path, table)
