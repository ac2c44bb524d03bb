"""Moments of one source's gridded values in one segment of the observation period.

in:  grid     Zarr, sparse grids of the segment
out: moments  Parquet, count, mean and sum of squares by channel (fuxiflow.storage.moments)
"""

from datetime import date

from fuxiflow.observations.statistics import segment_statistics
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    segment_statistics(input.grid, start, end).write(output.moments)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
