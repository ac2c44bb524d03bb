"""Draw where and when each source saw the globe within one assimilation window.

in:  grids          sparse-grid stores {source}/{segment}.zarr
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from datetime import datetime

from fuxiflow.figures import coverage
from fuxiflow.figures.files import save_figure
from fuxiflow.observations.sparse_grids import SparseGrids


def main(input, output, params, log):
    grids = {
        name: SparseGrids([path for path in input.grids if path.parent.name == name])
        for name in params.windows
    }
    case = datetime.fromisoformat(params.case)
    table = coverage.table(grids, params.windows, case, params.infill_radius)
    save_figure(coverage.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
