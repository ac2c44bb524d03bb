"""Accuracy against pyrtlib: polar, mid-latitude, tropical, dry and saturated atmospheres.

Zenith angles are 0-60 degrees. docs/explanation/operator.md has the numbers; ``python -m
benchmarks.operator accuracy`` prints them.
"""

import numpy as np
import pytest
import torch

from benchmarks.operator import DIFFERENTIATED, channel_differences, node_differences, sounding
from fuxiflow.operators import line_by_line, table_builder
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.physics import relative_humidity


def test_held_out_atmospheres_are_what_they_are_called():
    pressure = table_builder.table_levels()
    made = line_by_line.held_out_atmospheres(pressure)
    assert all(len(value) == 15 for value in made.values())
    low = np.argmin(np.abs(pressure - 900.0))
    temperature, humidity = made["temperature"][::3], made["specific_humidity"][::3]
    assert temperature[0, low] < 265 < 285 < temperature[2, low]
    of = relative_humidity(humidity, temperature, pressure)
    assert of[4, low] == pytest.approx(100.0)
    assert of[3, low] < 10
    assert of[:, pressure > 250].max() < 100.001
    assert made["secant"].max() == pytest.approx(2.0)
    assert made["emissivity"].min() == 0.4
    # none is among the builder's
    ensemble = table_builder.random_atmospheres(pressure, table_builder.ENSEMBLE)["temperature"]
    assert np.abs(ensemble - temperature[:, None]).max(axis=-1).min() > 3.0


@pytest.mark.parametrize("atmosphere", [0, 7])
def test_pyrtlib_at_once_is_pyrtlib(atmosphere):
    operator = MicrowaveOperator.for_instrument("mhs", torch.float64)
    pressure = operator.pressure.numpy()
    made = line_by_line.held_out_atmospheres(pressure)
    arguments = [made[k][atmosphere] for k in DIFFERENTIATED]
    frequency = np.append(operator.frequency.numpy()[::5], 54.4)
    slow, quick = (
        line_by_line.reference_brightness_temperatures(
            pressure, *arguments, np.full(3, 0.4), 1.3, frequency, at_once=at_once
        )
        for at_once in (False, True)
    )
    # constants of nature differ in the eighth digit
    np.testing.assert_allclose(quick, slow, rtol=0, atol=1e-4)


@pytest.mark.parametrize("instrument", sorted(table_builder.SOURCES))
def test_nodes_of_sounding_channels_agree_with_pyrtlib(instrument):
    difference = node_differences(instrument)
    assert np.abs(difference[:, sounding(instrument)]).max() <= 0.1
    assert np.abs(difference).max() <= 0.3


@pytest.mark.slow
@pytest.mark.parametrize("instrument", sorted(table_builder.SOURCES))
def test_channels_agree_with_pyrtlib(instrument):
    difference = channel_differences(instrument)
    assert np.sqrt(np.mean(difference**2, axis=0)).max() <= 0.1
    assert np.abs(difference).max() <= 0.3
