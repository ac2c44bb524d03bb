import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fuxiflow.channels import channel_table
from fuxiflow.cycling.forecasts import write_leads
from fuxiflow.grids import Grid
from fuxiflow.states import forecasts as module
from fuxiflow.states.forecasts import Forecasts, ForecastWriter

GRID = Grid(4, 8)
CHANNELS = channel_table().select(["Z500", "Z850", "T850", "T2M", "TP"])
INITS = np.datetime64("2023-01-01", "ns") + np.arange(3) * np.timedelta64(12, "h")
LEADS = [0, 6, 12, 18]
# with ten bits of mantissa: stored as they are
VALUES = np.random.default_rng(0).normal(size=(3, 4, 5, 4, 8)).astype(np.float16).astype(np.float32)


def write(path, inits=range(3), **options):
    with ForecastWriter(path, INITS, LEADS, CHANNELS, GRID, **options) as writer:
        for i in inits:
            for j in range(4):
                writer.write(i, j, VALUES[i, j])
    return path


@pytest.fixture(params=[1 << 26, 2 * 4 * 2 * 32])
def chunk_bytes(request, monkeypatch):
    """Chunks of all leads, and of two."""
    monkeypatch.setattr(module, "CHUNK_BYTES", request.param)


@given(arrays(np.float32, 5, elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False)))
def test_values_are_rounded_to_the_nearest(values):
    kept = module.round_mantissa(values)
    assert np.all(np.abs(kept - values) <= 2.0**-17 * np.abs(values))
    np.testing.assert_array_equal(module.round_mantissa(kept), kept)


def test_what_is_missing_stays_missing(tmp_path):
    channels = channel_table().select(["TP", "Z500"])
    values = np.full_like(VALUES[0, 0][:2], 55000.3)
    values[0, 1, 2] = np.nan
    with ForecastWriter(tmp_path / "a.zarr", INITS[:1], LEADS[:1], channels, GRID) as writer:
        writer.write(0, 0, values)
    field = Forecasts([tmp_path / "a.zarr"]).read(INITS[0], 0)
    assert np.argwhere(np.isnan(field)).tolist() == [[0, 1, 2]]
    assert field[1, 0, 0] == 55000.5


@pytest.mark.usefixtures("chunk_bytes")
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


@pytest.mark.usefixtures("chunk_bytes")
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


@pytest.mark.usefixtures("chunk_bytes")
def test_leads_of_several_forecasts_are_stored_without_reading_them_back(tmp_path, monkeypatch):
    def refused(*_):
        raise AssertionError("a piece was read back")

    with monkeypatch.context() as patch:
        patch.setattr("fuxiflow.states.forecasts.read_leads", refused)
        with ForecastWriter(tmp_path / "a.zarr", INITS, LEADS, CHANNELS, GRID) as writer:
            write_leads(writer, [2, 0, 1], iter(VALUES[[2, 0, 1]].swapaxes(0, 1)))
    forecasts = Forecasts([tmp_path / "a.zarr"])
    np.testing.assert_array_equal(np.stack([forecasts.read_init(init) for init in INITS]), VALUES)
