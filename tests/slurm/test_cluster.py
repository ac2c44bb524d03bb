"""The cluster's own care for what it started, and the way it is asked, without a cluster."""

import asyncio
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from tests.slurm import cluster, eager_snakemake, launch


@pytest.mark.parametrize(
    ("name", "later", "killed"),
    [(cluster.NAME, -30, True), (cluster.NAME, 30, False), ("elsewhere", -30, False)],
)
def test_what_a_job_left_is_killed(name, later, killed):
    process = subprocess.Popen(["sleep", "60"], env=os.environ | {"SLURM_CLUSTER_NAME": name})
    try:
        assert (process.pid in cluster.kill_left(time.time() + later)) is killed
        assert (process.wait(5) if killed else process.poll()) == (-9 if killed else None)
    finally:
        process.kill()
        process.wait()


def test_slurm_is_asked_every_few_seconds_however_long_no_job_ends(monkeypatch):
    monkeypatch.setattr(eager_snakemake, "SECONDS", 0.01)
    began = time.monotonic()
    # what the plug-in's own waiting would take from its executor
    late = SimpleNamespace(next_seconds_between_status_checks=180)
    asyncio.run(eager_snakemake.ask_again(late))
    assert time.monotonic() - began < 5
    # the plug-in still waits by this function
    assert asyncio.iscoroutinefunction(RemoteExecutor.sleep)


def test_it_is_snakemake_that_is_started(tmp_path):
    program = launch.__file__.replace("launch.py", "eager_snakemake.py")
    done = subprocess.run(
        [sys.executable, program, "--version"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    again = subprocess.run(
        [sys.executable, "-m", "snakemake", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout == again.stdout
