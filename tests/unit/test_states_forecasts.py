import tracemalloc

import numpy as np
import pytest
import xarray as xr
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.completeness import IncompleteError
from fuxiflow.cycling.forecasts import write_leads
from fuxiflow.grids import Grid
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.storage.verification import check_product
from fuxiflow.storage.zarr_stores import open_store

GRID = Grid(4, 8)
CHANNELS = channel_table().select(["Z500", "Z850", "T850", "T2M", "TP"])
INITS = np.datetime64("2023-01-01", "ns") + np.arange(3) * np.timedelta64(12, "h")
LEADS = [0, 6, 12, 18]
# in steps of 2**-10: stored as they are
VALUES = np.random.default_rng(0).normal(size=(3, 4, 5, 4, 8))
VALUES = (np.rint(VALUES * 1024) / 1024).astype(np.float32)


def write(path, inits=range(3), **options):
    with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, **options) as writer:
        for i in inits:
            for j in range(4):
                writer.write(i, j, VALUES[i, j])
    return path


def test_what_is_missing_stays_missing(tmp_path):
    channels = channel_table().select(["TP", "Z500"])
    values = np.full_like(VALUES[0, 0][:2], 55000.3)
    values[0, 1, 2] = np.nan
    with ForecastWriter(tmp_path / "a.zarr", INITS[:1], LEADS[:1], channels, GRID) as writer:
        writer.write(0, 0, values)
    field = Forecasts([tmp_path / "a.zarr"]).read(INITS[0], 0)
    assert np.argwhere(np.isnan(field)).tolist() == [[0, 1, 2]]
    assert field[1, 0, 0] == np.float32(55000.3)


def test_round_trip(tmp_path):
    forecasts = Forecasts([write(tmp_path / "a.zarr")])
    assert forecasts.channels == CHANNELS
    assert forecasts.grid == GRID
    assert forecasts.lead_hours == LEADS
    np.testing.assert_array_equal(forecasts.init_times, INITS)
    for i in (0, 2, 1):
        np.testing.assert_array_equal(forecasts.read_init(INITS[i]), VALUES[i])
        np.testing.assert_array_equal(forecasts.read(INITS[i], 12), VALUES[i, 2])
    np.testing.assert_array_equal(
        forecasts.read_many([(INITS[0], 6), (INITS[2], 0)]), VALUES[[0, 2], [1, 0]]
    )


def test_leads_may_come_in_any_order(tmp_path):
    with ForecastWriter(tmp_path / "a.zarr", INITS, LEADS, CHANNELS, GRID) as writer:
        for j in (3, 0, 2, 1):
            for i in range(3):
                writer.write(i, j, VALUES[i, j])
    forecasts = Forecasts([tmp_path / "a.zarr"])
    np.testing.assert_array_equal(np.stack([forecasts.read_init(init) for init in INITS]), VALUES)


def test_opens_with_plain_xarray_in_the_names_of_weatherbench(tmp_path, recwarn):
    write(tmp_path / "a.zarr")
    with xr.open_zarr(tmp_path / "a.zarr") as data:
        assert data.geopotential.dims == (
            "time",
            "prediction_timedelta",
            "level",
            "latitude",
            "longitude",
        )
        assert set(data.data_vars) == {
            "geopotential",
            "temperature",
            "2m_temperature",
            "total_precipitation_6hr",
        }
        np.testing.assert_array_equal(data.time, INITS)
        assert data.prediction_timedelta.dtype.kind == "m"
        point = data.sel(time=INITS[1], prediction_timedelta=np.timedelta64(12, "h"))
        np.testing.assert_array_equal(point.geopotential.sel(level=850), VALUES[1, 2, 1])
        np.testing.assert_array_equal(point["2m_temperature"], VALUES[1, 2, 3])
        assert np.isnan(point.temperature.sel(level=500)).all()
        assert data.geopotential.attrs["units"] == "m2 s-2"
    assert not recwarn.list


def test_missing_leads_and_times_raise_with_what_is_there(tmp_path):
    writer = ForecastWriter(tmp_path / "a.zarr", INITS, LEADS, CHANNELS, GRID)
    for j in range(4):
        writer.write(0, j, None if j == 2 else VALUES[0, j])
    writer.write(1, 0, VALUES[1, 0])
    with pytest.raises(ValueError, match=r"of 2 initial times fields never came"):
        writer.close()
    forecasts = Forecasts([tmp_path / "a.zarr"])
    assert forecasts.init_times.tolist() == INITS[:1].tolist()
    assert np.isnan(forecasts.read_init(INITS[0])[2]).all()
    assert forecasts.available(INITS[0], 6)
    assert not forecasts.available(INITS[0], 12)
    with pytest.raises(KeyError, match=r"2023-01-01T00:00:00 \+ 12 h in .*a\.zarr"):
        forecasts.read(INITS[0], 12)
    with pytest.raises(KeyError, match=r"leads 0 \.\. 18 h"):
        forecasts.read(INITS[0], 24)
    with pytest.raises(KeyError, match="2023-01-01T12:00:00"):
        forecasts.read_init(INITS[1])


def test_an_interrupted_store_is_continued(tmp_path):
    path = tmp_path / "a.zarr"

    def interrupted():
        with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID) as writer:
            for j in range(4):
                writer.write(0, j, VALUES[0, j])
            writer.write(1, 0, VALUES[1, 0])
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        interrupted()
    with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, resume=True) as writer:
        assert [writer.done(i) for i in range(3)] == [True, False, False]
        for i in (1, 2):
            for j in range(4):
                writer.write(i, j, VALUES[i, j])
        assert writer.done(2)
    forecasts = Forecasts([path])
    np.testing.assert_array_equal(np.stack([forecasts.read_init(init) for init in INITS]), VALUES)
    with pytest.raises(ValueError, match="cannot be continued"):
        ForecastWriter(path, INITS, LEADS[:2], CHANNELS, GRID, resume=True)


@pytest.mark.parametrize("harm", ["lost", "empty", "metadata", "missing"])
def test_forecasts_that_are_gone_are_made_again(tmp_path, harm, caplog):
    path = tmp_path / "a.zarr"
    write(path)
    files = [file for file in path.rglob("c/1/*") if file.parent.name == "1"]
    assert files
    for name in {file.parents[2] for file in files}:
        for file in [one for one in (name / "c" / "1").rglob("*") if one.is_file()][:1]:
            if harm == "lost":
                file.unlink()
            elif harm == "empty":
                file.write_bytes(b"")
        break
    if harm == "metadata":
        (path / "zarr.json").write_text("")
    with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, resume=True) as writer:
        todo = [i for i in range(3) if not writer.done(i)]
        assert todo == {"missing": [], "metadata": [0, 1, 2]}.get(harm, [1])
        for i in todo:
            for j in range(4):
                writer.write(i, j, VALUES[i, j])
    assert (str(path) in caplog.text) == (harm != "missing")
    forecasts = Forecasts([path])
    np.testing.assert_array_equal(np.stack([forecasts.read_init(init) for init in INITS]), VALUES)


def test_stores_must_exist_and_agree(tmp_path):
    write(tmp_path / "a.zarr")
    empty = ForecastWriter(tmp_path / "b.zarr", INITS, LEADS[:2], CHANNELS, GRID)
    with pytest.raises(ValueError, match=r"of 3 initial times fields never came"):
        empty.close()
    with pytest.raises(ValueError, match="other leads"):
        Forecasts([tmp_path / "a.zarr", tmp_path / "b.zarr"])
    with pytest.raises(FileNotFoundError):
        Forecasts([tmp_path / "c.zarr"])
    with (
        pytest.raises(ValueError, match="has shape"),
        ForecastWriter(tmp_path / "d.zarr", INITS, LEADS, CHANNELS, GRID) as w,
    ):
        w.write(0, 0, np.zeros((1, 4, 8)))


def test_leads_of_several_forecasts_are_stored_as_they_come(tmp_path):
    path = tmp_path / "a.zarr"
    with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID) as writer:
        write_leads(writer, [2, 0, 1], iter(VALUES[[2, 0, 1]].swapaxes(0, 1)))
    forecasts = Forecasts([path])
    np.testing.assert_array_equal(np.stack([forecasts.read_init(init) for init in INITS]), VALUES)


def chunk_files(path):
    """The files of chunks of a store's fields, those of coordinates left out."""
    return sorted(file for file in path.glob("*/c/*/*/**/*") if file.is_file())


def test_an_initial_time_is_a_file_of_each_variable(tmp_path):
    path = write(tmp_path / "a.zarr")
    assert len(chunk_files(path)) == 3 * 4
    array = zarr.open_group(path)["geopotential"]
    assert array.shards == (1, 4, 2, 4, 8)
    assert array.chunks == (1, 1, 2, 4, 8)


def test_no_more_than_a_lead_is_held(tmp_path):
    leads = list(range(0, 600, 6))
    grid = Grid(32, 64)
    field = np.random.default_rng(1).normal(size=(len(CHANNELS), *grid.shape)).astype(np.float32)
    with ForecastWriter(tmp_path / "a.zarr", INITS[:1], leads, CHANNELS, grid) as writer:
        writer.write(0, 0, field)
        tracemalloc.start()
        for j in range(1, len(leads)):
            writer.write(0, j, field)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * field.nbytes
    for name, read in zip(
        CHANNELS.names, Forecasts([tmp_path / "a.zarr"]).read(INITS[0], 594), strict=True
    ):
        values = field[CHANNELS.names.index(name)]
        assert abs(read - values).max() <= np.ptp(values) / 2**16, name


def test_a_forecast_that_was_cut_short_leaves_no_file(tmp_path):
    path = tmp_path / "a.zarr"

    def interrupted():
        with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID) as writer:
            for j in range(4):
                writer.write(0, j, VALUES[0, j])
            for j in range(3):
                writer.write(1, j, VALUES[1, j])
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        interrupted()
    assert {file.relative_to(path).parts[2] for file in chunk_files(path)} == {"0"}
    assert not check_product(path).faults


def test_what_a_killed_process_left_goes_when_the_forecast_is_made_again(tmp_path):
    path = tmp_path / "a.zarr"
    killed = ForecastWriter(path, INITS, LEADS, CHANNELS, GRID)
    for i, j in ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0)):
        killed.write(i, j, VALUES[i, j])
    # as by another process
    for file in chunk_files(path):
        if file.name.startswith(".tmp-"):
            file.rename(file.with_name(".tmp-host_1_0123abcd-" + file.name.split("-")[-1]))
    assert any(file.name.startswith(".tmp-") for file in chunk_files(path))
    with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, resume=True) as writer:
        assert [writer.done(i) for i in range(3)] == [True, False, False]
        for i, j in np.ndindex(2, 4):
            writer.write(i + 1, j, VALUES[i + 1, j])
    assert not [file for file in chunk_files(path) if file.name.startswith(".tmp-")]
    forecasts = Forecasts([path])
    np.testing.assert_array_equal(np.stack([forecasts.read_init(init) for init in INITS]), VALUES)


def test_a_complete_forecast_is_not_written_again(tmp_path):
    with ForecastWriter(tmp_path / "a.zarr", INITS[:1], LEADS, CHANNELS, GRID) as writer:
        for j in range(4):
            writer.write(0, j, VALUES[0, j])
        with pytest.raises(ValueError, match=r"a\.zarr: 2023-01-01T00:00:00 is complete already"):
            writer.write(0, 1, VALUES[0, 1])


def test_a_lead_that_comes_again_takes_the_place_of_the_first(tmp_path):
    with ForecastWriter(tmp_path / "a.zarr", INITS[:1], LEADS, CHANNELS, GRID) as writer:
        writer.write(0, 1, None)
        for j in range(4):
            writer.write(0, j, VALUES[0, j])
    forecasts = Forecasts([tmp_path / "a.zarr"])
    assert forecasts.available(INITS[0], 6)
    np.testing.assert_array_equal(forecasts.read_init(INITS[0]), VALUES[0])


@pytest.mark.parametrize("names", [["TP"], ["Z850", "Z500"], ["T850", "T2M", "Z850"], None])
def test_channels_are_read_as_zarr_reads_them(tmp_path, names):
    path = write(tmp_path / "a.zarr")
    forecasts = Forecasts([path], names)
    with xr.open_zarr(path) as data:
        for i, j in np.ndindex(3, 4):
            field = forecasts.read(INITS[i], LEADS[j])
            for channel, values in zip(forecasts.channels, field, strict=True):
                read = data[channel.variable][i, j]
                read = read if channel.level is None else read.sel(level=channel.level)
                np.testing.assert_array_equal(values, read)


def test_a_store_of_an_earlier_version_is_made_anew(tmp_path, caplog):
    path = write(tmp_path / "a.zarr")
    group = open_store(path, mode="r+")
    stored = group["2m_temperature"]
    del group["2m_temperature"]
    group.create_array(
        "2m_temperature",
        data=np.zeros(stored.shape, np.float32),
        chunks=(1, 4, 4, 8),
        dimension_names=stored.metadata.dimension_names,
    )
    writer = ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, resume=True)
    assert not any(writer.done(i) for i in range(3))
    assert "earlier version" in caplog.text


@pytest.mark.parametrize("harm", ["flipped", "cut", "lost"])
def test_a_harmed_lead_is_named(tmp_path, harm):
    path = write(tmp_path / "a.zarr")
    file = path / "2m_temperature" / "c" / "1" / "0" / "0" / "0"
    content = bytearray(file.read_bytes())
    if harm == "lost":
        file.unlink()
    else:
        table = np.frombuffer(content[-4 * 16 - 4 : -4], "<u8").reshape(4, 2)
        content[int(table[2, 0]) + 3] ^= 1
        file.write_bytes(content if harm == "flipped" else content[:-30])
    forecasts = Forecasts([path])
    with pytest.raises(DamagedError, match=r"2m_temperature, time 2023-01-01T12:00:00 \+ 12 h"):
        forecasts.read(INITS[1], 12)
    if harm == "flipped":
        np.testing.assert_array_equal(forecasts.read(INITS[1], 6), VALUES[1, 1])
    faults = check_product(path).faults
    assert len(faults) == 1
    assert "2m_temperature, time 2023-01-01T12:00:00" in str(faults[0])
    if harm == "flipped":
        assert "prediction_timedelta 2" in str(faults[0])


@pytest.mark.parametrize("kept", [["Z850"], ["T2M", "Z500"], ["TP", "T850", "Z850", "Z500"]])
def test_a_store_may_hold_some_of_the_channels(tmp_path, kept):
    path = write(tmp_path / "a.zarr", kept=kept)
    forecasts = Forecasts([path])
    positions = [i for i, name in enumerate(CHANNELS.names) if name in kept]
    assert forecasts.channels.names == [CHANNELS.names[i] for i in positions]
    for i, j in np.ndindex(3, 4):
        np.testing.assert_array_equal(forecasts.read(INITS[i], LEADS[j]), VALUES[i, j, positions])
    variables = {CHANNELS[i].variable for i in positions}
    assert len(chunk_files(path)) == 3 * len(variables)
    with xr.open_zarr(path) as data:
        assert set(data.data_vars) == variables
    writer = ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, resume=True, kept=kept)
    assert all(writer.done(i) for i in range(3))
    with pytest.raises(ValueError, match="cannot be continued, it was made for other times"):
        ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, resume=True)


def test_a_channel_that_is_not_kept_must_be_whole_too(tmp_path):
    field = VALUES[0, 0].copy()
    field[2, 0, 0] = np.nan
    with ForecastWriter(tmp_path / "a.zarr", INITS[:1], LEADS, CHANNELS, GRID, kept=["Z500"]) as w:
        with pytest.raises(IncompleteError, match="T850"):
            w.write(0, 0, field)
        for j in range(4):
            w.write(0, j, VALUES[0, j])
