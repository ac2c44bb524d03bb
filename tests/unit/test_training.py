import logging
import math

import numpy as np
import pytest
import torch

from fuxiflow.channels import channel_table
from fuxiflow.config.training import (
    AssimilatorStage,
    AutoregressiveStage,
    ForecasterStage,
    JointStage,
    Optimisation,
)
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import calendar
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import cycles, samples, stages
from fuxiflow.training.loop import Run, TrainingError, learning_rate, train
from fuxiflow.training.losses import StateLoss
from fuxiflow.training.parallel import Share, make_fabric
from tests import tiny

LOG = logging.getLogger("test")


def archive(record):
    return samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )


def optimisation(**values):
    return Optimisation(**{"updates": 6, "batch": 2, "learning_rate": 1e-3, **values})


def test_learning_rate_warms_up_and_falls_to_zero():
    stage = optimisation(updates=100, warmup=0.1, learning_rate=1.0)
    assert [learning_rate(step, stage) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert learning_rate(55, stage) == pytest.approx(0.5)
    assert learning_rate(100, stage) == pytest.approx(0.0)
    constant = optimisation(updates=100, warmup=0.1, learning_rate=1.0, schedule="constant")
    assert [learning_rate(step, constant) for step in (4, 9, 55, 99)] == pytest.approx(
        [0.5, 1.0, 1.0, 1.0]
    )


def test_state_loss_by_hand():
    grid = Grid(2, 4)
    loss = StateLoss(["T2M", "MSL"], grid, torch.tensor([0.5, 2.0]))
    state = torch.zeros(1, 2, 2, 4)
    target = torch.stack([torch.full((2, 4), 1.0), torch.full((2, 4), 4.0)])[None]
    weights = np.array([channel_table()["T2M"].loss_weight, channel_table()["MSL"].loss_weight])
    expected = np.mean(weights / weights.mean() * np.array([1 / 0.5, 4 / 2.0]))
    assert loss(state, target).item() == pytest.approx(expected)


def test_state_loss_weighs_latitudes_by_area_and_skips_missing_values():
    grid = Grid(4, 2)
    loss = StateLoss(["T2M"], grid, torch.ones(1))
    target = torch.zeros(1, 1, 4, 2)
    pole, equator = target.clone(), target.clone()
    pole[..., 0, :] = 1
    equator[..., 1, :] = 1
    ratio = loss(target, pole) / loss(target, equator)
    assert ratio.item() == pytest.approx(grid.area_weights[0] / grid.area_weights[1])
    assert loss(target, torch.full_like(target, float("nan"))) == 0
    assert loss(torch.full_like(target, float("nan")), target).isnan()


def test_calendar_counts_days_from_one():
    day, hour = calendar(np.array(["2022-01-01T06", "2020-12-31T18"], "datetime64[ns]"))
    assert day.tolist() == [1, 366]
    assert hour.tolist() == [6, 18]


def test_plans_depend_on_seed_and_step_alone():
    times = tiny.times(20)
    stage = JointStage(updates=9, batch=3, learning_rate=1, max_lead_hours=24, cycles=3)
    unrolling = stages.Unrolling(3)
    plan = stages.cycle_plan("joint", times, stage, unrolling, seed=5)
    assert plan(4) == stages.cycle_plan("joint", times, stage, unrolling, seed=5)(4)
    others = [plan(5), stages.cycle_plan("joint", times, stage, unrolling, seed=6)(4)]
    assert all(other != plan(4) for other in others)
    assert len({request.lead for request in plan(4)}) == 1


def test_chains_go_on_where_they_ended_and_begin_anew_by_turns():
    times = tiny.times(20)
    stage = JointStage(updates=9, batch=2, learning_rate=1, max_lead_hours=24, cold_fraction=0.5)
    plan = stages.cycle_plan("joint", times, stage, stages.Unrolling(3, chain=4), seed=5)
    assert not any(request.follows for request in plan(0))
    for step in range(1, 12):
        for before, request in zip(plan(step - 1), plan(step), strict=True):
            if request.follows:
                assert request.analysis_times[0] == before.target_times[-1]
                assert request.lead == 0
    fresh = [[not request.follows for request in plan(step)] for step in range(1, 9)]
    assert fresh == [[step % 4 == 0, step % 4 == 2] for step in range(1, 9)]


def test_the_climatology_of_a_chain_is_of_another_day(record):
    stage = JointStage(updates=9, batch=4, learning_rate=1, climatology_shift_days=20)
    plan = stages.cycle_plan("joint", tiny.times(20), stage, stages.Unrolling(1, chain=9), seed=5)
    assert [request.shift for request in plan(2)] == [request.shift for request in plan(1)]
    assert len({request.shift for request in plan(3)}) > 1
    time, found = tiny.times(40)[12], archive(record)
    shifted = found.normals(samples.Request(time, 0, 1, shift=5))[0]
    np.testing.assert_array_equal(shifted, found.climatology.at(time + np.timedelta64(5, "D")))


def test_a_batch_begins_where_the_one_before_ended(record, networks):
    requests = {
        0: [samples.Request(tiny.times(40)[12], 1, 2), samples.Request(tiny.times(40)[15], 1, 2)],
        1: [
            samples.Request(tiny.times(40)[15], 0, 2, follows=True),
            samples.Request(tiny.times(40)[20], 2, 2),
        ],
    }
    batches = samples.Batches(
        archive(record), requests.get, networks.design.sources, networks.standardise
    )
    objective = stages.Objective(networks)
    objective.cycle(batches[0], stages.Unrolling(2, chain=2, background_weight=1.0))
    ended, batch = objective.ends[0].clone(), batches[1]
    assert batch.first.shape[0] == 1
    assert batch.analysis.tolist() == [tiny.times(40)[15].item(), tiny.times(40)[22].item()]
    guess = objective.guess(batch)
    assert torch.equal(guess[0, :2], ended[:, 0])
    assert not torch.equal(guess[1, :2], ended[:, 1])


def test_all_processes_forecast_equally_often_where_weights_are_shared_out(
    record, networks, monkeypatch
):
    requests = [
        samples.Request(tiny.times(40)[14], 0, 1, follows=True),
        samples.Request(tiny.times(40)[12], 2, 1),
    ]
    calls, begun = [], []
    for rank in range(2):
        share = Share(rank, 2, together=True)
        batch = samples.Batches(
            archive(record),
            lambda _: requests,
            networks.design.sources,
            networks.standardise,
            share,
        )[0]
        objective = stages.Objective(networks, share)
        objective.ends[0] = torch.ones(2, 1, networks.analysed, *tiny.GRID.shape)
        forecast = networks.forecast
        count = []
        monkeypatch.setattr(
            networks, "forecast", lambda *a, f=forecast, c=count: c.append(1) or f(*a)
        )
        begun.append(objective.guess(batch)[0, :2])
        monkeypatch.setattr(networks, "forecast", forecast)
        calls.append(len(count))
    assert calls == [3, 3]
    assert (begun[0] == 1).all()
    assert not (begun[1] == 1).any()


def test_rollout_comes_last():
    stage = ForecasterStage(updates=10, batch=1, learning_rate=1, rollout=3, rollout_fraction=0.2)
    assert [stage.length(step) for step in range(10)] == [1] * 8 + [3] * 2


def test_long_rollouts_grow_in_equal_shares():
    stage = AutoregressiveStage(updates=9, batch=2, learning_rate=1, first_steps=2, steps=4)
    assert [stage.length(step) for step in range(9)] == [2] * 3 + [3] * 3 + [4] * 3
    plan = stages.rollout_plan("autoregressive", tiny.times(20), stage, 0)
    assert [{request.lead for request in plan(step)} for step in (0, 8)] == [{2}, {4}]
    assert plan(0) != stages.rollout_plan("forecaster", tiny.times(20), stage, 0)(0)


def test_some_first_states_are_disturbed():
    stage = ForecasterStage(updates=10, batch=40, learning_rate=1, noise=3.0, noise_fraction=0.25)
    plan = stages.rollout_plan("forecaster", tiny.times(20), stage, 0)
    seeds = [request.noise for step in range(10) for request in plan(step)]
    assert 50 < sum(seed is not None for seed in seeds) < 150
    assert plan(3) == stages.rollout_plan("forecaster", tiny.times(20), stage, 0)(3)
    calm = stages.rollout_plan(
        "forecaster", tiny.times(20), stage.model_copy(update={"noise": 0.0}), 0
    )
    assert all(request.noise is None for request in calm(0))


def test_requests_name_their_times():
    request = samples.Request(tiny.START, lead=2, cycles=2)
    assert request.analysis_times == [tiny.START + 2 * tiny.STEP, tiny.START + 3 * tiny.STEP]
    assert request.target_times[-1] == tiny.START + 4 * tiny.STEP
    forecast = samples.Request(tiny.START, lead=2, cycles=0)
    assert forecast.target_times == [tiny.START + tiny.STEP, tiny.START + 2 * tiny.STEP]


def test_batches_hold_what_was_asked_for(record, networks):
    time = tiny.times(40)[12]
    requests = [samples.Request(time, 1, 2), samples.Request(time, 1, 2, cold=True, masked=True)]
    batches = samples.Batches(
        archive(record), lambda step: requests, networks.design.sources, networks.standardise
    )
    batch = batches[0]
    np.testing.assert_array_equal(batch.first[0].numpy(), record.fields[11:13])
    np.testing.assert_array_equal(batch.targets[1].numpy(), record.fields[13:16])
    assert np.abs(batch.first[1].numpy() - record.fields[11:13]).max() > 0
    found = batch.observations[0][tiny.SOURCE]
    assert set(found.sample.tolist()) == {0}
    assert len(found) == 8 * 20
    assert found.slot.tolist() == sorted(found.slot.tolist())
    assert abs(found.values.mean().item()) < 0.2


def test_usable_times_have_their_neighbours(record):
    store = archive(record).states
    good = samples.usable(store, tiny.START, tiny.times(10)[-1], before=2, after=3)
    assert (good == tiny.times(10)[2:7]).all()
    later = samples.usable(
        store, tiny.times(10)[4], tiny.times(10)[-1], before=3, after=3, reach=tiny.START
    )
    assert (later == tiny.times(10)[4:7]).all()
    with pytest.raises(ValueError, match="none with 13 in a row"):
        samples.usable(store, tiny.START, tiny.times(10)[-1], before=6, after=6)


def test_stage_two_trains_the_assimilator_alone(record, networks, tmp_path):
    stage = AssimilatorStage(updates=3, batch=2, learning_rate=1e-2, max_lead_hours=12)
    stages.trains(networks, forecaster=False, assimilator=True)
    frozen = {k: v.clone() for k, v in networks.forecaster.state_dict().items()}
    plan = stages.cycle_plan("assimilator", tiny.times(40)[4:30], stage, stages.Unrolling(), 0)
    losses = fit(networks, record, stage, plan, tmp_path)
    assert len(losses) == 3
    assert all(torch.equal(v, frozen[k]) for k, v in networks.forecaster.state_dict().items())


def fit(networks, record, stage, plan, directory, background_weight=0.0):
    batches = samples.Batches(archive(record), plan, networks.design.sources, networks.standardise)
    run = Run(
        make_fabric("cpu", "32-true"), networks, stage, directory, directory / "tb", "test", LOG
    )
    objective = run.memory = stages.Objective(networks)
    unrolling = stages.Unrolling(chain=2, background_weight=background_weight)
    return train(
        run, lambda a, b: samples.loader(batches, a, b, 0), lambda b: objective.cycle(b, unrolling)
    )


def test_gradients_reach_the_first_cycle_through_time(record, networks):
    for parameter in networks.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    time = tiny.times(40)[12]
    batches = samples.Batches(
        archive(record),
        lambda step: [samples.Request(time, 1, 3)],
        networks.design.sources,
        networks.standardise,
    )
    batch = batches[0]
    first = batch.observations[0][tiny.SOURCE].values.requires_grad_()
    objective = stages.Objective(networks)
    # the loss of the last background alone, which only the unrolled chain connects to the first observations
    batch.targets[:, :-1] = float("nan")
    objective.cycle(batch, stages.Unrolling(3, background_weight=1.0))["loss"].backward()
    assert first.grad.abs().sum() > 0


def test_training_lowers_the_loss(record, networks, tmp_path):
    stage = JointStage(
        updates=25,
        batch=2,
        learning_rate=3e-3,
        max_lead_hours=6,
        cycles=2,
        cold_fraction=0,
        source_dropout=0,
    )
    plan = stages.cycle_plan("joint", tiny.times(40)[4:30], stage, stages.Unrolling(2), 0)
    losses = fit(networks, record, stage, plan, tmp_path, background_weight=1.0)
    assert losses["loss"].tail(5).mean() < 0.9 * losses["loss"].head(5).mean()
    assert {"analysis", "background", "first_background", "gradient_norm", "learning_rate"} <= set(
        losses.columns
    )


@pytest.fixture(autouse=True)
def directories(tmp_path):
    (tmp_path / "a").mkdir()


def test_updates_that_are_not_finite_are_skipped_and_then_given_up(tmp_path):
    module = torch.nn.Linear(1, 1)
    before = module.weight.clone()
    stage = optimisation(updates=40, max_skipped=3)
    run = Run(make_fabric("cpu", "32-true"), module, stage, tmp_path, tmp_path / "tb", "bad", LOG)
    with pytest.raises(TrainingError, match="4 updates with a non-finite loss"):
        train(
            run,
            lambda a, b: range(a, b),
            lambda _: {"loss": module(torch.full((1, 1), math.nan)).sum()},
        )
    assert torch.equal(module.weight, before)


def test_a_chain_that_broke_goes_on_from_the_reanalysis(record, networks):
    time = tiny.times(40)[12]
    requests = [samples.Request(start, 1, 2) for start in (time, time + tiny.STEP)]
    batches = samples.Batches(
        archive(record), lambda _: requests, networks.design.sources, networks.standardise
    )
    batch = batches[0]
    batch.first[1] = float("nan")
    objective = stages.Objective(networks)
    assert not objective.cycle(batch, stages.Unrolling(2, chain=2, background_weight=1.0))[
        "loss"
    ].isfinite()
    targets = networks.normaliser(batch.targets)
    assert torch.equal(objective.ends[0][:, 1], targets[1, 1:, : networks.analysed])
    assert objective.ends[0].isfinite().all()
    assert not torch.equal(objective.ends[0][:, 0], targets[0, 1:, : networks.analysed])


def test_precision_leaves_physical_values_alone(record, networks, tmp_path):
    stage, seen = optimisation(updates=1), []
    plan = stages.rollout_plan("forecaster", tiny.times(40)[4:30], stage_one(), 0)
    batches = samples.Batches(archive(record), plan, {}, None)
    run = Run(
        make_fabric("cpu", "bf16-mixed"), networks, stage, tmp_path, tmp_path / "tb", "test", LOG
    )
    objective = stages.Objective(networks)
    train(
        run,
        lambda a, b: samples.loader(batches, a, b, 0),
        lambda b: seen.append(b) or objective.forecaster(b),
    )
    assert torch.equal(seen[0].first, batches[0].first)
    assert seen[0].first.dtype == torch.float32


def stage_one():
    return ForecasterStage(updates=1, batch=2, learning_rate=1)


def shaken(networks):
    """Networks without a zero weight, so that every path carries gradients."""
    generator = torch.Generator().manual_seed(1)
    for parameter in networks.parameters():
        if not parameter.any():
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return networks


def gradients(networks, calls):
    networks.zero_grad()
    terms = [call() for call in calls]
    sum(term["loss"] for term in terms).backward()
    found = {n: p.grad.clone() for n, p in networks.named_parameters() if p.grad is not None}
    return sum(float(term["loss"].detach()) for term in terms), found


def test_stage_four_in_spans_has_the_loss_of_the_whole_and_gradients_of_the_spans_alone(
    record, networks
):
    shaken(networks)
    batches = samples.Batches(
        archive(record), lambda step: [samples.Request(tiny.times(40)[12], 4, 0)], {}, None
    )
    batch, objective = batches[0], stages.Objective(networks)
    assert stages.spans(4, None) == [(0, 4)]
    assert stages.spans(5, 2) == [(0, 2), (2, 4), (4, 5)]
    whole, through = gradients(networks, [lambda: objective.forecaster(batch)])
    cut, apart = gradients(
        networks, [lambda s=s: objective.forecaster(batch, 0.0, *s) for s in stages.spans(4, 2)]
    )
    assert cut == pytest.approx(whole, rel=1e-6)
    name = "forecaster.head.weight"
    assert not torch.allclose(through[name], apart[name], rtol=1e-3)


def test_stage_three_in_spans_has_the_loss_of_the_whole(record, networks):
    shaken(networks)
    batches = samples.Batches(
        archive(record),
        lambda step: [samples.Request(tiny.times(40)[12], 1, 3)],
        networks.design.sources,
        networks.standardise,
    )
    batch, objective, unrolling = (
        batches[0],
        stages.Objective(networks),
        stages.Unrolling(3, background_weight=1.0),
    )
    whole, through = gradients(networks, [lambda: objective.cycle(batch, unrolling)])
    cut, apart = gradients(
        networks, [lambda s=s: objective.cycle(batch, unrolling, *s) for s in stages.spans(3, 1)]
    )
    assert cut == pytest.approx(whole, rel=1e-6)
    name = "forecaster.head.weight"
    assert not torch.allclose(through[name], apart[name], rtol=1e-3)


def test_checkpoints_come_back_whole(networks, tmp_path):
    checkpoint.save_checkpoint(
        tmp_path / "a.ckpt", checkpoint.Checkpoint(networks, [{"stage": "joint"}])
    )
    loaded = checkpoint.load_checkpoint(tmp_path / "a.ckpt")
    assert loaded.history == [{"stage": "joint"}]
    assert loaded.networks.design == networks.design
    state = torch.from_numpy(tiny.states(2))
    np.testing.assert_allclose(loaded.networks.normaliser(state), networks.normaliser(state))


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"not this")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        checkpoint.load_checkpoint(tmp_path / "a.ckpt")


def test_encoders_are_fitted_to_fewer_windows_of_a_finer_grid():
    assert cycles.fit_windows(8 * 16) == cycles.fit_windows(32 * 64) == 160
    assert cycles.fit_windows(64 * 128) == 40
    assert cycles.fit_windows(720 * 1440) == 8
