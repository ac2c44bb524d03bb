"""Harm to what surrounds a job: a full disk, a killed workflow, and products that no job reads."""

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.chaos.jobs import JobCall, run_job, run_verify
from tests.chaos.trials import (
    CRASHED,
    REFUSED,
    REMEDY,
    SAME,
    SILENT,
    UNCLEAR,
    Bench,
    Verdict,
    differences,
    maker_name,
)
from tests.support import same_results

LOG = logging.getLogger("chaos")
ROOM_LEFT = 50_000
"""Bytes that the trial leaves on a full disk."""
DISK_FULL_JOBS = 8
WORKFLOW_KILLS = 2


def verify_harmed(bench: Bench, product: str, harm, dice: random.Random) -> Verdict:
    """Harm a product that no job reads, and ask ``fuxiflow verify`` for it.

    Parameters
    ----------
    bench : Bench
        The copy of a finished run.
    product : str
        The path of the product.
    harm : callable
        What is done.
    dice : random.Random
        Draws the place.

    Returns
    -------
    Verdict
        What became of it.
    """
    done = harm(bench.folder / product, dice)
    name = str(done).replace(f"{bench.folder}/", "")
    results = "/".join(product.split("/")[:2])
    status, text = run_verify(results, bench.folder, bench.report)
    if status == 0:
        lines = differences(bench.folder / product, bench.reference / product)
        outcome, detail = (SILENT, lines[0]) if lines else (SAME, "")
    elif "Traceback" in text:
        outcome, detail = CRASHED, text[-600:]
    elif product in text and REMEDY.search(text):
        outcome, detail = REFUSED, text
    else:
        outcome, detail = UNCLEAR, text[-600:]
    bench.repair([product])
    return Verdict(f"{maker_name(product)} ← fuxiflow verify", name, outcome, detail)


def fill_disk(bench: Bench, call: JobCall) -> Verdict:
    """Run a job on a file system with too little space; free some and run it again."""
    harm = f"disk full: {call.name}"
    mount = Path(tempfile.mkdtemp(prefix="full-"))
    size = _size(bench.folder / "results") // 1024 + 64 * 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(mount)], check=True)
    try:
        shutil.copytree(bench.folder / "results", mount / "results", copy_function=shutil.copy2)
        small = Bench(mount, bench.reference, bench.report)
        small.reset(call)
        filler = mount / "filler"
        _fill(filler, leave=ROOM_LEFT)
        ended = run_job(call, mount, bench.report)
        if ended.status == 0:
            lines = small.differences(call)
            return Verdict(call.rule, harm, SILENT if lines else SAME, "; ".join(lines[:2]))
        if ended.status < 0 or not ended.says:
            return Verdict(call.rule, harm, CRASHED, ended.log[-500:])
        if "No space left" not in ended.text or not REMEDY.search(ended.text):
            return Verdict(call.rule, harm, UNCLEAR, ended.text)
        filler.unlink()
        small.reset(call, keep_state=True)
        outcome, detail = small.judge(call, run_job(call, mount, bench.report))
        outcome = UNCLEAR if outcome == REFUSED else REFUSED if outcome == SAME else outcome
        return Verdict(call.rule, harm, outcome, detail)
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)
        mount.rmdir()


def _fill(path: Path, leave: int) -> None:
    """Write a file until so many bytes are left on its file system."""
    free = shutil.disk_usage(path.parent).free - leave
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free, 1))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size + 4096 for path in folder.rglob("*") if path.is_file())


def kill_workflow(bench: Bench, rule: str, dice: random.Random) -> Verdict:
    """Kill Snakemake and all its jobs in the middle of a rerun, unlock, and run it again."""
    harm = f"kill -9 of the workflow: from {rule} on"
    with tempfile.TemporaryDirectory(dir=bench.folder.parent) as scratch:
        folder = Path(scratch) / "fuxiflow"
        shutil.copytree(bench.reference, folder, symlinks=True)
        log = Path(scratch) / "log"
        with open(log, "w", encoding="utf-8") as file:
            running = _snakemake(folder, file, "--forcerun", rule)
            time.sleep(dice.uniform(8.0, 25.0))
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            _snakemake(folder, file, "--unlock").wait()
            status = _snakemake(folder, file, "--rerun-incomplete").wait()
        text = log.read_text(encoding="utf-8")[-600:]
        if status:
            return Verdict("workflow", harm, UNCLEAR, text)
        lines = same_results.differences(bench.reference / "results/test", folder / "results/test")
    return Verdict("workflow", harm, SILENT if lines else SAME, "; ".join(lines[:3]))


def _snakemake(folder: Path, output, *words: str) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-m", "snakemake", "--configfile", "config/test.yaml"]
    return subprocess.Popen(
        [*command, "--cores", "2", *words],
        cwd=folder,
        env=environment | {"MPLBACKEND": "Agg"},
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def can_mount() -> bool:
    """Say whether this process may mount a small file system."""
    folder = tempfile.mkdtemp(prefix="mount-")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    try:
        allowed = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    if allowed:
        subprocess.run(["umount", folder], check=True)
    os.rmdir(folder)
    return allowed


def trials(calls: list[JobCall], dice: random.Random) -> list:
    """Trials of full disks, where one can be mounted, and of killed workflows, with times in s."""
    makers = [call for call in calls if call.seconds < 15.0 and not call.rule.startswith("world")]
    if can_mount():
        drawn = dice.sample(makers, min(DISK_FULL_JOBS, len(makers)))
        timed = [(3 + 2 * call.seconds, partial(fill_disk, call=call)) for call in drawn]
    else:
        print("full disks are not tried: this process may not mount a file system", flush=True)
        timed = []
    for rule in dice.sample(
        ["cycling_analyses", "states_climatology", "verification_baselines"],
        WORKFLOW_KILLS,
    ):
        seed = random.Random(f"workflow {rule} {dice.random()}")
        timed.append((60.0, partial(kill_workflow, rule=rule, dice=seed)))
    return timed
