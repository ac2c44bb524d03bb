"""Replay: update the assimilator for one segment of the cycle, on data known before it begins.

in:  before       networks of the segment before, or of stage 3
     states       Zarr, reanalysis of the observation period and of the cycle so far
     climatology  Zarr, for backgrounds as after a cold start
     grids        Zarr, sparse observations of every source, of the same days
     simulated    Zarr, sparse grids of simulated observations, none without hybrid training
out: checkpoint   networks for the segment
     losses       Parquet, one row an update
"""

from fuxiflow.config import sources
from fuxiflow.config.training import ReplayStage, simulated_shares
from fuxiflow.models import checkpoint
from fuxiflow.states.climatology import Climatology
from fuxiflow.training.cycles import fit_cycles
from fuxiflow.training.parallel import DeviceOptions
from fuxiflow.training.plans import replay_times
from fuxiflow.training.samples import open_archive
from fuxiflow.training.stage_run import open_run, training_identity


def main(input, output, params, log):
    stage = ReplayStage(**params.stage, **vars(params.saving))
    before = checkpoint.load_checkpoint(input.before)
    networks = before.networks
    designs = networks.design.sources
    shares = simulated_shares(params.simulated)
    archive = open_archive(
        input.states,
        sources.paths_by_source(list(designs), input.grids),
        Climatology.read(input.climatology),
        sources.paths_by_source(list(shares), input.simulated),
        shares,
        params.seed,
        log,
    )
    first_times, odds = replay_times(
        archive.states,
        stage,
        designs,
        observations=params.observations,
        reach=params.reach,
        cycle=params.cycle,
        fresh=params.fresh,
    )
    devices = DeviceOptions(**params.options)
    identity = training_identity(vars(params))
    run = open_run("replay", devices, params.state, params.tensorboard, params.seed, log, identity)
    origin = params.from_climatology
    trained = fit_cycles(
        networks, stage, archive, first_times, run, odds=odds, from_climatology=origin
    )
    trained.write(output.checkpoint, output.losses, before.history)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
