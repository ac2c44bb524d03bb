"""Downloads: whole or not at all, resumed, retried, checked for length."""

import pytest
import requests

from fuxiflow.archive import transfer
from fuxiflow.archive.transfer import Absent, DownloadError, fetch, fetch_ranges, merge_ranges

BODY = bytes(range(256)) * 2048  # halves and quarters are whole chunks


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole(server, session, tmp_path):
    server.files["a/b.h5"] = BODY
    target = fetch(session, f"{server.url}/a/b.h5", tmp_path / "x" / "b.h5", len(BODY))
    assert target.read_bytes() == BODY
    assert names(tmp_path / "x") == ["b.h5"]
    fetch(session, f"{server.url}/a/b.h5", target, len(BODY))
    assert len(server.requests) == 1


def test_a_kept_file_of_another_length_is_fetched_again(server, session, tmp_path):
    server.files["b"] = BODY
    (tmp_path / "b").write_bytes(b"half")
    assert fetch(session, f"{server.url}/b", tmp_path / "b", len(BODY)).read_bytes() == BODY


def test_a_broken_answer_is_resumed_where_it_broke(server, session, tmp_path):
    server.files["b"] = BODY
    server.faults["/b"] = ["cut", "cut"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").read_bytes() == BODY
    half = len(BODY) // 2
    assert server.requests == [
        ("/b", None),
        ("/b", f"bytes={half}-"),
        ("/b", f"bytes={half + half // 2}-"),
    ]
    assert names(tmp_path) == ["b"]


def test_a_later_call_resumes_what_a_killed_one_left(server, session, tmp_path):
    server.files["b"] = BODY
    server.faults["/b"] = ["cut"] * 3
    with pytest.raises(DownloadError, match="gave up after 3 attempts"):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=3)
    assert names(tmp_path) == ["b.etag", "b.part"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").read_bytes() == BODY
    assert server.requests[-1][1] is not None


def test_a_file_that_changed_meanwhile_starts_anew(server, session, tmp_path):
    server.files["b"] = BODY
    server.faults["/b"] = ["cut"]
    with pytest.raises(DownloadError):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=1)
    server.files["b"] = BODY[::-1]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").read_bytes() == BODY[::-1]


def test_a_server_without_ranges_starts_anew(server, session, tmp_path):
    server.files["b"], server.ranges = BODY, False
    server.faults["/b"] = ["cut"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(server, session, tmp_path):
    server.files["b"] = BODY
    (tmp_path / "b.part").write_bytes(BODY + b"more")
    (tmp_path / "b.etag").write_text(f'"{hash(BODY)}"')
    assert fetch(session, f"{server.url}/b", tmp_path / "b").read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_tried_again(server, session, tmp_path, status):
    server.files["b"] = BODY
    server.faults["/b"] = [status, status]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").read_bytes() == BODY


def test_what_is_not_there_is_absent_at_once(server, session, tmp_path):
    with pytest.raises(Absent, match="/none"):
        fetch(session, f"{server.url}/none", tmp_path / "none")
    assert len(server.requests) == 1


def test_a_refusal_is_final(server, session, tmp_path):
    server.faults["/b"] = [403]
    with pytest.raises(DownloadError, match="/b: refused with status 403"):
        fetch(session, f"{server.url}/b", tmp_path / "b")
    assert len(server.requests) == 1


def test_a_wrong_length_is_never_accepted(server, session, tmp_path):
    server.files["b"] = BODY
    with pytest.raises(DownloadError, match=f"{len(BODY)} bytes instead of {len(BODY) + 1}"):
        fetch(session, f"{server.url}/b", tmp_path / "b", len(BODY) + 1, attempts=1)
    assert not (tmp_path / "b").exists()


def test_no_server_at_all(session, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    with pytest.raises(DownloadError, match="gave up after 2 attempts"):
        fetch(session, "http://127.0.0.1:9/b", tmp_path / "b", attempts=2)


def test_ranges_are_joined_and_written_in_order(server, session, tmp_path):
    server.files["g"] = BODY
    server.faults["/g"] = ["cut"]
    ranges = [(100, 200), (0, 10), (200, 300), (len(BODY) - 5, None)]
    got = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", ranges).read_bytes()
    assert got == BODY[:10] + BODY[100:300] + BODY[-5:]
    assert [r for _, r in server.requests] == [
        "bytes=0-9",
        "bytes=0-9",
        "bytes=100-299",
        f"bytes={len(BODY) - 5}-",
    ]
    fetch_ranges(session, f"{server.url}/g", tmp_path / "g", ranges)
    assert len(server.requests) == 4


def test_ranges_need_a_server_that_knows_them(server, session, tmp_path):
    server.files["g"], server.ranges = BODY, False
    with pytest.raises(DownloadError, match="ignores byte ranges"):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", [(0, 5)])
    assert not (tmp_path / "g").exists()


def test_merge():
    assert merge_ranges([(5, 9), (0, 5), (12, None)]) == [(0, 9), (12, None)]
    assert merge_ranges([]) == []
