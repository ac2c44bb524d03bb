"""Fit bi-weight limits of one source to its observation period, inside the training period.

in:  tables  Parquet, footprints as read, of the segments of the period
out: limits  Parquet, mean, standard deviation and count by channel and latitude band
             (fuxiflow.observations.biweight)
"""

from datetime import date

from fuxiflow.observations.biweight import BANDS, Histograms
from fuxiflow.observations.quality import fit_limits
from fuxiflow.progress import progress
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    histograms = Histograms(params.channels, params.ranges, params.logarithmic)
    limits = fit_limits(progress(input.tables, "tables", log), histograms, start, end)
    for i, channel in enumerate(limits.channels):
        for j, band in enumerate(BANDS):
            if not limits.count[i, j]:
                log.warning(
                    "channel %s, latitudes %s: no value from %s to %s, checked by range alone",
                    channel,
                    band,
                    start,
                    end,
                )
    limits.write(output.limits)
    log.info("%d values", limits.count.sum())


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
