"""States that are published in WeatherBench2's layout are read again as they were."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.public_stores import PublicFields
from fuxiflow.states.public_writer import PublicLayout, PublicStoreWriter, public_fields
from fuxiflow.world import public_states
from tests.support import tiny

TIMES = [datetime(2020, 1, 1) + timedelta(hours=12 * step) for step in range(3)]
LEADS = [0, 6]
STATES = tiny.states(6).reshape(3, 2, len(channel_table()), *tiny.GRID.shape)


def write(path, layout, lead_hours=LEADS):
    channels, levels = channel_table(), channel_table().pressure_levels
    with PublicStoreWriter(path, tiny.GRID, TIMES, levels, lead_hours, layout, "") as writer:
        for first in range(0, 3, layout.chunk_times):
            block = STATES[first : first + layout.chunk_times]
            writer.write(first, public_fields(block if lead_hours else block[:, 0], channels))
    return path


def read(path, lead_hours=LEADS):
    fields, ledger = PublicFields(path, channel_table(), tiny.GRID), Ledger()
    assert fields.channels.names == channel_table().names
    return np.stack([list(fields.read(time, lead_hours, ledger)) for time in TIMES])


def assert_same(one, other):
    for position, channel in enumerate(channel_table()):
        here, there = one[..., position, :, :], other[..., position, :, :]
        largest = np.abs(here).max()
        np.testing.assert_allclose(there, here, 0, 2e-6 * largest, err_msg=channel.name)


OF_TIMES = [layout for layout in public_states.LAYOUTS.values() if not layout.climatology]


@pytest.mark.parametrize("layout", OF_TIMES)
def test_forecasts_come_back(tmp_path, layout):
    assert_same(STATES, read(write(tmp_path / "store.zarr", layout)))


def test_analyses_come_back(tmp_path):
    path = write(tmp_path / "store.zarr", PublicLayout(chunk_times=2), lead_hours=None)
    assert_same(STATES[:, :1], read(path, [0]))


def test_a_store_is_laid_out_as_the_public_ones(tmp_path):
    path = write(tmp_path / "store.zarr", PublicLayout(short_names=True))
    assert (path / ".zmetadata").is_file()
    group = zarr.open_group(path, mode="r", zarr_format=2)
    dimensions = ["time", "prediction_timedelta", "level", "lon", "lat"]
    assert group["temperature"].attrs["_ARRAY_DIMENSIONS"] == dimensions
    assert group["temperature"].chunks[:2] == (1, 2)
    assert list(group["level"][:]) == sorted(channel_table().pressure_levels)
    assert "relative_humidity" not in group
    assert group["total_precipitation_6hr"].attrs["units"] == "m"
    assert np.all(np.diff(group["lat"][:]) > 0)


def test_an_interrupted_store_is_none(tmp_path):
    with (
        pytest.raises(RuntimeError),
        PublicStoreWriter(
            tmp_path / "store.zarr", tiny.GRID, TIMES, [500], None, PublicLayout(), ""
        ),
    ):
        raise RuntimeError
    assert not (tmp_path / "store.zarr" / ".zmetadata").exists()
