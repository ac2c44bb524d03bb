"""The dated list of channels that died: read, checked, and cut to a source and its days."""

from datetime import date

import pytest

from fuxiflow.config import denials
from fuxiflow.config.sources import load_source

HEAD = "platform,instrument,channel,since,until,source\n"


def write(folder, *lines, head=HEAD):
    path = folder / "denials.csv"
    path.write_text(head + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_committed_list_has_a_source_for_each_fact():
    entries = denials.read_denials()
    assert len(entries) >= 10
    assert all(len(entry.source) > 10 for entry in entries)


def test_a_source_has_those_of_its_platforms_and_days(tmp_path):
    path = write(
        tmp_path,
        "Metop-B,amsua,3,2025-01-01,,E",
        "Metop-B,amsua,9,2026-03-18,2026-03-24,E",
        "NOAA-15,amsua,6,2014-10-15,,E",
        "NOAA-19,mhs,3,2015-01-14,,E",
    )
    source = load_source("nnja_amsua")
    of_march = denials.denials_of(source, date(2026, 3, 20), date(2026, 3, 31), path)
    assert of_march == [
        {"platform": "Metop-B", "channel": "3", "since": "2026-03-20", "until": "2026-03-31"},
        {"platform": "Metop-B", "channel": "9", "since": "2026-03-20", "until": "2026-03-24"},
    ]
    assert denials.denials_of(source, date(2024, 12, 1), date(2024, 12, 31), path) == []
    mhs = load_source("nnja_mhs")
    (only,) = denials.denials_of(mhs, date(2015, 1, 1), date(2015, 1, 31), path)
    assert (only["channel"], only["since"]) == ("3", "2015-01-14")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Metop-B,amsua,16,2025-01-01,,E", "line 2: channel: unknown '16', allowed: 1, 10"),
        ("Metop-X,amsua,1,2025-01-01,,E", "platform: unknown 'Metop-X'.*did you mean 'Metop-"),
        ("Metop-B,amsu,1,2025-01-01,,E", "instrument: unknown 'amsu'.*did you mean 'amsua'"),
        ("Metop-B,amsua,1,2025,,E", "line 2: since: '2025', allowed: a date, YYYY-MM-DD"),
        ("Metop-B,amsua,1,,,E", "line 2: since: required, but not given"),
        ("Metop-B,amsua,1,2025-01-01,2024-01-01,E", "until: 2024-01-01 is before 2025-01-01"),
        ("Metop-B,amsua,1,2025-01-01,,", "line 2: source: required, but not given"),
        ("Metop-B,amsua,1,2025-01-01,,E, or F", "line 2: not 6 columns"),
        ("Metop-B,amsua,1,2025-01-01", "line 2: not 6 columns"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, line, words):
    with pytest.raises(ValueError, match=words):
        denials.read_denials(write(tmp_path, line))


def test_a_channel_is_listed_once_a_day(tmp_path):
    first = "Metop-B,amsua,3,2025-01-01,2025-02-01,E"
    with pytest.raises(ValueError, match="line 3: channel 3 of Metop-B is denied on"):
        denials.read_denials(write(tmp_path, first, "Metop-B,amsua,3,2025-01-31,,E"))
    other = tmp_path / "other"
    other.mkdir()
    assert len(denials.read_denials(write(other, first, "Metop-B,amsua,3,2025-02-02,,E"))) == 2


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="columns platform, channel, expected platform, instr"):
        denials.read_denials(write(tmp_path, head="platform,channel\n"))
