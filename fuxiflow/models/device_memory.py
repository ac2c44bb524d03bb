"""Memory of a GPU that training takes, counted on PyTorch's meta device.

Nothing is computed: tensors there have shapes and no values. Counted are weights, their gradients
and moments, and the activations that are kept for the gradient; what a device needs beside them is
estimated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch

from fuxiflow.channels import channel_table
from fuxiflow.config.experiment import Experiment
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.resources import fields_per_sample
from fuxiflow.config.training import Training
from fuxiflow.models.networks import Design, Networks, SourceDesign, parameter_count
from fuxiflow.models.pillars import FootprintBatch

GB = 1e9
STATICS = 9
"""Static fields of the networks (:func:`fuxiflow.states.statistics.static_fields`)."""
WINDOW, SOURCE_CHANNELS, OBSERVED = (-3, 5), 22, 0.1
"""A source as ATMS: hours, channels, and the share of cells that it sees in an hour."""
MIXED = 0.6
"""Share of float32 that activations take in bfloat16, estimated: some layers stay in float32."""
WORKSPACE_GB = 3.0
"""Memory of libraries and of fragments that are lost, estimated."""
DEVICES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Counts:
    """Parameters of both networks, and bytes of activations in float32 of one sample.

    ``branch`` are the parameters of each source, which ``assimilator`` lacks. ``step`` is one of
    the forecaster, ``analysis`` one without sources, ``source`` what each source adds. Of each the
    first number is what is kept without ``recompute``, the second with it.
    """

    forecaster: int
    assimilator: int
    branch: int
    step: tuple[float, float]
    analysis: tuple[float, float]
    source: tuple[float, float]
    blocks: int


def _networks(model: Model, grid: tuple[int, int], sources: int) -> Networks:
    """Make networks on the meta device.

    Parameters
    ----------
    model : Model
        Sizes of both.
    grid : tuple of int
        Rows and columns.
    sources : int
        Number of sources.

    Returns
    -------
    Networks
        Without values.
    """
    names = [str(i) for i in range(SOURCE_CHANNELS)]
    source = SourceDesign(names, WINDOW, [0.0] * SOURCE_CHANNELS, [1.0] * SOURCE_CHANNELS)
    design = Design(
        channel_table().names,
        grid,
        [str(i) for i in range(STATICS)],
        model.forecaster.model_dump(),
        model.assimilator.model_dump(),
        {str(i): source for i in range(sources)},
    )
    one = np.ones(len(design.channels), np.float32)
    with torch.device("meta"):
        return Networks(design, 0 * one, one, one, torch.zeros(STATICS, *grid)).to("meta")


def kept_bytes(networks: Networks, action: Callable) -> float:
    """Return the bytes that autograd keeps of an action, each storage once and weights apart."""
    own = {tensor.untyped_storage()._cdata for tensor in networks.state_dict().values()}
    sizes = {}
    tensors = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            sizes[storage._cdata] = storage.nbytes()
            # an address is used again once its storage is gone
            tensors.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = action()
    del result
    return float(sum(sizes.values()))


def _footprints(grid: tuple[int, int]) -> FootprintBatch:
    """Return the footprints of a source in a window, on the meta device."""
    count = int(OBSERVED * (WINDOW[1] - WINDOW[0]) * grid[0] * grid[1])
    shapes = [(count,)] * 3 + [(count, SOURCE_CHANNELS), (count,), (count, 2), (count,)]
    whole = [True] * 3 + [False] * 3 + [True]
    return FootprintBatch(
        *(
            torch.zeros(shape, dtype=torch.long if number else torch.float32, device="meta")
            for shape, number in zip(shapes, whole, strict=True)
        )
    )


@cache
def _counted(model_json: str, grid: tuple[int, int]) -> Counts:
    """Count what :class:`Counts` holds, once for each pair of networks and grid."""
    model = Model.model_validate_json(model_json)
    time = np.array(["2023-01-01T00"], "datetime64[ns]")
    steps, analyses = [], {1: [], 2: []}
    # fields that all sources share count once: so one source more than another
    parameters = []
    for sources in analyses:
        networks = _networks(model, grid, sources)
        parameters.append(parameter_count(networks.assimilator))
        states = torch.zeros(1, 3, networks.analysed, *grid, device="meta").requires_grad_()
        normal = torch.zeros(1, networks.analysed, *grid, device="meta")
        seen = {str(i): _footprints(grid) for i in range(sources)}
        for recompute in (False, True):
            networks.forecaster.recompute = networks.assimilator.recompute = recompute
            if sources == 1:
                step = partial(networks.forecast, states[:, 0], states[:, 1], time)
                steps.append(kept_bytes(networks, step))
            analysis = partial(networks.analyse, states, normal, seen, time)
            analyses[sources].append(kept_bytes(networks, analysis))
    added = [two - one for one, two in zip(*analyses.values(), strict=True)]
    return Counts(
        parameter_count(networks.forecaster),
        2 * parameters[0] - parameters[1],
        parameters[1] - parameters[0],
        tuple(steps),
        tuple(one - more for one, more in zip(analyses[1], added, strict=True)),
        tuple(added),
        model.forecaster.blocks,
    )


def count_networks(model: Model, grid: tuple[int, int]) -> Counts:
    """Count parameters and activations of a pair of networks on a grid."""
    return _counted(model.model_dump_json(), grid)


def device_gb(experiment: Experiment, stage: str, grid: tuple[int, int]) -> float:
    """Estimate the memory of each device that a training stage takes.

    Parameters
    ----------
    experiment : Experiment
        Networks, sources and training; on GPUs ``auto`` is mixed precision.
    stage : str
        Name of the stage.
    grid : tuple of int
        Rows and columns.

    Returns
    -------
    float
        Memory in GB.
    """
    training, counts = experiment.training, count_networks(experiment.model, grid)
    settings = getattr(training, stage)
    ranks = training.layout(stage).processes
    samples = settings.batch / (ranks * settings.accumulate)
    mixed = training.precision != "32-true"
    rollout = hasattr(settings, "longest")
    ahead = 0
    if not rollout:
        ahead = max(bool(getattr(settings, "background_weight", 0)), settings.forecast_steps)
    # stage 2 and replay leave the forecaster as it is
    frozen = getattr(settings, "frozen_forecaster", True)
    assimilator = counts.assimilator + len(experiment.sources) * counts.branch
    total = counts.forecaster + assimilator
    trained = counts.forecaster if rollout or (ahead and not frozen) else 0
    trained += 0 if rollout else assimilator
    # weights and their copies in bfloat16; gradients, two moments and perhaps a running mean
    weights = total * (4 + 2 * mixed) + trained * (12 + 4 * bool(settings.ema))
    shared = weights / ranks if training.strategy == "fsdp" else weights
    recompute = bool(settings.recompute)
    step, sources = counts.step[recompute], len(experiment.sources)
    analysis = counts.analysis[recompute] + sources * counts.source[recompute]
    # what is made again of one block or of one source at a time
    again = max((counts.step[0] - counts.step[1]) / (counts.blocks + 2), counts.source[0])
    if rollout:
        again = (counts.step[0] - counts.step[1]) / (counts.blocks + 2)
        kept = step * min(settings.longest, settings.truncation or settings.longest)
    else:
        cycles = getattr(settings, "cycles", 1)
        span = min(cycles, getattr(settings, "truncation", None) or cycles)
        kept = span * (analysis + step * ahead)
    kept += again if recompute else 0
    activations = samples * kept * (MIXED if mixed else 1)
    state = 4 * len(channel_table()) * grid[0] * grid[1]
    fields = fields_per_sample(training, stage)
    return (shared + activations + samples * fields * state) / GB + WORKSPACE_GB


def _changed(experiment: Experiment, stage: str, changes: dict, shared: dict) -> Experiment:
    """Return an experiment with other settings of a stage, and of the whole training.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    stage : str
        Name of the stage.
    changes, shared : dict
        Settings of the stage, and of the training, by name.

    Returns
    -------
    Experiment
        With these settings, unchecked.
    """
    settings = getattr(experiment.training, stage).model_copy(update=changes)
    training = experiment.training.model_copy(update={stage: settings, **shared})
    return experiment.model_copy(update={"training": training})


def _ways(training: Training, stage: str) -> list[tuple[dict, dict]]:
    """Return changes of settings to try, the cheapest first: those of the stage, and the others."""
    settings = getattr(training, stage)
    longest = getattr(settings, "longest", getattr(settings, "cycles", 1))
    spans = [{}]
    if "truncation" in type(settings).model_fields:
        spans += [{"truncation": steps} for steps in range(longest - 1, 0, -1)]
    repeated = [{}] if settings.recompute else [{}, {"recompute": True}]
    ways = [({**again, **span}, {}) for span in spans for again in repeated]
    ways.sort(key=lambda way: ("truncation" in way[0], -way[0].get("truncation", 0)))
    last = {"recompute": True} | spans[-1]
    for devices in DEVICES:
        if devices > training.layout(stage).processes:
            together = devices * settings.accumulate
            batch = together * math.ceil(settings.batch / together)
            ways.append((last | {"batch": batch}, {"strategy": "fsdp", "devices": devices}))
    return ways


def way_to_fit(
    experiment: Experiment, stage: str, grid: tuple[int, int], most_gb: float
) -> tuple[dict, float] | None:
    """Find the least change of settings with which a stage fits a device.

    Parameters
    ----------
    experiment : Experiment
        Networks, sources and training.
    stage : str
        Name of the stage.
    grid : tuple of int
        Rows and columns.
    most_gb : float
        Memory of a device in GB.

    Returns
    -------
    tuple or None
        Settings by name, none where it fits as it is, and the memory with them in GB; None where
        nothing helps. ``recompute`` is tried first, then ``truncation``, then ``strategy: fsdp`` on
        more devices.
    """
    for own, shared in _ways(experiment.training, stage):
        needed = device_gb(_changed(experiment, stage, own, shared), stage, grid)
        if needed <= most_gb:
            return own | shared, needed
    return None
