"""Stage 3: train both networks by unrolling the assimilation cycle and back-propagating through time.

in:  assimilator  checkpoint of stage 2
     states       Zarr, reanalysis of the observation period and the days before
     climatology  Zarr, for backgrounds as after a cold start
     grids        Zarr, sparse observations of every source
     simulated    Zarr, sparse grids of simulated observations, none without hybrid training
     compared     Zarr, sparse observations of the sources of L_obs and of the radiance loss, none without them
     statistics   Zarr, static fields for the operator of the radiance loss, none without it
out: checkpoint   networks trained jointly
     losses       Parquet, one row an update
"""

from fuxiflow import times
from fuxiflow.config import sources
from fuxiflow.config.training import JointStage
from fuxiflow.models import checkpoint
from fuxiflow.states.statistics import Statistics
from fuxiflow.training import cycles, stages
from fuxiflow.training.observation_loss import Points
from fuxiflow.training.radiance_loss import RadianceLoss


def main(input, output, params, log):
    stage = JointStage(**params.stage)
    before = checkpoint.load_checkpoint(input.assimilator)
    networks = before.networks
    stages.trains(networks, forecaster=True, assimilator=True)
    observed, points, radiances = stage.observation_loss, None, None
    if observed.compared:
        grids = sources.paths_by_source(observed.compared, input.compared)
        points = Points(grids, observed, networks, times.span(*params.dates))
    if observed.radiances:
        radiances = RadianceLoss(
            observed, networks, Statistics.read(input.statistics), points.first_hours
        )
    cycles.fit(
        "joint",
        networks,
        before.history,
        stage,
        False,
        input,
        output,
        params,
        log,
        points,
        radiances,
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
