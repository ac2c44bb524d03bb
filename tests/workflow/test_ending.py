"""Snakemake that is told to end does so, also while it selects jobs."""

import signal
import subprocess
import sys
import time

from fuxiflow import ROOT

# selecting the first jobs takes until a file is there
SNAKEFILE = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from snakemake.scheduling import milp
from fuxiflow.runtime.monitor import end_monitor, start_monitor

select = milp.Scheduler.select_jobs

def slowly(self, *arguments, **options):
    Path("selecting").touch()
    while not Path("told").exists():
        time.sleep(0.05)
    return select(self, *arguments, **options)

milp.Scheduler.select_jobs = slowly

onstart:
    start_monitor(workflow, "results/small")
onerror:
    end_monitor(False)

rule all:
    input: expand("{{number}}.txt", number=range(4))
rule one:
    output: "{{number}}.txt"
    shell: "touch {{output}}"
"""


def test_sigterm_while_jobs_are_selected_ends_the_run(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=str(ROOT)))
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2"],
            cwd=tmp_path,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "selecting").exists():
            assert run.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < end, "no jobs to select"
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # the handler runs between two of the main thread's instructions
        (tmp_path / "told").touch()
        assert run.wait(60) == 1
    finally:
        run.kill()
        run.wait()
    said = (tmp_path / "said").read_text()
    assert "Will exit after finishing currently running jobs" in said
    done = list(tmp_path.glob("*.txt"))
    assert 0 < len(done) < 4, said
