"""Mean and standard deviation of one source's gridded values over the observation period.

in:  grids       Zarr, sparse grids of the segments of the period
out: statistics  Zarr, mean, std and count by channel (fuxiflow.observations.statistics)
"""

from datetime import date

from fuxiflow.observations.statistics import grid_statistics
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    statistics = grid_statistics(input.grids, start, end)
    statistics.write(output.statistics)
    for name, mean, std in zip(statistics.channels, statistics.mean, statistics.std, strict=True):
        log.info("channel %s: mean %.2f, standard deviation %.2f", name, mean, std)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
