"""The test of a configuration cut to some of its months."""

import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.cli import main
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.months import overlay_of_months

REAL = ROOT / "config" / "real.yaml"


def test_a_part_of_the_test_has_the_spin_up_of_the_whole(tmp_path):
    part = tmp_path / "part.yaml"
    part.write_text(overlay_of_months([REAL], "2020-07", "2020-08"))
    whole, cut = load_configuration(REAL).periods, load_configuration(REAL, part).periods
    assert [str(day) for day in (cut.test.start, cut.test.end)] == ["2020-07-01", "2020-08-31"]
    assert cut.test.start - cut.cold_start == whole.validation.start - whole.cold_start
    assert cut.validation is None
    assert cut.training == whole.training


def test_days_beyond_the_test_are_left_out():
    path = ROOT / "config" / "demo.yaml"
    overlay = yaml.safe_load(overlay_of_months([path], "2023-01", "2023-12"))
    test = load_configuration(path).periods.test
    assert overlay["periods"]["test"] == {"start": test.start, "end": test.end}


@pytest.mark.parametrize(
    ("months", "words"),
    [
        (("2021-01", "2021-02"), "no day of theirs is in periods.test"),
        (("2020-03", "2020-02"), "allowed: the first before the last"),
        (("0000-01", "2020-02"), "'0000-01', allowed: YYYY-MM"),
        (("2020-13", "2020-13"), "'2020-13', allowed: YYYY-MM"),
        (("july", "july"), "'july', allowed: YYYY-MM"),
    ],
)
def test_other_months_are_refused(months, words):
    with pytest.raises(ValueError, match=words):
        overlay_of_months([REAL], *months)


def test_the_command_prints_the_overlay(capsys):
    assert main(["test-months", "2020-02", "2020-02", str(REAL)]) == 0
    printed = capsys.readouterr().out
    assert printed == overlay_of_months([REAL], "2020-02", "2020-02")
    assert "2020-02-29" in printed
