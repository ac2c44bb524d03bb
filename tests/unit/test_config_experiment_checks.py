"""What an experiment may ask for, given its other settings."""

import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.experiment_checks import background_mistakes, window_mistakes
from fuxiflow.config.first_guess import FirstGuess
from fuxiflow.config.variational import Variational

PAPER = load_configuration(ROOT / "config" / "fuxiweather.yaml")


def changed(stage=None, experiment=(), **settings):
    one = PAPER.resolve("no_background")
    training = one.training
    if stage:
        own = getattr(training, stage).model_copy(update=settings)
        training = training.model_copy(update={stage: own})
    return one.model_copy(update={"training": training, **dict(experiment)})


def test_the_papers_experiment_without_backgrounds_is_sound():
    assert list(background_mistakes("a", changed())) == []


@pytest.mark.parametrize(
    ("experiment", "key"),
    [
        (changed(experiment={"assimilator": "variational"}), "assimilator: variational"),
        (changed("assimilator", chain=2), "training.assimilator.chain: 2"),
        (changed("assimilator", forecast_steps=3), "training.assimilator.forecast_steps: 3"),
        (changed("joint", cycles=1), "training.joint.forecast_steps: 10"),
        (
            changed("replay", cycles=1, forecast_steps=0, background_weight=1.0),
            "training.replay.background_weight: 1.0",
        ),
    ],
)
def test_what_needs_a_background_is_refused(experiment, key):
    (line,) = background_mistakes("a", experiment)
    assert line.startswith(f"experiments.a.{key} with background: none, allowed: ")
    # with a background all of it is right
    update = {"background": "forecast"}
    assert list(background_mistakes("a", experiment.model_copy(update=update))) == []


@pytest.mark.parametrize("key", ["training.variational", "first_guess_check"])
def test_errors_of_forecasts_are_none_of_the_climatologys(key):
    update = {"first_guess_check": FirstGuess()}
    if key == "training.variational":
        training = changed().training.model_copy(update={"variational": Variational()})
        update = {"training": training}
    experiment = changed(experiment=update)
    (line,) = background_mistakes("a", experiment)
    assert line.startswith(f"experiments.a.{key}: with background: none, allowed: null, as ")
    assert not list(
        background_mistakes("a", experiment.model_copy(update={"background": "forecast"}))
    )


def test_networks_of_others_are_not_trained():
    experiment = changed("joint", experiment={"weights": "full"}, cycles=1)
    assert list(background_mistakes("a", experiment)) == []


def windowed(**settings):
    return PAPER.resolve("full").model_copy(update=settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"windows": {"atms": (-3, 3)}}, "windows: unknown 'atms', allowed: "),
        ({"latency_hours": {"atms": 1}}, "latency_hours: unknown 'atms', allowed: "),
        (
            {"windows": {"gnssro": (-3, 7)}},
            "windows.gnssro: [-3, 7], allowed: start before end, from -6 to 6 h",
        ),
        (
            {"cutoff_hours": 0, "latency_hours": {"gnssro": 3}},
            "windows.gnssro: no hour of it is there by cutoff_hours = 0 with its latency_hours of "
            "3, allowed: a later cut-off, or an experiment without gnssro",
        ),
        (
            {"cutoffs": [3], "retrained_cutoffs": [1]},
            "retrained_cutoffs: 1, allowed: those of cutoffs",
        ),
        ({"initial": "gfs", "cutoffs": [3]}, "cutoffs: with 'initial' nothing is assimilated"),
    ],
)
def test_windows_that_cannot_be_are_refused(settings, words):
    one = windowed(**settings)
    (line,) = window_mistakes("a", one, one)
    assert line.startswith(f"experiments.a.{words}")


def test_networks_know_the_hours_that_they_are_given():
    whole, early = windowed(), windowed(cutoff_hours=1, weights="full")
    assert list(window_mistakes("a", early, whole)) == []
    lines = list(window_mistakes("a", windowed(weights="early"), early))
    assert len(lines) == len(whole.sources)
    assert lines[-1] == (
        "experiments.a.windows.gnssro: [-3, 5], allowed: within [-3, 1], the hours that the "
        "networks of early know"
    )


def test_what_has_not_arrived_is_left_out():
    one = windowed(
        windows={"gnssro": (-2, 4)}, cutoff_hours=3, latency_hours={"gnssro": 2, "noaa20_atms": 0}
    )
    assert one.window_of("gnssro") == (-2, 1)
    assert one.window_of("noaa20_atms") == (-3, 3)
    assert windowed(windows={"gnssro": (-2, 4)}).window_of("gnssro") == (-2, 4)
    assert one.recipe("forecaster") == windowed().recipe("forecaster")
    assert one.recipe("assimilator") != windowed().recipe("assimilator")
