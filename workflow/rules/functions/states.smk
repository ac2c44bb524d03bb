"""Lookups of the rules of the states stage: periods and raw inputs."""

from fuxiflow.archive.needs import WHOLE
from fuxiflow.config.base import Period
from fuxiflow.config.evaluation import is_address, store_product


def states_dates(wildcards):
    """Return the first and last day of a segment that some job reads.

    A segment is of training, or of the time from the cold start on.
    """
    return dates(CONFIG.states_period(wildcards.segment), wildcards.segment)


def states_with_previous(wildcards):
    """Return the states of a training segment, and of the one before where that is of training too.

    The first 6-h difference of a segment is from the last state of the one before.
    """
    labels = CONFIG.segments(CONFIG.periods.training)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 1]
    return expand(results("states/era5/{segment}.zarr"), segment=near)


def states_slices():
    """Return the first months, ``MM``, of the calendar slices that training has in any year."""
    return sorted({label[-2:] for label in CONFIG.segments(CONFIG.periods.training)})


def states_of_slice(wildcards):
    """Return the states of a calendar slice, of all training years."""
    labels = CONFIG.slice_segments(wildcards.month)
    return expand(results("states/era5/{segment}.zarr"), segment=labels)


def states_spans(wildcards):
    """Return the first and last training day of a calendar slice in each year."""
    labels = CONFIG.slice_segments(wildcards.month)
    return [dates(CONFIG.periods.training, label) for label in labels]


def states_scored_dates(wildcards):
    """Return the first and last day of a segment that forecasts are verified from."""
    return dates(CONFIG.scored_period(wildcards.segment), wildcards.segment)


def states_forecasts_completeness(wildcards):
    """Return the least share of the forecasts of GFS, and when the embedded world makes one.

    Archives have one at every initial time.
    """
    interval = CONFIG.world.gfs.forecast_interval_hours if CONFIG.kind == "embedded" else None
    return SimpleNamespace(
        **vars(completeness("forecasts")),
        every_hours=interval,
        since=CONFIG.gfs_start(CONFIG.scored_period(wildcards.segment)).isoformat(),
    )


def states_gfs_segments(path, period):
    """Return ``path`` for each segment of a period; none where nothing needs GFS."""
    return segments_of(path, period) if CONFIG.needs_gfs else []


def states_truth_segments(path):
    """Return ``path`` for each segment of the truth; none outside the embedded world."""
    return segments_of(path, CONFIG.verification_period) if CONFIG.kind == "embedded" else []


def states_public_store(place):
    """Return a public store as an input: its folder, or the receipt of what is fetched of it."""
    return raw_input(f"{store_product(place)}/{WHOLE}") if is_address(place) else place


def states_system_store(kind):
    """Return an input function for a store of another system."""
    return lambda wildcards: states_public_store(
        getattr(CONFIG.verification.systems[wildcards.system], kind)
    )


def states_climatology_store(wildcards):
    """Return the public climatology that anomalies of scores are from; none by default."""
    return states_public_store(CONFIG.verification.climatology)


def states_system_dates(wildcards):
    """Return the first and last day of a segment on which another system's forecasts are valid."""
    start, end = CONFIG.periods.test.start, CONFIG.verification_period.end
    return dates(Period(start=start, end=end), wildcards.segment)
