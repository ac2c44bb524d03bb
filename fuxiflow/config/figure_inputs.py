"""Inputs of the figures that planning looks up: the case, its files, values of the diagram.

Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence

from fuxiflow import channels, times
from fuxiflow.config import sources
from fuxiflow.config.base import Period
from fuxiflow.config.configuration import Config
from fuxiflow.config.training import ObservationLoss


def error_references(config: Config) -> list[str]:
    """Return the references of errors: ERA5, as in the papers, and last the truth, if any."""
    return [name for name in ("era5", "truth") if name in config.verification.references]


def compared_system(config: Config, reference: str) -> str | None:
    """Return the system that scores against a reference are compared with, None without one.

    It is GFS or the first of others. Against ``own`` it has analyses of its own.
    """
    if reference not in config.verification.references:
        return None
    others = [
        name
        for name, system in config.verification.systems.items()
        if reference != "own" or system.analyses
    ]
    gfs = ["gfs"] if "gfs" in config.verification.baselines else []
    return next(iter(gfs + others), None)


def case_segment(config: Config) -> str:
    """Return the label of the segment that holds the case."""
    return times.segment(config.case.date(), config.segment_months)


def case_grids(config: Config, windows: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """Return by source the segments of the cycle that its window about the case touches."""
    cycled = config.segments(config.cycling_period)
    touched_by = {}
    for name, window in windows.items():
        first, last = (config.case + times.hours(count) for count in window)
        touched = config.segments(Period(start=first.date(), end=last.date()))
        touched_by[name] = [segment for segment in cycled if segment in touched]
    return touched_by


def source_windows(names: list[str]) -> dict[str, list[int]]:
    """Return the windows of sources by their files, in hours about the analysis time."""
    return {name: list(sources.load_source(name).window) for name in names}


def assimilation_windows(config: Config, experiment: str) -> dict[str, list[int]]:
    """Return by source the hours about the analysis time whose observations enter an experiment."""
    windows = config.resolve(experiment).assimilated_windows
    return {name: list(window) for name, window in windows.items()}


def data_ends(config: Config) -> dict[str, int]:
    """Return the experiments of the figure ``cutoff`` with the hour at which their data end.

    They are the first that has ``cutoffs``, and those. Hours count from the analysis time; nothing
    where no experiment has any.
    """
    name = next((name for name in config.experiments if config.resolve(name).cutoffs), None)
    shown = [name, *config.cutoffs_of(name)] if name else []
    return {
        shown_name: max(
            (end for _, end in assimilation_windows(config, shown_name).values()), default=0
        )
        for shown_name in shown
    }


def joint_experiment(config: Config) -> str | None:
    """Return the first experiment that trains on L_obs too, None where there is none."""
    return next(
        (name for name in config.trained_experiments if _joint_loss(config, name).sources), None
    )


def compared_channels(config: Config) -> dict[str, list[str]]:
    """Return by source of L_obs the channels that :func:`joint_experiment` compares."""
    name = joint_experiment(config)
    state = channels.channel_table().analysed.names
    return {
        source: [
            channel for channel in sources.load_source(source).channel_names if channel in state
        ]
        for source in (_joint_loss(config, name).sources if name else [])
    }


def compared_weight(config: Config) -> float:
    """Return the weight of L_obs of :func:`joint_experiment`, 0 without one."""
    name = joint_experiment(config)
    return _joint_loss(config, name).weight if name else 0.0


def _joint_loss(config: Config, name: str) -> ObservationLoss:
    return config.resolve(name).training.joint.observation_loss


def unrolled_cycles(config: Config) -> dict[str, str]:
    """Return by experiment of the figure ``unrolling`` how many cycles its training unrolled."""
    labels = {}
    for name in config.figures.unrolling:
        cycles = config.resolve(config.weights_of(name)).training.joint.cycles
        single = config.resolve(name).analyses_after == "assimilator"
        labels[name] = "before it" if single else f"{cycles} cycle{'s' if cycles > 1 else ''}"
    return labels


def selection_settings(config: Config) -> dict:
    """Return how channels are selected by a table of Jacobians; nothing where none are."""
    selection = config.figures.channel_selection
    if selection is None:
        return {}
    used = [int(name) for name in sources.load_source(selection.source).channel_names]
    return {**selection.model_dump(exclude={"jacobians", "source"}), "used": used}


def observing_kind(source: sources.Source) -> str:
    """Return the kind of observing system of a source: occultations, sounders or in situ."""
    if source.profile:
        return "radio occultation"
    return "sounders" if any(channel.radiance for channel in source.channels) else "in situ"


def diagram_settings(config: Config, experiment: str, world: str) -> dict:
    """Return what the diagram of the system shows of the configuration.

    Parameters
    ----------
    config : Config
        The whole configuration.
    experiment : str
        Experiment that is shown.
    world : str
        Origin of the raw files, in words.

    Returns
    -------
    dict
        Values for :func:`fuxiflow.figures.system.table`.
    """
    trained = config.resolve(config.weights_of(experiment))
    loaded = {name: sources.load_source(name) for name in config.resolve(experiment).sources}
    return {
        "sources": {
            name: {
                "long_name": source.long_name,
                "channels": len(source.channels),
                "window": list(config.resolve(experiment).window_of(name)),
                "kind": observing_kind(source),
            }
            for name, source in loaded.items()
        },
        "channels": len(channels.channel_table()),
        "grid": f"{config.grid.nlat} × {config.grid.nlon}",
        "world": world,
        "training_days": f"{config.periods.training.start} – {config.periods.training.end}",
        "forecaster": trained.model.forecaster.model_dump(
            include={"patch", "width", "blocks", "heads"}
        ),
        "assimilator": trained.model.assimilator.model_dump(include={"width", "scales", "blocks"}),
        "updates": {name: stage.updates for name, stage in trained.training.stages.items()},
        "steps": trained.training.autoregressive.steps if trained.training.autoregressive else None,
        "cycles": trained.training.joint.cycles,
        "max_lead_hours": config.cycling.max_lead_hours,
        "init_hours": config.cycling.init_hours,
        "references": [
            *error_references(config),
            *(name for name in config.verification.references if name == "own"),
        ],
        "baselines": config.verification.baselines,
    }
