"""One job, one process: a second copy is refused, a dead one's lease is taken over by one alone."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuxiflow import ROOT
from fuxiflow.runtime import leases
from fuxiflow.runtime.leases import Holder, Lease, LeaseHeldError, LeaseLostError

FORK = multiprocessing.get_context("fork")
WAITING = """
import sys, time
from pathlib import Path
from fuxiflow.runtime.leases import Lease
with Lease(Path(sys.argv[1]), Path("logs/x.log")):
    print("taken", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "leases" / "rule" / "a.json"


def lease_on(path, **options):
    return Lease(path, Path("results/t/logs/rule/a.log"), **{"beat": 0.05, "stale": 1.0, **options})


def elsewhere(path, seconds=0.0, **changes):
    """Leave a lease of another machine, renewed so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there = {"host": "node7", "machine": "node7 boot", "pid": 4711, "slurm": "99", **changes}
    content = {**vars(Holder.this(Path("logs/x.log"))), **there}
    path.write_text(json.dumps(content))
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def other(path):
    """Another process of this machine that has the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout.readline() == b"taken\n"
    yield process
    process.kill()
    process.wait()


def test_the_place_follows_from_the_log():
    lease = leases.lease_path(Path("a/results/t/logs/cycling_analyses/base/2022-01.log"))
    assert lease == Path("a/results/t/state/leases/cycling_analyses/base/2022-01.json")
    assert leases.lease_path(Path("elsewhere/x.log")) is None


def test_a_lease_goes_with_its_process(path):
    with lease_on(path) as lease:
        assert Holder.read(path)[0] == lease.holder
        assert lease.holder.is_alive
    assert list(path.parent.iterdir()) == []


def test_a_second_copy_is_refused_and_told_everything(path, other):
    with pytest.raises(LeaseHeldError) as refused:
        lease_on(path).take()
    for word in (str(other.pid), leases.socket.gethostname(), "since", "logs/x.log", str(path)):
        assert word in str(refused.value)
    assert f"kill {other.pid}" in str(refused.value)


def test_a_killed_process_of_this_machine_is_followed_at_once(path, other):
    other.kill()
    time.sleep(0.1)  # not waited for: a process that has ended may still be listed
    lease = lease_on(path, stale=1e9)
    lease.take()
    assert "taking over" in lease.notes[0]
    lease.release()


def test_a_process_that_got_the_number_of_a_dead_one_is_another(path, other):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "pid": os.getpid(), "started": "1"}))
    with lease_on(path, stale=1e9) as lease:
        assert lease.notes


def test_a_stopped_process_of_this_machine_still_holds(path, other):
    other.send_signal(signal.SIGSTOP)
    os.utime(path, (0, 0))
    with pytest.raises(LeaseHeldError):
        lease_on(path).take()


def test_a_lease_elsewhere_is_taken_over_after_its_time(path):
    elsewhere(path, seconds=0.0)
    lease = lease_on(path, stale=0.3)
    before = time.monotonic()
    with lease:
        assert time.monotonic() - before >= 0.2
    assert "node7, Slurm job 99" in lease.notes[0]
    assert "taking over" in lease.notes[1]


def test_a_lease_elsewhere_that_is_renewed_holds(path, monkeypatch):
    elsewhere(path)
    # the other's sign of life comes while this one waits
    monkeypatch.setattr(
        leases.time, "sleep", lambda seconds: os.utime(path, (time.time() + 9,) * 2)
    )
    with pytest.raises(LeaseHeldError, match=r"scancel 99"):
        lease_on(path, stale=100).take()


def test_a_lease_from_the_future_is_taken_over_after_its_time(path, monkeypatch):
    # the server's clock was put back by a day since its holder died
    elsewhere(path, seconds=-86400)
    clock = iter(range(10**6))
    monkeypatch.setattr(leases.time, "monotonic", lambda: next(clock) * 0.2)
    rounds = iter(range(50))
    # a list that ends ends the waiting
    monkeypatch.setattr(leases.time, "sleep", lambda seconds: next(rounds))
    with lease_on(path) as lease:
        assert "taking over" in lease.notes[1]
        assert Holder.read(path)[0] == lease.holder


def test_a_guard_from_the_future_keeps_nobody_waiting(path, monkeypatch):
    elsewhere(path, pid=2**22 + 5, machine=leases.machine())
    elsewhere(path.with_name("a.json.taker"), seconds=-86400)
    rounds = iter(range(50))
    monkeypatch.setattr(leases.time, "sleep", lambda seconds: next(rounds))
    with lease_on(path) as lease:
        assert Holder.read(path)[0] == lease.holder
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"[1]", b"{}", b'{"pid": "x"}'])
def test_a_damaged_lease_ends_after_its_time(path, content):
    elsewhere(path, seconds=9)
    path.write_bytes(content)
    os.utime(path, (time.time() - 9,) * 2)
    with lease_on(path) as lease:
        assert Holder.read(path)[0] == lease.holder


def _compete(path, start, counter, most):
    start.wait()
    lease = lease_on(path, stale=1e9)
    while True:
        try:
            lease.take()
            break
        except LeaseHeldError:
            time.sleep(0.001)
    with counter.get_lock():
        counter.value += 1
        most.value = max(most.value, counter.value)
    time.sleep(0.005)
    with counter.get_lock():
        counter.value -= 1
    lease.check()
    lease.release()


@pytest.mark.parametrize("left", ["nothing", "a dead one's", "a dead taker's"])
def test_of_many_that_want_it_one_has_it(path, left):
    if left != "nothing":
        elsewhere(path, pid=2**22 + 5, machine=leases.machine())
    if left == "a dead taker's":
        elsewhere(path.with_name("a.json.taker"), pid=2**22 + 6, machine=leases.machine())
    start, counter, most = FORK.Event(), FORK.Value("i", 0), FORK.Value("i", 0)
    takers = [FORK.Process(target=_compete, args=(path, start, counter, most)) for _ in range(8)]
    for taker in takers:
        taker.start()
    start.set()
    for taker in takers:
        taker.join(60)
        assert taker.exitcode == 0
    assert most.value == 1
    assert list(path.parent.iterdir()) == []


def test_a_file_system_without_links(path, monkeypatch):
    def refused(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(leases.os, "link", refused)
    with lease_on(path), pytest.raises(LeaseHeldError):
        lease_on(path).take()


def test_whose_lease_was_taken_does_not_go_on(path):
    lease = lease_on(path, beat=1e9)
    lease.take()
    elsewhere(path)
    with pytest.raises(LeaseLostError, match="node7"):
        lease.check()
    lease.release()
    assert Holder.read(path)[0].host == "node7"


def test_a_process_that_lost_its_lease_ends(path):
    def hold():
        lease = lease_on(path)
        lease.on_loss.append(lambda: path.with_name("told").touch())
        lease.take()
        path.with_name("taken").touch()
        time.sleep(600)

    process = FORK.Process(target=hold)
    process.start()
    while not path.with_name("taken").exists():
        time.sleep(0.01)
    elsewhere(path)
    process.join(60)
    assert process.exitcode == leases.LOST
    assert path.with_name("told").exists()


def test_a_deleted_lease_is_made_again(path):
    with lease_on(path, beat=1e9) as lease:
        path.unlink()
        lease.check()
        assert Holder.read(path)[0] == lease.holder


def test_whether_a_job_is_leased_is_told_without_waiting(tmp_path, other, path):
    log = tmp_path / "logs" / "rule" / "a.log"
    assert leases.is_leased(log)
    other.kill()
    other.wait()
    assert not leases.is_leased(log)
    elsewhere(path, seconds=3)
    assert leases.is_leased(log)
    elsewhere(path, seconds=2 * leases.STALE)
    assert not leases.is_leased(log)
    path.unlink()
    assert not leases.is_leased(log)
