"""Write ERA5 as the Climate Data Store delivers it: GRIB1, ECMWF's local table 128, class ``ea``.

Values have 16 bits. Precipitation is ``type=fc``: forecasts start at 06 and 18 UTC and accumulate
in metres. Here a message holds the whole 6 h that end at an analysis time (steps 0-6 and 6-12),
where CDS has one for each hour.
"""

from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from fuxiflow.channels import Channel, ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.times import STEP_HOURS
from fuxiflow.world.writers.grib import GribMessage

BITS = 16
SURFACE_GEOPOTENTIAL, LAND_SEA_MASK = 129, 172


def _keys(param: int, level: int | None, kind: str) -> dict[str, int | str]:
    """Return the keys of a kind of message.

    Parameters
    ----------
    param : int
        Parameter of table 128.
    level : int or None
        Pressure in hPa; None at the surface.
    kind : str
        ``an`` for analyses, ``fc`` for forecasts.

    Returns
    -------
    dict[str, int or str]
        ecCodes' keys.
    """
    keys = {
        "centre": "ecmf",
        "generatingProcessIdentifier": 145,
        "setLocalDefinition": 1,
        "localDefinitionNumber": 1,
        "marsClass": "ea",
        "marsStream": "oper",
        "marsType": kind,
        "experimentVersionNumber": "0001",
    }
    if kind == "fc":
        keys |= {"stepType": "accum"}
    return keys | {"paramId": param} | ({"level": level} if level else {}) | {"bitsPerValue": BITS}


def _message(grid: Grid, param: int, level: int | None = None, kind: str = "an") -> GribMessage:
    """Make a kind of message.

    Parameters
    ----------
    grid : Grid
        The world's grid.
    param : int
        Parameter of table 128.
    level : int or None
        Pressure in hPa; None at the surface.
    kind : str
        ``an`` for analyses, ``fc`` for forecasts.

    Returns
    -------
    GribMessage
        The message.
    """
    sample = "regular_ll_pl_grib1" if level else "regular_ll_sfc_grib1"
    return GribMessage(sample, grid, _keys(param, level, kind))


def forecast_base(valid_time: datetime) -> tuple[datetime, int]:
    """Return start and last step (h) of the ERA5 forecast that accumulates until ``valid_time``."""
    before = valid_time - timedelta(hours=STEP_HOURS)
    base = before.replace(hour=18 if before.hour >= 18 or before.hour < 6 else 6)
    # the forecast of 18 UTC started the day before
    if before.hour < 6:
        base -= timedelta(days=1)
    return base, int((valid_time - base) / timedelta(hours=1))


class Era5Writer:
    """Appends analyses to the two files of a directory. A context manager.

    They are ``pressure_levels.grib`` and ``single_levels.grib``.
    """

    def __init__(self, directory: Path, grid: Grid, channels: ChannelTable | None = None):
        """Create the two files.

        Parameters
        ----------
        directory : Path
            Directory of the files.
        grid : Grid
            The world's grid.
        channels : ChannelTable or None
            The project's table by default.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._channels = channels or channel_table()
        self._stack = ExitStack()
        self._files = [
            self._stack.enter_context((directory / name).open("wb"))
            for name in ("pressure_levels.grib", "single_levels.grib")
        ]
        self._messages = {
            channel.name: _message(
                grid, channel.era5_param, channel.level, "fc" if _accumulated(channel) else "an"
            )
            for channel in self._channels
        }

    def write(self, time: datetime, fields: dict[str, np.ndarray]) -> None:
        """Write all channels of one analysis time, ``(lat, lon)`` each in the table's unit."""
        analysis = {"dataDate": int(f"{time:%Y%m%d}"), "dataTime": 100 * time.hour}
        base, step = forecast_base(time)
        accumulation = {
            "dataDate": int(f"{base:%Y%m%d}"),
            "dataTime": 100 * base.hour,
            "stepRange": f"{step - STEP_HOURS}-{step}",
        }
        for channel in self._channels:
            file = self._files[0 if channel.level is not None else 1]
            keys = accumulation if _accumulated(channel) else analysis
            self._messages[channel.name].write(
                file, fields[channel.name] / channel.era5_scale, keys
            )

    def __enter__(self) -> "Era5Writer":
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()


def _accumulated(channel: Channel) -> bool:
    return channel.name == "TP"


def write_invariants(
    path: Path,
    grid: Grid,
    time: datetime,
    surface_geopotential: np.ndarray,
    land_fraction: np.ndarray,
) -> None:
    """Write the surface geopotential and the land-sea mask.

    Parameters
    ----------
    path : Path
        The GRIB file to write.
    grid : Grid
        The world's grid.
    time : datetime
        Date of the messages.
    surface_geopotential : np.ndarray
        In m2 s-2, ``(lat, lon)``.
    land_fraction : np.ndarray
        ``(lat, lon)``, clipped to 0-1.
    """
    keys = {"dataDate": int(f"{time:%Y%m%d}"), "dataTime": 100 * time.hour}
    with open(path, "wb") as file:
        _message(grid, SURFACE_GEOPOTENTIAL).write(file, surface_geopotential, keys)
        # interpolation may overshoot by rounding
        _message(grid, LAND_SEA_MASK).write(file, np.clip(land_fraction, 0.0, 1.0), keys)
