"""Count the values of one source's footprints in one segment of the observation period.

in:  table       Parquet, footprints as read
out: histograms  Parquet, counts by channel, latitude band and bin
                 (fuxiflow.observations.biweight)
"""

from datetime import date

from fuxiflow.observations.biweight import Histograms
from fuxiflow.observations.quality import count_usable_values
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    histograms = Histograms(params.channels, params.ranges, params.logarithmic)
    count_usable_values(input.table, histograms, start, end, params.denials, params.withheld)
    histograms.write(output.histograms)
    log.info("%d values", histograms.counts.sum())


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
