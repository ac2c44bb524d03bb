"""Public stores of forecasts are mirrored chunk by chunk, from a server on this machine."""

import json
import logging
from datetime import datetime

import numpy as np
import pytest

from fuxiflow import ROOT
from fuxiflow.archive import fetching
from fuxiflow.archive.needs import BEST_TRACKS, NO_DAYS, WHOLE, Need, all_needs
from fuxiflow.archive.needs import need_of as need_of_config
from fuxiflow.archive.raw_store import STORE
from fuxiflow.archive.retries import DownloadError
from fuxiflow.channels import channel_table
from fuxiflow.config import volumes
from fuxiflow.config.archives import load_archives
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.evaluation import store_product
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.climatology import HOURS
from fuxiflow.states.public_climatology import PublicClimatology
from fuxiflow.states.public_stores import PublicFields
from fuxiflow.storage.manifests import RawFileError, read_manifest
from tests.support.wb2_stores import climatology_store, public_store

LOG = logging.getLogger("test")
TIMES = ["2020-01-01T00", "2020-01-01T12", "2020-01-02T00", "2020-01-03T00"]
LEADS = [0, 6, 12]
GRID = Grid(8, 16)
CHANNELS = channel_table().select(["Z500", "T850", "R850", "T2M", "TP"])
FIELDS = (
    "geopotential 500",
    "specific_humidity 850",
    "temperature 850",
    "2m_temperature",
    "total_precipitation_6hr",
)
NAME = "datasets/hres/2016-2022-0012-16x8.zarr"


@pytest.fixture
def bucket(server, tmp_path):
    """A store with a chunk that it lacks."""
    folder = public_store(tmp_path / "hres.zarr", TIMES, LEADS, without=[(TIMES[1], 12)])
    for path in folder.rglob("*"):
        if path.is_file():
            server.files[f"{NAME}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return server


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return STORE


def need_of(server, **changes):
    address = f"{server.url}/{NAME}"
    values = {
        "product": store_product(address),
        "segment": WHOLE,
        "days": ("2020-01-01", "2020-01-02"),
        "fields": FIELDS,
        "init_hours": (0, 12),
        "max_lead_hours": 12,
        "address": address,
    }
    return Need(**values | changes)


def fetch(need, store, tmp_path):
    fetching.fetch_need(need, store, load_archives(), LOG)
    receipt = tmp_path / "receipt.json"
    fetching.write_need_receipt(receipt, need, store)
    return receipt


def states(place, time="2020-01-01T12", leads=(6, 12)):
    fields, ledger = PublicFields(place, CHANNELS, GRID), Ledger()
    fields.verify([datetime.fromisoformat(time)], leads)
    return list(fields.read(datetime.fromisoformat(time), list(leads), ledger))


def test_a_product_goes_by_the_name_of_its_store():
    name = "2016-2022-0012-64x32_equiangular_conservative"
    for base in ("https://storage.googleapis.com/weatherbench2/datasets", "http://127.0.0.1:80/x"):
        assert store_product(f"{base}/hres/{name}.zarr") == f"hres-{name}"


def test_what_is_needed_is_mirrored_and_read_as_the_store(bucket, store, tmp_path):
    receipt = fetch(need_of(bucket), store, tmp_path)
    manifest = read_manifest(store / need_of(bucket).product / WHOLE)
    # leads 0, the third day and the two coordinates' namesakes are not asked for
    chunks = [name for name in manifest.files if name.startswith("geopotential/")]
    assert sorted(chunks) == [
        "geopotential/0.1.0.0.0",
        "geopotential/0.2.0.0.0",
        "geopotential/1.1.0.0.0",
        "geopotential/2.1.0.0.0",
        "geopotential/2.2.0.0.0",
    ]
    assert "geopotential/1.2.0.0.0" in manifest.absent
    assert manifest.files["geopotential/0.1.0.0.0"].covers == {
        "days": ["2020-01-01"],
        "fields": ["geopotential"],
    }
    for time in TIMES[:3]:
        for mirrored, public in zip(
            states(receipt, time), states(tmp_path / "hres.zarr", time), strict=True
        ):
            assert (mirrored is None) == (public is None)
            assert mirrored is None or np.array_equal(mirrored, public)
    assert states(receipt)[1] is None


def test_what_is_there_is_not_asked_for_again(bucket, store, tmp_path):
    fetch(need_of(bucket), store, tmp_path)
    bucket.requests.clear()
    fetch(need_of(bucket), store, tmp_path)
    assert bucket.requests == []
    fetch(need_of(bucket, days=("2020-01-01", "2020-01-03")), store, tmp_path)
    asked = {path.removeprefix(f"/{NAME}/") for path, _ in bucket.requests}
    assert {name for name in asked if name.startswith("geopotential")} == {
        "geopotential/3.1.0.0.0",
        "geopotential/3.2.0.0.0",
    }


def test_a_lost_file_is_fetched_again_and_a_damaged_one_named(bucket, store, tmp_path):
    receipt = fetch(need_of(bucket), store, tmp_path)
    path = store / need_of(bucket).product / WHOLE / "geopotential" / "1.1.0.0.0"
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(RawFileError, match=r"geopotential/1\.1\.0\.0\.0"):
        states(receipt)
    path.unlink()
    receipt = fetch(need_of(bucket), store, tmp_path)
    assert path.read_bytes() == content
    assert states(receipt)[0] is not None


CLIMATOLOGY = "datasets/era5-hourly-climatology/1990-2019_6h_16x8.zarr"


def serve_climatology(server, tmp_path, **layout):
    """Serve a climatology, and return what is needed of it."""
    folder = climatology_store(tmp_path / "public.zarr", **layout)
    for path in folder.rglob("*"):
        if path.is_file():
            server.files[f"{CLIMATOLOGY}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    address = f"{server.url}/{CLIMATOLOGY}"
    fields = ("2m_temperature", "geopotential 500", "u_component_of_wind 850")
    return Need(store_product(address), WHOLE, NO_DAYS, fields, address=address)


def test_a_climatology_is_mirrored_at_synoptic_hours(server, store, tmp_path):
    need = serve_climatology(server, tmp_path, hours=range(0, 24, 3), names={"2m_temperature": "K"})
    receipt = fetch(need, store, tmp_path)
    manifest = read_manifest(store / need.product / WHOLE)
    chunks = [name for name in manifest.files if name.startswith("2m_temperature/")]
    assert sorted(chunks) == [
        f"2m_temperature/{hour}.{block}.0.0" for hour in (0, 2, 4, 6) for block in range(6)
    ]
    assert manifest.files[chunks[0]].covers == {"fields": ["2m_temperature"]}
    channels = channel_table().select(["T2M"])
    mirrored, public = (
        PublicClimatology(place, channels, GRID) for place in (receipt, tmp_path / "public.zarr")
    )
    day = datetime(2000, 1, 6)
    mirrored.verify([day], HOURS)
    for here, there in zip(
        mirrored.read(day, HOURS, Ledger()), public.read(day, HOURS, Ledger()), strict=True
    ):
        assert np.array_equal(here, there)
    server.requests.clear()
    fetch(need, store, tmp_path)
    assert server.requests == []


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"days": range(1, 361)}, "dayofyear: no 361, 366; it has 1 to 360"),
        ({"hours": (0, 12)}, "hour: no 6, 18; it has 0 to 12"),
    ],
)
def test_a_climatology_of_fewer_days_or_hours_is_refused(server, store, tmp_path, layout, words):
    need = serve_climatology(server, tmp_path, names={"2m_temperature": "K"}, **layout)
    with pytest.raises(DownloadError, match=words):
        fetch(need, store, tmp_path)


def test_a_store_of_forecasts_is_no_climatology(bucket, store, tmp_path):
    with pytest.raises(DownloadError, match="no dayofyear, so it holds no climatology"):
        fetch(need_of(bucket, days=NO_DAYS), store, tmp_path)


def test_answers_that_are_no_chunks(bucket, store, tmp_path):
    key = f"{NAME}/geopotential/0.1.0.0.0"
    whole = bucket.files[key]
    bucket.files[key] = whole[:-7]
    with pytest.raises(DownloadError, match=r"geopotential/0\.1\.0\.0\.0: the chunk has"):
        fetch(need_of(bucket), store, tmp_path)
    bucket.files[key] = whole
    bucket.faults[f"/{key}"] = ["html"]
    with pytest.raises(DownloadError, match="web page"):
        fetch(need_of(bucket), store, tmp_path)
    bucket.faults[f"/{key}"] = ["cut"]
    assert states(fetch(need_of(bucket), store, tmp_path))[0] is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"days": ("2023-01-01", "2023-01-02")}, "nothing of 2023-01-01.*it has 2020-01-01"),
        ({"max_lead_hours": 0, "init_hours": (6,)}, "nothing of 2020-01-01"),
    ],
)
def test_what_a_store_does_not_have_is_named(bucket, store, tmp_path, changes, words):
    with pytest.raises(DownloadError, match=words):
        fetch(need_of(bucket, **changes), store, tmp_path)


def test_an_address_without_a_store_is_named(bucket, store, tmp_path):
    address = f"{bucket.url}/datasets/hres/other.zarr"
    with pytest.raises(DownloadError, match=r"other\.zarr/\.zmetadata: there is none"):
        fetch(need_of(bucket, address=address), store, tmp_path)


def test_the_stores_of_a_configuration(tmp_path):
    base = "https://storage.googleapis.com/weatherbench2/datasets"
    stores = {
        "forecasts": f"{base}/hres/2016-2022-0012-64x32_equiangular_conservative.zarr",
        "analyses": f"{base}/hres_t0/2016-2022-6h-64x32_equiangular_conservative.zarr",
    }
    path = tmp_path / "systems.yaml"
    path.write_text(json.dumps({"verification": {"systems": {"hres": stores}}}), encoding="utf-8")
    config = load_configuration(ROOT / "config" / "paper.yaml", path)
    needed = {need.product: need for need in all_needs(config) if need.address}
    forecasts = needed["hres-2016-2022-0012-64x32_equiangular_conservative"]
    analyses = needed["hres_t0-2016-2022-6h-64x32_equiangular_conservative"]
    test = config.periods.test
    assert forecasts.days == (str(test.start), str(test.end))
    assert analyses.days[1] == str(config.verification_period.end)
    assert {"specific_humidity 850", "temperature 850", "total_precipitation_6hr"} <= {
        *forecasts.fields
    }
    assert "total_precipitation_6hr" not in analyses.fields
    assert need_of_config(config, forecasts.product, WHOLE) == forecasts
    # another mirror makes no receipt anew
    assert "address" not in forecasts.parameters()
    volume = volumes.product_volume(
        config, "archive_fetch", {"product": forecasts.product, "segment": WHOLE}
    )
    assert 1_000 < volume.mb < 30_000


def test_the_climatology_of_a_configuration():
    config = load_configuration(ROOT / "config" / "real.yaml")
    (need,) = (need for need in all_needs(config) if need.is_climatology)
    assert need.product == "era5-hourly-climatology-1990-2019_6h_64x32_equiangular_conservative"
    assert {"geopotential 50", "temperature 1000", "total_precipitation_6hr"} <= {*need.fields}
    assert "specific_humidity" not in need.variables
    assert need.months == [WHOLE]
    assert not need_of_config(config, BEST_TRACKS, WHOLE).is_climatology
    volume = volumes.product_volume(
        config, "archive_fetch", {"product": need.product, "segment": WHOLE}
    )
    # 296 fields of 57 variables and levels
    assert 60 < volume.mb < 300
