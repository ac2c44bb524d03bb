"""Fetch forecasts of ECMWF's open data for a configuration, and write the store of a system."""

import logging
from collections.abc import Sequence
from pathlib import Path

from fuxiflow.archive.open_data import fetch_open_data, fields_of_stores
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import load_archives
from fuxiflow.config.base import lay_over, read_yaml
from fuxiflow.config.configuration import Config, validate_configuration
from fuxiflow.config.evaluation import is_address
from fuxiflow.grids import Grid
from fuxiflow.states.open_data import write_open_data
from fuxiflow.times import STEP_HOURS, times


def configuration_before_store(paths: Sequence[Path], system: str) -> tuple[Config, Path]:
    """Read a configuration in which the forecasts of a system are a folder that is to be written.

    Parameters
    ----------
    paths : sequence of Path
        The configuration, and what is laid over it.
    system : str
        Name of the system.

    Returns
    -------
    config : Config
        The configuration, with a folder that is there in the place of the one to write.
    folder : Path
        The one to write.

    Raises
    ------
    ValueError
        When there is no such system, or its forecasts are at an address.
    ConfigurationError
        With all else that is wrong.
    """
    values: dict = {}
    for path in paths:
        values = lay_over(values, read_yaml(path))
    systems = (values.get("verification") or {}).get("systems") or {}
    forecasts = (systems.get(system) or {}).get("forecasts")
    if not forecasts or is_address(forecasts):
        raise ValueError(
            f"verification.systems.{system}: no system whose forecasts are a folder, which is to "
            f"be written; the configuration has {', '.join(systems) or 'none'}"
        )
    there = {"verification": {"systems": {system: {"forecasts": "."}}}}
    return validate_configuration(lay_over(values, there)), Path(forecasts)


def fetch_system(paths: Sequence[Path], system: str, log: logging.Logger) -> Path:
    """Fetch the forecasts of the test of a configuration, and write them as a system's store.

    Parameters
    ----------
    paths : sequence of Path
        The configuration, and what is laid over it.
    system : str
        The system whose store is written: a folder, ``verification.systems.{system}.forecasts``.
    log : logging.Logger
        Takes progress, and what the archive lacks.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    ValueError, ConfigurationError
        When the configuration is wrong, or has no such system.
    FileNotFoundError, DownloadError
        When the archive has none of it, or a download fails for good.
    GribError
        When a file is damaged.
    """
    config, folder = configuration_before_store(paths, system)
    archive = load_archives(changes=config.archives).ecmwf_open_data
    if archive is None:
        raise ValueError("config/archive.yaml has no section ecmwf_open_data: give its url there")
    names, test = config.system_channels, config.periods.test
    channels = channel_table() if names is None else channel_table().select(names)
    files = fetch_open_data(
        archive,
        [time for time in times(test.start, test.end) if time.hour in config.cycling.init_hours],
        range(STEP_HOURS, config.cycling.max_lead_hours + 1, STEP_HOURS),
        fields_of_stores(channels),
        log,
    )
    title = f"ECMWF open data, {archive.model}, {test.start} to {test.end}"
    return write_open_data(files, folder, Grid(**config.grid.model_dump()), title)
