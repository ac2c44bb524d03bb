"""Draw where and when each source saw the globe within one assimilation window.

in:  grids     sparse-grid stores {source}/{segment}.zarr
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from datetime import datetime

from fuxiflow.figures import coverage, style
from fuxiflow.observations.sparse_grids import SparseGrids


def main(input, output, params, log):
    stores = {
        name: [path for path in input.grids if path.parent.name == name] for name in params.windows
    }
    grids = {name: SparseGrids(paths) for name, paths in stores.items()}
    table = coverage.table(grids, params.windows, datetime.fromisoformat(params.case))
    style.save_figure(coverage.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
