"""Refractivity, heights and bending angles against closed forms and numerical integrals."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import k0e

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.observations.profiles import refractivity_of_bending_angles
from fuxiflow.operators import gas_absorption, table_builder
from fuxiflow.operators import radio_occultation as ro
from fuxiflow.physics import GAS_CONSTANT_DRY, vapour_pressure, virtual_temperature

RADIUS = 6.371e6


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def atmospheres():
    """Refractivity and height (6, level), upwards, of AFGL profiles on the operator's levels."""
    pressure = table_builder.table_levels()
    temperature, humidity = gas_absorption.afgl_profiles(pressure)
    virtual = virtual_temperature(temperature, humidity)
    layers = (
        0.5
        * GAS_CONSTANT_DRY
        * (virtual[:, 1:] + virtual[:, :-1])
        * np.log(pressure[1:] / pressure[:-1])
    )
    phi = np.concatenate([np.cumsum(layers[:, ::-1], axis=1)[:, ::-1], np.zeros((6, 1))], axis=1)
    tensors = [
        torch.as_tensor(np.ascontiguousarray(v[..., ::-1]))
        for v in (pressure, temperature, humidity, phi)
    ]
    height = ro.geometric_height(tensors[3], doubles(45.0))
    return ro.refractivity(*tensors[:3]), height


def test_refractivity_equals_the_closed_form():
    p, t, q = np.array([1000.0, 300.0]), np.array([300.0, 230.0]), np.array([0.018, 1e-4])
    e = vapour_pressure(q, p)
    short = 77.6 * p / t + 3.73e5 * e / t**2
    tensors = [torch.as_tensor(v) for v in (p, t, q)]
    np.testing.assert_allclose(ro.refractivity(*tensors), short, rtol=1e-14)
    rueger = 77.6890 * (p - e) / t + 71.2952 * e / t + 375463.0 * e / t**2
    np.testing.assert_allclose(ro.refractivity(*tensors, ro.RUEGER), rueger, rtol=1e-14)
    assert 370 < short[0] < 390
    # the two sets of constants are known to agree to a few tenths of a per cent
    np.testing.assert_allclose(short, rueger, rtol=5e-3)


def test_geometric_height_integrates_gravity():
    for latitude in (0.0, 45.0, 90.0):
        square = math.sin(math.radians(latitude)) ** 2
        normal = (
            9.7803253359
            * (1 + 0.00193185265241 * square)
            / math.sqrt(1 - 0.00669437999013 * square)
        )
        radius = ro.EQUATOR_RADIUS / (1.006803 - 0.006706 * square)
        height = 30_000.0
        potential = quad(lambda z, n=normal, r=radius: n * (r / (r + z)) ** 2, 0.0, height)[0]
        assert ro.geometric_height(doubles(potential), doubles(latitude)).item() == pytest.approx(
            height, abs=1e-4
        )
    # normal gravity of WGS 84 at the equator and the poles: 1 km of geopotential height is 9806.65
    # m2 s-2
    equator, pole = ro.geometric_height(doubles(9806.65, 9806.65), doubles(0.0, 90.0)).tolist()
    assert equator == pytest.approx(1000.0 * 9.80665 / 9.7803253 * (1 + 1.0e3 / 6.378e6), abs=0.02)
    assert pole < 1000.0 < equator


def test_exponential_atmosphere_has_the_bessel_functions_angle():
    # log n exponential in x: alpha = 2 a k 1e-6 N exp(k (x0 - a)) K0e(k a), K0e the scaled Bessel
    # function
    n0, k = 300.0, 1.0 / 7000.0
    x = RADIUS + np.linspace(0.0, 150_000.0, 301)
    n = n0 * np.exp(-k * (x - RADIUS))
    height = x / (1 + 1e-6 * n) - RADIUS
    impact = RADIUS + np.array([100.0, 5_050.0, 20_000.0, 60_000.0])
    profile = [torch.as_tensor(v)[None] for v in (n, height)]
    angle = ro.bending_angle(*profile, torch.as_tensor(impact - RADIUS), doubles(RADIUS))
    expected = 2 * impact * k * 1e-6 * n0 * np.exp(-k * (impact - RADIUS)) * k0e(k * impact)
    np.testing.assert_allclose(angle[0], expected, rtol=2e-3)
    assert 0.02 < angle[0, 0] < 0.03


def numerical_angle(n, height, impact):
    """Integrate -2 a dln n/dx / sqrt(x^2 - a^2), log N linear in x; x^2 = a^2 + u^2."""
    x = (1 + 1e-6 * n) * (RADIUS + height)
    log_n = np.log(n)
    top = np.sqrt(x[-1] ** 2 - impact**2)
    u = np.unique(
        np.concatenate(
            [np.linspace(0.0, 1.0, 10_001) ** 2 * top, np.sqrt(np.maximum(x**2 - impact**2, 0))]
        )
    )
    middle = 0.5 * (u[1:] + u[:-1])
    at = np.sqrt(middle**2 + impact**2)
    layer = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    slope = np.diff(log_n) / np.diff(x)
    value = 1e-6 * np.exp(log_n[layer] + slope[layer] * (at - x[layer]))
    return np.sum(-2 * impact * slope[layer] * value / (1 + value) / at * np.diff(u))


def test_bending_angle_agrees_with_the_numerical_abel_integral(atmospheres):
    profile, height = atmospheres
    impact = torch.arange(3_000.0, 35_001.0, 4_000.0, dtype=torch.float64)
    radius = torch.full((6,), RADIUS, dtype=torch.float64)
    ours = ro.bending_angle(profile, height, impact, radius)
    single = ro.bending_angle(*(v.float() for v in (profile, height, impact, radius)))
    torch.testing.assert_close(single.double(), ours, rtol=1e-4, atol=0)
    for i in range(6):
        theirs = [
            numerical_angle(profile[i].numpy(), height[i].numpy(), RADIUS + a)
            for a in impact.tolist()
        ]
        np.testing.assert_allclose(ours[i], theirs, rtol=2e-3)


def test_the_inverse_abel_transform_gives_the_refractivity_back(atmospheres):
    profile, height = (v[1:2] for v in atmospheres)
    impact = torch.arange(3_000.0, 79_000.0, 100.0, dtype=torch.float64)
    angle = ro.bending_angle(profile, height, impact, doubles(RADIUS))
    back_height, back = refractivity_of_bending_angles(
        RADIUS + impact.numpy(), angle[0].numpy(), RADIUS
    )
    low = (back_height > 1_000) & (back_height < 35_000)
    direct = ro.refractivity_at_heights(profile, height, torch.as_tensor(back_height[low]))[0]
    np.testing.assert_allclose(back[low], direct, rtol=5e-3)


def test_no_angle_below_the_column_nor_in_a_duct():
    height = doubles(0.0, 1_000.0, 1_100.0, 5_000.0, 20_000.0)[None]
    # N falls by 40 in 100 m: more than 157 per km, so that x falls with height
    profile = doubles(330.0, 290.0, 250.0, 160.0, 20.0)[None]
    x = (1 + 1e-6 * profile) * (RADIUS + height)
    assert x[0, 2] < x[0, 1]
    impact = torch.stack([x[0, 0] - 10.0, 0.5 * (x[0, 1] + x[0, 2]), x[0, 1] + 1.0]) - RADIUS
    angle = ro.bending_angle(profile, height, impact, doubles(RADIUS))[0]
    assert angle.isnan().tolist() == [True, True, False]


def test_gradients_equal_finite_differences(atmospheres):
    profile, height = (v[2:3].clone() for v in atmospheres)
    profile.requires_grad_(True)
    height.requires_grad_(True)
    impact, radius = doubles(4_000.0, 12_000.0, 30_000.0), doubles(RADIUS)
    generator = torch.Generator().manual_seed(2)
    direction = [
        1e-3 * v.detach() * torch.rand(v.shape, generator=generator).double()
        for v in (profile, height)
    ]
    for function in (
        lambda n, h: 1e3 * ro.bending_angle(n, h, impact, radius).sum(),
        lambda n, h: ro.refractivity_at_heights(n, h, impact + 345.0).sum(),
    ):
        gradients = torch.autograd.grad(function(profile, height), (profile, height))
        exact = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True)).item()
        step = 1e-3
        with torch.no_grad():
            ends = [
                function(profile + s * direction[0], height + s * direction[1])
                for s in (step, -step)
            ]
        assert exact == pytest.approx(((ends[0] - ends[1]) / (2 * step)).item(), rel=1e-6)


def test_masked_values_have_no_gradient(atmospheres):
    profile = atmospheres[0][:1].clone().requires_grad_(True)
    angle = ro.bending_angle(
        profile, atmospheres[1][:1], doubles(-5_000.0, 9_000.0), doubles(RADIUS)
    )
    angle[~angle.isnan()].sum().backward()
    assert profile.grad.isfinite().all()
    assert profile.grad.abs().max() > 0


def test_state_gives_refractivity_at_heights():
    # an isothermal dry column: N = 77.6 p/T, and log p falls with geopotential at the rate 1/RT
    names = [f"{v}{level}" for v in "ZTR" for level in PRESSURE_LEVELS]
    pressure = doubles(*map(float, PRESSURE_LEVELS))
    temperature = torch.full_like(pressure, 250.0)
    phi = GAS_CONSTANT_DRY * 250.0 * torch.log(1000.0 / pressure)
    state = torch.cat([phi, temperature, torch.zeros_like(pressure)])[None]
    heights = torch.arange(1_000.0, 28_000.0, 3_000.0, dtype=torch.float64)
    got = ro.refractivity_from_state(state, names, doubles(30.0), heights)[0]
    top = ro.geometric_height(phi[0], doubles(30.0)).item()
    assert got.isnan().tolist() == [h > top for h in heights.tolist()]
    # back from height to geopotential by a fine table
    fine = torch.linspace(0.0, phi[0].item(), 20_001, dtype=torch.float64)
    at = torch.as_tensor(np.interp(heights, ro.geometric_height(fine, doubles(30.0)), fine))
    expected = 77.6 * 1000.0 * torch.exp(-at / (GAS_CONSTANT_DRY * 250.0)) / 250.0
    seen = ~got.isnan()
    # the least humidity of 2e-6 kg/kg counts for 6e-5
    torch.testing.assert_close(got[seen], expected[seen], rtol=7e-5, atol=0)


def test_missing_channels_are_listed():
    with pytest.raises(ValueError, match="the state lacks Z50, "):
        ro.refractivity_from_state(
            torch.zeros(1, 26),
            [f"{v}{level}" for v in "TR" for level in PRESSURE_LEVELS],
            doubles(0.0),
            doubles(1.0),
        )
