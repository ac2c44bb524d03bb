"""The surroundings of a stage's training: devices, seed, folders, and the restart state it fits."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lightning.fabric import Fabric

from fuxiflow.storage.files import workspace
from fuxiflow.training import parallel
from fuxiflow.training.parallel import DeviceOptions

PLACES = ("code", "saving", "state", "tensorboard")
RESTARTS = ("checkpoint_every", "keep_checkpoints", "max_skipped")
"""Parameters of a rule, and settings of a stage, that do not change what is trained."""


@dataclass(frozen=True)
class TrainingRun:
    """The surroundings of a stage's training: devices, seed, and where its files go on the way.

    ``stage`` names it in the log and fixes its random numbers; restart files lie in ``state``,
    curves in ``tensorboard``; ``workers`` processes load data; ``compiled`` compiles the networks.
    """

    stage: str
    fabric: Fabric
    state: Path
    tensorboard: Path
    log: logging.Logger
    seed: int = 0
    workers: int = 0
    compiled: bool = False


def training_identity(params: Mapping[str, object]) -> dict[str, object]:
    """Choose the parameters of a rule that change what is trained.

    Left out are the code, which restart state is keyed by anyway, the places of files, how often
    and how many restart files are written, and the devices: any number reads a restart file.
    """
    identity = {name: value for name, value in params.items() if name not in PLACES}
    stage = dict(identity.get("stage", {}))
    identity["stage"] = {name: value for name, value in stage.items() if name not in RESTARTS}
    identity["options"] = {"precision": dict(identity.get("options", {})).get("precision")}
    return identity


def open_run(
    stage: str,
    devices: DeviceOptions,
    state: Path,
    tensorboard: Path,
    seed: int,
    log: logging.Logger,
    identity: Mapping[str, object] | None = None,
) -> TrainingRun:
    """Join the processes of a stage and open its folder of restart state.

    Parameters
    ----------
    stage : str
        Name of the stage.
    devices : DeviceOptions
        Devices, precision and loading.
    state : Path
        Folder of the restart files.
    tensorboard : Path
        Folder of the curves.
    seed : int
        Fixes what the stage draws.
    log : logging.Logger
        The log of the rule.
    identity : Mapping[str, object], optional
        The settings with which restart files still fit (:func:`training_identity`); by default all
        parameters of the running rule.

    Returns
    -------
    TrainingRun
        What :class:`Trainer` takes.
    """
    fabric = parallel.make_fabric(devices)
    if fabric.is_global_zero:
        workspace(state, identity)
    fabric.barrier()
    return TrainingRun(
        stage,
        fabric,
        Path(state),
        Path(tensorboard),
        log,
        seed,
        devices.workers,
        devices.compile,
    )
