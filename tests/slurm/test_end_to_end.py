"""The whole of config/test.yaml through `snakemake --profile slurm`: every rule a job, in its
partition.
"""

import re

import pytest

from tests.slurm.launch import Launch

pytestmark = pytest.mark.slow
GPU_RULES = (
    "training_forecaster",
    "training_assimilator",
    "training_joint",
    "training_autoregressive",
    "cycling_analyses",
    "cycling_response",
    "cycling_forecasts",
)


def test_everything_is_there_and_nothing_is_left_to_do(finished):
    for job in finished.plan("--forceall"):
        for name in job.outputs:
            assert (finished.folder / name).exists(), name
    assert not list((finished.folder / "results/test").rglob(".tmp-*"))
    assert "Nothing to be done" in Launch(finished, "-n").finish()


def test_rules_with_gpus_run_in_the_gpu_partition(finished, cluster):
    jobs = [job for job in cluster.jobs() if job["comment"].startswith("rule_")]
    for rule in GPU_RULES:
        found = cluster.jobs_of(rule)
        assert found, rule
        assert {job["partition"] for job in found} == {"gpu"}, rule
    others = [
        job
        for job in jobs
        if not job["comment"].startswith(tuple(f"rule_{rule}" for rule in GPU_RULES))
    ]
    assert {job["partition"] for job in others} == {"cpu"}


def test_jobs_ask_for_what_their_rules_say(finished, cluster):
    job = cluster.jobs_of("training_forecaster")[0]
    planned = Launch(finished, "-n", "--forcerun", "training_forecaster").finish()
    minutes, memory = (
        int(re.search(rf"^rule training_forecaster:.*?{name}=(\d+)", planned, re.M | re.S)[1])
        for name in ("runtime", "mem_mb")
    )
    assert job["memory"] == f"{memory}M"
    assert minutes < 60
    assert job["limit"] == f"{minutes}:00"
    assert "gres:gpu:1" in cluster.asked(job["id"])


def test_figures_share_one_job(finished, cluster):
    first, *later = cluster.jobs_of("figures")
    # Slurm cuts long comments: the first rules of the group alone are in it
    assert "figure_activity_figure_analysis_error" in first["comment"]
    # what other tests draw on their own is one figure
    assert not any("analysis_error" in job["comment"] for job in later)
    assert len(list((finished.folder / "results/test/figures").glob("*.png"))) >= 8


def test_logs_of_slurm_are_kept_for_failures_alone(finished, cluster):
    failed = [
        job["id"]
        for job in cluster.jobs()
        if job["state"] not in ("COMPLETED", "RUNNING", "PENDING")
    ]
    kept = [path.stem for path in (finished.folder / "results/slurm").rglob("*.log")]
    assert set(kept) <= set(failed)
    assert all(re.fullmatch(r"\d+", name) for name in kept)
