"""Stage 2: train the assimilator on backgrounds of random lead, made by the frozen forecaster.

in:  forecaster       checkpoint of stage 1
     states           Zarr, reanalysis of the observation period and the days before
     backgrounds      Zarr, the bank of backgrounds, where the configuration asks for one
     background_filter  the filter of backgrounds, where the configuration asks for one
     background_errors  the background errors of 3D-Var, where the configuration asks for it
     climatology      Zarr, for backgrounds as after a cold start
     grids            Zarr, sparse observations of every source
     grid_statistics  Zarr, their statistics, one store a source
     simulated        Zarr, sparse grids of simulated observations, none without hybrid training
out: checkpoint       networks with a trained assimilator
     losses           Parquet, one row an update
"""

import numpy as np

from fuxiflow import times
from fuxiflow.config import sources
from fuxiflow.config.training import AssimilatorStage, simulated_shares
from fuxiflow.models import checkpoint
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.error_covariances import BackgroundErrors
from fuxiflow.models.spectral_basis import load_fitted
from fuxiflow.states.climatology import Climatology
from fuxiflow.training.bank import Bank
from fuxiflow.training.cycles import describe_sources, fit_cycles, with_sources
from fuxiflow.training.parallel import DeviceOptions
from fuxiflow.training.plans import usable_cycle_times
from fuxiflow.training.samples import open_archive
from fuxiflow.training.stage_run import open_run, training_identity


def main(input, output, params, log):
    stage = AssimilatorStage(**params.stage, **vars(params.saving))
    before = checkpoint.load_checkpoint(input.forecaster)
    statistics = {path.parent.name: path for path in input.grid_statistics}
    designs = describe_sources(params.windows, statistics)
    optional = ("background_filter", "background_errors", "backgrounds")
    filter_path, errors_path, bank_path = (getattr(input, name, None) for name in optional)
    networks = with_sources(
        before.networks,
        designs,
        params.model["assimilator"],
        load_fitted(filter_path, BackgroundFilter) if filter_path else None,
        load_fitted(errors_path, BackgroundErrors) if errors_path else None,
        params.variational,
    )
    shares = simulated_shares(params.simulated)
    archive = open_archive(
        input.states,
        sources.paths_by_source(list(designs), input.grids),
        Climatology.read(input.climatology),
        sources.paths_by_source(list(shares), input.simulated),
        shares,
        params.seed,
        log,
        bank=Bank(bank_path) if bank_path else None,
    )
    first_times = usable_cycle_times(
        archive, stage, times.span(*params.dates), np.datetime64(params.reach, "ns")
    )
    devices, identity = DeviceOptions(**params.options), training_identity(vars(params))
    run = open_run(
        "assimilator", devices, params.state, params.tensorboard, params.seed, log, identity
    )
    first_fits = {"linear_fits": True, "from_climatology": params.from_climatology}
    trained = fit_cycles(networks, stage, archive, first_times, run, **first_fits)
    trained.write(output.checkpoint, output.losses, before.history)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
