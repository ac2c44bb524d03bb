"""Lookups of the rules of the verification stage: states, forecasts, analyses, cases."""

from datetime import timedelta

from fuxiflow.config import simulation as simulation_settings
from fuxiflow.config.base import Period


def verification_resampling():
    """Return the parameters of the bootstrap."""
    return {
        "bootstrap": CONFIG.verification.bootstrap,
        "block_days": CONFIG.verification.block_days,
        "seed": CONFIG.seed,
    }


def verification_uses(name):
    """Return whether a reference or GFS is compared with; there is no truth but in the world."""
    used = {
        "era5": "era5" in CONFIG.verification.references,
        "truth": "truth" in CONFIG.verification.references and CONFIG.kind == "embedded",
        "gfs": "gfs" in CONFIG.verification.baselines,
    }
    return used[name]


def verification_climatology():
    """Return the climatology that anomalies are from: that of training, or a public one."""
    public = CONFIG.verification.climatology is not None
    return results(f"states/{'scored_' if public else ''}climatology.zarr")


def verification_days(wildcards):
    """Return the first and last scored day of the segment of a job: of validation or of the test."""
    return dates(CONFIG.scored_period(wildcards.segment), wildcards.segment)


def verification_all_days(wildcards):
    """Return the first and last day of what a job on all segments scores."""
    return dates(CONFIG.periods.scored[wildcards.scores])


def verification_parts(path):
    """Return an input function for ``path`` of each segment of what a job scores."""

    def paths(wildcards):
        labels = CONFIG.segments(CONFIG.periods.scored[wildcards.scores])
        return expand(path, **{**dict(wildcards.items()), "segment": labels})

    return paths


def verification_cycle_parts(path):
    """Return an input function for ``path`` of each segment of the cycle up to what a job scores."""

    def paths(wildcards):
        end = CONFIG.periods.scored[wildcards.scores].end
        labels = CONFIG.segments(Period(start=CONFIG.periods.cold_start, end=end))
        return expand(path, **{**dict(wildcards.items()), "segment": labels})

    return paths


def verification_baseline_parts(wildcards):
    """Return the cases of the baselines of each segment of what a job scores, and of other systems."""
    folders = ["baselines", *(f"baselines/{name}" for name in verification_systems(wildcards))]
    return [
        part
        for folder in folders
        for part in verification_parts(results(f"scores/{folder}/{{segment}}.zarr"))(wildcards)
    ]


def verification_systems(wildcards):
    """Return the other systems that are scored in what a job scores: in the test alone."""
    return [*CONFIG.verification.systems] if wildcards.scores == "scores" else []


def verification_compared(wildcards):
    """Return the baselines and other systems that forecasts are compared with."""
    return [*CONFIG.verification.baselines, *verification_systems(wildcards)]


def verification_valid_segments(segment, within):
    """Return the segments that the forecasts from a scored segment are valid in.

    They are those of ``within``, a period: forecasts reach beyond the end of the cycle.
    """
    first, last = CONFIG.clip(segment, CONFIG.scored_period(segment))
    days = -(-CONFIG.cycling.max_lead_hours // 24)
    end = min(last + timedelta(days=days), within.end)
    return CONFIG.segments(Period(start=first, end=end))


def verification_states(name):
    """Return an input function for the states of a reference, or of GFS, of the segment of a job."""

    def paths(wildcards):
        return results(f"states/{name}/{wildcards.segment}.zarr") if verification_uses(name) else []

    return paths


def verification_valid_states(name):
    """Return an input function for the states that forecasts from a segment are compared with."""

    def paths(wildcards):
        labels = verification_valid_segments(wildcards.segment, CONFIG.verification_period)
        path = results(f"states/{name}/{{segment}}.zarr")
        return expand(path, segment=labels) if verification_uses(name) else []

    return paths


def verification_system_analyses(wildcards):
    """Return the analyses of another system that are its own reference, none where it has none."""
    system = CONFIG.verification.systems[wildcards.system]
    if "own" not in CONFIG.verification.references or system.analyses is None:
        return []
    labels = verification_valid_segments(wildcards.segment, CONFIG.verification_period)
    return expand(
        results("states/{system}/{segment}.zarr"), system=wildcards.system, segment=labels
    )


def verification_initial(wildcards):
    """Return the analyses that the forecasts of an experiment start from: its own reference."""
    initial = CONFIG.resolve(wildcards.experiment).initial or wildcards.experiment
    if initial == "gfs":
        labels = verification_valid_segments(wildcards.segment, CONFIG.verification_period)
        return expand(results("states/gfs/{segment}.zarr"), segment=labels)
    labels = verification_valid_segments(wildcards.segment, CONFIG.cycling_period)
    return expand(results(f"analyses/{initial}/{{segment}}.zarr"), segment=labels)


def verification_initial_array(wildcards):
    """Return the array of :func:`verification_initial` that holds them."""
    return "state" if CONFIG.resolve(wildcards.experiment).initial == "gfs" else "analysis"


def verification_computable():
    """Return the sources whose measurements can be computed from a state."""
    return [
        name
        for name in CONFIG.sources
        if simulation_settings.has_operator(sources.load_source(name))
    ]


def verification_observed_sources():
    """Return the sources whose observations all systems are compared with, near the points."""
    return [name for name in verification_computable() if sources.load_source(name).comparable]


def verification_observed_leads():
    """Return the lead times in hours that are compared with observations."""
    longest = CONFIG.cycling.max_lead_hours
    return [lead for lead in CONFIG.verification.observed_leads if lead <= longest]


def verification_observed_systems():
    """Return the systems that are compared with observations, the main experiment first."""
    made = {*CONFIG.forecasting_experiments, *CONFIG.cycled_experiments}
    return [
        *(name for name in CONFIG.figures.experiments if name in made),
        *(["gfs"] if verification_uses("gfs") else []),
        *CONFIG.verification.systems,
        *(["era5"] if verification_uses("era5") else []),
        *(name for name in ("persistence", "climatology") if name in CONFIG.verification.baselines),
    ]


def verification_observed_forecasts(wildcards):
    """Return the forecasts from a segment that are compared with observations."""
    own = [name for name in CONFIG.figures.experiments if name in CONFIG.forecasting_experiments]
    others = [*(["gfs"] if verification_uses("gfs") else []), *CONFIG.verification.systems]
    return [results(f"forecasts/{name}/{wildcards.segment}.zarr") for name in (*own, *others)]


def verification_observed_analyses(wildcards):
    """Return the analyses of a segment that are compared with observations, those of others last."""
    own = [name for name in CONFIG.figures.experiments if name in CONFIG.cycled_experiments]
    others = ["gfs"] if verification_uses("gfs") else []
    if "own" in CONFIG.verification.references:
        systems = CONFIG.verification.systems
        others += [name for name in systems if systems[name].analyses is not None]
    return [
        *(results(f"analyses/{name}/{wildcards.segment}.zarr") for name in own),
        *(results(f"states/{name}/{wildcards.segment}.zarr") for name in others),
    ]


def verification_observed_tables(wildcards):
    """Return the observations that forecasts from a segment are compared with."""
    return expand(
        results("scores/observed/{source}/{segment}.parquet"),
        source=verification_observed_sources(),
        segment=verification_valid_segments(wildcards.segment, CONFIG.cycling_period),
    )


def verification_last_reference():
    """Return the reference that structure is compared with: the truth, or else ERA5."""
    return figure_inputs.error_references(CONFIG)[-1]


def verification_structure_leads():
    """Return the lead times in hours of spectra and balance."""
    longest = CONFIG.cycling.max_lead_hours
    return [lead for lead in CONFIG.verification.structure_leads if lead <= longest]


def verification_structure_systems():
    """Return the systems whose structure is compared, the main experiment first."""
    gfs = ["gfs"] if verification_uses("gfs") else []
    return [CONFIG.figures.experiments[0], *gfs, *CONFIG.verification.systems]


def verification_structure_forecasts(wildcards):
    """Return the forecasts from a segment whose structure is compared."""
    systems = verification_structure_systems()
    paths = verification_observed_forecasts(wildcards)
    return [path for path in paths if Path(path).parent.name in systems]


def verification_structure_analyses(wildcards):
    """Return the analyses of a segment whose structure is compared."""
    systems = verification_structure_systems()
    paths = verification_observed_analyses(wildcards)
    return [path for path in paths if Path(path).parent.name in systems]


def verification_near_grids(wildcards):
    """Return the grids of those sources of a segment and the one before.

    A window about 00 UTC begins on the day before; none about 18 UTC reaches the day after.
    """
    near = cycling_neighbours(wildcards.segment, before=1, after=0)
    path = results("grids/{source}/{segment}.zarr")
    return expand(path, source=verification_computable(), segment=near)


def verification_cases(folder, experiment, other=None):
    """Return the stores of the cases of an experiment in a folder of scores.

    With ``other`` they are the cases of that one, of what both of them make.
    """
    kinds = {"analyses": CONFIG.cycled_experiments, "forecasts": CONFIG.forecasting_experiments}
    return [
        results(f"{folder}/{other or experiment}/{kind}.cases.zarr")
        for kind, made_by in kinds.items()
        if experiment in made_by and (other or experiment) in made_by
    ]


def verification_other_cases(wildcards):
    """Return the stores of the cases of all experiments that one is compared with."""
    return [
        path
        for other in CONFIG.comparisons[wildcards.experiment]
        for path in verification_cases(wildcards.scores, wildcards.experiment, other)
    ]


def verification_tables(folder):
    """Return the tables of all scores in a folder, and of their spread where there are seeds."""
    names = ["scores", *(["seeds"] if CONFIG.seeds else [])]
    return [results(f"{folder}/{name}.parquet") for name in names]


def verification_judged_cycle():
    """Return the series of the experiment full, whose growth of errors is judged."""
    if "full" not in CONFIG.cycled_experiments:
        return []
    return results("scores/full/cycle.parquet")
