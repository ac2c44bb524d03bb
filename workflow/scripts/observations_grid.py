"""Grid the used footprints of one source and segment to hourly cells.

in:  table  Parquet, footprints after quality control
out: grid   Zarr, cells that were observed by hour (schema: fuxiflow.observations.sparse_grids)
"""

from datetime import date

from fuxiflow.grids import Grid
from fuxiflow.observations.gridding import GriddingOptions, grid_footprints
from fuxiflow.progress import progress
from fuxiflow.runtime.rule_runner import run


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    days = grid_footprints(
        input.table,
        output.grid,
        params.source,
        params.units,
        Grid(**params.grid),
        start,
        end,
        GriddingOptions(seed=params.seed, **params.options),
    )
    footprints = cells = passed_over = 0
    without = []
    for day, used, seen, left in progress(days, "days", log, total=(end - start).days + 1):
        footprints, cells, passed_over = footprints + used, cells + seen, passed_over + left
        if not used:
            without.append(str(day))
    if without:
        log.warning(
            "%d of %d days without an observation: %s",
            len(without),
            (end - start).days + 1,
            " ".join(without),
        )
    log.info(
        "%s: %d footprints in %d cells; %d are of platforms that were not drawn",
        params.source,
        footprints,
        cells,
        passed_over,
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
