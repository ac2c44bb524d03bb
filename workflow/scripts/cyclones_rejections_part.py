"""Count the observations of a segment near best tracks, by source and by what became of them.

in:  tables       Parquet, footprints {source}/{segment}.parquet after quality control
     best_tracks  Parquet, best tracks
out: counts       Parquet, counts by source, storm and reason (fuxiflow.cyclones.rejections)
"""

from datetime import date

from fuxiflow.config import sources
from fuxiflow.cyclones.rejections import SCHEMA, count_near_tracks, join_counts
from fuxiflow.runtime.rule_runner import run
from fuxiflow.storage.tables import read_parquet, write_parquet


def main(input, output, params, log):
    days = [date.fromisoformat(day) for day in params.dates]
    fixes = read_parquet(input.best_tracks)
    parts = []
    for name, paths in sources.paths_by_source(params.sources, input.tables).items():
        parts += [count_near_tracks(path, name, fixes, days, params.radius) for path in paths]
        log.info("%d footprints of %s near best tracks", parts[-1]["footprints"].sum(), name)
    write_parquet(output.counts, join_counts(parts), SCHEMA)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
