"""The cluster's own care for what it started, without a cluster."""

import os
import subprocess
import time

import pytest

from tests.slurm import cluster


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
