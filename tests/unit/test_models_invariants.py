"""What the architecture promises: turning globes, separate poles, sources one by one."""

import pytest
import torch
from torch import nn

from fuxiflow.models.assimilator import Assimilator, SourceShape
from fuxiflow.models.forecaster import Forecaster
from fuxiflow.models.pillars import FootprintBatch

DAY, HOUR = torch.tensor([40.0]), torch.tensor([6.0])


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def awake(module):
    """Give the layers that start at zero something to do."""
    for i, parameter in enumerate(module.parameters()):
        if not parameter.any():
            with torch.no_grad():
                parameter.copy_(0.1 * noise(*parameter.shape, seed=i))
    return module.eval()


def forecaster(shape=(16, 32), blocks=2):
    torch.manual_seed(0)
    statics = noise(2, *shape, seed=1)
    return awake(
        Forecaster(
            3,
            4,
            shape,
            statics,
            torch.full((3, 1, 1), 0.5),
            patch=2,
            width=16,
            blocks=blocks,
            heads=2,
            window=(2, 4),
        )
    )


def test_a_forecast_turns_with_the_globe():
    """By a window, with the static fields and the learned position, which are the globe's own."""
    model, states = forecaster(), noise(1, 2, 3, 16, 32)
    with torch.no_grad():
        found = model(states, DAY, HOUR)
        cells, tokens = 4 * 2 * 2, 4  # a window of four tokens, each of two patches of two cells
        model.statics.copy_(model.statics.roll(cells, -1))
        model.position.copy_(model.position.roll(tokens, 2))
        turned = model(states.roll(cells, -1), DAY, HOUR)
    torch.testing.assert_close(turned, found.roll(cells, -1), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, found.roll(cells, -1))


class Local(nn.Module):
    """In place of group normalisation, whose mean and variance are by design those of the whole
    globe.
    """

    def forward(self, x):
        return x


def without_global_statistics(model):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, Local())
    return model


def reached(model, row, shape):
    """Rows of the input that a row of the forecast depends on."""
    states = noise(1, 2, 3, *shape).requires_grad_()
    model(states, DAY, HOUR)[0, :, row].sum().backward()
    return set(torch.nonzero(states.grad.abs().sum((0, 1, 2, 4))).flatten().tolist())


@pytest.mark.parametrize("row", [0, -1])
def test_a_forecast_does_not_look_over_the_poles(row):
    shape = (64, 16)
    near = reached(without_global_statistics(forecaster(shape)), row, shape)
    far = range(48, 64) if row == 0 else range(16)
    assert row % 64 in near
    assert not near & set(far)


def test_without_the_mask_of_the_poles_they_would_be_seen():
    model = without_global_statistics(forecaster((64, 16)))
    model.blocks[1].mask.fill_(True)
    assert reached(model, 0, (64, 16)) & set(range(48, 64))


def test_an_attention_window_keeps_its_bias_under_every_mask():
    attention = forecaster().blocks[1].attention
    x, everything = noise(2, 6, 8, 16), torch.ones(8, 8, dtype=torch.bool)
    with torch.no_grad():
        before = attention(x)
        torch.testing.assert_close(attention(x, everything, 2), before)
        attention.bias[2].weight.mul_(3)
        after = attention(x, everything, 2)
        torch.testing.assert_close(after, attention(x))
    assert not torch.allclose(after, before)


def assimilator(names=("a", "b"), shape=(16, 32)):
    torch.manual_seed(0)
    sources = {name: SourceShape(2, -3, 5) for name in names}
    return awake(
        Assimilator(
            3,
            shape,
            noise(2, *shape),
            torch.ones(3, 1, 1),
            torch.arange(3),
            sources,
            width=8,
            scales=3,
            blocks=1,
        )
    )


def footprints(seed, count=40, shape=(16, 32)):
    random = torch.Generator().manual_seed(seed)
    cell = torch.randperm(shape[0] * shape[1], generator=random)[:count]
    offset = torch.rand(count, 2, generator=random) - 0.5
    return FootprintBatch(
        torch.zeros(count, dtype=int),
        torch.randint(8, (count,), generator=random),
        cell,
        torch.randn(count, 2, generator=random),
        torch.full((count,), 30.0),
        offset,
    )


def test_an_analysis_turns_with_the_globe():
    model, guess, normal = assimilator(), noise(1, 3, 3, 16, 32), noise(1, 3, 16, 32, seed=7)
    seen, cells = footprints(3), 8  # a multiple of the coarsest scale's cell
    turned = footprints(3)
    turned.cell = seen.cell // 32 * 32 + (seen.cell + cells) % 32
    with torch.no_grad():
        found = model(guess, normal, {"a": seen}, DAY, HOUR)
        model.statics.copy_(model.statics.roll(cells, -1))
        for branch in model.branches.values():
            surface = branch.pillars.surface
            surface.copy_(surface.view(16, 32, -1).roll(cells, 1).reshape(surface.shape))
        again = model(guess.roll(cells, -1), normal.roll(cells, -1), {"a": turned}, DAY, HOUR)
    torch.testing.assert_close(again, found.roll(cells, -1), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, found.roll(cells, -1))


def test_the_order_of_sources_does_not_matter():
    model, guess, normal = assimilator(), noise(1, 3, 3, 16, 32), noise(1, 3, 16, 32, seed=7)
    a, b = footprints(3), footprints(4)
    with torch.no_grad():
        found = model(guess, normal, {"a": a, "b": b}, DAY, HOUR)
        torch.testing.assert_close(model(guess, normal, {"b": b, "a": a}, DAY, HOUR), found)


def test_an_all_missing_window_is_the_background_branch_alone():
    model, guess, normal = assimilator(), noise(1, 3, 3, 16, 32), noise(1, 3, 16, 32, seed=7)
    with torch.no_grad():
        background = model(guess, normal, {}, DAY, HOUR)
        removed = footprints(3).kept(torch.tensor([False]))
        found = model(guess, normal, {"a": removed, "b": removed}, DAY, HOUR)
    torch.testing.assert_close(found, background, atol=0, rtol=0)
    assert not torch.allclose(background, guess[:, 1])
