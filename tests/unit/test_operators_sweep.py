"""The adjoint of the sweep, against autograd through the same equations and finite differences."""

import pytest
import torch

from fuxiflow.operators.sweep import LEAST_ABSORPTION, SMALLEST_DEPTH, sweep

LEVELS, BATCH, NODES, TERMS = 6, 5, 3, 12
NAMES = ("arguments", "droplets", "edges", "share", "path")


def plain_sweep(
    arguments, coefficients, droplets, cloudy, edges, share, square, cosmic, sees_ground, path
):
    """The equations of the sweep, which autograd follows step by step."""
    absorption = torch.bmm(arguments, coefficients).clamp_min(LEAST_ABSORPTION)
    if droplets is not None:
        absorption = absorption.index_add(0, torch.tensor(cloudy), droplets)
    above, source_above = absorption[0], edges[0][:, None] + square / edges[0][:, None]
    up, through = torch.zeros_like(above), torch.ones_like(above)
    down = cosmic.expand_as(above)
    for layer in range(len(path)):
        below = above + share[layer][:, None] * (absorption[layer + 1] - above)
        mean = above + below + 4.0 * torch.sqrt(above * below)
        depth = (mean * path[layer][:, None]).clamp_max(-SMALLEST_DEPTH)
        absorbed = torch.expm1(depth)
        passed = absorbed + 1.0
        edge = edges[layer + 1][:, None]
        source = edge + square / edge
        step = (source - source_above) * (absorbed / depth - passed)
        up = up + through * (step - source_above * absorbed)
        if sees_ground:
            down = down * passed - step - source * absorbed
        through = through * passed
        above, source_above = below, source
    return up, down, through


def made(cloudy, sees_ground, seed=0):
    """Arguments in double precision: cut layers, layers below the ground, and transparent ones."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, low=0.0, high=1.0):
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    share = torch.ones(LEVELS - 1, BATCH, dtype=torch.float64)
    share[-2:, 0] = torch.tensor([0.4, 0.0])
    share[-1, 1] = 0.7
    vertical = draw(LEVELS - 1, BATCH, low=0.05, high=0.3) * (share > 0)
    # the first layer of the third column is so thin that its depth is held
    vertical[0, 2] = 1e-9
    arguments = draw(LEVELS, BATCH, TERMS)
    # a fit that became negative is held too
    arguments[3, 3] = -arguments[3, 3]
    return {
        "arguments": arguments,
        "coefficients": draw(LEVELS, TERMS, NODES, low=0.01, high=0.2),
        "droplets": draw(len(cloudy), BATCH, NODES) if cloudy else None,
        "cloudy": list(cloudy),
        "edges": draw(LEVELS, BATCH, low=210.0, high=300.0),
        "share": share,
        "planck_square": draw(NODES, low=0.1, high=5.0),
        "cosmic": draw(NODES, low=2.0, high=4.0),
        "sees_ground": sees_ground,
        "path": -vertical,
    }


@pytest.mark.parametrize("sees_ground", [True, False])
@pytest.mark.parametrize("cloudy", [(), (2, 4)])
def test_values_and_derivatives_are_those_of_the_equations(cloudy, sees_ground):
    given = made(cloudy, sees_ground)
    leaves = {name: given[name].requires_grad_() for name in NAMES if given[name] is not None}
    weights = torch.linspace(0.5, 2.0, 3 * BATCH * NODES, dtype=torch.float64).reshape(3, BATCH, -1)
    ours, theirs = sweep(**given), plain_sweep(*given.values())
    for one, other in zip(ours, theirs, strict=True):
        # at the smallest depth a difference of almost equal numbers is divided by it
        torch.testing.assert_close(one, other, rtol=1e-10, atol=0.0)
    sums = [(weights * torch.stack(found)).sum() for found in (ours, theirs)]
    derivatives = [torch.autograd.grad(total, list(leaves.values())) for total in sums]
    for name, one, other in zip(leaves, *derivatives, strict=True):
        if name == "share":
            # layers that the ground cuts in no column have no derivative: their share is held at 1
            other = other * (given["share"] < 1.0).any(dim=1, keepdim=True)
        scale = other.abs().max()
        assert scale > 0, name
        torch.testing.assert_close(one / scale, other / scale, rtol=1e-9, atol=1e-9)


def test_finite_differences_and_a_second_pass_agree():
    given = made((1,), True, seed=3)
    given["share"].clamp_(0.2, 1.0)
    given["path"].clamp_max_(-0.05)
    leaves = [given[name].requires_grad_() for name in NAMES]

    def swept(*values):
        return sweep(**{**given, **dict(zip(NAMES, values, strict=True))})

    # a share of 1 is the edge of its range: only those that cut are moved
    fixed = given["share"].detach()
    assert torch.autograd.gradcheck(
        lambda arguments, droplets, edges, path: swept(arguments, droplets, edges, fixed, path),
        [leaf for name, leaf in zip(NAMES, leaves, strict=True) if name != "share"],
    )
    up = swept(*leaves)[0].sum()
    first = torch.autograd.grad(up, leaves, retain_graph=True)
    again = torch.autograd.grad(up, leaves)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_second_derivatives_are_refused():
    given = made((), True)
    edges = given["edges"].requires_grad_()
    (slope,) = torch.autograd.grad((sweep(**given)[0] ** 2).sum(), edges, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
