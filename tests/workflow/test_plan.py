"""Requests of whole configurations, and the needs of a run beside what it took."""

import os
import re
import subprocess
import sys
from collections import defaultdict

import pytest

from fuxiflow import ROOT
from fuxiflow.config import volumes
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import job_cost, request_of
from fuxiflow.runtime.job_benchmarks import read_benchmarks
from fuxiflow.runtime.snakemake_internals import plan_jobs

CONFIGURATIONS = [
    name
    for name in ("test", "demo", "real", "lab", "rehearsal", "paper")
    if (ROOT / "config" / f"{name}.yaml").exists()
]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_job_is_estimated_beyond_its_request(name):
    path = ROOT / "config" / f"{name}.yaml"
    config = load_configuration(path)
    for job in plan_jobs(path, everything=True):
        if "runtime" not in job.resources:
            assert job.rule.startswith("archive_"), job.rule
            continue
        cost = job_cost(config, job.rule, job.wildcards)
        place = f"{job.rule} {job.wildcards}"
        assert cost.seconds <= 2 / 3 * 60 * job.resources["runtime"], place
        assert 1.3 * cost.mb <= job.resources["mem_mb"] + 1, place
        assert job.resources["disk_mb"] >= 100, place


def test_planning_takes_what_is_there_into_account(finished):
    done = subprocess.run(
        [sys.executable, "-m", "fuxiflow", "plan", "config/test.yaml"],
        cwd=finished.folder,
        env=os.environ | {"PYTHONPATH": str(finished.folder)},
        text=True,
        capture_output=True,
        check=True,
    )
    assert re.match(r"test: 0 of \d+ jobs to run", done.stdout)


def test_a_finished_run_took_no_more_than_was_asked_for_and_about_the_space(finished):
    config = load_configuration(finished.folder / "config" / "test.yaml")
    results = finished.folder / "results" / "test"
    estimated, files = defaultdict(float), 0.0
    for job in plan_jobs(finished.folder / "config" / "test.yaml", everything=True):
        volume = volumes.product_volume(config, job.rule, job.wildcards)
        estimated[volumes.product_stage(job.rule)] += volume.mb
        files += volume.files
        stem = "/".join(dict.fromkeys(job.wildcards.values())) or "all"
        request = request_of(job_cost(config, job.rule, job.wildcards))
        for one in read_benchmarks(results / "benchmarks"):
            if (one.rule, one.wildcards) == (job.rule, stem) and one.peak_mb == one.peak_mb:
                assert one.peak_mb <= request.mem_mb, f"{one.rule} {one.wildcards}"
                assert one.seconds <= 60 * request.runtime, f"{one.rule} {one.wildcards}"
    taken = {
        stage: sum(size(results / folder) for folder in folders)
        for stage, folders in {
            "raw": ["raw"],
            "states": ["states"],
            "observations": ["observations", "grids"],
            "forecasts": ["forecasts"],
            "analyses": ["analyses"],
        }.items()
    }
    for stage, mb in taken.items():
        assert mb / 2 <= estimated[stage] <= 2 * mb, f"{stage}: {estimated[stage]:.1f}, {mb:.1f}"
    counted = sum(len(names) for _, _, names in os.walk(results))
    assert counted / 2.5 <= files <= 2.5 * counted


def size(folder):
    """Megabytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def test_a_run_that_does_not_fit_ends_before_its_first_job(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    module = copy.folder / "fuxiflow" / "runtime" / "budget.py"
    module.write_text(
        module.read_text().replace("system.f_bavail * system.f_frsize / 1e6", "1.0"),
        encoding="utf-8",
    )
    done = copy.snakemake("--cores", "1", "world", check=False)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "would not fit on the disk" in said
    assert "check_space=false" in said
    assert not (copy.folder / "results/test/logs").exists()
    # a target that makes next to nothing fits
    copy.snakemake("--cores", "1", "figure_system", "--config", "check_space=false")
