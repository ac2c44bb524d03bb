"""Granules listed by product and day."""

from datetime import date

import pytest
import requests

from fuxiflow.archive import granules, listings
from fuxiflow.archive.transfer import DownloadError
from fuxiflow.config.archives import GranuleArchive
from tests.support.archive_server import Handler


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


@pytest.fixture
def bucket(server):
    for day in (1, 2, 3):
        for hour in range(3):
            for product, prefix in (("ATMS-SDR", "SATMS"), ("ATMS-SDR-GEO", "GATMO")):
                times = f"t{hour:02d}00000_e{hour:02d}00320"
                name = f"{prefix}_j01_d2023070{day}_{times}_b1_c2_oebc_ops.h5"
                server.files[f"{product}/2023/07/0{day}/{name}"] = f"{prefix}{day}{hour}".encode()
    return server


def test_listing_reads_all_pages(bucket, session):
    objects = dict(listings.list_objects(session, bucket.url, "ATMS-SDR/2023/07/01/"))
    assert len(objects) == 3
    assert set(objects.values()) == {len(b"SATMS10")}
    assert len(bucket.requests) == 2


def test_downloads_are_of_the_days_asked_for(bucket, session, tmp_path):
    archive = GranuleArchive(url=bucket.url, products=["ATMS-SDR", "ATMS-SDR-GEO"])
    downloads = dict(
        granules.granule_downloads(session, archive, date(2023, 7, 2), date(2023, 7, 3))
    )
    assert len(downloads) == 12
    name = "GATMO_j01_d20230702_t0100000_e0100320_b1_c2_oebc_ops.h5"
    assert downloads[name](session, tmp_path / name).path.read_bytes() == b"GATMO21"


def test_what_is_no_listing_is_named(server, session, monkeypatch):
    monkeypatch.setattr(
        Handler, "listing", lambda handler, query: handler.answer(200, b"plain text")
    )
    with pytest.raises(DownloadError, match="ATMS-SDR/: not a listing"):
        list(listings.list_objects(session, server.url, "ATMS-SDR/"))
