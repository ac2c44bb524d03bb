"""Forecasts and analyses of others in WeatherBench2's layout, whatever order they are in."""

import logging
from datetime import datetime

import numpy as np
import pytest
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.public_stores import PublicFields, PublicStoreError, shared_starts
from tests.support.wb2_stores import field, public_store

TIMES = ["2020-01-01T00", "2020-01-01T12", "2020-01-02T00"]
LEADS = [0, 6, 12]
GRID = Grid(8, 16)
CHANNELS = channel_table().select(["Z500", "Z850", "T850", "T2M", "TP"])
LOG = logging.getLogger("test")


def states(path, time=TIMES[1], leads=(6, 12), channels=CHANNELS, grid=GRID):
    ledger = Ledger()
    fields = PublicFields(path, channels, grid)
    found = list(fields.read(datetime.fromisoformat(time), leads, ledger))
    ledger.summary()
    return found


def expected(valid):
    lat, lon = GRID.lat, GRID.lon
    valid = np.datetime64(valid, "ns")
    z, t = (field(name, valid, lat, lon) for name in ("geopotential", "temperature"))
    surface = field("2m_temperature", valid, lat, lon)
    rain = field("total_precipitation_6hr", valid, lat, lon)
    return np.stack([z[0], z[1], t[1], surface, 1000 * rain])


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"order": ("latitude", "longitude")},
        {"ascending": False},
        {"ascending": False, "order": ("latitude", "longitude"), "short_names": True},
        {"west": -180.0},
        {"west": -180.0, "order": ("latitude", "longitude")},
        {"lead_units": "nanoseconds"},
        {"lead_units": "none"},
        {"chunk_times": 3},
    ],
)
def test_any_order_and_direction(tmp_path, layout):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS, **layout)
    first, second = states(path)
    np.testing.assert_allclose(first, expected("2020-01-01T18"), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(second, expected("2020-01-02T00"), rtol=1e-5, atol=1e-4)


def test_analyses(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES)
    (found,) = states(path, leads=(0,))
    np.testing.assert_allclose(found, expected(TIMES[1]), rtol=1e-5, atol=1e-4)


def test_relative_humidity_is_that_of_era5(tmp_path):
    """Mixed phase, by hand at one point: DATA_FORMATS, section 11.1."""
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS)
    channels = channel_table().select(["R850"])
    (found,) = states(path, TIMES[0], (0,), channels)
    valid = np.datetime64(TIMES[0], "ns")
    t, q = (
        float(field(name, valid, GRID.lat, GRID.lon)[1, 3, 5])
        for name in ("temperature", "specific_humidity")
    )
    water = 611.21 * np.exp(17.502 * (t - 273.16) / (t - 32.19))
    ice = 611.21 * np.exp(22.587 * (t - 273.16) / (t + 0.7))
    alpha = np.clip((t - 250.16) / 23, 0, 1) ** 2
    e = q * 85_000 / (0.6219807 + (1 - 0.6219807) * q)
    assert found[0, 3, 5] == pytest.approx(100 * e / (alpha * water + (1 - alpha) * ice), rel=1e-3)


def test_a_coarser_grid_keeps_area_means(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS, grid=(32, 64))
    (fine,) = states(path, leads=(6,), grid=Grid(32, 64))
    (coarse,) = states(path, leads=(6,))
    means = [
        (state.mean(axis=2) * grid.area_weights).mean(axis=1)
        for grid, state in ((Grid(32, 64), fine), (GRID, coarse))
    ]
    np.testing.assert_allclose(*means, rtol=1e-5)


def test_channels_that_a_store_lacks_are_left_out(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS, names={"geopotential": "m2 s-2"})
    fields = PublicFields(path, channel_table(), GRID)
    assert fields.channels.names == ["Z500", "Z850"]
    with pytest.raises(PublicStoreError, match="none of T2M; its arrays are geopotential"):
        PublicFields(path, channel_table().select(["T2M"]), GRID)


def test_fields_that_are_not_there_are_told(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS, without=[(TIMES[1], 12)])
    ledger = Ledger()
    fields = PublicFields(path, CHANNELS, GRID)
    six, twelve = fields.read(datetime(2020, 1, 1, 12), [6, 12], ledger)
    assert six is not None
    assert twelve is None
    assert {row["channel"] for row in ledger.rows} == set(CHANNELS.names)
    assert all("values are missing" in row["reason"] for row in ledger.rows)
    assert list(fields.read(datetime(2021, 1, 1), [6, 12], ledger)) == [None, None]
    assert ledger.rows[-1]["reason"] == "no such time in the store"
    ledger.summary()


def test_gross_values_are_refused(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS)
    zarr.open_group(path, mode="r+")["2m_temperature"][1, 1, 0, 0] = 1e11
    first, second = states(path)
    assert first is None
    assert second is not None


def test_a_damaged_chunk_is_named(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS)
    chunk = path / "geopotential" / "1.1.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    with pytest.raises(PublicStoreError, match="geopotential: the fields of 2020-01-01T12"):
        states(path)


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such Zarr store"):
        PublicFields(tmp_path / "nowhere", CHANNELS, GRID)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PublicStoreError, match="empty: it cannot be opened as a Zarr store"):
        PublicFields(tmp_path / "empty", CHANNELS, GRID)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("latitude", lambda values: values**3 / 7000, "latitude is not spaced equally"),
        ("longitude", lambda values: values / 2, "not global"),
    ],
)
def test_grids_that_are_not_regular_and_global(tmp_path, name, change, words):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS)
    array = zarr.open_group(path, mode="r+")[name]
    array[:] = change(array[:])
    with pytest.raises(PublicStoreError, match=words):
        PublicFields(path, CHANNELS, GRID)


@pytest.mark.parametrize(
    ("name", "units", "words"),
    [
        ("time", "fortnights", "times in 'fortnights'"),
        ("prediction_timedelta", "h", "durations in 'h'"),
    ],
)
def test_units_that_are_not_known(tmp_path, name, units, words):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS)
    zarr.open_group(path, mode="r+", use_consolidated=False)[name].attrs["units"] = units
    zarr.consolidate_metadata(path, zarr_format=2)
    with pytest.raises(PublicStoreError, match=words):
        PublicFields(path, CHANNELS, GRID)


def test_samples_are_cut_with_a_word(tmp_path, caplog):
    path = public_store(tmp_path / "store.zarr", ["2020-01-01T00", "2020-01-02T00"], [0, 12, 24])
    fields = PublicFields(path, CHANNELS, GRID)
    wanted = [datetime(2020, 1, day, hour) for day in (1, 2, 3) for hour in (0, 12)]
    inits, leads = shared_starts(fields, wanted, [6, 12, 18, 24], "other", LOG)
    # the third day is missing, and stays
    assert inits == wanted[::2]
    assert leads == [12, 24]
    assert "other has 3 of 6 initial times" in caplog.text
    assert "other has 2 of 4 leads" in caplog.text


def test_nothing_shared_is_an_error(tmp_path):
    path = public_store(tmp_path / "store.zarr", TIMES, LEADS)
    fields = PublicFields(path, CHANNELS, GRID)
    with pytest.raises(PublicStoreError, match=r"no forecast from 2023-01-01.*it has 2020-01-01"):
        shared_starts(fields, [datetime(2023, 1, 1)], [6, 12], "other", LOG)
    with pytest.raises(PublicStoreError, match=r"verification\.systems\.other"):
        shared_starts(fields, [datetime(2020, 1, 1)], [7], "other", LOG)
    analyses = PublicFields(public_store(tmp_path / "a.zarr", TIMES), CHANNELS, GRID)
    with pytest.raises(PublicStoreError, match="holds analyses and no forecasts"):
        shared_starts(analyses, [datetime(2020, 1, 1)], [6], "other", LOG)
