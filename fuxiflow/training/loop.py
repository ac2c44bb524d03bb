"""The training loop: updates with a schedule, logged losses, restart files outside the outputs, resume after a kill."""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from fuxiflow.config.training import Optimisation
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import Networks
from fuxiflow.progress import Progress
from fuxiflow.randomness import derived_seeds
from fuxiflow.storage.files import remove
from fuxiflow.training import parallel
from fuxiflow.training.average import Average
from fuxiflow.training.record import write_losses
from fuxiflow.training.rotation import Rotation
from fuxiflow.training.signals import Guard, Stopped


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


def learning_rate(step: int, optimisation: Optimisation) -> float:
    """Linear warm-up over the first ``warmup`` of the updates, then a cosine to zero, or constant."""
    warm = max(1, round(optimisation.warmup * optimisation.updates))
    if step < warm:
        return optimisation.learning_rate * (step + 1) / warm
    if optimisation.schedule == "constant":
        return optimisation.learning_rate
    done = (step - warm) / max(1, optimisation.updates - warm)
    return optimisation.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Physical:
    """Arguments of a loss, hidden from Fabric's precision plug-in, which casts tensors in tuples, dictionaries and data
    classes to bfloat16: a pressure of 101 325 Pa would become 101 376."""

    def __init__(self, arguments: tuple):
        self.arguments = arguments


class Task(nn.Module):
    """A module and the loss that is computed with it, so that a strategy sees the whole forward pass as one call.

    With ``touch`` the loss depends on every trainable parameter, if only by a factor of zero: where weights are shared
    out, all processes must have gradients of the same parameters, and a source may be missing in the windows of one.
    """

    def __init__(
        self, module: nn.Module, loss_of: Callable[[object], dict[str, Tensor]], touch: bool = False
    ):
        super().__init__()
        self.module, self.loss_of = module, loss_of
        self.touched = parallel.shared_together(module) if touch else []

    def forward(self, part: Physical) -> dict[str, Tensor]:
        """Terms of the loss of one part of a batch."""
        terms = self.loss_of(*part.arguments)
        if self.touched:
            parameters = dict(self.module.named_parameters())
            nothing = (
                0.0 * torch.stack([parameters[name].flatten()[0] for name in self.touched]).sum()
            )
            terms = {**terms, "loss": terms["loss"] + nothing}
        return terms


@dataclass
class Run:
    """One stage under way: what to train, how, and where its restart state lies.

    ``memory`` is what else a resumed run has to know (``state_dict``, tensors with places along the second dimension,
    and ``load_state_dict``). NumPy's and torch's global generators are seeded anew before every update from ``seed``,
    the update and the rank.
    """

    fabric: Fabric
    module: nn.Module
    optimisation: Optimisation
    state: Path
    tensorboard: Path
    label: str
    log: logging.Logger
    seed: int = 0
    step: int = 0
    skipped: int = 0
    losses: list[dict] = field(default_factory=list)
    memory: object | None = None
    average: Average | None = None

    @property
    def rotation(self) -> Rotation:
        """The files that a killed run continues from."""
        return Rotation(self.state, self.optimisation.keep_checkpoints, self.log)

    @property
    def begun(self) -> bool:
        """Whether there is something to continue from."""
        return bool(self.rotation.files())

    def parameters(self) -> list[nn.Parameter]:
        """Parameters that this stage trains."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def remember(self) -> dict:
        """What the memory holds now, for a restart file that is written before the next update ends."""
        return self.memory.state_dict() if self.memory else {}

    def save(self, optimizer: torch.optim.Optimizer, memory: dict) -> None:
        """Write a restart file, whole or not at all; all processes call it together."""
        places = {
            name: parallel.gather_places(self.fabric, value) for name, value in memory.items()
        }
        content = {
            "step": self.step,
            "skipped": self.skipped,
            "losses": self.losses,
            "memory": places,
            "module": parallel.whole(dict(self.module.state_dict())),
            "optimizer": parallel.whole(optimizer.state_dict()),
            "average": parallel.whole(self.average.state_dict()) if self.average else None,
        }
        if self.fabric.is_global_zero:
            self.rotation.save(self.step, content)
        self.fabric.barrier()

    def resume(self, optimizer: torch.optim.Optimizer) -> None:
        """Continue from the newest sound restart file, if there is one; one that does not fit is refused."""
        try:
            content = self.rotation.load()
            if content is None:
                return
            weights, moments = parallel.share_out(content, self.module, self.parameters())
            self.module.load_state_dict(weights)
            optimizer.load_state_dict(moments)
            if self.average:
                self.average.load_state_dict(content["average"])
            if self.memory:
                self.memory.load_state_dict(content["memory"])
        except Exception as error:
            raise TrainingError(
                f"{self.state} cannot be resumed from ({error}); delete it to start anew"
            ) from error
        self.step, self.skipped, self.losses = (
            content["step"],
            content["skipped"],
            content["losses"],
        )
        self.log.info(
            "%s: resumed at update %d of %d", self.label, self.step, self.optimisation.updates
        )

    def seed_generators(self) -> None:
        """Seed the global generators for the update at hand."""
        for_torch, for_numpy = derived_seeds(2, self.seed, self.step, self.fabric.global_rank)
        torch.manual_seed(for_torch)
        np.random.seed(for_numpy)


def train(
    run: Run,
    batches: Callable[[int, int], Iterable],
    loss_of: Callable[..., dict[str, Tensor]],
    parts: Callable[[object], list[tuple]] = lambda batch: [(batch,)],
) -> pd.DataFrame:
    """Train to the last update and return the losses, one row an update, the mean of all processes.

    ``batches(first, last)`` yields the batches of those steps, ``accumulate`` for each; ``parts(batch)`` lists the
    arguments of ``loss_of``, one call after the other, whose terms add up and whose ``loss`` is differentiated call
    by call. An update with a non-finite loss or gradient is skipped and counted; :class:`TrainingError` after too
    many. On SIGTERM or SIGUSR1 a restart file is written at once and :class:`Stopped` raised.
    """
    fabric, optimisation = run.fabric, run.optimisation
    module = fabric.setup_module(Task(run.module, loss_of, touch=parallel.sharded(fabric)))
    optimizer = torch.optim.AdamW(
        run.parameters(),
        optimisation.learning_rate,
        betas=optimisation.betas,
        weight_decay=optimisation.weight_decay,
    )
    run.average = Average(run.parameters(), optimisation.ema) if optimisation.ema else None
    run.resume(optimizer)
    wrapped = fabric.setup_optimizers(optimizer)
    writer = (
        SummaryWriter(str(run.tensorboard), purge_step=run.step) if fabric.is_global_zero else None
    )
    report = Progress(optimisation.updates, run.label, run.log, done=run.step)
    memory = run.remember()

    def stop(number: int) -> None:
        run.save(optimizer, memory)
        run.log.info(
            "%s: stopped by signal %d after %d updates; run again to resume",
            run.label,
            number,
            run.step,
        )
        raise Stopped(number)

    module.train()
    try:
        with Guard(stop, wait=fabric.world_size > 1) as guard:
            loader = iter(batches(run.step, optimisation.updates))
            while run.step < optimisation.updates:
                for group in wrapped.param_groups:
                    group["lr"] = learning_rate(run.step, optimisation)
                run.seed_generators()
                terms = _gradient(
                    run, module, [next(loader) for _ in range(optimisation.accumulate)], parts
                )
                norm = fabric.clip_gradients(
                    module, wrapped, max_norm=optimisation.clip, error_if_nonfinite=False
                )
                with guard.held():
                    _update(run, wrapped, terms, float(parallel.whole(norm)))
                    wrapped.zero_grad()
                    run.step += 1
                    memory = run.remember()
                    if number := parallel.any_of(fabric, guard.number):
                        stop(number)
                    if run.step % optimisation.checkpoint_every == 0:
                        run.save(optimizer, memory)
                if writer:
                    for name, value in run.losses[-1].items():
                        writer.add_scalar(name, value, run.step - 1)
                    report.step(f"loss {run.losses[-1]['loss']:.4f}")
    finally:
        if writer:
            writer.close()
    if run.average:
        run.average.apply()
    run.module.eval()
    return pd.DataFrame(run.losses)


def _gradient(
    run: Run, module: nn.Module, batches: list, parts: Callable[[object], list[tuple]]
) -> dict[str, float]:
    """Add up the gradients of an update's batches; returns the terms of its loss, the mean of all processes."""
    calls = [part for batch in batches for part in parts(batch)]
    total: dict[str, Tensor] = {}
    for i, call in enumerate(calls):
        with run.fabric.no_backward_sync(module, enabled=i + 1 < len(calls)):
            terms = module(Physical(call))
            run.fabric.backward(terms["loss"] / len(batches) if len(batches) > 1 else terms["loss"])
        for name, value in terms.items():
            total[name] = total[name] + value.detach() if name in total else value.detach()
    return parallel.mean(run.fabric, {name: value / len(batches) for name, value in total.items()})


def _update(run: Run, optimizer, terms: dict[str, float], norm: float) -> None:
    """Make one update, unless it would spoil the weights."""
    finite = math.isfinite(terms["loss"]) and math.isfinite(norm)
    if finite:
        optimizer.step()
        if run.average:
            run.average.update()
    else:
        run.skipped += 1
        run.log.warning(
            "%s: update %d skipped, its loss or gradient is not finite", run.label, run.step
        )
        if run.skipped > run.optimisation.max_skipped:
            raise TrainingError(
                f"{run.label}: {run.skipped} updates with a non-finite loss; lower the learning rate, "
                f"or train with precision 32-true"
            )
    run.losses.append(
        {
            "step": run.step,
            **terms,
            "gradient_norm": norm,
            "skipped": int(not finite),
            "learning_rate": optimizer.param_groups[0]["lr"],
        }
    )


def leave(
    run: Run, networks: Networks, history: list[dict], losses: pd.DataFrame, output: SimpleNamespace
) -> None:
    """Write what a stage leaves, ``output.checkpoint`` and ``output.losses``, and remove its restart state."""
    weights = parallel.whole(dict(networks.state_dict()))
    if run.fabric.is_global_zero:
        checkpoint.save_checkpoint(
            output.checkpoint, checkpoint.Checkpoint(networks, history), weights
        )
        write_losses(output.losses, losses)
        remove(run.state)
    run.fabric.barrier()
