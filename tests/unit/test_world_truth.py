"""The truth's stores: what is written is read, times in order, blocks, shards, unknown times."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import xarray as xr
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.world import truth as module
from fuxiflow.world.truth import Truth, TruthWriter

GRID = Grid(5, 8, poles=True)
CHANNELS = channel_table().select(["T500", "U500", "MSL"])
STATIC = {
    "land_fraction": np.full(GRID.shape, 0.25),
    "surface_geopotential": np.full(GRID.shape, 98.0),
}


def fields(i):
    """Fields of step ``i``, each told apart by its value."""
    plane = np.ones(GRID.shape)
    return {
        "T500": 250.0 + i * plane,
        "U500": -i * plane,
        "MSL": 1.0e5 + i * plane,
        "surface_pressure": 9.0e4 + i * plane,
        "skin_temperature": 280.0 + i * plane,
        "specific_humidity": 0.001 * np.ones((1, *GRID.shape)),
    }


def write(path, start, count, upto=None):
    times = [start + timedelta(hours=6 * i) for i in range(count)]
    with TruthWriter(path, times, GRID, STATIC, CHANNELS) as writer:
        for i, time in enumerate(times[:upto]):
            writer.write(time, fields(i))
    return times


def test_round_trip_over_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(module, "SHARD", 4)
    times = write(tmp_path / "a.zarr", datetime(2022, 1, 1), 11)
    truth = Truth([tmp_path / "a.zarr"])
    assert truth.times == times
    assert truth.grid == GRID
    for i, time in enumerate(times):
        read = truth.read(time, ["T500", "U500", "specific_humidity"])
        np.testing.assert_allclose(read["T500"], 250.0 + i)
        np.testing.assert_allclose(read["U500"], -i)
        np.testing.assert_allclose(read["specific_humidity"], 0.001, rtol=1e-4)
    np.testing.assert_allclose(truth.static("land_fraction"), 0.25)


def test_large_fields_have_fewer_times_together(tmp_path, monkeypatch):
    assert module.times_together(Grid(49, 96, poles=True)) == (16, 128)
    # at the paper's size all variables of a shard are a gigabyte, those of 128 times were 45
    chunk, shard = module.times_together(Grid(721, 1440, poles=True))
    assert (chunk, shard) == (1, 4)
    monkeypatch.setattr(module, "CHUNK_BYTES", 3 * 4 * GRID.nlat * GRID.nlon)
    monkeypatch.setattr(module, "SHARD_BYTES", 8 * 4 * GRID.nlat * GRID.nlon)
    assert module.times_together(GRID) == (3, 6)
    times = write(tmp_path / "a.zarr", datetime(2022, 1, 1), 11)
    stored = zarr.open_group(tmp_path / "a.zarr")["T500"]
    assert (stored.chunks[0], stored.shards[0]) == (3, 6)
    monkeypatch.undo()
    truth = Truth([tmp_path / "a.zarr"])
    for i, time in enumerate(times):
        np.testing.assert_allclose(truth.read(time, ["T500"])["T500"], 250.0 + i)


def test_rounding_is_below_what_grib_keeps(tmp_path):
    write(tmp_path / "a.zarr", datetime(2022, 1, 1), 1)
    with TruthWriter(tmp_path / "b.zarr", [datetime(2022, 1, 1)], GRID, STATIC, CHANNELS) as writer:
        values = fields(0) | {"T500": np.linspace(200.0, 300.0, 40).reshape(GRID.shape)}
        writer.write(datetime(2022, 1, 1), values)
    read = Truth([tmp_path / "b.zarr"]).read(datetime(2022, 1, 1), ["T500"])["T500"]
    assert np.abs(read - values["T500"]).max() <= 2**-8 + 1e-5


def test_neighbouring_segments_share_a_time(tmp_path):
    write(tmp_path / "a.zarr", datetime(2022, 1, 1), 5)
    write(tmp_path / "b.zarr", datetime(2022, 1, 2), 5)
    truth = Truth([tmp_path / "a.zarr", tmp_path / "b.zarr"])
    assert len(truth.times) == 9
    np.testing.assert_allclose(truth.read(datetime(2022, 1, 2), ["T500"])["T500"], 254.0)
    np.testing.assert_allclose(truth.read(datetime(2022, 1, 2, 6), ["T500"])["T500"], 251.0)


def test_unknown_time_names_the_span(tmp_path):
    write(tmp_path / "a.zarr", datetime(2022, 1, 1), 2)
    with pytest.raises(KeyError, match="2022-01-01 00:00:00 to 2022-01-01 06:00:00"):
        Truth([tmp_path / "a.zarr"]).read(datetime(2023, 1, 1), ["T500"])


def test_times_must_come_in_order_and_whole(tmp_path):
    times = [datetime(2022, 1, 1), datetime(2022, 1, 1, 6)]
    with (
        pytest.raises(ValueError, match="not the next time"),
        TruthWriter(tmp_path / "a.zarr", times, GRID, STATIC, CHANNELS) as writer,
    ):
        writer.write(times[1], fields(0))
    with pytest.raises(ValueError, match="1 times were not written"):
        write(tmp_path / "b.zarr", datetime(2022, 1, 1), 3, upto=2)


def test_opens_with_plain_xarray(tmp_path):
    times = write(tmp_path / "a.zarr", datetime(2022, 1, 1), 3)
    with xr.open_dataset(tmp_path / "a.zarr", engine="zarr", consolidated=False) as dataset:
        np.testing.assert_array_equal(dataset.time.values, np.array(times, "datetime64[ns]"))
        assert dataset.T500.attrs["units"] == "K"
        assert dataset.lat.attrs["standard_name"] == "latitude"
        assert "provenance" in dataset.attrs
