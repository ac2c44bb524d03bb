"""Downloads: whole or not at all, resumed, retried, checked."""

import hashlib
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuxiflow.archive import retries, transfer
from fuxiflow.archive.checksums import Checksum
from fuxiflow.archive.retries import Absent, Changed, DownloadError
from fuxiflow.archive.transfer import fetch, fetch_ranges, merge_ranges
from tests.support.archive_server import Handler, archive

BODY = bytes(range(256)) * 2048  # halves and quarters are whole chunks


@pytest.fixture
def session():
    with requests.Session() as running:
        yield running


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole(server, session, tmp_path):
    server.files["a/b.h5"] = BODY
    target = fetch(session, f"{server.url}/a/b.h5", tmp_path / "x" / "b.h5", len(BODY)).path
    assert target.read_bytes() == BODY
    assert names(tmp_path / "x") == ["b.h5"]
    fetch(session, f"{server.url}/a/b.h5", target, len(BODY))
    assert len(server.requests) == 1


def test_a_kept_file_of_another_length_is_fetched_again(server, session, tmp_path):
    server.files["b"] = BODY
    (tmp_path / "b").write_bytes(b"half")
    assert fetch(session, f"{server.url}/b", tmp_path / "b", len(BODY)).path.read_bytes() == BODY


def test_a_broken_answer_is_resumed_where_it_broke(server, session, tmp_path):
    server.files["b"] = BODY
    server.faults["/b"] = ["cut", "cut"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY
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
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY
    assert server.requests[-1][1] is not None


def test_a_file_that_changed_meanwhile_starts_anew(server, session, tmp_path):
    server.files["b"] = BODY
    server.faults["/b"] = ["cut"]
    with pytest.raises(DownloadError):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=1)
    server.files["b"] = BODY[::-1]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY[::-1]


def test_a_server_without_ranges_starts_anew(server, session, tmp_path):
    server.files["b"], server.ranges = BODY, False
    server.faults["/b"] = ["cut"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(server, session, tmp_path):
    server.files["b"] = BODY
    (tmp_path / "b.part").write_bytes(BODY + b"more")
    (tmp_path / "b.etag").write_text(server.tag(BODY)["ETag"])
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_tried_again(server, session, tmp_path, status):
    server.files["b"] = BODY
    server.faults["/b"] = [status, status]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY


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
    monkeypatch.setattr(retries.time, "sleep", lambda seconds: None)
    with pytest.raises(DownloadError, match="gave up after 2 attempts"):
        fetch(session, "http://127.0.0.1:9/b", tmp_path / "b", attempts=2)


def test_ranges_are_joined_and_written_in_order(server, session, tmp_path):
    server.files["g"] = BODY
    server.faults["/g"] = ["cut"]
    ranges = [(100, 200), (0, 10), (200, 300), (len(BODY) - 5, None)]
    got = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", ranges).path.read_bytes()
    assert got == BODY[:10] + BODY[100:300] + BODY[-5:]
    assert [r for _, r in server.requests] == [
        "bytes=0-9",
        "bytes=0-9",
        "bytes=100-299",
        f"bytes={len(BODY) - 5}-{len(BODY) - 1}",
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
    assert merge_ranges([(0, 5), (0, 5), (3, 9), (20, None), (30, 40)]) == [(0, 9), (20, None)]


def test_a_part_of_another_version_is_never_taken_for_the_new_one(server, session, tmp_path):
    """As a kill leaves it between the beginnings of two versions."""
    server.files["b"] = BODY
    server.faults["/b"] = ["cut"]
    with pytest.raises(DownloadError):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=1)
    server.files["b"] = BODY[::-1]

    def die(*arguments):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_write_pieces", die)
        with pytest.raises(KeyboardInterrupt):
            fetch(session, f"{server.url}/b", tmp_path / "b", attempts=1)
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("tags", ["weak", "none"])
def test_without_a_validator_nothing_is_resumed(server, session, tmp_path, tags):
    server.files["b"], server.tags = BODY, tags
    server.faults["/b"] = ["cut"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY
    assert [asked for _, asked in server.requests] == [None, None]


@pytest.mark.parametrize("tags", ["weak", "none"])
def test_the_date_of_a_version_will_do(server, session, tmp_path, tags):
    server.files["b"], server.tags = BODY, tags
    date = "Sun, 01 Mar 2020 00:00:00 GMT"
    server.headers["/b"] = {"Last-Modified": date}
    server.faults["/b"] = ["cut"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY
    assert server.if_range == [None, date]


def test_what_was_written_has_a_digest(server, session, tmp_path):
    server.files["b"], server.tags = BODY, "md5"
    server.faults["/b"] = ["cut", 500, "cut"]
    fetched = fetch(session, f"{server.url}/b", tmp_path / "b")
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (fetched.size, fetched.address) == (len(BODY), f"{server.url}/b")
    assert fetched.agreed == ("md5 (ETag)",)
    again = fetch(session, f"{server.url}/b", tmp_path / "b")
    assert (again.sha256, again.size) == (fetched.sha256, fetched.size)


def test_the_digest_counts_what_a_killed_call_had_written(server, session, tmp_path):
    server.files["b"], server.tags = BODY, "md5"
    server.faults["/b"] = ["cut"]
    with pytest.raises(DownloadError):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=1)
    fetched = fetch(session, f"{server.url}/b", tmp_path / "b")
    assert server.requests[-1][1]
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_flipped_bit_is_loaded_again(server, session, tmp_path):
    server.files["b"], server.tags = BODY, "md5"
    server.faults["/b"] = ["flip", "cut", "flip"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY


def test_a_bit_that_flipped_in_the_part_is_seen(server, session, tmp_path):
    server.files["b"], server.tags = BODY, "md5"
    server.faults["/b"] = ["cut"]
    with pytest.raises(DownloadError):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=1)
    part = bytearray((tmp_path / "b.part").read_bytes())
    part[1000] ^= 1
    (tmp_path / "b.part").write_bytes(part)
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY


def test_a_wrong_checksum_names_address_expected_and_found(server, session, tmp_path):
    server.files["b"], server.tags = BODY, "md5"
    server.faults["/b"] = ["flip"] * 9
    expected = hashlib.md5(BODY).hexdigest()
    with pytest.raises(DownloadError, match=rf"{server.url}/b: .*{expected}.*that of .* is \w+"):
        fetch(session, f"{server.url}/b", tmp_path / "b")
    assert names(tmp_path) == []


def test_a_checksum_that_is_known_beforehand(server, session, tmp_path):
    server.files["b"] = BODY
    right = Checksum("sha256", hashlib.sha256(BODY).hexdigest(), "the listing")
    wrong = Checksum("sha256", "0" * 64, "the listing")
    with pytest.raises(DownloadError, match="the SHA256 named by the listing is 0000"):
        fetch(session, f"{server.url}/b", tmp_path / "b", checksums=[wrong])
    assert fetch(session, f"{server.url}/b", tmp_path / "b", checksums=[right]).agreed


@pytest.mark.parametrize("load", [fetch, partial(fetch_ranges, ranges=[(0, 5)])])
def test_a_web_page_is_no_file(server, session, tmp_path, load):
    server.faults["/b"] = ["html"]
    with pytest.raises(DownloadError, match=r"/b: the answer is a web page"):
        load(session, f"{server.url}/b", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_redirection_to_nowhere_is_no_file(server, session, tmp_path):
    server.faults["/b"] = [301]
    with pytest.raises(DownloadError, match="/b: answered with status 301"):
        fetch(session, f"{server.url}/b", tmp_path / "b")


def test_an_archive_that_stalls_is_asked_again(server, session, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (5, 0.2))
    server.files["b"] = BODY
    server.faults["/b"] = ["stall"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY
    server.faults["/c"] = ["stall"] * 3
    with pytest.raises(DownloadError, match=r"timed out.*Is 127\.0\.0\.1:\d+ reachable"):
        fetch(session, f"{server.url}/c", tmp_path / "c", attempts=2)


def test_an_answer_that_drips_is_given_up(server, session, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "SLOW_AFTER", 0.2)
    server.files["b"] = BODY
    server.faults["/b"] = ["drip"]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY
    assert len(server.requests) == 2
    server.faults["/b"] = ["drip"] * 2
    with pytest.raises(DownloadError, match=r"too slow: \d+ bytes.*gave up after 2"):
        fetch_ranges(session, f"{server.url}/b", tmp_path / "g", [(0, 9999)], attempts=2)


def test_an_answer_does_not_last_for_ever(server, session, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "LONGEST_ANSWER", 0.0)
    server.files["b"] = BODY
    with pytest.raises(DownloadError, match="too slow"):
        fetch(session, f"{server.url}/b", tmp_path / "b", attempts=2)
    assert (tmp_path / "b.part").exists()


KILLED = """
import sys
from pathlib import Path
import requests
from fuxiflow.archive.transfer import fetch, fetch_ranges
url, target = sys.argv[1], Path(sys.argv[2])
if target.name == "whole":
    fetch(requests.Session(), url, target)
else:
    fetch_ranges(requests.Session(), url, target, [(0, 300_000), (400_000, None)])
"""


@pytest.mark.parametrize("name", ["whole", "ranges"])
def test_a_process_that_is_killed_loses_at_most_a_chunk(server, session, tmp_path, name):
    server.files["g"], server.tags = BODY, "md5"
    server.faults["/g"] = ["half"]
    target = tmp_path / name
    process = subprocess.Popen([sys.executable, "-c", KILLED, f"{server.url}/g", str(target)])
    due = len(BODY) // 2 if name == "whole" else 150_000
    part = target.with_name(f"{name}.part")
    while process.poll() is None and not (part.exists() and part.stat().st_size > due - 9000):
        server.closed.wait(0.02)
    process.kill()
    process.wait()
    loaded = part.stat().st_size
    ranges = [(0, 300_000), (400_000, None)]
    if name == "whole":
        fetched = fetch(session, f"{server.url}/g", target)
        expected, first = BODY, loaded
    else:
        fetched = fetch_ranges(session, f"{server.url}/g", target, ranges)
        expected = BODY[:300_000] + BODY[400_000:]
        first = loaded // transfer.CHUNK * transfer.CHUNK
    assert target.read_bytes() == expected
    assert fetched.sha256 == hashlib.sha256(expected).hexdigest()
    assert server.requests[1][1].startswith(f"bytes={first}-")
    assert first > 0


def test_a_refusal_has_the_archives_words(server, session, tmp_path):
    server.files["b"] = BODY
    with monkeypatched_refusal(server), pytest.raises(DownloadError, match="AccessDenied"):
        fetch(session, f"{server.url}/b", tmp_path / "b")


@contextmanager
def monkeypatched_refusal(server):
    words = b"<Error><Code>AccessDenied</Code></Error>"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handler, "file", lambda handler, path, fault: handler.answer(403, words))
        yield


RANGES = [(0, 100_000), (150_000, 400_000), (500_000, None)]
GATHERED = b"".join(BODY[start:end] for start, end in RANGES)


def test_all_ranges_but_the_first_are_of_its_version(server, session, tmp_path):
    server.files["g"] = BODY
    fetched = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    assert fetched.path.read_bytes() == GATHERED
    assert fetched.sha256 == hashlib.sha256(GATHERED).hexdigest()
    tag = server.tag(BODY)["ETag"]
    assert server.if_range == [None, tag, tag]
    assert names(tmp_path) == ["g"]


def change(archive):
    archive.files["g"] = BODY[::-1]


@pytest.mark.parametrize("tags", ["opaque", "md5", "weak", "none"])
def test_ranges_never_mix_two_versions(server, session, tmp_path, tags):
    """A store that honours no If-Range, as one without a strong tag, is seen by what it answers."""
    server.files["g"], server.tags = BODY, tags
    if tags in ("weak", "none"):
        server.headers["/g"] = {"Last-Modified": "Sun, 01 Mar 2020 00:00:00 GMT"}

    def replace(archive):
        change(archive)
        archive.headers["/g"] = {"Last-Modified": "Sun, 01 Mar 2020 00:00:01 GMT"}

    server.faults["/g"] = [None, replace]
    with pytest.raises(Changed, match="replaced by another version"):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    assert names(tmp_path) == []
    got = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES).path.read_bytes()
    assert got == b"".join(BODY[::-1][start:end] for start, end in RANGES)


def test_a_store_that_ignores_if_range_is_seen(server, session, tmp_path, monkeypatch):
    server.files["g"] = BODY
    file = Handler.file

    def ignoring(handler, path, fault):
        del handler.headers["If-Range"]
        file(handler, path, fault)

    monkeypatch.setattr(Handler, "file", ignoring)
    server.faults["/g"] = [None, change]
    with pytest.raises(Changed):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    server.files["b"] = BODY
    server.faults["/b"] = ["cut", lambda archive: archive.files.update(b=BODY[::-1])]
    assert fetch(session, f"{server.url}/b", tmp_path / "b").path.read_bytes() == BODY[::-1]


def test_another_length_is_another_version(server, session, tmp_path):
    server.files["g"], server.tags = BODY, "none"
    server.faults["/g"] = [None, lambda archive: archive.files.update(g=BODY + b"more")]
    with pytest.raises(Changed):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)


@pytest.mark.parametrize("ranges", [[(0, len(BODY) + 1)], [(len(BODY), None)]])
def test_ranges_beyond_the_end_mean_another_version(server, session, tmp_path, ranges):
    server.files["g"] = BODY
    with pytest.raises(Changed):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", ranges)


def test_ranges_of_a_killed_call_are_resumed(server, session, tmp_path):
    server.files["g"] = BODY
    server.faults["/g"] = [None, "cut", 403]
    with pytest.raises(DownloadError):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    assert names(tmp_path) == ["g.part", "g.ranges"]
    server.requests.clear()
    fetched = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    assert fetched.path.read_bytes() == GATHERED
    assert fetched.sha256 == hashlib.sha256(GATHERED).hexdigest()
    # half of the second range had come, of which whole chunks count
    start = 150_000 + 125_000 // transfer.CHUNK * transfer.CHUNK
    assert [asked for _, asked in server.requests] == [
        f"bytes={start}-399999",
        f"bytes=500000-{len(BODY) - 1}",
    ]


def test_ranges_of_another_request_or_version_are_not_resumed(server, session, tmp_path):
    server.files["g"] = BODY
    server.faults["/g"] = [None, 403]
    with pytest.raises(DownloadError):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    other = [(0, 100_000), (200_000, 300_000)]
    got = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", other).path.read_bytes()
    assert got == BODY[:100_000] + BODY[200_000:300_000]
    (tmp_path / "g").unlink()
    server.faults["/g"] = [None, 403]
    with pytest.raises(DownloadError):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)
    change(server)
    with pytest.raises(Changed):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES)


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 1}'])
def test_a_damaged_note_starts_anew(server, session, tmp_path, note):
    server.files["g"] = BODY
    (tmp_path / "g.part").write_bytes(b"anything")
    (tmp_path / "g.ranges").write_text(note)
    got = fetch_ranges(session, f"{server.url}/g", tmp_path / "g", RANGES).path.read_bytes()
    assert got == GATHERED


def test_a_range_that_is_another_is_not_taken(server, session, tmp_path):
    server.files["g"] = BODY
    server.headers["/g"] = {"Content-Range": f"bytes 5-9/{len(BODY)}"}
    with pytest.raises(DownloadError, match="bytes 5 to 10 instead of 0 to 5"):
        fetch_ranges(session, f"{server.url}/g", tmp_path / "g", [(0, 5)])


def test_content_is_not_held_in_memory(server, session, tmp_path, monkeypatch):
    """Pieces of a chunk arrive one after the other, however long file and range are."""
    server.files["g"] = BODY
    lengths = []
    update = transfer.Digests.update

    def noted(digests, piece):
        lengths.append(len(piece))
        update(digests, piece)

    monkeypatch.setattr(transfer.Digests, "update", noted)
    monkeypatch.setattr(requests.Response, "content", property(lambda response: 1 / 0))
    fetch_ranges(session, f"{server.url}/g", tmp_path / "g", [(0, len(BODY))])
    fetch(session, f"{server.url}/g", tmp_path / "h")
    assert max(lengths) == transfer.CHUNK
    assert sum(lengths) == 2 * len(BODY)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_ranges_and_any_cuts_give_the_same_bytes(running, session, data):
    """Any split into ranges, any failure of any request, kills between: the bytes are equal."""
    body = BODY[:200_000]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), min_size=2, max_size=9)))
    pairs = list(pairwise(cuts))
    ranges = data.draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=6))
    if data.draw(st.booleans()):
        ranges = [*ranges, (data.draw(st.integers(0, len(body) - 1)), None)]
    fault = st.sampled_from([None, "cut", 500, "ignored kill"])
    running.files["g"] = body
    running.faults["/g"] = [
        403 if one == "ignored kill" else one for one in data.draw(st.lists(fault, max_size=8))
    ]
    inside = sorted({i for a, b in ranges for i in range(a, len(body) if b is None else b)})
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "g"
        while not target.exists():
            with suppress(DownloadError):
                fetched = fetch_ranges(session, f"{running.url}/g", target, ranges, attempts=2)
        expected = bytes(body[i] for i in inside)
        assert target.read_bytes() == expected
        assert fetched.sha256 == hashlib.sha256(expected).hexdigest()
        assert [path.name for path in Path(folder).iterdir()] == ["g"]


@given(
    faults=st.lists(st.sampled_from([None, "cut", 503, 403, "flip"]), max_size=9),
    tags=st.sampled_from(["md5", "none"]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cuts_and_kills_give_the_same_file(running, session, faults, tags):
    running.files["b"] = BODY[:200_000]
    running.tags = tags
    running.faults["/b"] = [fault for fault in faults if fault != "flip" or tags == "md5"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "b"
        while not target.exists():
            with suppress(DownloadError):
                fetch(session, f"{running.url}/b", target, attempts=2)
        assert target.read_bytes() == BODY[:200_000]


@pytest.fixture(scope="module")
def running():
    """An archive for all examples of a property; waiting takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retries.time, "sleep", lambda seconds: None)
        with archive() as server:
            yield server
