"""Forecasts in the layout of ECMWF's open data become a system in WeatherBench2's layout."""

import logging
from datetime import datetime

import numpy as np
import pytest

from fuxiflow.archive.open_data import fetch_open_data, fields_of_stores, step_paths
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import OpenDataArchive
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.grib_messages import GribError
from fuxiflow.states.open_data import write_open_data
from fuxiflow.states.public_stores import PublicFields
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.world.writers.open_data import write_open_data_forecast
from tests.support import grib_files

INITS = [datetime(2024, 3, 1), datetime(2024, 3, 1, 12)]
LEADS = [6, 12]
CHANNELS = channel_table().select(["Z500", "Z850", "T500", "T850", "R850", "U500", "MSL", "TP"])
GRID = Grid(6, 12)
STEP_RAIN = {6: 2.0, 12: 5.0}


def state(init, lead):
    """Return a state; its precipitation in mm is that of six hours."""
    fields = [grib_files.values(channel, lead + init.hour) for channel in CHANNELS]
    fields[CHANNELS.index("TP")] = np.full(grib_files.GRID.shape, STEP_RAIN[lead])
    # where humidity is linear in what the files have, whatever the grid
    fields[CHANNELS.index("T850")] = np.full(grib_files.GRID.shape, 280.0)
    return np.stack(fields)


def since_start(init, lead):
    whole = state(init, lead)
    whole[CHANNELS.index("TP")] = sum(rain for step, rain in STEP_RAIN.items() if step <= lead)
    return whole


@pytest.fixture
def served(server, tmp_path):
    archive = OpenDataArchive(url=server.url)
    folder = tmp_path / "served"
    for init in INITS:
        for lead in LEADS:
            name = step_paths(archive, init, lead)[0]
            fields = since_start(init, lead)
            path = write_open_data_forecast(
                folder, name, init, lead, fields, CHANNELS, grib_files.GRID
            )
            for one in (path, path.with_suffix(".index")):
                server.files[str(one.relative_to(folder))] = one.read_bytes()
    return archive


def fetch(archive, tmp_path):
    return fetch_open_data(
        archive, INITS, LEADS, fields_of_stores(CHANNELS), logging.getLogger(), tmp_path / "store"
    )


def test_forecasts_from_the_mirror_are_those_that_were_written(served, tmp_path):
    store = write_open_data(fetch(served, tmp_path), tmp_path / "hres.zarr", GRID, "test")
    fields, ledger = PublicFields(store, CHANNELS, GRID), Ledger()
    assert {*fields.channels.names} == {*CHANNELS.names}
    assert fields.lead_hours == LEADS
    source = SourceGrid.of(grib_files.GRID)
    for init in INITS:
        for lead, read in zip(LEADS, fields.read(init, LEADS, ledger), strict=True):
            there = regrid(state(init, lead).astype(np.float32), source, GRID)
            for channel in CHANNELS:
                one = read[fields.channels.index(channel.name)]
                other = there[CHANNELS.index(channel.name)]
                # 16 bits of a field, humidity of two
                span = channel.valid_max - channel.valid_min
                loose = 0.02 if channel.variable == "relative_humidity" else 3e-5
                np.testing.assert_allclose(one, other, 0, loose * span, err_msg=channel.name)


def test_channels_on_other_levels_than_a_variable_has_are_none(served, tmp_path):
    fields = ["geopotential 500", "temperature 500", "temperature 850"]
    paths = fetch_open_data(served, INITS, LEADS, fields, logging.getLogger(), tmp_path / "store")
    store = write_open_data(paths, tmp_path / "hres.zarr", GRID, "test")
    # asked for all channels: Z850 would be missing in every state
    read = PublicFields(store, CHANNELS, GRID)
    assert {*read.channels.names} == {"Z500", "T500", "T850"}
    assert all(state is not None for state in read.read(INITS[0], LEADS, Ledger()))


def test_what_is_absent_is_missing(served, tmp_path):
    paths = fetch(served, tmp_path)
    del paths[INITS[0], 6]
    store = write_open_data(paths, tmp_path / "hres.zarr", GRID, "test")
    fields, ledger = PublicFields(store, CHANNELS, GRID), Ledger()
    # without the step before nobody knows what fell in the last six hours
    assert [one is None for one in fields.read(INITS[0], LEADS, ledger)] == [True, True]
    assert [one is None for one in fields.read(INITS[1], LEADS, ledger)] == [False, False]


def test_damage_and_other_times_are_named(served, tmp_path):
    paths = fetch(served, tmp_path)
    one = paths[INITS[0], 6]
    with pytest.raises(GribError, match=rf"{one.name}.*it is of 2024-03-01 00:00:00 \+ 6 h.*fetch"):
        write_open_data(paths | {(INITS[0], 12): one}, tmp_path / "hres.zarr", GRID, "test")
    cut = tmp_path / "cut.grib2"
    cut.write_bytes(one.read_bytes()[:-9])
    with pytest.raises(GribError, match=r"cut\.grib2.*fetch it again"):
        write_open_data({(INITS[0], 6): cut}, tmp_path / "hres.zarr", GRID, "test")
    assert not list(tmp_path.glob("*.zarr"))


def test_fields_that_change_on_the_way_are_named(served, tmp_path):
    paths = fetch(served, tmp_path)
    few = fetch_open_data(
        served, INITS, LEADS, ["temperature 500"], logging.getLogger(), tmp_path / "store"
    )
    later = INITS[1], 12
    with pytest.raises(GribError, match=r"it has no .*geopotential 850.*two stores"):
        write_open_data(paths | {later: few[later]}, tmp_path / "hres.zarr", GRID, "test")
