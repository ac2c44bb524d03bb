"""Requests of jobs for a machine's memory, counted from the configuration.

They are upper bounds: Slurm ends a job that takes more than it asked for.
"""

from fuxiflow.channels import channel_table
from fuxiflow.config import network_sizes
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.training import Training

# The program, and on a processor what the gradient keeps of the demonstration's sizes: its largest
# stage, the assimilator's, took 3.9 GB in all (benchmarks/training_assimilator/full.tsv, 21
# November 2026).
PROGRAM_MB = 5800
WORKER_MB = 500
CHANNELS = len(channel_table())
AHEAD = 2
"""Batches that each loading process reads ahead."""
CLIMATOLOGY_FIELDS = 16
"""Fields of a climatology that each loading process keeps."""


def states_mb(count: float, cells: int) -> float:
    """Return the memory in MB of ``count`` states of all channels in float32."""
    return count * CHANNELS * cells * 4 / 1e6


def fields_per_sample(training: Training, stage: str) -> int:
    """Return how many states a sample of a stage holds.

    These are the first two, the targets, and the climatology of the analyses.
    """
    settings = getattr(training, stage)
    if hasattr(settings, "longest"):
        return 2 + settings.longest
    cycles = getattr(settings, "cycles", 1)
    return 2 + cycles + 1 + cycles


def weight_copies(training: Training, stage: str) -> float:
    """Return how many times a process holds the forecaster's weights in memory, at most.

    A restart file that is read holds weights, AdamW's two moments and a running mean (``ema``)
    whole, whatever the strategy. On a processor the same, and gradients, are in use beside it,
    shared out by fsdp; with ``auto`` there may be no GPU. On a GPU they are not in the machine's
    memory.
    """
    read = 3 + bool(getattr(training, stage).ema)
    if training.accelerator == "cuda":
        return read
    sharing = training.devices * training.nodes if training.strategy == "fsdp" else 1
    return read + (read + 1) / sharing


def training_job_mb(model: Model, training: Training, stage: str, cells: int) -> int:
    """Return the memory of a training job on each of its machines.

    Each process holds :func:`weight_copies` of the weights, the batch in use, and those that
    loading processes read ahead. Each of these takes some memory itself and keeps fields of a
    climatology.

    Parameters
    ----------
    model : Model
        Sizes of the networks.
    training : Training
        Training of the experiment.
    stage : str
        Name of the stage.
    cells : int
        Cells of the grid.

    Returns
    -------
    int
        Memory in MB.
    """
    settings = getattr(training, stage)
    samples = settings.batch / (training.devices * training.nodes * settings.accumulate)
    batches = (1 + AHEAD * training.workers) * samples * fields_per_sample(training, stage)
    # stages of the forecaster alone compare nothing with a climatology
    rollout = hasattr(settings, "longest")
    climatology = 0 if rollout else CLIMATOLOGY_FIELDS * max(1, training.workers)
    weights = network_sizes.forecaster_weights_mb(model.forecaster.model_dump())
    process = weight_copies(training, stage) * weights
    process += states_mb(batches + climatology, cells) + WORKER_MB * training.workers
    return round(PROGRAM_MB + training.devices * process)
