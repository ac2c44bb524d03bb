import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fuxiflow.models.assimilator import Assimilator, SourceShape
from fuxiflow.models.forecaster import Forecaster
from fuxiflow.models.layers import Conv, pad, time_features
from fuxiflow.models.networks import Normaliser, parameter_count
from fuxiflow.models.pillars import (
    FootprintBatch,
    PillarEncoder,
    columns_at_footprints,
    states_together,
)
from fuxiflow.models.swin import (
    SwinBlock,
    log_offsets,
    merge_windows,
    offset_rows,
    partition_windows,
    polar_mask,
)

SHAPE = (8, 16)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def awake(module):
    """Give the layers that start at zero something to do."""
    for parameter in module.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return module.eval()


def footprints(samples=(0, 0, 1), cells=(3, 3, 40), channels=2):
    n = len(cells)
    zenith = torch.full((n,), 30.0)
    return FootprintBatch(
        torch.tensor(samples),
        torch.arange(n),
        torch.tensor(cells),
        noise(n, channels),
        zenith,
        torch.zeros(n, 2),
    )


def test_pad_wraps_longitude_and_repeats_the_poles():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert pad(x, 1, 1)[0, 0].tolist() == [
        [2, 0, 1, 2, 0],
        [2, 0, 1, 2, 0],
        [5, 3, 4, 5, 3],
        [5, 3, 4, 5, 3],
    ]


def test_convolution_commutes_with_a_turn_of_the_globe():
    conv = Conv(2, 3)
    x = noise(1, 2, *SHAPE)
    torch.testing.assert_close(conv(x).roll(5, -1), conv(x.roll(5, -1)))


def test_time_features_are_those_of_fuxi():
    features = time_features(torch.tensor([91.5]), torch.tensor([6.0]))
    torch.testing.assert_close(features, torch.tensor([[1.0, 0.0, 1.0, 0.0]]), atol=1e-6, rtol=0)


def test_partition_is_undone_by_merge():
    x = noise(2, *SHAPE, 3)
    windows = partition_windows(x, (4, 8))
    assert windows.shape == (2, 4, 32, 3)
    torch.testing.assert_close(merge_windows(windows, (4, 8), SHAPE), x)


def test_polar_mask_separates_the_poles_alone():
    mask = polar_mask((3, 2), 1)  # of three rows of a window the last is the other pole's
    assert mask.shape == (6, 6)
    assert mask[:4, :4].all()
    assert mask[4:, 4:].all()
    assert not mask[:4, 4:].any()
    assert not mask[4:, :4].any()


def test_each_pair_of_cells_has_the_offset_of_its_positions():
    window = (3, 4)
    offsets, rows = log_offsets(window), offset_rows(window)
    assert offsets.shape == (5 * 7, 2)
    for a in range(12):
        for b in range(12):
            steps = (a // 4 - b // 4, a % 4 - b % 4)
            scaled = [8 * step / (side - 1) for step, side in zip(steps, window, strict=True)]
            expected = [math.copysign(math.log2(abs(x) + 1), x) / 3 for x in scaled]
            assert offsets[rows[a, b]].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shifted", [False, True])
def test_swin_block_turns_with_the_globe_by_whole_windows(shifted):
    block = awake(SwinBlock(8, 2, (4, 8), SHAPE, shifted))
    x = noise(1, *SHAPE, 8)
    torch.testing.assert_close(block(x).roll(8, 2), block(x.roll(8, 2)), atol=1e-5, rtol=1e-4)


def test_a_shifted_block_sees_over_the_date_line_but_not_over_the_poles():
    block = awake(SwinBlock(8, 2, (4, 8), SHAPE, True))
    x = noise(1, *SHAPE, 8).requires_grad_()
    block(x)[0, 0, 0].sum().backward()
    reached = x.grad[0].abs().sum(-1) > 0
    assert reached[0, -1]
    assert not reached[-1].any()


def test_a_network_that_has_forecast_can_be_trained():
    block = SwinBlock(
        8, 2, (3, 5), (9, 15), shifted=True
    )  # a window that no other test uses: positions are kept
    with torch.inference_mode():
        block(noise(1, 9, 15, 8))
    block(noise(1, 9, 15, 8)).sum().backward()
    assert block.attention.bias[0].weight.grad is not None


def test_windows_must_divide_the_grid():
    with pytest.raises(ValueError, match="does not divide"):
        SwinBlock(8, 2, (3, 8), SHAPE, False)


def forecaster(**sizes):
    sizes = {"patch": 2, "width": 16, "blocks": 2, "heads": 2, "window": (2, 4), **sizes}
    return Forecaster(3, 4, SHAPE, noise(2, *SHAPE), torch.full((3, 1, 1), 0.5), **sizes)


def test_an_untrained_forecaster_persists():
    states = noise(2, 2, 3, *SHAPE)
    out = forecaster()(states, torch.tensor([1.0, 200.0]), torch.tensor([0.0, 12.0]))
    assert out.shape == (2, 4, *SHAPE)
    torch.testing.assert_close(out[:, :3], states[:, 1])
    assert not out[:, 3].any()


def test_forecaster_uses_both_frames_and_the_time():
    model, states = awake(forecaster()), noise(1, 2, 3, *SHAPE)
    day, hour = torch.tensor([10.0]), torch.tensor([0.0])
    reference = model(states, day, hour)
    other = states.clone()
    other[:, 0] += 1
    assert not torch.allclose(model(other, day, hour), reference)
    assert not torch.allclose(model(states, day + 100, hour), reference)


def test_grid_must_divide_into_patches():
    with pytest.raises(ValueError, match="not divisible"):
        forecaster(patch=3)


def pillar_encoder(states=3):
    encoder = PillarEncoder(2, states, 8, -3, noise(2, *SHAPE, seed=9), torch.arange(states), 4)
    torch.nn.init.normal_(encoder.retrieve.weight, generator=torch.Generator().manual_seed(1))
    return encoder


def guess(batch=2, states=3):
    return noise(batch, 3, states, *SHAPE, seed=5)


def anomaly(batch=2, states=3):
    return noise(batch, states, *SHAPE, seed=6)


def some(footprints, chosen):
    return FootprintBatch(
        *(getattr(footprints, name)[chosen] for name in footprints.__dataclass_fields__)
    )


def test_pillars_average_what_shares_a_cell():
    encoder, both = pillar_encoder(), footprints()
    made = encoder(both, guess(), anomaly())
    assert made.mask.flatten(1).sum(1).tolist() == [1, 1]
    first, second = (encoder(some(both, [i]), guess(), anomaly()) for i in (0, 1))
    torch.testing.assert_close(made.features[0], 0.5 * (first.features + second.features)[0])
    torch.testing.assert_close(made.increment[0], 0.5 * (first.increment + second.increment)[0])


def test_columns_are_taken_at_the_time_of_the_footprint():
    states = torch.stack([torch.full((1, *SHAPE), value) for value in (0.0, 6.0, 18.0)])[None]
    one = FootprintBatch(
        torch.zeros(8, dtype=int),
        torch.arange(8),
        torch.zeros(8, dtype=int),
        noise(8, 1),
        torch.zeros(8),
        torch.zeros(8, 2),
    )
    at = columns_at_footprints(one, states, -3).flatten()
    assert at.tolist() == pytest.approx(
        [6 - 2.5, 6 - 1.5, 6 - 0.5, 6 + 1, 6 + 3, 6 + 5, 6 + 7, 6 + 9]
    )


def test_columns_are_taken_at_the_place_of_the_footprint():
    rows, cols = torch.meshgrid(torch.arange(8.0), torch.arange(16.0), indexing="ij")
    states = (100 - 10 * rows + cols).expand(1, 3, 1, *SHAPE)
    cell = torch.tensor([3 * 16 + 5, 3 * 16 + 5, 0, 16])
    offset = torch.tensor([[0.2, 0.4], [-0.5, -0.1], [0.3, 0.0], [0.0, -0.5]])
    one = FootprintBatch(
        torch.zeros(4, dtype=int), torch.full((4,), 3), cell, noise(4, 1), torch.zeros(4), offset
    )
    wanted = [
        75 + 2 + 0.4,
        75 - 5 - 0.1,
        100.0,
        90 + 0.5 * 15,
    ]  # no row beyond the pole; the date line is crossed
    assert columns_at_footprints(one, states, -3).flatten().tolist() == pytest.approx(
        wanted, abs=1e-4
    )


def test_columns_are_the_same_whatever_lies_side_by_side_in_memory():
    states = noise(2, 3, 5, *SHAPE)
    laid_out = states_together(states)
    assert laid_out.shape == states.shape
    assert laid_out.stride(2) == 1
    found = footprints(cells=(3, 127, 40))
    found.offset = noise(3, 2).clamp(-0.5, 0.5)
    assert torch.equal(
        columns_at_footprints(found, laid_out, -3), columns_at_footprints(found, states, -3)
    )


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_steady_state_is_the_same_at_all_hours():
    found, state = footprints(cells=(3, 127, 40)), noise(2, 1, 5, *SHAPE)
    found.offset, found.slot = noise(3, 2).clamp(-0.5, 0.5), torch.tensor([0, 3, 7])
    torch.testing.assert_close(
        columns_at_footprints(found, state, -3),
        columns_at_footprints(found, state.expand(-1, 3, -1, -1, -1), -3),
    )


def test_no_footprints_have_no_columns():
    states = noise(2, 3, 5, *SHAPE).requires_grad_()
    none = columns_at_footprints(some(footprints(), []), states, -3)
    assert none.shape == (0, 5)
    none.sum().backward()
    assert not states.grad.any()


def test_gradients_are_the_same_every_time(two_threads):
    """Footprints that share cells add to the same gradients, from several threads."""
    count, states = 6000, 40
    encoder, random = pillar_encoder(states), torch.Generator().manual_seed(3)
    for weight in (encoder.equivalent, encoder.relax.weight):
        torch.nn.init.normal_(weight, std=0.01, generator=random)
    crowded = FootprintBatch(
        torch.zeros(count, dtype=int),
        torch.randint(8, (count,), generator=random),
        torch.randint(128, (count,), generator=random),
        noise(count, 2),
        torch.zeros(count),
        noise(count, 2).clamp(-0.5, 0.5),
    )
    fields = [states_together(field(1, states)).requires_grad_() for field in (guess, anomaly)]

    def gradients():
        made = encoder(crowded, *fields)
        return torch.autograd.grad(
            made.features.square().sum() + made.increment.square().sum(), fields
        )

    first = gradients()
    for _ in range(5):
        assert all(torch.equal(a, b) for a, b in zip(first, gradients(), strict=True))


def test_departures_by_hand():
    encoder = PillarEncoder(1, 1, 8, 0, torch.full((1, *SHAPE), 0.5), torch.arange(1), 4)
    with torch.no_grad():
        encoder.modes.fill_(0.5)
        encoder.equivalent.copy_(torch.tensor([[2.0, 1.0, 4.0, 0.4, 0.2, 0.0, 0.0, 0.0, 3.0, 0.5]]))
        encoder.scale.fill_(4.0)
    values = torch.tensor([[10.0], [math.nan]])
    both = FootprintBatch(
        torch.zeros(2, dtype=int),
        torch.zeros(2, dtype=int),
        torch.full((2,), 7),
        values,
        torch.tensor([60.0, 0.0]),
        torch.zeros(2, 2),
    )
    found = encoder.departures(both, torch.full((1, 3, 1, *SHAPE), 3.0)).flatten()
    column = 2 * 3 + 3 + 4 * 3 * 0.5
    mode = 0.4 * 1.5**2 + 0.2 * 1.5
    assert found.tolist() == pytest.approx(
        [(10 - column - mode - 3 * 0.5 - 0.5) / 4, 0.0], abs=1e-5
    )


def test_a_missing_channel_is_not_a_zero():
    encoder = pillar_encoder()
    measured, missing = footprints(), footprints()
    measured.values[:, 0] = 0
    missing.values[:, 0] = float("nan")
    assert torch.isfinite(encoder(missing, guess(), anomaly()).features).all()
    features = [encoder(found, guess(), anomaly()).features for found in (measured, missing)]
    assert not torch.allclose(*features)


def assimilator(names=("a", "b"), **size):
    sources = {name: SourceShape(2, -3, 5) for name in names}
    return awake(
        Assimilator(
            3,
            SHAPE,
            noise(2, *SHAPE),
            torch.ones(3, 1, 1),
            torch.arange(3),
            sources,
            width=8,
            scales=2,
            blocks=1,
            **size,
        )
    )


NORMAL = noise(2, 3, *SHAPE, seed=7)
TIMES = (torch.tensor([1.0, 2.0]), torch.tensor([0.0, 6.0]))


def test_an_untrained_assimilator_keeps_the_background():
    model = Assimilator(
        3,
        SHAPE,
        noise(2, *SHAPE),
        torch.ones(3, 1, 1),
        torch.arange(3),
        {},
        width=8,
        scales=2,
        blocks=1,
    )
    first_guess = guess()
    torch.testing.assert_close(model(first_guess, NORMAL, {}, *TIMES), first_guess[:, 1])


def test_an_untrained_assimilator_adds_nothing_to_a_first_increment_that_is_given():
    model = Assimilator(
        3,
        SHAPE,
        noise(2, *SHAPE),
        torch.full((3, 1, 1), 0.5),
        torch.arange(3),
        {"a": SourceShape(2, -3, 5)},
        width=8,
        scales=2,
        blocks=1,
        first_increment=True,
    )
    increment, first_guess = noise(2, 3, *SHAPE, seed=8), guess()
    analysis = model(first_guess, NORMAL, {"a": footprints()}, *TIMES, increment)
    torch.testing.assert_close(analysis, first_guess[:, 1] + increment)


def test_the_network_sees_the_first_increment():
    model, first_guess = assimilator(first_increment=True), guess()
    torch.nn.init.normal_(model.head.weight)
    increment = noise(2, 3, *SHAPE, seed=8)
    learnt = [
        model(first_guess, NORMAL, {}, *TIMES, one) - first_guess[:, 1] - one
        for one in (increment, 2 * increment)
    ]
    assert (learnt[0] - learnt[1]).abs().max() > 1e-3


@pytest.mark.parametrize("source_width", [None, 4])
def test_missing_sources_have_no_effect(source_width):
    model, first_guess = assimilator(source_width=source_width), guess()
    alone = model(first_guess, NORMAL, {"a": footprints()}, *TIMES)
    nothing = footprints().kept(torch.tensor([False, False]))
    torch.testing.assert_close(
        model(first_guess, NORMAL, {"a": footprints(), "b": nothing}, *TIMES), alone
    )
    assert not torch.allclose(model(first_guess, NORMAL, {"b": footprints()}, *TIMES), alone)


@pytest.mark.parametrize("source_width", [None, 4])
def test_a_window_without_observations_is_the_background_branch_alone(source_width):
    model, first_guess = assimilator(source_width=source_width), guess()
    first = footprints().kept(torch.tensor([True, False]))
    both = model(first_guess, NORMAL, {"a": first}, *TIMES)
    torch.testing.assert_close(both[1], model(first_guess, NORMAL, {}, *TIMES)[1])
    assert not torch.allclose(both[0], model(first_guess, NORMAL, {}, *TIMES)[0])


def test_narrow_source_encoders_leave_the_rest_as_it_is():
    counts = {
        width: {
            part: parameter_count(getattr(assimilator(source_width=width), part))
            for part in ("encoder", "branches", "fuse", "ups")
        }
        for width in (None, 8, 4)
    }
    assert counts[None] == counts[8]
    assert {**counts[4], "branches": 0} == {**counts[8], "branches": 0}
    assert counts[4]["branches"] < counts[8]["branches"] / 2


def test_observed_cells_relax_towards_climatology():
    model = Assimilator(
        3,
        SHAPE,
        noise(2, *SHAPE),
        torch.ones(3, 1, 1),
        torch.arange(3),
        {"a": SourceShape(2, -3, 5)},
        width=8,
        scales=2,
        blocks=1,
    )
    with torch.no_grad():
        model.branches["a"].pillars.relax.weight.copy_(-0.25 * torch.eye(3))
    first_guess = guess()
    increment = model(first_guess, NORMAL, {"a": footprints()}, *TIMES) - first_guess[:, 1]
    expected = -0.25 * (first_guess[:, 1] - NORMAL)
    torch.testing.assert_close(increment[0].flatten(1)[:, 3], expected[0].flatten(1)[:, 3])
    assert increment[0].flatten(1)[:, 4].abs().max() == 0


def test_several_platforms_are_told_apart():
    encoder = PillarEncoder(2, 3, 8, -3, noise(2, *SHAPE, seed=9), torch.arange(3), 4, platforms=2)
    alone = PillarEncoder(2, 3, 8, -3, noise(2, *SHAPE, seed=9), torch.arange(3), 4)
    assert encoder.encode[0].in_features == alone.encode[0].in_features + 2
    found = {}
    for platform in (0, 1, -1):
        seen = replace(footprints(), platform=torch.full((3,), platform))
        found[platform] = encoder(seen, guess(), anomaly()).features
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[0], found[-1])
    with torch.no_grad():
        encoder.encode[0].weight[:, -2] = 0  # the first platform's column
    seen = replace(footprints(), platform=torch.zeros(3, dtype=int))
    torch.testing.assert_close(encoder(seen, guess(), anomaly()).features, found[-1])


def test_a_single_platform_needs_no_input():
    encoder, other = pillar_encoder(), replace(footprints(), platform=torch.full((3,), -1))
    features = [encoder(found, guess(), anomaly()).features for found in (footprints(), other)]
    torch.testing.assert_close(*features, atol=0, rtol=0)


def test_unknown_sources_are_refused():
    with pytest.raises(KeyError, match="known: \\['a', 'b'\\]"):
        assimilator()(guess(), NORMAL, {"c": footprints()}, *TIMES)


def test_gradients_are_finite_in_bfloat16():
    model, first_guess = assimilator().train(), guess()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(first_guess, NORMAL, {"a": footprints()}, *TIMES).square().mean()
    loss.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(g).all() for g in grads)


def normaliser():
    return Normaliser(
        ["T2M", "TP"], np.array([280.0, 0.5]), np.array([10.0, 0.25]), np.array([2.0, 0.1])
    )


def test_normaliser_by_hand_and_back():
    state = torch.tensor([290.0, 1.0]).view(1, 2, 1, 1)
    standard = normaliser()(state)
    assert standard.flatten().tolist() == pytest.approx([1.0, (np.log(2.0) - 0.5) / 0.25], rel=1e-5)
    torch.testing.assert_close(normaliser().physical(standard), state)


def test_normaliser_takes_states_without_precipitation():
    state = torch.full((1, 1, 2, 2), 270.0)
    assert normaliser()(state).flatten().tolist() == [-1.0] * 4
    torch.testing.assert_close(normaliser().physical(normaliser()(state)), state)


def test_precipitation_is_never_negative():
    assert normaliser().physical(torch.full((1, 2, 1, 1), -9.0))[0, 1].item() == 0


def test_a_constant_channel_is_refused():
    with pytest.raises(ValueError, match="T2M do not vary"):
        Normaliser(["T2M"], np.zeros(1), np.zeros(1), np.ones(1))
