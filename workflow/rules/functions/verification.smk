"""What the rules of the verification stage look up: the analyses that forecasts start from."""


def verification_initial(wildcards):
    """The analyses that an experiment's forecasts start from: its own reference."""
    initial = CONFIG.resolve(wildcards.experiment).initial or wildcards.experiment
    return (
        VERIFICATION_GFS_STATES
        if initial == "gfs"
        else expand(VERIFICATION_ANALYSES, experiment=initial)
    )


def verification_initial_array(wildcards):
    """The array of :func:`verification_initial` that holds them."""
    return "state" if CONFIG.resolve(wildcards.experiment).initial == "gfs" else "analysis"


def verification_cases(experiment, other=None):
    """Stores of the cases of an experiment, of another one those of what both of them make."""
    kinds = {"analyses": CONFIG.cycled_experiments, "forecasts": CONFIG.forecasting_experiments}
    return [
        f"{RESULTS}/scores/{other or experiment}/{kind}.cases.zarr"
        for kind, made_by in kinds.items()
        if experiment in made_by and (other or experiment) in made_by
    ]
