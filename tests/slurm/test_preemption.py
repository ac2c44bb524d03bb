"""Training that loses its node in the middle goes on from its last update, to the same weights."""

import os
import re

import pytest
import torch

from fuxiflow.models import checkpoint
from tests.slurm.launch import CORES, Launch
from tests.slurm.test_several_devices import on_processors

pytestmark = pytest.mark.slow
RULE = "training_forecaster"
MODEL = "results/test/models/full/forecaster.ckpt"
LOG = "results/test/logs/training_forecaster/full.log"
WORDS = ["--allowed-rules", RULE, "--set-threads", f"{RULE}=1", "--", MODEL]


def longer(bench):
    """Enough updates to be interrupted in the middle of, with a restart file after every second."""
    bench.edit("config/test.yaml", "forecaster: {updates: 20,", "forecaster: {updates: 40,")
    bench.edit("config/test.yaml", "checkpoint_every: 10}", "checkpoint_every: 2}")


def weights(bench):
    return checkpoint.load_checkpoint(bench.folder / MODEL).networks.state_dict()


@pytest.mark.parametrize("devices", [1, 2])
def test_preempted_training_reaches_the_weights_of_an_undisturbed_one(
    cluster, bench, tmp_path, devices
):
    longer(bench)
    on_processors(bench, devices)
    undisturbed = bench.clone(tmp_path / "undisturbed")
    # each update is reported, and takes a little longer with it
    bench.edit(
        "fuxiflow/progress.py",
        "        self.done += 1\n",
        "        time.sleep(0.2)\n        self.done += 1\n",
    )
    since = len(cluster.jobs())
    run = Launch(bench, *WORDS)
    state = bench.folder / "results/test/state/training/full/forecaster"
    cluster.wait(lambda: any(state.glob("*.ckpt")), 300, "training has not begun")
    urgent = cluster.submit(
        "--partition=urgent",
        "--output=/dev/null",
        f"--cpus-per-task={os.cpu_count()}",
        "--mem=100",
        "--wrap",
        "sleep 1",
    )
    cluster.wait(
        lambda: any(job["id"] == urgent and job["state"] == "COMPLETED" for job in cluster.jobs()),
        300,
        "the urgent job has not run",
    )
    run.finish()
    jobs = [job for job in cluster.jobs()[since:] if job["id"] != urgent]
    # queued again by Slurm, not tried again by Snakemake
    assert [job["state"] for job in jobs] == ["COMPLETED"]
    assert {job["partition"] for job in jobs} == {"gpu"}
    resumed = re.search(r"resumed at update (\d+) of (\d+)", (bench.folder / LOG).read_text())
    assert resumed, "training began anew"
    assert 0 < int(resumed[1]) < int(resumed[2]) == 40

    undisturbed.snakemake("--cores", str(CORES), *WORDS)
    expected = weights(undisturbed)
    found = weights(bench)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
