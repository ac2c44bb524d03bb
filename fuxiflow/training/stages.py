"""The training stages: what each draws, and the loss it minimises."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from fuxiflow.config import AssimilatorStage, Optimisation, RolloutStage
from fuxiflow.grids import Grid
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.restart import workspace
from fuxiflow.training.loop import Run
from fuxiflow.training.losses import StateLoss
from fuxiflow.training.observation_loss import PointLoss, Points
from fuxiflow.training.perturbation import perturb
from fuxiflow.training.samples import Batch, Request

STREAMS = {"forecaster": 1, "assimilator": 2, "joint": 3, "autoregressive": 4}


def _generator(seed: int, stage: str, *position: int) -> np.random.Generator:
    """Random numbers that depend on nothing else than these."""
    return np.random.default_rng([seed, STREAMS[stage], *position])


def rollout_plan(name: str, times: np.ndarray, stage: RolloutStage, seed: int, rank: int = 0):
    """Stages 1 and 4: ``plan(step)`` draws start times among ``times``, and which start from a disturbed state."""
    def plan(step: int) -> list[Request]:
        random = _generator(seed, name, step, rank)
        chosen, seeds = random.choice(times, stage.batch), random.integers(2**31, size=stage.batch)
        noisy = random.random(stage.batch) < (stage.noise_fraction if stage.noise else 0)
        return [Request(start, stage.length(step), 0, noise=int(noise) if disturbed else None)
                for start, noise, disturbed in zip(chosen, seeds, noisy, strict=True)]  # fmt: skip
    return plan


@dataclass(frozen=True)
class Unrolling:
    """``cycles`` of an update, ``chain`` updates that follow on each other, weight of the backgrounds in the loss."""

    cycles: int = 1
    chain: int = 1
    background_weight: float = 0.0


def cycle_plan(name: str, times: np.ndarray, stage: AssimilatorStage, unrolling: Unrolling, seed: int,
               rank: int = 0):  # fmt: skip
    """Stages 2 and 3: ``plan(step)`` draws first analysis times among ``times``.

    The first background is a forecast of a random lead, the same for the whole batch; some start from climatology, as
    a cold start does, and some are deprived of their observations, as in an outage. With a ``chain`` of several updates
    every place of the batch goes on for that many from where it ended; the places begin anew by turns. Each has its own
    shift of the climatology.
    """
    cycles, chain = unrolling.cycles, unrolling.chain

    def plan(step: int) -> list[Request]:
        random = _generator(seed, name, step, rank)
        lead = int(random.integers(1, stage.max_lead_hours // 6 + 1))
        masked = random.random(stage.batch) < stage.source_dropout
        requests = []
        for place in range(stage.batch):
            age = (step + place * chain // stage.batch) % chain
            fate = _generator(seed, name, step - age + chain, rank, place)
            time = fate.choice(times) + STEP * cycles * age
            cold, dark = bool(fate.random() < stage.cold_fraction), bool(masked[place])
            days = stage.climatology_shift_days
            shift = int(fate.integers(-days, days + 1))
            if age and step:
                requests.append(Request(time, 0, cycles, masked=dark, follows=True, shift=shift))
            else:
                requests.append(Request(time - STEP * lead, lead, cycles, cold, dark, shift=shift))
        return requests
    return plan


class Objective:
    """Losses of the stages for one set of networks, on physical batches.

    ``ends`` are the analyses and backgrounds that the cycles of a batch ended with, ``(2, batch, channel, lat, lon)``.
    With ``points``, what batches hold of in-situ observations, stages 2 and 3 add L_obs.
    """

    def __init__(self, networks: Networks, points: Points | None = None):
        self.networks = networks
        self.ends: Tensor | None = None
        grid = Grid(*networks.design.grid)
        tendency = networks.normaliser.tendency.flatten()
        self.state = StateLoss(networks.design.channels, grid, tendency).to(networks.device)
        analysed = networks.design.channels[: networks.analysed]
        self.analysis = StateLoss(analysed, grid, tendency[: networks.analysed]).to(networks.device)
        self.points, self.observation_weight = None, points.weight if points else 0.0
        if points:
            self.points = PointLoss(analysed, grid, tendency[: networks.analysed], points).to(networks.device)

    def _standard(self, batch: Batch) -> tuple[Tensor, Tensor]:
        device = self.networks.device
        normalise = self.networks.normaliser
        first = normalise(batch.first[:, :, : self.networks.analysed].to(device, non_blocking=True))
        return first, normalise(batch.targets.to(device, non_blocking=True))

    def forecaster(self, batch: Batch, noise: float = 0.0) -> dict[str, Tensor]:
        """Stages 1 and 4: mean L_state of the steps; ``noise`` is the largest error of disturbed first frames."""
        first, targets = self._standard(batch)
        if noise:
            first = perturb(first, self.networks.normaliser.tendency[: self.networks.analysed], noise, batch.noise)
        previous, current = first[:, 0], first[:, 1]
        loss = first.new_zeros(())
        for i in range(batch.lead):
            previous, current = current, self.networks.forecast(previous, current, batch.start + STEP * i)
            loss = loss + self.state(current, targets[:, i])
        return {"loss": loss / batch.lead}

    def state_dict(self) -> dict:
        """What a resumed stage needs: where its cycles ended."""
        return {"ends": self.ends}

    def load_state_dict(self, content: dict) -> None:
        """The inverse of :meth:`state_dict`."""
        self.ends = content["ends"]

    @torch.no_grad()
    def _begin(self, batch: Batch, first: Tensor) -> tuple[Tensor, Tensor]:
        """The states 6 h before the first analysis and at it: forecast from the first frames, or where the cycles of
        the batch before ended."""
        follow = batch.follow.to(first.device)
        states = first.new_empty(2, len(follow), *first.shape[2:])
        previous, current = first.unbind(1)
        for i in range(batch.lead):
            times = batch.start[~batch.follow.numpy()] + STEP * i
            previous, current = current, self.networks.forecast(previous, current, times)[:, : self.networks.analysed]
        states[:, ~follow] = torch.stack([previous, current])
        if follow.any():
            states[:, follow] = self.ends[:, follow]
        return states[0], states[1]

    @torch.no_grad()
    def guess(self, batch: Batch) -> Tensor:
        """The first guess of the first analyses of a batch, ``(batch, 3, channel, lat, lon)``."""
        first, _ = self._standard(batch)
        return self.networks.guess(*self._begin(batch, first), batch.analysis)

    def cycle(self, batch: Batch, unrolling: Unrolling) -> dict[str, Tensor]:
        """Stages 2 and 3: L_state, and L_obs where it is used, of the analysis and the next background of every cycle.

        Nothing is differentiated through forecasts that have no weight: a single cycle trains the assimilator alone.
        The last forecast is made only for a loss or for a batch that follows.
        """
        first, targets = self._standard(batch)
        weight = unrolling.background_weight
        climatology = batch.climatology[:, :, : self.networks.analysed].to(first.device, non_blocking=True)
        climatology = self.networks.normaliser(climatology)
        previous, background = self._begin(batch, first)
        analyses, backgrounds = first.new_zeros(()), first.new_zeros(())
        observed = {"observed_analysis": first.new_zeros(()), "observed_background": first.new_zeros(())}
        start = self.analysis(background, targets[:, 0]).detach()
        for i in range(batch.cycles):
            times = batch.analysis + STEP * i
            observations = {n: f.to(first.device) for n, f in batch.observations[i].items()}
            guess = self.networks.guess(previous, background, times)
            analysis = self.networks.analyse(guess, climatology[:, i], observations, times)
            analyses = analyses + self.analysis(analysis, targets[:, i])
            if self.points:
                observed["observed_analysis"] += self.points(analysis, batch.points[i])
            if i + 1 == batch.cycles and unrolling.chain == 1 and not weight:
                break
            with torch.set_grad_enabled(bool(weight) and torch.is_grad_enabled()):
                forecast = self.networks.forecast(previous, analysis, times)
            previous, background = analysis, forecast[:, : self.networks.analysed]
            if weight:
                backgrounds = backgrounds + self.state(forecast, targets[:, i + 1])
                if self.points:
                    observed["observed_background"] += self.points(forecast, batch.points[i + 1])
        self.ends = torch.stack([previous, background]).detach()
        terms = {"loss": (analyses + weight * backgrounds) / batch.cycles, "analysis": analyses / batch.cycles,
                 "background": backgrounds / batch.cycles, "first_background": start}  # fmt: skip
        if self.points:
            observed = {name: term / batch.cycles for name, term in observed.items()}
            joint = observed["observed_analysis"] + weight * observed["observed_background"]
            terms |= {"loss": terms["loss"] + self.observation_weight * joint, **observed}
        return terms


def trains(networks: Networks, *, forecaster: bool, assimilator: bool) -> None:
    """Choose what a stage trains; the rest is frozen."""
    networks.forecaster.requires_grad_(forecaster)
    networks.assimilator.requires_grad_(assimilator)


def start(fabric: Fabric, networks: Networks, optimisation: Optimisation, state: Path, tensorboard: Path, label: str,
          log: logging.Logger) -> Run:  # fmt: skip
    """A run of a stage over ``networks``."""
    return Run(fabric, networks, optimisation, workspace(state), Path(tensorboard), label, log)
