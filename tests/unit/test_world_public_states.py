"""The climatology that is published is that of the published reanalysis, and is read again."""

import logging
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import numpy as np

from fuxiflow.channels import channel_table
from fuxiflow.config.base import GridSize, Period
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.climatology import HOURS
from fuxiflow.states.public_climatology import PublicClimatology, taken_channels
from fuxiflow.states.public_writer import PublicStoreWriter, public_fields
from fuxiflow.times import times
from fuxiflow.world import public_states
from tests.support import tiny


def test_the_climatology_is_of_the_reanalysis_that_is_published(tmp_path):
    days = date(2019, 12, 1), date(2019, 12, 2)
    moments, channels = times(*days), channel_table().analysed
    # the same weather at each hour, and other weather at other hours
    by_hour = tiny.states(4)[:, [channel_table().index(name) for name in channels.names]]
    states = np.concatenate([by_hour, by_hour])
    config = SimpleNamespace(
        grid=GridSize(nlat=tiny.GRID.nlat, nlon=tiny.GRID.nlon),
        periods=SimpleNamespace(training=Period(start=days[0], end=days[1])),
        verification=SimpleNamespace(climatology_window_days=9),
    )
    grid = f"{tiny.GRID.nlon}x{tiny.GRID.nlat}"
    layout, levels = public_states.LAYOUTS[public_states.ERA5], channel_table().pressure_levels
    era5 = tmp_path / public_states.ERA5.format(grid=grid)
    with PublicStoreWriter(era5, tiny.GRID, moments, levels, None, layout, "") as writer:
        writer.write(0, public_fields(states, channels))
    logging.getLogger("fuxiflow").setLevel(logging.WARNING)
    public_states._publish_climatology(config, tmp_path)
    store = tmp_path / public_states.CLIMATOLOGY.format(grid=grid)
    taken = taken_channels(channels)
    fields = PublicClimatology(store, taken, tiny.GRID)
    assert fields.channels.names == taken.names
    places = [channels.index(name) for name in taken.names]
    # days that no state reaches have the nearest mean
    for day in (datetime(2000, 12, 1), datetime(2000, 6, 1) + timedelta(days=1)):
        for state, mean in zip(fields.read(day, HOURS, Ledger()), by_hour, strict=True):
            np.testing.assert_allclose(state, mean[places], rtol=2e-4, atol=2e-2)
