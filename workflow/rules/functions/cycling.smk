"""Lookups of the rules of the cycling stage: networks, starting points, grids and analyses."""

from datetime import timedelta

from fuxiflow import times
from fuxiflow.config import figure_inputs
from fuxiflow.config.base import Period


def cycling_execution():
    """Return how the networks run: arguments of fuxiflow.models.execution.prepare."""
    return {"precision": CONFIG.cycling.precision, "compiled": CONFIG.cycling.compile}


def cycling_pattern(external):
    """Return a pattern of the experiments whose forecasts an external forecaster makes, or not."""
    names = CONFIG.external_experiments
    if not external:
        names = sorted({*CONFIG.forecasting_experiments} - {*names})
    return "|".join(names) or "none"


def cycling_networks(experiment, segment):
    """Return the networks that an experiment cycles a segment with.

    By default they are those of joint training, where each network knows the other's errors; with
    replay, as it has updated them for the segment.
    """
    if (stage := CONFIG.analyses_after(experiment)) == "replay":
        return training_replayed(experiment, segment)
    return training_checkpoint(experiment, stage)


def cycling_checkpoint(wildcards):
    """Return the networks that the segment of a job is cycled with."""
    return cycling_networks(wildcards.experiment, wildcards.segment)


def cycling_case_checkpoint(wildcards):
    """Return the networks that the case of the figures is cycled with."""
    return cycling_networks(wildcards.experiment, figure_inputs.case_segment(CONFIG))


def cycling_forecast_checkpoint(wildcards):
    """Return the networks that forecasts are made with: by default those of the last stage."""
    return training_checkpoint(wildcards.experiment, CONFIG.forecasts_after(wildcards.experiment))


def cycling_neighbours(segment, before, after):
    """Return a segment of the cycle with so many before and after it."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(segment)
    return labels[max(position - before, 0) : position + after + 1]


def cycling_start(wildcards):
    """Return the input that a cycle starts from: the segment before, nothing in the first one."""
    first, *_ = cycling_neighbours(wildcards.segment, before=1, after=0)
    if first == wildcards.segment:
        return {}
    return {"carry": results(f"analyses/{wildcards.experiment}/{first}.carry.pt")}


def cycling_first_guess(wildcards):
    """Return the expected departures from the first guess, where an experiment checks them."""
    if CONFIG.resolve(wildcards.experiment).cycle_check is None:
        return {}
    return {"first_guess": results(f"models/{wildcards.experiment}/first_guess.parquet")}


def cycling_first_guess_settings(wildcards):
    """Return the settings of the first-guess check but for those of its fit, none without it."""
    check = CONFIG.resolve(wildcards.experiment).cycle_check
    return check.model_dump(mode="json", exclude={"fit"}) if check else {}


def cycling_ledger():
    """Return the ledger of a cycle, where any experiment has a first-guess check."""
    if all(CONFIG.resolve(name).cycle_check is None for name in CONFIG.cycled_experiments):
        return {}
    return {"ledger": results("analyses/{experiment}/ledger/{segment}.parquet")}


def cycling_grids(wildcards):
    """Return the sparse grids of a segment and of those that its windows reach into.

    The first window begins before 00 UTC. The last is about 18 UTC, and few end on the day after: so
    what is cycled for validation reads nothing of the test.
    """
    names = CONFIG.resolve(wildcards.experiment).sources
    last = max((end for _, end in windows(wildcards.experiment).values()), default=0)
    near = cycling_neighbours(wildcards.segment, before=1, after=int(last > times.STEP_HOURS))
    return expand(results("grids/{source}/{segment}.zarr"), source=names, segment=near)


def cycling_case_grids(wildcards):
    """Return the sparse grids that the windows about the case of the figures touch."""
    return figures_case_grids(wildcards.experiment)


def cycling_case_analyses(wildcards):
    """Return the analyses of the case of the figures and of 6 h before, within the cycle."""
    before = (CONFIG.case - timedelta(hours=times.STEP_HOURS)).date()
    period = Period(start=max(CONFIG.cycling_period.start, before), end=CONFIG.case.date())
    return segments_of(results(f"analyses/{wildcards.experiment}/{{segment}}.zarr"), period)


def cycling_near_analyses(wildcards):
    """Return the analyses of a segment and the one before: a forecast starts from two."""
    return expand(
        results(f"analyses/{wildcards.experiment}/{{segment}}.zarr"),
        segment=cycling_neighbours(wildcards.segment, before=1, after=0),
    )


def cycling_coefficients(wildcards):
    """Return digests of the coefficients of the instrument whose observations are perturbed."""
    return coefficients([CONFIG.perturbation.source])


def cycling_perturbation(key):
    """Return an input function for a setting of the perturbed observation of the figures."""
    return lambda wildcards: getattr(CONFIG.perturbation, key)


def cycling_forecaster(wildcards):
    """Return the input that makes external forecasts: ONNX models or the networks it names."""
    if forecaster := CONFIG.resolve(wildcards.experiment).forecaster:
        return {"onnx": forecaster.onnx}
    return {"checkpoint": cycling_forecast_checkpoint(wildcards)}


def cycling_cascade_steps(wildcards):
    """Return how many steps each model of an external forecaster is used for; 0 of networks."""
    forecaster = CONFIG.resolve(wildcards.experiment).forecaster
    return forecaster.steps if forecaster else 0


def cycling_initial_name(wildcards):
    """Return whose analyses forecasts start from: gfs, another experiment, or their own."""
    return CONFIG.resolve(wildcards.experiment).initial or wildcards.experiment


def cycling_initial(wildcards):
    """Return the input that external forecasts start from: GFS files, or analyses."""
    initial = cycling_initial_name(wildcards)
    labels = cycling_neighbours(wildcards.segment, before=1, after=0)
    if initial == "gfs":
        return {"gfs": [raw_input(f"gfs/{label}") for label in labels]}
    return {"analyses": expand(results(f"analyses/{initial}/{{segment}}.zarr"), segment=labels)}
