"""Settings of the embedded world that make it fairer, and the file that has them all."""

from typing import get_args

import pytest
from pydantic import ValidationError

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.simulation import ABSORPTION, coefficient_file, instruments_with_operator
from fuxiflow.config.world import ImperfectModel, Radiances, World


def test_by_default_the_forecast_model_is_the_truths():
    assert World().gfs.model == ImperfectModel()
    assert ImperfectModel().model_dump() == {
        "time_step_minutes": None,
        "diffusion": 1.0,
        "physics": {},
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"physics": {"convection.trcvn": 2.0}}, "convection.trcvn: unknown parameter, allowed: "),
        ({"physics": {"convection.trcnv": 0.0}}, "convection.trcnv: 0.0, allowed: greater than 0"),
        ({"time_step_minutes": 50}, "time_step_minutes: 50, allowed: divisors of 360"),
        ({"diffusion": 0.0}, "greater than 0"),
    ],
)
def test_mistakes_in_the_forecast_model_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ImperfectModel(**settings)


def test_a_library_of_a_year_needs_a_spin_up_that_reaches_back():
    assert World(error_days=365, spinup_days=407).error_days == 365
    with pytest.raises(ValidationError, match="spinup_days: 90, allowed: 407 or more"):
        World(error_days=365)
    # a short spin-up has what it has, where nobody asked for more
    assert World(spinup_days=20).error_days == 40
    # what is written out is what was meant
    assert World(**World(spinup_days=20).model_dump()).spinup_days == 20


def test_the_fairer_demonstration_differs_in_its_world_alone():
    demo = load_configuration(ROOT / "config" / "demo.yaml")
    fairer = load_configuration(ROOT / "config" / "demo.yaml", ROOT / "config" / "demo_fairer.yaml")
    changed = {key for key in type(demo).model_fields if getattr(demo, key) != getattr(fairer, key)}
    assert changed == {"name", "world"}
    assert fairer.world.gfs.model != ImperfectModel()
    assert fairer.world.gfs.error == demo.world.gfs.error
    radiances = fairer.world.radiances
    assert radiances.absorption != ABSORPTION
    assert radiances.cloud_water > 0
    assert radiances.rough_sea
    assert radiances.representativeness > 0
    assert fairer.world.error_days >= 365


def test_every_instrument_has_the_coefficients_of_either_absorption_model():
    for instrument in instruments_with_operator():
        for absorption in get_args(Radiances.model_fields["absorption"].annotation):
            assert coefficient_file(instrument, absorption).exists()
