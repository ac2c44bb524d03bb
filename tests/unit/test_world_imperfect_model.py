"""Models of forecasts that are not the truth's: what they change, and that they leave the truth."""

from datetime import datetime

import numpy as np
import pytest
from jcm.diffusion import DiffusionFilter
from jcm.physics.speedy.params import Parameters

from fuxiflow.config.world import SPEEDY_PARAMETERS, ImperfectModel
from fuxiflow.world import imperfect_model as imperfect
from fuxiflow.world.nature import NatureModel


def test_parameters_are_multiplied_and_others_stay():
    default = Parameters.default()
    changed = imperfect.changed_parameters(
        {"convection.trcnv": 2.0, "convection.smf": 0.5, "surface_flux.cds": 1.5}
    )
    assert changed.convection.trcnv == 2.0 * default.convection.trcnv
    assert changed.convection.smf == 0.5 * default.convection.smf
    assert changed.surface_flux.cds == 1.5 * default.surface_flux.cds
    assert changed.convection.rhbl == default.convection.rhbl
    assert changed.vertical_diffusion == default.vertical_diffusion


def test_every_parameter_of_the_settings_is_one_of_jcms():
    changed = imperfect.changed_parameters(dict.fromkeys(SPEEDY_PARAMETERS, 1.0))
    assert changed == Parameters.default()
    with pytest.raises(KeyError, match=r"convection\.none"):
        imperfect.changed_parameters({"convection.none": 2.0})


def test_more_diffusion_has_shorter_times():
    default, changed = DiffusionFilter.default(), imperfect.changed_diffusion(2.0)
    for name in ("div", "vor_q", "temp"):
        time = f"{name}_timescale"
        assert getattr(changed, time) == 0.5 * getattr(default, time)
        assert getattr(changed, f"{name}_order") == getattr(default, f"{name}_order")


@pytest.mark.slow
def test_an_imperfect_model_goes_on_from_the_truth_and_leaves_it(model):
    *_, (state, _) = model.advance(model.rest(datetime(2022, 1, 1)), 24)
    changes = ImperfectModel(time_step_minutes=30, diffusion=3.0, physics={"convection.trcnv": 2.0})
    other = NatureModel(truncation=21, time_step_minutes=60, changes=changes)
    *_, (reached, frames) = other.advance(
        other.restore(state.time, state.arrays(), "the truth"), 12
    )
    *_, (_, expected) = model.advance(state, 12)
    # twice as many steps in the same time
    assert (reached.time, reached.step - state.step) == (datetime(2022, 1, 2, 12), 24)
    differences = frames[-1]["temperature"] - expected[-1]["temperature"]
    assert 0.01 < np.sqrt((differences**2).mean()) < 1.0
