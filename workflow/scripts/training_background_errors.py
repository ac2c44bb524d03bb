"""Fit the covariance of background errors that 3D-Var weighs backgrounds by.

in:  forecaster  checkpoint of stage 1
     states      Zarr, reanalysis of the training period
out: errors      the covariance (fuxiflow.models.error_covariances)
"""

from fuxiflow.config.linear_fits import VariationalFit
from fuxiflow.models import checkpoint
from fuxiflow.models.error_covariances import BackgroundErrors
from fuxiflow.models.execution import select_device
from fuxiflow.models.spectral_basis import save_fitted
from fuxiflow.states.store import StateSeries
from fuxiflow.training.variational_fit import fit_background_errors


def main(input, output, params, log):
    settings = VariationalFit(**params.settings)
    networks = checkpoint.load_checkpoint(
        input.forecaster, select_device(params.accelerator), drawn=False
    ).networks.eval()
    layer = BackgroundErrors(networks.analysed, networks.design.grid, **settings.shape)
    fit_background_errors(layer, networks, StateSeries(input.states), settings, params.seed, log)
    save_fitted(output.errors, layer.cpu())


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
