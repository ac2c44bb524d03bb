"""How much memory of a machine a job of training needs: counted from the configuration, for Slurm and Snakemake."""

from fuxiflow.config import network_sizes
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.training import Training

# The program, and on a processor what the gradient keeps of the demonstration's sizes: its largest stage, the
# assimilator's, took 3.9 GB in all (benchmarks/training_assimilator/full.tsv, 21 November 2026).
PROGRAM_MB = 5800
WORKER_MB = 500
CHANNELS = 70
# batches that each loading process reads ahead, and fields of a climatology that it keeps
AHEAD, CLIMATOLOGY_FIELDS = 2, 16


def fields_per_sample(training: Training, stage: str) -> int:
    """How many fields a sample of a stage holds: the first two, targets, and the climatology of its analyses."""
    chosen = getattr(training, stage)
    if hasattr(chosen, "longest"):
        return 2 + chosen.longest
    cycles = getattr(chosen, "cycles", 1)
    return 2 + cycles + 1 + cycles


def weight_copies(training: Training, stage: str) -> float:
    """How many times a process of a stage holds the forecaster's weights in a machine's memory, at most.

    A restart file that is read holds weights, AdamW's two moments and a running mean (`ema`) whole, whatever the
    strategy. On a processor the same, and gradients, are in use beside it, shared out by fsdp; with `auto` there may
    be no GPU. On a GPU they are not in the machine's memory.
    """
    read = 3 + bool(getattr(training, stage).ema)
    if training.accelerator == "cuda":
        return read
    return read + (read + 1) / (
        training.devices * training.nodes if training.strategy == "fsdp" else 1
    )


def training_job_mb(model: Model, training: Training, stage: str, cells: int) -> int:
    """Memory in MB of a job of a ``stage`` on each of its machines, for states of ``cells`` cells in float32.

    For each process: :func:`copies` of the weights; batches, the one in use and those that loading processes read
    ahead; what these take themselves, with the fields of a climatology that each keeps.
    """
    chosen = getattr(training, stage)
    field_mb = 4 * CHANNELS * cells / 1e6
    samples = chosen.batch / (training.devices * training.nodes * chosen.accumulate)
    batches = (1 + AHEAD * training.workers) * samples * fields_per_sample(training, stage)
    climatology = 0 if hasattr(chosen, "longest") else CLIMATOLOGY_FIELDS * max(1, training.workers)
    process = weight_copies(training, stage) * network_sizes.forecaster_weights_mb(
        model.forecaster.model_dump()
    )
    process += (batches + climatology) * field_mb + WORKER_MB * training.workers
    return round(PROGRAM_MB + training.devices * process)
