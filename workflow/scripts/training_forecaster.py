"""Stage 1: train the forecaster of an experiment, one step ahead and then a few.

in:  states      Zarr, reanalysis of the training period (fuxiflow.states.store)
     statistics  Zarr, their statistics and the static fields
out: checkpoint  networks whose forecaster is trained
     losses      Parquet, one row an update
"""

import numpy as np

from fuxiflow import times
from fuxiflow.config import ForecasterStage
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import Design, parameter_count
from fuxiflow.states.statistics import Statistics
from fuxiflow.training import samples, stages
from fuxiflow.training.loop import leave, train
from fuxiflow.training.parallel import fabric_of
from fuxiflow.training.record import record


def main(input, output, params, log):
    stage = ForecasterStage(**params.stage)
    statistics = Statistics.read(input.statistics)
    design = Design(statistics.channels, (params.grid["nlat"], params.grid["nlon"]), statistics.static_names,
                    params.model["forecaster"], params.model["assimilator"])
    networks = checkpoint.build(design, statistics)
    stages.trains(networks, forecaster=True, assimilator=False)
    log.info("forecaster of %s parameters", f"{parameter_count(networks):,}")

    archive = samples.Archive(input.states, {})
    starts = samples.usable(archive.states, *times.span(*params.dates), before=1, after=stage.rollout)
    log.info("%d start times from %s to %s", len(starts), starts[0], starts[-1])
    plan = stages.forecaster_plan(starts, stage, params.seed)

    fabric = fabric_of(params.options)
    share = stages.share(fabric, stage)
    batches = samples.Batches(archive, plan, {}, networks.standardise, share)
    run = stages.start(fabric, networks, stage, params, "forecaster", log)
    objective = stages.Objective(networks.to(fabric.device), share)
    losses = train(run, lambda a, b: samples.loader(batches, a, b, params.options["workers"]),
                   lambda batch: objective.forecaster(batch, stage.noise))  # fmt: skip
    period = (np.datetime_as_string(starts[0], "h"), np.datetime_as_string(starts[-1], "h"))
    leave(run, networks, [record("forecaster", stage, losses, period)], losses, output)


if __name__ == "__main__":
    from fuxiflow.script import run

    run(main, snakemake)  # noqa: F821
