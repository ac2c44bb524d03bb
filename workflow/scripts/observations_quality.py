"""Check the quality of one source and segment, and complete its ledger.

in:  table   Parquet, footprints as read
     ledger  Parquet, what was read and refused
     limits  Parquet, bi-weight limits
out: table   Parquet, footprints with `rejected` (schema: fuxiflow.observations.footprint_table)
     ledger  Parquet, counts by file, day and reason (fuxiflow.observations.ledger)
"""

from datetime import date

import numpy as np
import pandas as pd

from fuxiflow.completeness import check_days
from fuxiflow.observations import ledger
from fuxiflow.observations.biweight import BiweightLimits
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.quality import check_table
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    limits = BiweightLimits.read(input.limits)
    pieces = check_table(
        input.table,
        limits,
        start,
        end,
        params.ranges,
        params.max_z,
        params.max_speed,
        params.denials,
        params.withheld,
    )
    entries = []
    missing = {
        reason: np.zeros(len(limits.channels), int)
        for reason in (Reason.RANGE, Reason.OUTLIER, Reason.DENIED)
    }
    with FootprintWriter(output.table, limits.channels) as writer:
        for checked in pieces:
            writer.write(checked.footprints)
            entries += ledger.count_reasons(params.source, checked.footprints)
            for reason, lost in checked.set_missing.items():
                entries += ledger.count_missing_values(
                    params.source, checked.footprints, lost, reason
                )
                missing[reason] += np.count_nonzero(lost, axis=0)
    for reason, counts in missing.items():
        for name, values in zip(limits.channels, counts, strict=True):
            if values:
                log.info("channel %s: %d single values set missing: %s", name, values, reason.label)
    complete = pd.concat(
        [ledger.read_ledgers([input.ledger]), ledger.build_ledger(entries)], ignore_index=True
    )
    ledger.check_ledger(complete)
    expected = ledger.list_days(params.completeness.expected)
    days = ledger.days_with(complete, ledger.USED)
    what = f"days of {params.source} have an observation that passed every check"
    check_days(params.completeness.days, expected, days, what, log)
    ledger.write_ledger(output.ledger, complete)
    log.info("%s: %s", params.source, ledger.summarize_ledger(complete))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
