"""Fit bi-weight limits of one source to its observation period, inside the training period.

in:  histograms  Parquet, counts of the segments of the period
out: limits      Parquet, mean, standard deviation and count by channel and latitude band
                 (fuxiflow.observations.biweight)
"""

from fuxiflow.observations.biweight import BANDS, Histograms
from fuxiflow.progress import progress
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    histograms = Histograms(params.channels, params.ranges, params.logarithmic)
    for path in progress(input.histograms, "segments", log):
        histograms.add_stored(path)
    limits = histograms.limits()
    for i, channel in enumerate(limits.channels):
        for j, band in enumerate(BANDS):
            if not limits.count[i, j]:
                log.warning(
                    "channel %s, latitudes %s: no value in the observation period, checked by "
                    "range alone",
                    channel,
                    band,
                )
    limits.write(output.limits)
    log.info("%d values", limits.count.sum())


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
