"""Progress reports."""

import logging

import pytest

from fuxiflow import progress as module
from fuxiflow.progress import Progress, count_items, format_duration, progress


@pytest.fixture
def now(monkeypatch):
    class Clock:
        value = 0.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.value)
    return Clock


def test_clock():
    assert [format_duration(s) for s in (0, 59.6, 3661)] == ["0:00:00", "0:01:00", "1:01:01"]


def test_reports_at_most_every_ten_seconds_and_at_the_end(now, caplog):
    caplog.set_level(logging.INFO)
    report = Progress(5, "days", logging.getLogger("t"))
    for now.value in (4.0, 8.0, 12.0, 16.0, 20.0):
        report.step("loss 1")
    assert [record.message for record in caplog.records] == [
        "days: 3/5, 0:00:08 left, loss 1",
        "days: 5/5, 0:00:00 left, loss 1",
    ]


def test_what_was_done_before_does_not_speed_the_estimate_up(now, caplog):
    caplog.set_level(logging.INFO)
    report = Progress(10, "updates", logging.getLogger("t"), done=8)
    now.value = 20.0
    report.step()
    assert caplog.records[0].message == "updates: 9/10, 0:00:20 left"


def test_progress_yields_everything(caplog):
    caplog.set_level(logging.INFO)
    assert list(progress([1, 2, 3], "x", logging.getLogger("t"))) == [1, 2, 3]
    assert list(progress(iter("ab"), "x", logging.getLogger("t"), total=2)) == ["a", "b"]
    assert caplog.records[-1].message == "x: 2/2, 0:00:00 left"


def test_an_unknown_number_of_items_is_counted(now, caplog):
    caplog.set_level(logging.INFO)
    for now.value, _ in zip(
        (4.0, 12.0, 16.0),
        count_items(iter("abc"), "granules", logging.getLogger("t")),
        strict=False,
    ):
        pass
    assert list(count_items([], "files", logging.getLogger("t"))) == []
    assert [record.message for record in caplog.records] == [
        "granules: 2 in 0:00:12",
        "files: 0 in 0:00:00",
    ]
