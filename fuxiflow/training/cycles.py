"""Stages 2 and 3 and replay: cycles of analyses and forecasts, unrolled and differentiated.

Networks come from the stage before. Each sample goes from a first background through its cycles;
analyses, and backgrounds where they have a weight, are compared with the reanalysis, and with
observations where the stage has an observation loss. Where the stage asks for it, forecasts from
each analysis are compared too, as FuXi Weather 1 does (arXiv 2408.05472).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fuxiflow.config import sources
from fuxiflow.config.training import AssimilatorStage
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.error_covariances import BackgroundErrors
from fuxiflow.models.networks import STEP, Networks, SourceDesign
from fuxiflow.observations.statistics import GridStatistics
from fuxiflow.training import plans, samples
from fuxiflow.training.linear_initialisation import initialise_encoders
from fuxiflow.training.losses import PointLoss, Points, StateLoss
from fuxiflow.training.parallel import Share
from fuxiflow.training.plans import Unrolling
from fuxiflow.training.radiance_loss import RadianceLoss
from fuxiflow.training.stage_run import TrainingRun
from fuxiflow.training.trainer import Trained, Trainer
from fuxiflow.training.variational_fit import fit_observation_errors

OBSERVED_STATES = ("analysis", "background")


def describe_sources(
    windows: Mapping[str, Sequence[int]], statistics: Mapping[str, Path]
) -> dict[str, SourceDesign]:
    """Describe sources as the networks take them.

    ``windows`` are hours about the analysis time. Platforms are those of the sources' files,
    channels and statistics those of their grids, whose ``statistics`` stores are given by source.
    """
    designs = {}
    for name, window in windows.items():
        grid_statistics = GridStatistics.read(statistics[name])
        source = sources.load_source(name)
        designs[name] = SourceDesign(
            list(grid_statistics.channels),
            tuple(window),
            [float(value) for value in grid_statistics.mean],
            [float(value) for value in grid_statistics.std],
            source.platform_names,
            not all(channel.radiance for channel in source.channels),
        )
    return designs


def with_sources(
    networks: Networks,
    designs: Mapping[str, SourceDesign],
    assimilator: dict,
    background_filter: BackgroundFilter | None = None,
    background_errors: BackgroundErrors | None = None,
    variational: dict | None = None,
) -> Networks:
    """Build networks with the same forecaster and a new assimilator.

    Parameters
    ----------
    networks : Networks
        Those of stage 1.
    designs : Mapping[str, SourceDesign]
        The sources of the assimilator.
    assimilator : dict
        Its size, as the configuration has it.
    background_filter : BackgroundFilter, optional
        The fitted filter of backgrounds.
    background_errors : BackgroundErrors, optional
        Those of 3D-Var, fitted; without them the assimilator has no first increment of it.
    variational : dict, optional
        The settings of 3D-Var, where there are ``background_errors``.

    Returns
    -------
    Networks
        With random weights in the assimilator.
    """
    design = replace(
        networks.design,
        sources=dict(designs),
        assimilator=assimilator,
        background_filter=background_filter and background_filter.size,
        variational=variational,
    )
    extended = checkpoint.extend_networks(networks, design)
    if background_filter is not None:
        extended.background_filter.load_state_dict(background_filter.state_dict())
    if background_errors is not None:
        extended.variational.background.load_state_dict(background_errors.state_dict())
    return extended


class CycleObjective:
    """Losses of unrolled cycles, see :class:`fuxiflow.training.trainer.Objective`."""

    def __init__(
        self,
        networks: Networks,
        unrolling: Unrolling,
        share: Share = Share(),
        points: Points | None = None,
        radiances: RadianceLoss | None = None,
        from_climatology: bool = False,
    ):
        """Prepare the losses.

        Parameters
        ----------
        networks : Networks
            On their device.
        unrolling : Unrolling
            Cycles, chain, weight of the backgrounds and of further forecasts, and truncation.
        share : Share
            The part of a batch that this process computes.
        points : Points, optional
            Adds L_obs on the observations that batches hold.
        radiances : RadianceLoss, optional
            Adds the radiance loss.
        from_climatology : bool
            Whether analyses have no background but the climatology.
        """
        self.networks, self.unrolling, self.share = networks, unrolling, share
        self.from_climatology = from_climatology
        grid = Grid(*networks.design.grid)
        channels, device = networks.design.channels, networks.device
        tendency = networks.normaliser.tendency.flatten()
        analysed = channels[: networks.analysed]
        own_tendency = tendency[: networks.analysed]
        self.state_loss = StateLoss(channels, grid, tendency).to(device)
        self.analysis_loss = StateLoss(analysed, grid, own_tendency).to(device)
        self.observed: dict[str, tuple[float, nn.Module]] = {}
        if points and points.positions:
            point_loss = PointLoss(analysed, grid, own_tendency, points).to(device)
            self.observed["observed"] = points.weight, point_loss
        if radiances:
            self.observed["radiance"] = points.radiance_weight, radiances.to(device)

    def spans(self, batch: samples.Batch) -> list[tuple[int, int]]:
        """First and last (excluded) cycles that are back-propagated through together."""
        return plans.unrolled_spans(batch.cycles, self.unrolling.truncation)

    def loss(
        self, batch: samples.Batch, span: tuple[int, int], carried: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Compute the losses of the cycles of a span, as shares of the mean over all cycles.

        L_state, and L_obs where it is used, of each analysis and of the background that follows,
        and L_state of further forecasts. Nothing is differentiated through forecasts that have no
        weight, nor through what lies before the span: a single cycle trains the assimilator alone.
        The last forecast is made only for a loss or for a batch that follows. A forecast starts
        from two analyses, so that there is none of the first without a background.

        Parameters
        ----------
        batch : samples.Batch
            Physical frames, targets, climatology, and observations.
        span : tuple of int
            First and last (excluded) cycle.
        carried : Tensor, optional
            The analysis and the background that the span before ended with, ``(2, place, channel,
            lat, lon)``; for the first span those that the batch before ended with.

        Returns
        -------
        dict of str to Tensor
            ``loss``, and its terms by state.
        Tensor or None
            The analysis and background that the span ends with, where something goes on from them.
        """
        networks = self.networks
        begin, end = span
        chained = self.unrolling.chain > 1
        weight, steps = self.unrolling.background_weight, self.unrolling.forecast_steps
        frames, targets = self._standardised(batch)
        normals = batch.climatology[:, :, : networks.analysed]
        climatology = networks.normaliser(normals.to(frames.device, non_blocking=True))
        if begin:
            previous, background = carried
        else:
            previous, background = self._first_states(batch, frames, carried)
        analyses, backgrounds, forecasts = (frames.new_zeros(()) for _ in range(3))
        observed = {
            f"{name}_{state}": frames.new_zeros(())
            for name in self.observed
            for state in OBSERVED_STATES
        }
        if begin:
            first_background = frames.new_zeros(())
        else:
            first_background = self.analysis_loss(background, targets[:, 0]).detach()
        for i in range(begin, end):
            times = batch.analysis + STEP * i
            observations = {
                name: footprints.to(frames.device)
                for name, footprints in batch.observations[i].items()
            }
            states = previous, background
            if self.from_climatology and i:
                states = climatology[:, i - 1], climatology[:, i]
            guess = networks.guess(*states, climatology[:, i], times)
            analysis = networks.analyse(guess, climatology[:, i], observations, times)
            analyses = analyses + self.analysis_loss(analysis, targets[:, i])
            for name, (_, loss) in self.observed.items():
                observed[f"{name}_analysis"] += loss(analysis, batch.points[i])
            if i + 1 == batch.cycles and not (chained or weight or steps):
                break
            if self.from_climatology and not i:
                previous = analysis
                continue
            with torch.set_grad_enabled(bool(weight or steps) and torch.is_grad_enabled()):
                forecast = networks.forecast(previous, analysis, times)
            if steps:
                ahead = targets[:, i + 1 : i + 1 + steps]
                forecasts = forecasts + self._forecast_loss(analysis, forecast, ahead, times)
            previous, background = analysis, forecast[:, : networks.analysed]
            if weight:
                backgrounds = backgrounds + self.state_loss(forecast, targets[:, i + 1])
                for name, (_, loss) in self.observed.items():
                    observed[f"{name}_background"] += loss(forecast, batch.points[i + 1])
        if self.from_climatology and batch.cycles > 1:
            # means over the analyses that forecasts start from, which the first is not among
            scale = batch.cycles / (batch.cycles - 1)
            backgrounds, forecasts = scale * backgrounds, scale * forecasts
            for name in self.observed:
                observed[f"{name}_background"] *= scale
        terms = {
            "loss": (analyses + weight * backgrounds) / batch.cycles,
            "analysis": analyses / batch.cycles,
            "background": backgrounds / batch.cycles,
            "first_background": first_background,
        }
        if steps:
            terms["forecasts"] = forecasts / batch.cycles
            terms["loss"] = terms["loss"] + self.unrolling.forecast_weight * terms["forecasts"]
        terms |= {name: term / batch.cycles for name, term in observed.items()}
        for name, (share, _) in self.observed.items():
            joint = terms[f"{name}_analysis"] + weight * terms[f"{name}_background"]
            terms["loss"] = terms["loss"] + share * joint
        if end == batch.cycles and not chained:
            return terms, None
        ends = torch.stack([previous.detach(), background.detach()])
        if end == batch.cycles:
            ends = self._sound(ends, targets[:, batch.cycles - 1 :])
        return terms, ends

    def _forecast_loss(
        self, analysis: Tensor, forecast: Tensor, targets: Tensor, times: np.ndarray
    ) -> Tensor:
        """Compute the mean loss of the forecasts from an analysis, step after step.

        Parameters
        ----------
        analysis : Tensor
            The analysis, ``(batch, channel, lat, lon)``.
        forecast : Tensor
            The first forecast from it, likewise.
        targets : Tensor
            The reanalysis at the valid times, ``(batch, step, channel, lat, lon)``.
        times : np.ndarray
            Times of the analyses, ``(batch,)``.

        Returns
        -------
        Tensor
            L_state, averaged over the steps.
        """
        analysed, steps = self.networks.analysed, targets.shape[1]
        before, current = analysis, forecast[:, :analysed]
        loss = self.state_loss(forecast, targets[:, 0])
        for step in range(1, steps):
            forecast = self.networks.forecast(before, current, times + STEP * step)
            loss = loss + self.state_loss(forecast, targets[:, step])
            before, current = current, forecast[:, :analysed]
        return loss / steps

    @torch.no_grad()
    def first_guess(self, batch: samples.Batch, carried: Tensor | None = None) -> Tensor:
        """The first guess of the first analyses of a batch, ``(batch, 3, channel, lat, lon)``.

        ``carried`` are the states that the batch before ended with, where samples follow.
        """
        frames, _ = self._standardised(batch)
        states = self._first_states(batch, frames, carried)
        normals = batch.climatology[:, 0, : self.networks.analysed]
        climatology = self.networks.normaliser(normals.to(frames.device))
        return self.networks.guess(*states, climatology, batch.analysis)

    def _standardised(self, batch: samples.Batch) -> tuple[Tensor, Tensor]:
        """First frames of the analysed channels, and targets, standardised on the device."""
        device, normalise = self.networks.device, self.networks.normaliser
        first = batch.first[:, :, : self.networks.analysed]
        frames = normalise(first.to(device, non_blocking=True))
        return frames, normalise(batch.targets.to(device, non_blocking=True))

    @torch.no_grad()
    def _first_states(
        self, batch: samples.Batch, frames: Tensor, carried: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The states 6 h before the first analysis and at it.

        They are forecast from the first frames, or those with which the batch before ended.

        Parameters
        ----------
        batch : samples.Batch
            Says which samples follow, and how many steps lead to the others' first background.
        frames : Tensor
            Standardised first frames of those that do not follow, ``(fresh, 2, channel, lat,
            lon)``.
        carried : Tensor, optional
            StateSeries ``(2, place, channel, lat, lon)`` that the batch before ended with.

        Returns
        -------
        tuple of Tensor
            ``(batch, channel, lat, lon)`` each.
        """
        follow = batch.follow.to(frames.device)
        states = frames.new_empty(2, len(follow), *frames.shape[2:])
        previous, current = frames.unbind(1)
        times = batch.start[~batch.follow.numpy()]
        if self.share.together and not len(frames):
            # nothing to forecast here, but elsewhere, and the weights are gathered for it
            previous = current = frames.new_zeros(1, *frames.shape[2:])
            times = batch.start[:1]
        for i in range(batch.lead if len(previous) else 0):
            following = self.networks.forecast(previous, current, times + STEP * i)
            previous, current = current, following[:, : self.networks.analysed]
        states[:, ~follow] = torch.stack([previous, current])[:, : len(frames)]
        if follow.any():
            states[:, follow] = carried[:, follow]
        return states[0], states[1]

    def _sound(self, ends: Tensor, targets: Tensor) -> Tensor:
        """Replace ends of cycles that are not finite by the reanalysis.

        A chain that broke once would spoil all updates that follow. ``ends (2, place, channel, lat,
        lon)``; ``targets (place, target, channel, lat, lon)`` are those of the last analysis and of
        the background after it.
        """
        reanalysis = targets[:, :2, : self.networks.analysed].transpose(0, 1)
        finite = torch.isfinite(ends).all(4).all(3).all(2).all(0)
        return torch.where(finite[None, :, None, None, None], ends, reanalysis)


def fit_cycles(
    networks: Networks,
    stage: AssimilatorStage,
    archive: samples.Archive,
    first_times: np.ndarray,
    run: TrainingRun,
    *,
    odds: np.ndarray | None = None,
    train_forecaster: bool = False,
    linear_fits: bool = False,
    points: Points | None = None,
    radiances: RadianceLoss | None = None,
    from_climatology: bool = False,
) -> Trained:
    """Train networks by unrolling cycles.

    Parameters
    ----------
    networks : Networks
        The networks; their assimilator is trained.
    stage : AssimilatorStage
        Settings of the stage that ``run`` names.
    archive : samples.Archive
        Reanalysis, observations, climatology, and the bank of backgrounds where there is one.
    first_times : np.ndarray
        First analysis times to draw from, in order, ``(n,)``.
    run : TrainingRun
        Devices, seed, folders and log.
    odds : np.ndarray, optional
        Probability of each time, ``(n,)``; by default all are equally probable.
    train_forecaster : bool
        Whether the forecaster is trained too.
    linear_fits : bool
        Whether the encoders start from fits to the stage's first batches
        (:mod:`fuxiflow.training.linear_initialisation`).
    points : Points, optional
        The observations of L_obs.
    radiances : RadianceLoss, optional
        The radiance loss.
    from_climatology : bool
        Whether analyses are of observations alone, without a background.

    Returns
    -------
    Trained
        The networks, their losses and the record of the stage.
    """
    designs, unrolling = networks.design.sources, Unrolling.of(stage)
    banked = archive.bank is not None
    run.log.info(
        "%d first analysis times from %s to %s, sources: %s",
        len(first_times),
        first_times[0],
        first_times[-1],
        ", ".join(designs) or "none",
    )
    networks.train_only(forecaster=train_forecaster, assimilator=True)
    networks.to(run.fabric.device)
    execution.prepare(networks, recompute=stage.recompute, compiled=run.compiled)
    trainer = Trainer(networks, stage, run)
    origin = {"banked": banked, "from_climatology": from_climatology}
    plan = plans.cycle_plan(
        run.stage, first_times, stage, unrolling, run.seed, odds=odds, sources=(*designs,), **origin
    )
    batches = samples.Batches(archive, plan, designs, networks.standardise, trainer.share, points)
    objective = CycleObjective(
        networks, unrolling, trainer.share, points, radiances, from_climatology
    )
    if linear_fits and not trainer.begun:
        # all windows count for the fits: none from climatology, none without a source, as this plan
        # knows of none
        warm = stage.model_copy(update={"cold_fraction": 0.0, "source_dropout": 0.0})
        fit_plan = plans.cycle_plan(run.stage, first_times, warm, Unrolling(), run.seed, **origin)
        windows = samples.Batches(archive, fit_plan, designs, networks.standardise)
        initialise_encoders(networks, windows, objective.first_guess, stage.batch, run.log)
        if networks.variational is not None:
            fit_observation_errors(networks, archive, first_times, run.seed, run.log)
    losses = trainer.train(
        objective, lambda first, last: samples.load_batches(batches, first, last, run.workers)
    )
    return Trained.of(trainer, networks, losses, first_times)
