"""Merge mean and standard deviation of one source's gridded values over the observation period.

in:  moments     Parquet, moments of each segment of the period
out: statistics  Zarr, mean, std and count by channel (fuxiflow.observations.statistics)
"""

from fuxiflow.observations.statistics import complete_grid_statistics
from fuxiflow.runtime.rule_runner import run
from fuxiflow.storage.moments import merge_segments


def main(input, output, params, log):
    statistics = complete_grid_statistics(merge_segments(input.moments), params.source)
    statistics.write(output.statistics)
    for name, mean, std in zip(statistics.channels, statistics.mean, statistics.std, strict=True):
        log.info("channel %s: mean %.2f, standard deviation %.2f", name, mean, std)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
