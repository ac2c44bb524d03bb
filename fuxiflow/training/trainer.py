"""The training loop of all stages, to be read from top to bottom.

:meth:`Trainer.train` makes one update after the other: learning rate, random seeds, gradients of
the update's batches, clipping, AdamW, running mean of the weights. A restart file is written every
so many updates and when a signal comes; a second run goes on from it to the same bits.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from fuxiflow.config.training import Optimisation
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import Networks
from fuxiflow.progress import Progress
from fuxiflow.randomness import derived_seeds
from fuxiflow.storage import tables
from fuxiflow.storage.files import remove
from fuxiflow.storage.restart_files import RestartFiles
from fuxiflow.training import parallel
from fuxiflow.training.parallel import Share
from fuxiflow.training.signals import SignalGuard, Stopped
from fuxiflow.training.stage_run import TrainingRun

FIRST_UPDATES = 5
"""Updates after which a stage gives up where none of them could be made."""
FINAL_UPDATES = 50
"""The ``final_loss`` of a stage is the mean over so many updates."""


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


class Objective(Protocol):
    """The loss of a stage, one span of a batch at a time.

    A batch is unrolled in spans of steps or cycles; each is back-propagated through by itself. An
    objective keeps nothing between calls: the states ``(2, place, channel, lat, lon)`` from which
    the next span goes on are handed out, and handed in again.
    """

    def spans(self, batch: object) -> list[tuple[int, int]]:
        """First and last (excluded) steps or cycles of each span of a batch, in order."""
        ...

    def loss(
        self, batch: object, span: tuple[int, int], carried: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Compute the terms of the loss of a span, and the states that the next goes on from.

        Parameters
        ----------
        batch : object
            A batch of the stage.
        span : tuple of int
            One of :meth:`spans`.
        carried : Tensor, optional
            The states that the span before ended with; for the first span of a batch those that
            the same part of the update before ended with, None where there are none.

        Returns
        -------
        dict of str to Tensor
            Scalars; ``loss`` is the one that is differentiated.
        Tensor or None
            The states that the next span goes on from, or after the last span the next update;
            None where nothing goes on.
        """
        ...


def learning_rate(step: int, optimisation: Optimisation) -> float:
    """Rise linearly over the first ``warmup`` of the updates, then fall as a cosine, or stay."""
    warm = max(1, round(optimisation.warmup * optimisation.updates))
    if step < warm:
        return optimisation.learning_rate * (step + 1) / warm
    if optimisation.schedule == "constant":
        return optimisation.learning_rate
    done = (step - warm) / max(1, optimisation.updates - warm)
    return optimisation.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Average:
    """A running mean of the weights, which a stage may leave instead of its last weights.

    After every update ``mean += (1 - decay) (parameter - mean)``, from the first values on. The
    decay of the first updates is smaller, (1 + n) / (10 + n) after n of them, so that the initial
    weights are soon forgotten (Polyak averaging as in TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float):
        self.parameters, self.decay, self.count = list(parameters), decay, 0
        self.means = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters as they are now into the means."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            mean.lerp_(parameter.detach(), 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the means in the place of the parameters."""
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            parameter.copy_(mean)

    def state_dict(self) -> dict[str, list[Tensor] | int]:
        """Count and means, as restart files hold them."""
        return {"count": self.count, "means": self.means}

    def load_state_dict(self, content: dict) -> None:
        """Take what :meth:`state_dict` gave, shared out as the parameters are."""
        self.count = content["count"]
        self.means = [
            parallel.like(mean.to(parameter.device), parameter)
            for mean, parameter in zip(content["means"], self.parameters, strict=True)
        ]


class Uncast:
    """Values that Fabric's precision plug-in leaves alone.

    It casts tensors in tuples, dictionaries and data classes to bfloat16: a pressure of 101 325 Pa
    would become 101 376. So this must be none of them.
    """

    def __init__(self, *values):
        self.values = values


class LossModule(nn.Module):
    """A module and the loss that is computed with it, so that a strategy sees one forward pass.

    With ``touch`` the loss depends on every trainable parameter, if only by a factor of zero: where
    weights are shared out, all processes must have gradients of the same parameters, and a source
    may be missing in the windows of one.
    """

    def __init__(self, module: nn.Module, loss_of: Callable, touch: bool = False):
        """Wrap a module and its loss.

        Parameters
        ----------
        module : nn.Module
            The networks.
        loss_of : Callable
            :meth:`Objective.loss`.
        touch : bool
            Whether the loss shall depend on every trainable parameter.
        """
        super().__init__()
        self.module, self.loss_of = module, loss_of
        self.touched = parallel.shared_together(module) if touch else []

    def forward(self, arguments: Uncast) -> tuple[dict[str, Tensor], Uncast]:
        """Terms of the loss of a span, and the states that the next span goes on from."""
        terms, carried = self.loss_of(*arguments.values)
        if self.touched:
            parameters = dict(self.module.named_parameters())
            nothing = (
                0.0 * torch.stack([parameters[name].flatten()[0] for name in self.touched]).sum()
            )
            terms = {**terms, "loss": terms["loss"] + nothing}
        return terms, Uncast(carried)


def data_faults(batches: Iterable[object]) -> Iterator[str]:
    """Yield what is not finite in the data of batches, of those that can tell."""
    for batch in batches:
        yield from getattr(batch, "faults", list)()


class Trainer:
    """One stage under way: the module, its losses so far, and the states that a chain carries on.

    ``ends`` are, for each part of an update's batch, the states ``(2, place, channel, lat, lon)``
    that its cycles ended with. NumPy's and torch's global generators are seeded anew before every
    update from the run's seed, the update and the rank.
    """

    def __init__(self, module: nn.Module, optimisation: Optimisation, run: TrainingRun):
        """Begin before the first update.

        Parameters
        ----------
        module : nn.Module
            The networks; what requires a gradient is trained.
        optimisation : Optimisation
            Settings of the stage.
        run : TrainingRun
            Devices, seed, folders and log.
        """
        self.module, self.optimisation, self.run = module, optimisation, run
        self.step = 0
        self.skipped = 0
        self.losses: list[dict] = []
        self.ends: dict[int, Tensor] = {}
        self.average: Average | None = None

    @property
    def restart_files(self) -> RestartFiles:
        """The files that a killed run continues from."""
        return RestartFiles(self.run.state, self.optimisation.keep_checkpoints, self.run.log)

    @property
    def begun(self) -> bool:
        """True where there is something to continue from."""
        return bool(self.restart_files.files())

    @property
    def share(self) -> Share:
        """The part of every update that this process computes."""
        return parallel.share_of(self.run.fabric, self.optimisation.accumulate)

    def parameters(self) -> list[nn.Parameter]:
        """Parameters that this stage trains."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def train(
        self, objective: Objective, batches: Callable[[int, int], Iterable[object]]
    ) -> pd.DataFrame:
        """Train to the last update, from the newest restart file where there is one.

        Parameters
        ----------
        objective : Objective
            The loss of a batch, span by span.
        batches : Callable
            ``batches(first, last)`` yields the batches of those updates, ``accumulate`` for each.

        Returns
        -------
        pd.DataFrame
            Losses, one row an update, the mean of all processes.

        Raises
        ------
        TrainingError
            After too many updates with a non-finite loss or gradient (they are skipped and
            counted), or when a restart file does not fit.
        Stopped
            On SIGTERM, SIGUSR1 or Ctrl-C, when a restart file has been written.
        """
        fabric, optimisation, log = self.run.fabric, self.optimisation, self.run.log
        touch = parallel.sharded(fabric)
        module = fabric.setup_module(LossModule(self.module, objective.loss, touch))
        optimizer = torch.optim.AdamW(
            self.parameters(),
            optimisation.learning_rate,
            betas=optimisation.betas,
            weight_decay=optimisation.weight_decay,
            # one pass over each parameter, on a processor too
            fused=True,
        )
        self.average = Average(self.parameters(), optimisation.ema) if optimisation.ema else None
        self.resume(optimizer)
        wrapped = fabric.setup_optimizers(optimizer)
        writer = None
        if fabric.is_global_zero:
            writer = SummaryWriter(str(self.run.tensorboard), purge_step=self.step)
        log.info(
            "%s: %d devices, each with %d of the %d samples of an update",
            self.run.stage,
            self.share.ranks,
            optimisation.batch // self.share.ranks,
            optimisation.batch,
        )
        report = Progress(optimisation.updates, self.run.stage, log, done=self.step)

        def stop(number: int) -> None:
            self.save(optimizer)
            log.info(
                "%s: stopped by signal %d after %d updates; run again to resume",
                self.run.stage,
                number,
                self.step,
            )
            raise Stopped(number)

        module.train()
        try:
            # one of several processes may not stop alone: the others would wait for it for ever
            with SignalGuard(stop, wait=fabric.world_size > 1) as guard:
                loader = iter(batches(self.step, optimisation.updates))
                while self.step < optimisation.updates:
                    for group in wrapped.param_groups:
                        group["lr"] = learning_rate(self.step, optimisation)
                    self.seed_generators()
                    parts = [next(loader) for _ in range(optimisation.accumulate)]
                    terms, ends = self._add_gradients(module, objective, parts)
                    norm = fabric.clip_gradients(
                        module, wrapped, max_norm=optimisation.clip, error_if_nonfinite=False
                    )
                    # weights, ends and the count of updates change together: a restart file that a
                    # signal has written in between would hold some of them alone
                    with guard.held():
                        norm = float(parallel.whole_tensors(norm))
                        self._update(wrapped, terms, norm, data_faults(parts))
                        wrapped.zero_grad()
                        self.step += 1
                        self.ends = ends
                        if number := parallel.any_of(fabric, guard.number):
                            stop(number)
                        if self.step % optimisation.checkpoint_every == 0:
                            self.save(optimizer)
                    if writer:
                        for name, value in self.losses[-1].items():
                            writer.add_scalar(name, value, self.step - 1)
                        report.step(f"loss {self.losses[-1]['loss']:.4f}")
        finally:
            if writer:
                writer.close()
        if self.average:
            self.average.apply()
        self.module.eval()
        return pd.DataFrame(self.losses)

    def seed_generators(self) -> None:
        """Seed the global generators for the update at hand."""
        seeds = derived_seeds(2, self.run.seed, self.step, self.run.fabric.global_rank)
        torch.manual_seed(seeds[0])
        np.random.seed(seeds[1])

    def _add_gradients(
        self, module: nn.Module, objective: Objective, batches: list
    ) -> tuple[dict[str, float], dict[int, Tensor]]:
        """Add up the gradients of an update's batches.

        Parameters
        ----------
        module : nn.Module
            The :class:`LossModule` as Fabric has wrapped it.
        objective : Objective
            Says in which spans a batch is unrolled.
        batches : list
            The parts of the update, in order.

        Returns
        -------
        dict of str to float
            Terms of the update's loss, the mean of all processes.
        dict of int to Tensor
            By part, the states that its cycles ended with, where a next update goes on from them.
        """
        fabric = self.run.fabric
        calls = [
            (part, batch, span)
            for part, batch in enumerate(batches)
            for span in objective.spans(batch)
        ]
        carried = dict(self.ends)
        total: dict[str, Tensor] = {}
        for i, (part, batch, span) in enumerate(calls):
            # gradients are exchanged once, with those of the last call
            with fabric.no_backward_sync(module, enabled=i + 1 < len(calls)):
                terms, following = module(Uncast(batch, span, carried.get(part)))
                loss = terms["loss"]
                fabric.backward(loss / len(batches) if len(batches) > 1 else loss)
            (carried[part],) = following.values
            for name, value in terms.items():
                total[name] = total[name] + value.detach() if name in total else value.detach()
        ends = {part: states for part, states in carried.items() if states is not None}
        means = {name: value / len(batches) for name, value in total.items()}
        return parallel.mean_over_processes(fabric, means), ends

    def _update(
        self, optimizer, terms: dict[str, float], norm: float, faults: Iterable[str] = ()
    ) -> None:
        """Make one update, unless it would spoil the weights.

        Parameters
        ----------
        optimizer : optimizer of Fabric
            Holds the gradients' parameters.
        terms : dict of str to float
            Terms of the loss of the update.
        norm : float
            Norm of the gradient before it was clipped.
        faults : iterable of str
            Data of the update that are not finite; looked at only where its loss is not.

        Raises
        ------
        TrainingError
            When a larger share of the updates has been skipped than ``max_skipped``, when none of
            the first ones could be made, or when the data are at fault.
        """
        finite = math.isfinite(terms["loss"]) and math.isfinite(norm)
        if finite:
            optimizer.step()
            if self.average:
                self.average.update()
        else:
            self.skipped += 1
            self._give_up(list(faults))
            self.run.log.warning(
                "%s: update %d skipped, its loss or gradient is not finite",
                self.run.stage,
                self.step,
            )
        self.losses.append(
            {
                "step": self.step,
                **terms,
                "gradient_norm": norm,
                "skipped": int(not finite),
                "learning_rate": optimizer.param_groups[0]["lr"],
            }
        )

    def _give_up(self, faults: list[str]) -> None:
        """Raise where too many updates were skipped, or one because of its data."""
        optimisation, stage = self.optimisation, self.run.stage
        if faults:
            raise TrainingError(
                f"{stage}: update {self.step} cannot be made, its data hold values that are no "
                f"numbers: {'; '.join(faults)}. Delete the stores that hold them and run again, "
                f"they are made anew"
            )
        first = min(FIRST_UPDATES, optimisation.updates)
        at_once = self.skipped == self.step + 1 == first
        if at_once or self.skipped > optimisation.max_skipped * optimisation.updates:
            which = "all of the first" if at_once else f"of {optimisation.updates}"
            raise TrainingError(
                f"{stage}: {self.skipped} updates with a non-finite loss, {which}, and at most a "
                f"share of {optimisation.max_skipped:g} may be skipped; lower the learning rate, "
                f"train with precision 32-true, or raise max_skipped of the stage"
            )

    def save(self, optimizer: torch.optim.Optimizer) -> None:
        """Write a restart file, whole or not at all; all processes call it together."""
        fabric = self.run.fabric
        ends = torch.cat([self.ends[part] for part in sorted(self.ends)], 1) if self.ends else None
        content = {
            "step": self.step,
            "skipped": self.skipped,
            "losses": self.losses,
            "memory": {"ends": parallel.gather_places(fabric, ends)},
            "module": dict(self.module.state_dict()),
            "optimizer": optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
        }
        if parallel.sharded(fabric):
            self.restart_files.save_parts(self.step, content)
        elif fabric.is_global_zero:
            self.restart_files.save(self.step, content)
        fabric.barrier()

    def resume(self, optimizer: torch.optim.Optimizer) -> None:
        """Continue from the newest sound restart file, if there is one.

        Raises
        ------
        TrainingError
            When the file does not fit the module or the optimiser.
        """
        try:
            target_of = parallel.restart_targets(self.run.fabric, self.module, self.parameters())
            content = self.restart_files.load(target_of)
            if content is None:
                return
            weights, moments = parallel.share_out(content, self.module, self.parameters())
            self.module.load_state_dict(weights)
            optimizer.load_state_dict(moments)
            if self.average:
                self.average.load_state_dict(content["average"])
            ends = parallel.own_places(self.share, content["memory"]["ends"])
            self.ends = {part: states.to(self.run.fabric.device) for part, states in ends.items()}
        except Exception as error:
            raise TrainingError(
                f"{self.run.state} cannot be resumed from ({error}); delete it to start anew"
            ) from error
        self.step = content["step"]
        self.skipped = content["skipped"]
        self.losses = content["losses"]
        self.run.log.info(
            "%s: resumed at update %d of %d", self.run.stage, self.step, self.optimisation.updates
        )


@dataclass
class Trained:
    """The product of a stage: networks, losses by update, and its entry in the history."""

    run: TrainingRun
    networks: Networks
    losses: pd.DataFrame
    record: dict

    @classmethod
    def of(
        cls,
        trainer: Trainer,
        networks: Networks,
        losses: pd.DataFrame,
        times: np.ndarray,
    ) -> "Trained":
        """Put together what a stage leaves.

        Parameters
        ----------
        trainer : Trainer
            Has trained to the last update.
        networks : Networks
            The trained networks.
        losses : pd.DataFrame
            One row an update.
        times : np.ndarray
            All times that samples could start from, in order; the first and last are recorded.

        Returns
        -------
        Trained
            With a record of settings, period, updates, and the mean loss of the last ones.
        """
        record = {
            "stage": trainer.run.stage,
            "settings": trainer.optimisation.model_dump(mode="json"),
            "period": [str(np.datetime_as_string(time, "h")) for time in (times[0], times[-1])],
            "updates": len(losses),
            "skipped": int(losses["skipped"].sum()),
            "final_loss": float(losses["loss"].tail(FINAL_UPDATES).mean()),
        }
        return cls(trainer.run, networks, losses, record)

    def write(self, checkpoint_path: Path, losses_path: Path, history: list[dict]) -> None:
        """Write checkpoint and losses, and remove the restart state; all processes call it.

        Parameters
        ----------
        checkpoint_path : Path
            The file of the networks.
        losses_path : Path
            Parquet, one row an update, with provenance.
        history : list of dict
            The records of the stages before.
        """
        weights = parallel.whole_tensors(dict(self.networks.state_dict()))
        if self.run.fabric.is_global_zero:
            finished = checkpoint.Checkpoint(self.networks, [*history, self.record])
            checkpoint.save_checkpoint(checkpoint_path, finished, weights)
            tables.write_parquet(losses_path, self.losses)
            remove(self.run.state)
        self.run.fabric.barrier()
