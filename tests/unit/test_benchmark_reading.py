"""The benchmark of reading runs to its end on a few granules, through all stages."""

import sys

from benchmarks import reading
from tests.support.helpers import realdata


def test_a_file_of_nnja_ai_is_read_as_by_plain_pyarrow(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["reading", "--granules", "0", "--repeat", "1", "--hours", "1"]
    )
    monkeypatch.setattr(reading, "REAL", reading.REAL / "none")
    reading.main()
    lines = capsys.readouterr().out.splitlines()
    assert "NNJA-AI, AMSU-A: 27000 footprints" in lines[0]
    assert [line.split("  ")[1] for line in lines[1:4]] == [
        "ours: footprint table",
        "plain pyarrow, pandas frame",
        "plain pyarrow, Arrow table",
    ]


def test_a_few_granules_go_through_all_stages(monkeypatch, capsys):
    realdata("atms_sdr")
    arguments = ["reading", "--granules", "4", "--aggregate", "2", "--repeat", "1", "--hours", "0"]
    monkeypatch.setattr(sys, "argv", arguments)
    reading.main()
    lines = capsys.readouterr().out.splitlines()
    assert "4 granules in 2 pairs of files" in " ".join(lines)
    names = [line.split("  ")[1] for line in lines if line.startswith("  ") and "%" in line]
    assert names == [*reading.STAGES, "read, without writing"]
