"""How often and how long an archive is asked again, and what its refusals say."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
import requests

from fuxiflow.archive import retries
from fuxiflow.archive.retries import (
    Absent,
    DownloadError,
    Incomplete,
    Mismatch,
    Refused,
    attempt,
)

URL = "https://archive.example/file"


@pytest.fixture
def clock(monkeypatch):
    """Time passes by waiting alone; ``waits`` are the seconds of each pause."""
    now = SimpleNamespace(seconds=0.0, waits=[])

    def sleep(seconds):
        now.seconds += seconds
        now.waits.append(seconds)

    monkeypatch.setattr(
        retries, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now.seconds)
    )
    return now


def answer(status, body=b"", **headers):
    response = requests.Response()
    response.status_code, response.reason = status, "Reason"
    response._content = body
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def raiser(*failures):
    """A function that raises one failure after the other, the last for ever."""
    left = list(failures)

    def action():
        failure = left.pop(0) if len(left) > 1 else left[0]
        action.calls += 1
        if isinstance(failure, requests.Response):
            raise requests.HTTPError(response=failure)
        raise failure

    action.calls = 0
    return action


def test_pauses_double_are_drawn_and_have_a_longest(clock):
    with pytest.raises(DownloadError, match="gave up after 9 attempts"):
        attempt(raiser(Incomplete("short")), URL, attempts=9)
    longest = [2, 4, 8, 16, 32, 60, 60, 60]
    assert len(clock.waits) == len(longest)
    for wait, most in zip(clock.waits, longest, strict=True):
        assert most / 2 <= wait <= most
    again = list(clock.waits)
    clock.waits.clear()
    with pytest.raises(DownloadError):
        attempt(raiser(Incomplete("short")), URL, attempts=9)
    assert clock.waits != again


def test_an_unreachable_archive_is_given_up_within_minutes(clock):
    action = raiser(requests.ConnectionError("no route"))
    with pytest.raises(DownloadError, match=r"no route.*Is archive\.example reachable"):
        attempt(action, URL, attempts=500)
    assert clock.seconds < 15 * 60


def test_no_attempt_begins_after_the_deadline(clock):
    loaded = SimpleNamespace(bytes=0)

    def slow():
        clock.seconds += 1000
        loaded.bytes += 10 * retries.PROGRESS
        raise Incomplete("broken")

    with pytest.raises(DownloadError, match="gave up"):
        attempt(slow, URL, total=10_000, loaded=lambda: loaded.bytes)
    assert 9_000 < clock.seconds <= 11_000


def test_attempts_begin_anew_with_much_that_is_new(clock):
    loaded = SimpleNamespace(bytes=0, calls=0)

    def action():
        loaded.calls += 1
        loaded.bytes += retries.PROGRESS
        if loaded.calls < 20:
            raise Incomplete("broken")
        return "whole"

    assert attempt(action, URL, attempts=2, loaded=lambda: loaded.bytes) == "whole"
    action = raiser(Incomplete("broken"))
    with pytest.raises(DownloadError):
        attempt(action, URL, attempts=2, loaded=lambda: action.calls)
    assert action.calls == 2


def test_retry_after_is_kept(clock):
    action = raiser(answer(429, Retry_After="77"), answer(404))
    with pytest.raises(Absent):
        attempt(action, URL)
    assert clock.waits == [77]
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < retries.retry_after(answer(503, Retry_After=when)) <= 90
    assert retries.retry_after(answer(503, Retry_After="soon")) == 0
    assert retries.retry_after(answer(503)) == 0


def test_to_be_asked_away_beyond_the_deadline_is_an_error_at_once(clock):
    with pytest.raises(DownloadError, match="left alone for 86400 s; gave up after 1 attempts"):
        attempt(raiser(answer(429, Retry_After="86400")), URL)
    assert clock.waits == []


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 501])
def test_what_does_not_pass_is_asked_once(clock, status):
    action = raiser(answer(status))
    with pytest.raises(Refused, match=f"status {status}"):
        attempt(action, URL)
    assert action.calls == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_speaks_of_account_and_licence(clock, status):
    body = b'{"title": "required licences not accepted", "detail": "see there"}'
    with pytest.raises(Refused, match=r"required licences not accepted see there.*key.*licences"):
        attempt(raiser(answer(status, body)), URL)


def test_a_buckets_words_are_told(clock):
    body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
    with pytest.raises(Refused, match=r"\(AccessDenied No\.\)"):
        attempt(raiser(answer(403, body)), URL)
    with pytest.raises(Refused, match="status 403 Reason, which"):
        attempt(raiser(answer(403, b"<html>plain")), URL)


@pytest.mark.parametrize(
    "failure",
    [
        requests.exceptions.InvalidURL("bad"),
        requests.exceptions.MissingSchema("bad"),
        requests.exceptions.TooManyRedirects("bad"),
        requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] bad"),
    ],
)
def test_bad_addresses_and_certificates_do_not_pass(clock, failure):
    action = raiser(failure)
    with pytest.raises(DownloadError, match="bad"):
        attempt(action, URL)
    assert action.calls == 1


def test_a_wrong_checksum_is_not_asked_for_as_often(clock):
    action = raiser(Mismatch("expected a, found b"))
    with pytest.raises(DownloadError, match=r"file: expected a, found b; gave up after 3"):
        attempt(action, URL)
    assert action.calls == retries.MISMATCHES
