"""Lookups of the rules of the verification stage: states, forecasts, analyses, cases."""

from fuxiflow.config import simulation as simulation_settings


def verification_resampling():
    """Return the parameters of the bootstrap."""
    return {
        "bootstrap": CONFIG.verification.bootstrap,
        "block_days": CONFIG.verification.block_days,
        "seed": CONFIG.seed,
    }


def verification_states(name):
    """Return the states of a reference or of GFS over all valid times.

    There are none of a reference that is not compared with, and no truth outside the embedded
    world.
    """
    used = {
        "era5": "era5" in CONFIG.verification.references,
        "truth": "truth" in CONFIG.verification.references and CONFIG.kind == "embedded",
        "gfs": "gfs" in CONFIG.verification.baselines,
    }
    path = results(f"states/{name}/{{segment}}.zarr")
    return segments_of(path, CONFIG.verification_period) if used[name] else []


def verification_gfs_forecasts():
    """Return the forecasts of GFS, none where GFS is no baseline."""
    if "gfs" not in CONFIG.verification.baselines:
        return []
    return segments_of(results("forecasts/gfs/{segment}.zarr"), CONFIG.periods.test)


def verification_forecasts():
    """Return the forecasts of an experiment."""
    return segments_of(results("forecasts/{experiment}/{segment}.zarr"), CONFIG.periods.test)


def verification_analyses():
    """Return the analyses of an experiment."""
    return segments_of(results("analyses/{experiment}/{segment}.zarr"), CONFIG.cycling_period)


def verification_initial(wildcards):
    """Return the analyses that the forecasts of an experiment start from: its own reference."""
    initial = CONFIG.resolve(wildcards.experiment).initial or wildcards.experiment
    if initial == "gfs":
        return segments_of(results("states/gfs/{segment}.zarr"), CONFIG.verification_period)
    return expand(verification_analyses(), experiment=initial)


def verification_initial_array(wildcards):
    """Return the array of :func:`verification_initial` that holds them."""
    return "state" if CONFIG.resolve(wildcards.experiment).initial == "gfs" else "analysis"


def verification_grids(names):
    """Return the sparse grids of sources through the cycle."""
    return [
        path
        for name in names
        for path in segments_of(results(f"grids/{name}/{{segment}}.zarr"), CONFIG.cycling_period)
    ]


def verification_computable():
    """Return the sources whose measurements can be computed from a state."""
    return [
        name
        for name in CONFIG.sources
        if simulation_settings.has_operator(sources.load_source(name))
    ]


def verification_cases(experiment, other=None):
    """Return the stores of the cases of an experiment.

    With ``other`` they are the cases of that one, of what both of them make.
    """
    kinds = {"analyses": CONFIG.cycled_experiments, "forecasts": CONFIG.forecasting_experiments}
    return [
        results(f"scores/{other or experiment}/{kind}.cases.zarr")
        for kind, made_by in kinds.items()
        if experiment in made_by and (other or experiment) in made_by
    ]


def verification_other_cases(wildcards):
    """Return the stores of the cases of all experiments that one is compared with."""
    return [
        path
        for other in CONFIG.comparisons[wildcards.experiment]
        for path in verification_cases(wildcards.experiment, other)
    ]


def verification_judged_cycle():
    """Return the series of the experiment full, whose growth of errors is judged."""
    if "full" not in CONFIG.cycled_experiments:
        return []
    return results("scores/full/cycle.parquet")
