"""Bi-weight limits of one source from the observation period, which lies inside the training period.

in:  tables  Parquet, footprints as read, of the segments of the period
out: limits  Parquet, mean, standard deviation and count by channel and latitude band (fuxiflow.observations.biweight)
"""

from datetime import date

from fuxiflow.observations import footprint_table, quality
from fuxiflow.observations.biweight import BANDS, Histograms
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.progress import progress
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    histograms = Histograms(params.channels, params.ranges, params.logarithmic)
    for path in progress(input.tables, "tables", log):
        for piece in footprint_table.read_row_groups(path):
            apart = quality.outside_days(footprint_table.column_values(piece, "time"), start, end)
            used = (footprint_table.column_values(piece, "rejected") == Reason.USED) & ~apart
            histograms.add(
                footprint_table.values_of(piece)[used],
                footprint_table.column_values(piece, "lat")[used],
            )
    limits = histograms.limits()
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
