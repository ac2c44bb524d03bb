"""Values of sections: what is no number, what stands twice, and where a misplaced key belongs."""

import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.config.base import Section, sections_with
from fuxiflow.config.configuration import Config, ConfigurationError, validate_configuration
from fuxiflow.config.experiment import ExternalForecaster
from fuxiflow.config.network_sizes import ForecasterSize


def complaint(key, value):
    """The message about config/test.yaml with another value at a dotted key."""
    values = yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))
    *sections, last = key.split(".")
    place = values
    for name in sections:
        place = place.setdefault(name, {})
    place[last] = value
    with pytest.raises(ConfigurationError) as refused:
        validate_configuration(values)
    return str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("seed", True, "seed: true, allowed: a whole number"),
        ("segment_months", True, "segment_months: true, allowed: a whole number"),
        ("completeness.windows", True, "completeness.windows: true, allowed: a number"),
        ("cycling.init_hours", [False], "cycling.init_hours: false, allowed: a whole number"),
        ("figures.map_leads", [24, True], "figures.map_leads: true, allowed: a whole number"),
        (
            "experiment.training.forecaster.betas",
            [True, 0.9],
            "experiment.training.forecaster.betas: true, allowed: a number",
        ),
    ],
)
def test_true_and_false_are_no_numbers(key, value, said):
    assert said in complaint(key, value).split("\n")


@pytest.mark.parametrize(
    ("key", "value", "twice"),
    [
        ("cycling.init_hours", [0, 0], 0),
        ("temporary", ["raw", "footprints", "raw"], "raw"),
        ("verification.channels", ["T850", "T850"], "T850"),
        ("verification.comparisons.full", ["atms", "atms"], "atms"),
        ("figures.map_leads", [24, 24], 24),
        ("figures.experiments", ["full", "full"], "full"),
        ("experiment.sources", ["noaa20_atms", "noaa20_atms"], "noaa20_atms"),
    ],
)
def test_a_list_holds_each_value_once(key, value, twice):
    said = f"{key}: {twice!r} given more than once, allowed: each once"
    assert said in complaint(key, value).split("\n")


def test_networks_may_follow_themselves_and_windows_be_square():
    assert ExternalForecaster(onnx=["a.onnx", "a.onnx"]).onnx == ["a.onnx", "a.onnx"]
    assert ForecasterSize(window=[8, 8]).window == (8, 8)


@pytest.mark.parametrize(
    ("key", "value", "places"),
    [
        ("training", {"forecaster": {"batch": 4}}, "experiment"),
        ("training", {"start": "2022-01-01"}, "periods"),
        ("training", 3, "periods or experiment"),
        ("init_hours", [0], "cycling"),
        ("cycling.bootstrap", 10, "verification"),
        ("figures.recompute", True, "experiment.training.forecaster or "),
        ("world.scan_stride", 2, "world.swaths.{name}"),
    ],
)
def test_a_misplaced_key_is_sent_where_it_belongs(key, value, places):
    (said,) = [line for line in complaint(key, value).split("\n") if line.startswith(f"{key}: ")]
    assert said.startswith(f"{key}: unknown key, allowed: ")
    assert f"; it belongs under {places}" in said
    assert "did you mean" not in said


def test_every_key_is_seen_from_above():
    assert dict(sections_with(Config, "compression")) == {"states": []}
    assert dict(sections_with(Config, "no_such_key")) == {}
    assert not Section.may_repeat
