"""The radiative transfer: limits, gradients, and pyrtlib as the peer."""

import numpy as np
import pytest
import torch
from scipy.special import expn

from fuxiflow.operators import line_by_line, microwave, table_builder
from fuxiflow.operators.microwave import DIFFUSE, MicrowaveOperator, OperatorTable

ARGUMENTS = (
    "temperature",
    "specific_humidity",
    "surface_pressure",
    "skin_temperature",
    "emissivity",
    "secant",
)


@pytest.fixture(scope="module")
def operator():
    return MicrowaveOperator.for_instrument("atms", dtype=torch.float64)


@pytest.fixture(scope="module")
def atmospheres(operator):
    """Held out: another seed than the table's builder uses."""
    made = table_builder.random_atmospheres(operator.pressure.numpy(), 8, seed=99)
    return {name: torch.as_tensor(value) for name, value in made.items()}


def isothermal(operator, temperature, count=3):
    levels = len(operator.pressure)
    full = torch.full((count, levels), temperature, dtype=torch.float64)
    return (
        full,
        torch.full_like(full, 1e-3),
        full.new_full((count,), 1000.0),
        full.new_full((count,), temperature),
    )


def test_isothermal_column_over_a_black_surface_shows_its_temperature(operator):
    t, q, ps, ts = isothermal(operator, 260.0)
    tb = operator(t, q, ps, ts, torch.ones(3, 1).double(), torch.tensor([1.0, 1.5, 2.2]).double())
    # but for the 1e-5 of the surface that sweeps which end above it leave out
    torch.testing.assert_close(tb, torch.full_like(tb, 260.0), atol=5e-3, rtol=0)


def test_opaque_channels_do_not_see_the_surface(operator, atmospheres):
    warm = operator(**atmospheres)
    changed = dict(atmospheres, skin_temperature=atmospheres["skin_temperature"] + 20.0)
    difference = (operator(**changed) - warm).abs().amax(dim=0)
    names = operator.channels
    assert difference[names.index("10") : names.index("15") + 1].max() < 1e-3
    assert difference[names.index("1")] > 5.0


def test_mirror_under_an_isothermal_column(operator):
    # with transmittance T of black ground and column at B, and C from space: black B - T^2 (B - C)
    # for a mirror
    t, q, ps, ts = isothermal(operator, 280.0, 1)
    one, two = torch.ones(1).double(), torch.full((1,), 2.0).double()

    def transmittance(secant):
        mirror = operator.radiances(t, q, ps, ts, torch.zeros(1, 1).double(), secant)
        black = operator.radiances(t, q, ps, ts, torch.ones(1, 1).double(), secant)
        cosmic = operator.cosmic - 0.5 * operator.planck
        return torch.sqrt(((black - mirror) / (black - cosmic)).clamp_min(0.0))[
            0, : operator.surface_nodes
        ]

    vertical, slant = transmittance(one), transmittance(two)
    assert ((vertical >= 0) & (vertical < 1)).all()
    seen = slant > 1e-3
    assert seen.sum() > 5
    # twice the path, the transmittance squared
    torch.testing.assert_close(slant[seen], vertical[seen] ** 2, atol=1e-6, rtol=1e-4)


def test_levels_below_the_ground_are_ignored(operator, atmospheres):
    below = operator.pressure[None, :] > atmospheres["surface_pressure"][:, None] + 60.0
    changed = dict(atmospheres, temperature=torch.where(below, 200.0, atmospheres["temperature"]))
    # the floor of 1e-7 of a layer's optical depth counts there too
    torch.testing.assert_close(operator(**changed), operator(**atmospheres), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_gradient_equals_finite_differences(operator, atmospheres, name):
    inputs = {key: value[:2].clone() for key, value in atmospheres.items()}
    point = inputs[name].requires_grad_(True)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(2, len(operator.channels), generator=generator, dtype=torch.float64)
    (operator(**inputs) * weights).sum().backward()
    # along a direction of the variable's own size
    direction = (
        torch.randn(point.shape, generator=generator, dtype=torch.float64)
        * point.detach().abs()
        * 1e-2
    )
    step = 1e-4

    def along(sign):
        with torch.no_grad():
            moved = {**inputs, name: point.detach() + sign * step * direction}
            return (operator(**moved) * weights).sum()

    numeric = (along(1) - along(-1)) / (2 * step)
    assert (point.grad * direction).sum().item() == pytest.approx(
        numeric.item(), rel=1e-6, abs=1e-9
    )


def test_single_precision_is_enough(operator, atmospheres):
    single = MicrowaveOperator.for_instrument("atms")
    tb = single(**{name: value.float() for name, value in atmospheres.items()})
    assert tb.dtype == torch.float32
    assert (tb.double() - operator(**atmospheres)).abs().max() < 5e-3


def test_batches_do_not_mix(operator, atmospheres):
    whole = operator(**atmospheres)
    alone = operator(**{name: value[3:4] for name, value in atmospheres.items()})
    torch.testing.assert_close(whole[3:4], alone)


def _compare(operator, atmospheres, columns, nodes, refine=4):
    tb_of = lambda r: operator.planck / torch.log1p(operator.planck / r)  # noqa: E731
    ours = tb_of(operator.radiances(**atmospheres)).numpy()[columns][:, nodes]
    arrays = {name: value.numpy() for name, value in atmospheres.items()}
    theirs = [
        line_by_line.reference_brightness_temperatures(
            operator.pressure.numpy(),
            *(arrays[name][i] for name in ARGUMENTS[:4]),
            np.full(len(nodes), arrays["emissivity"][i, 0]),
            arrays["secant"][i],
            operator.frequency.numpy()[nodes],
            refine,
        )
        for i in columns
    ]
    return ours - np.array(theirs)


def test_agrees_with_pyrtlib(operator, atmospheres):
    difference = _compare(operator, atmospheres, [0, 5], np.arange(0, operator.nodes, 6))
    assert np.abs(difference).max() < 0.12
    assert np.sqrt(np.mean(difference**2)) < 0.05


@pytest.mark.slow
def test_channels_agree_with_pyrtlib(operator, atmospheres):
    difference = (
        _compare(operator, atmospheres, list(range(8)), np.arange(operator.nodes))
        @ operator.weights.numpy()
    )
    assert np.abs(difference).max() < 0.15
    assert np.sqrt(np.mean(difference**2, axis=0)).max() < 0.08


def test_wrong_levels_are_refused(operator, atmospheres):
    with pytest.raises(ValueError, match=r"must both be \(batch, 90\)"):
        operator(**dict(atmospheres, temperature=atmospheres["temperature"][:, :-1]))


def test_missing_and_incomplete_tables_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no operator table.*fuxiflow build-operators"):
        OperatorTable.read(tmp_path / "amsr2.npz")
    np.savez(tmp_path / "half.npz", pressure=np.ones(3))
    with pytest.raises(KeyError, match="has no reference_temperature"):
        OperatorTable.read(tmp_path / "half.npz")


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def humidity_sounder():
    return MicrowaveOperator.for_instrument("mhs", torch.float64)


@pytest.fixture(scope="module")
def columns(humidity_sounder):
    made = table_builder.random_atmospheres(humidity_sounder.pressure.numpy(), 4, seed=7)
    return {name: torch.as_tensor(value) for name, value in made.items()}


def test_cloud_absorption_equals_pyrtlib():
    from pyrtlib.absorption_model import LiqAbsModel

    before = LiqAbsModel.model
    try:
        # the model of 1998 has MPM-93's permittivity
        LiqAbsModel.model = "R98"
        theirs = [LiqAbsModel.liquid_water_absorption(1.0, f, 280.0) for f in (31.4, 89.0)]
    finally:
        LiqAbsModel.model = before
    ours = microwave.droplet_absorption(doubles(280.0), doubles(31.4, 89.0))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_cloud_water_darkens_or_warms(humidity_sounder, columns):
    level = torch.argmin((humidity_sounder.pressure - 700.0).abs())
    water = torch.zeros_like(columns["temperature"])
    clear = humidity_sounder(**columns)
    torch.testing.assert_close(humidity_sounder(**columns, cloud_liquid=water), clear)
    water[:, level] = 2e-4
    water.requires_grad_(True)
    # over a dark ground a cloud is warm in the window
    low = torch.full((4,), 1010.0, dtype=torch.float64)
    dark = dict(columns, emissivity=torch.full((4, 1), 0.4).double(), surface_pressure=low)
    difference = humidity_sounder(**dark, cloud_liquid=water) - humidity_sounder(**dark)
    assert (difference[:, 0] > 1.0).all()
    difference.sum().backward()
    assert water.grad[:, level].abs().min() > 0
    # 1 g/kg of air of 1.2 kg/m3 is 1.2 g/m3
    content = microwave.cloud_water_content(
        doubles(1e-3), doubles(290.0), doubles(0.0), doubles(1000.0)
    ).item()
    assert content == pytest.approx(1.2, abs=0.01)


def test_diffuse_transmittance_is_the_exponential_integrals():
    tau = np.geomspace(1e-3, 10.0, 50)
    two = sum(weight * np.exp(-secant * tau) for weight, secant in DIFFUSE)
    np.testing.assert_allclose(two, 2.0 * expn(3, tau), rtol=0, atol=2e-3)


def test_lambertian_ground_is_an_option(humidity_sounder, columns):
    dark = dict(
        columns,
        emissivity=torch.full_like(columns["emissivity"], 0.4),
        secant=torch.ones(4).double(),
    )
    share = torch.ones(4, dtype=torch.float64)
    specular, half, diffuse = (
        humidity_sounder.radiances(**dark, diffuse=part * share) for part in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(specular, humidity_sounder.radiances(**dark))
    torch.testing.assert_close(half, 0.5 * (specular + diffuse))
    # more air shines on it than from the zenith
    assert (diffuse - specular).max() > 1.0
    black = dict(dark, emissivity=torch.ones_like(dark["emissivity"]))
    torch.testing.assert_close(
        humidity_sounder.radiances(**black, diffuse=share), humidity_sounder.radiances(**black)
    )
