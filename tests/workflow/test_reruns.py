"""What runs again after a change, and what does not: every product is there, only the plan is asked
for.
"""

import re
import shutil
from pathlib import Path

import pytest

from fuxiflow import ROOT
from fuxiflow.runtime import records
from fuxiflow.runtime.fingerprint import fingerprint_parts
from tests.support.helpers import documented_source
from tests.support.parsed_rules import parsed_rules
from tests.workflow.changes import CHANGES, DOCUMENT, edit_definition, promised, row
from tests.workflow.workbench import Workbench

DEFINITIONS = [
    ("fuxiflow/verification/metrics.py", "region_weights"),
    ("fuxiflow/states/climatology.py", "Climatology.at"),
    ("fuxiflow/observations/gridding.py", "hourly_cells"),
]


def dependents(module, definition):
    """Rules whose scripts reach a definition, as the real checkout has it."""
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    return {
        script.stem
        for script in scripts
        if f"{definition}()" in fingerprint_parts(script).get(module, ())
    }


def downstream(jobs, rules):
    """Those of ``rules`` and all rules whose jobs depend on one of theirs."""
    maker = {path: job.rule for job in jobs for path in job.outputs}
    found, size = set(rules), -1
    while len(found) != size:
        size = len(found)
        found |= {
            job.rule
            for job in jobs
            if job.outputs and any(maker.get(path) in found for path in job.inputs)
        }
    return found & {job.rule for job in jobs}


def rules(jobs):
    return {job.rule for job in jobs if job.outputs}


def test_the_table_has_these_changes(plans):
    assert list(promised(rules(plans("test")))) == list(CHANGES)


@pytest.mark.parametrize("change", CHANGES)
def test_what_runs_again_is_what_the_table_says(bench, plans, change):
    every = rules(plans("test"))
    CHANGES[change](bench)
    pending = bench.pending()
    assert pending == promised(every)[change], (
        f"{DOCUMENT} should say\n{row(change, pending, every)}"
    )


def test_rules_that_reach_the_operators_coefficients_carry_their_digests():
    """The folder of coefficients is in no fingerprint."""
    reaching = {
        script.stem
        for script in (ROOT / "workflow" / "scripts").glob("*.py")
        if "DIRECTORY" in fingerprint_parts(script).get("fuxiflow/operators/microwave.py", ())
    }
    parsed = parsed_rules("test.yaml")
    carrying = {name for name in parsed if "coefficients" in dict(parsed[name].params.items())}
    assert {"world_swaths", "training_joint"} <= reaching == carrying


@pytest.mark.parametrize("stage", ["figures", "verification"])
def test_figures_and_verification_never_touch_training(plans, stage):
    """Nothing that trains or cycles reads what these stages make."""
    jobs = plans("test")
    prefix = "figure_" if stage == "figures" else "verification_"
    reached = downstream(jobs, {rule for rule in rules(jobs) if rule.startswith(prefix)})
    assert {rule.split("_")[0] for rule in reached} <= {"verification", "figure", "all", "figures"}


def test_a_fresh_clone_with_the_results_reruns_nothing(bench, tmp_path):
    clone = Workbench(tmp_path / "clone")
    for name in ("results", ".snakemake"):
        (bench.folder / name).rename(clone.folder / name)
    assert clone.pending() == set()


@pytest.mark.parametrize(("module", "definition"), DEFINITIONS)
def test_an_edit_of_a_definition_reruns_its_dependents(bench, module, definition, plans):
    edit_definition(bench, module, definition)
    expected = dependents(module, definition)
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
    for name, expected in (
        ("other", set()),
        ("atms_sdr", downstream(plans("test"), {"observations_read"})),
    ):
        path = folder / f"{name}.py"
        path.write_text(path.read_text() + "\n\nADDED = 1\n")
        assert bench.pending() == expected
        if expected:
            assert "world_swaths" not in expected


def test_an_unknown_reader_is_named_with_the_known(bench):
    bench.edit("config/sources/noaa20_atms.yaml", "reader: atms_sdr", "reader: atms_xyz")
    said = bench.snakemake("--dry-run", check=False).stdout
    assert re.search(r"noaa20_atms has reader 'atms_xyz', .*allowed: .*\batms_sdr\b", said)


def test_a_new_source_is_one_file_and_leaves_the_others_alone(bench):
    (bench.folder / "config/sources/snpp_atms.yaml").write_text(documented_source())
    bench.edit("config/test.yaml", "sources: [noaa20_atms]", "sources: [noaa20_atms, snpp_atms]")
    jobs = bench.plan()
    assert {job.wildcards["source"] for job in jobs if "source" in job.wildcards} == {"snpp_atms"}
    for rule in (
        "world_swaths",
        "observations_read",
        "observations_grid",
        "observations_statistics",
    ):
        assert rule in {job.rule for job in jobs}
    assert not {job.rule for job in jobs} & {"training_forecaster", "world_nature"}


def test_changing_one_experiment_leaves_the_other_alone(bench):
    bench.edit(
        "config/test.yaml", "  full: {}\n", "  full: {}\n  denial: {sources: [], weights: full}\n"
    )
    jobs = bench.plan()
    touched = {job.wildcards["experiment"] for job in jobs if "experiment" in job.wildcards}
    assert touched == {"denial"}
    assert not {job.rule for job in jobs} & {
        "training_forecaster",
        "training_joint",
        "world_nature",
    }


def test_overriding_an_experiment_reruns_it_alone(bench):
    bench.edit(
        "config/test.yaml",
        "no_observations: {sources: []",
        "no_observations: {sources: [noaa20_atms]",
    )
    touched = {
        (job.rule, job.wildcards["experiment"])
        for job in bench.plan()
        if "experiment" in job.wildcards
    }
    # the experiment that is compared with it keeps all but the comparison
    assert {name for _, name in touched - {("verification_comparisons", "full")}} == {
        "no_observations"
    }


def test_deleting_snakemakes_memory_loses_no_change(bench, plans):
    bench.edit("config/sources/noaa20_atms.yaml", "max_z: 6", "max_z: 5")
    edit_definition(bench, "fuxiflow/verification/metrics.py", "region_weights")
    before = bench.pending()
    assert {"observations_quality", "verification_baselines"} <= before
    shutil.rmtree(bench.folder / ".snakemake")
    assert bench.pending() == before


def test_what_a_touch_has_accepted_outlives_snakemakes_memory(bench):
    bench.edit("config/sources/noaa20_atms.yaml", "max_z: 6", "max_z: 5")
    assert bench.pending()
    bench.snakemake("--touch", "--cores", "1")
    assert bench.pending() == set()
    shutil.rmtree(bench.folder / ".snakemake")
    assert bench.pending() == set()
    # and what changes after that is seen
    bench.edit("config/sources/noaa20_atms.yaml", "max_z: 5", "max_z: 4")
    assert "observations_quality" in bench.pending()


def test_what_was_forgotten_by_hand_stays_forgotten(bench):
    bench.edit("config/sources/noaa20_atms.yaml", "max_z: 6", "max_z: 5")
    tables = [
        path.relative_to(bench.folder).as_posix()
        for month in ("2022-01", "2022-02")
        for path in (
            bench.folder / f"results/test/observations/noaa20_atms/{month}.parquet",
            bench.folder / f"results/test/observations/noaa20_atms/ledger/{month}.parquet",
        )
    ]
    bench.snakemake("--cleanup-metadata", *tables)
    assert bench.pending() == set()


def test_a_job_cut_short_between_its_products_runs_again(bench):
    results = bench.folder / "results/test"
    record = records.read_job_record(results, "figure_cycling", "all")
    inputs, outputs = map(Path, record["inputs"]), map(Path, record["outputs"])
    log = results / "logs/figure_cycling/all.log"
    records.write_record(log, "figure_cycling", {}, inputs, outputs, finished=False)
    shutil.rmtree(bench.folder / ".snakemake")
    assert bench.pending() == {"figure_cycling"}


def test_reasons_are_named_down_to_the_key_the_function_and_the_file(bench):
    assert bench.explain().startswith("nothing would run")
    bench.edit("config/sources/noaa20_atms.yaml", "max_z: 6", "max_z: 5")
    bench.edit("config/test.yaml", "joint: {updates: 4,", "joint: {updates: 5,")
    edit_definition(bench, "fuxiflow/verification/metrics.py", "region_weights")
    reader = bench.folder / "fuxiflow/observations/readers/atms_sdr.py"
    reader.write_text(reader.read_text() + "\n\ndef added():\n    return 1\n")
    (bench.folder / "results/test/figures/system.csv").unlink()
    said = bench.explain()
    for line in (
        "setting max_z: 6.0 → 5.0",
        "setting stage.updates: 4 → 5",
        "code fuxiflow/verification/metrics.py: region_weights() changed",
        "code fuxiflow/observations/readers/atms_sdr.py: added() is new",
        "a product is missing",
        "    training_joint (full)",
        "    missing, for one: results/test/figures/system.csv",
    ):
        assert line in said.splitlines(), said
    assert "training_forecaster" in said.split("these do not run:")[1]


def test_a_fresh_checkout_has_made_nothing(checkout, tmp_path):
    assert (
        checkout.clone(tmp_path / "fuxiflow")
        .explain()
        .startswith("nothing has been made yet: all ")
    )
