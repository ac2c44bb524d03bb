"""Fit the filter that backgrounds pass before each analysis.

in:  forecaster   checkpoint of stage 1
     states       Zarr, reanalysis of the training period
     climatology  Zarr, that of the training period
out: filter       the filter (fuxiflow.models.background_filter)
     response     Parquet, what it does to anomalies and errors by wavenumber and channel
"""

from fuxiflow.config.linear_fits import FilterFit
from fuxiflow.models import checkpoint
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.execution import select_device
from fuxiflow.models.spectral_basis import save_fitted
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.storage.tables import write_parquet
from fuxiflow.training.filter_fit import fit_background_filter


def main(input, output, params, log):
    settings = FilterFit(**params.settings)
    networks = checkpoint.load_checkpoint(
        input.forecaster, select_device(params.accelerator), drawn=False
    ).networks.eval()
    layer = BackgroundFilter(networks.analysed, networks.design.grid, **settings.shape)
    response = fit_background_filter(
        layer,
        networks,
        StateSeries(input.states),
        Climatology.read(input.climatology),
        settings,
        params.seed,
        log,
    )
    save_fitted(output.filter, layer.cpu())
    write_parquet(output.response, response)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
