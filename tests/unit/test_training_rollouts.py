"""Errors for the forecaster's first frames."""

import pytest
import torch

from fuxiflow.config.training import AutoregressiveStage
from fuxiflow.training import plans, samples
from fuxiflow.training.rollouts import RolloutObjective, perturb, perturbation
from tests.support import tiny

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


class Kept:
    """A tensor that autograd keeps, and the bytes of all that are kept at a time."""

    now = most = 0

    def __init__(self, tensor):
        self.tensor = tensor
        Kept.now += tensor.nbytes
        Kept.most = max(Kept.most, Kept.now)

    def __del__(self):
        Kept.now -= self.tensor.nbytes


def most_kept(record, steps, truncation=None, recompute=False):
    """The most bytes that the gradient of an update of stage 4 keeps at a time."""
    networks = tiny.networks(record)
    networks.train_only(forecaster=True, assimilator=False)
    networks.forecaster.recompute = recompute
    stage = AutoregressiveStage(updates=steps, batch=1, learning_rate=1e-3, steps=steps)
    plan = plans.rollout_plan("autoregressive", tiny.times(40)[4:28], stage, 0)
    archive = samples.Archive(record.states, {})
    batch = samples.Batches(archive, plan, {}, networks.standardise)[steps - 1]
    objective = RolloutObjective(networks, truncation=truncation)
    assert batch.lead == steps
    Kept.now = Kept.most = 0
    carried = None
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        for span in objective.spans(batch):
            terms, carried = objective.loss(batch, span, carried)
            terms["loss"].backward()
            del terms
            assert Kept.now == 0
    return Kept.most


def test_truncation_and_recomputation_bound_what_the_gradient_keeps(record, monkeypatch):
    monkeypatch.setitem(tiny.MODEL["forecaster"], "blocks", 6)
    two, six = most_kept(record, 2), most_kept(record, 6)
    assert six > 2.5 * two
    assert most_kept(record, 6, truncation=2) < 1.1 * two
    # only the inputs of blocks are kept, and those of one block computed again at a time
    assert most_kept(record, 6, recompute=True) < 0.5 * six
