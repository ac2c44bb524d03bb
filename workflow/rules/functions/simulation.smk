"""What the rules of the simulation stage look up: periods, templates, states."""

from datetime import timedelta

from fuxiflow.config import sources
from fuxiflow.config.base import Period


def simulation_of(wildcards):
    """The settings of a source's simulation."""
    return CONFIG.simulation[wildcards.source]


def simulation_template(wildcards):
    """First and last day of the real observations that simulated ones are like."""
    return dates(simulation_of(wildcards).template)


def simulation_template_tables(wildcards):
    """Tables of those real observations, after quality control."""
    segments = CONFIG.segments(simulation_of(wildcards).template)
    return expand(f"{OBSERVATIONS}/{wildcards.source}/{{segment}}.parquet", segment=segments)


def simulation_template_states(wildcards):
    """Reanalysis of the template, and of the day after it as far as training goes."""
    return simulation_states(simulation_of(wildcards).template)


def simulation_dates(wildcards):
    """First and last simulated day of a segment."""
    return dates(simulation_of(wildcards).period, wildcards.segment)


def simulation_segment_states(wildcards):
    """Reanalysis of a segment's simulated days, and of the day after them as far as training goes."""
    first, last = CONFIG.clip(wildcards.segment, simulation_of(wildcards).period)
    return simulation_states(Period(start=first, end=last))


def simulation_states(period):
    """Reanalysis of a period and of the day after it, in training."""
    last = min(period.end + timedelta(days=1), CONFIG.periods.training.end)
    segments = CONFIG.segments(Period(start=period.start, end=last))
    return expand(f"{RESULTS}/states/era5/{{segment}}.zarr", segment=segments)


def simulation_places(wildcards):
    """Tables whose footprints are taken over, none where orbits are computed."""
    return (
        []
        if simulation_of(wildcards).geometry == "orbits"
        else simulation_template_tables(wildcards)
    )


def simulation_source(wildcards):
    """What a source's file says of what is simulated, as a parameter: a change of it is seen."""
    kept = {"instrument", "channels", "platforms", "quality"}
    return sources.load_source(wildcards.source).model_dump(mode="json", include=kept)


def simulation_strides(wildcards):
    """Every so-manieth scan and field of view of computed orbits."""
    return [simulation_of(wildcards).scan_stride, simulation_of(wildcards).field_of_view_stride]
