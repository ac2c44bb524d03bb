"""Errors for the forecaster's first frames."""

import pytest
import torch

from fuxiflow.training.rollouts import perturb, perturbation

SHAPE = (5, 16, 32)


def test_draws_depend_on_their_seed_alone():
    assert torch.equal(perturbation(SHAPE, 2.0, 7), perturbation(SHAPE, 2.0, 7))
    assert not torch.equal(perturbation(SHAPE, 2.0, 7), perturbation(SHAPE, 2.0, 8))
    assert torch.allclose(perturbation(SHAPE, 4.0, 7), 2 * perturbation(SHAPE, 2.0, 7))


def test_amplitudes_stay_below_the_largest_and_small_ones_are_common():
    sizes = torch.tensor(
        [perturbation(SHAPE, 3.0, seed).square().mean().sqrt() for seed in range(200)]
    )
    assert sizes.max() < 3.0
    assert sizes.median() < 0.5 * sizes.max()


def test_channels_are_disturbed_independently():
    fields = torch.stack([perturbation((2, 32, 64), 1.0, seed).flatten(1) for seed in range(40)])
    fields = fields / fields.std(-1, keepdim=True)
    correlation = (fields[:, 0] * fields[:, 1]).mean(-1)
    assert abs(correlation.mean()) < 0.1


def test_small_grids_have_one_scale():
    assert perturbation((1, 3, 4), 1.0, 0).shape == (1, 3, 4)


def test_both_frames_of_chosen_samples_get_the_same_error():
    first, tendency = torch.zeros(2, 2, *SHAPE), torch.arange(1.0, 6.0)[:, None, None]
    disturbed = perturb(first, tendency, 2.0, [None, 3])
    assert not disturbed[0].any()
    assert torch.equal(disturbed[1, 0], disturbed[1, 1])
    assert torch.allclose(disturbed[1, 0], perturbation(SHAPE, 2.0, 3) * tendency)
    assert disturbed[1, 0, 0].mean().item() == pytest.approx(0, abs=2)
