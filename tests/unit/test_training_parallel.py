"""Several processes compute what one does: shares of a batch, launching, and two ranks
against one.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow import ROOT
from fuxiflow.runtime import distributed
from fuxiflow.training.parallel import DeviceOptions, Share, make_fabric, whole_tensors


@given(ranks=st.integers(1, 5), accumulate=st.integers(1, 4), size=st.integers(1, 4))
def test_shares_cover_a_batch_once(ranks, accumulate, size):
    batch = ranks * accumulate * size
    places = [
        list(range(batch))[Share(rank, ranks, accumulate).places(batch, part)]
        for rank in range(ranks)
        for part in range(accumulate)
    ]
    assert [place for part in places for place in part] == list(range(batch))


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(
        ValueError, match="of 6 cannot be shared by 2 devices in 2 parts; make it a multiple of 4"
    ):
        Share(0, 2, 2).places(6, 0)


def test_one_device_has_no_strategy_and_whole_tensors_stay():
    assert make_fabric(DeviceOptions("cpu", "32-true")).world_size == 1
    tensor = torch.ones(2)
    assert whole_tensors({"a": [tensor, 3]})["a"][0] is tensor


@pytest.fixture
def cluster(tmp_path):
    """The environment of a step of a Slurm job, whose `srun` is the script that a test writes."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "srun").write_text("#!/bin/sh\n")
    (programs / "srun").chmod(0o755)
    return {
        "SLURM_JOB_ID": "7",
        "SLURM_CONF": "/etc/slurm/slurm.conf",
        "SLURM_NTASKS": "1",
        "SLURM_NNODES": "1",
        "SLURM_STEP_ID": "0",
        "SLURM_CPU_BIND": "quiet",
        "SLURM_PROCID": "0",
        "SRUN_CPUS_PER_TASK": "2",
        "SBATCH_EXPORT": "NONE",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "LOCAL_RANK": "5",
        "CUDA_VISIBLE_DEVICES": "0,1",
    }


def test_one_srun_starts_the_ranks_on_all_nodes_of_a_job(cluster):
    [(command, handed)] = distributed.rank_commands(["python", "x.py"], 4, 2, 3, cluster, 4711)
    assert command == [
        "srun",
        "--overlap",
        "--kill-on-bad-exit=1",
        "--input=none",
        "--nodes=2",
        "--ntasks=8",
        "--ntasks-per-node=4",
        "--cpus-per-task=3",
        "python",
        "x.py",
    ]
    assert handed == {
        "SLURM_JOB_ID": "7",
        "SLURM_CONF": "/etc/slurm/slurm.conf",
        "PATH": cluster["PATH"],
        "CUDA_VISIBLE_DEVICES": "0,1",
        distributed.MARK: "8",
        distributed.WRITER: distributed.writer_name(),
        "MASTER_PORT": "4711",
    }


@pytest.mark.parametrize("job", [{}, {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1"}])
def test_without_slurm_or_its_srun_the_ranks_are_children(tmp_path, job):
    environment = {**job, "PATH": str(tmp_path)}
    found = distributed.rank_commands(["python", "x.py"], 2, 1, 1, environment, 4711)
    assert [command for command, _ in found] == [["python", "x.py"]] * 2
    assert [handed["LOCAL_RANK"] for _, handed in found] == ["0", "1"]
    assert {(handed["MASTER_ADDR"], handed["MASTER_PORT"]) for _, handed in found} == {
        ("127.0.0.1", "4711")
    }
    # else Lightning would take the job's one task for the rank
    assert not any("SLURM_NTASKS" in handed for _, handed in found)
    with pytest.raises(
        RuntimeError, match=r"training\.nodes is 2, but this is no Slurm job with srun"
    ):
        distributed.rank_commands(["python", "x.py"], 1, 2, 1, environment, 1)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SystemExit(143), distributed.TOLD),
        (SystemExit(138), distributed.TOLD),
        (SystemExit(2), 2),
        (ValueError("no"), distributed.FAILED),
    ],
)
def test_the_status_of_a_rank_says_whether_it_failed_or_was_told_to_end(
    monkeypatch, caplog, error, status
):
    monkeypatch.setenv(distributed.MARK, "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    previous = {number: signal.getsignal(number) for number in distributed.PASSED_ON}
    try:
        with pytest.raises(SystemExit) as ended, distributed.as_rank(logging.getLogger("test")):
            raise error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    assert ended.value.code == status
    assert ("process 1 of 2 failed: no" in caplog.text) == (status == distributed.FAILED)


# the first rank to end has `srun` tell the others, one of which is ending too: by then Python has
# given up its handlers
ENDING = """
import logging, os, signal
from fuxiflow.runtime import distributed

class Late:
    def __del__(self, kill=os.kill, here=os.getpid(), number=signal.SIGTERM):
        kill(here, number)

late = Late()
signal.signal(signal.SIGTERM, lambda number, frame: None)
with distributed.as_rank(logging.getLogger()):
    raise SystemExit({code})
"""


def test_a_rank_told_to_end_twice_keeps_its_status():
    environment = {**os.environ, distributed.MARK: "2", "LOCAL_RANK": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", ENDING.format(code=143)], cwd=ROOT, env=environment
    )
    assert ended.returncode == distributed.TOLD
    ended = subprocess.run([sys.executable, "-c", ENDING.format(code=2)], cwd=ROOT, env=environment)
    assert ended.returncode == -signal.SIGTERM, "the signal no longer comes when this test needs it"


# what `srun` does: passes SIGUSR1 on, and kills its tasks at once on SIGTERM
SRUN = """#!{python}
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGUSR1, lambda number, frame: sys.exit({told}))
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(137))
Path({ready!r}).touch()
if {status} is not None:
    sys.exit({status})
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("status", "signals", "ends", "says"),
    [
        (None, [signal.SIGTERM], 143, ""),  # the ranks have saved
        (None, [signal.SIGUSR1], 138, ""),
        (None, [signal.SIGINT], 130, ""),
        (distributed.TOLD, [], 143, ""),  # Slurm has told the ranks itself, not this process
        (distributed.FAILED, [], 1, f"one of 2 processes ended with status {distributed.FAILED}"),
        (137, [], 1, "status 137"),
    ],
)
def test_the_ranks_of_a_job_save_when_it_is_told_to_end(
    tmp_path, cluster, status, signals, ends, says
):
    ready = tmp_path / "ready"
    text = SRUN.format(
        python=sys.executable, told=distributed.TOLD, ready=str(ready), status=status
    )
    (tmp_path / "programs/srun").write_text(text)
    started = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from fuxiflow.runtime import distributed; distributed.launch(2, 1)",
        ],
        cwd=ROOT,
        env=cluster,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for([ready])
    for number in signals:
        started.send_signal(number)
    said = started.communicate(timeout=60)[1]
    assert started.returncode == ends, said
    assert says in said


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, None),
        ({distributed.MARK: "2", "LOCAL_RANK": "1"}, 1),
        ({distributed.MARK: "8", "SLURM_PROCID": "5"}, 5),
        ({"SLURM_PROCID": "0"}, None),
    ],
)
def test_a_process_knows_its_rank(monkeypatch, environment, rank):
    for name in ("LOCAL_RANK", "SLURM_PROCID", distributed.MARK):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert distributed.process_rank() == rank


LIMIT = 900  # seconds, for a training of six updates in two processes
STARTER = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from fuxiflow.runtime import distributed
folder = Path({folder!r})
if distributed.process_rank() is None:
    distributed.launch(2, 1)
else:
    rank = distributed.process_rank()
    def note(word, status):
        return lambda number, frame: ((folder / f"{{word}}{{rank}}").touch(), sys.exit(status))
    signal.signal(signal.SIGUSR1, note("told", 138))
    signal.signal(signal.SIGTERM, note("ended", 143))
    (folder / f"ready{{rank}}").touch()
    if {fails} and distributed.process_rank() == 1:
        while not (folder / "ready0").exists():
            time.sleep(0.05)
        sys.exit(3)
    time.sleep(60)
"""


def wait_for(paths, seconds=60):
    end = time.monotonic() + seconds
    while not all(path.exists() for path in paths):
        assert time.monotonic() < end, f"no {paths}"
        time.sleep(0.05)


def test_signals_reach_the_ranks_and_a_failed_rank_ends_the_others(tmp_path):
    for fails in (False, True):
        folder = tmp_path / str(fails)
        folder.mkdir()
        file = folder / "start.py"
        file.write_text(STARTER.format(root=str(ROOT), folder=str(folder), fails=fails))
        started = subprocess.Popen([sys.executable, file], stderr=subprocess.PIPE, text=True)
        wait_for([folder / "ready0", folder / "ready1"])
        if fails:
            wait_for([folder / "ended0"])
        else:
            started.send_signal(signal.SIGUSR1)
            wait_for([folder / "told0", folder / "told1"])
        said = started.communicate(timeout=60)[1]
        assert started.returncode == (1 if fails else 138)
        assert ("status 3" in said) == fails


def train(tmp_path, name, ranks, strategy, **values):
    """Losses and weights of a training in so many processes."""
    folder = tmp_path / name
    folder.mkdir()
    settings = {"folder": str(folder), "ranks": ranks, "strategy": strategy, **values}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.support.ranks", json.dumps(settings)]
    started = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        status = started.wait(timeout=LIMIT)
    finally:
        # ranks that wait for each other must not outlive the test
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    if status:
        raise subprocess.CalledProcessError(status, command)
    return torch.load(folder / "result.pt")


def killed(tmp_path, name, ranks, strategy):
    """Train until a kill after the first restart file."""
    with pytest.raises(subprocess.CalledProcessError):
        train(tmp_path, name, ranks, strategy, killed_at=3)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_ranks_train_as_one_does(tmp_path, strategy):
    one = train(tmp_path, "one", 1, strategy)
    two = train(tmp_path, "two", 2, strategy)
    torch.testing.assert_close(two["losses"], one["losses"], rtol=2e-5, atol=1e-6)
    for key, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][key], value, rtol=1e-3, atol=2e-4)
    # killed in one or two processes, gone on in as many or others: the same places, the same draws
    killed(tmp_path, "in_two", 2, strategy)
    resumed = train(tmp_path, "alone", 1, strategy, resumes=str(tmp_path / "in_two"))
    torch.testing.assert_close(resumed["losses"], one["losses"], rtol=2e-5, atol=1e-6)
    if strategy == "ddp":
        return
    [kept] = (tmp_path / "in_two/state").glob("update-*")
    parts = {path.name for path in kept.iterdir()}
    assert parts == {".metadata", "__0_0.distcp", "__1_0.distcp", "digests.json", "rest.pt"}
    again = train(tmp_path, "again", 2, strategy, resumes=str(tmp_path / "in_two"))
    torch.testing.assert_close(again, two, rtol=0, atol=0)
    killed(tmp_path, "in_one", 1, strategy)
    shared = train(tmp_path, "shared", 2, strategy, resumes=str(tmp_path / "in_one"))
    torch.testing.assert_close(shared["losses"], one["losses"], rtol=2e-5, atol=1e-6)
