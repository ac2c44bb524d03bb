"""Measure how long the embedded world's GFS is skilful: ACC of Z500 by lead, beside a perfect twin.

    python -m benchmarks.forecast_model RAW CONFIG... [--factors NAME=VALUE...] [--twin]

RAW is the folder of raw files of a finished run, such as results/demo/raw. Forecasts start from its
states of the nature run with the errors of ``world.gfs``, and are integrated with
``world.gfs.model`` of the configuration; ``--factors`` lays further factors of parameters over it,
``diffusion`` and ``time_step_minutes`` among them, so that settings can be tried one after the
other. ``--twin`` integrates the model of the truth too. ACC is weighted by area; its climatology is
the mean of the truth over the training period within 30 days of the date, at the same hour.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from fuxiflow.config.base import Period
from fuxiflow.config.configuration import Config, load_configuration
from fuxiflow.config.world import ImperfectModel
from fuxiflow.verification import metrics
from fuxiflow.world.analysis_errors import ErrorLibrary
from fuxiflow.world.levels import Regridder, to_pressure
from fuxiflow.world.nature import NatureModel, frame_times, model_state_times, read_model_state
from fuxiflow.world.truth import Truth

DAYS = 10
CLIMATOLOGY_DAYS = 30
"""Days of the year on either side of a date whose mean is the climatology."""
USEFUL = 0.6
"""ACC down to which a forecast is called useful."""


def laid_over(model: ImperfectModel, factors: Sequence[str]) -> ImperfectModel:
    """Return a forecast model with further factors, each ``name=value``."""
    settings = model.model_dump()
    for text in factors:
        name, _, value = text.partition("=")
        if name == "time_step_minutes":
            settings[name] = int(value)
        elif name == "diffusion":
            settings[name] = float(value)
        else:
            settings["physics"] = settings["physics"] | {name: float(value)}
    return ImperfectModel(**settings)


def climatology_mean(truth: Truth, training: Period, time: datetime) -> np.ndarray:
    """Average Z500 of the truth over training days near a date, at its hour.

    Parameters
    ----------
    truth : Truth
        The truth, of the training period too.
    training : Period
        The training period.
    time : datetime
        Date and hour.

    Returns
    -------
    np.ndarray
        Mean geopotential in m2 s-2, ``(lat, lon)``.

    Raises
    ------
    ValueError
        If the truth has no such time.
    """
    fields = []
    for one in truth.times:
        apart = abs((one - time).days) % 365
        near = min(apart, 365 - apart) <= CLIMATOLOGY_DAYS
        if training.start <= one.date() <= training.end and near and one.hour == time.hour:
            fields.append(truth.read(one, ["Z500"])["Z500"])
    if not fields:
        raise ValueError(f"no truth of {training.start}..{training.end} is near {time}")
    return np.mean(fields, axis=0)


def useful_days(accs: Sequence[float], days: Sequence[float]) -> float | None:
    """Return the lead in days at which ACC falls to 0.6, linear between leads, if it does."""
    for i in range(1, len(accs)):
        if accs[i] <= USEFUL < accs[i - 1]:
            share = (accs[i - 1] - USEFUL) / (accs[i - 1] - accs[i])
            return days[i - 1] + share * (days[i] - days[i - 1])
    return None


def forecast_accs(
    config: Config, raw: Path, changes: ImperfectModel, cases: int | None = None
) -> dict[float, np.ndarray]:
    """Integrate forecasts of all states of a run and compare them with its truth.

    Parameters
    ----------
    config : Config
        The configuration of the run.
    raw : Path
        Its raw files.
    changes : ImperfectModel
        The model that forecasts.
    cases : int or None
        Most forecasts; by default all.

    Returns
    -------
    dict[float, np.ndarray]
        ACC of Z500 of each forecast, ``(case,)``, by lead in days.
    """
    truth = Truth(sorted((raw / "truth").glob("*.zarr")))
    library = ErrorLibrary(raw / "nature" / "errors.zarr")
    model = NatureModel(config.world.truncation, config.world.time_step_minutes, changes=changes)
    regrid = Regridder(model.lat, model.lon, truth.grid)
    weights = metrics.region_weights(truth.grid, ["global"])[0]
    starts = [
        (store, time)
        for store in sorted((raw / "nature").glob("[0-9]*.zarr"))
        for time in model_state_times(store)
        if time + timedelta(days=DAYS) <= truth.times[-1]
    ]
    climatology: dict[datetime, np.ndarray] = {}
    accs: dict[float, list[float]] = {}
    for store, start in starts[:cases]:
        pattern = library.native("gfs", start)
        increments = {name: config.world.gfs.error * field for name, field in pattern.items()}
        state = model.perturbed(read_model_state(store, model, start), increments)
        for reached, frames in model.advance(state, 24 * DAYS):
            for time, frame in zip(frame_times(reached, frames), frames, strict=True):
                if time.hour != start.hour:
                    continue
                levels = to_pressure(frame, model.sigma, model.surface_geopotential, [500])
                if time not in climatology:
                    climatology[time] = climatology_mean(truth, config.periods.training, time)
                acc = metrics.acc(
                    forecast=regrid(levels["geopotential"]),
                    reference=truth.read(time, ["Z500"])["Z500"][None],
                    climatology=climatology[time],
                    weights=weights,
                )
                accs.setdefault((time - start) / timedelta(days=1), []).append(float(acc))
    return {lead: np.array(values) for lead, values in accs.items()}


def main(arguments: list[str]) -> None:
    """Print ACC by lead, and the lead at which it falls to 0.6."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("config", type=Path, nargs="+")
    parser.add_argument("--factors", nargs="*", default=[])
    parser.add_argument("--cases", type=int)
    parser.add_argument("--twin", action="store_true")
    options = parser.parse_args(arguments)
    config = load_configuration(*options.config)
    models = {"forecast model": laid_over(config.world.gfs.model, options.factors)}
    if options.twin:
        models["perfect twin"] = ImperfectModel()
    for name, changes in models.items():
        accs = forecast_accs(config, options.raw, changes, options.cases)
        means = [values.mean() for values in accs.values()]
        print(f"{name}, {len(next(iter(accs.values())))} forecasts: {changes.model_dump()}")
        print("days " + " ".join(f"{lead:5.0f}" for lead in accs))
        print("ACC  " + " ".join(f"{mean:5.3f}" for mean in means))
        reached = useful_days(means, list(accs))
        print("0.6 at " + (f"{reached:.1f} days" if reached else f"no lead up to {DAYS} days"))


if __name__ == "__main__":
    main(sys.argv[1:])
