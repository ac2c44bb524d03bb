"""Compute the moments of the states of one training segment, and of their 6-h differences.

in:  states   Zarr stores of the segment and, where it is of training, of the one before
out: moments  Parquet, count, mean and sum of squares by channel (fuxiflow.storage.moments)
"""

from fuxiflow.states.statistics import segment_moments
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    segment_moments(StateSeries(input.states), params.dates, log).write(output.moments)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
