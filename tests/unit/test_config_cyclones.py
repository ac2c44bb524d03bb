"""Settings of cyclones: the systems that are compared, and what cannot be had."""

import pytest

from fuxiflow import ROOT
from fuxiflow.archive.needs import BEST_TRACKS, WHOLE, all_needs, need_of
from fuxiflow.config.base import read_yaml
from fuxiflow.config.configuration import ConfigurationError, validate_configuration
from fuxiflow.config.cyclones import tracked_systems

TEST = read_yaml(ROOT / "config" / "test.yaml")


def config(name="test", **cyclones):
    values = read_yaml(ROOT / "config" / f"{name}.yaml")
    return validate_configuration({**values, "cyclones": (values["cyclones"] or {}) | cyclones})


def test_by_default_the_main_experiment_is_compared_with_all_that_are_none():
    assert tracked_systems(config()) == ["full", "gfs"]
    assert tracked_systems(config("paper")) == ["full", "gfs"]
    assert tracked_systems(config("paper", systems=["gfs", "from_gfs"])) == ["gfs", "from_gfs"]
    without = validate_configuration({**TEST, "cyclones": None})
    assert tracked_systems(without) == []
    assert without.tracker_channels == []


@pytest.mark.parametrize(
    ("cyclones", "words"),
    [
        ({"systems": ["hres"]}, ["cyclones.systems", "'hres'", "full, gfs"]),
        ({"systems": ["no_observations"]}, ["cyclones.systems", "'no_observations'"]),
        ({"max_lead_hours": 54}, ["cyclones.max_lead_hours", "54 h was not forecast", "48"]),
        ({"tracker": {"vorticity_level": 800}}, ["cyclones.tracker", "800 hPa is no level", "850"]),
        ({"best_tracks": "no/such.csv"}, ["cyclones.best_tracks", "no/such.csv is no file"]),
    ],
)
def test_what_cannot_be_tracked_is_told(cyclones, words):
    with pytest.raises(ConfigurationError) as raised:
        config(**cyclones)
    for word in words:
        assert word in str(raised.value)


def test_archives_are_asked_for_best_tracks_unless_a_file_is_given(tmp_path):
    assert need_of(config("paper"), BEST_TRACKS, WHOLE) in list(all_needs(config("paper")))
    file = tmp_path / "tracks.csv"
    file.write_text("")
    given = config("paper", best_tracks=str(file))
    assert BEST_TRACKS not in {need.product for need in all_needs(given)}


def test_archives_without_best_tracks_are_told():
    with pytest.raises(ConfigurationError, match=r"cyclones: config/archive\.yaml has no ibtracs"):
        validate_configuration(
            {**read_yaml(ROOT / "config" / "paper.yaml"), "archives": {"ibtracs": None}}
        )


def test_forecasts_keep_the_channels_of_the_tracker():
    values = {**TEST, "verification": {**TEST["verification"], "channels": ["Z500"]}}
    for keep, channels in (("scored", {"U200", "V850", "U10", "MSL"}), ("all", None)):
        kept = validate_configuration(
            {**values, "cycling": {**TEST["cycling"], "keep_forecasts": keep}}
        )
        assert kept.kept_channels is None if channels is None else channels <= {*kept.kept_channels}
    assert {"U200", "Z500"} <= {*kept.system_channels}
