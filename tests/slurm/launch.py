"""Snakemake on the cluster, as a person starts it: `snakemake --profile slurm`, watched and
interrupted.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.workflow.workbench import Workbench

CORES = min(2, os.cpu_count())


def without_conda(path: str) -> str:
    """A search path without the folders that hold a `conda`: the profile uses the environment of
    this interpreter.
    """
    return os.pathsep.join(
        folder for folder in path.split(os.pathsep) if not shutil.which("conda", path=folder)
    )


def _interruptible() -> None:
    """Let Ctrl-C end this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Launch:
    """One run of Snakemake in a copy of the checkout; its words go to a file beside the copy."""

    def __init__(self, bench: Workbench, *words: str, path: str | None = None):
        """Start it; ``path`` is where programs are searched, by default without conda."""
        self.bench = bench
        self.said = Path(f"{bench.folder}.txt")
        environment = os.environ | {
            "MPLBACKEND": "Agg",
            "PATH": path or without_conda(os.environ["PATH"]),
        }
        environment.pop("PYTHONPATH", None)
        self.command = [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            "slurm",
            "--configfile",
            "config/test.yaml",
            "--cores",
            str(CORES),
            "--latency-wait",
            "10",
            "--slurm-init-seconds-before-status-checks",
            "3",
            *words,
        ]
        with self.said.open("w") as file:
            # what a shell starts in the background ignores SIGINT, and so would its children
            self.process = subprocess.Popen(
                self.command,
                cwd=bench.folder,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=_interruptible,
            )

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.said.read_text()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self, seconds: float = 1800, check: bool = True) -> str:
        """Wait for its end and return all it said; AssertionError where it fails and ``check`` is
        set.
        """
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.interrupt()
            self.process.wait(60)
            raise AssertionError(f"not finished in {seconds:.0f} s:\n{self.text[-8000:]}") from None
        except BaseException:
            self.interrupt()
            raise
        assert not check or code == 0, f"{' '.join(self.command)}\n{self.text[-8000:]}"
        return self.text
