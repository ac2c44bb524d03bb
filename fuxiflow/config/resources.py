"""The needs of jobs: time, memory, processors, GPUs; counted from the configuration.

This is the one place for the requests of all rules: a rule has one entry in :data:`COSTS`. Each is
fitted to measurements, which ``benchmarks/durations.csv`` lists, and never below them. Requests
are upper bounds, as Slurm ends a job that takes more than it asked for: half as much time again as
is estimated, and 1.3 times the memory. A test compares both with the measurements.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from fuxiflow.config import network_sizes, work
from fuxiflow.config.configuration import Config
from fuxiflow.config.experiment import Experiment
from fuxiflow.config.linear_costs import Cost, Linear, states_mb
from fuxiflow.config.linear_fits import SpectralFit
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.training import Training, fit_window_count
from fuxiflow.config.work import CHANNELS, FULL_CELLS, Wildcards

# The program, and on a processor what the gradient keeps of the demonstration's sizes: its largest
# stage, the assimilator's, took 3.9 GB in all (benchmarks/training_assimilator/full.tsv, 21
# November 2026).
PROGRAM_MB = 4500
LIBRARIES_MB = 2100
"""The program without any gradient."""
WORKER_MB = 500
AHEAD = 2
"""Batches that each loading process reads ahead."""
CLIMATOLOGY_FIELDS = 16
"""Fields of a climatology that each loading process keeps."""
GPU_FLOPS = 3e14
"""Operations of a GPU in a second, estimated: a third of an H100's in bfloat16."""
PROCESSOR_FLOPS = 7e10
"""Operations of a thread in a second, three quarters of what the demonstration's training makes."""
STEP_SECONDS = 0.03
"""Time of a step of the smallest network, which its arithmetic does not explain."""
FIT_STATES = 6
"""States in memory of each window that encoders are fitted to before stage 2."""
FIT_SECONDS = 20
"""Time of fitting a source's encoder before stage 2 at 720 x 1440, as the rehearsal took it."""
STATE_READ_SECONDS = 1.0
"""Time of reading a state at 720 x 1440 and bringing it to standard units."""
TIME_MARGIN, MEMORY_MARGIN = 1.5, 1.3
LEAST_MINUTES, LEAST_MB = 30, 1000
MOST_GROWTH_MB = 32000
"""Most that the request of a job grows by when it is tried again: what a node has beside it."""


def fields_per_sample(training: Training, stage: str) -> int:
    """Return how many states a sample of a stage holds.

    These are the first two, the targets, and the climatology of the analyses.
    """
    settings = getattr(training, stage)
    if hasattr(settings, "longest"):
        return 2 + settings.longest
    cycles = getattr(settings, "cycles", 1)
    return 2 + cycles + max(1, settings.forecast_steps) + cycles


def weight_copies(training: Training, stage: str) -> float:
    """Return how many times a process holds the forecaster's weights in memory, at most.

    A restart file that is read holds weights, AdamW's two moments and a running mean (``ema``); by
    fsdp a process reads its part, beside the whole weights of the stage before. On a processor the
    same, and gradients, are in use beside it, shared out by fsdp; with ``auto`` there may be no
    GPU. On a GPU they are not in the machine's memory.
    """
    read = 3 + bool(getattr(training, stage).ema)
    sharing = training.layout(stage).processes if training.strategy == "fsdp" else 1
    copies = read if sharing == 1 else 1 + read / sharing
    return copies if training.accelerator == "cuda" else copies + (read + 1) / sharing


def gradient_mb(model: Model, training: Training, stage: str, cells: int, sources: int) -> float:
    """Return the memory in MB of what a stage's gradient keeps on a processor, in float32.

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
    sources : int
        Number of sources that are assimilated.

    Returns
    -------
    float
        Of each process.
    """
    settings = getattr(training, stage)
    step = network_sizes.step_values(model.forecaster.model_dump(), settings.recompute)
    longest = getattr(settings, "longest", getattr(settings, "cycles", 1))
    through = min(longest, getattr(settings, "truncation", None) or longest)
    values = through * step
    if not hasattr(settings, "longest"):
        assimilator = model.assimilator.model_dump()
        analysis = network_sizes.analysis_values(assimilator, sources, settings.recompute)
        ahead = settings.forecast_steps or bool(getattr(settings, "background_weight", 0))
        values = through * (analysis + step * ahead)
        if settings.recompute and sources:
            values += network_sizes.source_values(assimilator)
    samples = settings.batch / (training.layout(stage).processes * settings.accumulate)
    return samples * values * cells * 4 / 1e6


def training_job_mb(
    model: Model, training: Training, stage: str, cells: int, sources: int = 0
) -> int:
    """Return the memory of a training job on each of its machines.

    Each process holds :func:`weight_copies` of the weights, the batch in use, and those that
    loading processes read ahead. Each of these takes some memory itself and keeps fields of a
    climatology. Where no GPU is certain, what the gradient keeps is in the machine's memory too.

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
    sources : int
        Number of sources that are assimilated.

    Returns
    -------
    int
        Memory in MB.
    """
    settings = getattr(training, stage)
    layout = training.layout(stage)
    samples = settings.batch / (layout.processes * settings.accumulate)
    batches = (1 + AHEAD * training.workers) * samples * fields_per_sample(training, stage)
    # stages of the forecaster alone compare nothing with a climatology
    rollout = hasattr(settings, "longest")
    climatology = 0 if rollout else CLIMATOLOGY_FIELDS * max(1, training.workers)
    weights = network_sizes.forecaster_weights_mb(model.forecaster.model_dump())
    process = weight_copies(training, stage) * weights
    process += states_mb(batches + climatology, cells) + WORKER_MB * training.workers
    program = PROGRAM_MB
    if training.accelerator != "cuda":
        kept = gradient_mb(model, training, stage, cells, sources)
        if stage == "assimilator":
            kept = max(kept, states_mb(FIT_STATES * fit_window_count(cells), cells))
        kept *= layout.devices
        program = max(PROGRAM_MB, LIBRARIES_MB + kept)
    return round(program + layout.devices * process)


@dataclass(frozen=True)
class JobRequest:
    """The resources that a job asks for: MB of memory, minutes, processors and GPUs."""

    mem_mb: int
    runtime: int
    threads: int
    gpu: int


def network_start(cells: int) -> float:
    """Return the time in s until a job has its networks, on a grid of so many cells."""
    return 20 + 40 * cells / FULL_CELLS


def network_seconds(training: Training, flop: float, threads: int, devices: int = 1) -> float:
    """Return the time of arithmetic of networks; where a GPU is not certain, on the processor.

    Parameters
    ----------
    training : Training
        Says where networks run.
    flop : float
        Floating-point operations.
    threads : int
        Threads, of a processor.
    devices : int
        Devices that share the work.

    Returns
    -------
    float
        Time in s.
    """
    if training.accelerator == "cuda":
        return flop / (GPU_FLOPS * devices)
    return flop / (PROCESSOR_FLOPS * threads)


def update_flop(
    experiment: Experiment, stage: str, cells: int, sources: int
) -> tuple[float, float]:
    """Return the operations of an update of a training stage, and its steps, on average.

    A gradient takes twice what its forward pass does, and ``recompute`` that pass once more.

    Parameters
    ----------
    experiment : Experiment
        Networks and training.
    stage : str
        Name of the stage.
    cells : int
        Cells of the grid.
    sources : int
        Number of sources that are assimilated.

    Returns
    -------
    tuple of float
        Floating-point operations, and steps of either network one after the other.
    """
    training, settings = experiment.training, getattr(experiment.training, stage)
    step = network_sizes.forecast_flop(experiment.model.forecaster.model_dump(), cells)
    analysis = network_sizes.analysis_flop(
        experiment.model.assimilator.model_dump(), cells, sources
    )
    trained = 4 if settings.recompute else 3
    if hasattr(settings, "longest"):
        first, last_share = settings.length(0), getattr(settings, "rollout_fraction", 0.5)
        steps = first + last_share * (settings.longest - first)
        return settings.batch * trained * step * steps, 3 * steps * settings.accumulate
    cycles = getattr(settings, "cycles", 1)
    banked = stage == "assimilator" and training.backgrounds is not None
    to_background = 0 if banked else settings.max_lead_hours / 12 / settings.chain
    ahead, weight = settings.forecast_steps or 1, getattr(settings, "background_weight", 0)
    following = trained if weight or settings.forecast_steps else 1
    each = step + trained * analysis + following * ahead * step
    steps = to_background + 3 * cycles * (1 + ahead)
    flop = settings.batch * (to_background * step + cycles * each)
    return flop, steps * settings.accumulate


@dataclass(frozen=True)
class TrainingStage:
    """The cost of a training stage: by arithmetic of its networks, and memory of what it loads."""

    stage: str

    def __call__(self, config: Config, wildcards: Wildcards) -> Cost:
        """Return the cost of a job; its memory is that of each machine."""
        experiment = config.resolve(wildcards["experiment"])
        training = experiment.training
        settings, cells = getattr(training, self.stage), work.cells(config)
        devices = training.layout(self.stage).processes
        flop, steps = update_flop(experiment, self.stage, cells, len(experiment.sources))
        update = network_seconds(training, flop, settings.threads, devices) + STEP_SECONDS * steps
        # reading weights and data, compiling, the first fits of the encoders
        start = (
            network_start(cells) + 900 * training.compile + network_seconds(training, 20 * flop, 1)
        )
        if self.stage == "assimilator":
            start += FIT_SECONDS * len(experiment.sources) * cells / FULL_CELLS
        mb = training_job_mb(experiment.model, training, self.stage, cells, len(experiment.sources))
        if self.stage in ("assimilator", "joint", "replay") and training.variational is not None:
            shape = config.grid.nlat, config.grid.nlon
            analyses = settings.batch * getattr(settings, "cycles", 1)
            update += analyses * training.variational.seconds(*shape) / settings.threads
            start += FIT_SECONDS * len(experiment.sources) * cells / FULL_CELLS
            mb += 4 * training.variational.fit.megabytes(*shape)
            mb += settings.batch * training.variational.megabytes(*shape)
        threads, seconds = settings.threads + training.workers, start + settings.updates * update
        gpus = 0 if training.accelerator == "cpu" else devices
        return Cost(seconds, mb, threads, gpus, training.accelerator == "cuda")


@dataclass(frozen=True)
class Inference:
    """The cost of running trained networks: arithmetic, writing, weights and states in memory.

    A unit of work takes ``steps`` of the forecaster and ``analyses`` of the assimilator, and
    ``seconds`` on the host at 720 x 1440. A job holds ``states`` states, and ``batch_states`` for
    each forecast of ``batch``.
    """

    work: Callable[[Config, Wildcards], float]
    seconds: float
    steps: int = 1
    analyses: int = 0
    mb: float = 3000.0
    states: float = 0.0
    batch_states: float = 0.0
    batch: Callable[[Config, Experiment], int] = lambda config, experiment: config.cycling.batch
    copies: int = 1
    threads: int = 1

    def __call__(self, config: Config, wildcards: Wildcards) -> Cost:
        """Return the cost of a job."""
        experiment, cells = config.resolve(wildcards["experiment"]), work.cells(config)
        training = experiment.training
        forecaster = experiment.model.forecaster.model_dump()
        flop = self.steps * network_sizes.forecast_flop(forecaster, cells)
        flop += self.analyses * network_sizes.analysis_flop(
            experiment.model.assimilator.model_dump(), cells, len(experiment.sources)
        )
        amount = self.work(config, wildcards)
        each = network_seconds(training, flop, self.threads)
        each += STEP_SECONDS * (self.steps + self.analyses) + self.seconds * cells / FULL_CELLS
        states_in_memory = self.states + self.batch_states * self.batch(config, experiment)
        mb = self.mb + states_mb(states_in_memory, cells)
        mb += self.copies * network_sizes.forecaster_weights_mb(forecaster)
        start = network_start(cells) + 600 * config.cycling.compile
        gpus, on_gpu = int(training.accelerator != "cpu"), training.accelerator == "cuda"
        return Cost(start + amount * each, mb, self.threads, gpus, on_gpu)


def fit_cost(fit_of: Callable[[Training], SpectralFit]) -> Callable[[Config, Wildcards], Cost]:
    """Return a function for the cost of a fit by wavenumber: forecasts, then algebra.

    These are covariances, a Cholesky decomposition, and four products with the random vectors.
    """

    def cost(config: Config, wildcards: Wildcards) -> Cost:
        experiment, cells = config.resolve(wildcards["experiment"]), work.cells(config)
        fit = fit_of(experiment.training)
        size, vectors = fit.size(config.grid.nlat), fit.rank + 40
        # a step of eight states together takes less than half of what eight steps do; some are made
        # again, for the scale and the vertical modes
        steps = 0.6 * fit.samples * fit.lead_hours // 6
        flop = 8 * size**2 * (2 * fit.samples + 4 * vectors + size / 3)
        make_forecasts = Inference(lambda config, wildcards: steps, 0.1, batch_states=6)
        forecasts = make_forecasts(config, wildcards)
        seconds = forecasts.seconds + (fit.waves + 1) * flop / PROCESSOR_FLOPS
        seconds += 4.5 * fit.samples * STATE_READ_SECONDS * cells / FULL_CELLS
        mb = forecasts.mb + states_mb(30, cells)
        mb += fit.megabytes(config.grid.nlat, config.grid.nlon)
        mb += (2 * 8 * (fit.waves + 1) * size * fit.samples + 8 * 8 * size**2) / 1e6
        return replace(forecasts, seconds=seconds, mb=mb)

    return cost


@dataclass(frozen=True)
class Cycle(Inference):
    """The cost of a segment of the cycle, with 3D-Var where the networks start from it."""

    def __call__(self, config: Config, wildcards: Wildcards) -> Cost:
        """Return the cost of a job."""
        cost = super().__call__(config, wildcards)
        experiment = config.resolve(wildcards["experiment"])
        trained = config.resolve(config.weights_of(wildcards["experiment"]))
        variational = trained.training.variational
        if variational is None or not experiment.sources:
            return cost
        shape = config.grid.nlat, config.grid.nlon
        seconds = self.work(config, wildcards) * variational.seconds(*shape)
        mb = 2 * variational.fit.megabytes(*shape) + variational.megabytes(*shape)
        return replace(cost, seconds=cost.seconds + seconds, mb=cost.mb + mb)


def spinup_cost(config: Config, wildcards: Wildcards) -> Cost:
    """Return the cost of the spin-up of the embedded world.

    The states of its library of errors, and their differences, are in memory together.
    """
    count, cells = work.library_states(config), work.raw_cells(config)
    seconds = 20 + 0.8 * work.spinup_days(config, wildcards) + 3 * count * cells / FULL_CELLS
    return Cost(seconds, 2300 + states_mb(2.5 * count, cells))


def swaths_cost(config: Config, wildcards: Wildcards) -> Cost:
    """Return the cost of a segment of swaths: of a day fields and footprints are in memory.

    The operator makes 18,000 profiles of ATMS a second on a thread.
    """
    amount = work.observed(config, wildcards)
    mb = 1500 + states_mb(5.5, work.raw_cells(config))
    mb += 2200 * work.values_a_day(config, wildcards["source"])
    return Cost(10 + 190.5 * amount, mb)


def storms_cost(config: Config, wildcards: Wildcards) -> Cost:
    """Return the cost of following the world's storms: three channels of all times, twice."""
    count, cells = work.valid_states(config, wildcards), work.raw_cells(config)
    seconds = 5 + count * (0.02 + 1.5 * cells / FULL_CELLS)
    return Cost(seconds, 700 + states_mb(6 * count / CHANNELS, cells))


def best_tracks_cost(config: Config, wildcards: Wildcards) -> Cost:
    """Return the cost of reading best tracks: of IBTrACS since 1980 all lines are in memory."""
    if config.kind == "embedded":
        return Cost(10, 600)
    return Cost(120, 3000)


PAGE, TABLES = Linear(work.once, 20, states=6, mb=1200), Linear(work.once, 60, mb=2500)
"""A figure, which reads tables or a few fields; and what reads the score table."""
MERGED_CASES = Linear(work.leads_made, 0, mb=1000, mb_each=0.06, least=0.02, start=15)
PLACES = Linear(work.observed, 600, mb=1500, states=13, least=10, start=20, by_grid=False)
"""Reports and occultations of the embedded world: of a day most fields of the truth."""

COSTS: dict[str, Callable[[Config, Wildcards], Cost]] = {
    # the embedded world: a day of its model takes 0.4 to 0.7 s at steps of 40 minutes
    "world_spinup": spinup_cost,
    "world_nature": Linear(work.world_states, 6, states=11, mb=2300, least=0.2, start=9, raw=True),
    "world_invariants": Linear(work.once, 20, states=1, mb=400, raw=True),
    "world_era5": Linear(work.world_states, 6, states=8, least=0.02, raw=True),
    "world_gfs": Linear(work.world_gfs_leads, 11, states=8, mb=2300, least=0.2, start=60, raw=True),
    "world_best_tracks": storms_cost,
    "world_swaths": swaths_cost,
    **dict.fromkeys(("world_networks", "world_occultations"), PLACES),
    "archive_fetch": Linear(work.once, 3000, by_grid=False),
    "states_decode": Linear(work.states, 7.3, states=7.2, raw=True),
    "states_forecasts": Linear(work.gfs_leads, 5.5, states=7.4, raw=True),
    # as those of GFS; analyses as those of its segment
    "states_system_forecasts": Linear(work.leads_made, 5.5, states=7.4, raw=True),
    "states_system_analyses": Linear(work.valid_states, 7.3, states=7.2, raw=True),
    "states_truth": Linear(work.states, 7.3, states=7.2, raw=True),
    "states_statistics_part": Linear(work.training_states, 0.7, mb=900, states=2.5, least=0.002),
    "states_climatology_part": Linear(
        work.slice_work, 0.3, mb=900, states=17, least=0.0005, threads=3, read_ahead=True
    ),
    # tables of the segments, and static fields
    "states_statistics": Linear(work.once, 60, states=1, mb=900),
    # a field is packed in 4.5 s on three threads, and three parts of it are read
    "states_climatology": Linear(
        work.climatology_fields, 3.0, mb=900, states=15, least=0.01, threads=3, read_ahead=True
    ),
    "states_scored_climatology": Linear(work.year_fields, 18, mb=900, states=15, least=0.01),
    "observations_read": Linear(
        work.observed, 15.4, mb=1200, mb_each=5, least=0.5, start=12, by_grid=False
    ),
    "observations_limits_part": Linear(work.observed, 2.3, mb=900, by_grid=False),
    "observations_limits": Linear(work.observed_segments, 0.3, mb=900, by_grid=False),
    "observations_quality": Linear(work.observed, 9.1, mb=850, mb_each=15, by_grid=False),
    "observations_grid": Linear(work.observed, 5.2, states=2, least=0.5, start=5),
    "observations_statistics_part": Linear(work.observed, 0.9, mb=900, by_grid=False),
    "observations_statistics": Linear(work.observed_segments, 0.15, mb=700, by_grid=False),
    # of each day a sample: five states and the day's table are read
    "simulation_departures": Linear(
        work.template_days, 4, mb=3000, states=4, least=6, start=60, threads=2
    ),
    "simulation_observations": Linear(
        work.simulated, 120, mb=3000, states=4, by_grid=False, threads=2
    ),
    "simulation_grid": Linear(work.simulated, 5.2, states=2, least=0.5, start=20),
    "training_forecaster": TrainingStage("forecaster"),
    "training_assimilator": TrainingStage("assimilator"),
    "training_joint": TrainingStage("joint"),
    "training_replay": TrainingStage("replay"),
    "training_autoregressive": TrainingStage("autoregressive"),
    # a background is written, one of 15 steps on average
    "training_backgrounds": Inference(
        work.background_steps,
        0.6,
        batch_states=6,
        batch=lambda config, experiment: experiment.training.backgrounds.batch,
        copies=2,
        threads=2,
    ),
    "training_background_filter": fit_cost(lambda training: training.background_filter),
    "training_background_errors": fit_cost(lambda training: training.variational.fit),
    "training_first_guess": Inference(work.first_guess_steps, 3, mb=4500, states=30, threads=2),
    "cycling_analyses": Cycle(work.analyses, 15.7, steps=2, analyses=1, states=15),
    "cycling_response": Inference(work.once, 600, steps=60, analyses=30, states=17),
    "cycling_forecasts": Inference(work.leads_made, 1.6, batch_states=6.4),
    "cycling_external_forecasts": Inference(
        work.leads_made, 1.6, mb=6000, batch_states=6.4, copies=3, threads=2
    ),
    "verification_baselines_part": Linear(work.leads_made, 2.3, states=6.4, mb_each=0.02),
    "verification_systems_part": Linear(work.leads_made, 2.3, states=6.2, mb_each=0.02),
    "verification_forecasts_part": Linear(work.leads_made, 1.3, states=6.2, mb_each=0.02),
    "verification_maps_part": Linear(work.map_leads, 1.5, states=4.5),
    "verification_analyses_part": Linear(work.analyses, 3.4, states=4.5, mb_each=0.02),
    # cases of all segments, and the samples of their intervals
    "verification_baselines": MERGED_CASES,
    "verification_forecasts": MERGED_CASES,
    "verification_maps": Linear(work.once, 40, states=3),
    "verification_analyses": Linear(work.analyses, 0, mb=1000, mb_each=0.3, least=0.05, start=10),
    "verification_departures_part": Linear(
        work.computed_departures, 20, mb=3000, states=2, by_grid=False
    ),
    "verification_departures": Linear(work.analyses, 0, mb=1000, mb_each=0.3, least=0.05, start=10),
    "verification_observations": Linear(
        work.observed, 6, mb=1500, mb_each=5, least=0.5, by_grid=False
    ),
    # of each lead a field of every system, and equivalents of what was drawn
    "verification_observed_part": Linear(
        work.observed_leads, 3, states=6, mb=2000, mb_each=0.3, least=0.05, start=15
    ),
    "verification_observed": Linear(work.once, 60, mb=3000, least=60),
    "verification_structure_part": Linear(work.structure_cases, 20, states=8, mb=1500, start=15),
    "verification_structure": Linear(work.structure_cases, 0, mb=1500, mb_each=0.2, start=15),
    "verification_comparisons": Linear(work.compared_leads, 0, mb=2000, least=0.006, states=1),
    "verification_scores": Linear(work.once, 170, mb=2500, least=10),
    **dict.fromkeys(("verification_seeds", "verification_acceptance"), TABLES),
    "cyclones_best_tracks": best_tracks_cost,
    # of each lead eleven channels, and some storms
    "cyclones_tracks": Linear(work.tracked_leads, 0.6, states=1, mb=900, least=0.003, start=5),
    "cyclones_errors": Linear(work.once, 60, mb=1500, least=20),
    # four columns of all tables, and of each footprint the distance from some storms
    "cyclones_rejections_part": Linear(work.all_observed, 2, mb=900, by_grid=False),
    "cyclones_rejections": Linear(work.once, 10, mb=700),
}


def runs_networks(rule: str) -> bool:
    """Say whether a rule trains or runs networks, and so may ask for a GPU."""
    return isinstance(COSTS.get(rule), TrainingStage | Inference)


def job_cost(config: Config, rule: str, wildcards: Wildcards) -> Cost:
    """Estimate what a job takes.

    Parameters
    ----------
    config : Config
        The configuration.
    rule : str
        Name of the rule.
    wildcards : mapping
        Those of the job.

    Returns
    -------
    Cost
        The estimate.

    Raises
    ------
    KeyError
        Where the rule has no entry in :data:`COSTS`.
    """
    if rule.startswith("figure_"):
        return PAGE(config, wildcards)
    if rule not in COSTS:
        raise KeyError(f"rule {rule} has no entry in COSTS of fuxiflow/config/resources.py")
    return COSTS[rule](config, wildcards)


def request_of(cost: Cost, attempt: int = 1) -> JobRequest:
    """Return what a job of an estimated cost asks for.

    A job that was killed for its memory gets as much again, within what a node has to spare.
    """
    memory = max(LEAST_MB, 100 * math.ceil(MEMORY_MARGIN * cost.mb / 100))
    memory += (attempt - 1) * min(memory, MOST_GROWTH_MB)
    minutes = 10 * math.ceil(TIME_MARGIN * cost.seconds / 600)
    return JobRequest(memory, max(LEAST_MINUTES, minutes), cost.threads, cost.gpus)
