"""The ledger: counts by file, day and reason, and nothing lost without notice."""

from datetime import date

import numpy as np
import pytest

from fuxiflow.observations import ledger
from fuxiflow.observations.ledger import LedgerEntry
from fuxiflow.observations.rejection_codes import Reason
from tests.support.footprint_tables import START, footprints


def rows(frame):
    return list(frame[["file", "day", "reason", "count"]].itertuples(index=False, name=None))


def test_counts_by_file_day_and_reason():
    time = START + np.array([0, 23, 24, 25]) * np.timedelta64(1, "h")
    book = ledger.build_ledger(
        ledger.count_reasons("s", footprints(np.ones((4, 2)), time=time, rejected=[0, 0, 0, 5]))
    )
    assert rows(book) == [
        ("f.h5", date(2022, 7, 1), "used", 2),
        ("f.h5", date(2022, 7, 2), "used", 1),
        ("f.h5", date(2022, 7, 2), "duplicate", 1),
    ]


def test_unknown_times_have_no_day():
    time = np.array(["NaT", START], "datetime64[ns]")
    (unknown, used) = sorted(
        ledger.count_reasons("s", footprints(np.ones((2, 2)), time=time, rejected=[2, 0])),
        key=lambda entry: entry.reason,
    )
    assert (unknown.day, unknown.reason, used.day) == (None, "time", date(2022, 7, 1))


def test_single_values_are_counted_by_channel():
    lost = np.array([[True, False], [True, True], [False, False]])
    entries = ledger.count_missing_values("s", footprints(np.ones((3, 2))), lost, Reason.RANGE)
    assert [(entry.channel, entry.reason, entry.count) for entry in entries] == [
        ("1", "range", 2),
        ("2", "range", 1),
    ]
    assert (
        ledger.count_missing_values("s", footprints(np.ones((3, 2))), lost & False, Reason.RANGE)
        == []
    )


def test_pieces_of_a_file_are_added_up():
    part = footprints(np.ones((3, 2)))
    book = ledger.build_ledger(ledger.count_reasons("s", part) + ledger.count_reasons("s", part))
    assert book["count"].tolist() == [6]


def test_conservation_is_asserted_by_file():
    day = date(2022, 7, 1)
    good = [
        LedgerEntry("s", "a", day, ledger.READ, 5),
        LedgerEntry("s", "a", None, "time", 2),
        LedgerEntry("s", "a", day, "used", 3),
        LedgerEntry("s", "a", day, "range", 4, channel="1"),
        LedgerEntry("s", "b", day, "unreadable", 0),
    ]
    ledger.check_ledger(ledger.build_ledger(good))
    with pytest.raises(ledger.LedgerError, match="a: 5 footprints read, but 4 used or rejected"):
        ledger.check_ledger(ledger.build_ledger([*good[:2], LedgerEntry("s", "a", day, "used", 2)]))
    with pytest.raises(ledger.LedgerError, match="c: 0 footprints read, but 1"):
        ledger.check_ledger(ledger.build_ledger([*good, LedgerEntry("s", "c", day, "used", 1)]))


def test_round_trip_and_summary(tmp_path):
    day = date(2022, 7, 1)
    wrote = ledger.build_ledger(
        [
            LedgerEntry("s", "a", day, ledger.READ, 5),
            LedgerEntry("s", "a", None, "used", 5),
            LedgerEntry("s", "b", day, "unreadable", 0, message="truncated"),
        ]
    )
    ledger.write_ledger(tmp_path / "l.parquet", wrote)
    read = ledger.read_ledgers([tmp_path / "l.parquet", tmp_path / "l.parquet"])
    assert len(read) == 6
    assert rows(read)[:1] == rows(wrote)[:1]
    assert ledger.summarize_ledger(wrote) == "read 5, used 5, unreadable 0 (1 files)"


def test_an_empty_ledger_is_a_table(tmp_path):
    ledger.check_ledger(ledger.build_ledger([]))
    ledger.write_ledger(tmp_path / "l.parquet", ledger.build_ledger([]))
    assert len(ledger.read_ledgers([tmp_path / "l.parquet"])) == 0


def test_reasons_have_unique_codes_and_descriptions():
    assert Reason(0) is Reason.USED
    assert len({int(reason) for reason in Reason}) == len(Reason)
    assert all(reason.description and reason.label.islower() for reason in Reason)
    assert max(reason for reason in Reason if reason < 100) < 256
