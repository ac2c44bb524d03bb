"""Read the level-1 files of one source and segment.

in:  files   directory of files in the agency's format
out: table   Parquet, one row per footprint as read
             (schema: fuxiflow.observations.footprint_table)
     ledger  Parquet, footprints read by file and day, and files that were refused
             (fuxiflow.observations.ledger)
"""

from datetime import date

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
    )
    ledger.write_ledger(output.ledger, accounts)
    log.info("%s: %s", params.source, ledger.summarize_ledger(accounts))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
