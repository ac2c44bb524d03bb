"""GFS by byte ranges: which files, which messages."""

from datetime import date, datetime

import pytest
import requests

from fuxiflow import channels
from fuxiflow.archive import gfs
from fuxiflow.archive.retries import Absent, Changed, DownloadError
from fuxiflow.config.archives import GfsArchive
from tests.support.archive_server import Handler

URL = "https://archive/gfs.f006.idx"


def inventory(lead: int, leave_out: str = "") -> tuple[str, bytes]:
    """An inventory and a file of ten octets a message; some messages in between are of no use."""
    step = "anl" if lead == 0 else f"{lead} hour fcst"
    entries = []
    for channel in channels.channel_table():
        parameter = gfs.ABBREVIATIONS[
            channel.gfs_discipline, channel.gfs_category, channel.gfs_number
        ]
        if channel.name == leave_out:
            continue
        if channel.analysed:
            entries.append((parameter, gfs._level(channel), step))
        elif lead:
            entries += [
                ("APCP", "surface", f"{lead - 6}-{lead} hour acc fcst"),
                ("APCP", "surface", f"0-{lead} hour acc fcst"),
            ]
        entries.append(("TCDC", "entire atmosphere", step))
    lines = [f"{i + 1}:{10 * i}:d=2023070100:{':'.join(entry)}:" for i, entry in enumerate(entries)]
    body = b"".join(f"{entry[0]:>10}"[:10].encode() for entry in entries)
    return "\n".join(lines) + "\n", body


def test_path_is_the_buckets():
    assert (
        gfs.file_path(datetime(2023, 7, 1, 12), 240, "0p25")
        == "gfs.20230701/12/atmos/gfs.t12z.pgrb2.0p25.f240"
    )


def test_files_of_a_segment():
    files = list(
        gfs.segment_files(
            date(2023, 7, 1), date(2023, 7, 2), (date(2023, 7, 2), date(2023, 7, 2)), [0, 12], 12
        )
    )
    first = [(init.hour, lead) for init, lead in files if init.day == 1]
    second = [(init.hour, lead) for init, lead in files if init.day == 2]
    assert first == [(0, 0), (6, 0), (12, 0), (18, 0)]
    assert second == [(0, 0), (0, 6), (0, 12), (6, 0), (12, 0), (12, 6), (12, 12), (18, 0)]
    assert len(list(gfs.segment_files(date(2023, 7, 1), date(2023, 7, 2), None, [0, 12], 12))) == 8


def test_inventory_lines():
    text = "1:0:d=2023070100:HGT:500 mb:anl:\n2:70:d=2023070100:UGRD:10 m above ground:anl:\n"
    assert gfs.parse_index(text, URL) == [
        gfs.InventoryLine(0, 70, "HGT", "500 mb", "anl"),
        gfs.InventoryLine(70, None, "UGRD", "10 m above ground", "anl"),
    ]


def test_submessages_end_with_their_message():
    text = (
        "1.1:0:d=2023070100:UGRD:500 mb:anl:\n"
        "1.2:0:d=2023070100:VGRD:500 mb:anl:\n"
        "2:70:d=2023070100:A:b:c:\n"
    )
    assert [message.end for message in gfs.parse_index(text, URL)] == [70, 70, None]


@pytest.mark.parametrize("text", ["<html>not found</html>", "1:zero:d=2023070100:HGT:500 mb:anl:"])
def test_what_is_no_inventory_is_named(text):
    with pytest.raises(DownloadError, match="line 1: not a line of a GRIB inventory"):
        gfs.parse_index(text, URL)


@pytest.mark.parametrize("lead", [0, 6, 240])
def test_every_channel_is_selected_once(lead):
    messages = gfs.parse_index(inventory(lead)[0], URL)
    ranges = gfs.select_ranges(messages, channels.channel_table(), lead, URL)
    assert len(set(ranges)) == (69 if lead == 0 else 70)
    downloaded = [message for message in messages if (message.start, message.end) in ranges]
    assert "TCDC" not in {message.parameter for message in downloaded}
    rain = [message.step for message in downloaded if message.parameter == "APCP"]
    assert rain == ([] if lead == 0 else [f"{lead - 6}-{lead} hour acc fcst"])


def test_a_missing_channel_is_named():
    messages = gfs.parse_index(inventory(6, leave_out="T500")[0], URL)
    with pytest.raises(DownloadError, match=r"lacks T500 \(TMP:500 mb:6 hour fcst\)"):
        gfs.select_ranges(messages, channels.channel_table(), 6, URL)


def test_download_holds_the_channels_alone(server, tmp_path):
    text, body = inventory(6)
    archive = GfsArchive(url=server.url, resolution="0p25")
    name, download = gfs.gfs_download(archive, channels.channel_table(), datetime(2023, 7, 1), 6)
    server.files |= {f"{name}.idx": text.encode(), name: body}
    with requests.Session() as session:
        got = download(session, tmp_path / name).path.read_bytes()
    assert len(got) == 70 * 10
    assert b"TCDC" not in got
    assert got.count(b"APCP") == 1


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


def message(length=10):
    return b"GRIB" + b"." * (length - 8) + b"7777"


def grib_inventory(lead, length=40):
    """An inventory and a file of messages that begin and end as GRIB does."""
    text, _ = inventory(lead)
    lines = []
    for i, line in enumerate(text.splitlines()):
        number, _, rest = line.split(":", 2)
        lines.append(f"{number}:{length * i}:{rest}")
    return "\n".join(lines) + "\n", message(length) * len(lines)


def bring(server, init, lead, place=None, length=40):
    """Put a file into the bucket, at one of its places, and return its path there."""
    place = place or gfs.remote_paths(init, lead, "0p25")[0]
    text, body = grib_inventory(lead, length)
    server.files |= {f"{place}.idx": text.encode(), place: body}
    return place


def load(server, session, folder, init=datetime(2023, 7, 1), lead=6):
    archive = GfsArchive(url=server.url, resolution="0p25")
    name, download = gfs.gfs_download(archive, channels.channel_table(), init, lead)
    return download(session, folder / name)


LAST_WITHOUT, FIRST_WITH = datetime(2021, 3, 22, 6), datetime(2021, 3, 22, 12)


def test_places_by_date():
    before = gfs.remote_paths(LAST_WITHOUT, 6, "0p25")
    after = gfs.remote_paths(FIRST_WITH, 6, "0p25")
    assert before == [
        "gfs.20210322/06/gfs.t06z.pgrb2.0p25.f006",
        "gfs.20210322/06/atmos/gfs.t06z.pgrb2.0p25.f006",
    ]
    assert after == [
        "gfs.20210322/12/atmos/gfs.t12z.pgrb2.0p25.f006",
        "gfs.20210322/12/gfs.t12z.pgrb2.0p25.f006",
    ]


@pytest.mark.parametrize("init", [LAST_WITHOUT, FIRST_WITH, datetime(2019, 6, 1)])
@pytest.mark.parametrize("which", [0, 1])
def test_both_layouts_are_found(server, session, tmp_path, init, which):
    place = bring(server, init, 6, gfs.remote_paths(init, 6, "0p25")[which])
    fetched = load(server, session, tmp_path, init)
    assert fetched.path == tmp_path / gfs.file_path(init, 6, "0p25")
    assert fetched.size == 70 * 40
    assert fetched.address == f"{server.url}/{place}"
    asked = [path for path, _ in server.requests if path.endswith(".idx")]
    assert len(asked) == which + 1


def test_a_gap_is_one_by_the_buckets_own_listing(server, session, tmp_path):
    bring(server, datetime(2023, 7, 1), 12)
    with pytest.raises(Absent, match=rf"{server.url}/gfs\.20230701/00/atmos/.*f006"):
        load(server, session, tmp_path)
    assert len([path for path, _ in server.requests if path == "/"]) == 2


def plain(handler, query):
    handler.answer(200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"})


def refused(handler, query):
    handler.answer(403, b"<Error><Code>AccessDenied</Code></Error>")


def missing(handler, query):
    handler.answer(404, b"")


def another(handler, query):
    handler.answer(200, b"<Error><Code>NoSuchBucket</Code></Error>")


@pytest.mark.parametrize("listing", [plain, refused, missing, another])
def test_a_wrong_address_is_no_gap(server, session, tmp_path, monkeypatch, listing):
    monkeypatch.setattr(Handler, "listing", listing)
    with pytest.raises(DownloadError, match=rf"{server.url}.*config/archive\.yaml"):
        load(server, session, tmp_path)


def test_a_file_without_inventory_is_loaded_whole(server, session, tmp_path, caplog):
    place = bring(server, datetime(2023, 7, 1), 6)
    del server.files[f"{place}.idx"]
    assert load(server, session, tmp_path).path.read_bytes() == server.files[place]
    assert f"{place}: there is no inventory" in caplog.text


def test_a_file_that_is_replaced_is_loaded_with_its_own_inventory(server, session, tmp_path):
    init = datetime(2023, 7, 1)
    place = bring(server, init, 6)
    server.faults[f"/{place}"] = [None, lambda archive: bring(archive, init, 6, length=60)]
    fetched = load(server, session, tmp_path)
    assert fetched.path.read_bytes() == message(60) * 70


def test_an_inventory_of_another_version_is_seen(server, session, tmp_path):
    place = bring(server, datetime(2023, 7, 1), 6)
    text = server.files[f"{place}.idx"]
    server.files[place] = message(60) * (len(server.files[place]) // 40)
    with pytest.raises(Changed, match="no GRIB message: inventory and file are of different ver"):
        load(server, session, tmp_path)
    server.faults[f"/{place}.idx"] = [None, lambda archive: bring(archive, datetime(2023, 7, 1), 6)]
    assert load(server, session, tmp_path).path.read_bytes() == message(40) * 70
    assert server.files[f"{place}.idx"] == text


def test_messages_that_share_their_bytes_are_loaded_once(server, session, tmp_path):
    """Two sub-messages in one message have one offset, and are two channels."""
    text, _ = grib_inventory(0)
    lines = [line for line in text.splitlines() if "TCDC" not in line]
    for i, line in enumerate(lines):
        number, _, rest = line.split(":", 2)
        lines[i] = f"{number}:{40 * (i // 2)}:{rest}"
    init = datetime(2023, 7, 1)
    place = gfs.remote_paths(init, 0, "0p25")[0]
    server.files |= {f"{place}.idx": "\n".join(lines).encode(), place: message(40) * 35}
    assert load(server, session, tmp_path, lead=0).path.read_bytes() == message(40) * 35


def test_a_truncated_inventory_is_loaded_again(server, session, tmp_path):
    place = bring(server, datetime(2023, 7, 1), 6)
    server.faults[f"/{place}.idx"] = ["cut", 500]
    assert load(server, session, tmp_path).size == 70 * 40
