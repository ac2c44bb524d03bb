"""The raw store is filled from an archive on this machine: fetched once, kept, never again."""

import logging
import shutil
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from fuxiflow.archive import fetching, gfs
from fuxiflow.archive.needs import Need, era5_fields, gfs_fields
from fuxiflow.archive.raw_store import BusyError, MonthFolder
from fuxiflow.archive.retries import DownloadError
from fuxiflow.config import archives as settings
from fuxiflow.storage.checksums import file_sha256
from fuxiflow.storage.manifests import read_manifest
from fuxiflow.storage.raw_files import verified_files
from tests.support.helpers import load_script
from tests.unit.test_archive_gfs import inventory

LOG = logging.getLogger("test")
GFS = Need(
    "gfs",
    "2023-07",
    ("2023-07-01", "2023-07-01"),
    gfs_fields(),
    ("2023-07-01", "2023-07-01"),
    (0,),
    6,
)
ATMS = Need("noaa20_atms", "2023-07", ("2023-07-01", "2023-07-02"))
ERA5 = Need("era5", "2023-07", ("2023-07-01", "2023-07-02"), era5_fields())


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "resources" / "archive"


@pytest.fixture
def archives(server):
    committed = yaml.safe_load(settings.FILE.read_text(encoding="utf-8"))
    committed["gfs"]["url"] = committed["sources"]["noaa20_atms"]["url"] = server.url
    return settings.Archives(**committed)


@pytest.fixture
def bucket(server):
    for init, lead in gfs.segment_files(
        date(2023, 7, 1), date(2023, 7, 2), (date(2023, 7, 1),) * 2, [0], 6
    ):
        name, (text, body) = gfs.file_path(init, lead, "0p25"), inventory(lead)
        server.files |= {f"{name}.idx": text.encode(), name: body}
    return server


@pytest.fixture
def granules(server):
    for day in (1, 2, 3):
        for kind, product in (("SATMS", "ATMS-SDR"), ("GATMO", "ATMS-SDR-GEO")):
            name = f"{kind}_j01_d2023070{day}_t0000000_e0000320_b1_c2_oebc_ops.h5"
            server.files[f"{product}/2023/07/0{day}/{name}"] = name.encode()
    return server


def fetch(need, store, archives):
    fetching.fetch_need(need, store, archives, LOG)
    return read_manifest(store / need.product / need.months[0])


def test_gfs(bucket, store, archives):
    manifest = fetch(GFS, store, archives)
    assert len(manifest.files) == 5
    assert {entry.bytes for entry in manifest.files.values()} == {690, 700}
    name = gfs.file_path(datetime(2023, 7, 1), 6, "0p25")
    path, entry = store / "gfs/2023-07" / name, manifest.files[name]
    assert (path.stat().st_size, file_sha256(path)) == (700, entry.sha256)
    assert entry.origin == f"{bucket.url}/{name}"
    assert entry.fetched.endswith("Z")
    bucket.requests.clear()
    fetch(GFS, store, archives)
    assert not bucket.requests


def test_a_gap_of_the_archive_is_listed_and_not_asked_for_again(bucket, store, archives, caplog):
    name = gfs.file_path(datetime(2023, 7, 1, 12), 0, "0p25")
    del bucket.files[f"{name}.idx"], bucket.files[name]
    assert set(fetch(GFS, store, archives).absent) == {name}
    assert f"the archive has no {bucket.url}/{name}" in caplog.text
    bucket.requests.clear()
    fetch(GFS, store, archives)
    assert not bucket.requests
    # another address may have it
    with pytest.raises(DownloadError):
        fetch(
            GFS,
            store,
            archives.model_copy(
                update={"gfs": archives.gfs.model_copy(update={"url": "http://127.0.0.1:9"})}
            ),
        )


def test_an_empty_archive_is_an_error(server, store, archives):
    with pytest.raises(FileNotFoundError, match=r"gfs 2023-07-01 to 2023-07-01: http.*has none"):
        fetch(GFS, store, archives)


def test_what_was_finished_before_a_failure_is_kept(bucket, store, archives):
    last = f"/{gfs.file_path(datetime(2023, 7, 1, 18), 0, '0p25')}"
    bucket.faults[last] = [403] * 3
    with pytest.raises(DownloadError, match="refused with status 403"):
        fetch(GFS, store, archives)
    kept = read_manifest(store / "gfs/2023-07")
    assert kept.files
    bucket.faults.clear()
    bucket.requests.clear()
    manifest = fetch(GFS, store, archives)
    assert len(manifest.files) == 5
    assert {name: manifest.files[name] for name in kept.files} == kept.files
    again = {path.removesuffix(".idx") for path, _ in bucket.requests}
    assert not again & {f"/{name}" for name in kept.files}


def test_a_whole_file_that_a_killed_process_left_is_listed(bucket, store, archives):
    fetch(GFS, store, archives)
    folder = MonthFolder(store, "gfs", "2023-07")
    name = next(iter(folder.manifest.files))
    del folder.manifest.files[name]
    folder.save()
    bucket.requests.clear()
    assert name in fetch(GFS, store, archives).files
    assert not bucket.requests


def test_a_file_that_has_gone_is_fetched_again_and_a_damaged_one_refused(bucket, store, archives):
    name = next(iter(fetch(GFS, store, archives).files))
    path = store / "gfs/2023-07" / name
    content = path.read_bytes()
    path.unlink()
    assert name in fetch(GFS, store, archives).files
    assert path.read_bytes() == content
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"damaged: 6\d9 bytes instead.*move the file away"):
        fetch(GFS, store, archives)
    assert path.read_bytes() == content[:-1]


def test_source(granules, store, archives):
    manifest = fetch(ATMS, store, archives)
    assert len(manifest.files) == 4
    assert set(manifest.complete) == {"2023-07-01", "2023-07-02"}
    granules.requests.clear()
    fetch(ATMS, store, archives)
    assert not granules.requests
    longer = Need("noaa20_atms", "2023-07", ("2023-07-01", "2023-07-03"))
    assert len(fetch(longer, store, archives).files) == 6
    fetched = [path for path, _ in granules.requests if path.endswith(".h5")]
    assert len(fetched) == 2
    assert all("d20230703" in path for path in fetched)


def test_a_granule_that_has_gone_is_fetched_again(granules, store, archives, tmp_path):
    name = next(iter(fetch(ATMS, store, archives).files))
    fetching.write_need_receipt(tmp_path / "r.json", ATMS, store)
    path = store / "noaa20_atms/2023-07" / name
    content = path.read_bytes()
    path.unlink()
    granules.requests.clear()
    assert set(fetch(ATMS, store, archives).complete) == {"2023-07-01", "2023-07-02"}
    assert path.read_bytes() == content
    assert [item for item, _ in granules.requests if item.endswith(".h5")] == [
        next(f"/{item}" for item in granules.files if item.endswith(name))
    ]
    # it is the file that the receipt speaks of
    assert path in [Path.cwd() / found for found in verified_files(tmp_path / "r.json").paths]


def test_source_without_granules_is_an_error(server, store, archives):
    with pytest.raises(DownloadError, match="the bucket has no product ATMS-SDR"):
        fetch(ATMS, store, archives)
    for product in ("ATMS-SDR", "ATMS-SDR-GEO"):
        server.files[f"{product}/2022/01/01/other.h5"] = b"of another year"
    with pytest.raises(FileNotFoundError, match=r"has none of the files.*make the folder"):
        fetch(ATMS, store, archives)
    (store / "noaa20_atms/2023-07").mkdir(parents=True)
    assert fetch(ATMS, store, archives).files == {}


def test_nothing_is_asked_for_where_no_platform_flew(server, store, archives, tmp_path):
    need = Need("noaa20_atms", "2017-01", ("2017-01-01", "2017-01-31"), idle=True)
    fetching.fetch_need(need, store, archives, LOG)
    assert not server.requests
    receipt = fetching.write_need_receipt(tmp_path / "r.json", need, store)
    assert (receipt["files"], receipt["reason"]) == (0, "no platform flew")
    found = verified_files(tmp_path / "r.json")
    assert (found.paths, found.reason) == ([], "no platform flew")


def test_two_processes_do_not_fill_one_folder(bucket, store, archives):
    with (
        MonthFolder(store, "gfs", "2023-07").locked(),
        pytest.raises(BusyError, match=r"process \d+ on .* is filling it; wait"),
    ):
        fetch(GFS, store, archives)
    fetch(GFS, store, archives)


def test_a_store_that_cannot_be_written_is_used_as_it_is(granules, store, archives, tmp_path):
    before = fetch(ATMS, store, archives)
    shutil.rmtree(store / ".partial")
    (store / ".partial").write_text("no folder can be made here")
    granules.requests.clear()
    assert fetch(ATMS, store, archives) == before
    assert not granules.requests
    longer = Need("noaa20_atms", "2023-07", ("2023-07-01", "2023-07-03"))
    with pytest.raises(
        ValueError, match=r"noaa20_atms/2023-07: the raw store cannot be written \("
    ):
        fetch(longer, store, archives)
    assert fetch(ATMS, store, archives) == before
    (store / "amsua/2023-07").mkdir(parents=True)
    with pytest.raises(ValueError, match="amsua/2023-07: the raw store cannot be written"):
        fetch(Need("amsua", "2023-07", ("2023-07-01", "2023-07-03")), store, archives)


@pytest.fixture
def _key(server, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", server.url)
    monkeypatch.setenv("CDSAPI_KEY", "00000000-secret")


@pytest.mark.usefixtures("_key")
def test_era5_and_invariants(server, store, archives):
    smaller = archives.model_copy(
        update={"era5": archives.era5.model_copy(update={"days_per_request": 1})}
    )
    assert len(fetch(ERA5, store, smaller).files) == 7
    assert len(server.store_requests) == 7
    fetch(ERA5, store, archives)
    assert len(server.store_requests) == 7
    invariants = Need("era5", "invariants", ("", ""))
    assert set(fetch(invariants, store, archives).files) == {"invariants.grib"}
    fetch(invariants, store, archives)
    assert len(server.store_requests) == 8


@pytest.mark.usefixtures("_key")
def test_the_script_writes_a_receipt(server, store, archives, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "load_archives", lambda changes: archives)
    script = load_script("archive_fetch")
    params = SimpleNamespace(
        product="era5",
        segment="2023-07",
        need=ERA5.parameters(),
        asked=SimpleNamespace(archives={}, address=""),
    )
    output = SimpleNamespace(receipt=tmp_path / "receipt.json")
    script.main(None, output, params, LOG)
    first = output.receipt.read_bytes()
    assert len(verified_files(output.receipt).paths) == 4
    script.main(None, output, params, LOG)
    assert output.receipt.read_bytes() == first
    assert len(server.store_requests) == 4


def test_months_before_a_platform_flew_are_an_empty_table(store, archives, tmp_path):
    need = Need("noaa20_atms", "2017-01", ("2017-01-01", "2017-01-31"), idle=True)
    fetching.fetch_need(need, store, archives, LOG)
    fetching.write_need_receipt(tmp_path / "receipt.json", need, store)
    nothing = SimpleNamespace(setting="completeness.sources", least=1.0)
    params = SimpleNamespace(
        source="noaa20_atms",
        reader="atms_sdr",
        file_pattern="*.h5",
        platforms=["NOAA-20"],
        channels=["1"],
        dates=list(need.days),
        completeness=SimpleNamespace(
            expected=[], platforms={}, days=nothing, files=nothing, windows=nothing
        ),
    )
    output = SimpleNamespace(
        **{name: tmp_path / f"{name}.parquet" for name in ("table", "ledger", "windows")}
    )
    raw = SimpleNamespace(files=tmp_path / "receipt.json", patterns=())
    load_script("observations_read").main(raw, output, params, LOG)
    (row,) = pd.read_parquet(output.ledger).to_dict("records")
    assert (row["reason"], row["message"]) == ("no_file", "no platform flew")
    assert len(pd.read_parquet(output.table)) == 0
