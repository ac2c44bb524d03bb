"""What runs again after a change, and what does not: every product is there, only the plan is asked for."""

import os
import time

import pytest

from fuxiflow import ROOT
from fuxiflow.fingerprint import closure
from tests.helpers import documented_source
from tests.workflow.workbench import Workbench

# a module's rules: those whose scripts can reach it
MODULES = ["fuxiflow/verification/metrics.py", "fuxiflow/states/climatology.py", "fuxiflow/observations/gridding.py"]


def dependents(bench, module):
    """Rules whose scripts import ``module``, transitively, as the real checkout has it."""
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    return {script.stem for script in scripts if ROOT / module in closure(script)}


def downstream(jobs, rules):
    """Those of ``rules`` and all rules whose jobs depend on one of theirs."""
    maker = {path: job.rule for job in jobs for path in job.outputs}
    found, size = set(rules), -1
    while len(found) != size:
        size = len(found)
        found |= {job.rule for job in jobs if job.outputs and any(maker.get(path) in found for path in job.inputs)}
    return found & {job.rule for job in jobs}


def test_nothing_to_do_after_a_run(bench):
    assert bench.pending() == set()


def test_comments_docstrings_and_formatting_rerun_nothing(bench):
    for path in [*bench.folder.glob("fuxiflow/**/*.py"), *bench.folder.glob("workflow/scripts/*.py")]:
        path.write_text(path.read_text() + "\n\n# a remark\n")
    bench.edit("fuxiflow/times.py", '"""Periods, analysis times', '"""Spans of days, analysis times')
    assert bench.pending() == set()


def test_touching_the_project_reruns_nothing(bench):
    later = time.time() + 5
    for pattern in ("fuxiflow/**/*.py", "workflow/**/*", "config/**/*", "envs/*", "resources/**/*", "Snakefile"):
        for path in bench.folder.glob(pattern):
            if path.is_file():
                os.utime(path, (later, later))
    assert bench.pending() == set()


def test_a_fresh_clone_with_the_results_reruns_nothing(bench, tmp_path):
    clone = Workbench(tmp_path / "clone")
    for name in ("results", ".snakemake"):
        (bench.folder / name).rename(clone.folder / name)
    assert clone.pending() == set()


@pytest.mark.parametrize("module", MODULES)
def test_an_edit_of_a_module_reruns_its_dependents(bench, module, plans):
    path = bench.folder / module
    path.write_text(path.read_text() + "\n\nADDED = 1\n")
    expected = dependents(bench, module)
    assert expected
    assert bench.pending() == downstream(plans("test"), expected)


def test_an_edit_of_a_script_reruns_its_rule(bench, plans):
    path = bench.folder / "workflow/scripts/states_climatology.py"
    path.write_text(path.read_text() + "\n\nADDED = 1\n")
    pending = bench.pending()
    assert "states_climatology" in pending
    assert pending == downstream(plans("test"), {"states_climatology"})


def test_an_edit_of_a_reader_rereads_its_sources_alone(bench, plans):
    folder = bench.folder / "fuxiflow/observations/readers"
    (folder / "other.py").write_text("def read(files, platforms, channels):\n    return []\n")
    assert bench.pending() == set()
    for name, expected in (("other", set()), ("atms_sdr", downstream(plans("test"), {"observations_read"}))):
        path = folder / f"{name}.py"
        path.write_text(path.read_text() + "\n\nADDED = 1\n")
        assert bench.pending() == expected
        if expected:
            assert "world_swaths" not in expected


def test_an_unknown_reader_is_named_with_the_known(bench):
    bench.edit("config/sources/noaa20_atms.yaml", "reader: atms_sdr", "reader: atms_xyz")
    said = bench.snakemake("--dry-run", check=False).stdout
    assert "unknown reader 'atms_xyz'; known: atms_sdr" in said


def test_the_noise_of_an_instrument_reruns_its_simulation(bench, plans):
    bench.edit("config/sources/noaa20_atms.yaml", "polarisation: QV, noise: 0.6}", "polarisation: QV, noise: 0.7}")
    assert bench.pending() == downstream(plans("test"), {"world_swaths"})


def test_a_new_source_is_one_file_and_leaves_the_others_alone(bench):
    (bench.folder / "config/sources/snpp_atms.yaml").write_text(documented_source())
    bench.edit("config/test.yaml", "sources: [noaa20_atms]", "sources: [noaa20_atms, snpp_atms]")
    jobs = bench.plan()
    assert {job.wildcards["source"] for job in jobs if "source" in job.wildcards} == {"snpp_atms"}
    for rule in ("world_swaths", "observations_read", "observations_grid", "observations_statistics"):
        assert rule in {job.rule for job in jobs}
    assert not {job.rule for job in jobs} & {"training_forecaster", "world_nature"}


def test_changing_one_experiment_leaves_the_other_alone(bench):
    bench.edit("config/test.yaml", "  full: {}\n",
               "  full: {}\n  denial: {sources: [], weights: full}\n")
    jobs = bench.plan()
    touched = {job.wildcards["experiment"] for job in jobs if "experiment" in job.wildcards}
    assert touched == {"denial"}
    assert not {job.rule for job in jobs} & {"training_forecaster", "training_joint", "world_nature"}


def test_overriding_an_experiment_reruns_it_alone(bench):
    bench.edit("config/test.yaml", "no_observations: {sources: []", "no_observations: {sources: [noaa20_atms]")
    jobs = bench.plan()
    assert {job.wildcards["experiment"] for job in jobs if "experiment" in job.wildcards} == {"no_observations"}


def test_a_longer_training_reruns_training_and_what_follows(bench, plans):
    bench.edit("config/test.yaml", "joint: {updates: 4,", "joint: {updates: 5,")
    # the diagram of the system shows settings of the training, so it is drawn anew
    pending = bench.pending() - {"figure_system"}
    assert pending == downstream(plans("test"), {"training_joint"}) - {"figure_system"}
    assert "training_forecaster" not in pending


def test_a_limit_of_a_source_reruns_from_its_quality_control_on(bench, plans):
    bench.edit("config/sources/noaa20_atms.yaml", "max_z: 6", "max_z: 5")
    assert bench.pending() == downstream(plans("test"), {"observations_quality"})


def test_a_choice_of_figures_redraws_them_alone(bench):
    bench.edit("config/test.yaml", "map_leads: [24, 48]", "map_leads: [24, 48]\n  case: 2022-02-03T06")
    assert bench.pending() == {"figure_coverage", "figure_increment_case"}


def test_a_lost_product_is_made_again(bench):
    (bench.folder / "results/test/figures/skill_vs_lead.csv").unlink()
    assert bench.pending() == {"figure_skill_vs_lead"}
