"""Losses of forecasts from analyses, and analyses without a background."""

import numpy as np
import pytest
import torch

from fuxiflow.config.training import AssimilatorStage, JointStage, ReplayStage
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import plans, samples
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.plans import Unrolling
from tests.support import tiny

OPTIMISATION = {"updates": 9, "batch": 2, "learning_rate": 1.0}
TIME = tiny.times(40)[12]


@pytest.fixture
def shaken(networks):
    """Networks without a zero weight, so that every path carries gradients."""
    generator = torch.Generator().manual_seed(1)
    for parameter in networks.parameters():
        if not parameter.any():
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return networks


def batch_of(record, networks, *requests):
    archive = samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )
    designs, standardise = networks.design.sources, networks.standardise
    return samples.Batches(archive, lambda step: list(requests), designs, standardise)[0]


def test_forecasts_of_an_analysis_count_by_their_mean(record, shaken):
    batch = batch_of(record, shaken, samples.Request(TIME, 1, 1, ahead=3))
    assert batch.targets.shape[1] == 4
    objective = CycleObjective(shaken, Unrolling(forecast_steps=3, forecast_weight=0.5))
    terms = tiny.terms(objective, batch)

    states = []
    forecast = shaken.forecast
    shaken.forecast = lambda *args: states.append(forecast(*args)) or states[-1]
    tiny.terms(objective, batch)
    # one leads to the background and one is part of the first guess
    assert len(states) == 2 + 3
    targets = shaken.normaliser(batch.targets)
    losses = [
        objective.state_loss(state, targets[:, i]) for i, state in enumerate(states[2:], start=1)
    ]
    assert terms["forecasts"].item() == pytest.approx(torch.stack(losses).mean().item())
    expected = terms["analysis"] + 0.5 * terms["forecasts"]
    assert terms["loss"].item() == pytest.approx(expected.item())
    # the first of them is the background of the next cycle, whose loss has no weight here
    plain = tiny.terms(CycleObjective(shaken, Unrolling()), batch)
    assert "forecasts" not in plain
    assert plain["analysis"].item() == terms["analysis"].item()


def test_a_frozen_forecaster_hands_gradients_on_and_keeps_none(record, shaken):
    shaken.train_only(forecaster=False, assimilator=True)
    batch = batch_of(record, shaken, samples.Request(TIME, 1, 1, ahead=2))
    # the last forecast alone has a target
    batch.targets[:, :-1] = float("nan")
    values = batch.observations[0][tiny.SOURCE].values.requires_grad_()
    objective = CycleObjective(shaken, Unrolling(forecast_steps=2))
    tiny.terms(objective, batch)["loss"].backward()
    assert values.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in shaken.forecaster.parameters())


def test_samples_reach_to_the_last_forecast_of_the_last_analysis():
    assert AssimilatorStage(**OPTIMISATION).reach == 1
    assert AssimilatorStage(**OPTIMISATION, forecast_steps=10).reach == 10
    joint = JointStage(**OPTIMISATION, cycles=4, chain=2, forecast_steps=3)
    assert joint.reach == 4 * 2 + 2
    assert ReplayStage(**OPTIMISATION, forecast_steps=10).steps == (9, 10)
    plan = plans.cycle_plan("joint", tiny.times(9), joint, Unrolling.of(joint), seed=1)
    assert all(len(request.target_times) == 4 + 3 for request in plan(0))


def test_without_a_background_every_analysis_starts_from_the_climatology(record, shaken):
    stage = JointStage(**OPTIMISATION, cycles=2, climatology_shift_days=20, cold_fraction=0.0)
    plan = plans.cycle_plan(
        "joint", tiny.times(30)[8:], stage, Unrolling.of(stage), seed=5, from_climatology=True
    )
    requests = plan(3)
    assert all((r.cold, r.lead, r.from_climatology) == (True, 0, True) for r in requests)
    assert any(request.shift for request in requests)
    batch = batch_of(record, shaken, *requests)
    guesses = []
    guess = shaken.guess
    shaken.guess = lambda *args: guesses.append(args[:3]) or guess(*args)
    unrolling = Unrolling(2, background_weight=1.0)
    terms = tiny.terms(CycleObjective(shaken, unrolling, from_climatology=True), batch)
    climatology = Climatology.read(record.climatology)
    for i, states in enumerate(guesses):
        previous, background, normal = (shaken.normaliser.physical(state) for state in states)
        torch.testing.assert_close(background, normal)
        for place, request in enumerate(requests):
            time = request.start + tiny.STEP * i + np.timedelta64(request.shift, "D")
            for state, when in ((previous, time - tiny.STEP), (background, time)):
                expected = climatology.at(when)[:69]
                np.testing.assert_allclose(
                    state[place].detach(), expected, rtol=1e-4, atol=1e-2 * np.abs(expected).max()
                )
    # a forecast starts from two analyses: that of the second alone has a loss
    targets = shaken.normaliser(batch.targets)
    states = []
    forecast = shaken.forecast
    shaken.forecast = lambda *args: states.append((*args, forecast(*args))) or states[-1][-1]
    objective = CycleObjective(shaken, unrolling, from_climatology=True)
    tiny.terms(objective, batch)
    *_, following = states[-1]
    assert len(states) == 2 + 1
    expected = objective.state_loss(following, targets[:, 2])
    assert terms["background"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms["loss"].item() == pytest.approx((terms["analysis"] + expected).item(), rel=1e-6)


def test_both_analyses_of_a_forecast_without_backgrounds_get_gradients(record, shaken):
    request = samples.Request(TIME, 0, 2, cold=True, from_climatology=True)
    batch = batch_of(record, shaken, request)
    batch.targets[:, :-1] = float("nan")
    values = [window[tiny.SOURCE].values.requires_grad_() for window in batch.observations]
    unrolling = Unrolling(2, background_weight=1.0)
    tiny.terms(CycleObjective(shaken, unrolling, from_climatology=True), batch)["loss"].backward()
    assert all(value.grad.abs().sum() > 0 for value in values)
    # with a span for each analysis, the second alone
    cut = batch_of(record, shaken, request)
    values = [window[tiny.SOURCE].values.requires_grad_() for window in cut.observations]
    unrolling = Unrolling(2, background_weight=1.0, truncation=1)
    objective = CycleObjective(shaken, unrolling, from_climatology=True)
    carried, total = None, 0.0
    for span in objective.spans(cut):
        terms, carried = objective.loss(cut, span, carried)
        total += terms["loss"].item()
    whole = tiny.terms(
        CycleObjective(shaken, Unrolling(2, background_weight=1.0), from_climatology=True), cut
    )
    assert total == pytest.approx(whole["loss"].item(), rel=1e-6)
