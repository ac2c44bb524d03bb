"""Lookups of the rules of the simulation stage: periods, templates, states."""

from datetime import timedelta

from fuxiflow.config.base import Period


def simulation_of(wildcards):
    """Return the settings of the simulation of a source."""
    return CONFIG.simulation[wildcards.source]


def simulation_geometry(wildcards):
    """Return where simulated footprints lie: on computed orbits or on those of the template."""
    return simulation_of(wildcards).geometry


def simulation_template(wildcards):
    """Return the first and last day of the real observations that simulated ones are like."""
    return dates(simulation_of(wildcards).template)


def simulation_template_tables(wildcards):
    """Return the tables of those real observations, after quality control."""
    path = results(f"observations/{wildcards.source}/{{segment}}.parquet")
    return segments_of(path, simulation_of(wildcards).template)


def simulation_template_states(wildcards):
    """Return the reanalysis of the template and of the day after it, as far as training goes."""
    return simulation_states(simulation_of(wildcards).template)


def simulation_dates(wildcards):
    """Return the first and last simulated day of a segment."""
    return dates(simulation_of(wildcards).period, wildcards.segment)


def simulation_segment_states(wildcards):
    """Return the reanalysis of the simulated days of a segment and of the day after them."""
    first, last = CONFIG.clip(wildcards.segment, simulation_of(wildcards).period)
    return simulation_states(Period(start=first, end=last))


def simulation_states(period):
    """Return the reanalysis of a period and of the day after it, as far as training goes."""
    last = min(period.end + timedelta(days=1), CONFIG.periods.training.end)
    with_next_day = Period(start=period.start, end=last)
    return segments_of(results("states/era5/{segment}.zarr"), with_next_day)


def simulation_places(wildcards):
    """Return the tables whose footprints are taken over; none where orbits are computed."""
    if simulation_geometry(wildcards) == "orbits":
        return []
    return simulation_template_tables(wildcards)


def simulation_source(wildcards):
    """Return the description of a source that is simulated; as a parameter, a change is seen."""
    kept = {"instrument", "channels", "platforms", "quality"}
    return sources.load_source(wildcards.source).described(kept)


def simulation_strides(wildcards):
    """Return the strides of scans and of fields of view along computed orbits."""
    settings = simulation_of(wildcards)
    return [settings.scan_stride, settings.field_of_view_stride]


def simulation_grids(names):
    """Return the sparse grids of the simulated observations of sources."""
    return [
        path
        for name in names
        for path in segments_of(
            results(f"simulated/grids/{name}/{{segment}}.zarr"), CONFIG.simulation[name].period
        )
    ]
