"""Lookups of the rules of the embedded world: the segments, dates and restarts of its nature run."""

from datetime import timedelta

from fuxiflow import times
from fuxiflow.config.base import Period


def world_model():
    """Return the parameters of the general circulation model."""
    world = CONFIG.world
    return {"truncation": world.truncation, "time_step_minutes": world.time_step_minutes}


def world_period():
    """Return the period of the nature run: from the first day of training to the last forecast."""
    return Period(start=CONFIG.periods.training.start, end=CONFIG.verification_period.end)


def world_restart(wildcards):
    """Return the state that a segment of the nature run starts from."""
    if wildcards.segment == CONFIG.segments(world_period())[0]:
        return raw("nature/spinup.restart")
    before = times.previous_segment(wildcards.segment, CONFIG.segment_months)
    return raw(f"nature/{before}.restart")


def world_dates(wildcards):
    """Return the first and last day of a segment of the nature run."""
    return dates(world_period(), wildcards.segment)


def world_test_dates(wildcards):
    """Return the start of GFS's first forecast, and the last scored day that a segment can reach.

    They are those of validation or of the test. A longer test period leaves the segments before it
    alone.
    """
    scored = CONFIG.scored_period(wildcards.segment)
    _, last = CONFIG.clip(wildcards.segment, world_period())
    reached = max(scored.start, min(scored.end, last + timedelta(days=1)))
    return [CONFIG.gfs_start(scored).isoformat(), str(reached)]


def world_verification_dates(wildcards):
    """Return the first and last day of a segment that analyses are written for."""
    return dates(CONFIG.verification_period, wildcards.segment)


def world_sources(section):
    """Return a pattern of the sources that a section of the world's configuration is about."""
    names = [name for name in CONFIG.sources if sources.load_source(name).simulated_as == section]
    return "|".join(names) or "none"


def world_instrument(wildcards):
    """Return the description of a source that is simulated: instrument, channels, orbits, format."""
    source = sources.load_source(wildcards.source)
    return source.described({"instrument", "channels", "platforms", "reader"})


def world_coefficients(wildcards):
    """Return digests of the operator coefficients that a source's swaths are simulated with."""
    return coefficients([wildcards.source], CONFIG.world.radiances.absorption)


def world_observing(wildcards):
    """Return how a source is thinned and spoiled, and when it is there."""
    return CONFIG.world.observing(sources.load_source(wildcards.source)).model_dump(mode="json")
