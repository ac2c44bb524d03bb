"""Stage 3: train both networks by unrolling the cycle and back-propagating through time.

in:  assimilator  checkpoint of stage 2
     states       Zarr, reanalysis of the observation period and the days before
     climatology  Zarr, for backgrounds as after a cold start
     grids        Zarr, sparse observations of every source
     simulated    Zarr, sparse grids of simulated observations, none without hybrid training
     compared     Zarr, sparse observations of the sources of both losses on observations
     statistics   Zarr, static fields for the operator of the radiance loss, none without it
out: checkpoint   networks trained jointly
     losses       Parquet, one row an update
"""

import numpy as np

from fuxiflow import times
from fuxiflow.config import sources
from fuxiflow.config.training import JointStage, simulated_shares
from fuxiflow.models import checkpoint
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.statistics import Statistics
from fuxiflow.training.cycles import fit_cycles
from fuxiflow.training.losses import Points
from fuxiflow.training.parallel import DeviceOptions
from fuxiflow.training.plans import usable_cycle_times
from fuxiflow.training.radiance_loss import RadianceLoss
from fuxiflow.training.samples import open_archive
from fuxiflow.training.stage_run import open_run, training_identity


def main(input, output, params, log):
    stage = JointStage(**params.stage, **vars(params.saving))
    days = times.span(*params.dates)
    before = checkpoint.load_checkpoint(input.assimilator)
    networks = before.networks
    observed, points, radiances = stage.observation_loss, None, None
    if observed.compared:
        compared = sources.paths_by_source(observed.compared, input.compared)
        points = Points(compared, observed, networks, days)
    if observed.radiances:
        statistics = Statistics.read(input.statistics)
        radiances = RadianceLoss(observed, networks, statistics, points.first_hours)
    shares = simulated_shares(params.simulated)
    archive = open_archive(
        input.states,
        sources.paths_by_source(list(networks.design.sources), input.grids),
        Climatology.read(input.climatology),
        sources.paths_by_source(list(shares), input.simulated),
        shares,
        params.seed,
        log,
    )
    first_times = usable_cycle_times(archive, stage, days, np.datetime64(params.reach, "ns"))
    devices = DeviceOptions(**params.options)
    identity = training_identity(vars(params))
    run = open_run("joint", devices, params.state, params.tensorboard, params.seed, log, identity)
    trained = fit_cycles(
        networks,
        stage,
        archive,
        first_times,
        run,
        train_forecaster=not stage.frozen_forecaster,
        points=points,
        radiances=radiances,
        from_climatology=params.from_climatology,
    )
    trained.write(output.checkpoint, output.losses, before.history)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
