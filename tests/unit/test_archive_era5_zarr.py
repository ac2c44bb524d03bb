"""ERA5 of public Zarr stores: fetched, and made to the states that the GRIB files give."""

import logging
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from numcodecs import Zstd

from fuxiflow.archive import checks, era5_zarr, fetching, retries
from fuxiflow.archive.adopting import adopt_month
from fuxiflow.archive.needs import Need, era5_fields
from fuxiflow.archive.orders import era5_orders, era5_parts
from fuxiflow.archive.raw_store import MonthFolder
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import load_archives
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import Assembler, Ledger
from fuxiflow.states.decoding import decode_analyses, list_grib_files, read_invariants
from fuxiflow.states.netcdf_fields import FieldReader
from fuxiflow.states.store import StateSeries
from fuxiflow.storage.field_files import FieldFile
from fuxiflow.storage.manifests import RawFileError
from tests.support import public_stores
from tests.support.archive_server import archive
from tests.support.helpers import load_script
from tests.support.public_stores import ARCO, WB2, WB2_COARSE

LOG = logging.getLogger("test")
NEED = Need("era5", "2020-01", ("2020-01-01", "2020-01-02"), era5_fields())
TIMES = [datetime(2020, 1, 1) + timedelta(hours=6 * step) for step in range(8)]
INVARIANTS = Need("era5", "invariants", ("", ""))
LAYOUTS = {
    "wb2": WB2,
    "wb2 of 5.6 degrees": WB2_COARSE,
    "south to north": replace(WB2, ascending=True),
    "level last": replace(WB2, order=("time", "latitude", "longitude", "level")),
    "short names": replace(WB2, short_names=True, time_chunk=5),
    "from 180 degrees west": replace(WB2, west=180.0),
    "zstd": replace(WB2, compressor=Zstd()),
    "not compressed": replace(WB2, compressor=None),
    "arco": ARCO,
    "arco, other order": replace(ARCO, order=WB2_COARSE.order, ascending=True, time_chunk=7),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Miniature stores by layout, each written once."""
    folder, stores = tmp_path_factory.mktemp("stores"), {}

    def write(name):
        if name not in stores:
            stores[name] = folder / name.replace(" ", "_")
            public_stores.write_store(stores[name], LAYOUTS[name])
        return stores[name]

    return write


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(retries.time, "sleep", lambda seconds: None)
    with archive() as running:
        yield running


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "resources/archive"


def serve(server, path, name="era5.zarr", provider="wb2"):
    """Serve a store; return the archives that have it as provider."""
    url = public_stores.serve_store(server, path, name)
    return load_archives(changes={"era5": {"provider": provider, provider: {"url": url}}})


def fetch(archives, raw, need=NEED):
    fetching.fetch_need(need, raw, archives, LOG)
    return {month: MonthFolder(raw, "era5", month).manifest for month in need.months}


def decode(folder, times=TIMES, grid=public_stores.GRID):
    ledger = Ledger()
    assembler = Assembler(FieldReader(channel_table(), "era5", grid), grid, ledger)
    states = list(decode_analyses(assembler, list_grib_files(folder), times))
    ledger.summary()
    return states, ledger


@pytest.fixture(scope="module")
def of_grib(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grib")
    public_stores.write_grib(folder, TIMES)
    states, ledger = decode(folder)
    assert all(state is not None for state in states)
    return np.stack(states), ledger


@pytest.mark.parametrize("name", LAYOUTS)
def test_states_are_those_of_the_same_fields_in_grib(name, server, raw, written, of_grib):
    archives = serve(server, written(name), provider="arco" if "arco" in name else "wb2")
    manifests = fetch(archives, raw)
    states, ledger = decode(raw / "era5/2020-01")
    expected, ledger_of_grib = of_grib
    assert all(state is not None for state in states)
    spread = expected.std(axis=(0, 2, 3), keepdims=True)
    # GRIB has 24 bits, a store the digits of float32
    assert np.max(np.abs(np.stack(states) - expected) / spread) < 2e-5
    assert ledger.used == (70 * 8 if "arco" not in name else ledger_of_grib.used)
    assert not ledger.rejected
    assert set(ledger.versions.values()) == {"ERA5"}
    assert len(manifests["2020-01"].files) == 2
    # nothing is asked for again
    server.requests.clear()
    assert fetch(archives, raw) == manifests
    assert not server.requests


@pytest.mark.parametrize("name", ["wb2", "wb2 of 5.6 degrees", "arco"])
def test_invariants_are_those_of_grib(name, server, raw, written, tmp_path):
    archives = serve(server, written(name))
    fetch(archives, raw, INVARIANTS)
    public_stores.write_grib_invariants(tmp_path / "invariants.grib")
    expected = read_invariants(tmp_path / "invariants.grib", Grid(4, 8))
    fields = read_invariants(raw / "era5/invariants", Grid(4, 8))
    assert list(fields) == list(expected)
    for field, values in expected.items():
        np.testing.assert_allclose(fields[field], values, rtol=1e-6, atol=2e-3)
    server.requests.clear()
    fetch(archives, raw, INVARIANTS)
    assert not server.requests


def test_days_of_a_file_follow_from_grid_and_chunks(server, raw, written, monkeypatch):
    """A day at 0.25 degrees is a file, and chunks of many times are loaded once."""
    monkeypatch.setattr(era5_zarr, "FILE_BYTES", 1.0)
    need = replace(NEED, days=("2020-01-01", "2020-01-03"))
    manifest = fetch(serve(server, written("wb2")), raw, need)["2020-01"]
    assert sorted(name.rpartition("_")[0] for name in manifest.files) == [
        f"{kind}_2020010{day}-2020010{day}" for kind in ("fields", "precipitation") for day in "123"
    ]
    states, _ = decode(raw / "era5/2020-01", [*TIMES, datetime(2020, 1, 3, 18)])
    assert all(state is not None for state in states)
    monkeypatch.setattr(era5_zarr, "DAY_CHUNK", 4)
    server.requests.clear()
    further = raw.parent / "further"
    coarse = serve(server, written("wb2 of 5.6 degrees"), "coarse.zarr")
    assert len(fetch(coarse, further, need)["2020-01"].files) == 2
    asked = [path for path, _ in server.requests]
    assert len(asked) == len(set(asked))


def test_a_segment_of_grib_and_of_a_store(server, raw, written, tmp_path, of_grib):
    """Each day comes from where it was first asked for; the states are the same."""
    folder = raw / "era5/2020-01"
    public_stores.write_grib(folder, TIMES[:4])
    archives = serve(server, written("wb2"))
    manifest = fetch(archives, raw)["2020-01"]
    days = {
        day for day, _ in (key[1:] for key in era5_parts(e.covers for e in manifest.files.values()))
    }
    assert days == {"2019-12-31", "2020-01-01", "2020-01-02"}
    asked = {path.rpartition("/")[2] for path, _ in server.requests if "/temperature/" in path}
    assert asked == {f"{step}.0.0.0" for step in range(8, 12)}
    states, ledger = decode(folder)
    expected, _ = of_grib
    spread = expected.std(axis=(0, 2, 3), keepdims=True)
    assert np.max(np.abs(np.stack(states) - expected) / spread) < 2e-5
    assert not ledger.rejected


@pytest.mark.parametrize("name", ["wb2", "arco"])
def test_what_came_from_a_store_is_not_asked_of_the_climate_data_store(name, server, raw, written):
    manifest = fetch(serve(server, written(name)), raw)["2020-01"]
    covers = [entry.covers for entry in manifest.files.values()]
    assert not list(era5_orders(NEED, covers, 8, client=lambda: None))
    assert not checks.needs_key(NEED, raw, load_archives())
    longer = replace(NEED, days=("2020-01-01", "2020-01-03"))
    assert checks.needs_key(longer, raw, load_archives())
    changes = {"era5": {"provider": "arco"}}
    assert not checks.needs_key(longer, raw, load_archives(changes=changes))


def test_the_script_makes_states_and_their_ledger(server, raw, written, tmp_path):
    archives = serve(server, written("arco"), provider="arco")
    need = replace(NEED, days=("2020-01-03", "2020-01-04"))
    fetch(archives, raw, need)
    fetching.write_need_receipt(tmp_path / "receipt.json", need, raw)
    output = SimpleNamespace(states=tmp_path / "states.zarr", ledger=tmp_path / "ledger.parquet")
    params = SimpleNamespace(
        reference="era5",
        compression="none",
        grid={"nlat": 8, "nlon": 16},
        dates=list(need.days),
        completeness=SimpleNamespace(setting="completeness.states", least=1.0),
    )
    script = load_script("states_decode")
    script.main(SimpleNamespace(raw=tmp_path / "receipt.json"), output, params, LOG)
    states = StateSeries([output.states])
    assert len(states.times) == 8
    reasons = pd.read_parquet(output.ledger)["reason"]
    assert reasons.str.startswith("used ERA5T, as there is no ERA5").any()
    params.dates = ["2020-01-10", "2020-01-11"]
    with pytest.raises(ValueError, match=r"no usable state.*NetCDF-4 with .*temperature.*8 x 16"):
        script.main(SimpleNamespace(raw=raw / "era5/2020-01"), output, params, LOG)


def test_only_what_is_needed_is_transferred(server, raw, written):
    fetch(serve(server, written("arco"), provider="arco"), raw)
    asked = [path.removeprefix("/era5.zarr/") for path, _ in server.requests]
    assert len(asked) == len(set(asked))
    hours = {int(key.split("/")[1].split(".")[0]) for key in asked if "temperature/" in key}
    # the axis begins a day before
    assert hours == {24 + 6 * step for step in range(8)}
    of_rain = {int(key.split("/")[1].split(".")[0]) for key in asked if "precip" in key}
    assert of_rain == set(range(19, 24 + 24 + 19))
    assert not [key for key in asked if key.startswith(("lake", "land", "geopotential_at"))]


def test_the_file_says_where_its_fields_are_from(server, raw, written):
    archives = serve(server, written("arco"), provider="arco")
    last = Need("era5", "2020-01", ("2020-01-03", "2020-01-04"), era5_fields())
    manifest = fetch(archives, raw, last)["2020-01"]
    name = next(name for name in manifest.files if name.startswith("fields"))
    with netCDF4.Dataset(raw / "era5/2020-01" / name) as file:
        assert file.origin == archives.era5.store_url
        assert file.product == "ERA5 and ERA5T"
        assert file.dates == "2020-01-03T00:00:00 to 2020-01-04T18:00:00"
        assert file["temperature"].dimensions == ("time", "level", "latitude", "longitude")
        assert file["temperature"].units == "K"
        assert file["level"][:].tolist() == public_stores.LEVELS
    times = [datetime(2020, 1, 3) + timedelta(hours=6 * step) for step in range(8)]
    _, ledger = decode(raw / "era5/2020-01", times)
    # the precipitation of the first sum is partly of the evening before
    versions = ["ERA5"] * 4 + ["ERA5 and ERA5T"] + ["ERA5T"] * 3
    assert [ledger.versions[time] for time in times] == versions


def test_one_more_day_and_a_lost_file_fetch_what_lacks(server, raw, written):
    archives = serve(server, written("wb2"))
    before = fetch(archives, raw)["2020-01"].files
    server.requests.clear()
    longer = replace(NEED, days=("2020-01-01", "2020-01-03"))
    after = fetch(archives, raw, longer)["2020-01"].files
    assert {name: after[name] for name in before} == before
    asked = {path.rpartition("/")[2] for path, _ in server.requests if "/temperature/" in path}
    assert asked == {f"{step}.0.0.0" for step in range(12, 16)}
    lost = next(name for name in after if name.startswith("precipitation"))
    (raw / "era5/2020-01" / lost).unlink()
    server.requests.clear()
    fetch(archives, raw, longer)
    assert not [path for path, _ in server.requests if "/temperature/" in path]
    states, _ = decode(raw / "era5/2020-01", [*TIMES, datetime(2020, 1, 3)])
    assert all(state is not None for state in states)


def test_a_fetch_that_was_broken_off_goes_on(server, raw, written):
    archives = serve(server, written("wb2"))
    key = "/era5.zarr/total_precipitation_6hr/9.0.0"
    server.faults[key] = [403]
    with pytest.raises(retries.DownloadError, match="refused with status 403"):
        fetch(archives, raw)
    server.requests.clear()
    fetch(archives, raw)
    assert not [path for path, _ in server.requests if "/temperature/" in path]
    states, _ = decode(raw / "era5/2020-01")
    assert all(state is not None for state in states)


@pytest.mark.parametrize("fault", [503, "cut", "stall-free"])
def test_failures_that_pass_are_tried_again(fault, server, raw, written):
    archives = serve(server, written("wb2"))
    key = "/era5.zarr/temperature/4.0.0.0"
    server.faults[key] = [fault if fault != "stall-free" else (429, {"Retry-After": "0"})]
    fetch(archives, raw)
    assert [path for path, _ in server.requests].count(key) == 2


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("wb2", lambda body: body[:-7], r"has \d+ bytes instead of \d+"),
        ("wb2", lambda body: b"", "has only 0 bytes"),
        ("wb2", lambda body: body[:20] + b"x" * (len(body) - 20), "cannot be decoded"),
        ("zstd", lambda body: body[:-7], "cannot be decoded"),
        ("not compressed", lambda body: body[:-7], r"has \d+ bytes instead of \d+"),
    ],
)
def test_a_damaged_chunk_is_an_error_that_names_it(name, spoil, words, server, raw, written):
    archives = serve(server, written(name))
    key = "era5.zarr/temperature/4.0.0.0"
    server.files[key] = spoil(server.files[key])
    with pytest.raises(retries.DownloadError, match=rf"temperature.*{words}.*damaged"):
        fetch(archives, raw)
    assert not list(raw.rglob("fields*.nc"))


@pytest.mark.parametrize("key", [".zmetadata", "time/0", "temperature/4.0.0.0"])
def test_a_web_page_is_no_chunk(key, server, raw, written):
    archives = serve(server, written("wb2"))
    server.faults[f"/era5.zarr/{key}"] = ["html"]
    with pytest.raises(retries.DownloadError, match=f"{key}: the answer is a web page"):
        fetch(archives, raw)


def test_an_address_without_a_store_is_an_error_with_a_remedy(server, raw):
    changes = {"era5": {"provider": "wb2", "wb2": {"url": f"{server.url}/nothing.zarr"}}}
    with pytest.raises(
        retries.DownloadError, match=r"nothing\.zarr/\.zmetadata: there is none .*address"
    ):
        fetch(load_archives(changes=changes), raw)
    server.files["nothing.zarr/.zmetadata"] = b'{"metadata": []}'
    with pytest.raises(retries.DownloadError, match="no metadata of a Zarr store"):
        fetch(load_archives(changes=changes), raw)


def edit_metadata(server, old, new):
    body = server.files["era5.zarr/.zmetadata"].decode()
    assert old in body
    server.files["era5.zarr/.zmetadata"] = body.replace(old, new).encode()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("2m_temperature", "t2m", r"it has no array 2m_temperature.*it holds .*t2m"),
        ('"m**2 s**-2"', '"gpm"', "geopotential is in gpm, expected m2 s-2"),
        ('"_ARRAY_DIMENSIONS"', '"DIMENSIONS"', "does not name its dimensions"),
        ("hours since 1959-01-01", "fortnights since 1959-01-01", "times cannot be decoded"),
        (', "longitude"]', ', "ensemble"]', r"it has the dimensions .*ensemble"),
    ],
)
def test_a_store_of_another_kind_is_an_error_that_says_what_it_is(
    old, new, words, server, raw, written
):
    archives = serve(server, written("wb2"))
    edit_metadata(server, old, new)
    with pytest.raises(retries.DownloadError, match=words):
        fetch(archives, raw)


def test_a_level_that_the_store_lacks_is_named(server, raw, written):
    need = replace(NEED, fields=("temperature 70", "temperature 500"))
    with pytest.raises(retries.DownloadError, match=r"no level of 70 hPa; it holds 50, 100"):
        fetch(serve(server, written("wb2")), raw, need)


def test_days_beyond_the_data_are_refused_after_the_others_are_loaded(server, raw, written):
    archives = serve(server, written("arco"), provider="arco")
    need = replace(NEED, days=("2020-01-04", "2020-01-06"))
    words = r"holds ERA5 from 2019-12-31T00:00:00 to 2020-01-05T23:59:59, and 1 days.*2020-01-06"
    with pytest.raises(retries.DownloadError, match=words):
        fetch(archives, raw, need)
    assert not [path for path, _ in server.requests if path.endswith("temperature/144.0.0.0")]
    states, _ = decode(raw / "era5/2020-01", [datetime(2020, 1, 5, 18)])
    assert states[0] is not None
    # once the store reaches further, they are asked for
    edit_metadata(server, '"2020-01-05"', '"2020-01-06"')
    for key in [key for key in server.files if "/140." in key]:
        for step in range(144, 168):
            server.files[key.replace("/140.", f"/{step}.")] = server.files[key]
    fetch(archives, raw, need)
    states, _ = decode(raw / "era5/2020-01", [datetime(2020, 1, 6, 18)])
    assert states[0] is not None


def test_an_axis_beyond_the_data_without_attributes_is_a_gap(server, raw, tmp_path):
    """The times without chunks are absent, not fields of fill values."""
    layout = replace(WB2, axis=16, filled=9)
    public_stores.write_store(tmp_path / "store", layout)
    archives = serve(server, tmp_path / "store")
    fetch(archives, raw)
    states, ledger = decode(raw / "era5/2020-01")
    assert [state is not None for state in states] == [True] * 5 + [False] * 3
    assert ledger.rejected == 0
    covers = [one.covers for one in MonthFolder(raw, "era5", "2020-01").manifest.files.values()]
    parts = era5_parts(covers)
    assert ("temperature 500", "2020-01-02", 0) in parts
    assert ("temperature 500", "2020-01-02", 6) not in parts


@pytest.mark.parametrize("fill", ["NaN", 0.0])
def test_a_chunk_that_is_missing_is_a_gap_which_is_asked_for_once_more(fill, server, raw, written):
    archives = serve(server, written("wb2"))
    if fill == 0.0:
        edit_metadata(server, '"fill_value": "NaN"', '"fill_value": 0.0')
    key = "era5.zarr/u_component_of_wind/5.0.0.0"
    body = server.files.pop(key)
    fetch(archives, raw)
    states, ledger = decode(raw / "era5/2020-01")
    assert [state is None for state in states] == [False, True] + [False] * 6
    assert {row["channel"] for row in ledger.rows} == {
        channel.name for channel in channel_table() if channel.variable == "u_component_of_wind"
    }
    server.requests.clear()
    server.files[key] = body
    fetch(archives, raw)
    assert f"/{key}" in {path for path, _ in server.requests}
    states, _ = decode(raw / "era5/2020-01")
    assert all(state is not None for state in states)


def test_a_gap_of_the_store_is_noted_and_not_asked_for_for_ever(server, raw, written):
    archives = serve(server, written("wb2"))
    for step in range(4, 8):
        del server.files[f"era5.zarr/u_component_of_wind/{step}.0.0.0"]
    for _ in range(2):
        fetch(archives, raw)
    assert len(MonthFolder(raw, "era5", "2020-01").manifest.absent) == 1
    server.requests.clear()
    fetch(archives, raw)
    assert not [path for path, _ in server.requests if "/u_component_of_wind/" in path]


def test_files_of_another_grid_by_the_address_do_not_count(server, raw, tmp_path, written):
    fine = Grid(16, 32)
    public_stores.write_store(tmp_path / "fine", replace(WB2, axis=13, grid=fine))
    coarse_store = serve(server, written("wb2"), "era5-6h-16x8.zarr")
    fine_store = serve(server, tmp_path / "fine", "era5-6h-32x16.zarr")
    fetch(coarse_store, raw)
    _, ledger = decode(raw / "era5/2020-01", grid=fine)
    assert any("coarser than the states'" in reason for reason in ledger.ignored)
    before, _ = decode(raw / "era5/2020-01")
    fetch(fine_store, raw)
    states, _ = decode(raw / "era5/2020-01", grid=fine)
    assert all(state is not None for state in states)
    after, _ = decode(raw / "era5/2020-01")
    np.testing.assert_array_equal(before, after)
    server.requests.clear()
    for archives in (coarse_store, fine_store):
        fetch(archives, raw)
    assert not server.requests


def test_files_are_adopted(server, raw, written, tmp_path):
    fetch(serve(server, written("wb2")), raw)
    mine = raw / "era5/2020-01"
    covers = {
        name: entry.covers
        for name, entry in MonthFolder(raw, "era5", "2020-01").manifest.files.items()
    }
    other = tmp_path / "other"
    shutil.copytree(mine, other / "era5/2020-01")
    (other / "era5/2020-01/manifest.json").unlink()
    folder = MonthFolder(other, "era5", "2020-01")
    with folder.locked():
        adopt_month(folder)
    assert {name: entry.covers for name, entry in folder.manifest.files.items()} == covers
    server.requests.clear()
    fetch(serve(server, written("wb2")), other)
    assert not server.requests


def test_fields_of_other_names_are_refused_with_what_they_are(tmp_path):
    path = tmp_path / "cds.nc"
    xr.Dataset({"t": (("valid_time", "latitude", "longitude"), np.zeros((1, 3, 4)))}).assign_coords(
        latitude=[90.0, 0.0, -90.0], longitude=[0.0, 90.0, 180.0, 270.0]
    ).to_netcdf(path, engine="netcdf4")
    with pytest.raises(RawFileError, match=r"cds\.nc: it has no fields .* of ERA5; it holds t"):
        era5_zarr.covers_of_file(path)


def test_xarray_reads_the_files_and_its_own_are_read(server, raw, written, tmp_path):
    fetch(serve(server, written("wb2")), raw)
    own = tmp_path / "own"
    own.mkdir()
    for path in (raw / "era5/2020-01").glob("*.nc"):
        with xr.open_dataset(path, engine="netcdf4") as data:
            data.transpose("longitude", ..., "latitude", "time").to_netcdf(
                own / path.name, engine="netcdf4"
            )
            with FieldFile(path) as file:
                assert list(data.time.values.astype("datetime64[s]").tolist()) == file.times
    np.testing.assert_array_equal(decode(own)[0], decode(raw / "era5/2020-01")[0])


def test_a_damaged_file_is_a_row_of_the_ledger(server, raw, written, tmp_path):
    fetch(serve(server, written("wb2")), raw)
    (path,) = (raw / "era5/2020-01").glob("fields*.nc")
    folder = tmp_path / "damaged"
    folder.mkdir()
    body = path.read_bytes()
    (folder / path.name).write_bytes(body[: len(body) // 2])
    states, ledger = decode(folder)
    assert states == [None] * 8
    assert "no whole NetCDF-4 file" in ledger.rows[0]["reason"]


def test_zarr_writes_the_miniature_as_documented(written):
    """The miniature is of format 2, consolidated, with a chunk for each hour."""
    path = written("arco")
    group = zarr.open_consolidated(path, zarr_format=2)
    assert group["temperature"].chunks == (1, 37, 8, 16)
    assert (path / "temperature" / "5.0.0.0").exists()
    assert not (path / "temperature" / "150.0.0.0").exists()
