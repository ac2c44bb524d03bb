"""Rough seas, surface types, cloud water, Lambertian reflection and Jacobians."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expn

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.operators import cloud, emissivity, roughness, surfaces, tables
from fuxiflow.operators.columns import brightness_temperatures
from fuxiflow.operators.equivalents import jacobian
from fuxiflow.operators.microwave import DIFFUSE, MicrowaveOperator


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def operator():
    return MicrowaveOperator.for_instrument("mhs", torch.float64)


@pytest.fixture(scope="module")
def columns(operator):
    made = tables.ensemble(operator.pressure.numpy(), 4, seed=7)
    return {name: torch.as_tensor(value) for name, value in made.items()}


def rough_sea(frequency, zenith, wind):
    frequency, zenith, wind = doubles(frequency), doubles(zenith), doubles(*wind)[:, None]
    v, h = emissivity.reflectivity(doubles(285.0), frequency, torch.cos(torch.deg2rad(zenith)))
    return [1.0 - r[:, 0] for r in roughness.rough(v, h, frequency, zenith, wind)]


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
    got = roughness.small_scale(doubles(f), doubles(0.8), doubles(w)).item()
    assert got == pytest.approx(math.exp(-y * 0.64), rel=1e-12)
    # at nadir vertical and horizontal foam are the same, 7 % reflectivity damped by 0.4 exp(-f/20)
    v, h = roughness.foam(doubles(20.0), doubles(0.0))
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
    v, h = roughness.large_scale(doubles(50.0), doubles(1.0), doubles(0.0))
    assert v.item() == pytest.approx(vertical, rel=1e-9)
    # vertical and horizontal are one thing at nadir, to the 0.01 that the regressions leave
    assert abs(v.item() - h.item()) < 0.012


def test_wind_raises_emissivity_of_the_horizontal_most():
    v, h = rough_sea(37.0, 53.0, (0.0, 7.0, 14.0, 21.0))
    slope = (h[1:] - h[:-1]) / 7.0
    # measured at 37 GHz and 53 degrees: about 1 K/(m/s) of the horizontal, much less of the vertical below 12 m/s
    assert ((slope > 0.002) & (slope < 0.009)).all()
    assert abs(v[1] - v[0]) < 0.5 * (h[1] - h[0])
    nadir_v, nadir_h = rough_sea(37.0, 0.0, (10.0,))
    assert nadir_v.item() == pytest.approx(nadir_h.item(), abs=0.012)
    calm, _ = rough_sea(37.0, 0.0, (0.0,))
    flat = emissivity.sea(doubles(285.0), doubles(37.0), doubles(0.0), torch.tensor([True])).item()
    assert calm.item() == pytest.approx(flat, abs=0.01)


def test_rough_sea_is_an_option_with_gradient():
    given = doubles(285.0), doubles(23.8, 89.0), doubles(30.0), torch.tensor([True, False])
    wind = doubles(8.0).requires_grad_(True)
    windy = emissivity.sea(*given, wind=wind)
    assert (windy > emissivity.sea(*given)).all()
    windy.sum().backward()
    assert wind.grad.item() > 0
    storm = emissivity.sea(*given, wind=doubles(80.0))
    assert ((storm > 0) & (storm < 1)).all()


def test_surface_types_are_plausible():
    frequency = doubles(23.8, 50.3, 89.0, 157.0)
    zenith, vertical = doubles(0.0, 50.0), torch.tensor([True, True, False, False])
    for group, types in surfaces.GROUPS.items():
        mean, spread = surfaces.mean_and_spread(group, frequency, zenith, vertical)
        each = torch.stack([surfaces.of_type(name, frequency, zenith, vertical) for name in types])
        assert ((each > 0.4) & (each <= 1.0)).all(), group
        torch.testing.assert_close(mean, each.mean(dim=0))
        assert ((spread > 0.003) & (spread < 0.2)).all(), group
    # a Lambertian forest is the same in both polarisations, and nearly black
    forest = surfaces.of_type(
        "forest", doubles(50.3, 50.3), zenith, torch.tensor([True, False]), conical=True
    )
    torch.testing.assert_close(forest[:, 0], forest[:, 1])
    assert forest.min() > 0.95


def test_surface_type_by_hand():
    # new ice at 27 GHz, nadir: permittivity (2.9 + 3.4)/2 - i (2.9 - 3.4)/2, no roughness
    epsilon = complex(3.15, 0.25)
    expected = 1.0 - abs((1 - epsilon**0.5) / (1 + epsilon**0.5)) ** 2
    got = surfaces.of_type("new ice", doubles(27.0), doubles(0.0), torch.tensor([True]))
    assert got.item() == pytest.approx(expected, rel=1e-9)


def test_unknown_surfaces_are_named():
    given = doubles(50.3), doubles(0.0), torch.tensor([True])
    with pytest.raises(KeyError, match="known: forest, open grass"):
        surfaces.of_type("lava", *given)
    with pytest.raises(KeyError, match="known: land, snow, sea ice"):
        surfaces.mean_and_spread("lava", *given)


def test_surfaces_reach_the_brightness_temperatures(operator):
    one = torch.ones(1, dtype=torch.float64)
    levels = torch.tensor(PRESSURE_LEVELS, dtype=torch.float64)
    given = [
        (220.0 + 0.06 * levels)[None],
        torch.full((1, 13), 1e-4).double(),
        1010.0 * one,
        280.0 * one,
    ]

    def of(fraction, zenith=20.0, **options):
        return brightness_temperatures(
            operator, *given, fraction * one, 40.0 * one, zenith * one, **options
        )

    assert (of(0.0, wind=12.0 * one) - of(0.0))[0, 0] > 1.0
    torch.testing.assert_close(of(1.0, wind=12.0 * one), of(1.0))
    grass = surfaces.of_type(
        "open grass", operator.channel_frequency, 20.0 * one, operator.vertical
    )
    assert (of(1.0, land=grass) - of(1.0)).abs()[0, 0] > 0.1
    torch.testing.assert_close(of(1.0, land=emissivity.LAND), of(1.0))


def test_cloud_absorption_equals_pyrtlib():
    from pyrtlib.absorption_model import LiqAbsModel

    before = LiqAbsModel.model
    try:
        # the model of 1998 has MPM-93's permittivity
        LiqAbsModel.model = "R98"
        theirs = [LiqAbsModel.liquid_water_absorption(1.0, f, 280.0) for f in (31.4, 89.0)]
    finally:
        LiqAbsModel.model = before
    ours = cloud.absorption(doubles(280.0), doubles(31.4, 89.0))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_cloud_water_darkens_or_warms(operator, columns):
    level = torch.argmin((operator.pressure - 700.0).abs())
    water = torch.zeros_like(columns["temperature"])
    clear = operator(**columns)
    torch.testing.assert_close(operator(**columns, cloud_liquid=water), clear)
    water[:, level] = 2e-4
    water.requires_grad_(True)
    # over a dark ground a cloud is warm in the window
    low = torch.full((4,), 1010.0, dtype=torch.float64)
    dark = dict(columns, emissivity=torch.full((4, 1), 0.4).double(), surface_pressure=low)
    difference = operator(**dark, cloud_liquid=water) - operator(**dark)
    assert (difference[:, 0] > 1.0).all()
    difference.sum().backward()
    assert water.grad[:, level].abs().min() > 0
    # 1 g/kg of air of 1.2 kg/m3 is 1.2 g/m3
    content = cloud.water_content(
        doubles(1e-3), doubles(290.0), doubles(0.0), doubles(1000.0)
    ).item()
    assert content == pytest.approx(1.2, abs=0.01)


def test_diffuse_transmittance_is_the_exponential_integrals():
    tau = np.geomspace(1e-3, 10.0, 50)
    two = sum(weight * np.exp(-secant * tau) for weight, secant in DIFFUSE)
    np.testing.assert_allclose(two, 2.0 * expn(3, tau), rtol=0, atol=2e-3)


def test_lambertian_ground_is_an_option(operator, columns):
    dark = dict(
        columns,
        emissivity=torch.full_like(columns["emissivity"], 0.4),
        secant=torch.ones(4).double(),
    )
    share = torch.ones(4, dtype=torch.float64)
    specular, half, diffuse = (
        operator.radiances(**dark, diffuse=part * share) for part in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(specular, operator.radiances(**dark))
    torch.testing.assert_close(half, 0.5 * (specular + diffuse))
    # more air shines on it than from the zenith
    assert (diffuse - specular).max() > 1.0
    black = dict(dark, emissivity=torch.ones_like(dark["emissivity"]))
    torch.testing.assert_close(
        operator.radiances(**black, diffuse=share), operator.radiances(**black)
    )


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
