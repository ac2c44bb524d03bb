"""Grid the used footprints of one source and segment to hourly cells.

in:  table  Parquet, footprints after quality control
out: grid   Zarr, cells that were observed by hour (schema: fuxiflow.observations.sparse)
"""

from datetime import date

from fuxiflow.grids import Grid
from fuxiflow.observations.gridding import grid_table
from fuxiflow.progress import progress
from fuxiflow.script import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    days = grid_table(input.table, output.grid, params.source, params.units, Grid(**params.grid), start, end,
                      params.method)
    footprints = cells = 0
    without = []
    for day, used, seen in progress(days, "days", log, total=(end - start).days + 1):
        footprints, cells = footprints + used, cells + seen
        if not used:
            without.append(str(day))
    if without:
        log.warning("%d of %d days without an observation: %s", len(without), (end - start).days + 1, " ".join(without))
    log.info("%s: %d footprints in %d cells", params.source, footprints, cells)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
