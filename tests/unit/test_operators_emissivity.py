"""Surface emissivity against closed forms."""

import cmath
import math

import pytest
import torch

from fuxiflow.operators import emissivity


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("zenith", [0.0, 30.0, 60.0])
def test_fresnel_equals_the_complex_formula(zenith):
    temperature, frequency = doubles(285.0), doubles(31.4)
    real, loss = emissivity.permittivity(temperature, frequency)
    epsilon = complex(real.item(), -loss.item())
    cosine, sine = math.cos(math.radians(zenith)), math.sin(math.radians(zenith))
    root = cmath.sqrt(epsilon - sine**2)
    expected_v = abs((epsilon * cosine - root) / (epsilon * cosine + root)) ** 2
    expected_h = abs((cosine - root) / (cosine + root)) ** 2
    vertical, horizontal = emissivity.reflectivity(temperature, frequency, doubles(cosine))
    assert vertical.item() == pytest.approx(expected_v, rel=1e-12)
    assert horizontal.item() == pytest.approx(expected_h, rel=1e-12)


def test_static_permittivity_of_pure_water_and_conductivity_of_sea_water():
    # CRC Handbook: 78.3 at 298.15 K for pure water; UNESCO (1983): 5.3 S/m at 25 degrees C and 35 psu
    theta = 300.0 / 298.15 - 1.0
    assert 77.66 + 103.3 * theta == pytest.approx(78.3, abs=0.1)
    assert emissivity.conductivity(doubles(298.15)).item() == pytest.approx(5.30, abs=0.02)


def test_polarisations_agree_at_nadir_and_part_towards_the_edge():
    frequency, vertical = doubles(23.8, 23.8), torch.tensor([True, False])
    nadir = emissivity.sea(doubles(290.0), frequency, doubles(0.0), vertical)
    assert nadir[0, 0].item() == pytest.approx(nadir[0, 1].item())
    assert 0.38 < nadir[0, 0].item() < 0.45
    edge = emissivity.sea(doubles(290.0), frequency, doubles(45.0), vertical)
    assert edge[0, 0] > edge[0, 1]


def test_polarisation_of_a_conical_scanner_does_not_turn():
    frequency, vertical = doubles(37.0, 37.0), torch.tensor([True, False])
    cosine = doubles(math.cos(math.radians(40.0)))
    v, h = emissivity.reflectivity(doubles(290.0), doubles(37.0), cosine)
    conical = emissivity.sea(doubles(290.0), frequency, doubles(40.0), vertical, conical=True)
    torch.testing.assert_close(conical[0], torch.cat([1.0 - v, 1.0 - h]))
    turned = emissivity.sea(doubles(290.0), frequency, doubles(40.0), vertical)
    assert conical[0, 1] < turned[0, 1] < turned[0, 0] < conical[0, 0]


def test_surface_mixes_land_sea_and_ice():
    frequency, vertical = doubles(50.3), torch.tensor([False])

    def of(temperature, land):
        return emissivity.surface(
            doubles(temperature), doubles(land), frequency, doubles(10.0), vertical
        ).item()

    assert of(280.0, 1.0) == pytest.approx(emissivity.LAND)
    assert of(260.0, 0.0) == pytest.approx(emissivity.SEA_ICE)
    assert of(280.0, 0.5) == pytest.approx(0.5 * (of(280.0, 0.0) + emissivity.LAND))
    assert of(280.0, 0.0) < of(emissivity.FREEZING_POINT, 0.0) < emissivity.SEA_ICE
