"""BUFR files: split into messages, decoded where a crash does no harm."""

import os
import time
from datetime import datetime

import pytest

from fuxiflow.observations import bufr_messages, decoding_process
from fuxiflow.observations.decoding_process import DecodingProcess
from tests.support.helpers import realdata

HEADER = b"\x01\r\r\n123\r\r\nISMD01 EGRR 181200\r\r\n"


def message(subsets=3, descriptors=(301001, 12101), body=b"", edition=4):
    """A message with an empty data section."""
    if edition == 4:
        first = bytes([0, 0, 22, 0, 0, 98, 0, 0, 0, 0, 3, 0, 55, 31, 0, 7, 230, 7, 1, 10, 30, 0])
    else:
        first = bytes([0, 0, 18, 0, 0, 98, 0, 128, 3, 55, 13, 1, 22, 7, 1, 10, 30, 0]) + bytes(
            [0, 0, 8, 0, 1, 2, 3, 4]
        )
    codes = b"".join(
        ((d // 100000 << 14) + (d // 1000 % 100 << 8) + d % 1000).to_bytes(2) for d in descriptors
    )
    third = (7 + len(codes)).to_bytes(3) + b"\0" + subsets.to_bytes(2) + b"\xc0" + codes
    fourth = (4 + len(body)).to_bytes(3) + b"\0" + body
    rest = first + third + fourth + b"7777"
    return b"BUFR" + (8 + len(rest)).to_bytes(3) + bytes([edition]) + rest


def split(tmp_path, data):
    path = tmp_path / "x.bufr"
    path.write_bytes(data)
    return list(bufr_messages.read_messages(path))


@pytest.mark.parametrize("edition", [3, 4])
def test_header(tmp_path, edition):
    (found,) = split(tmp_path, message(edition=edition))
    assert found.header == bufr_messages.BufrHeader(
        edition,
        98,
        3,
        (0 if edition == 4 else None, 55),
        datetime(2022, 7, 1, 10, 30),
        3,
        True,
        (301001, 12101),
    )
    assert not found.damage


def test_bulletin_headers_and_padding_are_passed_over(tmp_path):
    one, two = message(), message(7)
    data = (
        HEADER
        + one
        + b"\r\r\n\x03"
        + HEADER
        + two
        + b"\0" * 5000
        + b"\xff\xff\x02\x01" * 2
        + one
        + b"\0" * 3
    )
    found = split(tmp_path, data)
    assert [m.data for m in found] == [one, two, one]
    assert [data[m.offset : m.offset + 4] for m in found] == [b"BUFR"] * 3


@pytest.mark.parametrize(
    ("spoil", "damage"),
    [
        (lambda m: b"XUFR" + m[4:], "do not begin with BUFR"),
        (lambda m: m[:4] + b"\0\0\x30" + m[7:], "does not end in 7777"),
        (lambda m: m[:4] + b"\0\xff\x30" + m[7:], "truncated"),
        (lambda m: m[:7] + b"\x07" + m[8:], "edition 7"),
        (lambda m: m[:-4] + b"7767", "does not end in 7777"),
        (lambda m: m[:-9], "does not end in 7777"),
    ],
)
def test_a_damaged_message_costs_itself_alone(tmp_path, spoil, damage):
    good, bad = message(5), message(9, body=bytes(range(100, 200)))
    found = split(tmp_path, HEADER + good + HEADER + spoil(bad) + HEADER + good)
    assert [bool(m.damage) for m in found] == [False, True, False]
    assert found[0].data == found[2].data == good
    assert damage in found[1].damage
    assert found[1].subsets in (0, 9)


def test_a_cut_file_ends_in_a_damaged_message(tmp_path):
    good = message()
    assert [m.damage for m in split(tmp_path, good + b"BUF")] == [""]
    assert split(tmp_path, good + good[:6])[1].damage == "BUFR edition missing, expected 2 to 4"
    assert split(tmp_path, b"") == []


@pytest.mark.parametrize("edition", [3, 4])
def test_a_message_cut_anywhere_has_its_header_or_none(tmp_path, edition):
    whole = message(edition=edition)
    expected = bufr_messages.BufrMessage(0, whole).header
    cut = [bufr_messages.BufrMessage(0, whole[:size], "cut").header for size in range(len(whole))]
    assert set(map(repr, cut)) == {repr(None), repr(expected)}
    assert cut[:35] == [None] * 35


def spin(seconds):
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def work(data):
    """Work for ever, sleep, die or answer, as the message's number of subsets says."""
    subsets = bufr_messages.BufrMessage(0, data).subsets
    if subsets == 1:
        os.abort()
    if subsets == 2:
        spin(60)
    if subsets == 4:
        time.sleep(60)
    if subsets == 3:
        raise ValueError("no good")
    return subsets


def test_death_and_hanging_cost_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding_process, "_WAITING", 4)
    path = tmp_path / "x.bufr"
    path.write_bytes(b"".join(map(message, [7, 1, 8, 2, 9, 3, 10, 4])) + message(11)[:-1])
    with DecodingProcess(work, timeout=1.0) as process:
        messages = bufr_messages.read_messages(path)
        found = [result for _, result in bufr_messages.decode_messages(messages, process)]
    assert found[:7:2] == [7, 8, 9, 10]
    assert [failure.why for failure in [*found[1:7:2], *found[7:]]] == [
        "decoding crashed (signal 6)",
        "decoding took more than 1 s",
        "ValueError: no good",
        "decoding took more than 1 s",
        f"truncated: {len(message()) - 1} of its {len(message())} octets",
    ]


def spin_for_long(data):
    """Keep the processor busy for longer than small data may."""
    spin(2.5)
    return len(data)


def test_large_data_have_more_time():
    """A day of occultations in one file takes half a minute."""
    with DecodingProcess(spin_for_long, timeout=1.0) as process:
        assert process(b"small").why == "decoding took more than 1 s"
        large = bytes((3 << 20) + 1)
        assert process(large) == len(large)


@pytest.mark.parametrize(
    ("name", "messages", "subsets"),
    [("atms_201", 2, 189), ("amsa_55", 6, 660), ("iasi_241", 4, 59), ("pdbufr_temp", 420, 420)],
)
def test_real_files(name, messages, subsets):
    found = list(bufr_messages.read_messages(realdata(f"bufr/{name}.bufr")))
    assert (len(found), sum(m.subsets for m in found)) == (messages, subsets)
    assert not any(m.damage for m in found)
    assert all(m.header.time for m in found)


@pytest.mark.parametrize(
    "name", ["atms_201", "mhsa_55", "iasi_241", "syno_4", "ship_11", "pdbufr_temp"]
)
def test_a_real_message_with_a_broken_start_is_told(tmp_path, name):
    """Short ones too, most of whose octets could be text."""
    parts = [m.data for m in bufr_messages.read_messages(realdata(f"bufr/{name}.bufr"))][:40]
    broken = [b"XUFR" + data[4:] for data in parts]
    alternating = [
        HEADER + data + b"\r\r\n\x03" for pair in zip(parts, broken, strict=True) for data in pair
    ]
    found = split(tmp_path, b"".join(alternating))
    assert [m.data for m in found if not m.damage] == parts
    assert len(found) == 2 * len(parts)
