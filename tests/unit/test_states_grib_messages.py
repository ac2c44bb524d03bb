from datetime import datetime

import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.states.grib_messages import (
    Fault,
    MessageFrame,
    describing_sections,
    find_messages,
    split_fields,
)
from tests.support import grib_files
from tests.support.helpers import realdata

TIME = datetime(2022, 1, 1)


@pytest.fixture(scope="module")
def messages():
    channel = channel_table()["T500"]
    return [
        grib_files.era5(channel, TIME, grib_files.values(channel)),
        grib_files.gfs(channel, TIME, 0, grib_files.values(channel)),
    ]


def scan(tmp_path, content):
    path = tmp_path / "a.grib"
    path.write_bytes(content)
    return list(find_messages(path))


def test_whole_messages_of_both_editions(tmp_path, messages):
    one, two = messages
    frames = scan(tmp_path, one + two + one)
    assert [(f.number, f.offset, f.length, f.edition) for f in frames] == [
        (1, 0, len(one), 1),
        (2, len(one), len(two), 2),
        (3, len(one) + len(two), len(one), 1),
    ]


def test_padding_is_no_fault(tmp_path, messages):
    frames = scan(tmp_path, messages[0] + b"\0" * 100 + messages[1] + b"\r\n")
    assert all(isinstance(frame, MessageFrame) for frame in frames)


def test_an_empty_file_is_a_fault(tmp_path):
    (fault,) = scan(tmp_path, b"")
    assert fault.reason == "the file is empty"
    assert str(tmp_path / "a.grib") in str(fault)


@pytest.mark.parametrize("keep", [5, 12, 40, -1])
def test_a_truncated_message_names_number_offset_and_reason(tmp_path, messages, keep):
    first, last = scan(tmp_path, messages[0] + messages[1][:keep])
    assert isinstance(first, MessageFrame)
    assert (last.number, last.offset) == (2, len(messages[0]))
    assert "truncated" in last.reason


def test_garbage_between_is_a_fault_and_both_neighbours_are_read(tmp_path, messages):
    one, fault, two = scan(tmp_path, messages[0] + b"<html>not found</html>" + messages[1])
    assert (one.number, two.number, two.offset) == (1, 2, len(messages[0]) + 22)
    assert fault == Fault(
        fault.path,
        2,
        len(messages[0]),
        "22 bytes that are no GRIB message, starting with b'<html>not found<'",
    )


def test_a_wrong_length_is_a_fault_and_the_next_message_is_found(tmp_path, messages):
    damaged = messages[0][:4] + (300).to_bytes(3, "big") + messages[0][7:]
    fault, good = scan(tmp_path, damaged + messages[1])
    assert "wrong message length 300" in fault.reason
    assert (good.number, good.offset) == (2, len(damaged))


@pytest.mark.parametrize(
    ("octets", "reason"), [(b"\x00\x00\x64\x03", "edition 3"), (b"\x80\x00\x64\x01", "above 8 MB")]
)
def test_unknown_editions_and_lengths(tmp_path, octets, reason):
    (fault,) = scan(tmp_path, b"GRIB" + octets + b"\0" * 100)
    assert reason in fault.reason


def test_the_damaged_real_file_where_cfgrib_is_silent():
    fault, good = find_messages(realdata("era5/era5-levels-corrupted.grib"))
    assert str(fault).endswith(
        "era5-levels-corrupted.grib: message 1 at offset 0: "
        "wrong message length 1588: it does not end with 7777"
    )
    assert (good.number, good.offset, good.length) == (2, 22068, 22068)


def test_a_web_page_instead_of_a_grib_file():
    (fault,) = find_messages(realdata("gfs_wind_series/gfs.t12z.pgrb2.1p00.f000.2018101012.grib2"))
    assert "no GRIB message, it is a web page (HTML), '<!DOCTYPE html P" in fault.reason
    assert "fetch it again" in fault.reason


def test_fields_of_a_message_with_several(messages):
    u, v = (
        grib_files.gfs(channel_table()[name], TIME, 0, grib_files.values(channel_table()[name]))
        for name in ("U500", "V500")
    )
    assert split_fields(messages[0]) == [messages[0]]
    assert split_fields(u) == [u]
    # NCEP's way: sections 0-3 once, then 4-7 of each field
    first_of_product = u.index(describing_sections(u)[4])
    body = u[:-4] + v[v.index(describing_sections(v)[4]) : -4] + b"7777"
    packed = body[:8] + len(body).to_bytes(8, "big") + body[16:]
    assert split_fields(packed) == [u, v]
    assert first_of_product > 0


def test_a_bit_map_defined_before_applies(messages):
    channel = channel_table()["T500"]
    field = grib_files.values(channel)
    field[2, 3] = np.nan
    message = grib_files.gfs(channel, TIME, 0, field)
    start = message.index(describing_sections(message)[4])
    tail = message[start:-4]
    bitmap = tail.rindex(b"\x06\x00", 0, len(tail)) - 4
    length = int.from_bytes(tail[bitmap : bitmap + 4], "big")
    again = tail[:bitmap] + (6).to_bytes(4, "big") + b"\x06\xfe" + tail[bitmap + length :]
    body = message[:-4] + again + b"7777"
    assert split_fields(body[:8] + len(body).to_bytes(8, "big") + body[16:]) == [message, message]


def test_sections_that_run_over_the_end(messages):
    message = messages[1]
    with pytest.raises(ValueError, match="has length"):
        split_fields(message[:16] + b"\x00\x0f\x00\x00" + message[20:])
    for message in messages:
        start = 8 if message[7] == 1 else 16
        with pytest.raises(ValueError, match="section 1"):
            describing_sections(message[:start] + b"\xff\xff\xff" + message[start + 3 :])
