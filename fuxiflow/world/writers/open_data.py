"""Write forecasts as ECMWF's open data has them: GRIB 2, a file a step, with an index beside it.

Grids begin at 180 degrees east, heights are in gpm, humidity is specific, and precipitation is the
sum since the start of the forecast, in metres.
"""

import json
from datetime import datetime
from pathlib import Path

import numpy as np

from fuxiflow.channels import Channel, ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.physics import specific_humidity
from fuxiflow.storage.open_data_names import PARAMETERS, parameters_of
from fuxiflow.world.writers.grib import GribMessage

BITS = 16


def _step_message(grid: Grid, parameter: str, level: int | None) -> GribMessage:
    """Return the message of a field.

    Parameters
    ----------
    grid : Grid
        Grid of the fields.
    parameter : str
        ECMWF's name of it.
    level : int or None
        Pressure in hPa, None at the surface.

    Returns
    -------
    GribMessage
        To be written with other values again and again.
    """
    accumulated = parameter == "tp"
    west = {
        "longitudeOfFirstGridPointInDegrees": 180.0,
        "longitudeOfLastGridPointInDegrees": 180.0 - 360.0 / grid.nlon,
    }
    keys = {
        "centre": "ecmf",
        "tablesVersion": 27,
        "productDefinitionTemplateNumber": 8 if accumulated else 0,
        "shortName": parameter,
        "typeOfGeneratingProcess": 2,
    }
    if level is not None:
        keys |= {"typeOfLevel": "isobaricInhPa", "level": level}
    return GribMessage("regular_ll_pl_grib2", grid, west | keys | {"bitsPerValue": BITS})


def _in_open_data(
    channel: Channel, states: np.ndarray, channels: ChannelTable
) -> tuple[str, int | None, np.ndarray]:
    """Return a channel of a state as open data has it.

    Parameters
    ----------
    channel : Channel
        The channel.
    states : np.ndarray
        The state ``(channel, lat, lon)``.
    channels : ChannelTable
        Its channels.

    Returns
    -------
    tuple
        Parameter, level, and values ``(lat, lon)`` in its unit.
    """
    values = states[channels.index(channel.name)].astype(float)
    variable = channel.variable
    if variable == "relative_humidity":
        temperature = states[channels.index(f"T{channel.level}")].astype(float)
        variable = "specific_humidity"
        values = specific_humidity(values, temperature, float(channel.level))
    (parameter, *_) = parameters_of(variable)
    metres = 1000.0 if parameter == "tp" else 1.0
    return parameter, channel.level, values / PARAMETERS[parameter][1] / metres


def write_open_data_forecast(
    folder: Path,
    name: str,
    init: datetime,
    lead: int,
    state: np.ndarray,
    channels: ChannelTable,
    grid: Grid,
) -> Path:
    """Write the fields of a step, and their index.

    Parameters
    ----------
    folder : Path
        Base of the archive.
    name : str
        Path of the file below it.
    init : datetime
        Initial time, UTC.
    lead : int
        Lead in hours.
    state : np.ndarray
        ``(channel, lat, lon)`` in the channels' units, precipitation since the start in mm.
    channels : ChannelTable
        The channels.
    grid : Grid
        A grid with rows on the poles.

    Returns
    -------
    Path
        The file; its index has the suffix ``.index``.
    """
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.stem.rsplit("-", 2)[1]
    lines = []
    start = {"dataDate": int(f"{init:%Y%m%d}"), "dataTime": 100 * init.hour}
    with open(path, "wb") as file:
        for channel in channels:
            parameter, level, values = _in_open_data(channel, state, channels)
            first = file.tell()
            step = {"stepRange": f"0-{lead}"} if parameter == "tp" else {"forecastTime": lead}
            message = _step_message(grid, parameter, level)
            message.write(file, np.roll(values, grid.nlon // 2, axis=1), start | step)
            entry = {"domain": "g", "date": f"{init:%Y%m%d}", "time": f"{init:%H%M}"}
            entry |= {"expver": "0001", "class": "od", "type": "fc", "stream": stream}
            entry |= {"step": str(lead), "levtype": "sfc" if level is None else "pl"}
            entry |= {} if level is None else {"levelist": str(level)}
            entry |= {"param": parameter, "_offset": first, "_length": file.tell() - first}
            lines.append(json.dumps(entry))
    path.with_suffix(".index").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
