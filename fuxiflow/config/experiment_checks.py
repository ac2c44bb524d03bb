"""Demands that the settings of one experiment make on one another."""

from collections.abc import Iterator

from fuxiflow.config.experiment import Experiment


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
