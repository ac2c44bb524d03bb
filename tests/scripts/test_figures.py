"""Each figure script on tiny stores: three files appear, the CSV has rows, nothing needs torch."""

import logging
from types import SimpleNamespace

import pandas as pd
import pytest

from fuxiflow import ROOT
from fuxiflow.figures import files
from fuxiflow.grids import Grid
from fuxiflow.runtime.fingerprint import imported_files
from tests.support import cost_files
from tests.support import figure_stores as data
from tests.support.figure_tables import SETTINGS
from tests.support.helpers import load_script, loaded_by

GRID = Grid(8, 16)
LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    data.write_scores(root / "scores.parquet", leads=[6, 24])
    data.write_cycle(root / "full")
    data.write_filter_response(root / "background_filter.parquet")
    data.write_jacobians(root / "jacobians.parquet")
    data.write_observed(root / "observed.parquet")
    data.write_structure(root)
    data.write_seeds(root / "seeds.parquet")
    data.write_cyclones(root)
    data.write_maps(root / "maps.zarr", GRID, leads=(24,), names=("Z500",))
    data.write_states_and_analyses(root, GRID)
    (root / "noaa20_atms").mkdir()
    data.write_grids(root / "noaa20_atms" / "2023-01.zarr", GRID)
    data.response().write(root / "response.zarr")
    cost_files.write_run(root)
    return root


def rule_of(name):
    """The rule of a figure, which is that of all scorecards for each of them."""
    return "figure_scorecard" if name.startswith("scorecard_") else f"figure_{name}"


def arguments(root):
    """Inputs and parameters of each script."""
    scores = {"scores": root / "scores.parquet"}
    case = {"case": data.CASE.isoformat()}
    controlled = {"false_discovery_rate": 0.05}
    return {
        "system": ({}, {"settings": SETTINGS}),
        "coverage": (
            {"grids": [root / "noaa20_atms" / "2023-01.zarr"]},
            {"windows": {"noaa20_atms": [-3, 5]}, "infill_radius": 2.0, **case},
        ),
        "cycling": (
            {
                "cycles": [root / "full" / "cycle.parquet"],
                "observations": root / "full" / "observations.parquet",
            },
            {"main": "full", "reference": "truth", "test_start": "2023-01-04"},
        ),
        "analysis_error": (
            {**scores, "baselines": scores["scores"]},
            {"experiments": ["full"], "references": ["era5", "truth"]},
        ),
        "surface_error": (
            {**scores, "baselines": scores["scores"]},
            {"experiments": ["full"], "reference": "truth"},
        ),
        "skill_vs_lead": (scores, {"experiment": "full", "reference": "truth", **controlled}),
        "region_africa": (
            scores,
            {"experiment": "full", "reference": "truth", "region": "central_africa", **controlled},
        ),
        "activity": (scores, {"experiment": "full", "reference": "truth", "relative_to": None}),
        **{
            f"scorecard_{reference}{suffix}": (
                scores,
                {
                    "experiment": "full",
                    "other": "gfs",
                    "reference": reference,
                    "metric": metric,
                    **controlled,
                },
            )
            for reference in ("era5", "own")
            for suffix, metric in (("", "rmse"), ("_acc", "acc"))
        },
        "increment_case": (
            {
                "analyses": [root / "analyses.zarr"],
                "era5": [root / "era5.zarr"],
                "truth": [],
                "response": [root / "response.zarr"],
            },
            case,
        ),
        "hybrid_training": (
            scores,
            {"experiments": ["no_observations", "full"], "references": ["era5", "truth"]},
        ),
        "unrolling": (
            scores,
            {"labels": {"no_observations": "before it", "full": "3 cycles"}, "reference": "truth"},
        ),
        "cutoff": (scores, {"data_end": {"no_observations": 5, "full": 3}, "reference": "truth"}),
        "obs_loss_weights": (
            {},
            {"observed": {"land_stations": ["T2M"], "radiosondes": ["T500"]}, "weight": 1.0},
        ),
        "background_filter": ({"response": [root / "background_filter.parquet"]}, {}),
        "iasi_selection": (
            {"jacobians": [root / "jacobians.parquet"]},
            {
                "informative": 6,
                "spaced": 4,
                "criterion": "entropy",
                "correlation_length": 0.0,
                "used": [101, 112],
            },
        ),
        "obs_departures": (
            {"scores": root / "observed.parquet"},
            {"main": "full", "stations": ["land_stations"]},
        ),
        "seeds": ({"spread": root / "seeds.parquet"}, {"reference": "truth"}),
        "spectra": ({"spectra": root / "spectra.parquet"}, {"experiment": "full"}),
        "balance": ({"balance": root / "balance.parquet"}, {"experiment": "full"}),
        "typhoon": (
            {"errors": root / "errors.parquet", "scores": root / "cyclone_scores.parquet"},
            {"main": "full", "drawn_storms": 2},
        ),
        "error_maps": ({"maps": root / "maps.zarr"}, {"reference": "era5"}),
        "costs": ({}, {"benchmarks": root / "benchmarks", "experiments": ["full", "denial"]}),
    }


@pytest.mark.parametrize("name", files.FIGURE_IDS)
def test_script_writes_figure_and_table(stores, tmp_path, name):
    inputs, params = arguments(stores)[name]
    output = SimpleNamespace(
        **{kind: tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "csv")},
        jobs=tmp_path / "jobs.parquet",
    )
    load_script(rule_of(name)).main(
        SimpleNamespace(**inputs),
        output,
        SimpleNamespace(**params, world="embedded synthetic world"),
        LOG,
    )
    assert output.pdf.read_bytes().startswith(b"%PDF")
    assert output.png.read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(output.csv)) > 0


def test_every_figure_has_a_script_a_rule_and_a_caption():
    rules = (ROOT / "workflow" / "rules" / "figures.smk").read_text()
    for name in files.FIGURE_IDS:
        rule = rule_of(name)
        assert f"rule {rule}:" in rules
        # a caption says what is drawn, and then what to look for
        caption = ROOT / "workflow" / "report" / f"{rule.removeprefix('figure_')}.rst"
        assert "\nLook for " in caption.read_text()
        assert (ROOT / "workflow" / "scripts" / f"{rule}.py").exists()


def test_no_figure_reaches_torch():
    for name in files.FIGURE_IDS:
        imported = {
            word
            for names in imported_files(
                ROOT / "workflow" / "scripts" / f"{rule_of(name)}.py"
            ).values()
            for word in names
        }
        assert "torch" not in {word.split(".")[0] for word in imported}, name


def test_drawing_imports_no_torch():
    modules = {files.MODULES.get(name, name) for name in files.FIGURE_IDS}
    assert "torch" not in loaded_by(*(f"fuxiflow.figures.{name}" for name in modules))
