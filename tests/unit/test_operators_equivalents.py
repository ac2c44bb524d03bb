"""Observation equivalents of a state: its own channels, pressure at the ground, refractivity."""

import pytest
import torch

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config import sources
from fuxiflow.operators import equivalents, radio_occultation, table_builder
from fuxiflow.operators.equivalents import jacobian
from fuxiflow.operators.microwave import MicrowaveOperator

ZERO = torch.zeros(2)


def test_channels_of_the_state_are_taken_and_others_are_missing():
    operator = equivalents.observation_operator(sources.load_source("land_stations"))
    names = ["MSL", "T500", "U10", "T2M"]
    state = torch.tensor([[101_000.0, 250.0, 3.0, 288.0], [100_000.0, 251.0, -4.0, 280.0]])
    result = operator.from_state(state, names, ZERO, ZERO, ZERO, ZERO)
    expected = dict(zip(operator.channels, result.T, strict=True))
    assert expected["T2M"].tolist() == [288.0, 280.0]
    assert expected["U10"].tolist() == [3.0, -4.0]
    assert expected["PS"].tolist() == pytest.approx([101_000.0, 100_000.0])
    assert torch.isnan(expected["R2M"]).all()
    assert torch.isnan(expected["V10"]).all()
    high = operator.from_state(state, names, ZERO + 9806.65, ZERO, ZERO, ZERO)
    assert (high[:, 4] < 90_500).all()


def test_refractivity_is_that_of_the_operator_of_occultations():
    names = [f"{variable}{level}" for variable in "TRZ" for level in PRESSURE_LEVELS]
    height = 7400.0 * torch.log(1013.0 / torch.tensor(PRESSURE_LEVELS))
    state = torch.cat(
        [torch.linspace(210, 290, 13), torch.full((13,), 40.0), 9.80665 * height]
    ).expand(2, -1)
    operator = equivalents.ReportOperator(["refractivity_5000", "refractivity_50000"])
    values = operator.from_state(state, names, ZERO, ZERO, ZERO, ZERO)
    target = radio_occultation.refractivity_from_state(
        state, names, ZERO, torch.tensor([5000.0, 50_000.0])
    )
    torch.testing.assert_close(values, target, equal_nan=True)
    assert 100 < values[0, 0] < 250
    assert torch.isnan(values[:, 1]).all()


def test_sounders_have_the_operator_of_their_instrument():
    operator = equivalents.observation_operator(sources.load_source("mhs"))
    assert isinstance(operator, MicrowaveOperator)
    assert len(operator.channels) == 5


@pytest.fixture(scope="module")
def operator():
    return MicrowaveOperator.for_instrument("mhs", torch.float64)


@pytest.fixture(scope="module")
def columns(operator):
    made = table_builder.random_atmospheres(operator.pressure.numpy(), 4, seed=7)
    return {name: torch.as_tensor(value) for name, value in made.items()}


def test_jacobian_is_that_of_each_channel_and_column(operator, columns):
    whole = jacobian(operator, columns)
    assert whole["temperature"].shape == (4, 5, len(operator.pressure))
    assert whole["skin_temperature"].shape == (4, 5)
    level = 60
    moved = columns["temperature"].clone()
    moved[2, level] += 0.01
    change = operator(**dict(columns, temperature=moved)) - operator(**columns)
    torch.testing.assert_close(
        change[2] / 0.01, whole["temperature"][2, :, level], rtol=1e-3, atol=1e-6
    )
    assert change[[0, 1, 3]].abs().max() == 0
    part = jacobian(operator, columns, channels=[3], variables=["temperature"])
    torch.testing.assert_close(part["temperature"], whole["temperature"][:, 3:4])
    assert list(part) == ["temperature"]


def test_jacobian_names_what_is_missing(operator, columns):
    with pytest.raises(KeyError, match="no cloud_liquid among the columns: temperature"):
        jacobian(operator, columns, variables=["cloud_liquid"])
