"""What the rules of the embedded world look up: the nature run's segments, dates, restarts."""

from datetime import timedelta

from fuxiflow import times
from fuxiflow.config import sources
from fuxiflow.config.base import Period

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
    return (
        f"{RAW}/nature/{times.previous_segment(wildcards.segment, CONFIG.segment_months)}.restart"
    )


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


def observed_dates(wildcards):
    """First and last day of a segment that is observed, in training or in the cycle."""
    return dates(OBSERVED[wildcards.segment], wildcards.segment)


def simulated(section):
    """The sources in use that a section of the world's configuration is about, as a wildcard's pattern."""
    names = [name for name in CONFIG.sources if sources.load_source(name).simulated_as == section]
    return "|".join(names) or "none"


def world_instrument(wildcards):
    """What is simulated of one source: its instrument, channels, noise and orbits, and the format of its files."""
    source = sources.load_source(wildcards.source)
    return source.model_dump(mode="json", include={"instrument", "channels", "platforms", "reader"})


def world_observing(wildcards):
    """How one source is thinned and spoiled, and when it is there."""
    return CONFIG.world.observing(sources.load_source(wildcards.source)).model_dump(mode="json")
