import logging
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

from fuxiflow.channels import channel_table
from fuxiflow.completeness import IncompleteError
from fuxiflow.grids import Grid
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.grib_messages import GribError
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries, write_states
from fuxiflow.storage.datasets import write_dataset
from fuxiflow.storage.manifests import RawFileError, seal_folder
from fuxiflow.storage.raw_files import UNVERIFIED_REMARK
from tests.support import grib_files
from tests.support.helpers import asked, load_script

LOG = logging.getLogger("test")
GRID = Grid(4, 8)
SIZE = {"nlat": 4, "nlon": 8}
START = datetime(2022, 1, 1)
TIMES = [START + timedelta(hours=6 * i) for i in range(8)]


def expected(seed):
    fields = [grib_files.values(c, seed) / (1 if c.analysed else 100) for c in channel_table()]
    return regrid(np.stack(fields), SourceGrid.of(grib_files.GRID), GRID)


def decode(tmp_path, reference="era5", dates=("2022-01-01", "2022-01-02"), least=0.0):
    output = SimpleNamespace(
        states=tmp_path / "out" / "2022-01.zarr", ledger=tmp_path / "out" / "ledger.parquet"
    )
    output.states.parent.mkdir(exist_ok=True)
    params = SimpleNamespace(
        reference=reference,
        grid=SIZE,
        dates=list(dates),
        compression="lz4hc",
        completeness=asked(least),
    )
    load_script("states_decode").main(SimpleNamespace(raw=tmp_path / "raw"), output, params, LOG)
    return output


def test_decode_era5(tmp_path):
    grib_files.write_era5(tmp_path / "raw", TIMES)
    seal_folder(tmp_path / "raw")
    output = decode(tmp_path)
    states = StateSeries([output.states])
    assert states.channels == channel_table()
    assert states.grid == GRID
    assert len(states) == 8
    for seed, time in enumerate(TIMES):
        np.testing.assert_allclose(
            states.read(time),
            expected(seed),
            rtol=2e-4,
            atol=1e-2 * np.abs(expected(seed)).max() / 100,
        )
    assert pq.read_table(output.ledger).num_rows == 0


def test_files_that_nothing_vouches_for_are_said_in_the_ledger(tmp_path):
    grib_files.write_era5(tmp_path / "raw", TIMES)
    (row,) = pq.read_table(decode(tmp_path).ledger).to_pylist()
    assert (row["file"], row["reason"]) == (str(tmp_path / "raw"), UNVERIFIED_REMARK)


def test_a_flipped_byte_of_a_sealed_file_is_an_error(tmp_path):
    grib_files.write_era5(tmp_path / "raw", TIMES)
    seal_folder(tmp_path / "raw")
    path = tmp_path / "raw" / "pressure_levels.grib"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RawFileError, match=rf"{path}: damaged.*delete {path.parent}"):
        decode(tmp_path)


def test_decode_keeps_slots_and_writes_the_ledger(tmp_path):
    grib_files.write_era5(tmp_path / "raw", TIMES)
    path = tmp_path / "raw" / "single_levels.grib"
    path.write_bytes(path.read_bytes()[:-10])
    seal_folder(tmp_path / "raw")
    output = decode(tmp_path, dates=("2022-01-01", "2022-01-03"))
    states = StateSeries([output.states])
    assert len(states.slots) == 12
    assert states.times[-1] == np.datetime64(TIMES[6])
    ledger = pq.read_table(output.ledger).to_pylist()
    assert ledger[0]["file"] == str(path)
    assert "truncated" in ledger[0]["reason"]
    assert {(row["time"].hour, row["channel"]) for row in ledger[1:2]} == {(18, "TP")}


def test_decode_with_too_few_times_says_which_and_why(tmp_path, caplog):
    grib_files.write_era5(tmp_path / "raw", TIMES)
    path = tmp_path / "raw" / "single_levels.grib"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4 + 9])
    with pytest.raises(
        IncompleteError,
        match=r"completeness.tested: 2 of 8 times .*truncated.*; missing: "
        r"2022-01-01T12 \.\. 2022-01-02T18 \(6\)\. Get what is missing and run again, or set "
        r"completeness.tested to 0\.25",
    ):
        decode(tmp_path, least=0.26)
    caplog.clear()
    decode(tmp_path, least=0.25)
    assert "completeness.tested: 2 of 8 times" in caplog.text


def test_decode_gfs_without_precipitation(tmp_path):
    for time in TIMES[:4]:
        grib_files.write_gfs(tmp_path / "raw", time, [0])
    states = StateSeries([decode(tmp_path, "gfs", ("2022-01-01", "2022-01-01")).states])
    state = states.read(TIMES[2])
    assert np.isnan(state[-1]).all()
    np.testing.assert_allclose(state[:-1], expected(0)[:-1], rtol=2e-4, atol=1)


def test_decode_with_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.grib").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(
        GribError,
        match=r"no usable state of era5 from 2022-01-01 to 2022-01-02.*a\.grib: it is a web page",
    ):
        decode(tmp_path)


def test_forecasts(tmp_path):
    grib_files.write_gfs(tmp_path / "raw", START, [0, 6, 12])
    grib_files.write_gfs(tmp_path / "raw", TIMES[1], [0])
    output = SimpleNamespace(forecasts=tmp_path / "f.zarr", ledger=tmp_path / "l.parquet")
    params = SimpleNamespace(
        grid=SIZE,
        dates=["2022-01-01", "2022-01-02"],
        init_hours=[0, 12],
        max_lead_hours=12,
        kept=None,
        completeness=asked(every_hours=48, since="2022-01-01", least=1.0),
    )
    load_script("states_forecasts").main(SimpleNamespace(raw=tmp_path / "raw"), output, params, LOG)
    forecasts = Forecasts([output.forecasts])
    assert forecasts.init_times.tolist() == [np.datetime64(START, "ns").astype(int)]
    assert forecasts.lead_hours == [0, 6, 12]
    for lead in (6, 12):
        np.testing.assert_allclose(forecasts.read(START, lead), expected(lead), rtol=2e-4, atol=1)
    forecasts_of_all = forecasts.read(START, 6)
    with xr.open_zarr(output.forecasts) as data:
        assert np.isnan(data.total_precipitation_6hr[0, 0]).all()
        assert np.isfinite(data.total_precipitation_6hr[0, 1:]).all()
    params.kept = ["Z500", "T2M"]
    load_script("states_forecasts").main(SimpleNamespace(raw=tmp_path / "raw"), output, params, LOG)
    few = Forecasts([output.forecasts])
    assert few.channels.names == params.kept
    places = [channel_table().names.index(name) for name in params.kept]
    np.testing.assert_array_equal(few.read(START, 6), forecasts_of_all[places])
    # archives have one at every initial time: three of four are missing
    params.completeness.every_hours = None
    with pytest.raises(
        IncompleteError, match=r"3 of 12 fields of forecasts .*from 2022-01-01T12, 2022-01-02T00, "
    ):
        load_script("states_forecasts").main(
            SimpleNamespace(raw=tmp_path / "raw"), output, params, LOG
        )
    params.init_hours = [6]
    with pytest.raises(GribError, match="no forecast from"):
        load_script("states_forecasts").main(
            SimpleNamespace(raw=tmp_path / "raw"), output, params, LOG
        )


def truth(tmp_path, **changes):
    rng = np.random.default_rng(0)
    world = Grid(7, 12, poles=True)
    times = np.datetime64("2023-01-01", "ns") + np.arange(20) * np.timedelta64(6, "h")
    values = {
        name: (("time", "lat", "lon"), rng.random((20, 7, 12)).astype(np.float32))
        for name in channel_table().names
    }
    data = xr.Dataset(values, {"time": times, "lat": world.lat, "lon": world.lon})
    for channel in channel_table():
        data[channel.name].attrs["units"] = channel.unit
    data = data.drop_vars(changes.get("drop", []))
    data.attrs = {}
    write_dataset(tmp_path / "raw.zarr", {"": data})
    output = SimpleNamespace(states=tmp_path / "t.zarr")
    params = SimpleNamespace(grid=SIZE, dates=changes.get("dates", ["2023-01-02", "2023-01-05"]))
    load_script("states_truth").main(
        SimpleNamespace(raw=tmp_path / "raw.zarr"), output, params, LOG
    )
    return data, StateSeries([output.states]), world


def test_truth(tmp_path):
    data, states, world = truth(tmp_path)
    assert (len(states), states.times[0]) == (16, np.datetime64("2023-01-02"))
    fields = np.stack([data[name].values[17] for name in channel_table().names])
    np.testing.assert_allclose(
        states.read(data.time.values[17]), regrid(fields, SourceGrid.of(world), GRID), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"drop": ["Z500", "TP"]}, "no Z500, TP"),
        ({"dates": ["2023-01-01", "2023-01-07"]}, "no truth at 2023-01-06"),
    ],
)
def test_truth_that_is_incomplete(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=reason):
        truth(tmp_path, **changes)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Two segments of states; the second runs past the training period into other values."""
    path = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    times = np.datetime64("2022-01-01", "ns") + np.arange(60) * np.timedelta64(6, "h")
    values = rng.normal(10, 1, (60, 70, *GRID.shape)).astype(np.float32)
    values[40:] = 1e6
    write_states(path / "a.zarr", times[:30], channel_table(), GRID, values[:30])
    write_states(path / "b.zarr", times[30:], channel_table(), GRID, values[30:])
    write_invariants(path / "invariants.grib", {129: 1e4, 172: 1.0})
    return path, values


def write_invariants(path, scales):
    """Random fields between 0 and a scale for each parameter, as ERA5 codes them."""
    rng = np.random.default_rng(3)
    keys = {"centre": "ecmf", "table2Version": 128, "indicatorOfTypeOfLevel": 1, "level": 0}
    with open(path, "wb") as file:
        for param, scale in scales.items():
            file.write(
                grib_files.encode(
                    1,
                    scale * rng.random(grib_files.GRID.shape),
                    keys | {"indicatorOfParameter": param},
                )
            )


def statistics(path, tmp_path, dates, invariants=None):
    output = SimpleNamespace(statistics=tmp_path / "s.zarr")
    part = SimpleNamespace(moments=tmp_path / "moments.parquet")
    states = SimpleNamespace(states=[path / "a.zarr", path / "b.zarr"])
    load_script("states_statistics_part").main(states, part, SimpleNamespace(dates=dates), LOG)
    inputs = SimpleNamespace(
        moments=[part.moments], invariants=invariants or path / "invariants.grib"
    )
    load_script("states_statistics").main(inputs, output, SimpleNamespace(grid=SIZE), LOG)
    return Statistics.read(output.statistics)


def test_statistics_of_the_training_period_alone(training, tmp_path):
    path, values = training
    computed = statistics(path, tmp_path, ["2022-01-01", "2022-01-10"])
    weights = np.broadcast_to(GRID.area_weights[:, None], (40, *GRID.shape))
    assert computed.mean[5] == pytest.approx(np.average(values[:40, 5], weights=weights), rel=1e-5)
    assert computed.std.max() < 1.2
    assert computed.mean[-1] == pytest.approx(
        np.average(np.log1p(values[:40, -1]), weights=weights), rel=1e-5
    )
    assert computed.period == ("2022-01-01T00:00:00", "2022-01-10T18:00:00")
    assert 0 <= computed.land_fraction.min() <= computed.land_fraction.max() <= 1
    assert computed.surface_geopotential.mean() == pytest.approx(5000, rel=0.3)


def test_covers_are_static_fields_where_the_file_has_them(training, tmp_path):
    path, _ = training
    write_invariants(tmp_path / "i.grib", {28: 1.0, 129: 1e4, 26: 1.0, 172: 1.0})
    computed = statistics(path, tmp_path, ["2022-01-01", "2022-01-10"], tmp_path / "i.grib")
    assert computed.static_names[-2:] == ["lake_cover", "high_vegetation_cover"]
    assert list(computed.raw) == [
        "surface_geopotential",
        "land_fraction",
        "lake_cover",
        "high_vegetation_cover",
    ]
    np.testing.assert_array_equal(computed.statics[-2], computed.raw["lake_cover"])
    write_invariants(tmp_path / "i.grib", {27: 5.0, 129: 1e4, 172: 1.0})
    with pytest.raises(
        GribError, match=r"message 1: low_vegetation_cover 0.* outside -0.01 .. 1.01"
    ):
        statistics(path, tmp_path, ["2022-01-01", "2022-01-10"], tmp_path / "i.grib")


def test_statistics_without_spread_or_invariants_are_errors(training, tmp_path):
    path, _ = training
    with pytest.raises(ValueError, match=r"no spread over 4 times .*Z50, "):
        statistics(path, tmp_path, ["2022-01-12", "2022-01-12"])
    (tmp_path / "i.grib").write_bytes((path / "invariants.grib").read_bytes()[:-5])
    with pytest.raises(GribError, match=r"i\.grib: message 2 at offset .*truncated"):
        statistics(path, tmp_path, ["2022-01-01", "2022-01-10"], tmp_path / "i.grib")
    content = (path / "invariants.grib").read_bytes()
    (tmp_path / "i.grib").write_bytes(content[: len(content) // 2])
    with pytest.raises(GribError, match=r"no land_fraction at the surface \(paramId 172\)"):
        statistics(path, tmp_path, ["2022-01-01", "2022-01-10"], tmp_path / "i.grib")


def test_climatology_of_the_training_period_alone(training, tmp_path):
    path, _ = training
    output = SimpleNamespace(climatology=tmp_path / "c.zarr")
    inputs = SimpleNamespace(states=[path / "a.zarr", path / "b.zarr"])
    params = SimpleNamespace(
        spans=[["2022-01-01", "2022-01-04"], ["2022-01-05", "2022-01-10"]],
        window_days=21,
        reading=SimpleNamespace(threads=2),
    )
    part = SimpleNamespace(part=tmp_path / "part.zarr")
    load_script("states_climatology_part").main(inputs, part, params, LOG)
    parts = SimpleNamespace(parts=[part.part])
    load_script("states_climatology").main(parts, output, SimpleNamespace(), LOG)
    climatology = Climatology.read(output.climatology)
    assert climatology.grid == GRID
    np.testing.assert_allclose(climatology.at(datetime(2022, 1, 6, 12)), 10, atol=4)
    np.testing.assert_allclose(climatology.at(datetime(2022, 7, 6, 12)), 10, atol=4)
