"""Lookups of the rules of the states stage: periods and raw inputs."""


def states_dates(wildcards):
    """Return the first and last day of a segment that some job reads.

    A segment is of training, or of the time from the cold start on.
    """
    training = wildcards.segment in CONFIG.segments(CONFIG.periods.training)
    period = CONFIG.periods.training if training else CONFIG.verification_period
    return dates(period, wildcards.segment)


def states_test_dates(wildcards):
    """Return the first and last day of a segment that forecasts are verified from."""
    return dates(CONFIG.periods.test, wildcards.segment)


def states_forecasts_completeness(wildcards):
    """Return the least share of the forecasts of GFS, and when the embedded world makes one.

    Archives have one at every initial time.
    """
    interval = CONFIG.world.gfs.forecast_interval_hours if CONFIG.kind == "embedded" else None
    return SimpleNamespace(
        **vars(completeness("forecasts")),
        every_hours=interval,
        since=str(CONFIG.periods.test.start),
    )


def states_truth_segments(path):
    """Return ``path`` for each segment of the truth; none outside the embedded world."""
    return segments_of(path, CONFIG.verification_period) if CONFIG.kind == "embedded" else []
