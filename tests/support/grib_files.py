"""Small GRIB files for tests, of random but credible fields, written with ecCodes alone."""

from datetime import datetime, timedelta
from pathlib import Path

import eccodes
import numpy as np

from fuxiflow.channels import Channel, ChannelTable, channel_table
from fuxiflow.grids import Grid

GRID = Grid(7, 12, poles=True)


def values(channel: Channel, seed: int = 0, grid: Grid = GRID) -> np.ndarray:
    """A random field inside the middle half of the valid range, in the state's unit."""
    span = channel.valid_max - channel.valid_min
    random = np.random.default_rng([seed, sum(channel.name.encode())]).random(grid.shape)
    return channel.valid_min + span * (0.25 + 0.5 * random)


def encode(edition: int, field: np.ndarray, keys: dict, grid: Grid = GRID, bits: int = 16) -> bytes:
    """A message of a field ``(lat, lon)`` on a grid, NaN as missing."""
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_sfc_grib{edition}")
    lat, lon = grid.lat, grid.lon
    layout = {
        "Ni": grid.nlon,
        "Nj": grid.nlat,
        "latitudeOfFirstGridPointInDegrees": lat[0],
        "latitudeOfLastGridPointInDegrees": lat[-1],
        "longitudeOfFirstGridPointInDegrees": lon[0],
        "longitudeOfLastGridPointInDegrees": lon[-1],
        "iDirectionIncrementInDegrees": 360.0 / grid.nlon,
        "jDirectionIncrementInDegrees": lat[0] - lat[1],
        "bitsPerValue": bits,
    }
    try:
        for key, value in (layout | keys).items():
            eccodes.codes_set(
                handle,
                key,
                value
                if isinstance(value, str)
                else float(value)
                if isinstance(value, float)
                else int(value),
            )
        missing = np.isnan(field)
        if missing.any():
            eccodes.codes_set(handle, "bitmapPresent", 1)
            eccodes.codes_set(handle, "missingValue", 1e30)
        eccodes.codes_set_values(handle, np.where(missing, 1e30, field).ravel())
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def era5(
    channel: Channel,
    time: datetime,
    field: np.ndarray,
    span: int = 6,
    grid: Grid = GRID,
    bits: int = 16,
    **keys,
) -> bytes:
    """An ERA5 message valid at ``time``.

    Precipitation is that of ``span`` hours, from the forecasts of 06 and 18 UTC.
    """
    more = {"centre": "ecmf", "marsClass": "ea"}
    if not channel.analysed:
        # the last forecast of 06 or 18 UTC that starts before the span does
        begin = time - timedelta(hours=span)
        init = (begin - timedelta(hours=6)).replace(minute=0)
        init = begin - timedelta(hours=(init.hour % 12))
        step = int((time - init).total_seconds()) // 3600
        more |= {
            "indicatorOfParameter": 228,
            "timeRangeIndicator": 4,
            "P1": step - span,
            "P2": step,
        }
    else:
        init = time
        more |= {"indicatorOfParameter": channel.era5_param}
    more |= {
        "table2Version": 128,
        "dataDate": int(f"{init:%Y%m%d}"),
        "dataTime": int(f"{init:%H%M}"),
        "indicatorOfTypeOfLevel": 100 if channel.level else 1,
        "level": channel.level or 0,
    }
    return encode(1, field / channel.era5_scale, more | keys, grid, bits)


def gfs(channel: Channel, init: datetime, lead: int, field: np.ndarray, **keys) -> bytes:
    """A GFS message; precipitation is that of the last 6 hours."""
    pressure = channel.gfs_surface == 100
    more = {
        "centre": "kwbc",
        "dataDate": int(f"{init:%Y%m%d}"),
        "dataTime": int(f"{init:%H%M}"),
        "discipline": channel.gfs_discipline,
        "productDefinitionTemplateNumber": 0 if channel.analysed else 8,
        "parameterCategory": channel.gfs_category,
        "parameterNumber": channel.gfs_number,
        "typeOfFirstFixedSurface": channel.gfs_surface,
        "scaleFactorOfFirstFixedSurface": 0,
        "scaledValueOfFirstFixedSurface": channel.gfs_level * (100 if pressure else 1),
    }
    if channel.analysed:
        more |= {"forecastTime": lead}
    else:
        more |= {"typeOfStatisticalProcessing": 1, "stepRange": f"{lead - 6}-{lead}"}
    return encode(2, field / channel.gfs_scale, more | keys)


def write_era5(
    directory: Path,
    times: list[datetime],
    channels: ChannelTable | None = None,
    span: int = 6,
    seed: int = 0,
    **keys,
) -> None:
    """Two files of some times, fields seeded by ``seed`` and the time's position.

    They are ``pressure_levels.grib`` and ``single_levels.grib``. ``keys`` are of all messages.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (
        open(directory / "pressure_levels.grib", "wb") as levels,
        open(directory / "single_levels.grib", "wb") as single,
    ):
        for number, time in enumerate(times, seed):
            for channel in channels or channel_table():
                field = values(channel, number) / (1 if channel.analysed else 100)
                if channel.analysed or span == 6:
                    message = era5(channel, time, field, **keys)
                    (levels if channel.level else single).write(message)
                    continue
                for hour in range(6 // span):
                    single.write(
                        era5(channel, time - timedelta(hours=span * hour), field * span / 6, span)
                    )


def write_gfs(
    directory: Path, init: datetime, leads: list[int], channels: ChannelTable | None = None
) -> None:
    """One file for each lead, named as NCEP does."""
    folder = directory / f"gfs.{init:%Y%m%d}" / f"{init:%H}" / "atmos"
    folder.mkdir(parents=True, exist_ok=True)
    for lead in leads:
        messages = [
            gfs(channel, init, lead, values(channel, lead) / (1 if channel.analysed else 100))
            for channel in channels or channel_table()
            if channel.analysed or lead
        ]
        (folder / f"gfs.t{init:%H}z.pgrb2.1p00.f{lead:03d}").write_bytes(b"".join(messages))
