"""Stages 2 and 3 share their course: networks from the stage before, cycles of analyses and forecasts, a checkpoint."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fuxiflow import sources, times
from fuxiflow.config import AssimilatorStage, JointStage
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import Networks, SourceDesign
from fuxiflow.observations.statistics import GridStatistics
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import samples, stages
from fuxiflow.training.loop import finish, make_fabric, train
from fuxiflow.training.record import record, write_losses


def describe_sources(names: list[str], statistics: Mapping[str, Path]) -> dict[str, SourceDesign]:
    """Sources as the networks know them: channels and windows from their files, statistics of their grids."""
    designs = {}
    for name in names:
        found = GridStatistics.read(statistics[name])
        designs[name] = SourceDesign(list(found.channels), sources.load(name).window,
                                     [float(v) for v in found.mean], [float(v) for v in found.std])  # fmt: skip
    return designs


def fit(name: str, networks: Networks, history: list[dict], stage: AssimilatorStage | JointStage, cycles: int,
        background_weight: float, input: SimpleNamespace, output: SimpleNamespace, params: SimpleNamespace,
        log: logging.Logger) -> None:  # fmt: skip
    """Train ``networks`` by unrolling ``cycles`` cycles, and write the stage's checkpoint and losses."""
    designs = networks.design.sources
    grids = sources.by_source(list(designs), input.grids)
    archive = samples.Archive(input.states, grids, Climatology.read(input.climatology))
    first_times = samples.usable(archive.states, *times.span(*params.dates), before=stage.max_lead_hours // 6 + 1,
                                 after=cycles)  # fmt: skip
    log.info("%d first analysis times from %s to %s, sources: %s", len(first_times), first_times[0], first_times[-1],
             ", ".join(designs) or "none")  # fmt: skip
    plan = stages.cycle_plan(name, first_times, stage, cycles, params.seed)
    batches = samples.Batches(archive, plan, designs, networks.standardise)

    fabric = make_fabric(params.options["accelerator"], params.options["precision"])
    run = stages.start(fabric, networks, stage, params.state, params.tensorboard, name, log)
    objective = stages.Objective(networks.to(fabric.device))
    losses = train(run, lambda a, b: samples.loader(batches, a, b, params.options["workers"]),
                   lambda batch: objective.cycle(batch, background_weight))  # fmt: skip
    period = (np.datetime_as_string(first_times[0], "h"), np.datetime_as_string(first_times[-1], "h"))
    entry = record(name, stage, losses, period)
    checkpoint.save(output.checkpoint, checkpoint.Checkpoint(networks, [*history, entry]))
    write_losses(output.losses, losses)
    finish(run)


def with_sources(networks: Networks, designs: Mapping[str, SourceDesign], assimilator: dict) -> Networks:
    """Networks with the same forecaster and an assimilator for ``designs``."""
    return checkpoint.extend(networks, replace(networks.design, sources=dict(designs), assimilator=assimilator))
