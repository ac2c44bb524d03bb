"""The amount of work of a job, counted from the configuration and the job's wildcards.

Units are those in which the work of a rule is measured: states, leads of forecasts, days of
observations. A day of observations is one of ATMS at full density: 3.1 million footprints of 22
channels. Other sources count by their values.
"""

from collections.abc import Callable, Mapping
from datetime import date

from fuxiflow.channels import channel_table
from fuxiflow.config import sources
from fuxiflow.config.archives import cells_in_address, load_archives
from fuxiflow.config.base import Period
from fuxiflow.config.configuration import Config
from fuxiflow.config.simulation import has_operator

Wildcards = Mapping[str, str]
Work = Callable[[Config, Wildcards], float]

STATES_A_DAY = HOURS_A_DAY = 4
YEAR_NODES, NODE_DAYS = 74, 5
"""Nodes of the climatology's year, and the days between them (fuxiflow.states.climatology)."""
CHANNELS = len(channel_table())
FULL_CELLS = 720 * 1440
RAW_CELLS = 721 * 1440
"""Cells of a field of the archives, poles included."""

# fields of view times scans of a day on one platform, from the instruments' scan geometry (WMO
# OSCAR); stations, ships and ascents of a day as the global exchange has them, roughly
FOOTPRINTS_A_DAY = {
    "atms": 3.11e6,
    "amsua": 0.32e6,
    "mhs": 2.92e6,
    "mwts3": 3.18e6,
    "mwhs2": 3.18e6,
    "ssmis": 2.73e6,
    "iasi": 1.3e6,
    "hirs4": 0.76e6,
    "gnssro": 1000,
    "synop": 200_000,
    "ship": 100_000,
    "temp": 1600,
}
ATMS_VALUES = FOOTPRINTS_A_DAY["atms"] * 22


def cells(config: Config) -> int:
    """Return the cells of the grid of the networks."""
    return config.grid.nlat * config.grid.nlon


def raw_cells(config: Config, wildcards: Wildcards | None = None) -> int:
    """Return the cells of a field of the raw files: of the archives, or of the embedded world.

    Parameters
    ----------
    config : Config
        The configuration.
    wildcards : mapping, optional
        Those of a job: of a public store that it reads the address tells the grid.

    Returns
    -------
    int
        Cells.
    """
    if config.kind != "archive":
        return config.world.grid.nlat * config.world.grid.nlon
    return cells_in_address(_public_store(config, wildcards or {})) or RAW_CELLS


def _public_store(config: Config, wildcards: Wildcards) -> str:
    """Return the address of the public store of fields that a job reads, empty for none."""
    if system := wildcards.get("system"):
        return config.verification.systems[system].forecasts
    if wildcards.get("reference") == "era5":
        return load_archives(changes=config.archives).era5.store_url
    return ""


def days(period: Period | tuple[date, date] | None) -> int:
    """Return the days of a period, both ends included; 0 of None."""
    if period is None:
        return 0
    first, last = period if isinstance(period, tuple) else (period.start, period.end)
    return (last - first).days + 1


def observed_leads(config: Config, wildcards: Wildcards) -> float:
    """Count the fields of all systems that are compared with observations, in a segment."""
    longest = config.cycling.max_lead_hours
    leads_compared = sum(lead <= longest for lead in config.verification.observed_leads)
    others = len(config.verification.systems) + len(config.verification.baselines) + 1
    systems = len(config.figures.experiments) + others
    return initial_times_made(config, wildcards) * leads_compared * systems


def structure_cases(config: Config, wildcards: Wildcards) -> float:
    """Count the states whose structure is compared with a reference, in a segment or in all."""
    longest = config.cycling.max_lead_hours
    leads_compared = sum(lead <= longest for lead in config.verification.structure_leads)
    systems = 1 + ("gfs" in config.verification.baselines) + len(config.verification.systems)
    return initial_times_made(config, wildcards) * leads_compared * systems


def days_within(config: Config, wildcards: Wildcards, period: Period) -> int:
    """Return the days of a period, of those in a segment where the job has one.

    Parameters
    ----------
    config : Config
        The configuration.
    wildcards : mapping
        Those of the job, ``segment`` among them or not.
    period : Period
        The period.

    Returns
    -------
    int
        Days.
    """
    return days(config.clip(wildcards["segment"], period) if "segment" in wildcards else period)


def scored_days(config: Config, wildcards: Wildcards) -> int:
    """Return the days of validation, or of the test, that a job is about.

    Parameters
    ----------
    config : Config
        The configuration.
    wildcards : mapping
        Those of the job: ``segment``, or ``scores`` of one on all segments.

    Returns
    -------
    int
        Days that forecasts start on.
    """
    if "segment" in wildcards:
        label = wildcards["segment"]
        return days(config.clip(label, config.scored_period(label)))
    return days(config.periods.scored[wildcards.get("scores", "scores")])


def leads(config: Config) -> int:
    """Return the lead times of a forecast."""
    return config.cycling.max_lead_hours // 6


def once(config: Config, wildcards: Wildcards) -> float:
    """Count a job as one."""
    return 1.0


def world_days(config: Config, wildcards: Wildcards) -> float:
    """Count the days of the nature run in a segment."""
    period = Period(start=config.periods.training.start, end=config.verification_period.end)
    return days(config.clip(wildcards["segment"], period))


def spinup_days(config: Config, wildcards: Wildcards) -> float:
    """Count the days before the nature run, with those missing to the first of a month."""
    return config.world.spinup_days + 31


def library_states(config: Config) -> int:
    """Count the states of the spin-up that the world's library of errors is made of."""
    return 1 + int(STATES_A_DAY * min(config.world.error_days + 1, 0.9 * config.world.spinup_days))


def world_states(config: Config, wildcards: Wildcards) -> float:
    """Count the states of the nature run in a segment."""
    return STATES_A_DAY * world_days(config, wildcards)


def world_gfs_forecasts(config: Config, wildcards: Wildcards) -> int:
    """Count the forecasts that the world's GFS makes in a segment that is scored."""
    first = config.gfs_start(config.scored_period(wildcards["segment"]))
    hours = 24 * scored_days(config, wildcards) - first.hour
    return (hours - 1) // config.world.gfs.forecast_interval_hours + 1


def world_gfs_leads(config: Config, wildcards: Wildcards) -> float:
    """Count the analyses and the leads of forecasts that the world's GFS makes in a segment."""
    analyses = STATES_A_DAY * days(config.clip(wildcards["segment"], config.verification_period))
    if wildcards["segment"] not in config.scored_segments:
        return analyses
    return analyses + world_gfs_forecasts(config, wildcards) * leads(config)


def states(config: Config, wildcards: Wildcards) -> float:
    """Count the states of a reference in a segment, of training or of verification."""
    period = config.states_period(wildcards["segment"])
    return STATES_A_DAY * days_within(config, wildcards, period)


def training_states(config: Config, wildcards: Wildcards) -> float:
    """Count the states of the training period, in a segment where the job has one."""
    return STATES_A_DAY * days_within(config, wildcards, config.periods.training)


def slice_states(config: Config, wildcards: Wildcards) -> float:
    """Count the training states of a calendar slice, of all years."""
    period = config.periods.training
    labels = config.slice_segments(wildcards["month"])
    return STATES_A_DAY * sum(days(config.clip(label, period)) for label in labels)


def nodes_reached(config: Config, trained: int) -> int:
    """Return the nodes of a climatology's year at which ``trained`` days in a row have a weight."""
    window = config.verification.climatology_window_days
    return min(YEAR_NODES, -(-(trained + window) // NODE_DAYS))


def year_fields(config: Config, wildcards: Wildcards) -> float:
    """Count the fields of a climatology of which none repeats another."""
    return HOURS_A_DAY * YEAR_NODES


def climatology_fields(config: Config, wildcards: Wildcards) -> float:
    """Count the fields of the climatology that are packed; others repeat one of them."""
    return HOURS_A_DAY * nodes_reached(config, days(config.periods.training))


def slice_fields(config: Config, wildcards: Wildcards) -> float:
    """Count the fields that the states of a calendar slice have a weight at."""
    period = config.periods.training
    longest = max(
        days(config.clip(name, period)) for name in config.slice_segments(wildcards["month"])
    )
    return HOURS_A_DAY * nodes_reached(config, longest)


def slice_work(config: Config, wildcards: Wildcards) -> float:
    """Count the training states of a calendar slice; a field is written in the time of 13."""
    return slice_states(config, wildcards) + 13 * slice_fields(config, wildcards)


def initial_times_made(config: Config, wildcards: Wildcards) -> float:
    """Count the initial times of forecasts, in a segment where the job has one."""
    return scored_days(config, wildcards) * len(config.cycling.init_hours)


def leads_made(config: Config, wildcards: Wildcards) -> float:
    """Count the lead times of all forecasts, in a segment where the job has one."""
    return initial_times_made(config, wildcards) * leads(config)


def tracked_leads(config: Config, wildcards: Wildcards) -> float:
    """Count the lead times of all forecasts of a segment that cyclones are followed through."""
    return initial_times_made(config, wildcards) * (config.cyclones.max_lead_hours // 6)


def gfs_leads(config: Config, wildcards: Wildcards) -> float:
    """Count the lead times of GFS's forecasts in a segment; the world's may be fewer than ours."""
    made = leads_made(config, wildcards)
    if config.kind != "embedded":
        return made
    return min(made, world_gfs_forecasts(config, wildcards) * leads(config))


def valid_states(config: Config, wildcards: Wildcards) -> float:
    """Count the 6-hourly times in a segment at which forecasts of the test are valid."""
    period = Period(start=config.periods.test.start, end=config.verification_period.end)
    return STATES_A_DAY * days_within(config, wildcards, period)


def map_leads(config: Config, wildcards: Wildcards) -> float:
    """Count the lead times of all forecasts that are averaged into maps."""
    return initial_times_made(config, wildcards) * len(config.figures.map_leads)


def analyses(config: Config, wildcards: Wildcards) -> float:
    """Count the analyses of the cycle, in a segment where the job has one."""
    return STATES_A_DAY * days_within(config, wildcards, config.cycling_period)


def first_guess_steps(config: Config, wildcards: Wildcards) -> float:
    """Count the steps of forecasts to the windows that a first-guess check is fitted to."""
    fit = config.resolve(wildcards["experiment"]).first_guess_check.fit
    return fit.windows * (fit.lead_hours // 6 + 1)


def compared_leads(config: Config, wildcards: Wildcards) -> float:
    """Count the lead times of all forecasts of all experiments whose cases are compared."""
    experiments = 1 + len(config.comparisons.get(wildcards["experiment"], []))
    return experiments * leads_made(config, {})


def platforms_there(config: Config, name: str) -> int:
    """Return the platforms of a source in the middle of the period of observations, at least 1."""
    period = config.periods.observations
    middle = period.start + (period.end - period.start) / 2
    there = [
        platform
        for platform in sources.load_source(name).platforms
        if (platform.since or middle) <= middle <= (platform.until or middle)
    ]
    return max(1, len(there))


def footprints_a_day(config: Config, name: str) -> float:
    """Return the footprints or reports that a source has on a day when all platforms are there."""
    source = sources.load_source(name)
    full_density = FOOTPRINTS_A_DAY.get(source.instrument, FOOTPRINTS_A_DAY["atms"])
    if config.kind == "archive":
        return full_density * platforms_there(config, name)
    observing = config.world.observing(source)
    if source.simulated_as == "networks":
        return observing.stations * 24 / observing.interval_hours
    platforms = len(source.flying(observing.platforms))
    if source.simulated_as == "occultations":
        return observing.daily * platforms
    return full_density * platforms / (observing.scan_stride * observing.field_of_view_stride)


def values_a_day(config: Config, name: str) -> float:
    """Return the values of a source on a day, in days of ATMS at full density."""
    channels = len(sources.load_source(name).channels)
    return footprints_a_day(config, name) * channels / ATMS_VALUES


def days_observed(config: Config, name: str, segment: str | None = None) -> int:
    """Return the days on which a source is there, by default of the period of observations.

    Parameters
    ----------
    config : Config
        The configuration.
    name : str
        Name of the source.
    segment : str, optional
        A segment of the period of observations or of the cycle.

    Returns
    -------
    int
        Days on which some platform flies.
    """
    if segment is None:
        period = config.periods.observations
        return days(config.flown(name, period.start, period.end))
    clipped = config.clip(segment, config.observed_period(segment))
    return days(config.flown(name, *clipped))


def observed_segments(config: Config, wildcards: Wildcards) -> float:
    """Count the segments of the period of observations, whose parts are merged."""
    return len(config.segments(config.periods.observations))


def observed(config: Config, wildcards: Wildcards) -> float:
    """Count the observations of a source, in a segment where the job has one."""
    name = wildcards["source"]
    return days_observed(config, name, wildcards.get("segment")) * values_a_day(config, name)


def all_observed(config: Config, wildcards: Wildcards) -> float:
    """Count the observations of all sources, in a segment where the job has one."""
    return sum(observed(config, {**wildcards, "source": name}) for name in config.sources)


def simulated(config: Config, wildcards: Wildcards) -> float:
    """Count the observations of a source that are simulated in a segment."""
    name = wildcards["source"]
    settings = config.simulation[name]
    values = values_a_day(config, name)
    if settings.geometry == "orbits":
        source = sources.load_source(name)
        scanned = FOOTPRINTS_A_DAY[source.instrument] * len(source.channels) / ATMS_VALUES
        values = scanned / (settings.scan_stride * settings.field_of_view_stride)
    return days(config.clip(wildcards["segment"], settings.period)) * values


def template_days(config: Config, wildcards: Wildcards) -> float:
    """Count the days whose observations simulated ones are made like."""
    return days(config.simulation[wildcards["source"]].template)


def computed_departures(config: Config, wildcards: Wildcards) -> float:
    """Count the observations that a state gives equivalents of, of what a job scores."""
    names = [name for name in config.sources if has_operator(sources.load_source(name))]
    return scored_days(config, wildcards) * sum(values_a_day(config, name) for name in names)


def background_steps(config: Config, wildcards: Wildcards) -> float:
    """Count the steps of the forecasts that a segment of a bank of backgrounds takes."""
    training = config.resolve(wildcards["experiment"]).training
    hours = 24 * days(config.clip(wildcards["segment"], config.periods.observations))
    mean_lead = (training.assimilator.max_lead_hours / 6 + 1) / 2
    return hours / training.backgrounds.every_hours * mean_lead
