"""Sizes of the networks: names and numbers, parameters at FuXi's scale, and what fits a grid."""

import pytest
import torch

from benchmarks.accelerator import TIME, Actions, count, networks
from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.network_sizes import (
    ASSIMILATORS,
    FORECASTERS,
    Model,
    analysis_flop,
    forecast_flop,
    forecaster_weights_mb,
    size_misfit,
)
from fuxiflow.models.forecaster import Forecaster
from fuxiflow.models.networks import parameter_count


def test_fuxi_has_one_and_a_half_billion_parameters():
    with torch.device("meta"):
        statics = torch.zeros(6, 720, 1440)
        model = Forecaster(
            69, 70, (720, 1440), statics, torch.ones(69, 1, 1), **FORECASTERS["fuxi"]
        )
    assert parameter_count(model) == pytest.approx(1.5e9, rel=0.03)
    assert forecaster_weights_mb(FORECASTERS["fuxi"]) == pytest.approx(
        4e-6 * parameter_count(model), rel=0.03
    )
    assert len(model.blocks) == 48
    assert model.position.shape == (1, 90, 180, 1536)
    assert model.embed.kernel_size == (2, 4, 4)


def test_a_block_has_the_parameters_counted_by_hand():
    size, d, tokens = FORECASTERS["tiny"], 32, 4 * 8
    with torch.device("meta"):
        model = Forecaster(3, 4, (16, 32), torch.zeros(2, 16, 32), torch.ones(3, 1, 1), **size)
    bias = (
        2 * 128 + 128 + 128 * 2
    )  # two layers of the position bias, the second without one of its own
    attention = 3 * d * d + 3 * d + d * d + d + 2 + bias
    mlp = 4 * d * d + 4 * d + 4 * d * d + d
    assert parameter_count(model.blocks[0]) == attention + mlp + 2 * 2 * d
    assert model.position.numel() == tokens * d


def test_names_and_numbers_are_the_same_to_a_model():
    named = Model(forecaster="small", assimilator="small")
    demo = load_configuration(ROOT / "config" / "demo.yaml").experiment.model
    assert named == demo
    assert Model(forecaster=dict(FORECASTERS["tiny"])) == Model(forecaster="tiny")
    assert load_configuration(ROOT / "config" / "paper.yaml").experiment.model == Model(
        forecaster="fuxi", assimilator="fuxi"
    )


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError,
        match="unknown size 'huge', allowed: fuxi, small, tiny, or the numbers themselves",
    ):
        Model(forecaster="huge")


@pytest.mark.parametrize(
    ("grid", "name"), [((720, 1440), "fuxi"), ((32, 64), "small"), ((16, 32), "tiny")]
)
def test_named_sizes_fit_their_grids(grid, name):
    assert size_misfit(*grid, FORECASTERS[name], ASSIMILATORS[name]) is None


@pytest.mark.parametrize(
    ("grid", "forecaster", "assimilator", "words"),
    [
        ((30, 64), {}, {}, ["forecaster.patch: 2", "30 x 64"]),
        ((40, 64), {}, {}, ["forecaster.window: [4, 4]", "10 x 16 tokens"]),
        ((16, 32), {"heads": 3}, {}, ["forecaster.heads: 3", "divisors of width, 32"]),
        ((16, 32), {}, {"scales": 6}, ["assimilator.scales: 6", "16 x 32"]),
    ],
)
def test_what_does_not_fit_is_named(grid, forecaster, assimilator, words):
    message = size_misfit(
        *grid, FORECASTERS["tiny"] | forecaster, ASSIMILATORS["tiny"] | assimilator
    )
    assert all(word in message for word in words), message


def test_operations_are_those_that_torch_counts():
    # docs/studies/performance.md: counted on the meta device
    cells = 720 * 1440
    assert forecast_flop(FORECASTERS["fuxi"], cells) == pytest.approx(53.5e12, rel=0.02)
    assert analysis_flop(ASSIMILATORS["fuxi"], cells, 1) == pytest.approx(4.71e12, rel=0.02)
    made = networks("tiny", 1, torch.device("meta"))
    states = Actions(made).states(1, 2)
    counted = count(lambda: made.forecast(states[:, 0], states[:, 1], TIME))
    assert forecast_flop(FORECASTERS["tiny"], 16 * 32) == pytest.approx(counted, rel=0.1)
