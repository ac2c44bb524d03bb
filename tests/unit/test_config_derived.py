"""Experiments that others ask for: without a source, and with further seeds."""

import pytest

from fuxiflow import ROOT
from fuxiflow.config.base import lay_over, read_yaml
from fuxiflow.config.configuration import ConfigurationError, validate_configuration
from fuxiflow.config.derived import derived_experiments

DEMO = read_yaml(ROOT / "config" / "demo.yaml")
SOURCES = ["noaa20_atms", "amsua", "land_stations"]
LOSS = {"joint": {"observation_loss": {"sources": ["land_stations"], "radiances": ["amsua"]}}}


def config(experiments, comparisons=(), **experiment):
    """The demonstration with three sources and some experiments."""
    values = lay_over(DEMO, {"experiment": {"sources": SOURCES, **experiment}})
    values["experiments"] = experiments
    values["verification"] = {"comparisons": dict(comparisons)}
    values["figures"] = {"experiments": ["full"]}
    return validate_configuration(values)


def test_without_seeds_and_denials_nothing_is_derived():
    plain = config({"full": {}, "no_observations": {"sources": [], "weights": "full"}})
    assert list(plain.experiments) == ["full", "no_observations"]
    assert plain.seeds == {}
    assert plain.comparisons == {}


def test_each_source_is_denied_in_turn():
    denied = config({"full": {"denial": "each", "retrained": ["amsua"]}}, training=LOSS)
    names = [f"full_no_{source}" for source in SOURCES]
    assert list(denied.experiments) == ["full", *names]
    for name, source in zip(names, SOURCES, strict=True):
        assert denied.resolve(name).sources == [other for other in SOURCES if other != source]
    assert [denied.weights_of(name) for name in names] == ["full", "full_no_amsua", "full"]
    assert denied.trained_experiments == ["full", "full_no_amsua"]
    loss = denied.resolve("full_no_amsua").training.joint.observation_loss
    assert (loss.sources, loss.radiances) == (["land_stations"], [])
    # the forecaster knows no source
    assert denied.trained_by("full_no_amsua", "forecaster") == "full"
    assert denied.trained_by("full_no_amsua", "assimilator") == "full_no_amsua"
    assert denied.comparisons == {"full": names}


def test_named_sources_alone_are_denied():
    denied = config({"full": {"denial": ["amsua"]}})
    assert list(denied.experiments) == ["full", "full_no_amsua"]


def test_cut_offs_are_experiments_that_are_compared_with_the_whole():
    made = config({"full": {"cutoffs": [3, 0], "retrained_cutoffs": [0], "seeds": 2}})
    assert list(made.experiments) == [
        "full",
        "full_cutoff_3",
        "full_cutoff_0",
        "full_seed2",
        "full_cutoff_3_seed2",
        "full_cutoff_0_seed2",
    ]
    assert [made.resolve(name).cutoff_hours for name in made.experiments] == 2 * [None, 3, 0]
    assert made.resolve("full_cutoff_0").window_of("amsua") == (-3, 0)
    assert made.weights_of("full_cutoff_3") == "full"
    assert made.weights_of("full_cutoff_3_seed2") == "full_seed2"
    assert made.weights_of("full_cutoff_0_seed2") == "full_cutoff_0_seed2"
    # the forecaster knows no window, the assimilator does
    assert made.trained_by("full_cutoff_0", "forecaster") == "full"
    assert made.trained_by("full_cutoff_0", "assimilator") == "full_cutoff_0"
    assert made.comparisons == {
        "full_cutoff_3": ["full"],
        "full_cutoff_0": ["full"],
        "full_cutoff_3_seed2": ["full_seed2"],
        "full_cutoff_0_seed2": ["full_seed2"],
    }


def test_seeds_train_again_and_nothing_else_changes():
    experiments = {
        "full": {"seeds": 3, "seeds_forecast": False},
        "atms": {"sources": ["noaa20_atms"], "weights": "full", "seeds": 2},
        "one_step": {"weights": "full", "initial": "full", "seeds": 2},
        "longer": {"seeds": 2, "training": {"joint": {"cycles": 4}}},
    }
    seeded = config(experiments, {"full": ["atms"]})
    assert seeded.seeds == {
        "full": ["full", "full_seed2", "full_seed3"],
        "atms": ["atms", "atms_seed2"],
        "one_step": ["one_step", "one_step_seed2"],
        "longer": ["longer", "longer_seed2"],
    }
    full, second = seeded.resolve("full"), seeded.resolve("full_seed2")
    offsets = [seeded.resolve(name).seed_offset for name in seeded.seeds["full"]]
    assert offsets == [0, 1, 2]
    own = {"seed_offset", "seeds", "forecasts"}
    assert full.model_dump(exclude=own) == second.model_dump(exclude=own)
    assert full.forecasts
    assert not second.forecasts
    assert seeded.weights_of("atms_seed2") == "full_seed2"
    assert seeded.resolve("one_step_seed2").initial == "full_seed2"
    # stages are shared with the same seed alone
    assert seeded.trained_by("longer", "assimilator") == "full"
    assert seeded.trained_by("longer_seed2", "assimilator") == "full_seed2"
    assert seeded.trained_by("longer_seed2", "joint") == "longer_seed2"
    assert seeded.comparisons == {"full": ["atms"], "full_seed2": ["atms_seed2"]}


def test_denials_have_the_seeds_of_the_whole():
    both = config({"full": {"seeds": 2, "denial": ["amsua"]}})
    assert list(both.experiments) == [
        "full",
        "full_no_amsua",
        "full_seed2",
        "full_no_amsua_seed2",
    ]
    assert both.weights_of("full_no_amsua_seed2") == "full_seed2"
    assert both.comparisons == {"full": ["full_no_amsua"], "full_seed2": ["full_no_amsua_seed2"]}


def test_what_was_derived_is_the_same_when_it_is_checked_again():
    once = config({"full": {"seeds": 2, "denial": "each"}})
    assert validate_configuration(once.model_dump()) == once
    assert derived_experiments(once.experiment, once.experiments).items() <= (
        once.experiments.items()
    )


@pytest.mark.parametrize(
    ("experiments", "words"),
    [
        ({"full": {"denial": ["iasi"]}}, "experiments.full.denial: unknown 'iasi'"),
        (
            {"full": {"denial": ["amsua"], "retrained": ["noaa20_atms"]}},
            "experiments.full.retrained: unknown 'noaa20_atms'",
        ),
        (
            {"full": {}, "other": {"initial": "full", "weights": "full", "denial": "each"}},
            "experiments.other.denial: with 'initial' nothing is assimilated",
        ),
        (
            {"full": {}, "atms": {"weights": "full", "seeds": 2}},
            "experiments.atms_seed2.weights: unknown 'full_seed2'",
        ),
        (
            {"full": {"seeds": 2}, "full_seed2": {"sources": []}},
            "experiments.full_seed2: the name is that of a denial, cut-off or seed of another",
        ),
        ({"full": {"seeds": 0}}, "experiments.full.seeds: 0"),
    ],
)
def test_what_cannot_be_derived_is_told(experiments, words):
    with pytest.raises(ConfigurationError) as caught:
        config(experiments)
    assert words in str(caught.value)
