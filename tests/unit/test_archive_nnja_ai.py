"""NNJA-AI is listed by day, and its files come with the columns that readers use."""

import io
import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from fuxiflow.archive import fetching, nnja_ai
from fuxiflow.archive.needs import Need
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.config import sources
from fuxiflow.config.archives import Archives, GfsArchive, NnjaAiArchive
from fuxiflow.observations import footprint_table, ingest, ledger
from fuxiflow.storage import tables
from tests.support import nnja_ai_files
from tests.support.nnja_ai_files import AMSUA, ROOT, key_of

DAY = date(2022, 7, 1)
KEY = key_of(AMSUA, str(DAY))


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


@pytest.fixture
def mirror(server):
    """A bucket with two days and many columns that nobody asks for."""
    for day in ("2022-07-01", "2022-07-03"):
        table = nnja_ai_files.amsua(f"{day}T10:00:00", scans=100)
        for number in range(40):
            noise = pa.array([f"{number}{row * 7919 % 104729}" for row in range(len(table))])
            table = table.append_column(f"MORE.TEXT_{number:05d}", noise)
        server.files[key_of(AMSUA, day)] = nnja_ai_files.content(table)
    return server


def archive_of(server, *data_sets):
    return NnjaAiArchive(
        layout="nnja_ai", url=f"{server.url}/{ROOT}", data_sets=data_sets or (AMSUA,)
    )


def downloads(session, server, day=DAY, *data_sets):
    return dict(nnja_ai.nnja_ai_downloads(session, archive_of(server, *data_sets), day))


def read(content):
    return pq.read_table(io.BytesIO(content))


@pytest.mark.parametrize("listings", [True, False], ids=["listing", "by address"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole"])
def test_the_columns_that_readers_use_come(mirror, session, tmp_path, listings, ranges):
    mirror.listings, mirror.ranges = listings, ranges
    ((name, download),) = downloads(session, mirror).items()
    assert name == "gdas.20220701.NC021023.parquet"
    fetched = download(session, tmp_path / name)
    original = read(mirror.files[KEY])
    with tables.open_parquet(fetched.path) as file:
        table = file.read()
        assert json.loads(file.schema_arrow.metadata[b"provenance"])["origin"].endswith(KEY)
    assert table.column_names == [name for name in original.column_names if nnja_ai._is_used(name)]
    assert {"LAT", "OBS_TIMESTAMP", "BRITCSTC.TMBR_00015"} <= set(table.column_names)
    assert not {"SRC_FILENAME", "MORE.TEXT_00003"} & set(table.column_names)
    assert table.equals(original.select(table.column_names))
    assert fetched.address == f"{mirror.url}/{KEY}"
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_less_than_the_file_is_transferred(mirror, session, tmp_path, monkeypatch):
    monkeypatch.setattr(nnja_ai, "_TAIL", 4096)
    monkeypatch.setattr(nnja_ai, "_HOLE", 0)
    ((name, download),) = downloads(session, mirror).items()
    download(session, tmp_path / name)
    asked = [span for path, span in mirror.requests if path.endswith(".parquet")]
    assert None not in asked
    spans = [span.removeprefix("bytes=").split("-") for span in asked]
    total = sum(int(last) - int(first) + 1 for first, last in spans)
    assert total < 0.5 * len(mirror.files[KEY])


def test_nested_levels_lose_the_members_that_nobody_reads(server, session, tmp_path):
    levels = [[{"PRLC": 85000.0, "UATMP": {"TMDB": 280.0, "X": 1.0}, "UAWSH": {"Y": 2.0}}], []]
    table = pa.table({"WMOB": [72.0, 1.0], "UARLV": levels})
    data_set = "conv/adpupa/NC002001"
    server.files[key_of(data_set, str(DAY))] = nnja_ai_files.content(table)
    ((name, download),) = downloads(session, server, DAY, data_set).items()
    written = pq.read_table(download(session, tmp_path / name).path)
    assert written.to_pylist() == [
        {"WMOB": 72.0, "UARLV": [{"PRLC": 85000.0, "UATMP": {"TMDB": 280.0}}]},
        {"WMOB": 1.0, "UARLV": []},
    ]


@pytest.mark.parametrize("listings", [True, False], ids=["listing", "by address"])
def test_a_day_that_is_absent_is_noted_and_not_asked_for_again(mirror, tmp_path, listings):
    mirror.listings = listings
    need = Need("nnja_amsua", "2022-07", ("2022-07-01", "2022-07-03"))
    archives = Archives(gfs=GfsArchive(url="https://x"), sources={"nnja_amsua": archive_of(mirror)})
    fetching.fetch_need(need, tmp_path, archives, fetching.logging.getLogger())
    folder = fetching.MonthFolder(tmp_path, "nnja_amsua", "2022-07")
    assert sorted(folder.manifest.files) == [
        f"gdas.2022070{day}.NC021023.parquet" for day in (1, 3)
    ]
    assert list(folder.manifest.absent) == ["gdas.20220702.NC021023.parquet"]
    mirror.requests.clear()
    fetching.fetch_need(need, tmp_path, archives, fetching.logging.getLogger())
    assert not mirror.requests


def test_parts_of_a_day_and_other_objects(mirror, session):
    folder = KEY.rpartition("/")[0]
    for hour in ("00", "06", "12"):
        mirror.files[f"{folder}/OBS_HOUR={hour}/part.parquet"] = mirror.files[KEY]
    del mirror.files[KEY]
    mirror.files[f"{folder}/_SUCCESS"] = b""
    assert list(downloads(session, mirror)) == [
        f"OBS_HOUR={hour}.part.parquet" for hour in ("00", "06", "12")
    ]


def test_a_data_set_that_is_not_there_is_named(mirror, session):
    with pytest.raises(DownloadError, match=r"no data set amsua/1bamua/NC021024; .*archive\.yaml"):
        downloads(session, mirror, DAY, "amsua/1bamua/NC021024")


def test_a_web_page_is_no_file(mirror, session, tmp_path):
    mirror.listings = False
    mirror.faults[f"/{KEY}"] = ["html"]
    ((name, download),) = downloads(session, mirror).items()
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        download(session, tmp_path / name)


@pytest.mark.parametrize("change", ["empty", "cut", "noise", "other"])
def test_what_cannot_be_read_is_stored_as_it_is(mirror, session, tmp_path, change, caplog):
    whole = mirror.files[KEY]
    middle = len(whole) // 2
    mirror.files[KEY] = {
        "empty": b"",
        "cut": whole[:middle],
        "noise": whole[:4] + bytes(middle) + whole[4 + middle :],
        "other": nnja_ai_files.content(pa.table({"x": [1]})),
    }[change]
    ((name, download),) = downloads(session, mirror).items()
    fetched = download(session, tmp_path / name)
    assert fetched.path.read_bytes() == mirror.files[KEY]
    assert f"{KEY}: no Parquet that can be read" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_a_file_that_is_replaced_meanwhile_comes_as_its_new_version(mirror, session, tmp_path):
    newer = nnja_ai_files.content(nnja_ai_files.amsua("2022-07-01T11:00:00", scans=50))

    def replace(server):
        server.files[KEY] = newer

    mirror.faults[f"/{KEY}"] = [None, None, replace]
    ((name, download),) = downloads(session, mirror).items()
    written = pq.read_table(download(session, tmp_path / name).path)
    original = read(newer)
    assert written.equals(original.select(written.column_names))


def test_a_broken_connection_is_resumed(mirror, session, tmp_path):
    mirror.faults[f"/{KEY}"] = [503, "cut", None, "cut", 500]
    ((name, download),) = downloads(session, mirror).items()
    table = pq.read_table(download(session, tmp_path / name).path)
    assert table.equals(read(mirror.files[KEY]).select(table.column_names))


def test_a_listing_that_stops_is_an_error(mirror, session, monkeypatch):
    from tests.support.archive_server import Handler

    page = {"items": [{"name": "data/v1/x"}], "nextPageToken": "1"}
    monkeypatch.setattr(
        Handler, "google_listing", lambda handler, path, query: handler.answer_json(page)
    )
    with pytest.raises(DownloadError, match="the listing does not go on"):
        downloads(session, mirror)


def test_the_download_of_a_gap_says_so(mirror, session, tmp_path):
    ((name, download),) = downloads(session, mirror, date(2022, 7, 2)).items()
    with pytest.raises(Absent):
        download(session, tmp_path / name)


def test_what_is_fetched_is_read_and_a_day_without_a_file_is_seen(server, tmp_path):
    """Three days of AMSU-A, of which the archive lacks one, down to table and ledger."""
    for day in ("2022-07-01", "2022-07-03"):
        table = nnja_ai_files.amsua(f"{day}T23:30:00", scans=100)
        server.files[key_of(AMSUA, day)] = nnja_ai_files.content(table)
    source = sources.load_source("nnja_amsua")
    need = Need(source.name, "2022-07", ("2022-07-01", "2022-07-03"))
    archives = Archives(gfs=GfsArchive(url="https://x"), sources={source.name: archive_of(server)})
    fetching.fetch_need(need, tmp_path / "store", archives, fetching.logging.getLogger())
    receipt = tmp_path / "receipt.json"
    fetching.write_need_receipt(receipt, need, tmp_path / "store")
    accounts = ingest.ingest(
        receipt,
        source.file_pattern,
        source.reader,
        source.name,
        source.platform_names,
        source.channel_names,
        DAY,
        tmp_path / "table.parquet",
        fetching.logging.getLogger(),
    )
    days = ledger.days_with(accounts, ledger.READ)
    assert sorted(map(str, days)) == ["2022-07-01", "2022-07-03"]
    footprints = footprint_table.read_footprints(tmp_path / "table.parquet")
    assert len(footprints) == 2 * 100 * 30
    assert set(footprint_table.column_values(footprints, "rejected")) == {0}
    expected = read(server.files[KEY])["BRITCSTC.TMBR_00007"].to_numpy().astype("float32")
    found = footprint_table.column_values(footprints, "channel_7")[: len(expected)]
    assert found.tolist() == expected.tolist()
