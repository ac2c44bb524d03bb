"""Quality control of one source and segment, and its complete ledger.

in:  table   Parquet, footprints as read
     ledger  Parquet, what was read and refused
     limits  Parquet, bi-weight limits
out: table   Parquet, footprints with `rejected` (schema: fuxiflow.observations.footprint_table)
     ledger  Parquet, counts by file, day and reason (fuxiflow.observations.ledger)
"""

from datetime import date

import numpy as np
import pandas as pd

from fuxiflow.observations import footprint_table, ledger, quality
from fuxiflow.observations.biweight import BiweightLimits
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    limits = BiweightLimits.read(input.limits)
    repeated, strayed = quality.duplicates_and_off_track(input.table, start, end, params.max_speed)
    entries, row = [], 0
    missing = {
        reason: np.zeros(len(limits.channels), int) for reason in (Reason.RANGE, Reason.OUTLIER)
    }
    with footprint_table.FootprintWriter(output.table, limits.channels) as writer:
        for piece in footprint_table.read_row_groups(input.table):
            part = slice(row, row + len(piece))
            row += len(piece)
            checked = quality.check_footprints(
                piece,
                repeated[part],
                strayed[part],
                limits,
                start,
                end,
                params.ranges,
                params.max_z,
            )
            entries += ledger.count_reasons(params.source, checked.footprints)
            for lost, reason in (
                (checked.out_of_range, Reason.RANGE),
                (checked.outliers, Reason.OUTLIER),
            ):
                entries += ledger.count_missing_values(params.source, piece, lost, reason)
                missing[reason] += np.count_nonzero(lost, axis=0)
            writer.write(checked.footprints)
    for reason, counts in missing.items():
        for name, values in zip(limits.channels, counts, strict=True):
            if values:
                log.info("channel %s: %d single values set missing: %s", name, values, reason.label)
    found = pd.concat(
        [ledger.read_ledgers([input.ledger]), ledger.build_ledger(entries)], ignore_index=True
    )
    ledger.check_ledger(found)
    ledger.write_ledger(output.ledger, found)
    log.info("%s: %s", params.source, ledger.summarize_ledger(found))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
