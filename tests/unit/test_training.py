import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fuxiflow.channels import channel_table
from fuxiflow.config.resources import FIT_STATES
from fuxiflow.config.training import (
    AssimilatorStage,
    AutoregressiveStage,
    ForecasterStage,
    JointStage,
    Optimisation,
    fit_window_count,
)
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import calendar
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import plans, samples
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.losses import StateLoss
from fuxiflow.training.parallel import Share
from fuxiflow.training.plans import Unrolling
from fuxiflow.training.rollouts import RolloutObjective
from fuxiflow.training.trainer import Trainer, TrainingError, learning_rate
from tests.support import tiny


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
    unrolling = Unrolling(3)
    plan = plans.cycle_plan("joint", times, stage, unrolling, seed=5)
    assert plan(4) == plans.cycle_plan("joint", times, stage, unrolling, seed=5)(4)
    others = [plan(5), plans.cycle_plan("joint", times, stage, unrolling, seed=6)(4)]
    assert all(other != plan(4) for other in others)
    assert len({request.lead for request in plan(4)}) == 1


def test_single_sources_are_withheld_alone():
    times, names = tiny.times(20), ("atms", "stations")
    stage = JointStage(updates=9, batch=50, learning_rate=1, max_lead_hours=24)
    thinned = stage.model_copy(update={"single_source_dropout": 0.3})

    def requests(stage, names):
        plan = plans.cycle_plan("joint", times, stage, Unrolling(3), seed=5, sources=names)
        return [request for step in range(20) for request in plan(step)]

    whole, drawn = requests(stage, names), requests(thinned, names)
    assert not any(request.without for request in whole)
    assert [replace(request, without=()) for request in drawn] == whole
    withheld = np.array([[name in request.without for name in names] for request in drawn])
    assert np.abs(withheld.mean(0) - 0.3).max() < 0.06
    # independent of each other, and of the other sources that there are
    assert abs(withheld.all(1).mean() - 0.09) < 0.04
    alone = requests(thinned, names[1:])
    assert [bool(request.without) for request in alone] == withheld[:, 1].tolist()


def test_chains_go_on_where_they_ended_and_begin_anew_by_turns():
    times = tiny.times(20)
    stage = JointStage(updates=9, batch=2, learning_rate=1, max_lead_hours=24, cold_fraction=0.5)
    plan = plans.cycle_plan("joint", times, stage, Unrolling(3, chain=4), seed=5)
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
    plan = plans.cycle_plan("joint", tiny.times(20), stage, Unrolling(1, chain=9), seed=5)
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
    objective = CycleObjective(networks, Unrolling(2, chain=2, background_weight=1.0))
    _, ended = objective.loss(batches[0], (0, 2), None)
    batch = batches[1]
    assert batch.first.shape[0] == 1
    assert batch.analysis.tolist() == [tiny.times(40)[15].item(), tiny.times(40)[22].item()]
    guess = objective.first_guess(batch, ended)
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
        objective = CycleObjective(networks, Unrolling(), share)
        ended = torch.ones(2, 1, networks.analysed, *tiny.GRID.shape)
        forecast = networks.forecast
        count = []
        monkeypatch.setattr(
            networks, "forecast", lambda *a, f=forecast, c=count: c.append(1) or f(*a)
        )
        begun.append(objective.first_guess(batch, ended)[0, :2])
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
    plan = plans.rollout_plan("autoregressive", tiny.times(20), stage, 0)
    assert [{request.lead for request in plan(step)} for step in (0, 8)] == [{2}, {4}]
    assert plan(0) != plans.rollout_plan("forecaster", tiny.times(20), stage, 0)(0)


def test_some_first_states_are_disturbed():
    stage = ForecasterStage(updates=10, batch=40, learning_rate=1, noise=3.0, noise_fraction=0.25)
    plan = plans.rollout_plan("forecaster", tiny.times(20), stage, 0)
    seeds = [request.noise for step in range(10) for request in plan(step)]
    assert 50 < sum(seed is not None for seed in seeds) < 150
    assert plan(3) == plans.rollout_plan("forecaster", tiny.times(20), stage, 0)(3)
    calm = plans.rollout_plan(
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


def test_a_sample_without_a_source_has_none_of_its_footprints(record, networks):
    time = tiny.times(40)[12]
    requests = [samples.Request(time, 1, 2, without=(tiny.SOURCE,)), samples.Request(time, 1, 2)]
    batches = samples.Batches(
        archive(record), lambda step: requests, networks.design.sources, networks.standardise
    )
    assert all(set(one[tiny.SOURCE].sample.tolist()) == {1} for one in batches[0].observations)
    assert samples.Request(time, 1, 2, without=("another",)).sees(tiny.SOURCE)
    assert not samples.Request(time, 1, 2, masked=True).sees(tiny.SOURCE)


def test_usable_times_have_their_neighbours(record):
    store = archive(record).states
    good = plans.usable_times(store, tiny.START, tiny.times(10)[-1], before=2, after=3)
    assert (good == tiny.times(10)[2:7]).all()
    later = plans.usable_times(
        store, tiny.times(10)[4], tiny.times(10)[-1], before=3, after=3, reach=tiny.START
    )
    assert (later == tiny.times(10)[4:7]).all()
    with pytest.raises(ValueError, match="none with 13 in a row"):
        plans.usable_times(store, tiny.START, tiny.times(10)[-1], before=6, after=6)


def test_stage_two_trains_the_assimilator_alone(record, networks, tmp_path):
    stage = AssimilatorStage(updates=3, batch=2, learning_rate=1e-2, max_lead_hours=12)
    networks.train_only(forecaster=False, assimilator=True)
    frozen = {k: v.clone() for k, v in networks.forecaster.state_dict().items()}
    plan = plans.cycle_plan("assimilator", tiny.times(40)[4:30], stage, Unrolling(), 0)
    losses = fit(networks, record, stage, plan, tmp_path)
    assert len(losses) == 3
    assert all(torch.equal(v, frozen[k]) for k, v in networks.forecaster.state_dict().items())


def fit(networks, record, stage, plan, directory, background_weight=0.0):
    batches = samples.Batches(archive(record), plan, networks.design.sources, networks.standardise)
    unrolling = Unrolling(chain=2, background_weight=background_weight)
    return Trainer(networks, stage, tiny.training_run(directory)).train(
        CycleObjective(networks, unrolling), lambda a, b: samples.load_batches(batches, a, b, 0)
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
    objective = CycleObjective(networks, Unrolling(3, background_weight=1.0))
    # the loss of the last background alone, which only the unrolled chain connects to the first
    # observations
    batch.targets[:, :-1] = float("nan")
    tiny.terms(objective, batch)["loss"].backward()
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
    plan = plans.cycle_plan("joint", tiny.times(40)[4:30], stage, Unrolling(2), 0)
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
    stage = optimisation(updates=40, max_skipped=0.08)
    trainer = Trainer(module, stage, tiny.training_run(tmp_path))
    bad = tiny.Plain(lambda _: module(torch.full((1, 1), math.nan)).sum())
    with pytest.raises(TrainingError, match="4 updates with a non-finite loss, of 40"):
        trainer.train(bad, range)
    assert torch.equal(module.weight, before)


def test_training_gives_up_at_once_where_none_of_the_first_updates_can_be_made(tmp_path):
    module = torch.nn.Linear(1, 1)
    stage = optimisation(updates=400, max_skipped=1.0)
    trainer = Trainer(module, stage, tiny.training_run(tmp_path))
    bad = tiny.Plain(lambda _: module(torch.full((1, 1), math.nan)).sum())
    with pytest.raises(TrainingError, match="5 updates with a non-finite loss, all of the first"):
        trainer.train(bad, range)
    # one good update among them, and the share decides
    (tmp_path / "b").mkdir()
    trainer = Trainer(
        module, optimisation(updates=8, max_skipped=0.9), tiny.training_run(tmp_path / "b")
    )
    mostly = tiny.Plain(
        lambda step: module(torch.full((1, 1), 1.0 if step == 2 else math.nan)).sum()
    )
    assert trainer.train(mostly, range)["skipped"].sum() == 7


def test_data_that_are_no_numbers_end_training_with_their_names(record, networks, tmp_path):
    request = samples.Request(tiny.times(40)[12], 1, 0)
    batches = samples.Batches(
        archive(record), lambda _: [request], networks.design.sources, networks.standardise
    )
    batch = batches[0]
    assert batch.faults() == []
    batch.targets[0, 0, 3] = float("nan")
    (fault,) = batch.faults()
    assert fault.startswith("targets of the sample from 2022-")
    assert channel_table()[3].name in fault
    # precipitation alone may be missing
    batch.targets[0, 0, 3] = 0
    batch.first[0, 0, channel_table().index("TP")] = float("nan")
    assert batch.faults() == []
    batch.first[0, 1, 0] = float("inf")
    module = torch.nn.Linear(1, 1)
    trainer = Trainer(module, optimisation(updates=3), tiny.training_run(tmp_path))
    objective = tiny.Plain(lambda _: module(torch.full((1, 1), math.nan)).sum())
    with pytest.raises(TrainingError, match=r"its data hold values that are no numbers: first fra"):
        trainer.train(objective, lambda first, last: [batch] * (last - first))


def test_a_chain_that_broke_goes_on_from_the_reanalysis(record, networks):
    time = tiny.times(40)[12]
    requests = [samples.Request(start, 1, 2) for start in (time, time + tiny.STEP)]
    batches = samples.Batches(
        archive(record), lambda _: requests, networks.design.sources, networks.standardise
    )
    batch = batches[0]
    batch.first[1] = float("nan")
    objective = CycleObjective(networks, Unrolling(2, chain=2, background_weight=1.0))
    terms, ended = objective.loss(batch, (0, 2), None)
    assert not terms["loss"].isfinite()
    targets = networks.normaliser(batch.targets)
    assert torch.equal(ended[:, 1], targets[1, 1:, : networks.analysed])
    assert ended.isfinite().all()
    assert not torch.equal(ended[:, 0], targets[0, 1:, : networks.analysed])


def test_precision_leaves_physical_values_alone(record, networks, tmp_path):
    stage, seen = optimisation(updates=1), []
    plan = plans.rollout_plan("forecaster", tiny.times(40)[4:30], stage_one(), 0)
    batches = samples.Batches(archive(record), plan, {}, None)
    objective = RolloutObjective(networks)
    real = objective.loss
    objective.loss = lambda batch, *others: seen.append(batch) or real(batch, *others)
    Trainer(networks, stage, tiny.training_run(tmp_path, precision="bf16-mixed")).train(
        objective, lambda a, b: samples.load_batches(batches, a, b, 0)
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


def gradients(networks, objective, batch):
    networks.zero_grad()
    carried, losses = None, []
    for span in objective.spans(batch):
        terms, carried = objective.loss(batch, span, carried)
        losses.append(terms["loss"])
    sum(losses).backward()
    made = {n: p.grad.clone() for n, p in networks.named_parameters() if p.grad is not None}
    return sum(float(loss.detach()) for loss in losses), made


def test_stage_four_in_spans_has_the_loss_of_the_whole_and_gradients_of_the_spans_alone(
    record, networks
):
    shaken(networks)
    batches = samples.Batches(
        archive(record), lambda step: [samples.Request(tiny.times(40)[12], 4, 0)], {}, None
    )
    batch = batches[0]
    assert plans.unrolled_spans(4, None) == [(0, 4)]
    assert plans.unrolled_spans(5, 2) == [(0, 2), (2, 4), (4, 5)]
    whole, through = gradients(networks, RolloutObjective(networks), batch)
    cut, apart = gradients(networks, RolloutObjective(networks, truncation=2), batch)
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
    batch, unrolling = batches[0], Unrolling(3, background_weight=1.0)
    whole, through = gradients(networks, CycleObjective(networks, unrolling), batch)
    cutting = CycleObjective(networks, replace(unrolling, truncation=1))
    cut, apart = gradients(networks, cutting, batch)
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
    with pytest.raises(ValueError, match="carries no checksum: it is damaged"):
        checkpoint.load_checkpoint(tmp_path / "a.ckpt")


def test_encoders_are_fitted_to_fewer_windows_of_a_finer_grid():
    assert fit_window_count(8 * 16) == fit_window_count(32 * 64) == 160
    assert fit_window_count(64 * 128) == 40
    assert fit_window_count(720 * 1440) == 4
    # six states of each are in memory, which the request of stage 2 counts
    assert FIT_STATES * fit_window_count(720 * 1440) == 6 * 4
    assert FIT_STATES * fit_window_count(64 * 128) == 6 * 40
    assert FIT_STATES * fit_window_count(8 * 16) == 6 * 160
