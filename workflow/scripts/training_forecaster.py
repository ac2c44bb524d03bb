"""Stage 1: train the forecaster of an experiment, one step ahead and then a few.

in:  states      Zarr, reanalysis of the training period (fuxiflow.states.store)
     statistics  Zarr, their statistics and the static fields
out: checkpoint  networks whose forecaster is trained
     losses      Parquet, one row an update
"""

from fuxiflow import times
from fuxiflow.config.training import ForecasterStage
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import Design, parameter_count
from fuxiflow.states.statistics import Statistics
from fuxiflow.training.parallel import DeviceOptions
from fuxiflow.training.rollouts import fit_rollouts
from fuxiflow.training.samples import Archive
from fuxiflow.training.stage_run import open_run, training_identity


def main(input, output, params, log):
    stage = ForecasterStage(**params.stage, **vars(params.saving))
    statistics = Statistics.read(input.statistics)
    design = Design(
        statistics.channels,
        (params.grid["nlat"], params.grid["nlon"]),
        statistics.static_names,
        params.model["forecaster"],
        params.model["assimilator"],
    )
    networks = checkpoint.build_networks(design, statistics)
    log.info("forecaster of %s parameters", f"{parameter_count(networks.forecaster):,}")
    devices = DeviceOptions(**params.options)
    run = open_run(
        "forecaster",
        devices,
        params.state,
        params.tensorboard,
        params.seed,
        log,
        training_identity(vars(params)),
    )
    archive = Archive(input.states, {})
    trained = fit_rollouts(networks, stage, archive, times.span(*params.dates), run)
    trained.write(output.checkpoint, output.losses, history=[])


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
