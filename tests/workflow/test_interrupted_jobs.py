"""Snakemake's jobs that fail, are killed, or run twice: what was there stays or can be put back."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fuxiflow import ROOT, cli

SNAKEFILE = """
import sys
sys.path.insert(0, {root!r})
from fuxiflow.runtime.monitor import end_monitor, start_monitor
from fuxiflow.runtime.rule_runner import export_path
from fuxiflow.runtime.snakemake_internals import complete_rules, keep_earlier_products

export_path()

rule all:
    input: "results/t/made.txt", "results/t/made.zarr"

rule make:
    output:
        file="results/t/made.txt",
        store=directory("results/t/made.zarr"),
    params:
        setting=config["setting"],
    script: "make.py"

complete_rules(workflow, "results/t", lambda rule: "environment.yaml", lambda rule: dict())
keep_earlier_products()

onstart:
    start_monitor(workflow, "results/t")
onerror:
    end_monitor(False)
"""
SCRIPT = """
import os, signal, time
from pathlib import Path
from fuxiflow.runtime.rule_runner import run

def main(input, output, params, log):
    mode = Path("mode").read_text()
    output.file.write_text(f"of {params.setting}")
    output.store.mkdir()
    (output.store / "part").write_text(f"of {params.setting}")
    Path("begun").write_text(str(os.getpid()))
    if mode == "fail":
        raise RuntimeError("no weather today")
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while mode == "wait" and not Path("go").exists():
        time.sleep(0.05)

run(main, snakemake)
"""
PRODUCTS = ("results/t/made.txt", "results/t/made.zarr")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=str(ROOT)))
    (tmp_path / "make.py").write_text(SCRIPT)
    (tmp_path / "environment.yaml").write_text("dependencies: []")
    return tmp_path


def command(setting, *options):
    triggers = ["--rerun-triggers", "mtime", "params", "input", "--rerun-incomplete"]
    return [
        *(sys.executable, "-m", "snakemake", "--cores", "1"),
        *("--config", f"setting={setting}", *triggers, *options),
    ]


def snakemake(folder, setting, *options, mode="well"):
    (folder / "mode").write_text(mode)
    return subprocess.run(
        command(setting, *options), cwd=folder, capture_output=True, text=True, timeout=600
    )


def state(folder):
    """Contents and times of the products."""
    file, part = folder / PRODUCTS[0], folder / PRODUCTS[1] / "part"
    return file.read_text(), part.read_text(), file.stat().st_mtime_ns, part.stat().st_mtime_ns


def restore(folder, monkeypatch, *paths):
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        return cli.main(["restore", "results/t", *paths])


def assert_nothing_to_do(folder, setting):
    assert "Nothing to be done" in snakemake(folder, setting, "--dry-run").stdout


def begun(folder, process):
    """The number of the process that runs the script, once it does."""
    end = time.monotonic() + 300
    while not (folder / "begun").exists() or not (folder / "begun").read_text():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    return int((folder / "begun").read_text())


@pytest.mark.parametrize("mode", ["fail", "kill"])
def test_a_rerun_that_fails_leaves_the_earlier_product_to_be_put_back(folder, monkeypatch, mode):
    assert snakemake(folder, 1).returncode == 0
    before = state(folder)
    failed = snakemake(folder, 2, mode=mode)
    assert failed.returncode == 1
    assert not any((folder / name).exists() for name in PRODUCTS)
    told = f"fuxiflow restore results/t {' '.join(PRODUCTS)}"
    assert told in failed.stderr
    assert told in (folder / "results/t/status.html").read_text()
    if mode == "fail":
        assert told in (folder / "results/t/logs/make/all.log").read_text()
    # a second failure takes nothing away
    assert snakemake(folder, 3, mode=mode).returncode == 1
    assert restore(folder, monkeypatch) == 0
    assert state(folder) == before
    assert_nothing_to_do(folder, 1)
    assert "make" in snakemake(folder, 2, "--dry-run").stdout
    assert restore(folder, monkeypatch) == 0


def test_one_product_brings_back_all_of_its_job(folder, monkeypatch, capsys):
    assert snakemake(folder, 1).returncode == 0
    before = state(folder)
    assert snakemake(folder, 1, "--forcerun", "make", mode="fail").returncode == 1
    assert restore(folder, monkeypatch, "results/t/other.txt") == 1
    assert "to be put back: results/t/made.txt" in capsys.readouterr().err
    assert restore(folder, monkeypatch, PRODUCTS[0]) == 0
    assert state(folder) == before
    assert_nothing_to_do(folder, 1)


def test_the_earlier_product_goes_when_the_new_one_is_whole(folder, monkeypatch, capsys):
    assert snakemake(folder, 1).returncode == 0
    assert snakemake(folder, 2, mode="fail").returncode == 1
    assert snakemake(folder, 2).returncode == 0
    assert state(folder)[:2] == ("of 2", "of 2")
    assert not [path for path in (folder / "results/t/state").rglob("*") if path.is_file()]
    assert restore(folder, monkeypatch) == 0
    assert "no earlier product is kept" in capsys.readouterr().out
    assert_nothing_to_do(folder, 2)
    assert snakemake(folder, 2, "--delete-all-output").returncode == 0
    assert not any((folder / name).exists() for name in PRODUCTS)


def test_all_killed_at_once_is_put_back_or_made_anew(folder, monkeypatch):
    assert snakemake(folder, 1).returncode == 0
    before = state(folder)
    for ending in ("restore", "again"):
        (folder / "begun").unlink()
        (folder / "mode").write_text("wait")
        run = subprocess.Popen(command(2), cwd=folder, stderr=subprocess.DEVNULL)
        script = begun(folder, run)
        run.kill()
        run.wait()
        os.kill(script, signal.SIGKILL)
        assert snakemake(folder, 2, "--unlock").returncode == 0
        if ending == "restore":
            assert restore(folder, monkeypatch) == 0
            assert state(folder) == before
            assert_nothing_to_do(folder, 1)
    again = snakemake(folder, 2)
    assert again.returncode == 0, again.stderr
    assert "taking over" in (folder / "results/t/logs/make/all.log").read_text()
    assert state(folder)[:2] == ("of 2", "of 2")
    assert not [path for path in (folder / "results/t").iterdir() if path.name.startswith(".")]


def test_a_second_copy_after_unlock_is_refused_and_the_first_ends_well(folder, monkeypatch):
    (folder / "mode").write_text("wait")
    first = subprocess.Popen(command(1), cwd=folder, stderr=subprocess.DEVNULL)
    script = begun(folder, first)
    first.kill()  # the script outlives its Snakemake
    first.wait()
    assert snakemake(folder, 1, "--unlock").returncode == 0
    second = snakemake(folder, 1, mode="wait")
    assert second.returncode == 1
    assert f"another copy of this job is running: process {script}" in second.stderr
    assert "remedy a second Snakemake works on the same results" in second.stderr
    (folder / "go").touch()
    end = time.monotonic() + 300
    while not (folder / PRODUCTS[1]).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert state(folder)[:2] == ("of 1", "of 1")
