"""Fit how far the observations of an experiment are to be expected from a first guess.

in:  assimilator  checkpoint of stage 2, with the forecaster and the observation equivalents
     observed     Zarr, reanalysis of the observation period
     climatology  Zarr, that of the training period
     grids        Zarr, sparse observations of every source in the observation period
out: errors       Parquet, bias and errors by source, channel and band of latitude
"""

from fuxiflow.config import sources
from fuxiflow.config.first_guess import FirstGuessFit
from fuxiflow.models import checkpoint
from fuxiflow.models.execution import select_device
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.storage.tables import write_parquet
from fuxiflow.training.first_guess_fit import fit_first_guess_errors


def main(input, output, params, log):
    networks = checkpoint.load_checkpoint(
        input.assimilator, select_device(params.accelerator), drawn=False
    ).networks.eval()
    grids = {
        name: SparseGrids(paths)
        for name, paths in sources.paths_by_source(params.sources, input.grids).items()
    }
    errors = fit_first_guess_errors(
        networks,
        StateSeries(input.observed),
        Climatology.read(input.climatology),
        grids,
        FirstGuessFit(**params.settings),
        params.seed,
        log,
    )
    write_parquet(output.errors, errors)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
