"""Stage 2: train the assimilator on backgrounds of random lead, made by the frozen forecaster.

in:  forecaster       checkpoint of stage 1
     states           Zarr, reanalysis of the observation period and the days before
     backgrounds      Zarr, the bank of backgrounds, where the configuration asks for one
     climatology      Zarr, for backgrounds as after a cold start
     grids            Zarr, sparse observations of every source
     grid_statistics  Zarr, their statistics, one store a source
     simulated        Zarr, sparse grids of simulated observations, none without hybrid training
out: checkpoint       networks with a trained assimilator
     losses           Parquet, one row an update
"""

from fuxiflow.config.training import AssimilatorStage
from fuxiflow.models import checkpoint
from fuxiflow.training import cycles, stages


def main(input, output, params, log):
    stage = AssimilatorStage(**params.stage)
    before = checkpoint.load_checkpoint(input.forecaster)
    statistics = {path.parent.name: path for path in input.grid_statistics}
    designs = cycles.describe_sources(params.sources, statistics)
    networks = cycles.with_sources(before.networks, designs, params.model["assimilator"])
    stages.trains(networks, forecaster=False, assimilator=True)
    cycles.fit("assimilator", networks, before.history, stage, True, input, output, params, log)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
