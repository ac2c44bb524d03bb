"""Benchmarks that Snakemake writes: ``results/{name}/benchmarks/{rule}/{wildcards}.tsv``."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Benchmark:
    """Measurements of a job; NaN is what was not measured.

    ``seconds`` is the time on the clock and ``cpu_seconds`` that of the processor, in s,
    ``peak_mb`` the largest resident memory in MB.
    """

    rule: str
    wildcards: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


def _number(row: dict, key: str) -> float:
    """Return a value; NaN for what Snakemake could not measure, as of jobs below its interval."""
    try:
        return float(row[key])
    except (KeyError, TypeError, ValueError):
        return math.nan


def _last_row(path: Path) -> dict | None:
    """Return the last line of a benchmark file as values by column; None where there is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError:
        return None
    return rows[-1] if rows else None


def benchmark_seconds(path: Path) -> float | None:
    """Return the time on the clock that one file gives, in s; None where it gives none."""
    row = _last_row(path)
    value = _number(row, "s") if row else math.nan
    return None if math.isnan(value) else value


def read_benchmarks(directory: Path) -> list[Benchmark]:
    """Read the benchmarks below a folder that have a time, the last attempt of each job."""
    benchmarks = []
    for path in sorted(Path(directory).rglob("*.tsv")):
        rule, *rest = path.relative_to(directory).with_suffix("").parts
        row = _last_row(path)
        if row and not math.isnan(seconds := _number(row, "s")):
            measured = _number(row, "cpu_time"), _number(row, "max_rss")
            benchmarks.append(Benchmark(rule, "/".join(rest), seconds, *measured))
    return benchmarks


def typical_seconds(benchmarks: Iterable[Benchmark]) -> dict[str, float]:
    """Return the median time of jobs by rule, in s."""
    by_rule = defaultdict(list)
    for one in benchmarks:
        by_rule[one.rule].append(one.seconds)
    return {rule: median(seconds) for rule, seconds in by_rule.items()}
