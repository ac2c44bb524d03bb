"""The training stages: what each draws, and the loss it minimises."""

import logging
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from fuxiflow.config.training import AssimilatorStage, Optimisation, RolloutStage
from fuxiflow.grids import Grid
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.randomness import numbered_generator
from fuxiflow.storage.restart_state import workspace
from fuxiflow.training.loop import Run
from fuxiflow.training.losses import StateLoss
from fuxiflow.training.observation_loss import PointLoss, Points
from fuxiflow.training.parallel import Share, sharded
from fuxiflow.training.perturbation import perturb
from fuxiflow.training.radiance_loss import RadianceLoss
from fuxiflow.training.samples import Batch, Request

STREAMS = {
    "forecaster": 1,
    "assimilator": 2,
    "joint": 3,
    "autoregressive": 4,
    "replay": 6,
}  # 5: the bank
OBSERVED_STATES = ("analysis", "background")


def _generator(seed: int, stage: str, *position: int) -> np.random.Generator:
    """Random numbers that depend on nothing else than these."""
    return numbered_generator(seed, STREAMS[stage], *position)


def rollout_plan(name: str, times: np.ndarray, stage: RolloutStage, seed: int):
    """Stages 1 and 4: ``plan(step)`` draws start times among ``times``, and which start from a disturbed state.

    Plans are of whole updates: :class:`fuxiflow.training.parallel.Share` says what of one a process takes.
    """

    def plan(step: int) -> list[Request]:
        random = _generator(seed, name, step, 0)
        chosen, seeds = random.choice(times, stage.batch), random.integers(2**31, size=stage.batch)
        noisy = random.random(stage.batch) < (stage.noise_fraction if stage.noise else 0)
        return [
            Request(start, stage.length(step), 0, noise=int(noise) if disturbed else None)
            for start, noise, disturbed in zip(chosen, seeds, noisy, strict=True)
        ]

    return plan


@dataclass(frozen=True)
class Unrolling:
    """``cycles`` of an update, ``chain`` updates that follow on each other, weight of the backgrounds in the loss; the
    number of cycles that are back-propagated through (``truncation``, None for all)."""

    cycles: int = 1
    chain: int = 1
    background_weight: float = 0.0
    truncation: int | None = None

    @classmethod
    def of(cls, stage: AssimilatorStage) -> "Unrolling":
        """That of a stage; what it has no setting for is as in stage 2."""
        return cls(
            **{
                item.name: getattr(stage, item.name)
                for item in fields(cls)
                if hasattr(stage, item.name)
            }
        )


def spans(count: int, truncation: int | None) -> list[tuple[int, int]]:
    """First and last (excluded) of the steps or cycles that are back-propagated through together."""
    size = truncation or count
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def cycle_plan(
    name: str,
    times: np.ndarray,
    stage: AssimilatorStage,
    unrolling: Unrolling,
    seed: int,
    banked: bool = False,
    odds: np.ndarray | None = None,
):
    """Stages 2 and 3: ``plan(step)`` draws first analysis times among ``times``, each as probable as ``odds`` say.

    The first background is a forecast of a random lead, the same for the whole batch, or comes from the bank; some
    start from climatology, as a cold start does, and some are deprived of their observations, as in an outage. With a
    ``chain`` of several updates every place of the batch goes on for that many from where it ended; the places begin
    anew by turns. Each has its own shift of the climatology.
    """
    cycles, chain = unrolling.cycles, unrolling.chain

    def plan(step: int) -> list[Request]:
        random = _generator(seed, name, step, 0)
        lead = int(random.integers(1, stage.max_lead_hours // 6 + 1))
        masked = random.random(stage.batch) < stage.source_dropout
        requests = []
        for place in range(stage.batch):
            age = (step + place * chain // stage.batch) % chain
            fate = _generator(seed, name, step - age + chain, 0, place)
            time = fate.choice(times, p=odds) + STEP * cycles * age
            cold, dark = bool(fate.random() < stage.cold_fraction), bool(masked[place])
            days = stage.climatology_shift_days
            shift = int(fate.integers(-days, days + 1))
            if age and step:
                requests.append(Request(time, 0, cycles, masked=dark, follows=True, shift=shift))
            elif banked:
                requests.append(Request(time, 0, cycles, cold, dark, shift=shift, banked=True))
            else:
                requests.append(Request(time - STEP * lead, lead, cycles, cold, dark, shift=shift))
        return requests

    return plan


class Objective:
    """Losses of the stages for one set of networks, on physical batches, of which a process has its ``share``.

    ``ends`` are, for each part of an update's batch, the analyses and backgrounds that its cycles ended with, ``(2,
    place, channel, lat, lon)``, where a batch follows; ``between`` those that a truncated unrolling goes on from.
    With ``points``, what batches hold of observations to compare with, stages 2 and 3 add L_obs, and with ``radiances``
    the radiance loss.
    """

    def __init__(
        self,
        networks: Networks,
        share: Share = Share(),
        points: Points | None = None,
        radiances: RadianceLoss | None = None,
    ):
        self.networks, self.share = networks, share
        self.ends: dict[int, Tensor] = {}
        self.between: tuple[Tensor, Tensor] | None = None
        grid = Grid(*networks.design.grid)
        tendency = networks.normaliser.tendency.flatten()
        self.state = StateLoss(networks.design.channels, grid, tendency).to(networks.device)
        analysed = networks.design.channels[: networks.analysed]
        self.analysis = StateLoss(analysed, grid, tendency[: networks.analysed]).to(networks.device)
        self.observed: dict[str, tuple[float, nn.Module]] = {}
        if points and points.positions:
            loss = PointLoss(analysed, grid, tendency[: networks.analysed], points).to(
                networks.device
            )
            self.observed["observed"] = points.weight, loss
        if radiances:
            self.observed["radiance"] = points.radiance_weight, radiances.to(networks.device)

    def _standard(self, batch: Batch) -> tuple[Tensor, Tensor]:
        device = self.networks.device
        normalise = self.networks.normaliser
        first = normalise(batch.first[:, :, : self.networks.analysed].to(device, non_blocking=True))
        return first, normalise(batch.targets.to(device, non_blocking=True))

    def forecaster(
        self, batch: Batch, noise: float = 0.0, first: int = 0, last: int | None = None
    ) -> dict[str, Tensor]:
        """Stages 1 and 4: L_state of the steps from ``first`` up to ``last``, as a share of the mean over all steps.

        ``noise`` is the largest error of disturbed first frames. Nothing is differentiated through what lies before
        ``first``.
        """
        frames, targets = self._standard(batch)
        if noise and not first:
            frames = perturb(
                frames,
                self.networks.normaliser.tendency[: self.networks.analysed],
                noise,
                batch.noise,
            )
        previous, current = self.between if first else frames.unbind(1)
        loss = frames.new_zeros(())
        for i in range(first, batch.lead if last is None else last):
            previous, current = (
                current,
                self.networks.forecast(previous, current, batch.start + STEP * i),
            )
            loss = loss + self.state(current, targets[:, i])
        self.between = previous.detach(), current.detach()
        return {"loss": loss / batch.lead}

    def state_dict(self) -> dict:
        """What a resumed stage needs: where its cycles ended ``(2, place, channel, lat, lon)``, by place."""
        return {
            "ends": torch.cat([self.ends[part] for part in sorted(self.ends)], 1)
            if self.ends
            else None
        }

    def load_state_dict(self, content: dict) -> None:
        """Take this process' share of where the cycles of all places ended."""
        ends = content["ends"]
        if ends is not None:
            self.ends = {
                part: ends[:, self.share.places(ends.shape[1], part)].to(self.networks.device)
                for part in range(self.share.accumulate)
            }

    @torch.no_grad()
    def _begin(self, batch: Batch, first: Tensor) -> tuple[Tensor, Tensor]:
        """The states 6 h before the first analysis and at it: forecast from the first frames, or where the cycles of
        the batch before ended."""
        follow = batch.follow.to(first.device)
        states = first.new_empty(2, len(follow), *first.shape[2:])
        previous, current = first.unbind(1)
        times = batch.start[~batch.follow.numpy()]
        if self.share.together and not len(first):
            # nothing to forecast here, but elsewhere, and the weights are gathered for it
            previous = current = first.new_zeros(1, *first.shape[2:])
            times = batch.start[:1]
        for i in range(batch.lead if len(previous) else 0):
            following = self.networks.forecast(previous, current, times + STEP * i)
            previous, current = current, following[:, : self.networks.analysed]
        states[:, ~follow] = torch.stack([previous, current])[:, : len(first)]
        if follow.any():
            states[:, follow] = self.ends[batch.part][:, follow]
        return states[0], states[1]

    @torch.no_grad()
    def guess(self, batch: Batch) -> Tensor:
        """The first guess of the first analyses of a batch, ``(batch, 3, channel, lat, lon)``."""
        first, _ = self._standard(batch)
        return self.networks.guess(*self._begin(batch, first), batch.analysis)

    def cycle(
        self, batch: Batch, unrolling: Unrolling, first: int = 0, last: int | None = None
    ) -> dict[str, Tensor]:
        """Stages 2 and 3: L_state, and L_obs where it is used, of the analysis and of the next background of the cycles
        from ``first`` up to ``last``, as a share of the mean over all cycles.

        Nothing is differentiated through forecasts that have no weight, nor through what lies before ``first``: a
        single cycle trains the assimilator alone. The last forecast is made only for a loss or for a batch that
        follows.
        """
        frames, targets = self._standard(batch)
        weight = unrolling.background_weight
        climatology = batch.climatology[:, :, : self.networks.analysed].to(
            frames.device, non_blocking=True
        )
        climatology = self.networks.normaliser(climatology)
        previous, background = self.between if first else self._begin(batch, frames)
        analyses, backgrounds = frames.new_zeros(()), frames.new_zeros(())
        observed = {
            f"{name}_{state}": frames.new_zeros(())
            for name in self.observed
            for state in OBSERVED_STATES
        }
        start = frames.new_zeros(()) if first else self.analysis(background, targets[:, 0]).detach()
        for i in range(first, batch.cycles if last is None else last):
            times = batch.analysis + STEP * i
            observations = {n: f.to(frames.device) for n, f in batch.observations[i].items()}
            guess = self.networks.guess(previous, background, times)
            analysis = self.networks.analyse(guess, climatology[:, i], observations, times)
            analyses = analyses + self.analysis(analysis, targets[:, i])
            for name, (_, loss) in self.observed.items():
                observed[f"{name}_analysis"] += loss(analysis, batch.points[i])
            if i + 1 == batch.cycles and unrolling.chain == 1 and not weight:
                break
            with torch.set_grad_enabled(bool(weight) and torch.is_grad_enabled()):
                forecast = self.networks.forecast(previous, analysis, times)
            previous, background = analysis, forecast[:, : self.networks.analysed]
            if weight:
                backgrounds = backgrounds + self.state(forecast, targets[:, i + 1])
                for name, (_, loss) in self.observed.items():
                    observed[f"{name}_background"] += loss(forecast, batch.points[i + 1])
        self.between = previous.detach(), background.detach()
        if unrolling.chain > 1 and last in (None, batch.cycles):
            self.ends[batch.part] = self._sound(
                torch.stack(self.between), targets[:, batch.cycles - 1 :]
            )
        terms = {
            "loss": (analyses + weight * backgrounds) / batch.cycles,
            "analysis": analyses / batch.cycles,
            "background": backgrounds / batch.cycles,
            "first_background": start,
        }
        terms |= {name: term / batch.cycles for name, term in observed.items()}
        for name, (share, _) in self.observed.items():
            joint = terms[f"{name}_analysis"] + weight * terms[f"{name}_background"]
            terms["loss"] = terms["loss"] + share * joint
        return terms

    def _sound(self, ends: Tensor, targets: Tensor) -> Tensor:
        """Ends of cycles ``(2, place, channel, lat, lon)``; the reanalysis where one is not finite, lest a chain that
        broke once spoils all updates that follow."""
        reanalysis = targets[:, :2, : self.networks.analysed].transpose(0, 1)
        finite = torch.isfinite(ends).all(4).all(3).all(2).all(0)
        return torch.where(finite[None, :, None, None, None], ends, reanalysis)


def trains(networks: Networks, *, forecaster: bool, assimilator: bool) -> None:
    """Choose what a stage trains; the rest is frozen."""
    networks.forecaster.requires_grad_(forecaster)
    networks.assimilator.requires_grad_(assimilator)


def start(
    fabric: Fabric,
    networks: Networks,
    optimisation: Optimisation,
    params: SimpleNamespace,
    label: str,
    log: logging.Logger,
) -> Run:
    """A run of a stage over ``networks``, with the restart state, the curves and the seed that ``params`` name."""
    if fabric.is_global_zero:
        workspace(params.state)
    fabric.barrier()
    return Run(
        fabric,
        networks,
        optimisation,
        Path(params.state),
        Path(params.tensorboard),
        label,
        log,
        params.seed,
    )


def share(fabric: Fabric, optimisation: Optimisation) -> Share:
    """What this process computes of every update."""
    return Share(fabric.global_rank, fabric.world_size, optimisation.accumulate, sharded(fabric))
