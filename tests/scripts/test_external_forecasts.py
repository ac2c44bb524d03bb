"""The script of external forecasts: a cascade or our networks, from GFS files or from an
experiment's analyses.
"""

import logging
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from fuxiflow.channels import channel_table
from fuxiflow.completeness import IncompleteError
from fuxiflow.models import checkpoint
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.storage import provenance
from tests.support import grib_files, onnx_files, tiny
from tests.support.helpers import asked, load_script

LOG = logging.getLogger("test")
INIT = np.datetime64("2022-01-02T00", "ns")


@pytest.fixture(autouse=True)
def stamped():
    provenance.use({"rule": "test", "configuration": "c"})
    yield
    provenance.use(None)


def run(directory, input, **values):
    given = {
        "grid": {"nlat": 8, "nlon": 16},
        "dates": ["2022-01-02"] * 2,
        "init_hours": [0, 12],
        "max_lead_hours": 18,
        "batch": 2,
        "initial": "gfs",
        "steps": 2,
        "kept": None,
        "accelerator": "cpu",
        "execution": {},
        "threads": 1,
        "state": directory / "state",
        "completeness": asked(),
    }
    output = SimpleNamespace(forecasts=directory / "forecasts.zarr")
    script = load_script("cycling_external_forecasts")
    script.main(SimpleNamespace(**input), output, SimpleNamespace(**given | values), LOG)
    return output.forecasts


@pytest.fixture(scope="module")
def gfs(tmp_path_factory):
    """Analyses of two days, in a directory for each, as two segments are."""
    folder = tmp_path_factory.mktemp("gfs")
    for step in range(8):
        init = datetime(2022, 1, 1) + timedelta(hours=6 * step)
        grib_files.write_gfs(folder / f"{init:%d}", init, [0])
    return [folder / "01", folder / "02"]


@pytest.fixture
def cascade(tmp_path):
    return [
        onnx_files.write(tmp_path / f"{name}.onnx", [1, 2, 70, 7, 12], shift)
        for name, shift in (("short", 1.0), ("medium", -1.0))
    ]


def test_a_cascade_from_gfs_files_opens_as_weatherbench_does(gfs, cascade, tmp_path):
    store = run(tmp_path, {"onnx": cascade, "gfs": gfs}, grid={"nlat": 7, "nlon": 12})
    found = Forecasts([store])
    assert found.lead_hours == [6, 12, 18]
    assert len(found.init_times) == 2
    assert not (tmp_path / "state").exists()
    with xr.open_zarr(store) as opened:
        assert opened.attrs["initial"] == "gfs"
        assert opened.attrs["system"] == "onnx"
        assert opened["geopotential"].dims == (
            "time",
            "prediction_timedelta",
            "level",
            "latitude",
            "longitude",
        )
        assert opened["geopotential"].attrs["units"] == "m2 s-2"
        # the files hold the same fields at every time: a straight line plus the shifts, +1, +1 and,
        # medium's, -1
        t2m = opened["2m_temperature"].isel(time=0).mean(("latitude", "longitude")).values
    np.testing.assert_allclose(np.diff(t2m), [2.0, 1.0], atol=0.01)


def test_fields_of_the_files_reach_the_store_in_the_tables_units(gfs, cascade, tmp_path):
    """On the model's own grid, poles left out: rows of cell centres lie half-way between the
    files'.
    """
    store = run(
        tmp_path, {"onnx": cascade, "gfs": gfs}, grid={"nlat": 6, "nlon": 12}, max_lead_hours=6
    )
    field = Forecasts([store]).read(INIT, 6)
    for name in ("Z500", "T850", "U50", "R1000", "MSL"):
        raw = grib_files.values(channel_table()[name])
        scale = channel_table()[name].valid_max - channel_table()[name].valid_min
        middle = 0.5 * (raw[1:] + raw[:-1]) + 1.0
        np.testing.assert_allclose(field[channel_table().index(name)], middle, atol=1e-4 * scale)
    assert field[69].max() == pytest.approx(1.0)


def test_our_networks_start_from_gfs_files_too(gfs, tmp_path):
    record = tiny.record(tmp_path)
    checkpoint.save_checkpoint(
        tmp_path / "joint.ckpt", checkpoint.Checkpoint(tiny.networks(record))
    )
    store = run(tmp_path, {"checkpoint": tmp_path / "joint.ckpt", "gfs": gfs}, steps=0)
    assert Forecasts([store]).read(INIT, 18).shape == (70, 8, 16)


def test_a_cascade_starts_from_an_experiments_analyses(cascade, tmp_path):
    fields = np.repeat(tiny.states(1)[:, :69], 8, 0)
    analyses = tiny.write_states(tmp_path / "analyses.zarr", fields, "analysis")
    models = [onnx_files.write(tmp_path / "m.onnx", [1, 2, 70, 8, 16], 2.0)]
    store = run(
        tmp_path, {"onnx": models, "analyses": [analyses]}, initial="full", max_lead_hours=6
    )
    # packing changes no value by more than a 65534th of the range of its field
    np.testing.assert_allclose(
        Forecasts([store]).read(INIT, 6)[:69], fields[0] + 2.0, rtol=0, atol=np.ptp(fields) / 65534
    )


def test_a_killed_run_goes_on_where_it_was(gfs, cascade, tmp_path, monkeypatch):
    script = load_script("cycling_external_forecasts")
    whole = run(tmp_path, {"onnx": cascade, "gfs": gfs})
    starts, real = [], script.OnnxCascade.forecast

    def killed(self, previous, current, inits, steps):
        starts.extend(inits)
        if len(starts) == 2:
            raise KeyboardInterrupt
        return real(self, previous, current, inits, steps)

    (tmp_path / "again").mkdir()
    monkeypatch.setattr(script.OnnxCascade, "forecast", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again", {"onnx": cascade, "gfs": gfs}, batch=1)
    again = run(tmp_path / "again", {"onnx": cascade, "gfs": gfs}, batch=1)
    assert [str(init)[:13] for init in starts] == [
        "2022-01-02T00",
        "2022-01-02T12",
        "2022-01-02T12",
    ]
    for init in Forecasts([whole]).init_times:
        np.testing.assert_array_equal(
            Forecasts([again]).read_init(init), Forecasts([whole]).read_init(init)
        )


def test_too_few_initial_states_are_an_error_that_names_them(gfs, cascade, tmp_path):
    dates = ["2022-01-02", "2022-01-03"]
    for _ in range(2):
        with pytest.raises(
            IncompleteError,
            match=r"2 of 4 forecasts have the analyses of gfs .*from 2022-01-03T00, 2022-01-03T12",
        ):
            run(tmp_path, {"onnx": cascade, "gfs": gfs}, dates=dates, completeness=asked(0.6))
    store = run(tmp_path, {"onnx": cascade, "gfs": gfs}, dates=dates, completeness=asked(0.5))
    assert Forecasts([store]).available(INIT, 6)


def test_without_any_initial_state_the_job_fails_again_and_again(gfs, cascade, tmp_path):
    for _ in range(2):
        with pytest.raises(IncompleteError, match="no initial state of gfs is usable"):
            run(tmp_path, {"onnx": cascade, "gfs": gfs[:1]}, dates=["2022-01-03"] * 2)
    assert not (tmp_path / "forecasts.zarr").exists()
