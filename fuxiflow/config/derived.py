"""Experiments that others ask for: without a source, with an earlier cut-off, with other seeds.

``denial`` of an experiment makes ``{name}_no_{source}``, ``cutoffs`` makes
``{name}_cutoff_{hours}``, and ``seeds`` makes ``{name}_seed2`` and on. They are overrides of the
default experiment like those that a person writes.
"""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from fuxiflow.config.base import lay_over
from fuxiflow.config.experiment import Experiment

NOT_DENIED = {"denial": [], "retrained": [], "cutoffs": [], "retrained_cutoffs": []}
NOT_DERIVED = NOT_DENIED | {"seeds": 1}
"""Settings of a derived experiment, from which nothing is derived again."""


def denied_name(name: str, source: str) -> str:
    """Return the name of an experiment without one of its sources."""
    return f"{name}_no_{source}"


def cutoff_name(name: str, hours: int) -> str:
    """Return the name of an experiment whose analyses are made ``hours`` after their time."""
    return f"{name}_cutoff_{hours}"


def seed_name(name: str, number: int) -> str:
    """Return the name of an experiment's training of a number; the first one keeps its name."""
    return name if number == 1 else f"{name}_seed{number}"


def derived_experiments(
    default: Experiment, experiments: Mapping[str, dict | None]
) -> dict[str, dict]:
    """Return the overrides of all experiments that others ask for.

    Parameters
    ----------
    default : Experiment
        The default experiment.
    experiments : mapping
        By name, what each changes of it. One that cannot be made of it asks for nothing.

    Returns
    -------
    dict
        By name, what each derived experiment changes of the default.
    """
    settings = default.model_dump()
    changed = dict(_each(settings, experiments, _denials))
    changed |= dict(_each(settings, experiments, _cutoffs))
    return changed | dict(_each(settings, experiments | changed, _seeds))


def _each(settings: dict, experiments: Mapping[str, dict | None], derive) -> Iterator:
    """Yield what ``derive`` makes of each experiment that is valid.

    Parameters
    ----------
    settings : dict
        Those of the default experiment.
    experiments : mapping
        By name, what each changes of them.
    derive : callable
        Yields names and overrides, given a name, the override and the experiment.

    Yields
    ------
    tuple of str and dict
        Name and override of a derived experiment.
    """
    for name, override in experiments.items():
        override = override or {}
        try:
            experiment = Experiment.model_validate(lay_over(settings, override))
        except ValidationError:
            continue  # told by the checks
        yield from derive(name, override, experiment)


def _denials(name: str, override: dict, experiment: Experiment) -> Iterator[tuple[str, dict]]:
    """Yield the experiments without one source each.

    Parameters
    ----------
    name : str
        Name of the experiment with all.
    override : dict
        What it changes of the default.
    experiment : Experiment
        Its settings.

    Yields
    ------
    tuple of str and dict
        Name and override.
    """
    for source in experiment.denied:
        others = [other for other in experiment.sources if other != source]
        change = NOT_DENIED | {"sources": others}
        if source in experiment.retrained:
            change |= {"weights": None, "training": _training_without(source, experiment)}
        else:
            change["weights"] = experiment.weights or name
        yield denied_name(name, source), lay_over(override, change)


def _cutoffs(name: str, override: dict, experiment: Experiment) -> Iterator[tuple[str, dict]]:
    """Yield the experiments with earlier cut-offs.

    Parameters
    ----------
    name : str
        Name of the experiment with its own cut-off.
    override : dict
        What it changes of the default.
    experiment : Experiment
        Its settings.

    Yields
    ------
    tuple of str and dict
        Name and override.
    """
    for hours in experiment.cutoffs:
        weights = None if hours in experiment.retrained_cutoffs else experiment.weights or name
        change = NOT_DENIED | {"cutoff_hours": hours, "weights": weights}
        yield cutoff_name(name, hours), lay_over(override, change)


def _training_without(source: str, experiment: Experiment) -> dict:
    """Return what a training changes that a source has no part in, not even in the loss."""
    loss = experiment.training.joint.observation_loss
    compared = {
        key: [name for name in getattr(loss, key) if name != source]
        for key in ("sources", "radiances")
        if source in getattr(loss, key)
    }
    changes: dict = {"joint": {"observation_loss": compared}} if compared else {}
    if source in experiment.training.simulated:
        changes["simulated"] = {source: []}
    return changes


def _seeds(name: str, override: dict, experiment: Experiment) -> Iterator[tuple[str, dict]]:
    """Yield the experiment with networks of further seeds.

    Those that use another's networks, or analyses, use that one's of the same number.

    Parameters
    ----------
    name : str
        Name of the experiment of the first seed.
    override : dict
        What it changes of the default.
    experiment : Experiment
        Its settings.

    Yields
    ------
    tuple of str and dict
        Name and override.
    """
    if experiment.initial is not None and experiment.forecaster is not None:
        return  # without networks of ours
    for number in range(2, experiment.seeds + 1):
        change = NOT_DERIVED | {"seed_offset": experiment.seed_offset + number - 1}
        if experiment.weights is not None:
            change["weights"] = seed_name(experiment.weights, number)
        if experiment.initial not in (None, "gfs"):
            change["initial"] = seed_name(experiment.initial, number)
        if not experiment.seeds_forecast:
            if experiment.initial is not None:
                continue  # it makes nothing else
            change["forecasts"] = False
        yield seed_name(name, number), lay_over(override, change)
