"""IBTrACS is fetched into the raw store, checked by its columns, and read."""

import logging

import pytest
import requests

from fuxiflow.archive import fetching, ibtracs
from fuxiflow.archive.findings import ProviderReport
from fuxiflow.archive.needs import BEST_TRACKS, WHOLE, Need
from fuxiflow.archive.retries import DownloadError
from fuxiflow.config.archives import BestTrackArchive, load_archives
from fuxiflow.cyclones.best_tracks import find_best_tracks, read_best_tracks
from fuxiflow.storage.manifests import read_manifest
from tests.unit.test_best_tracks import NAMES, ROWS, UNITS

LOG = logging.getLogger("test")
KEY = "access/csv/ibtracs.since1980.list.v04r01.csv"


@pytest.fixture
def archive(server):
    lines = [",".join(row) for row in (NAMES, UNITS, *ROWS)]
    server.files[KEY] = ("\n".join(lines) + "\n").encode()
    return BestTrackArchive(url=f"{server.url}/access")


def test_the_file_comes_once_and_is_read(server, archive, tmp_path):
    path = ibtracs.fetch_best_tracks(archive, LOG, tmp_path)
    assert path.read_bytes() == server.files[KEY]
    assert len(read_best_tracks(path)) == len(ROWS)
    (entry,) = read_manifest(path.parent).files.values()
    assert entry.bytes == path.stat().st_size
    server.requests.clear()
    assert ibtracs.fetch_best_tracks(archive, LOG, tmp_path) == path
    assert server.requests == []


def test_a_connection_that_breaks_is_resumed(server, archive, tmp_path):
    server.faults[f"/{KEY}"] = [503, "cut"]
    path = ibtracs.fetch_best_tracks(archive, LOG, tmp_path)
    assert path.read_bytes() == server.files[KEY]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"there is none \(status 404\).*ibtracs"),
        (b"", "no IBTrACS: it lacks SID, SEASON"),
        (b"SID,SEASON,BASIN,NAME,ISO_TIME,NATURE,LAT\n", "it lacks LON, WMO_WIND"),
    ],
)
def test_what_is_no_ibtracs_is_refused(server, archive, tmp_path, content, words):
    server.files[KEY] = content
    if content is None:
        del server.files[KEY]
    with pytest.raises(DownloadError, match=words):
        ibtracs.fetch_best_tracks(archive, LOG, tmp_path)
    assert not list(tmp_path.glob("ibtracs/*/*.csv"))


def test_a_web_page_is_refused(server, archive, tmp_path):
    server.faults[f"/{KEY}"] = ["html"]
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        ibtracs.fetch_best_tracks(archive, LOG, tmp_path)


def test_it_is_compared_with_what_is_expected(server, archive):
    with requests.Session() as session:
        report = ProviderReport("ibtracs", "")
        ibtracs.check_best_tracks(session, report, archive)
        assert (report.is_as_expected, report.newest_day) == (True, ROWS[-1][4][:10])
        server.files[KEY] = server.files[KEY].replace(b"USA_WIND", b"OTHER", 1)
        report = ProviderReport("ibtracs", "")
        ibtracs.check_best_tracks(session, report, archive)
    assert [one.difference for one in report.findings if one.differs] == ["it lacks USA_WIND"]


def test_the_committed_archive():
    committed = load_archives().ibtracs
    assert ibtracs.file_address(committed).endswith("/csv/ibtracs.since1980.list.v04r01.csv")


def test_a_run_fetches_it_once_with_a_receipt(server, archive, tmp_path):
    need = Need(BEST_TRACKS, WHOLE, ("", ""))
    archives = load_archives().model_copy(update={"ibtracs": archive})
    store = tmp_path / "resources" / "archive"
    fetching.fetch_need(need, store, archives, LOG)
    server.requests.clear()
    fetching.fetch_need(need, store, archives, LOG)
    assert server.requests == []
    receipt = tmp_path / "receipt.json"
    assert fetching.write_need_receipt(receipt, need, store)["files"] == 1
    assert len(read_best_tracks(find_best_tracks(receipt))) == len(ROWS)
