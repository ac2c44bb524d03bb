"""GFS by byte ranges: which files, which messages."""

from datetime import date, datetime

import pytest
import requests

from fuxiflow import channels
from fuxiflow.archive import gfs
from fuxiflow.archive.transfer import DownloadError
from fuxiflow.config.archives import GfsArchive

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
