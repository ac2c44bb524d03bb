"""The nature run: jcm itself, coarse and short."""

import os
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest

from fuxiflow import ROOT
from fuxiflow.world.levels import PROGNOSTIC
from fuxiflow.world.nature import (
    NatureModel,
    model_state_times,
    read_model_state,
    write_model_states,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state(model):
    *_, (state, _) = model.advance(model.rest(datetime(2022, 1, 1)), 24)
    return state


def last(model, state, hours=12):
    *_, (_, frames) = model.advance(state, hours)
    return frames[-1]


def test_a_day_is_plausible(model, state):
    frame = state.frame
    assert state.time == datetime(2022, 1, 2)
    assert state.step == 24
    assert model.lat[0] > model.lat[-1]
    assert frame["temperature"].shape == (8, len(model.lat), len(model.lon))
    assert all(np.isfinite(field).all() for field in frame.values())
    assert 150.0 < frame["temperature"].min() < frame["temperature"].max() < 330.0
    weights = np.cos(np.deg2rad(model.lat))[:, None] * np.ones(len(model.lon))
    assert np.average(frame["surface_pressure"], weights=weights) == pytest.approx(
        98600.0, abs=800.0
    )
    assert frame["total_precipitation_6hr"].min() >= 0.0
    # the poles are cold, the tropics warm: latitude is not upside down; it is January
    low = frame["temperature"][-1].mean(axis=1)
    assert low[len(low) // 2] > low[0] + 10.0


def test_geopotential_meets_the_surface(model, state):
    thickness = 287.06 * state.frame["temperature"][-1] * -np.log(model.sigma[-1])
    gap = state.frame["geopotential"][-1] - thickness - model.surface_geopotential
    assert np.abs(gap).max() < 150.0


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is a single processor")
def test_the_weather_does_not_depend_on_the_number_of_processors(tmp_path):
    code = f"""
import hashlib, os, sys
from datetime import datetime
if sys.argv[1] == "one":
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
from fuxiflow.world.nature import NatureModel
from pathlib import Path
model = NatureModel(cache=Path({str(tmp_path)!r}))
*_, (state, _) = model.advance(model.rest(datetime(2022, 1, 1)), 24)
print(hashlib.sha256(b"".join(f.tobytes() for f in state.frame.values())).hexdigest())
"""
    one, all_there_are = (
        subprocess.run(
            [sys.executable, "-c", code, processors],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for processors in ("one", "all")
    )
    assert one == all_there_are != ""


def test_restart_continues_exactly(model, state, tmp_path):
    state.write(tmp_path / "state.restart")
    again = model.read(tmp_path / "state.restart")
    assert (again.time, again.step) == (state.time, state.step)
    expected, result = last(model, state), last(model, again)
    for name, field in expected.items():
        np.testing.assert_array_equal(result[name], field)


def test_states_in_a_store(model, state, tmp_path):
    write_model_states(tmp_path / "s.zarr", [state])
    assert model_state_times(tmp_path / "s.zarr") == [state.time]
    again = read_model_state(tmp_path / "s.zarr", model, state.time)
    np.testing.assert_array_equal(
        last(model, again)["temperature"], last(model, state)["temperature"]
    )
    with pytest.raises(KeyError, match="2022-01-02"):
        read_model_state(tmp_path / "s.zarr", model, datetime(2022, 1, 3))
    write_model_states(tmp_path / "none.zarr", [])
    assert model_state_times(tmp_path / "none.zarr") == []


def test_perturbation(model, state):
    zero = {name: np.zeros_like(state.frame[name]) for name in PROGNOSTIC}
    same = last(model, model.perturbed(state, zero))
    np.testing.assert_array_equal(same["temperature"], last(model, state)["temperature"])
    warm = zero | {"temperature": np.ones_like(state.frame["temperature"])}
    moved = last(model, model.perturbed(state, warm))["temperature"] - same["temperature"]
    assert 0.5 < moved.mean() < 1.2


def test_bad_input(model, state, tmp_path):
    with pytest.raises(ValueError, match="multiple of 12"):
        next(model.advance(state, 18))
    with pytest.raises(ValueError, match="does not divide"):
        NatureModel(truncation=21, time_step_minutes=50)
    arrays = state.arrays() | {"dynamics.000": np.zeros(3)}
    with pytest.raises(ValueError, match="somewhere: its dynamics do not fit"):
        model.restore(state.time, arrays, "somewhere")
