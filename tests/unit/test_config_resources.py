"""Memory that jobs of training ask for: by hand, and true to what loaders hold."""

import numpy as np
import pytest

from fuxiflow import ROOT
from fuxiflow.config import network_sizes, resources
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.network_sizes import Model
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import samples
from tests.support import tiny

CONFIGURATIONS = {
    name: load_configuration(ROOT / "config" / f"{name}.yaml") for name in ("demo", "paper", "test")
}


def job(name, stage, **changes):
    """Megabytes of a stage of a configuration, with other options of training."""
    config = CONFIGURATIONS[name]
    training = config.experiment.training.model_copy(update=changes)
    return resources.training_job_mb(
        config.experiment.model, training, stage, config.grid.nlat * config.grid.nlon
    )


@pytest.mark.parametrize("stage", ["forecaster", "assimilator", "joint", "autoregressive"])
def test_the_demonstration_asks_for_about_6_gb(stage):
    # its largest stage took 3.9 GB
    assert 5800 <= job("demo", stage) <= 6500
    assert 5800 <= job("test", stage) <= 6000


def test_the_papers_stages_by_hand():
    field, weights = 290.304, 6.08e3  # 70 channels of 720 x 1440 numbers; 1.52 billion weights
    # weights and two moments of a restart file; 17 batches of one sample, eight workers and their
    # climatologies
    expected = 5800 + 3 * weights + 17 * (2 + 5 + 4) * field + 8 * 16 * field + 8 * 500
    assert job("paper", "joint") == pytest.approx(expected, rel=0.01)
    expected = 5800 + 3 * weights + 17 * (2 + 20) * field + 8 * 500
    assert job("paper", "autoregressive") == pytest.approx(expected, rel=0.01)


def test_what_is_shared_out_and_what_is_not():
    model = Model(forecaster="fuxi")
    weights = network_sizes.forecaster_weights_mb(model.forecaster.model_dump())
    options = {"workers": 0, "devices": 2, "nodes": 2}

    def both(**changes):
        stage = CONFIGURATIONS["paper"].experiment.training.forecaster.model_copy(
            update={"batch": 4}
        )
        training = CONFIGURATIONS["paper"].experiment.training.model_copy(
            update={**options, "forecaster": stage, **changes}
        )
        return resources.training_job_mb(model, training, "forecaster", 0) - resources.PROGRAM_MB

    # two processes on each machine: on GPUs a restart file each, on processors four copies more
    assert both(accelerator="cuda") == pytest.approx(2 * 3 * weights, abs=1)
    assert both(accelerator="cpu") == pytest.approx(2 * 7 * weights, abs=1)
    assert both(accelerator="auto", strategy="fsdp") == pytest.approx(
        2 * (3 + 4 / 4) * weights, abs=1
    )
    mean = CONFIGURATIONS["paper"].experiment.training.forecaster.model_copy(
        update={"batch": 4, "ema": 0.99}
    )
    assert both(accelerator="cuda", forecaster=mean) == pytest.approx(2 * 4 * weights, abs=1)


def test_parts_of_a_batch_and_devices_share_it():
    stage = CONFIGURATIONS["demo"].experiment.training.joint
    whole = job("demo", "joint") - resources.PROGRAM_MB
    parts = (
        job("demo", "joint", joint=stage.model_copy(update={"accumulate": stage.batch}))
        - resources.PROGRAM_MB
    )
    field = 4 * 70 * 32 * 64 / 1e6
    assert whole - parts == pytest.approx((stage.batch - 1) * (2 * stage.cycles + 3) * field, abs=1)


def test_loaders_hold_what_is_counted(tmp_path):
    made = tiny.record(tmp_path)
    archive = samples.Archive(made.states, {}, Climatology.read(made.climatology))
    plan = lambda step: [samples.Request(tiny.times(40)[8], 1, 2)]  # noqa: E731
    batches = samples.Batches(archive, plan, {}, None)
    assert samples.load_batches(batches, 0, 4, 1).prefetch_factor == resources.AHEAD
    for day in range(0, 300, 3):
        archive.climatology.at(tiny.START + np.timedelta64(day, "D"))
    assert len(archive.climatology._cache) == resources.CLIMATOLOGY_FIELDS
    batch = batches[0]
    training = CONFIGURATIONS["demo"].experiment.training
    training = training.model_copy(
        update={"joint": training.joint.model_copy(update={"cycles": 2})}
    )
    counted = sum(tensor.numel() for tensor in (batch.first, batch.targets, batch.climatology))
    assert counted == resources.fields_per_sample(training, "joint") * resources.CHANNELS * 8 * 16
