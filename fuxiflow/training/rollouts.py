"""Stages 1 and 4: forecasts from the reanalysis, compared with it at every step.

Some first frames are disturbed. A forecaster that has only ever seen reanalyses adds its increments
to whatever it is given: structures that do not fit together (temperature against thickness, one
level against the next) stay, grow, and pile up over a cycle of weeks where the observations do not
see them. Shown such errors, with the reanalysis as its target, it learns to damp them.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from fuxiflow.config.training import RolloutStage
from fuxiflow.grids import Grid
from fuxiflow.models import execution
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.training import plans, samples
from fuxiflow.training.losses import StateLoss
from fuxiflow.training.stage_run import TrainingRun
from fuxiflow.training.trainer import Trained, Trainer


def perturbation(shape: tuple[int, int, int], largest: float, seed: int) -> Tensor:
    """Draw random fields, independent from channel to channel, in units of the 6-h change.

    Each is a sum of noise of all scales, from a cell to a quarter of the latitudes, in random
    shares. The root mean square of a draw is ``largest`` times the square of a uniform number,
    times the shares': small errors are common.

    Parameters
    ----------
    shape : tuple of int
        (channel, lat, lon).
    largest : float
        The largest error, as a multiple of the 6-h change.
    seed : int
        Fixes the draw.

    Returns
    -------
    Tensor
        Fields of ``shape``.
    """
    channels, nlat, nlon = shape
    generator = torch.Generator().manual_seed(seed)
    scales = [2**k for k in range(nlat.bit_length()) if 4 * 2**k <= nlat] or [1]
    total = torch.zeros(shape)
    for scale in scales:
        # channels as samples: of one sample with many channels torch copies each field twice
        field = torch.randn(channels, 1, nlat // scale, nlon // scale, generator=generator)
        if scale > 1:
            field = interpolate(field, (nlat, nlon), mode="bilinear")
        field = field[:, 0]
        share = torch.rand(channels, 1, 1, generator=generator)
        size = field.square().mean((-1, -2), keepdim=True).sqrt()
        total.addcmul_(field, share / size.clamp_min(1e-6))
    amplitude = largest * torch.rand((), generator=generator) ** 2
    return total.mul_(amplitude / len(scales) ** 0.5)


def perturb(first: Tensor, tendency: Tensor, largest: float, seeds: list[int | None]) -> Tensor:
    """Add the same perturbation to both frames of each sample that has a seed.

    Parameters
    ----------
    first : Tensor
        Standardised first frames ``(batch, 2, channel, lat, lon)``.
    tendency : Tensor
        The 6-h change in units of the states, ``(channel, 1, 1)``.
    largest : float
        The largest error, as a multiple of the 6-h change.
    seeds : list of int or None
        One for each sample; None leaves it as it is.

    Returns
    -------
    Tensor
        Frames of the same shape.
    """
    shape = tuple(first.shape[2:])
    fields = [
        torch.zeros(shape) if seed is None else perturbation(shape, largest, seed) for seed in seeds
    ]
    return first + (torch.stack(fields).to(first.device) * tendency)[:, None]


class RolloutObjective:
    """L_state of every step of a forecast, see :class:`fuxiflow.training.trainer.Objective`."""

    def __init__(self, networks: Networks, noise: float = 0.0, truncation: int | None = None):
        """Prepare the loss.

        Parameters
        ----------
        networks : Networks
            On their device; their forecaster is trained.
        noise : float
            The largest error of disturbed first frames, as a multiple of the 6-h change.
        truncation : int, optional
            Steps that are back-propagated through together, by default all.
        """
        self.networks, self.noise, self.truncation = networks, noise, truncation
        tendency = networks.normaliser.tendency.flatten()
        loss = StateLoss(networks.design.channels, Grid(*networks.design.grid), tendency)
        self.state_loss = loss.to(networks.device)

    def spans(self, batch: samples.Batch) -> list[tuple[int, int]]:
        """First and last (excluded) steps that are back-propagated through together."""
        return plans.unrolled_spans(batch.lead, self.truncation)

    def loss(
        self, batch: samples.Batch, span: tuple[int, int], carried: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Compute the loss of the steps of a span, as a share of the mean over all steps.

        Parameters
        ----------
        batch : samples.Batch
            Physical frames and targets.
        span : tuple of int
            First and last (excluded) step. Nothing is differentiated through what lies before.
        carried : Tensor, optional
            The last two states of the span before, ``(2, batch, channel, lat, lon)``.

        Returns
        -------
        dict of str to Tensor
            The ``loss``.
        Tensor or None
            The last two states of this span; None after the last step.
        """
        networks = self.networks
        normalise, device = networks.normaliser, networks.device
        first = batch.first[:, :, : networks.analysed]
        frames = normalise(first.to(device, non_blocking=True))
        targets = normalise(batch.targets.to(device, non_blocking=True))
        begin, end = span
        if begin:
            previous, current = carried
        else:
            if self.noise:
                tendency = normalise.tendency[: networks.analysed]
                frames = perturb(frames, tendency, self.noise, batch.noise)
            previous, current = frames.unbind(1)
        loss = frames.new_zeros(())
        for i in range(begin, end):
            following = networks.forecast(previous, current, batch.start + STEP * i)
            previous, current = current, following
            loss = loss + self.state_loss(current, targets[:, i])
        terms = {"loss": loss / batch.lead}
        if end == batch.lead:
            return terms, None
        # a state that was forecast has precipitation, a first frame has none
        ends = [state[:, : networks.analysed].detach() for state in (previous, current)]
        return terms, torch.stack(ends)


def fit_rollouts(
    networks: Networks,
    stage: RolloutStage,
    archive: samples.Archive,
    days: tuple[np.datetime64, np.datetime64],
    run: TrainingRun,
) -> Trained:
    """Train the forecaster alone.

    Parameters
    ----------
    networks : Networks
        The networks; their forecaster is trained, their assimilator stays.
    stage : RolloutStage
        Settings of the stage that ``run`` names.
    archive : samples.Archive
        The reanalysis.
    days : tuple of np.datetime64
        First and last time of the training period.
    run : TrainingRun
        Devices, seed, folders and log.

    Returns
    -------
    Trained
        The networks, their losses and the record of the stage.
    """
    networks.train_only(forecaster=True, assimilator=False)
    starts = plans.usable_times(archive.states, *days, before=1, after=stage.longest)
    run.log.info("%d start times from %s to %s", len(starts), starts[0], starts[-1])
    networks.to(run.fabric.device)
    execution.prepare(networks, recompute=stage.recompute, compiled=run.compiled)
    trainer = Trainer(networks, stage, run)
    plan = plans.rollout_plan(run.stage, starts, stage, run.seed)
    batches = samples.Batches(archive, plan, {}, networks.standardise, trainer.share)
    losses = trainer.train(
        RolloutObjective(networks, stage.noise, stage.truncation),
        lambda first, last: samples.load_batches(batches, first, last, run.workers),
    )
    return Trained.of(trainer, networks, losses, starts)
