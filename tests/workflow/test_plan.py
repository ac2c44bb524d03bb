"""Requests and needs of whole configurations, and a run that does not fit."""

import re
from functools import cache

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


@cache
def whole_plan(name):
    """All jobs of a configuration as if nothing were there; planned once."""
    return plan_jobs(ROOT / "config" / f"{name}.yaml", everything=True)


def needs(name):
    """Estimates of all jobs of a configuration as if nothing were there."""
    config = load_configuration(ROOT / "config" / f"{name}.yaml")
    return budget.items_of(config, whole_plan(name), ROOT / "no store")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_job_is_estimated_beyond_its_request(name):
    config = load_configuration(ROOT / "config" / f"{name}.yaml")
    for job in whole_plan(name):
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
    items = needs("rehearsal")
    capacity = {"_cores": 2, "mem_mb": 24_000}
    assert budget.simulated_run(items, capacity).makespan <= 2 * 3600
    assert budget.peak_volume(items, capacity).mb <= 40_000
    assert max(item.needs["mem_mb"] for item in items) <= capacity["mem_mb"]
    seconds = [item.cost.seconds * min(2, item.cost.threads) for item in items]
    assert sum(seconds) <= 3.7 * 3600


def test_the_papers_needs_are_those_of_the_readme():
    items = needs("paper")
    by_stage = budget.totals(items)
    whole, peak = sum(by_stage.values(), budget.Total()), budget.peak_volume(items)
    amounts = {
        "jobs": whole.jobs,
        "raw files, TB": by_stage["raw"].mb / 1e6,
        "disk, TB": peak.mb / 1e6,
        "files": peak.files,
        "processor, hours of a core": whole.cpu_hours,
        "GPU, hours": whole.gpu_hours,
    }
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+?) \| ([\d,]+) \|$", text, re.MULTILINE)
    told = {name: float(number.replace(",", "")) for name, number in rows}
    assert told == pytest.approx(amounts, rel=0.06)
    scored = {
        item.job.wildcards["experiment"]
        for item in items
        if item.job.rule == "verification_forecasts"
    }
    assert len(scored) == 8


def test_the_demonstration_is_estimated_within_twice_what_it_took():
    study = (ROOT / "docs" / "studies" / "demonstration.md").read_text(encoding="utf-8")
    minutes, seconds = map(int, re.search(r"took (\d+) min (\d+) s", study).groups())
    items = needs("demo")
    estimated = budget.simulated_run(items, budget.capacity_of(2, 8)).makespan / 60
    assert 0.5 < estimated / (minutes + seconds / 60) < 2


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
