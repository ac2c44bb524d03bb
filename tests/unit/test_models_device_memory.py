"""Memory of GPUs: what autograd keeps, and which settings make a stage fit."""

import pytest
import torch

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.models import device_memory

GRID = (16, 32)
EXPERIMENT = load_configuration(ROOT / "config" / "test.yaml").resolve("full")


def changed(stage, **settings):
    training = EXPERIMENT.training
    updated = getattr(training, stage).model_copy(update=settings)
    return EXPERIMENT.model_copy(update={"training": training.model_copy(update={stage: updated})})


def gb(stage, **settings):
    return device_memory.device_gb(changed(stage, **settings), stage, GRID)


def test_a_layer_keeps_its_input_once_and_not_its_weights():
    layer = torch.nn.Linear(5, 7, device="meta")
    x = torch.zeros(3, 5, device="meta")
    assert device_memory.kept_bytes(layer, lambda: layer(x).sum()) == 3 * 5 * 4
    assert device_memory.kept_bytes(layer, lambda: (layer(x) + layer(x)).sum()) == 3 * 5 * 4


def test_counts_are_those_of_the_networks():
    counts = device_memory.count_networks(EXPERIMENT.model, GRID)
    assert counts.forecaster == 120_796
    assert counts.assimilator == 22_029
    assert counts.assimilator + counts.branch == 42_548
    assert 0 < counts.step[1] < counts.step[0]
    with_source = [one + more for one, more in zip(counts.analysis, counts.source, strict=True)]
    assert 0 < with_source[1] < with_source[0]
    # what a source keeps is made again, so that memory does not grow with their number
    assert counts.source[1] < 0.1 * counts.source[0]


def test_memory_grows_with_samples_and_steps_and_shrinks_with_both_settings():
    assert gb("autoregressive", batch=2) > gb("autoregressive", batch=1)
    assert gb("autoregressive", steps=6) > gb("autoregressive", steps=3)
    assert gb("autoregressive", truncation=1) < gb("autoregressive")
    assert gb("joint", recompute=True) < gb("joint")
    assert gb("joint", truncation=1) < gb("joint")


def test_a_forecaster_that_is_trained_has_gradients_and_moments():
    settings = {"background_weight": 0.0, "forecast_steps": 1}
    frozen = gb("joint", frozen_forecaster=True, **settings)
    each = 12 + 4 * bool(EXPERIMENT.training.joint.ema)
    moments = each * device_memory.count_networks(EXPERIMENT.model, GRID).forecaster
    assert gb("joint", **settings) - frozen == pytest.approx(moments / device_memory.GB)
    # without forecasts in the loss it has none
    assert gb("joint", background_weight=0.0) < frozen


def test_the_least_change_that_fits_is_found():
    most = gb("autoregressive")
    assert device_memory.way_to_fit(EXPERIMENT, "autoregressive", GRID, most) == ({}, most)
    recomputed = gb("autoregressive", recompute=True)
    assert device_memory.way_to_fit(EXPERIMENT, "autoregressive", GRID, recomputed) == (
        {"recompute": True},
        recomputed,
    )
    truncated = gb("autoregressive", recompute=True, truncation=1)
    settings, needed = device_memory.way_to_fit(EXPERIMENT, "autoregressive", GRID, truncated)
    assert settings == {"recompute": True, "truncation": 1}
    assert needed == truncated
    shared, _ = device_memory.way_to_fit(EXPERIMENT, "autoregressive", GRID, truncated - 1e-4)
    assert shared["strategy"] == "fsdp"
    assert shared["devices"] > 1
    assert device_memory.way_to_fit(EXPERIMENT, "joint", GRID, 1.0) is None


@pytest.mark.parametrize("stage", ["forecaster", "assimilator", "joint", "autoregressive"])
def test_no_stage_takes_less_than_its_weights(stage):
    counts = device_memory.count_networks(EXPERIMENT.model, GRID)
    assert gb(stage) > device_memory.WORKSPACE_GB + 4e-9 * counts.forecaster
