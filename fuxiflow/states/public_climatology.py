"""Put a public climatology in the place of that of the training period, for scores.

WeatherBench2 has one by day of the year and hour of the day (Rasp et al. 2024,
doi:10.1029/2023MS004019): means of ERA5 over 1990 to 2019 in a triangular window of 61 days.
"""

import logging
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from fuxiflow.channels import ChannelTable
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.climatology import HOURS, NODES, Climatology, create_climatology
from fuxiflow.states.public_stores import HUMIDITY, LEAD, SYNONYMS, PublicFields, PublicStoreError
from fuxiflow.storage.zarr_stores import consolidate

LEAP_YEAR = 2000
"""Year whose days stand for those of a climatology."""


class PublicClimatology(PublicFields):
    """The mean fields of a store, regridded.

    They are read as forecasts are: ``times`` are the days of :data:`LEAP_YEAR`, and ``lead_hours``
    the hours of a day.
    """

    synonyms = SYNONYMS | {"dayofyear": "time", "hour": LEAD}

    def _times(self) -> np.ndarray:
        """Return the days, ``datetime64[ns]``."""
        days = self._coordinate("time").astype("timedelta64[D]")
        return (np.datetime64(f"{LEAP_YEAR}-01-01") + days - 1).astype("datetime64[ns]")

    def _lead_hours(self) -> list[int]:
        """Return the hours of a day."""
        hours = [int(hour) for hour in self._coordinate(LEAD)]
        if lacking := [hour for hour in HOURS if hour not in hours]:
            raise PublicStoreError(
                f"{self.path}: no climatology at {', '.join(f'{h:02d}' for h in lacking)} UTC, its "
                f"hours are {', '.join(map(str, hours)) or 'none'}; see verification.climatology"
            )
        return hours


def taken_channels(channels: ChannelTable) -> ChannelTable:
    """Return the channels that a public climatology may stand for.

    Relative humidity is none of them: the stores have none as ERA5 has it, and its mean does not
    follow from the means of specific humidity and temperature.
    """
    return channels.select(c.name for c in channels if c.variable != HUMIDITY)


def write_scored_climatology(path: Path, store: Path, training: Path, log: logging.Logger) -> None:
    """Write the climatology of scores: a public one, and that of training where it has no channel.

    Parameters
    ----------
    path : Path
        The store that is written, which :class:`fuxiflow.states.climatology.Climatology` reads.
    store : Path
        The public climatology: its folder, or the receipt of what was fetched of it.
    training : Path
        The climatology of the training period, which gives channels and grid.
    log : logging.Logger
        Told which channels are of which, and the progress.

    Raises
    ------
    PublicStoreError
        When the store has none of the channels, lacks a day or an hour, or a field of it is not
        whole or not credible.
    """
    own = Climatology.read(training)
    fields = PublicClimatology(store, taken_channels(own.channels), own.grid)
    days = [datetime(LEAP_YEAR, 1, 1) + timedelta(days=int(day) - 1) for day in NODES]
    fields.verify(days, HOURS)
    others = [name for name in own.channels.names if name not in fields.channels.names]
    log.info(
        "climatology of %s for %s; of the training period for %s",
        store,
        ", ".join(fields.channels.names),
        ", ".join(others) or "no channel",
    )
    places = [own.channels.index(name) for name in fields.channels.names]
    group = create_climatology(path, own.channels, own.grid, own.width)
    group.attrs["public_channels"] = fields.channels.names
    ledger = Ledger()
    for node, day in enumerate(progress(days, "climatology", log)):
        means = np.stack([own.at(day + timedelta(hours=hour)) for hour in HOURS])
        for mean, state in zip(means, fields.read(day, HOURS, ledger), strict=True):
            if state is None:
                lacking = {str(row["channel"]) for row in ledger.rows if row["channel"]}
                raise PublicStoreError(
                    f"{store}: day {day.timetuple().tm_yday} of the year cannot be used "
                    f"({', '.join(sorted(lacking)) or 'all channels'}: {ledger.first_reasons()}); "
                    f"fetch it again, or leave out verification.climatology"
                )
            mean[places] = state
        group["climatology"][node] = means
    consolidate(path)
