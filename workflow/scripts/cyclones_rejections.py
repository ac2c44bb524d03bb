"""Add up the observations near best tracks, used and rejected.

in:  parts   Parquet, counts of each segment
out: counts  CSV, counts by source, storm and reason (fuxiflow.cyclones.rejections)
"""

from fuxiflow.cyclones.rejections import join_counts
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.runtime.rule_runner import run
from fuxiflow.storage.tables import read_parquet


def main(input, output, params, log):
    counts = join_counts(map(read_parquet, input.parts))
    passed = counts["reason"].isin([Reason.USED.label, Reason.WITHHELD.label])
    log.info(
        "%d of %d footprints near best tracks were rejected",
        counts.loc[~passed, "footprints"].sum(),
        counts["footprints"].sum(),
    )
    counts.to_csv(output.counts, index=False)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
