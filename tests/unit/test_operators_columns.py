"""From the state's levels to the operator's, and from a state to brightness temperatures."""

import numpy as np
import pytest
import torch

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS, channel_table
from fuxiflow.operators import columns as module
from fuxiflow.operators import emissivity
from fuxiflow.operators.columns import (
    brightness_temperatures,
    brightness_temperatures_from_state,
    operator_columns,
)
from fuxiflow.operators.microwave import MicrowaveOperator


@pytest.fixture(scope="module")
def operator():
    return MicrowaveOperator.for_instrument("atms", dtype=torch.float64)


@pytest.fixture
def profile():
    temperature = torch.tensor(
        [[205.0, 200, 205, 215, 225, 235, 250, 262, 271, 278, 287, 291, 295]]
    ).double()
    return temperature, physics.specific_humidity(
        60.0, temperature, torch.tensor(PRESSURE_LEVELS).double()
    )


def test_columns_pass_through_the_levels(operator, profile):
    latitude = torch.zeros(1).double()
    t, q = operator_columns(operator, *profile, latitude)
    inside = (operator.pressure > 50.0) & (operator.pressure < 1000.0)
    log_p = np.log(operator.pressure[inside].numpy())
    np.testing.assert_allclose(
        t[0, inside], np.interp(log_p, np.log(PRESSURE_LEVELS), profile[0][0])
    )
    np.testing.assert_allclose(
        torch.log(q[0, inside]), np.interp(log_p, np.log(PRESSURE_LEVELS), torch.log(profile[1][0]))
    )


def test_columns_end_in_climatology_above_and_in_the_standard_lapse_below(operator, profile):
    t, q = operator_columns(operator, *profile, torch.zeros(1).double())
    top = operator.pressure < 10.0
    np.testing.assert_allclose(t[0, top], operator.climatology_temperature[0, top])
    exponent = physics.LAPSE_RATE * physics.GAS_CONSTANT_DRY / physics.GRAVITY
    last = 295.0 * (operator.pressure[-1].item() / 1000.0) ** exponent
    assert t[0, -1].item() == pytest.approx(last)
    assert q[0, -1].item() == pytest.approx(profile[1][0, -1].item())


def test_climatology_weights_are_convex_and_continuous():
    latitude = torch.linspace(-90, 90, 1801, dtype=torch.float64)
    weights = module._climatology_weights(latitude)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1801).double())
    assert (weights >= 0).all()
    assert weights.diff(dim=0).abs().max() < 0.01
    torch.testing.assert_close(weights[900], torch.tensor([1.0, 0, 0, 0, 0, 0]).double())


def test_wrong_number_of_levels_is_refused(operator, profile):
    with pytest.raises(ValueError, match="expected 13 levels"):
        operator_columns(operator, profile[0][:, 1:], profile[1], torch.zeros(1).double())


def test_state_gives_what_its_fields_give(operator, profile):
    channels = channel_table()
    state = torch.zeros(1, len(channels), dtype=torch.float64)
    for i, level in enumerate(PRESSURE_LEVELS):
        state[0, channels.index(f"T{level}")] = profile[0][0, i]
        state[0, channels.index(f"R{level}")] = 60.0
    state[0, channels.index("MSL")], state[0, channels.index("T2M")] = 101000.0, 296.0
    one = torch.ones(1).double()
    rest = (0.0 * one, 20.0 * one, 30.0 * one)
    result = brightness_temperatures_from_state(operator, state, channels, 0.0 * one, *rest)
    expected = brightness_temperatures(operator, *profile, 1010.0 * one, 296.0 * one, *rest)
    torch.testing.assert_close(result, expected)
    assert ((result > 150) & (result < 300)).all()
    with pytest.raises(ValueError, match="lacks T50"):
        brightness_temperatures_from_state(
            operator, state[:, 1:], channels.names[1:][:3], 0.0 * one, *rest
        )


def test_moister_air_cools_the_humidity_channels(operator, profile):
    one = torch.ones(1).double()
    arguments = (1010.0 * one, 296.0 * one, one, 20.0 * one, 0.0 * one)
    dry = brightness_temperatures(operator, profile[0], profile[1], *arguments)
    moist = brightness_temperatures(operator, profile[0], 1.5 * profile[1], *arguments)
    last = operator.channels.index("22")
    assert (moist - dry)[0, last] < -2.0
    assert abs((moist - dry)[0, operator.channels.index("9")]) < 0.3


def test_surfaces_reach_the_brightness_temperatures():
    operator = MicrowaveOperator.for_instrument("mhs", torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    levels = torch.tensor(PRESSURE_LEVELS, dtype=torch.float64)
    settings_given = [
        (220.0 + 0.06 * levels)[None],
        torch.full((1, 13), 1e-4).double(),
        1010.0 * one,
        280.0 * one,
    ]

    def of(fraction, zenith=20.0, **options):
        return brightness_temperatures(
            operator, *settings_given, fraction * one, 40.0 * one, zenith * one, **options
        )

    assert (of(0.0, wind=12.0 * one) - of(0.0))[0, 0] > 1.0
    torch.testing.assert_close(of(1.0, wind=12.0 * one), of(1.0))
    grass = torch.full((1, len(operator.channels)), 0.93, dtype=torch.float64)
    assert (of(1.0, land=grass) - of(1.0)).abs()[0, 0] > 0.1
    torch.testing.assert_close(of(1.0, land=emissivity.LAND), of(1.0))


def test_clouds_warm_a_cold_sea(operator, profile):
    ground = (torch.tensor([1010.0]), torch.tensor([290.0]), torch.zeros(1), torch.tensor([30.0]))
    columns = [*profile, *(field.double() for field in ground), torch.zeros(1).double()]
    clear = brightness_temperatures(operator, *columns)
    droplets = torch.zeros_like(profile[0])
    none = brightness_temperatures(operator, *columns, cloud_liquid=droplets)
    torch.testing.assert_close(none, clear)
    droplets[:, PRESSURE_LEVELS.index(850)] = 2e-4
    cloudy = brightness_temperatures(operator, *columns, cloud_liquid=droplets)
    names = list(operator.channels)
    # windows see it, the stratosphere does not
    assert cloudy[0, names.index("2")] > clear[0, names.index("2")] + 2.0
    torch.testing.assert_close(cloudy[0, names.index("10")], clear[0, names.index("10")])
