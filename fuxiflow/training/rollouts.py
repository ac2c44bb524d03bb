"""Stages 1 and 4 share their course: forecasts from the reanalysis, compared with it at every step."""

import logging
from types import SimpleNamespace

import numpy as np

from fuxiflow import times
from fuxiflow.config import RolloutStage
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.networks import Networks
from fuxiflow.training import samples, stages
from fuxiflow.training.loop import finish, make_fabric, train
from fuxiflow.training.record import record, write_losses


def fit(name: str, networks: Networks, history: list[dict], stage: RolloutStage, input: SimpleNamespace,
        output: SimpleNamespace, params: SimpleNamespace, log: logging.Logger) -> None:  # fmt: skip
    """Train the forecaster of ``networks``, and write the stage's checkpoint and losses."""
    stages.trains(networks, forecaster=True, assimilator=False)
    archive = samples.Archive(input.states, {})
    starts = samples.usable(archive.states, *times.span(*params.dates), before=1, after=stage.longest)
    log.info("%d start times from %s to %s", len(starts), starts[0], starts[-1])
    plan = stages.rollout_plan(name, starts, stage, params.seed)
    batches = samples.Batches(archive, plan, {}, networks.standardise)

    fabric = make_fabric(params.options["accelerator"], params.options["precision"])
    execution.prepare(networks.to(fabric.device), recompute=stage.recompute, compiled=params.options["compile"])
    run = stages.start(fabric, networks, stage, params.state, params.tensorboard, name, log)
    objective = stages.Objective(networks)
    losses = train(run, lambda a, b: samples.loader(batches, a, b, params.options["workers"]),
                   lambda batch: objective.forecaster(batch, stage.noise))  # fmt: skip
    period = (np.datetime_as_string(starts[0], "h"), np.datetime_as_string(starts[-1], "h"))
    entry = record(name, stage, losses, period)
    checkpoint.save(output.checkpoint, checkpoint.Checkpoint(networks, [*history, entry]))
    write_losses(output.losses, losses)
    finish(run)
