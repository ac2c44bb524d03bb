"""Forecasters by one interface: ours, and cascades of ONNX models of FuXi's interface, from stored
or GFS analyses.
"""

import logging
from datetime import datetime

import eccodes
import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.cycling import forecasts
from fuxiflow.cycling.forecasts import forecast
from fuxiflow.grids import Grid
from fuxiflow.models import forecasters
from fuxiflow.models.forecasters import OnnxCascade, providers, time_embedding
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.states.grib_messages import find_messages, split_fields
from tests.support import grib_files, onnx_files, tiny
from tests.support.helpers import realdata

STEP = tiny.STEP
TIME = np.datetime64("2022-12-31T18", "ns")
SHAPE = [1, 2, 70, 7, 12]
LOG = logging.getLogger("test")


@pytest.fixture
def one(tmp_path):
    return OnnxCascade([onnx_files.write(tmp_path / "one.onnx", SHAPE)])


def pair(count=1, shape=(7, 12), seed=0):
    return np.random.default_rng(seed).normal(280, 5, (2, count, 70, *shape)).astype(np.float32)


def test_channels_are_those_of_fuxi_and_of_the_channel_table():
    assert channel_table().names == forecasters.CHANNELS
    assert forecasters.CHANNELS[:14] == [
        "Z50",
        "Z100",
        "Z150",
        "Z200",
        "Z250",
        "Z300",
        "Z400",
        "Z500",
        "Z600",
        "Z700",
        "Z850",
        "Z925",
        "Z1000",
        "T50",
    ]
    units = {channel.name: channel.unit for channel in channel_table()}
    assert [
        units[name] for name in ("Z500", "T500", "U500", "V500", "R500", "T2M", "U10", "MSL", "TP")
    ] == ["m2 s-2", "K", "m s-1", "m s-1", "%", "K", "m s-1", "Pa", "mm"]


def test_time_embedding_is_that_of_the_published_code():
    """Radians without 2 pi; by step: sine of day and hour, cosine of day and hour, for t-6,
    t, t+6.
    """
    found = time_embedding(np.array([TIME, np.datetime64("2024-12-31T00", "ns")]))
    assert found.shape == (2, 12)
    assert found.dtype == np.float32
    expected = []
    for day, hour in [(365, 12), (365, 18), (1, 0)]:
        expected += [np.sin(day / 366), np.sin(hour / 24), np.cos(day / 366), np.cos(hour / 24)]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found[1, 4], np.sin(1.0), rtol=1e-6)  # day 366 of a leap year


def test_a_cascade_feeds_the_whole_output_back_and_changes_models(tmp_path):
    weights = np.linspace(-1, 1, 12)
    paths = [
        onnx_files.write(tmp_path / f"{i}.onnx", SHAPE, shift, weights)
        for i, shift in enumerate((1.0, -3.0))
    ]
    model = OnnxCascade(paths, steps=2, accelerator="cpu", threads=1)
    assert model.grid == Grid(7, 12, poles=True)
    inits = np.array([TIME, TIME + 2 * STEP])
    before, now = pair(2)
    steps = list(model.forecast(before, now, inits, 4))
    assert [step.shape for step in steps] == [(2, 70, 7, 12)] * 4
    for number, found in enumerate(steps):
        season = time_embedding(inits + number * STEP) @ weights
        after = 2 * now - before + (1.0 if number < 2 else -3.0) + season[:, None, None, None]
        np.testing.assert_allclose(found, after, rtol=1e-5)
        before, now = now, after


def test_precipitation_is_never_negative_but_fed_back_as_it_is(one):
    before, now = pair()
    before[:, 69], now[:, 69] = 1.0, 0.25
    steps = list(one.forecast(before, now, np.array([TIME]), 2))
    assert [float(step[0, 69].max()) for step in steps] == [0.0, 0.0]
    assert steps[0][0, 0].min() > 0
    now[:, 69] = 3.0
    assert [
        float(step[0, 69].max()) for step in one.forecast(before, now, np.array([TIME]), 2)
    ] == [5.0, 7.0]


def test_axes_left_open_are_those_of_the_published_models(tmp_path):
    path = onnx_files.write(tmp_path / "open.onnx", ["batch", 2, 70, "lat", "lon"])
    assert OnnxCascade([path]).grid == Grid(721, 1440, poles=True)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ([1, 2, 69, 7, 12], {}, r"\[1, 2, 69, 7, 12\].*expected 'input' \(1, 2, 70, lat, lon\)"),
        ([1, 1, 70, 7, 12], {}, "no forecaster of FuXi's interface"),
        ([2, 70, 7, 12], {}, "no forecaster of FuXi's interface"),
        (SHAPE, {"names": ("x", "temb")}, "no forecaster of FuXi's interface"),
    ],
)
def test_models_of_another_interface_are_refused(tmp_path, shape, options, message):
    path = onnx_files.write(tmp_path / "other.onnx", shape, **options)
    with pytest.raises(ValueError, match=message):
        OnnxCascade([path])


def test_what_is_no_model_is_refused_by_name(tmp_path):
    whole = onnx_files.write(tmp_path / "whole.onnx", SHAPE).read_bytes()
    for content in (b"", b"not a model", whole[: len(whole) // 2]):
        (tmp_path / "broken.onnx").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.onnx"):
            OnnxCascade([tmp_path / "broken.onnx"])
    with pytest.raises(ValueError, match="no ONNX file"):
        OnnxCascade([])


def test_a_second_model_on_another_grid_is_refused_when_its_turn_comes(tmp_path):
    paths = [onnx_files.write(tmp_path / f"{n}.onnx", [1, 2, 70, n, 12]) for n in (7, 9)]
    steps = OnnxCascade(paths, steps=1).forecast(*pair(), np.array([TIME]), 2)
    next(steps)
    with pytest.raises(ValueError, match=r"9\.onnx works on \[9, 12\] points"):
        next(steps)


def test_a_model_that_returns_one_frame_is_refused(tmp_path):
    model = OnnxCascade([onnx_files.write(tmp_path / "one.onnx", SHAPE, frames=1)])
    with pytest.raises(ValueError, match="not the shape of its input"):
        next(model.forecast(*pair(), np.array([TIME]), 1))


def test_a_cascade_goes_no_further_than_its_models(one):
    with pytest.raises(ValueError, match="21 steps wanted of 1 models of 20"):
        next(one.forecast(*pair(), np.array([TIME]), 21))


def test_a_forecast_that_is_not_finite_says_when(one):
    before, now = pair()
    now[0, 3, 2, 2] = np.nan
    with pytest.raises(FloatingPointError, match="not finite at 6 h"):
        next(one.forecast(before, now, np.array([TIME]), 1))


def test_cuda_is_asked_for_only_where_it_is(monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert providers("auto") == providers("cpu") == ["CPUExecutionProvider"]
    with pytest.raises(RuntimeError, match="onnxruntime-gpu"):
        providers("cuda")
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    assert providers("auto") == providers("cuda") == both
    assert providers("cpu") == ["CPUExecutionProvider"]


def test_our_networks_have_the_same_interface(tmp_path):
    record = tiny.record(tmp_path)
    networks = tiny.networks(record).eval()
    model = forecasts.TrainedForecaster(networks)
    assert model.channels.names == channel_table().names
    assert model.grid == tiny.GRID
    previous, current = record.fields[3:4], record.fields[4:5]
    inits = tiny.times(5)[4:]
    known = forecast(networks, previous[:, :69], current[:, :69], inits, 2)
    for found, expected in zip(model.forecast(previous, current, inits, 2), known, strict=True):
        np.testing.assert_array_equal(found, expected)


def decoded(path):
    """Fields of a GRIB2 file by (category, number, surface, level), decoded by ecCodes alone."""
    found = {}
    for frame in find_messages(path):
        data = path.read_bytes()[frame.offset : frame.offset + frame.length]
        for message in split_fields(data):
            handle = eccodes.codes_new_from_message(message)
            get = eccodes.codes_get_long
            key = (
                get(handle, "parameterCategory"),
                get(handle, "parameterNumber"),
                get(handle, "typeOfFirstFixedSurface"),
                get(handle, "level"),
            )
            rows = get(handle, "Nj"), get(handle, "Ni")
            found.setdefault(key, eccodes.codes_get_values(handle).reshape(rows))
            eccodes.codes_release(handle)
    return found


def check_against_files(state, values):
    """A state (70, lat, lon) against independently decoded fields, units by hand."""
    names = forecasters.CHANNELS
    for index, name in enumerate(names[:65]):
        category, number, factor = {
            "Z": (3, 5, 9.80665),
            "T": (0, 0, 1),
            "U": (2, 2, 1),
            "V": (2, 3, 1),
            "R": (1, 1, 1),
        }[name[0]]
        np.testing.assert_allclose(
            state[index],
            factor * values[category, number, 100, int(name[1:])],
            rtol=1e-6,
            atol=1e-4,
        )
    surface = {
        "T2M": (0, 0, 103, 2),
        "U10": (2, 2, 103, 10),
        "V10": (2, 3, 103, 10),
        "MSL": (3, 1, 101, 0),
    }
    for name, key in surface.items():
        np.testing.assert_allclose(state[names.index(name)], values[key], rtol=1e-6, atol=1e-4)
    assert not state[69].any()


def test_a_gfs_file_becomes_fuxis_channels_in_its_units(one, tmp_path):
    inits = [datetime(2022, 12, 31, 12), datetime(2022, 12, 31, 18)]
    for init in inits:
        grib_files.write_gfs(tmp_path / "gfs", init, [0, 6])
    ledger = Ledger()
    read = forecasts.gfs_states([tmp_path / "gfs"], one, [TIME - STEP, TIME], ledger)
    states = [read(TIME - STEP), read(TIME)]
    assert states[0].shape == (70, 7, 12)
    for init, state in zip(inits, states, strict=True):
        path = (
            tmp_path
            / "gfs"
            / f"gfs.{init:%Y%m%d}"
            / f"{init:%H}"
            / "atmos"
            / f"gfs.t{init:%H}z.pgrb2.1p00.f000"
        )
        check_against_files(state, decoded(path))
    assert not ledger.rows
    assert ledger.summary().startswith("138 fields read: 138 used")
    with pytest.raises(KeyError, match="was not asked for"):
        read(TIME + STEP)


def test_a_real_gfs_file_becomes_fuxis_channels(tmp_path):
    """A real forecast file, with its lead time set to that of an analysis."""
    real = realdata("gfs/pygrib_gfs.t12z.pgrbf120.2p5deg.grib2")
    messages = []
    for frame in find_messages(real):
        for message in split_fields(real.read_bytes()[frame.offset : frame.offset + frame.length]):
            handle = eccodes.codes_new_from_message(message)
            if eccodes.codes_get_string(handle, "stepType") == "instant":
                eccodes.codes_set(handle, "forecastTime", 0)
                messages.append(eccodes.codes_get_message(handle))
            eccodes.codes_release(handle)
    path = tmp_path / "gfs" / "gfs.t12z.pgrb2.2p50.f000"
    path.parent.mkdir()
    path.write_bytes(b"".join(messages))
    model = OnnxCascade([onnx_files.write(tmp_path / "m.onnx", [1, 2, 70, 73, 144])])
    time = np.datetime64("2011-01-10T12", "ns")
    ledger = Ledger()
    state = forecasts.gfs_states([path.parent], model, [time], ledger)(time)
    assert state is not None, ledger.rows[:3]
    check_against_files(state, decoded(path))
    assert 45000 < state[7].mean() < 58000


def test_a_missing_channel_is_a_missing_forecast_and_a_ledger_row(one, tmp_path):
    lacking = [channel for channel in channel_table() if channel.name != "R300"]
    grib_files.write_gfs(tmp_path / "gfs", datetime(2022, 12, 31, 12), [0])
    grib_files.write_gfs(tmp_path / "gfs", datetime(2022, 12, 31, 18), [0], lacking)
    grib_files.write_gfs(tmp_path / "gfs", datetime(2023, 1, 1), [0])
    grib_files.write_gfs(tmp_path / "gfs", datetime(2023, 1, 1, 6), [0])
    inits, ledger, target = TIME + np.arange(3) * STEP, Ledger(), Grid(6, 12)
    read = forecasts.gfs_states([tmp_path / "gfs"], one, [*(inits - STEP), *inits], ledger)
    with ForecastWriter(tmp_path / "f.zarr", inits, [6, 12], one.channels, target) as writer:
        assert forecasts.write_forecasts(one, read, writer, 2, LOG) == 1
    assert {(row["channel"], row["reason"]) for row in ledger.rows} == {("R300", "no usable field")}
    found = Forecasts([tmp_path / "f.zarr"])
    assert [found.available(init, 12) for init in inits] == [False, False, True]
    assert found.grid == target


def test_fields_are_interpolated_to_and_from_the_models_grid(one, tmp_path):
    """A field that is linear in latitude is the same on both grids, but for the rows next to the
    poles.
    """
    fields = np.broadcast_to(tiny.GRID.lat[:, None] + 100, (2, 69, *tiny.GRID.shape)).astype(
        np.float32
    )
    path = tiny.write_states(tmp_path / "analyses.zarr", fields, "analysis")
    model = OnnxCascade([onnx_files.write(tmp_path / "m.onnx", [1, 2, 70, 9, 16])])
    read = forecasts.stored_states([path], model)
    state = read(tiny.START)
    np.testing.assert_allclose(state[5, 1:-1, 3], model.grid.lat[1:-1] + 100, rtol=1e-6)
    assert not state[69].any()
    assert read(tiny.START - STEP) is None
    with ForecastWriter(
        tmp_path / "f.zarr", tiny.times(2)[1:], [6], model.channels, tiny.GRID
    ) as writer:
        assert forecasts.write_forecasts(model, read, writer, 1, LOG) == 1
    found = Forecasts([tmp_path / "f.zarr"]).read(tiny.times(2)[1], 6)
    np.testing.assert_allclose(found[5, 1:-1], fields[0, 5, 1:-1], rtol=1e-6)


def test_analyses_that_lack_a_channel_are_refused():
    with pytest.raises(KeyError, match="lack Z100"):
        forecasts.completed(np.zeros((1, 2, 2)), ["Z50"], channel_table()[:2])
