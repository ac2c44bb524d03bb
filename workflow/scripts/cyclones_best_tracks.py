"""Read the best tracks of the days that forecasts of the test can have storms on.

in:  raw    a file of IBTrACS, CSV or NetCDF, a folder with one, or a receipt of it
out: table  Parquet, fixes by storm and time (fuxiflow.cyclones.best_tracks)
"""

from datetime import date

from fuxiflow.cyclones.best_tracks import find_best_tracks, read_best_tracks, within_days
from fuxiflow.runtime.rule_runner import run
from fuxiflow.storage.tables import write_parquet


def main(input, output, params, log):
    fixes = read_best_tracks(find_best_tracks(input.raw))
    for reason, count in fixes.attrs["rejected"].items():
        log.info("%d fixes of the file were left out: %s", count, reason)
    fixes = within_days(fixes, *map(date.fromisoformat, params.dates))
    storms = fixes["storm"].nunique()
    log.info("%d fixes of %d storms from %s to %s", len(fixes), storms, *params.dates)
    if fixes.empty:
        log.warning("no best track from %s to %s: no storm is followed", *params.dates)
    write_parquet(output.table, fixes)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
