"""Checkpoints read for training and for running."""

import pytest
import torch

from fuxiflow.models import checkpoint
from fuxiflow.models.forecaster import Forecaster
from fuxiflow.models.swin import SwinBlock
from tests.support import tiny


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    networks = tiny.networks(tiny.record(directory))
    with torch.no_grad():
        networks.forecaster.head.weight.normal_()
    checkpoint.save_checkpoint(
        directory / "joint.ckpt", checkpoint.Checkpoint(networks, [{"stage": "joint"}])
    )
    return networks, directory / "joint.ckpt"


def test_networks_that_only_run_are_those_that_train(stored):
    networks, path = stored
    trained, run = (
        checkpoint.load_checkpoint(path, drawn=drawn).networks.eval() for drawn in (True, False)
    )
    assert all(tensor.device.type == "cpu" for tensor in [*run.parameters(), *run.buffers()])
    assert [p.requires_grad for p in run.parameters()] == [
        p.requires_grad for p in trained.parameters()
    ]
    states = torch.randn(2, 1, networks.analysed, *tiny.GRID.shape)
    with torch.inference_mode():
        found = [made.forecast(*states, tiny.times(1)) for made in (networks.eval(), trained, run)]
    torch.testing.assert_close(found[1], found[0], atol=0, rtol=0)
    torch.testing.assert_close(found[2], found[0], atol=0, rtol=0)


def test_reading_to_run_draws_nothing(stored):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    checkpoint.load_checkpoint(stored[1], drawn=False)
    assert torch.equal(torch.get_rng_state(), before)
    checkpoint.load_checkpoint(stored[1])
    assert not torch.equal(torch.get_rng_state(), before)


def test_what_no_checkpoint_holds_is_there_without_weights():
    with torch.device("meta"):
        block = SwinBlock(8, 2, (4, 8), (8, 16), True)
        model = Forecaster(
            3,
            4,
            (8, 16),
            torch.zeros(2, 8, 16),
            torch.ones(3, 1, 1),
            patch=2,
            width=8,
            blocks=2,
            heads=2,
            window=(1, 2),
        )
    assert block.mask.device.type == block.attention.offsets.device.type == "cpu"
    kept = {name for name, buffer in model.named_buffers() if buffer.device.type == "cpu"}
    assert not kept & set(model.state_dict())
