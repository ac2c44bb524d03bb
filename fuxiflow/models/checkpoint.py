"""Checkpoints of finished stages: one file with networks, statistics, history and provenance."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from fuxiflow.models.networks import Design, Networks
from fuxiflow.states.statistics import Statistics
from fuxiflow.storage import checksums, provenance
from fuxiflow.storage.tensor_files import save_tensors

FORMAT = 1


@dataclass
class Checkpoint:
    """The networks of a finished stage, and the history of the stages that made them."""

    networks: Networks
    history: list[dict] = field(default_factory=list)
    provenance: dict = field(default_factory=dict)


def build_networks(design: Design, statistics: Statistics) -> Networks:
    """Build networks for a design, with random weights and the training period's statistics.

    Raises
    ------
    ValueError
        When the statistics are of other channels.
    """
    if statistics.channels != design.channels:
        raise ValueError(
            f"statistics are of channels {statistics.channels}, the networks of {design.channels}"
        )
    return Networks(
        design, statistics.mean, statistics.std, statistics.tendency_std, statistics.statics
    )


def save_checkpoint(path: Path, checkpoint: Checkpoint, weights: dict | None = None) -> None:
    """Write a checkpoint.

    Parameters
    ----------
    path : Path
        The file.
    checkpoint : Checkpoint
        Networks and history.
    weights : dict, optional
        By name; by default the networks' own. Those of sharded networks must be put together.
    """
    networks = checkpoint.networks
    content = {
        "format": FORMAT,
        "design": networks.design.as_dict(),
        "weights": networks.state_dict() if weights is None else weights,
        "history": checkpoint.history,
        "provenance": provenance.as_json(),
    }
    save_tensors(content, path)


def load_checkpoint(
    path: Path, device: str | torch.device = "cpu", *, drawn: bool = True
) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        The file.
    device : str or torch.device
        Where the networks shall be.
    drawn : bool
        Build the networks with random weights first, as a stage that goes on to draw others
        expects. Otherwise the file's are used as they are read, and take neither the time nor the
        memory of a second set.

    Returns
    -------
    Checkpoint
        Networks, history and provenance.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    DamagedError
        When its bytes are not those that were written.
    ValueError
        When the file is not a checkpoint, or one of another format.
    """
    checksums.check_sealed(path)
    try:
        content = torch.load(path, map_location=device, weights_only=True, mmap=not drawn)
    except Exception as error:
        raise ValueError(
            f"{path} is not a checkpoint: {error}; run its training rule again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a checkpoint of format {FORMAT}; run its training rule again"
        )
    design = Design.from_dict(content["design"])
    weights = content["weights"]
    one = np.ones(len(design.channels), np.float32)
    statics = weights["forecaster.statics"].cpu().numpy()
    with nullcontext() if drawn else torch.device("meta"):
        networks = Networks(design, one, one, one, statics)
    networks.load_state_dict(weights, assign=not drawn)
    return Checkpoint(networks.to(device), content["history"], {"json": content["provenance"]})


def extend_networks(networks: Networks, design: Design) -> Networks:
    """Build networks with the forecaster and statistics of others and a new assimilator.

    Raises
    ------
    ValueError
        When the ``design`` has another forecaster or other channels than ``networks``.
    """
    if (
        design.forecaster != networks.design.forecaster
        or design.channels != networks.design.channels
    ):
        raise ValueError(
            "the forecaster of the checkpoint is of another size than the configuration's"
        )
    one = np.ones(len(design.channels), np.float32)
    extended = Networks(design, one, one, one, networks.forecaster.statics.cpu().numpy())
    extended.normaliser.load_state_dict(networks.normaliser.state_dict())
    extended.forecaster.load_state_dict(networks.forecaster.state_dict())
    extended.assimilator.tendency.copy_(extended.normaliser.tendency[: extended.analysed])
    return extended
