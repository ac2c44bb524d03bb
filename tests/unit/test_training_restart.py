"""A stage that is killed goes on to the same bits: weights, optimiser, running mean, losses, random
streams.
"""

import logging
import signal

import numpy as np
import pytest
import torch

from fuxiflow.config.training import (
    AssimilatorStage,
    AutoregressiveStage,
    ForecasterStage,
    JointStage,
    Optimisation,
    ReplayStage,
)
from fuxiflow.states.climatology import Climatology
from fuxiflow.storage.restart_files import Damaged, RestartFiles
from fuxiflow.training import plans, samples
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.parallel import Share
from fuxiflow.training.plans import Unrolling
from fuxiflow.training.rollouts import RolloutObjective
from fuxiflow.training.signals import SIGNALS, Stopped
from fuxiflow.training.stage_run import training_identity
from fuxiflow.training.trainer import Average, Trainer, TrainingError
from tests.support import tiny

LOG = logging.getLogger("test")
COMMON = {"updates": 6, "batch": 2, "learning_rate": 1e-3, "checkpoint_every": 2, "ema": 0.9}
TIMES = tiny.times(40)[4:28]
ASSIMILATING = {"assimilator": AssimilatorStage, "joint": JointStage, "replay": ReplayStage}


class Interrupted(Exception):
    """Stands for a kill: nothing is saved, the process is gone."""


def stage_of(name, networks, record, accumulate=1):
    """Settings, batches and objective of a stage, as its script has them."""
    share = Share(accumulate=accumulate)
    common = {**COMMON, "accumulate": accumulate}
    sources = networks.design.sources if name in ASSIMILATING else {}
    archive = samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )
    if name == "forecaster":
        stage = ForecasterStage(**common, rollout=2, rollout_fraction=0.5, noise=3)
        objective = RolloutObjective(networks, stage.noise)
        plan = plans.rollout_plan(name, TIMES, stage, 0)
    elif name == "autoregressive":
        stage = AutoregressiveStage(**common, steps=3, truncation=2, noise=3)
        objective = RolloutObjective(networks, stage.noise, stage.truncation)
        plan = plans.rollout_plan(name, TIMES, stage, 0)
    else:
        stage = ASSIMILATING[name](**common, max_lead_hours=12, cold_fraction=0.3)
        unrolling = Unrolling(chain=3) if name == "assimilator" else Unrolling(2, 3, 1.0)
        odds = np.arange(len(TIMES)) / np.arange(len(TIMES)).sum() if name == "replay" else None
        objective = CycleObjective(networks, unrolling, share)
        plan = plans.cycle_plan(name, TIMES, stage, unrolling, 0, odds=odds)
    forecaster = name not in ("assimilator", "replay")
    networks.train_only(forecaster=forecaster, assimilator=name in ASSIMILATING)
    return stage, samples.Batches(archive, plan, sources, networks.standardise, share), objective


def fit(name, record, directory, workers=0, killed_at=None, accumulate=1):
    """Train a stage from the same beginning; the whole state afterwards."""
    networks = tiny.networks(record)
    stage, batches, objective = stage_of(name, networks, record, accumulate)
    directory.mkdir(exist_ok=True)
    trainer = Trainer(networks, stage, tiny.training_run(directory, name))
    real = objective.loss
    calls = []

    def noisy(*arguments):
        calls.append(trainer.step)
        if killed_at is not None and trainer.step == killed_at:
            raise Interrupted
        terms, carried = real(*arguments)
        # the global generators belong to what must come out the same
        noise = 1 + 0.1 * torch.rand(()) + 0.1 * np.random.rand()
        return {**terms, "loss": terms["loss"] * noise}, carried

    objective.loss = noisy
    losses = trainer.train(objective, lambda a, b: samples.load_batches(batches, a, b, workers))
    ends = [trainer.ends[part] for part in sorted(trainer.ends)]
    return {
        "weights": {k: v.clone() for k, v in networks.state_dict().items()},
        "losses": losses,
        "means": trainer.average.means,
        "ends": torch.cat(ends, 1) if ends else None,
        "calls": calls,
    }


def assert_same(one, other):
    assert all(torch.equal(value, other["weights"][name]) for name, value in one["weights"].items())
    assert all(torch.equal(a, b) for a, b in zip(one["means"], other["means"], strict=True))
    assert one["losses"].equals(other["losses"])
    assert one["ends"] is None or torch.equal(one["ends"], other["ends"])


@pytest.mark.parametrize("name", ["forecaster", "assimilator", "joint", "replay", "autoregressive"])
def test_a_killed_stage_resumes_to_the_same_bits(record, tmp_path, name):
    reference = fit(name, record, tmp_path / "a")
    with pytest.raises(Interrupted):
        fit(name, record, tmp_path / "b", killed_at=3)
    # the second kill comes before the next restart file, and the number of workers changes
    with pytest.raises(Interrupted):
        fit(name, record, tmp_path / "b", killed_at=3)
    resumed = fit(name, record, tmp_path / "b", workers=1)
    assert resumed["calls"][0] == 2
    assert_same(reference, resumed)


def test_parts_that_follow_on_each_other_make_the_same_update(record, tmp_path):
    whole = fit("joint", record, tmp_path / "a")
    resumed = tmp_path / "b"
    with pytest.raises(Interrupted):
        fit("joint", record, resumed, accumulate=2, killed_at=5)
    parts = fit("joint", record, resumed, accumulate=2)
    assert_same(fit("joint", record, tmp_path / "c", accumulate=2), parts)
    assert parts["ends"].shape == whole["ends"].shape
    for term in ("analysis", "first_background"):
        np.testing.assert_allclose(parts["losses"][term][0], whole["losses"][term][0], rtol=1e-5)


def simple(directory, **values):
    """A trainer of a small module on numbers, and its loss."""
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 1)
    stage = Optimisation(
        **{"updates": 9, "batch": 1, "learning_rate": 1e-2, "checkpoint_every": 4, **values}
    )
    trainer = Trainer(module, stage, tiny.training_run(directory, "simple"))
    return trainer, lambda step: module(torch.tensor([1.0, step, 2.0])).square().sum()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
@pytest.mark.parametrize("where", ["loss", "update"])
def test_a_signal_saves_at_once_and_a_second_run_ends_the_same(
    tmp_path, monkeypatch, number, where
):
    trainer, loss = simple(tmp_path / "a")
    (tmp_path / "a").mkdir()
    reference = trainer.train(tiny.Plain(loss), range)
    expected = trainer.module.weight.detach().clone()
    (tmp_path / "b").mkdir()
    trainer, loss = simple(tmp_path / "b")
    before = {number: signal.getsignal(number) for number in SIGNALS}
    step = torch.optim.AdamW.step

    def interrupted(step):
        if where == "loss" and step == 2:
            signal.raise_signal(number)
        return loss(step)

    def halfway(self, *arguments):
        # the weights are changed and the update is not counted yet: saving must wait
        result = step(self, *arguments)
        if where == "update" and trainer.step == 2:
            signal.raise_signal(number)
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", halfway)
    with pytest.raises(Stopped) as stopped:
        trainer.train(tiny.Plain(interrupted), range)
    assert stopped.value.code == 128 + number
    assert {number: signal.getsignal(number) for number in before} == before
    monkeypatch.undo()
    done = 2 if where == "loss" else 3
    assert [int(path.name.split("-")[1]) for path in trainer.restart_files.files()] == [done]
    again, loss = simple(tmp_path / "b")
    losses = again.train(tiny.Plain(loss), range)
    assert torch.equal(again.module.weight, expected)
    assert losses.equals(reference)


def test_files_rotate_and_the_newest_sound_one_counts(tmp_path, caplog):
    files = RestartFiles(tmp_path, 2, LOG)
    assert files.load() is None
    for step in (2, 4, 6):
        files.save(step, {"step": step, "tensor": torch.full((4,), float(step))})
    newest, older = files.files()
    assert files.load()["step"] == 6
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert files.load()["step"] == 4
    assert "checksum" in caplog.text
    (tmp_path / "update.tmp").write_bytes(b"half")  # what a kill in the middle of writing leaves
    assert files.load()["step"] == 4
    older.write_bytes(b"")
    with pytest.raises(Damaged, match=r"2 damaged.*delete the folder"):
        files.load()


def test_the_last_good_file_stays_until_the_next_is_read_back(tmp_path, monkeypatch):
    files = RestartFiles(tmp_path, 1, LOG)
    good = files.save(2, {"step": 2})
    monkeypatch.setattr(
        "fuxiflow.storage.restart_files.file_sha256", lambda path, from_disk: "0" * 64
    )
    with pytest.raises(OSError, match="not what is read back"):
        files.save(4, {"step": 4})
    monkeypatch.undo()
    assert files.files() == [good]
    assert files.load()["step"] == 2


def test_a_restart_file_of_another_network_is_refused(tmp_path):
    RestartFiles(tmp_path, 1, LOG).save(
        2, {"module": {"weight": torch.ones(2)}, "optimizer": {"state": {}}}
    )
    trainer, loss = simple(tmp_path)
    with pytest.raises(TrainingError, match="delete it to start anew"):
        trainer.train(tiny.Plain(loss), range)


def test_the_running_mean_by_hand(tmp_path):
    parameter = torch.nn.Parameter(torch.zeros(1))
    average = Average([parameter], 0.5)
    parameter.data.fill_(1.0)
    average.update()  # decay (1 + 1) / (10 + 1)
    assert average.means[0].item() == pytest.approx(9 / 11)
    for _ in range(8):
        average.update()
    parameter.data.fill_(3.0)
    before = average.means[0].item()
    average.update()  # decay 0.5 from the eighth update on: 9/18
    assert average.means[0].item() == pytest.approx(0.5 * (before + 3.0))
    average.apply()
    assert parameter.item() == average.means[0].item()
    trainer, loss = simple(tmp_path, ema=0.9)
    trainer.train(tiny.Plain(loss), range)
    assert torch.equal(trainer.module.weight, trainer.average.means[0])


def test_restart_files_fit_whatever_does_not_change_what_is_trained():
    stage = {"updates": 9, "checkpoint_every": 200, "keep_checkpoints": 2}
    options = {"precision": "32-true", "devices": 1, "workers": 0}
    params = {"stage": stage, "options": options, "seed": 3, "state": "a", "code": "x"}
    identity = training_identity(params)
    often = {**stage, "checkpoint_every": 10, "keep_checkpoints": 5}
    elsewhere = {**params, "state": "b", "options": {**options, "devices": 4, "workers": 2}}
    assert training_identity({**elsewhere, "stage": often}) == identity
    assert training_identity({**params, "stage": {**stage, "updates": 10}}) != identity
    assert training_identity({**params, "seed": 4}) != identity
    assert training_identity({**params, "options": {**options, "precision": "auto"}}) != identity
