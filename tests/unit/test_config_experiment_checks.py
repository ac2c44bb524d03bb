"""What an experiment may ask for, given its other settings."""

import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.experiment_checks import background_mistakes

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


def test_networks_of_others_are_not_trained():
    experiment = changed("joint", experiment={"weights": "full"}, cycles=1)
    assert list(background_mistakes("a", experiment)) == []
