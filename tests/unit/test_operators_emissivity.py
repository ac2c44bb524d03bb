"""Surface emissivity against closed forms: flat and rough seas, land and ice."""

import cmath
import math

import pytest
import torch

from fuxiflow.operators import emissivity


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def rough_sea(frequency, zenith, wind):
    frequency, zenith, wind = doubles(frequency), doubles(zenith), doubles(*wind)[:, None]
    v, h = emissivity.sea_reflectivity(doubles(285.0), frequency, torch.cos(torch.deg2rad(zenith)))
    return [1.0 - r[:, 0] for r in emissivity.rough_sea_reflectivity(v, h, frequency, zenith, wind)]


@pytest.mark.parametrize("zenith", [0.0, 30.0, 60.0])
def test_fresnel_equals_the_complex_formula(zenith):
    temperature, frequency = doubles(285.0), doubles(31.4)
    real, loss = emissivity.permittivity(temperature, frequency)
    epsilon = complex(real.item(), -loss.item())
    cosine, sine = math.cos(math.radians(zenith)), math.sin(math.radians(zenith))
    root = cmath.sqrt(epsilon - sine**2)
    expected_v = abs((epsilon * cosine - root) / (epsilon * cosine + root)) ** 2
    expected_h = abs((cosine - root) / (cosine + root)) ** 2
    vertical, horizontal = emissivity.sea_reflectivity(temperature, frequency, doubles(cosine))
    assert vertical.item() == pytest.approx(expected_v, rel=1e-12)
    assert horizontal.item() == pytest.approx(expected_h, rel=1e-12)


def test_static_permittivity_of_pure_water_and_conductivity_of_sea_water():
    # CRC Handbook: 78.3 at 298.15 K for pure water; UNESCO (1983): 5.3 S/m at 25 degrees C and 35
    # psu
    theta = 300.0 / 298.15 - 1.0
    assert 77.66 + 103.3 * theta == pytest.approx(78.3, abs=0.1)
    assert emissivity.conductivity(doubles(298.15)).item() == pytest.approx(5.30, abs=0.02)


def test_polarisations_agree_at_nadir_and_part_towards_the_edge():
    frequency, vertical = doubles(23.8, 23.8), torch.tensor([True, False])
    nadir = emissivity.sea_emissivity(doubles(290.0), frequency, doubles(0.0), vertical)
    assert nadir[0, 0].item() == pytest.approx(nadir[0, 1].item())
    assert 0.38 < nadir[0, 0].item() < 0.45
    edge = emissivity.sea_emissivity(doubles(290.0), frequency, doubles(45.0), vertical)
    assert edge[0, 0] > edge[0, 1]


def test_polarisation_of_a_conical_scanner_does_not_turn():
    frequency, vertical = doubles(37.0, 37.0), torch.tensor([True, False])
    cosine = doubles(math.cos(math.radians(40.0)))
    v, h = emissivity.sea_reflectivity(doubles(290.0), doubles(37.0), cosine)
    conical = emissivity.sea_emissivity(
        doubles(290.0), frequency, doubles(40.0), vertical, conical=True
    )
    torch.testing.assert_close(conical[0], torch.cat([1.0 - v, 1.0 - h]))
    turned = emissivity.sea_emissivity(doubles(290.0), frequency, doubles(40.0), vertical)
    assert conical[0, 1] < turned[0, 1] < turned[0, 0] < conical[0, 0]


def test_surface_mixes_land_sea_and_ice():
    frequency, vertical = doubles(50.3), torch.tensor([False])

    def of(temperature, land):
        return emissivity.surface_emissivity(
            doubles(temperature), doubles(land), frequency, doubles(10.0), vertical
        ).item()

    assert of(280.0, 1.0) == pytest.approx(emissivity.LAND)
    assert of(260.0, 0.0) == pytest.approx(emissivity.SEA_ICE)
    assert of(280.0, 0.5) == pytest.approx(0.5 * (of(280.0, 0.0) + emissivity.LAND))
    assert of(280.0, 0.0) < of(emissivity.FREEZING_POINT, 0.0) < emissivity.SEA_ICE


def test_foam_and_ripples_by_hand():
    # 10 m/s at 10 GHz: 100 f-terms of the regression added up by hand, and 0.7 % of foam
    w, f = 10.0, 10.0
    y = (
        -5.0208480e-6 * 100
        + 2.3297951e-8 * 1e3
        + 4.6625726e-8 * 1e3
        - 1.9765665e-9 * 1e4
        - 7.0469823e-4 * 10
    )
    y += 7.5061193e-4 + 9.8103876e-4 * 10 + 1.5489504e-4 * 100
    got = emissivity.ripple_factor(doubles(f), doubles(0.8), doubles(w)).item()
    assert got == pytest.approx(math.exp(-y * 0.64), rel=1e-12)
    # at nadir vertical and horizontal foam are the same, 7 % reflectivity damped by 0.4 exp(-f/20)
    v, h = emissivity.foam_reflectivity(doubles(20.0), doubles(0.0))
    assert v.item() == h.item() == pytest.approx(0.07 * 0.4 / math.e)


def test_large_waves_by_hand():
    # at 50 GHz, secant 1, no wind: sums of the first three terms, a + 50 b + 2500 c
    vertical = (
        -5.994667e-2
        + 50 * 9.341346e-4
        - 2500 * 9.566110e-7
        + 8.360313e-2
        - 50 * 1.085991e-3
        + 2500 * 6.735338e-7
        - 2.617296e-2
        + 50 * 2.864495e-4
        - 2500 * 1.429979e-7
    )
    v, h = emissivity.large_wave_loss(doubles(50.0), doubles(1.0), doubles(0.0))
    assert v.item() == pytest.approx(vertical, rel=1e-9)
    # vertical and horizontal are one thing at nadir, to the 0.01 that the regressions leave
    assert abs(v.item() - h.item()) < 0.012


def test_wind_raises_emissivity_of_the_horizontal_most():
    v, h = rough_sea(37.0, 53.0, (0.0, 7.0, 14.0, 21.0))
    slope = (h[1:] - h[:-1]) / 7.0
    # measured at 37 GHz and 53 degrees: about 1 K/(m/s) of the horizontal, much less of the
    # vertical below 12 m/s
    assert ((slope > 0.002) & (slope < 0.009)).all()
    assert abs(v[1] - v[0]) < 0.5 * (h[1] - h[0])
    nadir_v, nadir_h = rough_sea(37.0, 0.0, (10.0,))
    assert nadir_v.item() == pytest.approx(nadir_h.item(), abs=0.012)
    calm, _ = rough_sea(37.0, 0.0, (0.0,))
    flat = emissivity.sea_emissivity(
        doubles(285.0), doubles(37.0), doubles(0.0), torch.tensor([True])
    ).item()
    assert calm.item() == pytest.approx(flat, abs=0.01)


def test_rough_sea_is_an_option_with_gradient():
    arguments = doubles(285.0), doubles(23.8, 89.0), doubles(30.0), torch.tensor([True, False])
    wind = doubles(8.0).requires_grad_(True)
    windy = emissivity.sea_emissivity(*arguments, wind=wind)
    assert (windy > emissivity.sea_emissivity(*arguments)).all()
    windy.sum().backward()
    assert wind.grad.item() > 0
    storm = emissivity.sea_emissivity(*arguments, wind=doubles(80.0))
    assert ((storm > 0) & (storm < 1)).all()
