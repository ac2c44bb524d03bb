"""Stages 1 and 4 share their course: forecasts from the reanalysis, compared with it at every step."""

import logging
from types import SimpleNamespace

import numpy as np

from fuxiflow import times
from fuxiflow.config.training import RolloutStage
from fuxiflow.models import execution
from fuxiflow.models.networks import Networks
from fuxiflow.training import samples, stages
from fuxiflow.training.loop import leave, train
from fuxiflow.training.parallel import fabric_of
from fuxiflow.training.record import record


def fit(
    name: str,
    networks: Networks,
    history: list[dict],
    stage: RolloutStage,
    input: SimpleNamespace,
    output: SimpleNamespace,
    params: SimpleNamespace,
    log: logging.Logger,
) -> None:
    """Train the forecaster of ``networks``, and write the stage's checkpoint and losses."""
    stages.trains(networks, forecaster=True, assimilator=False)
    archive = samples.Archive(input.states, {})
    starts = samples.usable(
        archive.states, *times.span(*params.dates), before=1, after=stage.longest
    )
    log.info("%d start times from %s to %s", len(starts), starts[0], starts[-1])
    plan = stages.rollout_plan(name, starts, stage, params.seed)

    fabric = fabric_of(params.options)
    share = stages.share(fabric, stage)
    batches = samples.Batches(archive, plan, {}, networks.standardise, share)
    execution.prepare(
        networks.to(fabric.device), recompute=stage.recompute, compiled=params.options["compile"]
    )
    run = stages.start(fabric, networks, stage, params, name, log)
    objective = stages.Objective(networks, share)
    losses = train(
        run,
        lambda a, b: samples.loader(batches, a, b, params.options["workers"]),
        objective.forecaster,
        lambda batch: [
            (batch, stage.noise, *span) for span in stages.spans(batch.lead, stage.truncation)
        ],
    )
    period = (np.datetime_as_string(starts[0], "h"), np.datetime_as_string(starts[-1], "h"))
    leave(run, networks, [*history, record(name, stage, losses, period)], losses, output)
