"""The world's scripts on tiny stores; the ones that run the model are marked slow."""

import logging
from datetime import datetime, timedelta
from types import SimpleNamespace

import eccodes
import numpy as np
import pytest

from fuxiflow.channels import PRESSURE_LEVELS, channel_table
from fuxiflow.grids import Grid
from fuxiflow.world.analysis_errors import write_library
from fuxiflow.world.levels import PROGNOSTIC
from fuxiflow.world.truth import Truth, TruthWriter
from tests.support.helpers import load_script

LOG = logging.getLogger("test")
GRID = Grid(7, 12, poles=True)
START = datetime(2023, 1, 1)
STEP = timedelta(hours=6)
ERRORS = {"error": 0.5, "low_level_error": 0.5}


def middle(channel):
    """The middle of a channel's range, 5 mm of rain."""
    return 5.0 if channel.name == "TP" else 0.5 * (channel.valid_min + channel.valid_max)


@pytest.fixture
def world(tmp_path):
    """A truth of two days and a library whose patterns are 1 everywhere."""
    times = [START + i * STEP for i in range(9)]
    static = {
        "land_fraction": np.ones(GRID.shape),
        "surface_geopotential": np.full(GRID.shape, 500.0),
    }
    plane = np.ones(GRID.shape, np.float32)
    fields = {channel.name: middle(channel) * plane for channel in channel_table()}
    fields |= {
        "surface_pressure": 1e5 * plane,
        "skin_temperature": 290.0 * plane,
        "specific_humidity": np.full((len(PRESSURE_LEVELS), *GRID.shape), 0.001),
    }
    with TruthWriter(tmp_path / "truth.zarr", times, GRID, static) as writer:
        for time in times:
            writer.write(time, fields)
    names = channel_table().analysed.names
    ramp = [np.full((len(names), *GRID.shape), 0.25 * i, np.float32) for i in range(9)]
    native = [
        dict.fromkeys(PROGNOSTIC, np.zeros((2, 2, 2))) | {"surface_pressure": np.zeros((2, 2))}
        for _ in range(9)
    ]
    write_library(tmp_path / "errors.zarr", times, GRID, names, ramp, native)
    return tmp_path


def decoded(path):
    """Values by (shortName, level) of the first message of each kind."""
    result = {}
    with open(path, "rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            key = (eccodes.codes_get(handle, "shortName"), eccodes.codes_get(handle, "level"))
            result.setdefault(key, eccodes.codes_get_values(handle))
            eccodes.codes_release(handle)
    return result


def test_era5_is_truth_plus_error_plus_bias(world):
    params = SimpleNamespace(
        dates=["2023-01-01", "2023-01-01"], errors=ERRORS | {"warm_bias": 0.8, "slow_bias": 0.1}
    )
    load_script("world_era5").main(
        SimpleNamespace(truth=world / "truth.zarr", errors=world / "errors.zarr"),
        SimpleNamespace(era5=world / "era5"),
        params,
        LOG,
    )
    upper = decoded(world / "era5" / "pressure_levels.grib")
    assert len(upper) == 65
    np.testing.assert_allclose(upper["t", 500], middle(channel_table()["T500"]) + 0.5, atol=1e-2)
    surface = decoded(world / "era5" / "single_levels.grib")
    # 00 UTC: 14 h local solar time at 210 E, where the bias over land is largest
    warm = surface["2t", 0].reshape(GRID.shape)[3] - middle(channel_table()["T2M"]) - 0.5
    np.testing.assert_allclose([warm.max(), warm.mean(), warm.argmax()], [1.2, 0.8, 7], atol=2e-2)
    np.testing.assert_allclose(1000 * surface["tp", 0], 5.0, atol=1e-2)
    assert (world / "era5" / "provenance.json").exists()


def test_gfs_analyses_without_forecasts(world):
    from fuxiflow.world.nature import write_model_states

    write_model_states(world / "native.zarr", [])
    params = SimpleNamespace(
        dates=["2023-01-01", "2023-01-02"], errors=ERRORS, model={}, max_lead_hours=240
    )
    inputs = SimpleNamespace(
        truth=world / "truth.zarr", native=world / "native.zarr", errors=world / "errors.zarr"
    )
    load_script("world_gfs").main(inputs, SimpleNamespace(gfs=world / "gfs"), params, LOG)
    files = sorted(path for path in (world / "gfs").rglob("*.f*"))
    assert len(files) == 8
    fields = decoded(files[0])
    assert ("tp", 0) not in fields
    np.testing.assert_allclose(fields["t", 850], middle(channel_table()["T850"]) + 0.5, atol=1e-2)


def test_invariants_come_from_the_truth(world):
    load_script("world_invariants").main(
        SimpleNamespace(truth=world / "truth.zarr"),
        SimpleNamespace(invariants=world / "invariants"),
        SimpleNamespace(),
        LOG,
    )
    fields = decoded(world / "invariants" / "invariants.grib")
    np.testing.assert_allclose(fields["z", 0], 500.0, atol=0.1)
    np.testing.assert_allclose(fields["lsm", 0], 1.0)


@pytest.mark.slow
def test_spinup_nature_and_forecasts(tmp_path):
    """One chain with the model: spin-up, two days, and forecasts that start close to the truth."""
    model = {"truncation": 21, "time_step_minutes": 60, "cache": tmp_path / "jax"}
    grid = {"nlat": 13, "nlon": 24}
    spun = SimpleNamespace(restart=tmp_path / "s.restart", errors=tmp_path / "errors.zarr")
    load_script("world_spinup").main(
        SimpleNamespace(),
        spun,
        SimpleNamespace(start="2023-01-01", days=4, error_days=40, grid=grid, **model),
        LOG,
    )
    out = SimpleNamespace(
        truth=tmp_path / "truth.zarr",
        native=tmp_path / "native.zarr",
        restart=tmp_path / "next.restart",
    )
    params = SimpleNamespace(
        dates=["2023-01-01", "2023-01-02"],
        test=["2023-01-01T00:00:00", "2023-01-02"],
        grid=grid,
        forecast_interval_hours=36,
        **model,
    )
    load_script("world_nature").main(SimpleNamespace(restart=spun.restart), out, params, LOG)
    truth = Truth([out.truth])
    assert [truth.times[0], truth.times[-1]] == [START, START + timedelta(days=2)]
    with pytest.raises(ValueError, match="the segment starts at 2023-01-05"):
        load_script("world_nature").main(
            SimpleNamespace(restart=out.restart),
            out,
            SimpleNamespace(**vars(params) | {"dates": ["2023-01-05", "2023-01-06"]}),
            LOG,
        )
    load_script("world_gfs").main(
        SimpleNamespace(truth=out.truth, native=out.native, errors=spun.errors),
        SimpleNamespace(gfs=tmp_path / "gfs"),
        SimpleNamespace(
            dates=params.dates,
            errors=dict.fromkeys(ERRORS, 0.0),
            max_lead_hours=18,
            model={},
            **model,
        ),
        LOG,
    )
    runs = sorted(path for path in (tmp_path / "gfs").rglob("*.f018"))
    assert [path.parent.parent.name for path in runs] == ["00", "12"]
    assert not list((tmp_path / "gfs").rglob("*.f024"))
    # without error a forecast is the nature run
    predicted = decoded(runs[0])["t", 500].reshape(13, 24)
    np.testing.assert_allclose(
        predicted, truth.read(START + timedelta(hours=18), ["T500"])["T500"], atol=0.02
    )
