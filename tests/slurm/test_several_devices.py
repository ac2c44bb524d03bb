"""Training in two processes that srun starts, on one node or two: it computes what one does, and
fails as one does.
"""

import pandas as pd
import pytest
import torch

from fuxiflow.models import checkpoint
from tests.slurm.launch import Launch

pytestmark = pytest.mark.slow
RULE = "training_forecaster"
MODELS = "results/test/models/full"
LOG = f"results/test/logs/{RULE}/full.log"
# a processor for each process, so that a small machine has room for both
WORDS = [
    "--allowed-rules",
    RULE,
    "--forcerun",
    RULE,
    "--set-threads",
    f"{RULE}=1",
    "--",
    f"{MODELS}/forecaster.ckpt",
]


def on_processors(bench, devices, nodes=1):
    """Train on so many processors of each node; batches that one device takes whole are shared."""
    bench.edit(
        "config/test.yaml",
        "  training:\n",
        f"  training:\n    accelerator: cpu\n    devices: {devices}\n    nodes: {nodes}\n",
    )
    bench.edit("config/test.yaml", "joint: {updates: 4, batch: 1,", "joint: {updates: 4, batch: 2,")
    bench.edit(
        "config/test.yaml",
        "autoregressive: {updates: 3, batch: 1,",
        "autoregressive: {updates: 3, batch: 2,",
    )


def trained(bench):
    """Losses and weights of the forecaster, each as one vector; without biases that a normalisation
    follows, whose gradient is nothing but rounding.
    """
    losses = pd.read_parquet(bench.folder / MODELS / "forecaster.losses.parquet")["loss"]
    weights = checkpoint.load_checkpoint(
        bench.folder / MODELS / "forecaster.ckpt"
    ).networks.forecaster.state_dict()
    kept = [value.flatten() for name, value in weights.items() if not name.endswith("conv.bias")]
    return torch.tensor(losses.to_numpy()), torch.cat(kept)


def events(bench):
    """The files that TensorBoard reads."""
    return list((bench.folder / "results/test/logs/tensorboard/full/forecaster").glob("events*"))


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), (1, 2)])
def test_two_tasks_of_srun_train_as_one_process_does(cluster, bench, tmp_path, devices, nodes):
    alone = bench.clone(tmp_path / "alone")
    on_processors(alone, 1)
    alone.snakemake("--cores", "1", *WORDS)
    on_processors(bench, devices, nodes)
    Launch(bench, "--set-resources", f"{RULE}:slurm_partition=pair", *WORDS).finish()
    asked = cluster.asked(cluster.jobs_of(RULE)[-1]["id"])
    assert f"NumNodes={nodes} NumCPUs=2 NumTasks=2 CPUs/Task=1" in asked
    assert (bench.folder / LOG).read_text().count("forecaster: 20/20") == 1
    assert len(events(bench)) == len(events(alone))
    losses, weights = trained(bench)
    expected_losses, expected = trained(alone)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-4, atol=0)
    # 3e-5 by rounding, which Adam scales up; 2e-3 where each has the half of a batch to itself
    assert (weights - expected).abs().mean() < 2e-4


def test_a_process_that_fails_ends_the_others_and_its_error_is_in_the_log(cluster, bench):
    on_processors(bench, 2)
    bench.edit(
        "fuxiflow/training/trainer.py",
        "                    self.seed_generators()\n",
        "                    self.seed_generators()\n"
        "                    if self.step == 3 and self.run.fabric.global_rank == 1:\n"
        "                        raise ValueError('the second has had enough')\n",
    )
    said = Launch(bench, "--retries", "0", *WORDS).finish(check=False)
    log = (bench.folder / LOG).read_text()
    assert "process 1 of 2 failed: the second has had enough" in log
    assert f"{RULE} failed: one of 2 processes ended with status" in log
    assert "the second has had enough" in said
    assert cluster.jobs_of(RULE)[-1]["state"] == "FAILED"
    assert not list((bench.folder / MODELS).glob(".tmp-*"))
