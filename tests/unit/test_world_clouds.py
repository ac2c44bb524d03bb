"""Cloud water that is diagnosed from humidity."""

import torch

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.physics import specific_humidity
from fuxiflow.world.clouds import diagnosed_droplets

PRESSURE = torch.tensor(PRESSURE_LEVELS).float()


def droplets(relative_humidity, temperature):
    column = torch.full((1, 13), float(temperature))
    humidity = specific_humidity(float(relative_humidity), column, PRESSURE)
    return diagnosed_droplets(column, humidity, 0.03)[0]


def test_saturated_air_has_the_share_that_was_asked_for():
    saturated = specific_humidity(100.0, torch.full((13,), 280.0), PRESSURE)
    torch.testing.assert_close(droplets(100.0, 280.0), 0.03 * saturated)
    # more than saturated, and no more droplets
    torch.testing.assert_close(droplets(110.0, 280.0), droplets(100.0, 280.0))


def test_clouds_begin_at_the_critical_humidity():
    assert (droplets(79.0, 280.0) == 0.0).all()
    # half of the way in cover: 1 - sqrt(1/4)
    torch.testing.assert_close(
        droplets(95.0, 280.0), 0.5 * droplets(100.0, 280.0), rtol=1e-3, atol=0
    )


def test_cold_clouds_are_of_ice():
    assert (droplets(100.0, 249.0) == 0.0).all()
    assert (droplets(100.0, 262.0) > 0.0).all()
