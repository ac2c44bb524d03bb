"""Read the level-1 files of one source and segment.

in:  files     directory of files in the agency's format
     patterns  coefficients of antennas, for a source with antenna_patterns
out: table     Parquet, one row per footprint as read
               (schema: fuxiflow.observations.footprint_table)
     ledger    Parquet, footprints read by file and day, and files that were refused
               (fuxiflow.observations.ledger)
"""

from datetime import date
from pathlib import Path

from fuxiflow.completeness import check_days, check_share, list_names
from fuxiflow.observations import ledger
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
    ledger.write_ledger(output.ledger, accounts)
    log.info("%s: %s", params.source, ledger.summarize_ledger(accounts))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
