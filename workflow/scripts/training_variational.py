"""Fit the errors of backgrounds and observations that 3D-Var weighs them by.

in:  assimilator   checkpoint of stage 2, with the forecaster and the observation equivalents
     states        Zarr, reanalysis of the training period
     observed      Zarr, reanalysis of the observation period
     grids         Zarr, sparse observations of every source in it
out: variational   both errors (fuxiflow.models.variational)
"""

from fuxiflow.config import sources
from fuxiflow.config.linear_fits import VariationalFit
from fuxiflow.config.training import fit_window_count
from fuxiflow.models import checkpoint
from fuxiflow.models.execution import select_device
from fuxiflow.models.variational import BackgroundErrors, save_variational
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.store import StateSeries
from fuxiflow.training.variational_fit import fit_background_errors, fit_observation_errors


def main(input, output, params, log):
    settings = VariationalFit(**params.settings)
    networks = checkpoint.load_checkpoint(
        input.assimilator, select_device(params.accelerator), drawn=False
    ).networks.eval()
    grids = {
        name: SparseGrids(paths)
        for name, paths in sources.paths_by_source(params.sources, input.grids).items()
    }
    background = BackgroundErrors(networks.analysed, networks.design.grid, **settings.shape)
    fit_background_errors(
        background, networks, StateSeries(input.states), settings, params.seed, log
    )
    rows, columns = networks.design.grid
    observations = fit_observation_errors(
        networks,
        background,
        StateSeries(input.observed),
        grids,
        fit_window_count(rows * columns),
        params.seed,
        log,
    )
    observations = {name: errors.cpu() for name, errors in observations.items()}
    save_variational(output.variational, background.cpu(), observations)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
