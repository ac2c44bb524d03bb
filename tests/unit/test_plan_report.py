"""The report of a plan: time by what binds, jobs above what is given, GPUs, mistaken amounts."""

import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import Cost
from fuxiflow.config.volumes import Volume
from fuxiflow.runtime import plan_report
from fuxiflow.runtime.budget import AT_ONCE, Item, capacity_of
from tests.unit.test_budget import changed, item, planned

TEST = load_configuration(ROOT / "config" / "test.yaml")
HOUR = 3600


def fetched(name, seconds):
    """A month that is fetched."""
    return Item(planned("archive_fetch", [name]), Cost(seconds, 1), Volume(1, 1))


def trained(name, seconds, inputs=(), gpus=1):
    """A job on GPUs."""
    return item(name, 1, inputs, seconds=seconds, gpus=gpus, on_gpu=True)


def test_the_time_is_bounded_by_downloads_and_devices_and_the_longest_chain():
    many = capacity_of(cores=1000, memory_gb=1000)
    downloads = [fetched(f"raw{i}", HOUR) for i in range(400)]
    assert plan_report.time_lines(downloads, many) == [
        "on 1000 processors, 1.0 TB of memory, 4 downloads at once: 100 h (4.2 days)",
        "at least, in any order of the jobs: 100 h (4.2 days), by the downloads",
    ]
    trainings = [trained(f"net{i}", 10 * HOUR) for i in range(4)]
    assert plan_report.time_lines(trainings, many) == [
        "on 1000 processors, 1.0 TB of memory, 1 GPU: 40 h",
        "at least, in any order of the jobs: 40 h, by the GPUs",
    ]
    eight = capacity_of(cores=1000, gpus=8)
    chain = [trainings[0], trained("after", 10 * HOUR, ["net0"]), *trainings[1:]]
    assert plan_report.time_lines(chain, eight) == [
        "on 1000 processors, 8 GPUs: 20 h",
        "at least, in any order of the jobs: 20 h, by the longest chain of jobs",
    ]
    # on the processor a GPU is not certain, and none is waited for
    both = [item(f"n{i}", 1, seconds=HOUR, gpus=1) for i in range(2)]
    assert plan_report.time_lines(both, capacity_of(gpus=1, cores=2))[0].endswith(": 1.0 h")


def test_memory_alone_gives_a_time_and_nothing_gives_none():
    items = [item(f"j{i}", 1, seconds=HOUR) for i in range(2)]
    assert plan_report.time_lines(items, AT_ONCE) == []
    assert plan_report.time_lines(items, capacity_of(memory_gb=1.5)) == [
        "on 1.5 GB of memory: 2.0 h",
        "at least, in any order of the jobs: 1.3 h, by the memory",
    ]


def test_jobs_that_ask_for_more_than_there_is_are_named():
    items = [item("a", 1), trained("b", 10, gpus=8)]
    items.append(Item(planned("training_joint", ["c"]), Cost(10, 30_000), Volume()))
    assert plan_report.excess_lines(items, capacity_of(memory_gb=39, gpus=8)) == []
    assert plan_report.excess_lines(items, capacity_of(memory_gb=24, gpus=2)) == [
        "1 job asks for more than 24 GB of memory, the most training_joint with 39 GB of memory: "
        "such a job is started alone, and may not get through",
        "1 job asks for more than 2 GPUs, the most figure_system with 8 GPUs: such a job is "
        "started alone, and may not get through",
    ]


@pytest.mark.parametrize("amounts", [{"updates": 10**9}, {"batch": 10**9}])
def test_a_billion_of_anything_is_told(tmp_path, amounts):
    training = TEST.experiment.training
    stage = training.forecaster.model_copy(update=amounts)
    config = changed(
        TEST, experiment={"training": training.model_copy(update={"forecaster": stage})}
    )
    jobs = [planned("training_forecaster", ["f"], wildcards={"experiment": "full"})]
    text, fits = plan_report.describe_plan(config, jobs, tmp_path, store=tmp_path)
    assert "training_forecaster: a job of " in text
    assert ", TOO LARGE: look at its amounts" in text
    assert not fits
    assert plan_report.describe_plan(TEST, jobs, tmp_path, store=tmp_path)[1]


def test_a_gpu_that_is_too_small_is_as_a_disk_that_is(tmp_path):
    jobs = [planned("training_forecaster", ["f"], wildcards={"experiment": "full"})]
    text, fits = plan_report.describe_plan(TEST, jobs, tmp_path, 80, tmp_path)
    assert "full, forecaster: 3.0 GB; fits 80 GB" in text
    assert "assimilator" not in text, "its training is not part of what is to run"
    assert fits
    text, fits = plan_report.describe_plan(TEST, jobs, tmp_path, 1, tmp_path)
    assert "full, forecaster: 3.0 GB; DOES NOT FIT 1 GB" in text
    assert not fits


def test_a_stage_says_when_its_batch_leaves_devices_idle():
    training = TEST.experiment.training
    several = training.model_copy(update={"devices": 4, "nodes": 2})
    joint = training.joint.model_copy(update={"batch": 2})
    several = several.model_copy(update={"joint": joint})
    config = changed(TEST, experiment={"training": several})
    lines = [line for line in plan_report.device_lines(config, None)[0] if "full, joint: " in line]
    assert len(lines) == 1
    assert lines[0].endswith(" GB on 2 of 8 devices, as many as share its batch evenly")
    assert not any("devices" in line for line in plan_report.device_lines(TEST, None)[0])
