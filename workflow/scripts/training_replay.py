"""Replay: update the assimilator for one segment of the cycle, on what is known before the segment begins.

in:  before       networks of the segment before, or of stage 3
     states       Zarr, reanalysis of the observation period and of the cycle so far
     climatology  Zarr, for backgrounds as after a cold start
     grids        Zarr, sparse observations of every source, of the same days
     simulated    Zarr, sparse grids of simulated observations, none without hybrid training
out: checkpoint   networks for the segment
     losses       Parquet, one row an update
"""

from functools import partial

from fuxiflow.config.training import ReplayStage
from fuxiflow.models import checkpoint
from fuxiflow.training import cycles, replay, stages


def main(input, output, params, log):
    stage = ReplayStage(**params.stage)
    before = checkpoint.load_checkpoint(input.before)
    networks = before.networks
    stages.trains(networks, forecaster=False, assimilator=True)
    pool = partial(replay.pool, stage=stage, designs=networks.design.sources, params=params)
    cycles.fit(
        "replay", networks, before.history, stage, False, input, output, params, log, pool=pool
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
