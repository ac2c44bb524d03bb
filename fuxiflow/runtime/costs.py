"""What a run has cost, job by job, beside what was requested: from Snakemake's benchmarks, the records of the jobs and,
where a site keeps accounts, the efficiency reports of Snakemake's Slurm plugin.

A benchmark tells the last attempt of a job; Slurm's accounts tell all of them, with what starting a job takes.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fuxiflow.runtime import job_benchmarks, records
from fuxiflow.runtime.workflow_stages import stage_of
from fuxiflow.storage import tables

HOUR = 3600.0
OF_EXPERIMENTS = ("training", "cycling", "verification")
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
COMMENT = re.compile(r"rule_(?P<rule>.+?)(?:_wildcards_(?P<wildcards>.*))?$")


def _record(results: Path, rule: str, wildcards: str) -> dict:
    """The record of a job, which has what it asked for and its GPUs; empty where there is none."""
    path = records.folder(results).joinpath(*(part for part in (rule, wildcards) if part))
    try:
        return json.loads(path.with_name(f"{path.name}.json").read_text())
    except (OSError, ValueError):
        return {}


def _experiment(rule: str, wildcards: str, experiments: Sequence[str]) -> str:
    """The experiment that a job belongs to; empty for one whose products all share."""
    first = wildcards.split("/")[0]
    return first if stage_of(rule) in OF_EXPERIMENTS and first in experiments else ""


def slurm(reports: Sequence[Path]) -> pd.DataFrame:
    """Jobs of efficiency reports, all attempts of one together: rule, wildcards (joined by ``_``), attempts, seconds,
    cpu_seconds, peak_mb, requested_mb, threads. Reports without rules (no comments kept by the site) tell nothing;
    ValueError names one that lacks a column.
    """
    wanted = ["JobID", "NCPUS", "Elapsed_sec", "TotalCPU_sec", "MaxRSS_MB", "RequestedMem_MB"]
    frames = []
    for path in reports:
        frame = pd.read_csv(path, dtype={"JobID": "str"})
        if absent := [name for name in wanted if name not in frame]:
            raise ValueError(
                f"{path}: no column {', '.join(absent)}: is it a report of Snakemake's Slurm plugin?"
            )
        if "RuleName" in frame:
            frames.append(frame[[*wanted, "RuleName"]])
    every = pd.concat(frames) if frames else pd.DataFrame(columns=[*wanted, "RuleName"])
    # a step of a job may be in the reports of two runs, when the second went on with its results
    every = every.drop_duplicates("JobID")
    named = every["RuleName"].astype("str").str.extract(COMMENT)
    every = every.assign(rule=named["rule"], wildcards=named["wildcards"].fillna("")).dropna(
        subset=["rule"]
    )
    return every.groupby(["rule", "wildcards"], as_index=False).agg(
        attempts=("JobID", "size"),
        seconds=("Elapsed_sec", "sum"),
        cpu_seconds=("TotalCPU_sec", "sum"),
        peak_mb=("MaxRSS_MB", "max"),
        requested_mb=("RequestedMem_MB", "max"),
        threads=("NCPUS", "max"),
    )


def jobs(results: Path, experiments: Sequence[str]) -> pd.DataFrame:
    """One row a job of the run in ``results`` that was measured, see :data:`COLUMNS`; NaN is what nobody measured.

    ``source`` says who did: ``benchmark`` or ``slurm``. ``gpus``, ``threads`` and ``requested_…`` are what the job was
    given, ``requested_seconds`` its limit. An efficiency report lies in ``{results}/slurm/``.
    """
    results = Path(results)
    told = slurm(sorted((results / "slurm").glob("efficiency_report_*.csv")))
    accounts = {(row.rule, row.wildcards): row for row in told.itertuples()}
    rows = []
    for one in job_benchmarks.read(results / "benchmarks"):
        record = _record(results, one.rule, one.wildcards)
        given = record.get("requested") or {}
        row = {
            "rule": one.rule,
            "stage": stage_of(one.rule),
            "wildcards": one.wildcards,
            "experiment": _experiment(one.rule, one.wildcards, experiments),
            "source": "benchmark",
            "attempts": 1,
            "seconds": one.seconds,
            "cpu_seconds": one.cpu_seconds,
            "peak_mb": one.peak_mb,
            "threads": given.get("threads", math.nan),
            "gpus": record.get("gpus", math.nan),
            "requested_mb": given.get("mem_mb", math.nan),
            "requested_seconds": 60.0 * given.get("runtime", math.nan),
        }
        # a rule without wildcards calls its files by a word of its own
        account = accounts.get((one.rule, one.wildcards.replace("/", "_"))) or accounts.get(
            (one.rule, "")
        )
        if account is not None:
            row |= {
                "source": "slurm",
                "attempts": account.attempts,
                "seconds": account.seconds,
                "cpu_seconds": account.cpu_seconds,
                "threads": account.threads,
                "peak_mb": max(
                    account.peak_mb, one.peak_mb if not math.isnan(one.peak_mb) else 0.0
                ),
                "requested_mb": account.requested_mb or row["requested_mb"],
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Costs by rule and experiment, from :func:`jobs`: number of jobs, sums of hours (on the clock, of the processor,
    of cores and GPUs given), the longest job and the largest memory beside what was requested of them."""
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


def write(path: Path, table: pd.DataFrame) -> None:
    """Write the jobs as Parquet, with provenance."""
    tables.write_parquet(path, table)
