"""Grid the simulated footprints of one source and segment to hourly cells.

in:  table  Parquet, simulated footprints
out: grid   Zarr, cells by hour, of origin `simulated` (schema: fuxiflow.observations.sparse_grids)
"""

from datetime import date

from fuxiflow.grids import Grid
from fuxiflow.observations.gridding import GriddingOptions, grid_footprints
from fuxiflow.progress import progress
from fuxiflow.runtime.rule_runner import run
from fuxiflow.simulation.observations import ORIGIN


def main(input, output, params, log):
    start, end = map(date.fromisoformat, params.dates)
    gridding = grid_footprints(
        input.table,
        output.grid,
        params.source,
        params.units,
        Grid(**params.grid),
        start,
        end,
        GriddingOptions(seed=params.seed, origin=ORIGIN, **params.options),
    )
    days = list(progress(gridding, "days", log, total=(end - start).days + 1))
    log.info(
        "%s: %d footprints in %d cells",
        params.source,
        sum(day.footprints for day in days),
        sum(day.cells for day in days),
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
