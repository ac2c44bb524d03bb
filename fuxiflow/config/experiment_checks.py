"""Demands that the settings of one experiment make on one another."""

from collections.abc import Iterator

from fuxiflow.config.base import unknown
from fuxiflow.config.experiment import Experiment
from fuxiflow.config.sources import source_names

GUESSED_HOURS = 6
"""Hours from the analysis time to the first and last state of a first guess."""


def background_mistakes(name: str, experiment: Experiment) -> Iterator[str]:
    """Check that an experiment without backgrounds asks for nothing that needs one.

    Parameters
    ----------
    name : str
        Name of the experiment.
    experiment : Experiment
        Its settings.

    Yields
    ------
    str
        A line for each mistake: the key, its value, and what is allowed.
    """
    if experiment.background != "none":
        return
    key = f"experiments.{name}"
    if experiment.assimilator == "variational":
        yield (
            f"{key}.assimilator: variational with background: none, allowed: networks, as 3D-Var "
            f"weighs observations by the errors of forecasts"
        )
    if experiment.training.variational is not None and not experiment.weights:
        yield (
            f"{key}.training.variational: with background: none, allowed: null, as 3D-Var weighs "
            f"observations by the errors of forecasts"
        )
    if experiment.cycle_check is not None:
        yield (
            f"{key}.first_guess_check: with background: none, allowed: null, as the climatology "
            f"errs more than the forecasts that its limits are fitted to"
        )
    for stage in () if experiment.weights else ("assimilator", "joint", "replay"):
        settings = getattr(experiment.training, stage)
        if settings is None:
            continue
        place = f"{key}.training.{stage}"
        if settings.chain > 1:
            yield (
                f"{place}.chain: {settings.chain} with background: none, allowed: 1, as no cycle "
                f"goes on from another"
            )
        for setting in ("background_weight", "forecast_steps"):
            if getattr(settings, setting, 0) and getattr(settings, "cycles", 1) == 1:
                yield (
                    f"{place}.{setting}: {getattr(settings, setting)} with background: none, "
                    f"allowed: 0, or cycles from 2 on, as a forecast starts from two analyses"
                )


def window_mistakes(name: str, experiment: Experiment, trained: Experiment) -> Iterator[str]:
    """Check the hours whose observations enter an experiment's analyses.

    Parameters
    ----------
    name : str
        Name of the experiment.
    experiment : Experiment
        Its settings.
    trained : Experiment
        That whose networks it uses, itself or another.

    Yields
    ------
    str
        A line for each mistake: the key, its value, and what is allowed.
    """
    key, names = f"experiments.{name}", source_names()
    for setting in ("windows", "latency_hours"):
        for source in getattr(experiment, setting):
            if source not in names:
                yield unknown(f"{key}.{setting}", source, names)
    for source, (first, last) in experiment.windows.items():
        if not -GUESSED_HOURS <= first < last <= GUESSED_HOURS:
            yield (
                f"{key}.windows.{source}: {[first, last]}, allowed: start before end, from "
                f"{-GUESSED_HOURS} to {GUESSED_HOURS} h"
            )
    for hours in experiment.retrained_cutoffs:
        if hours not in experiment.cutoffs:
            yield f"{key}.retrained_cutoffs: {hours}, allowed: those of cutoffs"
    if experiment.initial is not None:
        if experiment.cutoffs:
            yield (
                f"{key}.cutoffs: with 'initial' nothing is assimilated, allowed: none, or an "
                f"experiment that makes analyses"
            )
        return
    for source in experiment.sources:
        if source in names:
            yield from _window_mistakes(f"{key}.windows.{source}", source, experiment, trained)


def _window_mistakes(
    key: str, source: str, experiment: Experiment, trained: Experiment
) -> Iterator[str]:
    """Check that a window has an hour, and that the networks know its hours.

    Parameters
    ----------
    key : str
        Dotted key of the window.
    source : str
        Name of the source.
    experiment, trained : Experiment
        The experiment, and that whose networks it uses.

    Yields
    ------
    str
        The mistake, where there is one.
    """
    first, last = experiment.window_of(source)
    if first >= last:
        yield (
            f"{key}: no hour of it is there by cutoff_hours = {experiment.cutoff_hours} with its "
            f"latency_hours of {experiment.latency_hours.get(source, 0)}, allowed: a later "
            f"cut-off, or an experiment without {source}"
        )
    elif source in trained.sources:
        start, end = trained.window_of(source)
        if not start <= first < last <= end:
            yield (
                f"{key}: {[first, last]}, allowed: within {[start, end]}, the hours that the "
                f"networks of {experiment.weights} know"
            )
