"""The benchmark of NCEP's BUFR runs to its end on few footprints."""

import sys

from benchmarks import reading_ncep


def test_files_of_both_instruments_are_read_with_equal_values(monkeypatch, capsys):
    arguments = ["reading_ncep", "--footprints", "3000", "--repeat", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    reading_ncep.main()
    lines = capsys.readouterr().out.splitlines()
    starts = [line for line in lines if line.startswith("NCEP BUFR")]
    assert ["amsua: 3000" in starts[0], "atms: 3072" in starts[1]] == [True, True]
    assert sum(line.startswith("  ours: footprint table") for line in lines) == 2
