"""What the rules of the training stage look up: an experiment's settings, states and grids."""

from datetime import timedelta

from fuxiflow import times
from fuxiflow.config import network_sizes
from fuxiflow.config.base import Period
from fuxiflow.config import resources as requests


def training_gpus(wildcards):
    """One GPU a device, unless the configuration says that the experiment trains on the processor."""
    training = CONFIG.resolve(wildcards.experiment).training
    return 0 if training.accelerator == "cpu" else training.devices * training.nodes


def training_gpu(wildcards):
    """One GPU, unless the configuration says that the experiment runs on the processor."""
    return min(training_gpus(wildcards), 1)


def training_threads(stage):
    """Threads of the processor that a stage computes with."""
    return lambda wildcards: getattr(CONFIG.resolve(wildcards.experiment).training, stage).threads


def training_mb(stage):
    """Memory in MB of a job of a stage on each of its machines."""

    def mb(wildcards):
        experiment = CONFIG.resolve(wildcards.experiment)
        cells = CONFIG.grid.nlat * CONFIG.grid.nlon
        return requests.training_job_mb(experiment.model, experiment.training, stage, cells)

    return mb


def training_backgrounds_mb(wildcards):
    """Memory in MB of making a bank: the weights as drawn and as read, six states for each forecast of a batch."""
    experiment = CONFIG.resolve(wildcards.experiment)
    states = (
        6
        * experiment.training.backgrounds.batch
        * 70
        * 4
        * CONFIG.grid.nlat
        * CONFIG.grid.nlon
        / 1e6
    )
    return round(
        4000
        + 2 * network_sizes.forecaster_weights_mb(experiment.model.forecaster.model_dump())
        + states
    )


def training_nodes(wildcards):
    """Machines that an experiment trains on."""
    return CONFIG.resolve(wildcards.experiment).training.nodes


def training_processes(resource):
    """A resource by which Slurm makes room for several processes, one a device. Snakemake's plug-in then runs the rule
    beside the job's steps (``mpi``), and no signal that Slurm sends to a step ends the rule's own ``srun``. The plug-in
    refuses ``tasks_per_node=1``, and would ask for ``tasks`` a GPU. None, no such resource, where one process trains.
    """

    def amount(wildcards):
        training = CONFIG.resolve(wildcards.experiment).training
        if training.devices > 1:
            return {"mpi": "srun", "tasks_per_node": training.devices}.get(resource)
        if training.nodes > 1:
            return {"mpi": "srun", "tasks": training.nodes, "tasks_per_gpu": 0}.get(resource)
        return None

    return amount


def training_options(wildcards):
    """The options of an experiment's training that all stages share."""
    keys = {"accelerator", "precision", "strategy", "devices", "nodes", "workers", "compile"}
    return CONFIG.resolve(wildcards.experiment).training.model_dump(mode="json", include=keys)


def training_stage(stage):
    """The settings of one stage of an experiment, as plain values."""
    return lambda wildcards: getattr(
        CONFIG.resolve(wildcards.experiment).training, stage
    ).model_dump(mode="json")


def training_checkpoint(experiment, stage):
    """The networks of an experiment after a training stage, made by the experiment that trains it for all like it."""
    return f"{RESULTS}/models/{CONFIG.trained_by(experiment, stage)}/{stage}.ckpt"


def training_after(stage):
    """The networks that a stage goes on from: those that an experiment has after ``stage``."""
    return lambda wildcards: training_checkpoint(wildcards.experiment, stage)


def training_model(wildcards):
    """The sizes of an experiment's networks."""
    return CONFIG.resolve(wildcards.experiment).model.model_dump(mode="json")


def training_before(stage, experiment, day):
    """The first day that a background of a stage, valid on ``day``, may start from."""
    hours = getattr(CONFIG.resolve(experiment).training, stage).max_lead_hours
    return day - timedelta(days=hours // 24 + 1)


def training_reach(stage):
    """The first day that a background of a stage may start from."""

    def reach(wildcards):
        first = training_before(stage, wildcards.experiment, CONFIG.periods.observations.start)
        return max(first, CONFIG.periods.training.start).isoformat()

    return reach


def training_states(stage):
    """Reanalysis segments that a stage of assimilation learns from: the observation period and the days before it."""

    def states(wildcards):
        period = Period(start=training_reach(stage)(wildcards), end=CONFIG.periods.observations.end)
        return expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=CONFIG.segments(period))

    return states


def training_grids(wildcards):
    """Sparse grids of the observation period, of every source of an experiment."""
    return expand(
        f"{RESULTS}/grids/{{source}}/{{segment}}.zarr",
        source=CONFIG.resolve(wildcards.experiment).sources,
        segment=CONFIG.segments(CONFIG.periods.observations),
    )


def training_grid_statistics(wildcards):
    """Statistics of the sparse grids of every source of an experiment."""
    return expand(
        f"{RESULTS}/grids/{{source}}/statistics.zarr",
        source=CONFIG.resolve(wildcards.experiment).sources,
    )


def training_compared_grids(wildcards):
    """Sparse grids of the observation period, of every source that an experiment's L_obs compares states with."""
    return expand(
        f"{RESULTS}/grids/{{source}}/{{segment}}.zarr",
        source=CONFIG.compared_sources(wildcards.experiment),
        segment=CONFIG.segments(CONFIG.periods.observations),
    )


def training_operator_statics(wildcards):
    """Statistics with the static fields that the operator of a radiance loss needs, none without it."""
    used = CONFIG.resolve(wildcards.experiment).training.joint.observation_loss.radiances
    return f"{RESULTS}/states/statistics.zarr" if used else []


def training_compared_windows(wildcards):
    """Windows of the sources of L_obs: scripts read them from the sources' files; as a parameter, a change is seen."""
    return {
        name: list(sources.load_source(name).window)
        for name in CONFIG.compared_sources(wildcards.experiment)
    }


def training_simulated(wildcards):
    """By source, the days of an experiment's hybrid training and the shares of simulated windows on them."""
    given = CONFIG.resolve(wildcards.experiment).training.model_dump(mode="json")["simulated"]
    return {name: shares for name, shares in given.items() if shares}


def training_simulated_grids(wildcards):
    """Sparse grids of simulated observations that an experiment trains on."""
    return [
        f"{RESULTS}/simulated/grids/{name}/{segment}.zarr"
        for name in training_simulated(wildcards)
        for segment in CONFIG.segments(CONFIG.simulation[name].period)
    ]


def training_bank(wildcards):
    """The bank of backgrounds that stage 2 draws from, where the configuration asks for one."""
    if CONFIG.resolve(wildcards.experiment).training.backgrounds is None:
        return {}
    made_by = CONFIG.trained_by(wildcards.experiment, "backgrounds")
    segments = CONFIG.segments(CONFIG.periods.observations)
    return {
        "backgrounds": [
            f"{RESULTS}/models/{made_by}/backgrounds/{segment}.zarr" for segment in segments
        ]
    }


def training_bank_states(wildcards):
    """Reanalysis segments that the backgrounds of a segment start from."""
    first, last = CONFIG.clip(wildcards.segment, CONFIG.periods.observations)
    start = max(
        training_before("assimilator", wildcards.experiment, first), CONFIG.periods.training.start
    )
    return expand(
        f"{RESULTS}/states/era5/{{segment}}.zarr",
        segment=CONFIG.segments(Period(start=start, end=last)),
    )


def training_replayed(experiment, segment):
    """The networks of an experiment as replay has updated them for a segment: the last ones up to it, those of joint
    training where there are none."""
    made_by = CONFIG.trained_by(experiment, "replay")
    updated = [label for label in CONFIG.replayed(made_by) if label <= segment]
    if not updated:
        return training_checkpoint(experiment, "joint")
    return f"{RESULTS}/models/{made_by}/replay/{updated[-1]}.ckpt"


def training_replay_before(wildcards):
    """The networks that an update goes on from: those of the segment before."""
    return training_replayed(
        wildcards.experiment, times.previous_segment(wildcards.segment, CONFIG.segment_months)
    )


def training_replay_fresh(wildcards):
    """The days of fresh data of an update."""
    return CONFIG.replayed(wildcards.experiment)[wildcards.segment]


def training_replay_cycle(wildcards):
    """The days of the cycle that an update may know: up to the last fresh one."""
    return Period(start=CONFIG.periods.cold_start, end=training_replay_fresh(wildcards).end)


def training_replay_states(wildcards):
    """Reanalysis segments that an update learns from: as joint training's, and those of the cycle so far."""
    segments = CONFIG.segments(training_replay_cycle(wildcards))
    return training_states("replay")(wildcards) + expand(
        f"{RESULTS}/states/era5/{{segment}}.zarr", segment=segments
    )


def training_replay_grids(wildcards):
    """Sparse grids that an update learns from: as joint training's, and those of the cycle so far."""
    return training_grids(wildcards) + expand(
        f"{RESULTS}/grids/{{source}}/{{segment}}.zarr",
        source=CONFIG.resolve(wildcards.experiment).sources,
        segment=CONFIG.segments(training_replay_cycle(wildcards)),
    )


def training_replay_seed(wildcards):
    """The seed of an update: every segment draws samples of its own."""
    return CONFIG.seed + int(wildcards.segment.replace("-", ""))
