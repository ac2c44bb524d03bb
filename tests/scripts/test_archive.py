"""The archive scripts against an archive on this machine."""

import json
import logging
from datetime import date, datetime
from types import SimpleNamespace

import pytest

from fuxiflow import channels
from fuxiflow.archive import gfs
from fuxiflow.archive.transfer import DownloadError
from tests.support.helpers import load_script
from tests.unit.test_archive_gfs import inventory

LOG = logging.getLogger("test")


@pytest.fixture
def paths(tmp_path):
    return SimpleNamespace(raw=tmp_path / "out" / ".tmp-2023-07"), str(tmp_path / "partial")


@pytest.fixture
def bucket(server):
    for init, lead in gfs.segment_files(
        date(2023, 7, 1), date(2023, 7, 1), (date(2023, 7, 1),) * 2, [0], 6
    ):
        name, (text, body) = gfs.file_path(init, lead, "0p25"), inventory(lead)
        server.files |= {f"{name}.idx": text.encode(), name: body}
    return server


def gfs_params(server, partial, **changes):
    values = {
        "dates": ["2023-07-01", "2023-07-01"],
        "forecast_dates": ["2023-07-01", "2023-07-01"],
        "init_hours": [0],
        "max_lead_hours": 6,
        "partial": partial,
        "workers": 2,
        "archive": {"url": server.url, "resolution": "0p25"},
    }
    return SimpleNamespace(**(values | changes))


def manifest(output):
    return json.loads((output.raw / "manifest.json").read_text())


def test_gfs(bucket, paths):
    output, partial = paths
    load_script("archive_gfs").main(None, output, gfs_params(bucket, partial), LOG)
    fetched = manifest(output)["fetched"]
    assert len(fetched) == 5
    assert set(fetched.values()) == {690, 700}
    assert (output.raw / gfs.file_path(datetime(2023, 7, 1), 6, "0p25")).stat().st_size == 700
    assert json.loads((output.raw / "provenance.json").read_text())["rule"]
    assert not list(output.raw.parent.parent.glob("partial/*"))


def test_a_gap_of_the_archive_is_listed(bucket, paths, caplog):
    output, partial = paths
    name = gfs.file_path(datetime(2023, 7, 1, 12), 0, "0p25")
    del bucket.files[f"{name}.idx"], bucket.files[name]
    load_script("archive_gfs").main(None, output, gfs_params(bucket, partial), LOG)
    assert manifest(output)["absent"] == [name]
    assert f"the archive has no {bucket.url}/{name}" in caplog.text


def test_an_empty_archive_is_an_error(server, paths):
    output, partial = paths
    with pytest.raises(FileNotFoundError, match=r"has none of 5 files"):
        load_script("archive_gfs").main(None, output, gfs_params(server, partial), LOG)
    assert not output.raw.exists()


def test_a_failed_segment_resumes(bucket, paths):
    output, partial = paths
    last = f"/{gfs.file_path(datetime(2023, 7, 1, 18), 0, '0p25')}"
    bucket.faults[last] = [403]
    script = load_script("archive_gfs")
    with pytest.raises(DownloadError, match="refused with status 403"):
        script.main(None, output, gfs_params(bucket, partial, workers=1), LOG)
    assert not output.raw.exists()
    bucket.requests.clear()
    script.main(None, output, gfs_params(bucket, partial), LOG)
    assert {path for path, _ in bucket.requests} == {last, f"{last}.idx"}
    assert len(manifest(output)["fetched"]) == 5


def test_source(server, paths):
    output, partial = paths
    names = [
        f"{kind}_j01_d20230701_t0000000_e0000320_b1_c2_oebc_ops.h5" for kind in ("SATMS", "GATMO")
    ]
    for name, product in zip(names, ("ATMS-SDR", "ATMS-SDR-GEO"), strict=True):
        server.files[f"{product}/2023/07/01/{name}"] = name.encode()
    params = SimpleNamespace(
        dates=["2023-07-01", "2023-07-01"],
        partial=partial,
        workers=2,
        source="noaa20_atms",
        archive={"url": server.url, "products": ["ATMS-SDR", "ATMS-SDR-GEO"]},
    )
    load_script("archive_source").main(None, output, params, LOG)
    assert sorted(manifest(output)["fetched"]) == sorted(names)
    assert (output.raw / names[0]).read_bytes() == names[0].encode()


def test_source_without_granules_is_an_error(server, paths):
    output, partial = paths
    params = SimpleNamespace(
        dates=["2023-07-01", "2023-07-01"],
        partial=partial,
        workers=2,
        source="noaa20_atms",
        archive={"url": server.url, "products": ["ATMS-SDR"]},
    )
    with pytest.raises(DownloadError, match=f"{server.url}: the bucket has no product ATMS-SDR"):
        load_script("archive_source").main(None, output, params, LOG)


@pytest.fixture
def _key(server, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", server.url)
    monkeypatch.setenv("CDSAPI_KEY", "00000000-secret")


@pytest.mark.usefixtures("_key")
def test_era5_and_invariants(server, paths, tmp_path):
    output, partial = paths
    params = SimpleNamespace(
        dates=["2023-07-01", "2023-07-02"], days_per_request=1, partial=partial
    )
    load_script("archive_era5").main(None, output, params, LOG)
    assert len(manifest(output)["fetched"]) == 7
    assert len(server.store_requests) == 7
    assert len(channels.channel_table()) == 70
    single = SimpleNamespace(raw=tmp_path / "invariants.grib")
    load_script("archive_invariants").main(None, single, SimpleNamespace(), LOG)
    assert single.raw.stat().st_size > 0
