"""What clusters do to jobs: killed, too large, too slow, interrupted, a node taken away. All of it
ends well.
"""

import pytest

from fuxiflow.config.resources import LEAST_MB
from tests.slurm.launch import CORES, Launch

pytestmark = pytest.mark.slow
# rules that do not depend on each other when no other rule is allowed, and take seconds
RULES = ("verification_scores", "states_truth", "observations_statistics")
MAIN = "\n\n\ndef main(input, output, params, log):\n"
FIRST = """    import time
    from pathlib import Path

    first = not Path("begun-{rule}").exists()
    Path("begun-{rule}").touch()
    if first:
        log.info("{rule} has work for {seconds} s")
        time.sleep({seconds})
"""
LARGE = """    import numpy as np

    ballast = np.ones({mb} * 2**17)
    time.sleep(5)
    log.info("%d values held", ballast.size)
"""


def slow(bench, rule, seconds, more=""):
    """Give a rule's script work for so many seconds, the first time that it runs."""
    bench.edit(
        f"workflow/scripts/{rule}.py", MAIN, MAIN + FIRST.format(rule=rule, seconds=seconds) + more
    )


def only(*rules):
    """Words that run these rules alone, as if everything else were there."""
    return ["--allowed-rules", *rules, "--forcerun", *rules, "--"]


def targets(*rules):
    """Files of :data:`RULES`."""
    files = {
        "verification_scores": "scores/scores.parquet",
        "states_truth": "states/truth/2022-02.zarr",
        "observations_statistics": "grids/noaa20_atms/statistics.zarr",
    }
    return [f"results/test/{files[rule]}" for rule in rules]


def states(cluster, rule, since):
    """How the jobs of a rule ended that were submitted after ``since`` others."""
    return [job["state"] for job in cluster.jobs()[since:] if job in cluster.jobs_of(rule)]


def test_jobs_killed_too_large_or_too_slow_are_tried_again(cluster, bench):
    slow(bench, "verification_scores", 600)
    slow(bench, "observations_statistics", 600)
    slow(bench, "states_truth", 0, LARGE.format(mb=LEAST_MB))
    since = len(cluster.jobs())
    run = Launch(
        bench,
        "--set-resources",
        "observations_statistics:runtime=1",
        *only(*RULES),
        *targets(*RULES),
    )
    log = bench.folder / "results/test/logs/verification_scores/scores.log"
    log.unlink()
    cluster.wait(
        lambda: log.exists() and "has work for" in log.read_text(),
        300,
        "the job to be killed is not running",
    )
    cluster.cancel(cluster.jobs_of("verification_scores", "RUNNING")[0]["id"])
    text = run.finish()

    assert states(cluster, "verification_scores", since) == ["CANCELLED", "COMPLETED"]
    assert states(cluster, "observations_statistics", since) == ["TIMEOUT", "COMPLETED"]
    assert "observations_statistics has work for 600 s" in text, (
        "the failed job's log was not shown"
    )
    *failed, last = states(cluster, "states_truth", since)
    assert failed
    assert set(failed) <= {"FAILED", "OUT_OF_MEMORY", "CANCELLED"}
    assert last == "COMPLETED"
    asked = [job["memory"] for job in cluster.jobs_of("states_truth")][-len(failed) - 1 :]
    assert asked == [f"{LEAST_MB * attempt}M" for attempt in range(1, len(failed) + 2)]


def test_a_job_that_fails_every_time_is_reported_with_its_log(cluster, bench):
    rule = "observations_statistics"
    bench.edit(
        f"workflow/scripts/{rule}.py", MAIN, MAIN + '    raise OSError("the disk is full")\n'
    )
    since = len(cluster.jobs())
    run = Launch(bench, "--retries", "1", *only(rule), *targets(rule))
    text = run.finish(check=False)
    assert run.process.returncode == 1
    assert states(cluster, rule, since) == ["FAILED", "FAILED"]
    assert "OSError: the disk is full" in text
    assert f"rule {rule}" in text.lower()
    assert f"results/test/logs/{rule}/noaa20_atms.log" in text
    kept = list((bench.folder / f"results/slurm/rule_{rule}/noaa20_atms").glob("*.log"))
    assert len(kept) == 2


def test_interrupted_and_drained_the_same_command_completes(cluster, bench):
    for rule in RULES:
        slow(bench, rule, 600)
    since = len(cluster.jobs())
    words = [*only(*RULES), *targets(*RULES)]
    run = Launch(bench, *words)
    begun = [bench.folder / f"begun-{rule}" for rule in RULES]
    cluster.wait(
        lambda: sum(file.exists() for file in begun) == CORES and len(cluster.jobs()) == since + 3,
        300,
        "the jobs are not queued",
    )
    run.interrupt()
    run.finish(300, check=False)
    assert run.process.returncode != 0
    cluster.wait(
        lambda: not cluster.jobs("PENDING,RUNNING,COMPLETING"), 300, "jobs are left in the queue"
    )
    assert {job["state"] for job in cluster.jobs()[since:]} == {"CANCELLED"}

    for file in begun:
        file.touch()
    since = len(cluster.jobs())
    cluster.drain()
    try:
        run = Launch(bench, *words)
        cluster.wait(lambda: len(cluster.jobs("PENDING")) == 3, 300, "the jobs are not queued")
        assert cluster.node() == "drained"
        assert not cluster.jobs("RUNNING")
    finally:
        cluster.resume()
    run.finish()
    assert [job["state"] for job in cluster.jobs()[since:]] == ["COMPLETED"] * 3
