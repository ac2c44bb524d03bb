"""The radiative transfer: limits, gradients, and pyrtlib as the peer."""

import numpy as np
import pytest
import torch

from fuxiflow.operators import reference, tables
from fuxiflow.operators.microwave import MicrowaveOperator, OperatorTable

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
    made = tables.ensemble(operator.pressure.numpy(), 8, seed=99)
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
    # with transmittance T of black ground and column at B, and C from space: black B - T^2 (B - C) for a mirror
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
        reference.brightness_temperatures(
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
    with pytest.raises(FileNotFoundError, match=r"no operator table.*fuxiflow\.operators\.tables"):
        OperatorTable.read(tmp_path / "amsr2.npz")
    np.savez(tmp_path / "half.npz", pressure=np.ones(3))
    with pytest.raises(KeyError, match="has no reference_temperature"):
        OperatorTable.read(tmp_path / "half.npz")
