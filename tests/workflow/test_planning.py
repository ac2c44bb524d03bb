"""Every configuration plans, every target does, and planning is light and clean."""

import re
import subprocess
import sys
from collections import Counter

import pytest

TARGETS = [
    "world",
    "archive",
    "states",
    "observations",
    "training",
    "cycling",
    "verification",
    "validation",
    "cyclones",
    "figures",
    "all",
]
STAGES = [
    "archive",
    "common",
    "cycling",
    "cyclones",
    "figures",
    "observations",
    "simulation",
    "states",
    "training",
    "verification",
    "world",
]
ARCHIVES = ["real", "lab", "paper", "fuxiweather"]
_TRAINED = {
    f"training_{stage}" for stage in ("forecaster", "assimilator", "joint", "autoregressive")
}


@pytest.mark.parametrize(
    "configuration",
    ["test", "demo", "demo+studies", "demo+demo_fairer", "joint", "rehearsal", *ARCHIVES],
)
def test_configurations_plan(plans, configuration):
    jobs = plans(configuration)
    rules = Counter(job.rule for job in jobs)
    assert rules["all"] == 1
    assert rules["training_joint"] >= 1
    assert bool(rules["training_autoregressive"]) == (configuration != "joint")
    assert bool(rules["archive_fetch"]) == (configuration in ARCHIVES)
    made = [path for job in jobs for path in job.outputs]
    assert len(made) == len(set(made))


def test_studies_add_to_the_demonstration(plans):
    """They train nothing of it anew, but the tables and figures that show all experiments."""
    demo, studies = (
        {(job.rule, *sorted(job.wildcards.items())): set(job.inputs) for job in plans(name)}
        for name in ("demo", "demo+studies")
    )
    assert set(demo) <= set(studies)
    changed = {key[0] for key, inputs in demo.items() if studies[key] != inputs}
    assert changed <= {
        "verification_scores",
        "verification_comparisons",
        "verification",
        "figures",
        "figure_costs",
        "training",
        "all",
    }
    trained = Counter(rule for rule, *_ in studies if rule.startswith("training_"))
    assert trained == {
        "training_forecaster": 1,
        "training_background_filter": 1,
        "training_background_errors": 1,
        "training_assimilator": 3,
        "training_joint": 8,
        "training_autoregressive": 1,
    }


def test_cyclones_are_followed_in_the_systems_that_are_compared(plans):
    jobs = [job for job in plans("test") if job.rule.startswith("cyclones_")]
    tracked = [job.wildcards["tracked"] for job in jobs if job.rule == "cyclones_tracks"]
    assert sorted(tracked) == ["full", "gfs"]
    # without the section there are no best tracks either
    rules = {job.rule for job in plans("real")}
    assert not rules & {*(job.rule for job in jobs), "world_best_tracks", "figure_typhoon"}


def test_channels_are_selected_where_a_table_of_jacobians_is_given(checkout, plans, tmp_path):
    assert "figure_iasi_selection" not in {job.rule for job in plans("test")}
    copy = checkout.clone(tmp_path / "copy")
    (copy.folder / "jacobians.parquet").touch()
    text = (copy.folder / "config/test.yaml").read_text(encoding="utf-8")
    copy.edit(
        "config/test.yaml",
        "\nfigures:\n",
        "\nfigures:\n  channel_selection: {jacobians: jacobians.parquet}\n",
    )
    assert text.count("\nfigures:\n") == 1
    jobs = {job.rule: job for job in copy.plan("figures")}
    assert jobs["figure_iasi_selection"].inputs == ("jacobians.parquet",)


def test_stages_train_on_the_threads_that_they_are_given(plans):
    threads = {
        job.rule.removeprefix("training_"): job.threads
        for job in plans("demo")
        if job.rule in _TRAINED
    }
    assert threads == {"forecaster": 1, "assimilator": 2, "joint": 2, "autoregressive": 1}


def test_targets_plan(checkout):
    """All in one plan, as each brings its own jobs whatever the others do."""
    checkout.snakemake("--dry-run", *TARGETS, "--quiet", "all")


def test_demo_is_the_default(checkout):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run"],
        cwd=checkout.folder,
        text=True,
        capture_output=True,
        check=True,
    )
    assert "results/demo/scores/scores.parquet" in done.stdout + done.stderr


def test_lint_is_clean(checkout):
    assert "Congratulations" in checkout.snakemake("--lint").stdout


def test_an_invalid_configuration_ends_in_one_line(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    copy.edit(
        "config/test.yaml", "max_lead_hours: 48\n  init_hours", "max_lead_hours: 24\n  init_hours"
    )
    done = copy.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    told = [line for line in done.stdout.splitlines() if "configuration:" in line]
    assert told == [
        "configuration: figures.map_leads: 48 h was not forecast, allowed: multiples of 6 up to "
        "cycling.max_lead_hours = 24"
    ]
    assert "Traceback" not in done.stdout
    copy.edit("config/test.yaml", "\ncycling:", "\ncycling: {}\ncycling:")
    assert "configuration: " in (said := copy.snakemake("--dry-run", check=False).stdout)
    assert "key 'cycling' stands here a second time" in said


def test_parsing_imports_nothing_heavy(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    snakefile = copy.folder / "Snakefile"
    snakefile.write_text(snakefile.read_text() + '\nprint("IMPORTED", *sorted(sys.modules))\n')
    said = copy.snakemake("--dry-run", "--quiet", "all").stdout
    imported = {name.split(".")[0] for name in re.search(r"^IMPORTED (.*)$", said, re.M)[1].split()}
    assert "fuxiflow" in imported
    assert not imported & {
        "torch",
        "xarray",
        "satpy",
        "cartopy",
        "jax",
        "jcm",
        "matplotlib",
        "dask",
    }


@pytest.mark.parametrize(
    ("options", "limited"), [((), False), (("--max-jobs-per-timespan", "50/1s"), True)]
)
def test_a_limit_of_jobs_that_never_binds_is_lifted(checkout, tmp_path, options, limited):
    copy = checkout.clone(tmp_path / "copy")
    snakefile = copy.folder / "Snakefile"
    snakefile.write_text(
        snakefile.read_text()
        + """

onsuccess:
    print("LIMITED", workflow.scheduler.job_rate_limiter is not None)
"""
    )
    assert (
        f"LIMITED {limited}\n" in copy.snakemake("--cores", "1", "figure_system", *options).stdout
    )


def test_names_of_rule_files_do_not_collide(checkout):
    """All rule files share one name space: what one defines, another must not define anew."""
    owners = {}
    for path in sorted((checkout.folder / "workflow/rules").rglob("*.smk")):
        for name in re.findall(r"^(?:def )?([A-Za-z_]\w*)(?=\(| = )", path.read_text(), re.M):
            owner = owners.setdefault(name, path)
            assert owner == path, f"{name} is defined in {owner.name} and {path.name}"


def test_one_rules_file_a_stage(checkout):
    found = sorted(path.stem for path in (checkout.folder / "workflow/rules").glob("*.smk"))
    assert found == STAGES


def test_without_a_key_the_archive_stops_before_any_job(checkout, tmp_path, monkeypatch):
    for name in ("CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "none"))
    copy = checkout.clone(tmp_path / "copy")
    copy.edit("config/paper.yaml", "provider: arco", "provider: cds")
    done = copy.snakemake(
        "--cores",
        "1",
        "results/paper/archive/era5/invariants.json",
        configuration="paper",
        check=False,
    )
    assert done.returncode != 0
    assert "no key for the Climate Data Store" in done.stdout
    assert not (copy.folder / "results/paper/logs/archive_fetch").exists()


def test_files_that_no_archive_has_are_asked_for_before_any_job(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", "https://nowhere.invalid/api")
    monkeypatch.setenv("CDSAPI_KEY", "none")
    copy = checkout.clone(tmp_path / "copy")
    wanted = "results/paper/observations/ssmis/read/2018-06.parquet"
    done = copy.snakemake("--cores", "1", wanted, configuration="paper", check=False)
    assert done.returncode != 0
    told = " ".join(done.stdout.split())
    for words in (
        "ssmis: 1 month of 2018-06",
        "archive: NOAA CLASS, SSMIS",
        "account: registration (free)",
        "licence: ",
        "volume: about 20 GB a month, 20 GB in all",
        "resources/archive/{product}/{month}/",
    ):
        assert words in told
    assert not (copy.folder / "results/paper/logs").exists()


def test_nothing_is_missing_where_no_platform_flew(checkout, tmp_path, monkeypatch):
    copy = checkout.clone(tmp_path / "copy")
    wanted = "results/paper/observations/fy3e_mwts3/read/2018-06.parquet"
    copy.snakemake("--cores", "1", wanted, configuration="paper")
    receipt = copy.folder / "results/paper/archive/fy3e_mwts3/2018-06.json"
    assert "no platform flew" in receipt.read_text()
    assert not (copy.folder / "resources/archive/fy3e_mwts3").exists()


def test_the_rehearsal_runs_every_rule_of_the_paper(plans):
    rehearsed, paper = ({job.rule for job in plans(name)} for name in ("rehearsal", "paper"))
    assert paper - rehearsed == {"archive_fetch"}
    assert all(rule.startswith("world_") for rule in rehearsed - paper)


def test_experiments_share_what_they_train_alike(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    copy.edit(
        "config/test.yaml",
        "  full: {}\n",
        "  full: {}\n  unrolled_1: {training: {joint: {cycles: 1}}}\n"
        "  one_step: {weights: full, initial: full, forecasts_after: forecaster}\n"
        "  before_unrolling: {weights: full, analyses_after: assimilator, forecasts: false}\n",
    )
    copy.edit(
        "config/test.yaml",
        "{full: [no_observations]}",
        "{full: [unrolled_1, one_step, before_unrolling]}",
    )
    jobs = copy.plan()
    trained = {
        (job.rule, job.wildcards["experiment"]) for job in jobs if job.rule.startswith("training_")
    }
    assert trained == {
        ("training_forecaster", "full"),
        ("training_background_filter", "full"),
        ("training_assimilator", "full"),
        ("training_joint", "full"),
        ("training_autoregressive", "full"),
        ("training_joint", "unrolled_1"),
        ("training_autoregressive", "unrolled_1"),
    }
    models = "results/test/models"
    inputs = {(job.rule, job.wildcards.get("experiment")): set(job.inputs) for job in jobs}
    assert f"{models}/full/assimilator.ckpt" in inputs["training_joint", "unrolled_1"]
    assert f"{models}/full/assimilator.ckpt" in inputs["cycling_analyses", "before_unrolling"]
    assert f"{models}/full/forecaster.ckpt" in inputs["cycling_external_forecasts", "one_step"]
    scores = "results/test/scores"
    assert inputs["verification_comparisons", "full"] == {
        f"{scores}/{name}/{kind}.cases.zarr"
        for name, kind in (
            ("full", "analyses"),
            ("full", "forecasts"),
            ("unrolled_1", "analyses"),
            ("unrolled_1", "forecasts"),
            ("one_step", "forecasts"),
            ("before_unrolling", "analyses"),
        )
    }


def test_3d_var_is_fitted_where_training_asks_for_it(checkout, plans, tmp_path):
    assert "training_background_errors" not in {job.rule for job in plans("test")}
    copy = checkout.clone(tmp_path / "copy")
    copy.edit(
        "config/test.yaml",
        "  full: {}\n",
        "  full: {training: {variational: {}}}\n"
        "  var3d: {weights: full, assimilator: variational, training: {variational: {}}}\n",
    )
    inputs = {(job.rule, job.wildcards.get("experiment")): set(job.inputs) for job in copy.plan()}
    # nothing is trained for what uses the networks of another
    assert {name for rule, name in inputs if rule.startswith("training_")} == {"full"}
    models, states = "results/test/models", "results/test/states/era5/2022-01.zarr"
    assert inputs["training_background_errors", "full"] == {
        f"{models}/full/forecaster.ckpt",
        states,
    }
    fitted = f"{models}/full/background_errors.pt"
    assert {key for key, paths in inputs.items() if fitted in paths} == {
        ("training_assimilator", "full")
    }
    assert f"{models}/full/joint.ckpt" in inputs["cycling_analyses", "var3d"]
    assert "results/test/analyses/var3d/2022-02.zarr" in inputs["cycling_forecasts", "var3d"]


def test_departures_are_fitted_and_counted_where_an_experiment_checks_them(
    checkout, plans, tmp_path
):
    jobs = plans("test")
    assert "training_first_guess" not in {job.rule for job in jobs}
    assert not [
        path for job in jobs for path in job.outputs if "/ledger/" in path and "/analyses/" in path
    ]
    copy = checkout.clone(tmp_path / "copy")
    copy.edit(
        "config/test.yaml",
        "  full: {}\n",
        "  full: {}\n  checked: {weights: full, first_guess_check: {limit: 4}}\n",
    )
    jobs = copy.plan()
    inputs = {(job.rule, job.wildcards.get("experiment")): set(job.inputs) for job in jobs}
    assert {
        rule for rule, name in inputs if name == "checked" and rule.startswith("training_")
    } == {"training_first_guess"}
    models = "results/test/models"
    assert inputs["training_first_guess", "checked"] == {
        f"{models}/full/assimilator.ckpt",
        "results/test/states/era5/2022-01.zarr",
        "results/test/states/climatology.zarr",
        "results/test/grids/noaa20_atms/2022-01.zarr",
    }
    fitted = f"{models}/checked/first_guess.parquet"
    assert {key for key, paths in inputs.items() if fitted in paths} == {
        ("cycling_analyses", "checked")
    }
    outputs = {path for job in jobs if job.rule == "cycling_analyses" for path in job.outputs}
    assert "results/test/analyses/checked/ledger/2022-02.parquet" in outputs


def test_replay_needs_a_segment_before(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    copy.edit(
        "config/test.yaml",
        "    autoregressive: {",
        "    replay: {updates: 4, batch: 1, learning_rate: 1.0e-4}\n    autoregressive: {",
    )
    copy.edit(
        "config/test.yaml",
        "  full: {}\n",
        "  full: {}\n  static: {weights: full, analyses_after: joint, forecasts: false}\n",
    )
    # a cycle of one segment has nothing to learn from before it
    assert "training_replay" not in {job.rule for job in copy.plan()}
    copy.edit("config/test.yaml", "end: 2022-02-05}\n\nworld", "end: 2022-03-02}\n\nworld")
    inputs = {
        (job.rule, job.wildcards.get("experiment"), job.wildcards.get("segment")): job.inputs
        for job in copy.plan()
    }
    assert {key for key in inputs if key[0] == "training_replay"} == {
        ("training_replay", "full", "2022-03")
    }
    models = "results/test/models/full"
    assert f"{models}/joint.ckpt" in inputs["cycling_analyses", "full", "2022-02"]
    for name, checkpoint in (
        ("full", "replay/2022-03"),
        ("no_observations", "replay/2022-03"),
        ("static", "joint"),
    ):
        assert f"{models}/{checkpoint}.ckpt" in inputs["cycling_analyses", name, "2022-03"]
    made = {path for job in copy.plan("training") for path in job.outputs}
    assert {f"{models}/replay/2022-03.ckpt", f"{models}/autoregressive.ckpt"} <= made


def test_other_forecasters_and_initial_states_plan(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    cascade = (
        "forecaster: {onnx: [resources/fuxi/short.onnx, resources/fuxi/medium.onnx], steps: 4}"
    )
    copy.edit(
        "config/test.yaml",
        "  full: {}\n",
        f"  full: {{}}\n  fuxi: {{{cascade}, initial: gfs}}\n"
        "  full_gfs: {weights: full, initial: gfs}\n"
        f"  fuxi_full: {{{cascade}, initial: full}}\n",
    )
    done = copy.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert "resources/fuxi/medium.onnx" in done.stdout
    models = [f"resources/fuxi/{name}.onnx" for name in ("short", "medium")]
    for name in models:
        (copy.folder / name).parent.mkdir(exist_ok=True)
        (copy.folder / name).touch()
    jobs = copy.plan()
    inputs = {
        job.wildcards["experiment"]: set(job.inputs)
        for job in jobs
        if job.rule == "cycling_external_forecasts"
    }
    assert inputs == {
        "fuxi": {*models, "results/test/raw/gfs/2022-02"},
        "full_gfs": {
            "results/test/models/full/autoregressive.ckpt",
            "results/test/raw/gfs/2022-02",
        },
        "fuxi_full": {*models, "results/test/analyses/full/2022-02.zarr"},
    }
    own = {job.wildcards["experiment"] for job in jobs if job.rule == "cycling_forecasts"}
    assert own == {"full"}
    cycled = {job.wildcards["experiment"] for job in jobs if job.rule == "cycling_analyses"}
    assert cycled == {"full", "no_observations"}
    scored = {
        job.wildcards["experiment"]: job.inputs
        for job in jobs
        if job.rule == "verification_forecasts_part"
    }
    assert set(scored) == {"full", *inputs}
    assert "results/test/states/gfs/2022-02.zarr" in scored["fuxi"]
    assert "results/test/analyses/full/2022-02.zarr" in scored["fuxi_full"]
    # a forecast from GFS by foreign weights needs neither training nor observations
    alone = {job.rule for job in copy.plan("results/test/forecasts/fuxi/2022-02.zarr")}
    assert all(rule.startswith("world_") for rule in alone - {"cycling_external_forecasts"}), alone
