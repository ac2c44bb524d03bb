"""The profile for Slurm: what it says fits the rules, and it plans as typed."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yte
from snakemake.iocontainers import Wildcards
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from fuxiflow import ROOT
from fuxiflow.config import resources
from tests.support.parsed_rules import parsed_rules

RULES = {
    name: block
    for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for name, block in re.findall(
        r"^\s*rule (\w+):\n(.*?)(?=^\s*rule |\Z)", path.read_text(), re.M | re.S
    )
}
JOBS = {name: block for name, block in RULES.items() if "localrule: True" not in block}


@pytest.fixture(params=[False, True], ids=["without conda", "with conda"])
def conda(request, tmp_path, monkeypatch):
    """Whether there is a conda on the search path."""
    folders = [
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not shutil.which("conda", path=folder)
    ]
    if request.param:
        (tmp_path / "conda").write_text("#!/bin/sh\n")
        (tmp_path / "conda").chmod(0o755)
        folders.insert(0, str(tmp_path))
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    return request.param


def profile(edit=lambda text: text):
    return yte.process_yaml(edit((ROOT / "slurm/config.yaml").read_text()), require_use_yte=True)


def test_conda_environments_where_there_is_conda(conda):
    found = profile()
    assert (found.get("software-deployment-method") == "conda") == conda
    assert ("software-env" in found["rerun-triggers"]) == conda


def test_two_keys_move_all_jobs_to_a_sites_partitions():
    found = profile(
        lambda text: (
            text.replace("cpu_partition: cpu", "cpu_partition: batch", 1)
            .replace("gpu_partition: gpu", "gpu_partition: a100", 1)
            .replace('account: ""', "account: weather", 1)
        )
    )
    assert found["default-resources"]["slurm_partition"] == "batch"
    assert found["default-resources"]["slurm_account"] == "weather"
    assert {settings["slurm_partition"] for settings in found["set-resources"].values()} == {"a100"}
    assert "slurm_account" not in profile()["default-resources"]


def test_rules_with_gpus_go_to_the_gpu_partition_and_no_others():
    with_gpus = {name for name in JOBS if resources.runs_networks(name)}
    parsed = parsed_rules("test.yaml")
    assert with_gpus == {name for name, rule in parsed.items() if "gpu" in rule.resources}
    asked = profile()["set-resources"]
    assert asked.keys() == with_gpus
    # told minutes before their end, they save
    assert {settings["slurm_extra"] for settings in asked.values()} == {"'--signal=USR1@300'"}


def test_downloads_are_jobs_where_a_site_names_a_partition_for_them():
    assert "archive_fetch" not in profile()["set-resources"]
    found = profile(
        lambda text: text.replace('transfer_partition: ""', "transfer_partition: dtn", 1)
    )
    asked = found["set-resources"]["archive_fetch"]
    assert asked["slurm_partition"] == "dtn"
    for named in ({}, {"archive_fetch": asked}):
        rule = parsed_rules.__wrapped__("paper.yaml", **named)["archive_fetch"]
        assert (rule.name in rule.workflow._localrules) == (not named)


def test_every_rule_asks_for_what_its_size_needs():
    for name, block in JOBS.items():
        assert re.search(rf'^\s*\*\*request\("{name}"\),$', block, re.M), name
        assert not re.search(r"^\s*(mem_mb|runtime)=", block, re.M), name
        threads = re.findall(r"^\s*threads: (.*)$", block, re.M)
        several = isinstance(resources.COSTS.get(name), resources.TrainingStage)
        several |= getattr(resources.COSTS.get(name), "threads", 1) > 1
        assert threads == ([f'threads_of("{name}")'] if several else []), name
        assert "retries:" not in block, (
            f"{name}: retries of a rule are used up inside one allocation"
        )
    text = (ROOT / "slurm/config.yaml").read_text()
    assert not re.search(r"^\s*mem_mb_per_cpu:", text, re.M)


def test_a_request_grows_by_what_a_node_has_beside_a_large_job():
    request = parsed_rules.__wrapped__("paper.yaml")["training_joint"].resources["mem_mb"]
    wildcards = Wildcards(fromdict={"experiment": "full"})
    first, second, third = (request.evaluate(wildcards, attempt=n).value for n in (1, 2, 3))
    assert first > 100_000
    assert second - first == third - second == 32_000
    small = parsed_rules.__wrapped__("test.yaml")["observations_read"].resources["mem_mb"]
    wildcards = Wildcards(fromdict={"source": "noaa20_atms", "segment": "2022-01"})
    once, *others = (small.evaluate(wildcards, attempt=n).value for n in (1, 2, 3))
    assert others == [2 * once, 3 * once]


def test_training_asks_for_the_processors_of_its_loading_processes():
    # parsed anew: functions of rules know the configuration that was parsed last
    threads = parsed_rules.__wrapped__("paper.yaml")["training_joint"].resources["_cores"]
    assert threads.evaluate(Wildcards(fromdict={"experiment": "full"})).value == 2 + 8


def test_groups_are_of_rules_and_hold_all_figures():
    found = profile()
    assert found["groups"].keys() <= JOBS.keys()
    assert {name for name, group in found["groups"].items() if group == "figures"} == {
        name for name in JOBS if name.startswith("figure_")
    }
    assert set(found["groups"].values()) == found["group-components"].keys()
    figures = sum(group == "figures" for group in found["groups"].values())
    assert found["group-components"]["figures"] >= figures


@pytest.mark.slow
def test_it_plans_as_typed(checkout, monkeypatch):
    monkeypatch.setenv(
        "PATH",
        os.pathsep.join(
            folder
            for folder in os.environ["PATH"].split(os.pathsep)
            if not shutil.which("conda", path=folder)
        ),
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", "-n"],
        cwd=checkout.folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    assert "config/demo.yaml" in text
    partitions = dict(re.findall(r"^rule (\w+):$.*?slurm_partition=(\w+)", text, re.M | re.S))
    assert partitions["training_joint"] == "gpu"
    assert partitions["states_decode"] == "cpu"


class Resources(dict):
    """Resources as executors have them."""

    __getattr__ = dict.__getitem__


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "nodes", "batch", "accelerator", "asked"),
    [
        (1, 1, 1, "auto", {"nodes": "1", "gpus": "1", "cpus-per-task": "2"}),
        (
            8,
            2,
            16,
            "auto",
            {"nodes": "2", "gpus": "16", "ntasks-per-node": "8", "cpus-per-task": "2"},
        ),
        (
            8,
            2,
            4,
            "auto",
            {"nodes": "1", "gpus": "4", "ntasks-per-node": "4", "cpus-per-task": "2"},
        ),
        (1, 2, 2, "auto", {"nodes": "2", "gpus": "2", "ntasks": "2", "cpus-per-task": "2"}),
        (2, 1, 2, "cpu", {"nodes": "1", "ntasks-per-node": "2", "cpus-per-task": "2"}),
    ],
)
def test_slurm_is_asked_for_room_for_every_process(
    checkout, tmp_path, devices, nodes, batch, accelerator, asked
):
    bench = checkout.clone(tmp_path / "fuxiflow")
    given = f"    accelerator: {accelerator}\n    devices: {devices}\n    nodes: {nodes}\n"
    bench.edit("config/test.yaml", "  training:\n", f"  training:\n{given}")
    text = (bench.folder / "config/test.yaml").read_text()
    (bench.folder / "config/test.yaml").write_text(re.sub(r"batch: \d+", f"batch: {batch}", text))
    said = bench.snakemake(
        "--dry-run", "--profile", "slurm", "--", "results/test/models/full/forecaster.ckpt"
    ).stdout
    found = re.search(r"^rule training_forecaster:$.*?^ +resources: (.*?)$", said, re.M | re.S)[1]
    resources = Resources(
        {
            name: int(value) if value.isdigit() else value
            for name, value in (entry.split("=", 1) for entry in found.split(", "))
        }
    )
    # only a job of one process may run in a step, which `srun -n1` on several nodes or GPUs would
    # be too small for
    assert ("mpi" in resources) == (batch > 1)
    job = SimpleNamespace(resources=resources, threads=2)
    words = {
        "run_uuid": "x",
        "slurm_logfile": "x",
        "comment_str": "x",
        "account": "",
        "partition": "",
        "workdir": "",
    }
    command = get_submit_command(job, words) + set_gres_string(job)
    options = dict(
        re.findall(
            r"--(nodes|gpus|ntasks|ntasks-per-node|ntasks-per-gpu|cpus-per-task)=(\S+)", command
        )
    )
    # the plug-in asks for one task where nothing says more; with GPUs it leaves that to Slurm
    assert options == asked, command
