"""What a script does when Slurm asks its job to end."""

import logging
import signal
import subprocess

import pytest

from fuxiflow.runtime import slurm

LOG = logging.getLogger("test")


@pytest.fixture
def job(monkeypatch):
    """A job of Slurm; the handler is put back."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_work_goes_on_after_a_request_to_end(job, caplog, number):
    slurm.outlast_requests(LOG)
    signal.raise_signal(number)
    assert "asked to end" in caplog.text


def test_outside_slurm_nothing_is_handled(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    previous = signal.getsignal(signal.SIGTERM)
    slurm.outlast_requests(LOG)
    assert signal.getsignal(signal.SIGTERM) is previous


def test_the_early_signal_ends_no_program_between_slurm_and_the_script(job):
    """Slurm sends it to all processes of a step: Snakemake and shells among them."""
    slurm.ignore_early_signal()
    words = "kill -USR1 $$; kill -USR1 $PPID; echo went on"
    done = subprocess.run(["bash", "-c", words], check=True, capture_output=True, text=True)
    assert done.stdout == "went on\n"


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (SystemExit(143), True),
        (SystemExit(138), True),
        (SystemExit(130), False),
        (SystemExit(1), False),
        (KeyboardInterrupt(), False),
        (ValueError("143"), False),
    ],
)
def test_only_what_was_told_to_end_waits_for_the_kill(job, monkeypatch, error, waits):
    waited = []
    monkeypatch.setattr(slurm.time, "sleep", waited.append)
    slurm.await_kill(error, LOG, 5)
    assert waited == [5] * waits
    monkeypatch.delenv("SLURM_JOB_ID")
    slurm.await_kill(error, LOG, 5)
    assert waited == [5] * waits
