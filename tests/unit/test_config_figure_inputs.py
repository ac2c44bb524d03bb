"""What the rules of the figures are planned from."""

from datetime import datetime

import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.channels import channel_table
from fuxiflow.config import figure_inputs
from fuxiflow.config.configuration import ConfigurationError, validate_configuration
from fuxiflow.config.evaluation import DRAWN
from fuxiflow.figures import skill_vs_lead
from fuxiflow.runtime import skill_so_far
from fuxiflow.verification import acceptance
from tests.support.helpers import loaded_by


def configuration(**changes):
    values = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return validate_configuration(values)


def test_default_case_is_the_middle_of_the_test_period():
    config = configuration(periods={"test": {"start": "2023-01-11", "end": "2023-01-12"}})
    assert config.case == datetime(2023, 1, 12, 0)


def test_case_is_taken_from_the_configuration():
    config = configuration(figures={"experiments": ["full"], "case": "2023-02-10T18:00"})
    assert config.case == datetime(2023, 2, 10, 18)
    assert figure_inputs.case_segment(config) == "2023-01"


@pytest.mark.parametrize(
    "case", ["2023-02-10T05:00", "2021-01-01T00:00", "yesterday", "2023-02-10T06:00+02:00"]
)
def test_a_case_that_was_not_analysed_names_the_key_and_the_allowed(case):
    with pytest.raises(
        ConfigurationError, match=r"figures\.case: .* allowed: every 6 h from 2023-01-31"
    ):
        configuration(figures={"experiments": ["full"], "case": case})


def test_references_end_with_the_truth_where_it_is_one():
    assert figure_inputs.error_references(configuration()) == ["era5", "truth"]
    assert figure_inputs.error_references(
        configuration(verification={"references": ["truth", "own"]})
    ) == ["truth"]
    assert figure_inputs.error_references(
        configuration(verification={"references": ["own", "era5"]})
    ) == ["era5"]


def test_scores_are_compared_with_gfs_or_the_first_system_that_has_what_is_asked(tmp_path):
    assert figure_inputs.compared_system(configuration(), "own") == "gfs"
    store = str(tmp_path)
    systems = {"hres": {"forecasts": store}, "ifs": {"forecasts": store, "analyses": store}}
    config = configuration(
        verification={
            "baselines": ["persistence"],
            "systems": systems,
            "references": ["own", "era5"],
        }
    )
    assert figure_inputs.compared_system(config, "era5") == "hres"
    assert figure_inputs.compared_system(config, "own") == "ifs"
    assert figure_inputs.compared_system(config, "truth") is None
    alone = configuration(verification={"baselines": []})
    assert figure_inputs.compared_system(alone, "era5") is None


def test_activity_is_relative_to_a_system_that_is_scored():
    figures = {"experiments": ["full"], "activity_relative_to": "hres"}
    with pytest.raises(ConfigurationError, match=r"figures\.activity_relative_to: .*allowed: gfs"):
        configuration(figures=figures)
    assert configuration(figures=figures | {"activity_relative_to": "gfs"})


def test_window_across_the_end_of_a_segment_touches_both():
    period = {"cold_start": "2023-01-01", "test": {"start": "2023-01-11", "end": "2023-02-09"}}
    config = configuration(
        segment_months=1,
        periods=period,
        figures={"experiments": ["full"], "case": "2023-02-01T00:00"},
    )
    assert figure_inputs.case_grids(config, {"noaa20_atms": [-3, 5]}) == {
        "noaa20_atms": ["2023-01", "2023-02"]
    }
    assert figure_inputs.case_grids(config, {"noaa20_atms": [0, 5]}) == {"noaa20_atms": ["2023-02"]}
    assert figure_inputs.source_windows(["noaa20_atms"]) == {"noaa20_atms": [-3, 5]}


def test_data_end_where_the_last_window_does():
    assert figure_inputs.data_ends(configuration()) == {}
    late = {"latency_hours": {"amsua": 2}, "windows": {"noaa20_atms": [-3, 4]}}
    config = configuration(
        experiments={"full": {}, "late": {"cutoffs": [3], "sources": ["noaa20_atms", "amsua"]}},
        experiment=late,
    )
    assert figure_inputs.data_ends(config) == {"late": 5, "late_cutoff_3": 3}
    windows = figure_inputs.assimilation_windows(config, "late_cutoff_3")
    assert windows == {"noaa20_atms": [-3, 3], "amsua": [-3, 1]}


def test_channels_of_the_source_are_shown_beside_those_selected(tmp_path):
    assert figure_inputs.selection_settings(configuration()) == {}
    table = tmp_path / "jacobians.parquet"
    table.touch()
    config = configuration(figures={"channel_selection": {"jacobians": str(table)}})
    settings = figure_inputs.selection_settings(config)
    used = settings.pop("used")
    assert (len(used), used[0], used[-1]) == (38, 16, 3438)
    assert settings == {
        "informative": 124,
        "spaced": 38,
        "criterion": "entropy",
        "correlation_length": 0.0,
    }


def test_settings_follow_the_experiment_and_its_weights():
    shown = figure_inputs.diagram_settings(configuration(), "no_observations", "archive")
    assert shown["sources"] == {}
    assert (
        shown["updates"]
        == figure_inputs.diagram_settings(configuration(), "full", "archive")["updates"]
    )
    assert (
        figure_inputs.diagram_settings(configuration(), "full", "archive")["sources"][
            "noaa20_atms"
        ]["channels"]
        == 22
    )


def perturbed(sources=None, **settings):
    experiment = {"sources": sources} if sources is not None else {}
    return configuration(
        figures={"experiments": ["full"], "perturbation": settings}, experiment=experiment
    ).perturbation


def test_a_tropospheric_channel_of_the_first_sounder_is_perturbed():
    perturbation = configuration().perturbation
    assert (
        perturbation.source,
        perturbation.channel,
        perturbation.kelvin,
        perturbation.places,
    ) == (
        "noaa20_atms",
        "7",
        5.0,
        24,
    )
    # MHS has no channel at 54.4 GHz, stations none at all
    perturbation = perturbed(["land_stations", "mhs", "amsua"])
    assert (perturbation.source, perturbation.channel) == ("amsua", "6")
    perturbation = perturbed(["mhs", "noaa20_atms"], channel=3, kelvin=2)
    assert (perturbation.source, perturbation.channel, perturbation.kelvin) == ("mhs", "3", 2.0)


def test_nothing_is_perturbed_without_a_sounder_or_where_it_is_left_out():
    assert perturbed(["land_stations"]) is None
    assert (
        configuration(figures={"experiments": ["full"], "perturbation": None}).perturbation is None
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "ssmis"}, r"figures\.perturbation\.source: 'ssmis', allowed: .*, noaa20_atms"),
        (
            {"channel": 23},
            r"figures\.perturbation\.channel: '23', allowed: .* noaa20_atms: 1, 2, 3",
        ),
        ({"source": "land_stations"}, r"figures\.perturbation\.source: 'land_stations', allowed: "),
        ({"kelvin": 0}, r"figures\.perturbation\.kelvin: .* greater than 0"),
    ],
)
def test_a_perturbation_that_cannot_be_made_names_the_key_and_the_allowed(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        perturbed(**settings)


def test_planning_imports_nothing_heavy():
    assert not loaded_by("fuxiflow.config.figure_inputs") & {
        "torch",
        "xarray",
        "matplotlib",
        "pandas",
    }


def test_channels_that_are_always_scored_are_those_that_figures_and_headlines_need():
    drawn = {name for row in skill_vs_lead.PANELS for name in row}
    judged = {*acceptance.SHOWN, *acceptance.PERSISTENCE[0], *acceptance.CLIMATOLOGY[0]}
    assert set(DRAWN) == drawn | judged | {"Z500"}
    assert {skill_so_far.CHANNEL} <= set(DRAWN)


def test_a_store_of_forecasts_holds_what_is_scored_and_mapped():
    def kept(keep, chosen, mapped):
        return configuration(
            # their tracker has channels of its own
            cyclones=None,
            cycling={"keep_forecasts": keep},
            verification={"channels": chosen},
            figures={"map_channels": mapped},
        )

    assert configuration().scored_channels is None
    assert configuration().kept_channels is None
    assert set(kept("scored", [], ["R50"]).kept_channels) == {*DRAWN, "R50"}
    chosen = kept("none", ["U1000"], ["Z500"])
    order = [name for name in channel_table().names if name in {*DRAWN, "U1000"}]
    assert chosen.kept_channels == chosen.scored_channels == order
    assert kept("all", ["U1000"], ["Z500"]).kept_channels is None


@pytest.mark.parametrize(
    ("keep", "chosen", "words"),
    [
        ("scored", "all", "cycling.keep_forecasts: scored keeps all channels while"),
        ("all", ["Z5000"], "verification.channels.*Z5000"),
    ],
)
def test_channels_of_forecasts_are_checked(keep, chosen, words):
    with pytest.raises(ConfigurationError, match=words):
        configuration(cycling={"keep_forecasts": keep}, verification={"channels": chosen})
