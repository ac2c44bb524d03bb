"""Publish ERA5 and GFS of the embedded world as WeatherBench2 lays out ERA5 and forecasts.

Raw files are decoded as any run decodes them, to the grid of the networks: WeatherBench2 has its
stores on coarse grids too, regridded conservatively. GFS stands for HRES, its analyses for those of
HRES, and the same forecasts for others of WeatherBench2, in the layouts that those have.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.config.base import Period
from fuxiflow.config.configuration import Config
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Assembler, Ledger
from fuxiflow.states.climatology import HOURS, YEAR, Climatology
from fuxiflow.states.climatology_merge import merge_parts
from fuxiflow.states.climatology_parts import write_part
from fuxiflow.states.decoding import (
    decode_analyses,
    decode_forecasts,
    list_grib_files,
    read_invariants,
)
from fuxiflow.states.grib import GribReader
from fuxiflow.states.public_climatology import LEAP_YEAR, taken_channels
from fuxiflow.states.public_stores import PublicFields
from fuxiflow.states.public_writer import PublicLayout, PublicStoreWriter, public_fields
from fuxiflow.times import STEP_HOURS, as_datetime64, hours, times

LOG = logging.getLogger("fuxiflow")
ERA5 = "era5/1959-2023_01_10-6h-{grid}_equiangular_conservative.zarr"
HRES = "hres/2016-2022-0012-{grid}_equiangular_conservative.zarr"
HRES_ANALYSES = "hres_t0/2016-2022-6h-{grid}_equiangular_conservative.zarr"
FUXI = "fuxi/2020-{grid}_equiangular_conservative.zarr"
PANGU = "pangu/2018-2022_0012_{grid}_equiangular_conservative.zarr"
GRAPHCAST = (
    "graphcast/2020/date_range_2019-11-16_2021-02-01_12_hours-{grid}_equiangular_conservative.zarr"
)
CLIMATOLOGY = "era5-hourly-climatology/1990-2019_6h_{grid}_equiangular_conservative.zarr"
LAYOUTS = {
    # a chunk of a coarse grid has many times
    ERA5: PublicLayout(chunk_times=100, northwards=False),
    HRES_ANALYSES: PublicLayout(chunk_times=4),
    HRES: PublicLayout(),
    FUXI: PublicLayout(lead_unit="nanoseconds", northwards=False),
    PANGU: PublicLayout(chunk_times=2),
    GRAPHCAST: PublicLayout(short_names=True),
    CLIMATOLOGY: PublicLayout(chunk_times=61, northwards=False, climatology=True),
}
"""Layouts of the stores, by their paths; which store has which is of no account but that they
differ."""
FORECASTS = (HRES, FUXI, PANGU, GRAPHCAST)


def publish_states(config: Config, raw: Path, target: Path) -> None:
    """Publish ERA5, its climatology, and analyses and forecasts of GFS.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    raw : Path
        Its raw files.
    target : Path
        What ``weatherbench2/datasets`` stands for.
    """
    period = Period(start=config.periods.training.start, end=config.verification_period.end)
    table = channel_table()
    _publish_analyses(config, raw / "era5", period, ERA5, table, target)
    verified = config.verification_period
    _publish_analyses(config, raw / "gfs", verified, HRES_ANALYSES, table.analysed, target)
    _publish_forecasts(config, raw / "gfs", target)
    _publish_climatology(config, target)


def _grid(config: Config) -> Grid:
    """Return the grid of the stores."""
    return Grid(**config.grid.model_dump())


def _writer(
    store: str,
    target: Path,
    grid: Grid,
    moments: list[datetime],
    lead_hours: list[int] | None = None,
) -> PublicStoreWriter:
    """Return the writer of a store.

    Parameters
    ----------
    store : str
        Its path, a key of :data:`LAYOUTS`.
    target : Path
        Where stores lie.
    grid : Grid
        Their grid.
    moments : list of datetime
        Valid times, or initial times of forecasts.
    lead_hours : list of int, optional
        Leads of forecasts.

    Returns
    -------
    PublicStoreWriter
        The writer.
    """
    path = target / store.format(grid=f"{grid.nlon}x{grid.nlat}")
    title = f"fuxiflow embedded world: synthetic, in the layout of {path.relative_to(target)}"
    levels = channel_table().pressure_levels
    return PublicStoreWriter(path, grid, moments, levels, lead_hours, LAYOUTS[store], title)


def _publish_analyses(
    config: Config, raw: Path, period: Period, store: str, channels: ChannelTable, target: Path
) -> None:
    """Publish the analyses of a period, and with ERA5 the fields that do not change.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    raw : Path
        Raw files of ERA5 or GFS, a folder a segment.
    period : Period
        The days.
    store : str
        Path of the store.
    channels : ChannelTable
        What the analyses hold.
    target : Path
        Where stores lie.
    """
    grid = _grid(config)
    moments = times(period.start, period.end)
    states = progress(
        _analyses(config, raw, period, channels), f"publish {raw.name}", LOG, total=len(moments)
    )
    with _writer(store, target, grid, moments) as writer:
        first = 0
        while block := list(islice(states, LAYOUTS[store].chunk_times)):
            writer.write(first, public_fields(np.stack(block), channels))
            first += len(block)
        if store == ERA5:
            invariants = read_invariants(raw / "invariants", grid)
            writer.write_invariant("geopotential_at_surface", invariants["surface_geopotential"])
            writer.write_invariant("land_sea_mask", invariants["land_fraction"])


def _analyses(
    config: Config, raw: Path, period: Period, channels: ChannelTable
) -> Iterator[np.ndarray]:
    """Decode the analyses of a period one by one.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    raw : Path
        Raw files of ERA5 or GFS, a folder a segment.
    period : Period
        The days.
    channels : ChannelTable
        What the analyses hold.

    Yields
    ------
    np.ndarray
        ``(channel, lat, lon)``.
    """
    for segment in config.segments(period):
        assembler = Assembler(GribReader(channels, raw.name), _grid(config), Ledger())
        paths = list_grib_files(raw / segment, analyses_only=True)
        yield from _whole(
            decode_analyses(assembler, paths, times(*config.clip(segment, period))),
            assembler.ledger,
        )


def _whole(states: Iterable[np.ndarray | None], ledger: Ledger) -> Iterator[np.ndarray]:
    """Yield states; ValueError with the ledger's reasons where one is missing."""
    for state in states:
        if state is None:
            raise ValueError(f"a state of the embedded world is missing: {ledger.first_reasons()}")
        yield state


def _publish_climatology(config: Config, target: Path) -> None:
    """Publish the climatology of the ERA5 of training that is published, without precipitation.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    target : Path
        Where stores lie, ERA5 among them.
    """
    grid = _grid(config)
    channels = taken_channels(channel_table().analysed)
    published = target / ERA5.format(grid=f"{grid.nlon}x{grid.nlat}")
    fields, ledger = PublicFields(published, channels, grid), Ledger()
    training = as_datetime64(times(config.periods.training.start, config.periods.training.end))

    def read(time: np.datetime64) -> np.ndarray:
        return next(_whole(fields.read(time, [0], ledger), ledger))

    with TemporaryDirectory() as folder:
        part, whole = Path(folder) / "part.zarr", Path(folder) / "whole.zarr"
        width = config.verification.climatology_window_days
        write_part(part, training, read, channels, grid, width, LOG)
        merge_parts(whole, [part], LOG)
        climatology = Climatology.read(whole)
        days = [datetime(LEAP_YEAR, 1, 1) + timedelta(days=day) for day in range(YEAR)]
        with _writer(CLIMATOLOGY, target, grid, days, list(HOURS)) as writer:
            size = LAYOUTS[CLIMATOLOGY].chunk_times
            for first in range(0, YEAR, size):
                means = np.stack(
                    [
                        [climatology.at(day + timedelta(hours=hour)) for hour in HOURS]
                        for day in days[first : first + size]
                    ]
                )
                writer.write(first, public_fields(means, channels))


def _publish_forecasts(config: Config, raw: Path, target: Path) -> None:
    """Publish the forecasts of GFS in all layouts of :data:`FORECASTS`.

    Parameters
    ----------
    config : Config
        The configuration of the embedded world.
    raw : Path
        Raw files of GFS, a folder a segment.
    target : Path
        Where stores lie.
    """
    grid, channels, test = _grid(config), channel_table(), config.periods.test
    leads = list(range(0, config.cycling.max_lead_hours + 1, STEP_HOURS))
    parts = []
    for segment in config.segments(test):
        first, last = (times(day, day)[0] for day in config.clip(segment, test))
        assembler = Assembler(GribReader(channels, "gfs"), grid, Ledger())
        paths = list_grib_files(raw / segment)
        inits, states = decode_forecasts(
            assembler, paths, config.cycling.init_hours, first, last + hours(18), leads
        )
        parts.append((inits, _whole((state for *_, state in states), assembler.ledger)))
    every_init = [init for inits, _ in parts for init in inits]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(_writer(store, target, grid, every_init, leads))
            for store in FORECASTS
        ]
        states = chain.from_iterable(states for _, states in parts)
        for number, _ in enumerate(progress(every_init, "publish forecasts", LOG)):
            forecast = public_fields(np.stack(list(islice(states, len(leads)))), channels)
            for writer in writers:
                writer.write(number, {name: values[None] for name, values in forecast.items()})
