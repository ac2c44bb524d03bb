"""Write GFS as NCEP delivers it: GRIB2, centre ``kwbc``, one file an init time and lead time.

Names follow NCEP: ``gfs.YYYYMMDD/HH/atmos/gfs.tHHz.pgrb2.{resolution}.fFFF``. Precipitation is an
accumulation over the 6 h before the lead, absent at f000. Values are simply packed (template 5.0):
ecCodes writes the complex packing that NCEP uses six times as slowly, without saving space at this
resolution.
"""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from fuxiflow.channels import Channel, ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.times import STEP_HOURS
from fuxiflow.world.writers.grib import GribMessage

BITS = 14


def gfs_resolution(grid: Grid) -> str:
    """Return the spacing of a grid with poles as NCEP writes it in names: ``0p25``, ``1p50``."""
    return f"{180.0 / (grid.nlat - 1):.2f}".replace(".", "p")


def gfs_file_name(init_time: datetime, lead_hours: int, grid: Grid) -> Path:
    """Return the path of one file, relative to the archive's directory.

    Parameters
    ----------
    init_time : datetime
        Start of the forecast.
    lead_hours : int
        Lead time in hours.
    grid : Grid
        A grid with rows on the poles.

    Returns
    -------
    Path
        The path.
    """
    name = f"gfs.t{init_time:%H}z.pgrb2.{gfs_resolution(grid)}.f{lead_hours:03d}"
    return Path(f"gfs.{init_time:%Y%m%d}") / f"{init_time:%H}" / "atmos" / name


def forecast_init_times(start: datetime, last: date, interval_hours: int) -> list[datetime]:
    """List the init times of forecasts.

    Parameters
    ----------
    start : datetime
        Init time of the first.
    last : date
        Last day.
    interval_hours : int
        Hours between forecasts.

    Returns
    -------
    list[datetime]
        The init times.

    Raises
    ------
    ValueError
        Unless all are at 00 or 12 UTC.
    """
    if interval_hours % 12:
        raise ValueError(
            f"world.gfs.forecast_interval_hours: {interval_hours}, allowed: multiples of 12"
        )
    end = datetime(last.year, last.month, last.day, 23)
    count = int((end - start) / timedelta(hours=interval_hours)) + 1
    return [start + timedelta(hours=interval_hours * i) for i in range(count)]


def _accumulated(channel: Channel) -> bool:
    return channel.name == "TP"


def _message(grid: Grid, channel: Channel) -> GribMessage:
    # pressure levels are in Pa in GRIB2
    level = channel.gfs_level * 100 if channel.gfs_surface == 100 else channel.gfs_level
    keys = {
        "centre": "kwbc",
        "subCentre": 0,
        "tablesVersion": 2,
        "localTablesVersion": 1,
        "significanceOfReferenceTime": 1,
        "productionStatusOfProcessedData": 0,
        "typeOfProcessedData": 1,
        "shapeOfTheEarth": 6,
        "discipline": channel.gfs_discipline,
        "productDefinitionTemplateNumber": 8 if _accumulated(channel) else 0,
        "parameterCategory": channel.gfs_category,
        "parameterNumber": channel.gfs_number,
        "typeOfGeneratingProcess": 2,
        "generatingProcessIdentifier": 96,
        "indicatorOfUnitOfTimeRange": 1,
        "typeOfFirstFixedSurface": channel.gfs_surface,
        "scaleFactorOfFirstFixedSurface": 0,
        "scaledValueOfFirstFixedSurface": level,
    }
    if _accumulated(channel):
        keys |= {"typeOfStatisticalProcessing": 1}
    return GribMessage("regular_ll_pl_grib2", grid, keys | {"bitsPerValue": BITS})


class GfsWriter:
    """Writes the files of analyses and forecasts under a directory."""

    def __init__(self, directory: Path, grid: Grid, channels: ChannelTable | None = None):
        """Prepare the messages of all channels.

        Parameters
        ----------
        directory : Path
            Directory of the archive.
        grid : Grid
            The world's grid.
        channels : ChannelTable or None
            The project's table by default.
        """
        self._directory, self._grid = Path(directory), grid
        self._channels = channels or channel_table()
        self._messages = {channel.name: _message(grid, channel) for channel in self._channels}

    def write(self, init_time: datetime, lead_hours: int, fields: dict[str, np.ndarray]) -> Path:
        """Write one file and return its path.

        Parameters
        ----------
        init_time : datetime
            Start of the forecast.
        lead_hours : int
            Lead time in hours, 0 for analyses.
        fields : dict[str, np.ndarray]
            Fields ``(lat, lon)`` by channel, in the channel table's units.

        Returns
        -------
        Path
            The file.
        """
        path = self._directory / gfs_file_name(init_time, lead_hours, self._grid)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = {"dataDate": int(f"{init_time:%Y%m%d}"), "dataTime": 100 * init_time.hour}
        with open(path, "wb") as file:
            for channel in self._channels:
                if _accumulated(channel):
                    # nothing has fallen yet
                    if lead_hours == 0:
                        continue
                    keys = start | {"stepRange": f"{lead_hours - STEP_HOURS}-{lead_hours}"}
                else:
                    keys = start | {"forecastTime": lead_hours}
                self._messages[channel.name].write(
                    file, fields[channel.name] / channel.gfs_scale, keys
                )
        return path
