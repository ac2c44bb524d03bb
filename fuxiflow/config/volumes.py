"""Space and files that the products of a job take, estimated from the configuration.

Shares of float32 that stores take once they are packed were measured: at 720 x 1440 on a state like
ERA5's, on coarse grids in the embedded world, whose fields are rough and pack worse. Of real ERA5
states take less than is said here. ``tests/workflow/test_end_to_end.py`` compares a
finished run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.config import network_sizes, work
from fuxiflow.config.archives import NnjaAiArchive, cells_in_address, load_archives
from fuxiflow.config.configuration import Config
from fuxiflow.config.evaluation import store_product
from fuxiflow.config.resources import states_mb
from fuxiflow.config.sources import load_source
from fuxiflow.config.work import CHANNELS, Wildcards

STAGES = ("raw", "states", "observations", "bank", "forecasts", "analyses", "models", "scores")
FINE_CELLS = 100_000
"""From so many cells on fields are smooth from cell to cell, and pack well."""
# by kind of store: the share of float32 on a fine and on a coarse grid
SHARES = {
    "states": (0.49, 0.8),
    "climatology": (0.7, 0.87),
    "analyses": (0.69, 0.87),
    "packed": (0.58, 0.82),
    "grib": (0.5, 0.5),
    "gfs": (0.44, 0.44),
    "truth": (0.45, 0.65),
}
NODES = work.HOURS_A_DAY * work.YEAR_NODES
"""Fields of a climatology: hours of the day times nodes of the year."""
BYTES_A_VALUE = {"table": 2.6, "swaths": 6.0, "grid": (2.2, 0.9)}
"""Bytes of one value of observations in a footprint table, raw files, and a sparse grid."""
GFS_FILE_MB = 42.0
"""The messages of all channels at one lead time of GFS at 0.25 degrees."""
DAYS_A_MONTH = 30.4
STORE_FILES = 20
"""Files of a store beside its data: metadata and coordinates."""
STATE_SHARD = (64, 537.0)
"""Times and MB that a file of states holds at most."""
# files a day of one platform: half a minute each for ATMS of NOAA's buckets; of the others roughly
FILES_A_DAY = {"atms": 5400, "synop": 24, "ship": 24, "temp": 8, "gnssro": 1000}
OTHER_FILES_A_DAY = 240


@dataclass(frozen=True)
class Volume:
    """Space in MB, and files."""

    mb: float = 0.0
    files: float = 0.0

    def __add__(self, other: "Volume") -> "Volume":
        """Return both together."""
        return Volume(self.mb + other.mb, self.files + other.files)


def share(kind: str, config: Config) -> float:
    """Return the share of float32 that a kind of store takes."""
    fine, coarse = SHARES[kind]
    return fine if work.cells(config) >= FINE_CELLS else coarse


def state_store(config: Config, count: float, kind: str, arrays: int = 1) -> Volume:
    """Return the volume of a store of ``count`` times, with ``arrays`` states at each.

    Parameters
    ----------
    config : Config
        The configuration.
    count : float
        Number of times.
    kind : str
        A key of :data:`SHARES`, for states that are compressed without loss.
    arrays : int
        Arrays of states.

    Returns
    -------
    Volume
        With the files that are not data.
    """
    one = states_mb(1, work.cells(config))
    compression = config.states.compression
    packed = {"packed": share("packed", config), "none": 1.0}.get(compression, share(kind, config))
    most, largest = STATE_SHARD
    shard = max(1, min(most, largest // one))
    return Volume(count * arrays * one * packed, STORE_FILES + arrays * math.ceil(count / shard))


def kept_in_forecasts(config: Config) -> ChannelTable:
    """Return the channels of a store of forecasts; each of their variables is an array."""
    table = channel_table()
    return table if config.kept_channels is None else table.select(config.kept_channels)


def forecast_store(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the forecasts of a segment."""
    inits, leads = work.initial_times_made(config, wildcards), work.leads(config)
    kept = kept_in_forecasts(config)
    field_mb = states_mb(len(kept) / CHANNELS, work.cells(config))
    # a file for each physical variable of an initial time, fuxiflow.states.forecasts
    variables = {channel.variable for channel in kept}
    mb = inits * leads * field_mb * share("packed", config)
    return Volume(mb, STORE_FILES + inits * len(variables))


def gfs_forecast_store(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of GFS's forecasts of a segment, of which a world makes a few."""
    whole = forecast_store(config, wildcards)
    if config.kind == "archive":
        return whole
    tested = work.initial_times_made(config, wildcards)
    made = work.world_gfs_forecasts(config, wildcards)
    return Volume(whole.mb * min(1, made / tested), whole.files)


def gfs_state_count(config: Config, wildcards: Wildcards) -> float:
    """Count the analyses and leads of GFS of a segment."""
    if config.kind == "embedded":
        return work.world_gfs_leads(config, wildcards)
    analyses = work.STATES_A_DAY * work.days(
        config.clip(wildcards["segment"], config.verification_period)
    )
    tested = wildcards["segment"] in config.scored_segments
    return analyses + (work.leads_made(config, wildcards) if tested else 0)


def raw_archive(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the raw files of a product and segment, from the archives' own."""
    product, segment = wildcards["product"], wildcards["segment"]
    if segment == "invariants":
        return Volume(20, 2)
    if product == "ibtracs":
        return Volume(350, 2)
    if segment == "store":
        return mirrored(config, product)
    if product == "gfs":
        count = gfs_state_count(config, wildcards)
        return Volume(count * GFS_FILE_MB, count)
    archives = load_archives(changes=config.archives)
    url = archives.era5.store_url if product == "era5" else ""
    provider = archives.providers.get(f"era5_{archives.era5.provider}" if url else product)
    monthly = provider.gb_per_month if provider else 10.0
    if product == "era5":
        # volumes of archives are those of ERA5's own grid
        monthly *= (cells_in_address(url) or work.RAW_CELLS) / work.RAW_CELLS
        days = work.states(config, wildcards) / work.STATES_A_DAY
        return Volume(days / DAYS_A_MONTH * 1000 * monthly, days / 4 + 2)
    days = work.days_observed(config, product, segment)
    archive = archives.sources.get(product)
    if isinstance(archive, NnjaAiArchive):
        files = len(archive.data_sets)
    else:
        files = FILES_A_DAY.get(load_source(product).instrument, OTHER_FILES_A_DAY)
        files *= work.platforms_there(config, product)
    return Volume(days / DAYS_A_MONTH * 1000 * monthly, days * files)


def mirrored(config: Config, product: str) -> Volume:
    """Return the volume of what is fetched of a public store, roughly: a chunk has all levels."""
    of_analyses = "6h" in product
    names = config.scored_channels if of_analyses else config.system_channels
    address = config.verification.climatology
    of_climatology = address is not None and product == store_product(address)
    all_channels = names is None or of_climatology
    channels = channel_table() if all_channels else channel_table().select(names)
    upper = {channel.variable for channel in channels if channel.level is not None}
    surface = {channel.variable for channel in channels if channel.level is None}
    days = work.days(config.periods.test)
    fields = days * (work.STATES_A_DAY if of_analyses else len(config.cycling.init_hours))
    fields *= 1 if of_analyses else work.leads(config)
    if of_climatology:
        # as much as where a chunk has a day or less
        fields = work.year_fields(config, {})
    cells = cells_in_address(product) or work.cells(config)
    values_each = len(upper) * len(channel_table().pressure_levels) + len(surface)
    mb = fields * values_each * cells * 4e-6 * share("truth", config)
    return Volume(mb, fields * (len(upper) + len(surface)))


def raw_fields(config: Config, count: float, kind: str, files_each: float) -> Volume:
    """Return the volume of so many raw states of the embedded world.

    Parameters
    ----------
    config : Config
        The configuration.
    count : float
        Number of states.
    kind : str
        A key of :data:`SHARES`.
    files_each : float
        Files of a state.

    Returns
    -------
    Volume
        Space and files.
    """
    mb = count * states_mb(1, work.raw_cells(config)) * share(kind, config)
    return Volume(mb, 2 + files_each * count)


def spinup(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the library of errors, in half precision."""
    one = states_mb(1, work.raw_cells(config)) / 2
    return Volume(25 + work.library_states(config) * one, 20)


def nature(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of a segment of the nature run: the truth, and its own fields."""
    days = work.world_days(config, wildcards)
    return raw_fields(config, work.STATES_A_DAY * days, "truth", 4) + Volume(5 + 1.5 * days, 100)


def values(config: Config, wildcards: Wildcards, kind: str) -> Volume:
    """Return the volume of the observations of a source in a segment.

    Parameters
    ----------
    config : Config
        The configuration.
    wildcards : mapping
        ``source`` and ``segment``, of a period of observations or of simulation.
    kind : str
        A key of :data:`BYTES_A_VALUE`; ``simulated`` is a table, ``simulated grid`` a grid.

    Returns
    -------
    Volume
        Space and files.
    """
    count = work.simulated if kind.startswith("simulated") else work.observed
    gridded = kind.endswith("grid")
    size = BYTES_A_VALUE["grid" if gridded else "table" if kind == "simulated" else kind]
    if gridded:
        size = size[work.cells(config) < FINE_CELLS]
    mb = count(config, wildcards) * work.ATMS_VALUES * size / 1e6
    return Volume(mb, STORE_FILES if gridded else 2)


def swaths(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the level-1 files that the embedded world writes for a source."""
    days = work.days_observed(config, wildcards["source"], wildcards["segment"])
    platforms = len(load_source(wildcards["source"]).platforms)
    files = days * 2 * platforms * 1440 / config.world.granule_minutes
    return Volume(values(config, wildcards, "swaths").mb, files + 2)


def bank(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of a segment of the bank of backgrounds: two states at each time."""
    every = config.resolve(wildcards["experiment"]).training.backgrounds.every_hours
    days = work.days(config.clip(wildcards["segment"], config.periods.observations))
    return state_store(config, 24 * days / every, "analyses", arrays=2)


def trained(stage: str) -> Callable[[Config, Wildcards], Volume]:
    """Return a function for the volume of a stage's checkpoint, and of its restart files."""

    def volume(config: Config, wildcards: Wildcards) -> Volume:
        experiment = config.resolve(wildcards["experiment"])
        weights = network_sizes.forecaster_weights_mb(experiment.model.forecaster.model_dump())
        training = experiment.training
        restart = 3 + bool(getattr(training, stage).ema)
        kept = getattr(training, stage).keep_checkpoints
        # what is fitted before the stage travels in each of its files
        fits = training.linear_fits if stage != "forecaster" else []
        fitted = sum(fit.megabytes(config.grid.nlat, config.grid.nlon) for fit in fits)
        mb = (1 + kept * restart) * weights + (1 + kept) * fitted
        return Volume(mb + 2, 4 + kept)

    return volume


def background_filter(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the filter of backgrounds."""
    settings = config.resolve(wildcards["experiment"]).training.background_filter
    return Volume(settings.megabytes(config.grid.nlat, config.grid.nlon) + 2, 2)


def background_errors(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the background errors of 3D-Var."""
    fit = config.resolve(wildcards["experiment"]).training.variational.fit
    return Volume(fit.megabytes(config.grid.nlat, config.grid.nlon) + 2, 2)


def cases(config: Config, wildcards: Wildcards, systems: int = 1) -> Volume:
    """Return the volume of the scores of all cases: 40 bytes of a channel and region, roughly.

    Parameters
    ----------
    config : Config
        The configuration.
    wildcards : mapping
        Those of the job.
    systems : int
        Forecasts that are scored against each reference.

    Returns
    -------
    Volume
        Space and files.
    """
    count = work.leads_made(config, wildcards) * CHANNELS * len(config.verification.regions)
    return Volume(2 + systems * 4e-5 * count, 60)


def analysis_cases(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the scores of all analyses, or of those of a segment."""
    count = work.analyses(config, wildcards) * CHANNELS * len(config.verification.regions)
    return Volume(2 + 4e-5 * count, 40)


def maps(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the maps of the mean error."""
    fields = len(config.figures.map_leads) * len(config.figures.map_channels) * 4
    return Volume(1 + fields * work.cells(config) * 4e-6, 30)


def maps_part(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the sums that maps are made of: twice theirs, in double precision."""
    whole = maps(config, wildcards)
    return Volume(2 * whole.mb, whole.files)


def structure_part(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of spectra and residuals: nine spectra of each case, in four bytes."""
    return Volume(1 + work.structure_cases(config, wildcards) * config.grid.nlat * 4e-5, 10)


def climatology(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of the climatology; what no state reaches repeats other fields' chunks."""
    fields = work.climatology_fields(config, wildcards)
    mb = fields * states_mb(1, work.cells(config)) * share("climatology", config)
    return Volume(mb, STORE_FILES + NODES)


def scored_climatology(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of a climatology of the whole year."""
    fields = work.year_fields(config, wildcards)
    mb = fields * states_mb(1, work.cells(config)) * share("climatology", config)
    return Volume(mb, STORE_FILES + fields)


def climatology_part(config: Config, wildcards: Wildcards) -> Volume:
    """Return the volume of a slice of the calendar: its nodes, and those within the window."""
    fields = work.slice_fields(config, wildcards)
    mb = fields * states_mb(1, work.cells(config)) * share("climatology", config)
    return Volume(mb, STORE_FILES + fields)


def small(mb: float, files: int) -> Callable[[Config, Wildcards], Volume]:
    """Return a function for a volume that is the same for all configurations."""
    return lambda config, wildcards: Volume(mb, files)


PRODUCTS: dict[str, tuple[str, Callable[[Config, Wildcards], Volume]]] = {
    "archive_fetch": ("raw", raw_archive),
    "world_spinup": ("raw", spinup),
    "world_nature": ("raw", nature),
    "world_invariants": ("raw", small(1, 4)),
    "world_era5": ("raw", lambda c, w: raw_fields(c, work.world_states(c, w), "grib", 0.2)),
    "world_gfs": ("raw", lambda c, w: raw_fields(c, gfs_state_count(c, w), "gfs", 1)),
    "world_swaths": ("raw", swaths),
    "world_networks": ("raw", swaths),
    "world_occultations": ("raw", swaths),
    "states_decode": ("states", lambda c, w: state_store(c, work.states(c, w), "states")),
    "states_truth": ("states", lambda c, w: state_store(c, work.states(c, w), "states")),
    "states_statistics": ("states", small(1, 25)),
    "states_climatology": ("states", climatology),
    "states_scored_climatology": ("states", scored_climatology),
    "states_statistics_part": ("states", small(0.1, 1)),
    "states_climatology_part": ("states", climatology_part),
    "states_forecasts": ("forecasts", gfs_forecast_store),
    "states_system_forecasts": ("forecasts", forecast_store),
    "states_system_analyses": (
        "states",
        lambda c, w: state_store(c, work.valid_states(c, w), "states"),
    ),
    "observations_read": ("observations", lambda c, w: values(c, w, "table")),
    "observations_limits": ("observations", small(1, 1)),
    "observations_limits_part": ("observations", small(1, 1)),
    "observations_statistics_part": ("observations", small(0.1, 1)),
    "observations_quality": ("observations", lambda c, w: values(c, w, "table")),
    "observations_grid": ("observations", lambda c, w: values(c, w, "grid")),
    "observations_statistics": ("observations", small(1, 20)),
    "simulation_departures": ("observations", small(5, 25)),
    "simulation_observations": ("observations", lambda c, w: values(c, w, "simulated")),
    "simulation_grid": ("observations", lambda c, w: values(c, w, "simulated grid")),
    "training_forecaster": ("models", trained("forecaster")),
    "training_background_filter": ("models", background_filter),
    "training_background_errors": ("models", background_errors),
    "training_assimilator": ("models", trained("assimilator")),
    "training_first_guess": ("models", small(1, 1)),
    "training_joint": ("models", trained("joint")),
    "training_replay": ("models", trained("replay")),
    "training_autoregressive": ("models", trained("autoregressive")),
    "training_backgrounds": ("bank", bank),
    "cycling_analyses": (
        "analyses",
        lambda c, w: state_store(c, work.analyses(c, w), "analyses", arrays=2),
    ),
    "cycling_response": ("analyses", lambda c, w: state_store(c, 2, "analyses")),
    "cycling_forecasts": ("forecasts", forecast_store),
    "cycling_external_forecasts": ("forecasts", forecast_store),
    # parts keep double precision
    "verification_baselines_part": ("scores", lambda c, w: cases(c, w, 5)),
    "verification_systems_part": ("scores", lambda c, w: cases(c, w, 3)),
    "verification_forecasts_part": ("scores", lambda c, w: cases(c, w, 5)),
    "verification_maps_part": ("scores", maps_part),
    "verification_analyses_part": ("scores", analysis_cases),
    "verification_departures_part": ("scores", small(10, 60)),
    "verification_observations": ("scores", small(30, 1)),
    "verification_observed_part": ("scores", small(60, 200)),
    "verification_structure_part": ("scores", structure_part),
    "verification_baselines": ("scores", lambda c, w: cases(c, w, 3)),
    "verification_forecasts": ("scores", lambda c, w: cases(c, w, 2)),
    "verification_maps": ("scores", maps),
    "verification_analyses": ("scores", analysis_cases),
}
OTHER = ("scores", small(0.5, 3))
"""Tables of scores and figures."""


def product_stage(rule: str) -> str:
    """Return the one of :data:`STAGES` that the products of a rule belong to."""
    return PRODUCTS.get(rule, OTHER)[0]


def product_volume(config: Config, rule: str, wildcards: Wildcards) -> Volume:
    """Estimate the space and the files of the products of a job.

    Parameters
    ----------
    config : Config
        The configuration.
    rule : str
        Name of the rule.
    wildcards : mapping
        Those of the job.

    Returns
    -------
    Volume
        Restart files of a training stage included.
    """
    return PRODUCTS.get(rule, OTHER)[1](config, wildcards)
