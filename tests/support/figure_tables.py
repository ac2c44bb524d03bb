"""Stores that figures are drawn from, and the table of every figure made of them."""

from fuxiflow.figures import (
    activity,
    analysis_error,
    background_filter,
    balance,
    costs,
    coverage,
    cutoff,
    cycling,
    error_maps,
    hybrid_training,
    iasi_selection,
    increment_case,
    obs_departures,
    obs_loss_weights,
    scorecard,
    seeds,
    skill_vs_lead,
    spectra,
    surface_error,
    system,
    typhoon,
    unrolling,
)
from fuxiflow.grids import Grid
from fuxiflow.observations.channel_selection import select_channels
from fuxiflow.observations.jacobians import read_jacobians
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.runtime import costs as run_costs
from fuxiflow.runtime.run_state import STAGES
from fuxiflow.states.store import StateSeries
from fuxiflow.storage.tables import read_parquet
from tests.support import cost_files
from tests.support import figure_stores as data

GRID = Grid(8, 16)
SETTINGS = {
    "sources": {
        "noaa20_atms": {
            "long_name": "ATMS on NOAA-20",
            "channels": 22,
            "window": [-3, 5],
            "kind": "sounders",
        }
    },
    "channels": 70,
    "grid": "8 × 16",
    "world": "embedded synthetic world",
    "training_days": "2022-01-01 – 2022-12-31",
    "forecaster": {"patch": 2, "width": 192, "blocks": 6, "heads": 4},
    "assimilator": {"width": 48, "scales": 3, "blocks": 2},
    "updates": {"forecaster": 700, "assimilator": 300, "joint": 60, "autoregressive": 40},
    "steps": 12,
    "cycles": 4,
    "max_lead_hours": 240,
    "init_hours": [0, 12],
    "references": ["era5", "truth"],
    "baselines": ["gfs", "persistence"],
}


def write_stores(root):
    """Write all that the figures are drawn from below ``root``."""
    data.write_scores(root / "scores.parquet", leads=[6, 24, 48, 72])
    data.write_observed(root / "observed.parquet")
    data.write_cyclones(root)
    data.write_cycle(root / "full")
    data.write_cycle(root / "no_observations", "no_observations")
    data.write_filter_response(root / "background_filter.parquet")
    data.write_jacobians(root / "jacobians.parquet")
    data.write_structure(root)
    data.write_seeds(root / "seeds.parquet")
    data.write_maps(root / "maps.zarr", GRID, leads=(24, 54), names=("Z500", "MSL"))
    data.write_states_and_analyses(root, GRID)
    data.write_grids(root / "noaa20_atms.zarr", GRID)
    data.write_grids(root / "empty.zarr", GRID, empty=True)
    cost_files.write_run(root)


def texts(figure) -> str:
    """All texts of a figure."""
    figure.draw_without_rendering()
    return "\n".join(
        text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    )


def case_table(stores, references=("era5", "truth")):
    path = [stores / "analyses.zarr"]
    states = {name: StateSeries([stores / f"{name}.zarr"]) for name in references}
    return increment_case.table(
        StateSeries(path, "analysis"), StateSeries(path, "background"), states, data.CASE
    )


def cycle_table(stores, reference="truth"):
    paths = [stores / name / "cycle.parquet" for name in ("full", "no_observations")]
    return cycling.table(
        paths, stores / "full" / "observations.parquet", "full", reference, data.TEST_START.date()
    )


def selection_table(path, used=(101, 112)):
    jacobians = read_jacobians(path)
    return iasi_selection.table(jacobians, select_channels(jacobians, 6, 4), used)


def all_tables(stores):
    return {
        "system": system.table(SETTINGS),
        "coverage": coverage.table(
            {"noaa20_atms": SparseGrids([stores / "noaa20_atms.zarr"])},
            {"noaa20_atms": (-3, 5)},
            data.CASE,
            2.0,
        ),
        "cycling": cycle_table(stores),
        "analysis_error": analysis_error.table(
            stores / "scores.parquet", ["full"], ["era5", "truth"]
        ),
        "surface_error": surface_error.table(stores / "scores.parquet", ["full"], "truth"),
        "skill_vs_lead": skill_vs_lead.table(stores / "scores.parquet", "full", "truth"),
        "region_africa": skill_vs_lead.table(
            stores / "scores.parquet", "full", "truth", "central_africa"
        ),
        "activity": activity.table(stores / "scores.parquet", "full", "truth"),
        **{
            f"scorecard_{reference}{suffix}": scorecard.table(
                stores / "scores.parquet", "full", "gfs", reference, metric
            )
            for reference in ("era5", "own")
            for suffix, metric in (("", "rmse"), ("_acc", "acc"))
        },
        "increment_case": case_table(stores),
        "hybrid_training": hybrid_training.table(
            stores / "scores.parquet", "no_observations", "full", ["era5", "truth"]
        ),
        "unrolling": unrolling.table(
            stores / "scores.parquet", {"no_observations": "before it", "full": "3 cycles"}, "truth"
        ),
        "cutoff": cutoff.table(
            stores / "scores.parquet", {"no_observations": 5, "full": 3}, "truth"
        ),
        "obs_loss_weights": obs_loss_weights.table(
            {"land_stations": ["T2M"], "radiosondes": ["T500"]}, 1.0
        ),
        "background_filter": background_filter.table(
            read_parquet(stores / "background_filter.parquet")
        ),
        "iasi_selection": selection_table(stores / "jacobians.parquet"),
        "obs_departures": obs_departures.table(
            stores / "observed.parquet", ["land_stations"], "full"
        ),
        "seeds": seeds.table(stores / "seeds.parquet", "truth"),
        "spectra": spectra.table(stores / "spectra.parquet", "full"),
        "balance": balance.table(stores / "balance.parquet", "full"),
        "typhoon": typhoon.table(
            stores / "errors.parquet", stores / "cyclone_scores.parquet", "full", 2
        ),
        "error_maps": error_maps.table(stores / "maps.zarr", "truth"),
        "costs": costs.table(
            run_costs.cost_summary(run_costs.job_costs(stores, ["full", "denial"])),
            STAGES,
            ["full", "denial"],
        ),
    }
