"""Settings of the first-guess check: who has one."""

import pytest
from pydantic import ValidationError

from fuxiflow import ROOT
from fuxiflow.config import configuration
from fuxiflow.config.first_guess import FirstGuess, FirstGuessFit

CONFIG = configuration.load_configuration(ROOT / "config" / "test.yaml")


def test_no_experiment_has_a_check_unless_it_asks_for_one():
    experiment = CONFIG.resolve("full")
    assert experiment.first_guess_check is None
    assert experiment.cycle_check is None


def test_an_experiment_without_observations_checks_none():
    check = FirstGuess(limit=4.0)
    experiment = CONFIG.resolve("full").model_copy(update={"first_guess_check": check})
    assert experiment.cycle_check == check
    assert experiment.model_copy(update={"sources": []}).cycle_check is None


def test_limits_and_leads_that_make_no_sense_are_refused():
    with pytest.raises(ValidationError):
        FirstGuess(limit=0)
    with pytest.raises(ValidationError):
        FirstGuessFit(lead_hours=9)
