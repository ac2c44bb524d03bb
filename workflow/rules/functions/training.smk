"""Lookups of the rules of the training stage: settings, states and grids of an experiment."""

from datetime import timedelta
from types import SimpleNamespace

from fuxiflow import times
from fuxiflow.config.base import Period


def training_of(wildcards):
    """Return the training settings of an experiment."""
    return CONFIG.resolve(wildcards.experiment).training


def training_seed(wildcards):
    """Return the seed of the training of an experiment: those that share a stage have one seed."""
    return CONFIG.seed + CONFIG.resolve(wildcards.experiment).seed_offset


def training_layout(stage, wildcards):
    """Return the machines, and devices of each, that an experiment trains a stage on."""
    return training_of(wildcards).layout(stage)


def training_processes(stage, resource):
    """Return an input function for a resource by which Slurm makes room for several processes.

    Each device has a process. Snakemake's plug-in runs such a rule beside the steps of the job
    (``mpi``), and no signal that Slurm sends to a step ends the ``srun`` of the rule. The plug-in
    refuses ``tasks_per_node=1``, and would ask for ``tasks`` a GPU. None, no such resource, where
    one process trains.
    """

    def amount(wildcards):
        layout = training_layout(stage, wildcards)
        if layout.devices > 1:
            return {"mpi": "srun", "tasks_per_node": layout.devices}.get(resource)
        if layout.nodes > 1:
            return {"mpi": "srun", "tasks": layout.nodes, "tasks_per_gpu": 0}.get(resource)
        return None

    return amount


def training_launch(stage):
    """Return the resources of a rule that may train a stage in several processes."""
    names = ("mpi", "tasks", "tasks_per_node", "tasks_per_gpu")
    return {
        "nodes": lambda wildcards: training_layout(stage, wildcards).nodes,
        **{name: training_processes(stage, name) for name in names},
    }


def training_options(stage):
    """Return an input function for the options of the training of a stage that are not its own."""
    keys = {"accelerator", "precision", "strategy", "devices", "nodes", "workers", "compile"}

    def options(wildcards):
        shared = training_of(wildcards).model_dump(mode="json", include=keys)
        return shared | vars(training_layout(stage, wildcards))

    return options


# settings of a stage that change when it saves or gives up, and nothing of what it computes
TRAINING_SAVING = {"checkpoint_every", "keep_checkpoints", "max_skipped"}


def training_stage(stage):
    """Return an input function for the settings of one stage, as plain values."""
    return lambda wildcards: getattr(training_of(wildcards), stage).model_dump(
        mode="json", exclude=TRAINING_SAVING
    )


def training_saving(stage):
    """Return an input function for the settings of one stage that change when it saves or gives up.

    They come as a namespace: Snakemake compares no parameters but those of built-in types, so a
    change of them runs nothing again.
    """
    return lambda wildcards: SimpleNamespace(
        **getattr(training_of(wildcards), stage).model_dump(include=TRAINING_SAVING)
    )


def training_checkpoint(experiment, stage):
    """Return the networks of an experiment after a stage.

    The experiment that trains them trains for all experiments with the same settings.
    """
    return results(f"models/{CONFIG.trained_by(experiment, stage)}/{stage}.ckpt")


def training_after(stage):
    """Return an input function for the networks that an experiment has after ``stage``."""
    return lambda wildcards: training_checkpoint(wildcards.experiment, stage)


def training_last_checkpoints():
    """Return the networks of all trained experiments after their last stage."""
    return [
        training_checkpoint(experiment, list(CONFIG.resolve(experiment).training.stages)[-1])
        for experiment in CONFIG.trained_experiments
    ]


def training_model(wildcards):
    """Return the sizes of the networks of an experiment."""
    return CONFIG.resolve(wildcards.experiment).model.model_dump(mode="json")


def training_before(stage, experiment, day):
    """Return the first day that a background of a stage, valid on ``day``, may start from."""
    hours = getattr(CONFIG.resolve(experiment).training, stage).max_lead_hours
    return day - timedelta(days=hours // 24 + 1)


def training_reach(stage):
    """Return an input function for the first day that a background of a stage may start from."""

    def reach(wildcards):
        first = training_before(stage, wildcards.experiment, CONFIG.periods.observations.start)
        return max(first, CONFIG.periods.training.start).isoformat()

    return reach


def training_states(stage):
    """Return an input function for the reanalysis that a stage of assimilation learns from.

    It is that of the observation period and of the days before it.
    """

    def states(wildcards):
        period = Period(start=training_reach(stage)(wildcards), end=CONFIG.periods.observations.end)
        return segments_of(results("states/era5/{segment}.zarr"), period)

    return states


def training_grids(wildcards):
    """Return the sparse grids of the observation period, of every source of an experiment."""
    return expand(
        results("grids/{source}/{segment}.zarr"),
        source=CONFIG.resolve(wildcards.experiment).sources,
        segment=CONFIG.segments(CONFIG.periods.observations),
    )


def training_grid_statistics(wildcards):
    """Return the statistics of the sparse grids of every source of an experiment."""
    names = CONFIG.resolve(wildcards.experiment).sources
    return expand(results("grids/{source}/statistics.zarr"), source=names)


def training_compared_grids(wildcards):
    """Return the sparse grids of the observation period, of the sources in the loss L_obs."""
    return expand(
        results("grids/{source}/{segment}.zarr"),
        source=CONFIG.compared_sources(wildcards.experiment),
        segment=CONFIG.segments(CONFIG.periods.observations),
    )


def training_operator_statics(wildcards):
    """Return the statistics with the static fields that a loss on radiances needs, or none."""
    used = training_of(wildcards).joint.observation_loss.radiances
    return results("states/statistics.zarr") if used else []


def training_coefficients(wildcards):
    """Return digests of the coefficients that the radiance loss of joint training uses."""
    return coefficients(training_of(wildcards).joint.observation_loss.radiances)


def training_compared_windows(wildcards):
    """Return the windows of the sources in the loss L_obs, see :func:`windows`."""
    return figure_inputs.source_windows(CONFIG.compared_sources(wildcards.experiment))


def training_simulated(wildcards):
    """Return, by source, the days of hybrid training and the shares of simulated windows."""
    shares_by_source = training_of(wildcards).model_dump(mode="json")["simulated"]
    return {name: shares for name, shares in shares_by_source.items() if shares}


def training_simulated_grids(wildcards):
    """Return the sparse grids of simulated observations that an experiment trains on."""
    return simulation_grids(training_simulated(wildcards))


def training_bank(wildcards):
    """Return the bank of backgrounds that stage 2 draws from, or none."""
    # without a background every sample starts from the climatology
    alone = CONFIG.resolve(wildcards.experiment).background == "none"
    if alone or training_of(wildcards).backgrounds is None:
        return {}
    made_by = CONFIG.trained_by(wildcards.experiment, "backgrounds")
    path = results(f"models/{made_by}/backgrounds/{{segment}}.zarr")
    return {"backgrounds": segments_of(path, CONFIG.periods.observations)}


def training_filter(wildcards):
    """Return the filter of backgrounds that stage 2 uses, or none."""
    if training_of(wildcards).background_filter is None:
        return {}
    made_by = CONFIG.trained_by(wildcards.experiment, "background_filter")
    return {"background_filter": results(f"models/{made_by}/background_filter.pt")}


def training_errors(wildcards):
    """Return the background errors that the 3D-Var of stage 2 uses, or none."""
    if training_of(wildcards).variational is None:
        return {}
    made_by = CONFIG.trained_by(wildcards.experiment, "variational")
    return {"background_errors": results(f"models/{made_by}/background_errors.pt")}


def training_variational_settings(wildcards):
    """Return the settings of the 3D-Var whose increment the assimilator starts from, or none."""
    settings = training_of(wildcards).variational
    return settings and settings.model_dump(mode="json")


def training_bank_states(wildcards):
    """Return the reanalysis that the backgrounds of a segment start from."""
    first, last = CONFIG.clip(wildcards.segment, CONFIG.periods.observations)
    start = max(
        training_before("assimilator", wildcards.experiment, first), CONFIG.periods.training.start
    )
    return segments_of(results("states/era5/{segment}.zarr"), Period(start=start, end=last))


def training_replayed(experiment, segment):
    """Return the networks of an experiment as replay has updated them up to a segment.

    Without an update they are those of joint training.
    """
    made_by = CONFIG.trained_by(experiment, "replay")
    updated = [label for label in CONFIG.replayed(made_by) if label <= segment]
    if not updated:
        return training_checkpoint(experiment, "joint")
    return results(f"models/{made_by}/replay/{updated[-1]}.ckpt")


def training_last_replays():
    """Return the networks of all trained experiments after the last update by replay."""
    last = CONFIG.segments(CONFIG.cycling_period)[-1]
    return [training_replayed(experiment, last) for experiment in CONFIG.trained_experiments]


def training_replay_before(wildcards):
    """Return the networks that an update goes on from: those of the segment before."""
    before = times.previous_segment(wildcards.segment, CONFIG.segment_months)
    return training_replayed(wildcards.experiment, before)


def training_replay_fresh(wildcards):
    """Return the days of fresh data of an update."""
    return CONFIG.replayed(wildcards.experiment)[wildcards.segment]


def training_replay_cycle(wildcards):
    """Return the days of the cycle that an update may know: up to the last fresh one."""
    return Period(start=CONFIG.periods.cold_start, end=training_replay_fresh(wildcards).end)


def training_replay_states(wildcards):
    """Return the reanalysis of an update: that of joint training and of the cycle so far."""
    cycled = training_replay_cycle(wildcards)
    return training_states("replay")(wildcards) + segments_of(
        results("states/era5/{segment}.zarr"), cycled
    )


def training_replay_grids(wildcards):
    """Return the sparse grids of an update: those of joint training and of the cycle so far."""
    cycled = training_replay_cycle(wildcards)
    return training_grids(wildcards) + expand(
        results("grids/{source}/{segment}.zarr"),
        source=CONFIG.resolve(wildcards.experiment).sources,
        segment=CONFIG.segments(cycled),
    )


def training_replay_seed(wildcards):
    """Return the seed of an update: every segment draws samples of its own."""
    return training_seed(wildcards) + int(wildcards.segment.replace("-", ""))
