"""The scripts of the stage of cyclones, on forecasts of a vortex whose best track is known."""

import logging
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.config.cyclones import PublishedStorms, Tracker
from fuxiflow.grids import Grid
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.statistics import Statistics
from fuxiflow.world.truth import TruthWriter
from tests.support.footprint_tables import footprints
from tests.support.helpers import load_script
from tests.support.vortices import add_vortex, calm

LOG = logging.getLogger("test")
WORLD = Grid(41, 80, poles=True)
GRID = Grid(32, 64)
SETTINGS = Tracker(
    search_km=1200, vorticity=1e-5, vorticity_km=1000, wind_km=1000, steering_km=1500
)
START = datetime(2023, 2, 1)
LEADS = [6, 12, 18, 24]
SPEED = 3.0
"""Degrees eastwards in six hours."""


def run(rule, inputs, output, **params):
    load_script(rule).main(
        SimpleNamespace(**inputs), SimpleNamespace(**output), SimpleNamespace(**params), LOG
    )


def storm(grid, step, north=0.0):
    """Fields with a vortex at 45 N that was at 170 E at the start."""
    return add_vortex(
        calm(grid, SETTINGS), 45.0 + north, 170.0 + SPEED * step, grid, radius=900.0, wind=25.0
    )


def write_truth(path):
    times = [START + timedelta(hours=6 * step) for step in range(12)]
    flat = dict.fromkeys(("land_fraction", "surface_geopotential"), np.zeros(WORLD.shape))
    channels = channel_table().select(SETTINGS.channels)
    with TruthWriter(path, times, WORLD, flat, channels) as writer:
        for step, time in enumerate(times):
            fields = storm(WORLD, step)
            levels = len(channels.pressure_levels)
            fields["specific_humidity"] = np.zeros((levels, *WORLD.shape))
            fields |= dict.fromkeys(("surface_pressure", "skin_temperature"), np.ones(WORLD.shape))
            writer.write(time, fields)
    return path


def write_forecasts(path, north):
    """Forecasts from two times, whose storm lies so many degrees too far north."""
    channels = channel_table().select(SETTINGS.channels)
    inits = [START, START + timedelta(hours=12)]
    with ForecastWriter(path, inits, LEADS, channels, GRID) as writer:
        for i in range(2):
            for j, lead in enumerate(LEADS):
                fields = storm(GRID, 2 * i + lead // 6, north)
                writer.write(i, j, np.stack([fields[name] for name in channels.names]))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("cyclones")
    run(
        "world_best_tracks",
        {"truth": [write_truth(root / "truth.zarr")]},
        {"best_tracks": root / "ibtracs"},
        dates=["2023-02-01", "2023-02-03"],
        storms=PublishedStorms(least_hours=24).model_dump(),
        tracker=SETTINGS.model_dump(),
    )
    best_tracks = root / "best_tracks.parquet"
    run(
        "cyclones_best_tracks",
        {"raw": root / "ibtracs"},
        {"table": best_tracks},
        dates=["2023-02-01", "2023-02-02"],
    )
    zeros = np.zeros(GRID.shape)
    raw = dict.fromkeys(("surface_geopotential", "land_fraction"), zeros)
    ones = np.ones(1)
    Statistics(["MSL"], ones, ones, ones, zeros[None], ["land"], raw).write(
        root / "statistics.zarr"
    )
    for system, north in (("full", 0.0), ("gfs", 4.0)):
        write_forecasts(root / f"{system}.zarr", north)
        run(
            "cyclones_tracks",
            {
                "forecasts": root / f"{system}.zarr",
                "best_tracks": best_tracks,
                "statistics": root / "statistics.zarr",
            },
            {"tracks": root / f"{system}.parquet"},
            system=system,
            tracker=SETTINGS.model_dump(),
            max_lead_hours=24,
            natures=["ET"],
            least_wind=0.0,
        )
    run(
        "cyclones_errors",
        {"tracks": [root / "full.parquet", root / "gfs.parquet"], "best_tracks": best_tracks},
        {"errors": root / "errors.parquet", "scores": root / "scores.parquet"},
        systems=["full", "gfs"],
        max_lead_hours=24,
        bootstrap=20,
        seed=0,
    )
    return root


def test_best_tracks_are_those_of_the_truth_on_the_days(made):
    fixes = pd.read_parquet(made / "best_tracks.parquet")
    assert fixes["storm"].nunique() == 1
    assert len(fixes) == 8
    assert (made / "ibtracs" / "manifest.json").exists()
    assert set(fixes["name"]) == {"SYNTHETIC"}


def test_errors_that_were_put_in_come_out(made):
    scores = pd.read_parquet(made / "scores.parquet")
    scores = scores[(scores["sample"] == "homogeneous") & (scores["reference"] == "")]
    mean = scores.set_index(["metric", "system", "lead_time"])["value"].sort_index()
    # of 626 km between rows; the second system's storms are 4 degrees to the left of their way
    assert mean["track_error", "full"].max() < 100.0
    assert mean["cross_track", "gfs"].to_numpy() == pytest.approx(-445.0, abs=120.0)
    assert mean["track_error", "gfs"].min() > 300.0
    counts = scores.set_index(["metric", "system", "lead_time"])["cases"].sort_index()
    assert counts["track_error", "full"].tolist() == [2] * len(LEADS)
    errors = pd.read_parquet(made / "errors.parquet")
    assert len(errors) == 2 * 2 * len(LEADS)


def test_observations_near_the_storm_are_counted(made):
    lon = [172.0, 172.0, 20.0]
    part = footprints(
        np.ones((3, 1)),
        channels=["1"],
        time=[np.datetime64(START)] * 3,
        lat=[45.0] * 3,
        lon=lon,
        rejected=[Reason.USED, Reason.OUTLIER, Reason.OUTLIER],
    )
    table = made / "ships_buoys" / "2023-02.parquet"
    table.parent.mkdir()
    with FootprintWriter(table, ["1"]) as writer:
        writer.write(part)
    run(
        "cyclones_rejections_part",
        {"tables": [table], "best_tracks": made / "best_tracks.parquet"},
        {"counts": made / "counts.parquet"},
        sources=["ships_buoys"],
        dates=["2023-02-01", "2023-02-02"],
        radius=445.0,
    )
    run(
        "cyclones_rejections", {"parts": [made / "counts.parquet"]}, {"counts": made / "counts.csv"}
    )
    counts = pd.read_csv(made / "counts.csv").set_index("reason")["footprints"]
    assert counts.to_dict() == {"used": 1, "outlier": 1}


def test_without_best_tracks_there_are_empty_tables(made, tmp_path, caplog):
    best_tracks = tmp_path / "best_tracks.parquet"
    run(
        "cyclones_best_tracks",
        {"raw": made / "ibtracs"},
        {"table": best_tracks},
        dates=["2024-02-01", "2024-02-02"],
    )
    assert "no best track from 2024-02-01 to 2024-02-02" in caplog.text
    run(
        "cyclones_tracks",
        {
            "forecasts": made / "full.zarr",
            "best_tracks": best_tracks,
            "statistics": made / "statistics.zarr",
        },
        {"tracks": tmp_path / "full.parquet"},
        system="full",
        tracker=SETTINGS.model_dump(),
        max_lead_hours=24,
        natures=["ET"],
        least_wind=0.0,
    )
    run(
        "cyclones_errors",
        {"tracks": [tmp_path / "full.parquet"], "best_tracks": best_tracks},
        {"errors": tmp_path / "errors.parquet", "scores": tmp_path / "scores.parquet"},
        systems=["full"],
        max_lead_hours=24,
        bootstrap=20,
        seed=0,
    )
    assert pd.read_parquet(tmp_path / "scores.parquet").empty
