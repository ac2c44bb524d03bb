"""Read the level-1 files of one source and segment.

in:  files     directory of files in the agency's format
     patterns  coefficients of antennas, for a source with antenna_patterns
out: table     Parquet, one row per footprint as read
               (schema: fuxiflow.observations.footprint_table)
     ledger    Parquet, footprints read by file and day, and files that were refused
               (fuxiflow.observations.ledger)
     windows   Parquet, footprints found and usual by platform and window
               (fuxiflow.observations.window_counts)
"""

from datetime import date
from pathlib import Path

from fuxiflow.completeness import check_days, check_share, list_names
from fuxiflow.observations import ledger, window_counts
from fuxiflow.observations.ingest import ingest
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    accounts = ingest(
        input.files,
        params.file_pattern,
        params.reader,
        params.source,
        params.platforms,
        params.channels,
        date.fromisoformat(params.dates[0]),
        output.table,
        log,
        [Path(path) for path in input.patterns],
    )
    sound, damaged = ledger.files_by_soundness(accounts)
    check_share(
        params.completeness.files,
        len(sound),
        len(sound) + len(damaged),
        f"files of {params.source} in {input.files} can be read",
        list_names(damaged),
        log,
    )
    expected = ledger.list_days(params.completeness.expected)
    days = ledger.days_with(accounts, ledger.READ)
    what = f"days of {params.source} have an observation in {input.files}"
    check_days(params.completeness.days, expected, days, what, log)
    platforms = params.completeness.platforms
    windows = window_counts.count_windows(
        output.table, {name: ledger.list_days(days) for name, days in platforms.items()}
    )
    if absent := sorted(platforms.keys() - set(windows["platform"])):
        log.info("%s: no footprint of %s", params.source, list_names(absent))
    short = window_counts.short_windows(windows)
    check_share(
        params.completeness.windows,
        len(windows) - len(short),
        len(windows),
        f"windows of platforms of {params.source} have at least half of their usual footprints",
        window_counts.list_windows(short),
        log,
    )
    ledger.write_ledger(output.ledger, accounts)
    window_counts.write_windows(output.windows, windows)
    log.info("%s: %s", params.source, ledger.summarize_ledger(accounts))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
