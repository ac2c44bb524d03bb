"""The training loop: updates with a schedule, logged losses, checkpoints outside the outputs, resume after a kill."""

import logging
import math
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from fuxiflow.config import Optimisation
from fuxiflow.models.device import device, precision
from fuxiflow.progress import Progress
from fuxiflow.script import remove

MAX_SKIPPED = 20


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


def learning_rate(step: int, optimisation: Optimisation) -> float:
    """Linear warm-up over the first ``warmup`` of the updates, then a cosine to zero."""
    warm = max(1, round(optimisation.warmup * optimisation.updates))
    if step < warm:
        return optimisation.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, optimisation.updates - warm)
    return optimisation.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_fabric(accelerator: str, wanted_precision: str) -> Fabric:
    """Fabric on one device."""
    return Fabric(accelerator=device(accelerator).type, devices=1, precision=precision(wanted_precision))


@dataclass
class Run:
    """One stage under way: what to train, how, and where its restart state lies.

    ``memory`` is what else a resumed run has to know (``state_dict`` and ``load_state_dict``).
    """

    fabric: Fabric
    module: nn.Module
    optimisation: Optimisation
    state: Path
    tensorboard: Path
    label: str
    log: logging.Logger
    step: int = 0
    skipped: int = 0
    losses: list[dict] = field(default_factory=list)
    memory: object | None = None

    @property
    def restart(self) -> Path:
        """The file that a killed run continues from."""
        return self.state / "restart.ckpt"

    def parameters(self) -> list[nn.Parameter]:
        """Parameters that this stage trains."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def save(self, optimizer: torch.optim.Optimizer) -> None:
        """Write the restart file, whole or not at all."""
        content = {"step": self.step, "skipped": self.skipped, "losses": self.losses,
                   "module": self.module.state_dict(), "optimizer": optimizer.state_dict(),
                   "memory": self.memory.state_dict() if self.memory else None}  # fmt: skip
        temp = self.restart.with_suffix(".tmp")
        torch.save(content, temp)
        os.replace(temp, self.restart)

    def resume(self, optimizer: torch.optim.Optimizer) -> None:
        """Continue from the restart file, if there is one of the same stage; an unreadable one is refused."""
        if not self.restart.exists():
            return
        try:
            content = torch.load(self.restart, map_location=self.fabric.device, weights_only=True)
            self.module.load_state_dict(content["module"])
            optimizer.load_state_dict(content["optimizer"])
            if self.memory:
                self.memory.load_state_dict(content["memory"])
        except Exception as error:
            raise TrainingError(f"{self.restart} cannot be resumed from ({error}); delete it to start anew") from error
        self.step, self.skipped, self.losses = content["step"], content["skipped"], content["losses"]
        self.log.info("%s: resumed at update %d of %d", self.label, self.step, self.optimisation.updates)


def _stop_on_signal(run: Run, optimizer: torch.optim.Optimizer):
    """On SIGTERM (a time limit, a pre-emption) save at once, then end."""
    def stop(number, frame):
        run.save(optimizer)
        raise TrainingError(f"{run.label}: stopped by signal {number} at update {run.step}; run again to resume")
    return signal.signal(signal.SIGTERM, stop)


def train(run: Run, batches: Callable[[int, int], Iterable],
          loss_of: Callable[[object], dict[str, Tensor]]) -> pd.DataFrame:  # fmt: skip
    """Train to the last update and return the losses, one row an update.

    ``batches(first, last)`` yields the batches of those steps; ``loss_of(batch)`` returns terms whose ``loss`` is
    minimised. An update with a non-finite loss or gradient is skipped and counted; :class:`TrainingError` after too
    many.
    """
    optimisation = run.optimisation
    optimizer = torch.optim.AdamW(run.parameters(), optimisation.learning_rate, betas=optimisation.betas,
                                  weight_decay=optimisation.weight_decay)  # fmt: skip
    run.resume(optimizer)
    module, wrapped = run.fabric.setup(run.module, optimizer, move_to_device=True)
    writer = SummaryWriter(str(run.tensorboard))
    report = Progress(optimisation.updates, run.label, run.log, done=run.step)
    previous = _stop_on_signal(run, optimizer)
    module.train()
    try:
        for batch in batches(run.step, optimisation.updates):
            for group in wrapped.param_groups:
                group["lr"] = learning_rate(run.step, optimisation)
            with run.fabric.autocast():
                terms = loss_of(batch)
            run.fabric.backward(terms["loss"])
            norm = run.fabric.clip_gradients(module, wrapped, max_norm=optimisation.clip, error_if_nonfinite=False)
            _update(run, wrapped, terms, norm)
            wrapped.zero_grad()
            for name, value in run.losses[-1].items():
                writer.add_scalar(name, value, run.step)
            run.step += 1
            report.step(f"loss {run.losses[-1]['loss']:.4f}")
            if run.step % optimisation.checkpoint_every == 0:
                run.save(optimizer)
    finally:
        signal.signal(signal.SIGTERM, previous)
        writer.close()
    run.module.eval()
    return pd.DataFrame(run.losses)


def _update(run: Run, optimizer, terms: dict[str, Tensor], norm: Tensor) -> None:
    """Make one update, unless it would spoil the weights."""
    values = {name: float(value.detach()) for name, value in terms.items()}
    finite = math.isfinite(values["loss"]) and bool(torch.isfinite(norm))
    if finite:
        optimizer.step()
    else:
        run.skipped += 1
        run.log.warning("%s: update %d skipped, its loss or gradient is not finite", run.label, run.step)
        if run.skipped > MAX_SKIPPED:
            raise TrainingError(f"{run.label}: {run.skipped} updates with a non-finite loss; lower the learning rate, "
                                f"or train with precision 32-true")  # fmt: skip
    run.losses.append({"step": run.step, **values, "gradient_norm": float(norm), "skipped": int(not finite),
                       "learning_rate": optimizer.param_groups[0]["lr"]})  # fmt: skip


def finish(run: Run) -> None:
    """Remove the restart state of a stage whose output is written."""
    remove(run.state)
