"""Requests of whole configurations, and a run that does not fit."""

import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import job_cost
from fuxiflow.runtime import budget
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


TEMPORARY = {
    "raw": {"world_spinup", "world_nature", "world_era5", "world_gfs", "world_swaths"},
    "footprints": {"observations_read"},
    "backgrounds": {"training_backgrounds"},
}


@pytest.mark.parametrize("kind", TEMPORARY)
def test_temporary_products_are_those_that_are_named(tmp_path, kind):
    over = tmp_path / "over.yaml"
    over.write_text(
        f"temporary: [{kind}]\nexperiment: {{training: {{backgrounds: {{every_hours: 18}}}}}}\n"
    )
    jobs = plan_jobs(ROOT / "config" / "test.yaml", over, everything=True)
    passing = {job.rule: job.temporary for job in jobs if job.temporary}
    assert set(passing) == TEMPORARY[kind]
    names = [name for paths in passing.values() for name in paths]
    # what a later segment goes on from, and what is told of the data, stays
    assert not any("ledger" in name or "restart" in name for name in names)
    # their rules know which it is, for the records of their jobs
    assert all(("temporary" in job.params) == bool(job.temporary) for job in jobs)


def test_the_rehearsal_fits_two_cores():
    path = ROOT / "config" / "rehearsal.yaml"
    items = budget.items_of(load_configuration(path), plan_jobs(path, everything=True))
    capacity = {"_cores": 2, "mem_mb": 24_000}
    assert budget.simulated_run(items, capacity).makespan <= 2 * 3600
    assert budget.peak_volume(items, capacity).mb <= 40_000
    assert max(item.needs["mem_mb"] for item in items) <= capacity["mem_mb"]
    seconds = [item.cost.seconds * min(2, item.cost.threads) for item in items]
    assert sum(seconds) <= 3.7 * 3600


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
