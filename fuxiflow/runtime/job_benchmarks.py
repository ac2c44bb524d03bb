"""The benchmark files that Snakemake writes, one a job: ``results/{name}/benchmarks/{rule}/{wildcards}.tsv``."""

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Benchmark:
    """What a job took: time on the clock and of the processor (s), largest resident memory (MB); NaN: not measured."""

    rule: str
    wildcards: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


def _number(row: dict, key: str) -> float:
    """A value; NaN for what Snakemake could not measure (``NA``, ``-``), as of jobs shorter than its interval."""
    try:
        return float(row[key])
    except (KeyError, TypeError, ValueError):
        return math.nan


def _last(path: Path) -> dict | None:
    """The last line of a benchmark file, as values by column; None where there is none."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError:
        return None
    return rows[-1] if rows else None


def seconds(path: Path) -> float | None:
    """The time on the clock that one file gives, in s; None where it gives none."""
    row = _last(path)
    value = _number(row, "s") if row else math.nan
    return None if math.isnan(value) else value


def read(directory: Path) -> list[Benchmark]:
    """All benchmarks below ``directory``, the last attempt of each job; files without a time are left out."""
    found = []
    for path in sorted(Path(directory).rglob("*.tsv")):
        rule, *rest = path.relative_to(directory).with_suffix("").parts
        row = _last(path)
        if row and not math.isnan(taken := _number(row, "s")):
            found.append(
                Benchmark(
                    rule, "/".join(rest), taken, _number(row, "cpu_time"), _number(row, "max_rss")
                )
            )
    return found


def typical(benchmarks: list[Benchmark]) -> dict[str, float]:
    """By rule, the median time of its jobs in s."""
    by_rule = defaultdict(list)
    for one in benchmarks:
        by_rule[one.rule].append(one.seconds)
    return {rule: median(seconds) for rule, seconds in by_rule.items()}
