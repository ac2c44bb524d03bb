"""Stage 4: train the forecaster on its own forecasts, over more and more steps; the assimilator stays as it is.

in:  joint       checkpoint of stage 3
     states      Zarr, reanalysis of the training period (fuxiflow.states.store)
out: checkpoint  networks that forecasts are made with
     losses      Parquet, one row an update
"""

import numpy as np

from fuxiflow import times
from fuxiflow.config import AutoregressiveStage
from fuxiflow.models import checkpoint
from fuxiflow.training import samples, stages
from fuxiflow.training.loop import leave, train
from fuxiflow.training.parallel import fabric_of
from fuxiflow.training.record import record


def main(input, output, params, log):
    stage = AutoregressiveStage(**params.stage)
    before = checkpoint.load(input.joint)
    networks = before.networks
    stages.trains(networks, forecaster=True, assimilator=False)
    archive = samples.Archive(input.states, {})
    starts = samples.usable(archive.states, *times.span(*params.dates), before=1, after=stage.steps)
    log.info("%d start times from %s to %s", len(starts), starts[0], starts[-1])
    plan = stages.autoregressive_plan(starts, stage, params.seed)

    fabric = fabric_of(params.options)
    share = stages.share(fabric, stage)
    batches = samples.Batches(archive, plan, {}, networks.standardise, share)
    run = stages.start(fabric, networks, stage, params, "autoregressive", log)
    objective = stages.Objective(networks.to(fabric.device), share)
    losses = train(run, lambda a, b: samples.loader(batches, a, b, params.options["workers"]), objective.autoregressive,
                   lambda batch: [(batch, *span) for span in stages.spans(batch.lead, stage.truncation)])  # fmt: skip
    period = (np.datetime_as_string(starts[0], "h"), np.datetime_as_string(starts[-1], "h"))
    leave(run, networks, [*before.history, record("autoregressive", stage, losses, period)], losses, output)


if __name__ == "__main__":
    from fuxiflow.script import run

    run(main, snakemake)  # noqa: F821
