"""Grid the used footprints of one source and segment to hourly cells.

in:  table  Parquet, footprints after quality control
out: grid   Zarr, cells that were observed by hour (schema: fuxiflow.observations.sparse_grids)
"""

from datetime import date

from fuxiflow.completeness import check_days
from fuxiflow.grids import Grid
from fuxiflow.observations.gridding import GriddingOptions, grid_footprints
from fuxiflow.observations.ledger import list_days
from fuxiflow.progress import progress
from fuxiflow.runtime.rule_runner import run


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
        GriddingOptions(seed=params.seed, **params.options),
    )
    days = list(progress(gridding, "days", log, total=(end - start).days + 1))
    expected = list_days(params.completeness.expected)
    filled = {day.day for day in days if day.footprints}
    what = f"days of {params.source} have an observation on the grid"
    check_days(params.completeness.days, expected, filled, what, log)
    log.info(
        "%s: %d footprints in %d cells; %d are of platforms that were not drawn",
        params.source,
        sum(day.footprints for day in days),
        sum(day.cells for day in days),
        sum(day.passed_over for day in days),
    )


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
