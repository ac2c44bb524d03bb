"""Stages 2 and 3 and replay share their course: networks from the stage before, cycles of analyses and forecasts."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from fuxiflow import times
from fuxiflow.config import sources
from fuxiflow.config.training import AssimilatorStage, SimulatedShare
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.networks import STEP, Networks, SourceDesign
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.observations.statistics import GridStatistics
from fuxiflow.progress import progress
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.training import departures, samples, stages
from fuxiflow.training.bank import Bank
from fuxiflow.training.hybrid import HybridGrids
from fuxiflow.training.loop import leave, train
from fuxiflow.training.observation_loss import Points
from fuxiflow.training.parallel import fabric_of
from fuxiflow.training.radiance_loss import RadianceLoss
from fuxiflow.training.record import record
from fuxiflow.training.stages import Unrolling

FIT_WINDOWS, FIT_CELLS, FIT_LEAST = 160, 160 * 32 * 64, 8


def describe_sources(names: list[str], statistics: Mapping[str, Path]) -> dict[str, SourceDesign]:
    """Sources as the networks know them: their files' windows and platforms, their grids' channels and statistics."""
    designs = {}
    for name in names:
        found = GridStatistics.read(statistics[name])
        source = sources.load_source(name)
        designs[name] = SourceDesign(
            list(found.channels),
            source.window,
            [float(v) for v in found.mean],
            [float(v) for v in found.std],
            source.platform_names,
            not all(channel.radiance for channel in source.channels),
        )
    return designs


def fit(
    name: str,
    networks: Networks,
    history: list[dict],
    stage: AssimilatorStage,
    linear_fits: bool,
    input: SimpleNamespace,
    output: SimpleNamespace,
    params: SimpleNamespace,
    log: logging.Logger,
    points: Points | None = None,
    radiances: RadianceLoss | None = None,
    pool: Callable[[StateSeries], tuple[np.ndarray, np.ndarray]] | None = None,
) -> None:
    """Train ``networks`` by unrolling cycles, and write the stage's checkpoint and losses.

    With ``linear_fits`` the encoders start from fits to the stage's first batches (:func:`initialise`); with ``points``
    the losses hold L_obs, as the stage's ``observation_loss`` has it, with ``radiances`` the radiance loss. First
    analysis times are those of the observation period, or what a ``pool`` gives: times and the probability of each.
    """
    designs, unrolling = networks.design.sources, Unrolling.of(stage)
    grids = sources.paths_by_source(list(designs), input.grids)
    bank = Bank(input.backgrounds) if hasattr(input, "backgrounds") else None
    archive = samples.Archive(input.states, grids, Climatology.read(input.climatology), bank)
    archive.grids |= hybrid_grids(
        archive.grids, input.simulated, params.simulated, params.seed, log
    )
    if pool:
        first_times, odds = pool(archive.states)
    else:
        odds = None
        first_times = samples.usable(
            archive.states,
            *times.span(*params.dates),
            stage.max_lead_hours // 6 + 1,
            unrolling.cycles * unrolling.chain,
            np.datetime64(params.reach, "ns"),
            bank.times if bank else None,
        )
    log.info(
        "%d first analysis times from %s to %s, sources: %s",
        len(first_times),
        first_times[0],
        first_times[-1],
        ", ".join(designs) or "none",
    )
    plan = stages.cycle_plan(
        name, first_times, stage, unrolling, params.seed, bank is not None, odds
    )

    fabric = fabric_of(params.options)
    share = stages.share(fabric, stage)
    batches = samples.Batches(archive, plan, designs, networks.standardise, share, points)
    execution.prepare(
        networks.to(fabric.device), recompute=stage.recompute, compiled=params.options["compile"]
    )
    run = stages.start(fabric, networks, stage, params, name, log)
    objective = run.memory = stages.Objective(networks, share, points, radiances)
    if linear_fits and not run.begun:
        warm = stage.model_copy(update={"cold_fraction": 0.0, "source_dropout": 0.0})
        plan_ = stages.cycle_plan(
            name, first_times, warm, Unrolling(), params.seed, banked=bank is not None
        )
        initialise(
            objective,
            samples.Batches(archive, plan_, designs, networks.standardise),
            stage.batch,
            log,
        )
    losses = train(
        run,
        lambda a, b: samples.loader(batches, a, b, params.options["workers"]),
        objective.cycle,
        lambda batch: [
            (batch, unrolling, *span) for span in stages.spans(batch.cycles, unrolling.truncation)
        ],
    )
    period = (
        np.datetime_as_string(first_times[0], "h"),
        np.datetime_as_string(first_times[-1], "h"),
    )
    leave(run, networks, [*history, record(name, stage, losses, period)], losses, output)


def hybrid_grids(
    real: Mapping[str, SparseGrids],
    simulated: list[Path],
    shares: Mapping[str, list[dict]],
    seed: int,
    log: logging.Logger,
) -> dict[str, HybridGrids]:
    """The grids of the sources that have ``shares`` of simulated windows, from the ``simulated`` stores of them all."""
    found = {}
    for name, paths in sources.paths_by_source(list(shares), simulated).items():
        entries = [SimulatedShare(**entry) for entry in shares[name]]
        found[name] = HybridGrids(real[name], SparseGrids(paths), entries, seed)
        for entry in entries:
            log.info(
                "%s: %.0f %% of the windows from %s to %s are simulated",
                name,
                100 * entry.share,
                entry.start,
                entry.end,
            )
    return found


def fit_windows(cells: int) -> int:
    """How many windows on a grid of so many cells the encoders are fitted to: six states of each are held at once, so
    that a finer grid takes fewer windows, which have as many cells."""
    return min(FIT_WINDOWS, max(FIT_LEAST, FIT_CELLS // cells))


def initialise(
    objective: stages.Objective, batches: samples.Batches, size: int, log: logging.Logger
) -> None:
    """Fit the linear functions of every source's encoder to the first batches of a stage (``size`` windows each)."""
    networks, archive = objective.networks, batches.archive
    channels = networks.design.channels[: networks.analysed]
    fitted = []
    count = fit_windows(networks.design.grid[0] * networks.design.grid[1])
    for step in progress(range(-(-count // size)), "windows to fit first guesses to", log):
        batch = batches[step]
        times_ = batch.analysis
        around = np.stack([[archive.states.read(t + STEP * i) for i in (-1, 0, 1)] for t in times_])
        states = networks.normaliser(
            torch.from_numpy(around[:, :, : networks.analysed]).to(networks.device)
        )
        fitted.append((batch.observations[0], states, objective.guess(batch)))
    for source in batches.sources:
        encoder = networks.assimilator.branches[source].pillars
        departures.fit_equivalents(
            encoder, [(found[source], states) for found, states, _ in fitted]
        )
        windows = ((found[source], guess, states[:, 1]) for found, states, guess in fitted)
        left = departures.fit_retrieval(
            encoder, windows, networks.normaliser.tendency[: networks.analysed]
        )
        departures.report(source, left, channels, log)


def with_sources(
    networks: Networks, designs: Mapping[str, SourceDesign], assimilator: dict
) -> Networks:
    """Networks with the same forecaster and an assimilator for ``designs``."""
    return checkpoint.extend_networks(
        networks, replace(networks.design, sources=dict(designs), assimilator=assimilator)
    )
