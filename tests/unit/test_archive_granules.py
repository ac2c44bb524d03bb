"""Granules listed by product and day."""

from datetime import date

import pytest
import requests

from fuxiflow.archive import granules, listings
from fuxiflow.archive.transfer import DownloadError
from fuxiflow.config.archives import GranuleArchive
from tests.support.archive_server import NAMESPACE, Handler


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


def test_downloads_are_of_the_day_asked_for(bucket, session, tmp_path):
    archive = GranuleArchive(url=bucket.url, products=["ATMS-SDR", "ATMS-SDR-GEO"])
    downloads = dict(granules.granule_downloads(session, archive, date(2023, 7, 2)))
    assert len(downloads) == 6
    name = "GATMO_j01_d20230702_t0100000_e0100320_b1_c2_oebc_ops.h5"
    assert downloads[name](session, tmp_path / name).path.read_bytes() == b"GATMO21"


def test_what_is_no_listing_is_named(server, session, monkeypatch):
    monkeypatch.setattr(
        Handler, "listing", lambda handler, query: handler.answer(200, b"plain text")
    )
    with pytest.raises(DownloadError, match="ATMS-SDR/: not a listing"):
        list(listings.list_objects(session, server.url, "ATMS-SDR/"))


def listing_of(*pages):
    """A listing that answers with pages, one after the other, and notes what it was asked."""
    left = list(pages)

    def listing(handler, query):
        listing.asked.append(query)
        page = left.pop(0)
        handler.answer(200, page.encode(), {"Content-Type": "application/xml"})

    listing.asked = []
    return listing


def page(*keys, end="", name="ListBucketResult", namespace=f' xmlns="{NAMESPACE}"'):
    items = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    return f"<{name}{namespace}>{items}{end}</{name}>"


TRUNCATED = "<IsTruncated>true</IsTruncated>"


@pytest.mark.parametrize("namespace", ["", f' xmlns="{NAMESPACE}"', ' xmlns="http://other/"'])
def test_a_listing_of_any_namespace(server, session, monkeypatch, namespace):
    monkeypatch.setattr(Handler, "listing", listing_of(page("a/1", namespace=namespace)))
    assert list(listings.list_objects(session, server.url, "a/")) == [("a/1", 1)]


def test_a_listing_of_the_first_version_goes_on(server, session, monkeypatch):
    pages = listing_of(page("a/1", "a/2", end=TRUNCATED), page("a/3"))
    monkeypatch.setattr(Handler, "listing", pages)
    assert [key for key, _ in listings.list_objects(session, server.url, "a/")] == [
        "a/1",
        "a/2",
        "a/3",
    ]
    assert (pages.asked[1]["start-after"], pages.asked[1]["marker"]) == ("a/2", "a/2")


@pytest.mark.parametrize(
    "end", [TRUNCATED, f"{TRUNCATED}<NextContinuationToken>x</NextContinuationToken>"]
)
def test_a_listing_that_does_not_go_on_is_an_error(server, session, monkeypatch, end):
    monkeypatch.setattr(Handler, "listing", listing_of(*[page("a/1", end=end)] * 3))
    with pytest.raises(DownloadError, match="cut short after 'a/1'"):
        list(listings.list_objects(session, server.url, "a/"))
    monkeypatch.setattr(Handler, "listing", listing_of(page(end=TRUNCATED)))
    with pytest.raises(DownloadError, match="cut short after ''"):
        list(listings.list_objects(session, server.url, "a/"))


def test_a_listing_that_broke_off_is_asked_for_again(server, session, monkeypatch):
    whole = page("a/1", "a/2")
    monkeypatch.setattr(Handler, "listing", listing_of(whole[:-30], whole))
    assert len(list(listings.list_objects(session, server.url, "a/"))) == 2
    monkeypatch.setattr(Handler, "listing", listing_of(*[whole[:-30]] * 9))
    with pytest.raises(DownloadError, match=r"not a listing.*gave up"):
        list(listings.list_objects(session, server.url, "a/"))


@pytest.mark.parametrize(
    "text",
    ["plain", "<html><body/></html>", page(name="Error"), "<html><p>not XML</html>", ""],
)
def test_another_answer_is_no_listing(server, session, monkeypatch, text):
    monkeypatch.setattr(Handler, "listing", listing_of(text))
    with pytest.raises(DownloadError, match=rf"{server.url}/\?prefix=a/: not a listing.*address"):
        list(listings.list_objects(session, server.url, "a/"))


def test_a_bucket_that_is_not_there(server, session):
    server.listings = False
    with pytest.raises(DownloadError, match=r"no listing here.*address"):
        list(listings.list_objects(session, server.url, "a/"))


def test_objects_that_stand_for_folders_are_no_files(server, session, monkeypatch):
    monkeypatch.setattr(Handler, "listing", listing_of(page("a/", "a/1")))
    assert list(listings.list_objects(session, server.url, "a/")) == [("a/1", 1)]


def test_a_product_that_the_bucket_does_not_have_is_named(bucket, session):
    archive = GranuleArchive(url=bucket.url, products=["ATMS-SDR", "ATMS_SDR_GEO"])
    with pytest.raises(DownloadError, match=rf"{bucket.url}: the bucket has no product ATMS_SDR"):
        list(granules.granule_downloads(session, archive, date(2023, 7, 1)))


def test_days_without_granules_are_a_gap(bucket, session, caplog):
    archive = GranuleArchive(url=bucket.url, products=["ATMS-SDR", "ATMS-SDR-GEO"])
    day = date(2023, 7, 9)
    assert list(granules.granule_downloads(session, archive, day)) == []
    assert caplog.text == ""
    for key in [key for key in bucket.files if key.startswith("ATMS-SDR-GEO/2023/07/03")]:
        del bucket.files[key]
    day = date(2023, 7, 3)
    assert len(list(granules.granule_downloads(session, archive, day))) == 3
    assert "nothing of ATMS-SDR-GEO, but of ATMS-SDR" in caplog.text
