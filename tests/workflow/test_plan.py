"""Requests of whole configurations, and a run that does not fit."""

import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import job_cost
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
