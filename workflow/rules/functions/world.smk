"""What the rules of the embedded world look up: the nature run's segments, dates, restarts."""

from datetime import timedelta

from fuxiflow import sources, times
from fuxiflow.config import Period, Swath

NATURE = Period(start=CONFIG.periods.training.start, end=CONFIG.verification_period.end)
NATURE_SEGMENTS = CONFIG.segments(NATURE)
OBSERVED = {
    segment: period
    for period in (CONFIG.periods.observations, CONFIG.cycling_period)
    for segment in CONFIG.segments(period)
}
MODEL = {"truncation": CONFIG.world.truncation, "time_step_minutes": CONFIG.world.time_step_minutes}
WORLD_GRID = CONFIG.world.grid.model_dump()
JAX_CACHE = f"{STATE}/jax"


def nature_restart(wildcards):
    """The state that a segment of the nature run starts from."""
    if wildcards.segment == NATURE_SEGMENTS[0]:
        return f"{RAW}/nature/spinup.restart"
    return f"{RAW}/nature/{times.previous_segment(wildcards.segment, CONFIG.segment_months)}.restart"


def nature_dates(wildcards):
    """First and last day of a segment of the nature run."""
    return dates(NATURE, wildcards.segment)


def nature_test(wildcards):
    """First day of the test period and its last one that a segment of the nature run can reach: a longer test period
    leaves the segments before it alone."""
    test, (_, last) = CONFIG.periods.test, CONFIG.clip(wildcards.segment, NATURE)
    return [str(test.start), str(max(test.start, min(test.end, last + timedelta(days=1))))]


def verification_dates(wildcards):
    """First and last day of a segment that analyses are written for."""
    return dates(CONFIG.verification_period, wildcards.segment)


def swath_dates(wildcards):
    """First and last day of a segment that is observed, in training or in the cycle."""
    return dates(OBSERVED[wildcards.segment], wildcards.segment)


def world_instrument(wildcards):
    """What is simulated of one source: its instrument, channels, noise and orbits."""
    source = sources.load(wildcards.source)
    return source.model_dump(mode="json", include={"instrument", "channels", "platforms"})


def world_swath(wildcards):
    """How one source is thinned and spoiled."""
    return CONFIG.world.swaths.get(wildcards.source, Swath()).model_dump(mode="json")
