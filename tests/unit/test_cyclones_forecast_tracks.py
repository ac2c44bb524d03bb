"""Tables of tracks: a store of forecasts of vortices on a coarse grid."""

import logging

import numpy as np
import pandas as pd
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.config.cyclones import Tracker
from fuxiflow.cyclones import forecast_tracks
from fuxiflow.cyclones.forecast_tracks import track_forecasts, tracked_storms
from fuxiflow.grids import Grid
from fuxiflow.physics import great_circle
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from tests.support.vortices import add_vortex, calm, sea

GRID = Grid(32, 64)
COARSE = Tracker(search_km=1200, vorticity=1e-5, vorticity_km=1000, wind_km=1000, steering_km=1500)
LEADS = [6, 12, 18]
INIT = pd.Timestamp("2020-09-01")
LOG = logging.getLogger("test")


def best(storm="2020244N40180", lat=40.0, lon=178.0, wind=30.0, nature="TS"):
    """A storm that moves two degrees eastwards in six hours."""
    steps = np.arange(8)
    return pd.DataFrame(
        {
            "storm": storm,
            "name": "ONE",
            "basin": "WP",
            "nature": nature,
            "time": INIT + pd.to_timedelta(6 * steps, unit="h"),
            "lat": lat,
            "lon": (lon + 2.0 * steps + 180.0) % 360.0 - 180.0,
            "wind": wind,
            "pressure": 970.0,
            "intensity": "wmo",
        }
    )


@pytest.fixture
def forecasts(tmp_path):
    """Forecasts from 00, 12 and 18 UTC; in the second the storm has gone after 6 h."""
    channels = channel_table().select(COARSE.channels)
    inits = [INIT, INIT + pd.Timedelta(hours=12), INIT - pd.Timedelta(days=5)]
    path = tmp_path / "forecasts.zarr"
    with ForecastWriter(path, inits, LEADS, channels, GRID) as writer:
        for i, init in enumerate(inits):
            for j, lead in enumerate(LEADS):
                hours = (init - INIT) / pd.Timedelta(hours=1) + lead
                fields = calm(GRID, COARSE)
                if i != 1 or lead == 6:
                    place = 40.0, 178.0 + 2.0 * hours / 6
                    add_vortex(fields, *place, GRID, radius=900.0, wind=25.0)
                writer.write(i, j, np.stack([fields[name] for name in channels.names]))
    return Forecasts(path, COARSE.channels)


def test_storms_of_the_best_tracks_are_followed_from_each_initial_time(forecasts):
    table = track_forecasts(
        forecasts,
        pd.concat([best(), best("2020244S40000", lat=-40.0, lon=0.0)], ignore_index=True),
        sea(GRID),
        COARSE,
        system="full",
        max_lead_hours=12,
        natures=["TS"],
        least_wind=17.0,
        log=LOG,
    )
    assert list(table.columns) == list(forecast_tracks.COLUMNS)
    assert table["lead_time"].max() == 12
    storm = table[table["storm"] == "2020244N40180"]
    first = storm[storm["init_time"] == INIT]
    assert first["lead_time"].tolist() == [6, 12]
    truth = 178.0 + 2.0 * first["lead_time"] / 6
    distance = great_circle(first["lat"], first["lon"], 40.0, truth)
    assert distance.max() < 60.0  # of 626 km between rows
    second = storm[storm["init_time"] == INIT + pd.Timedelta(hours=12)]
    assert second["end"].tolist() == ["", "pressure"]
    assert second["valid_time"].tolist()[1] == INIT + pd.Timedelta(hours=24)
    assert second["lat"].isna().tolist() == [False, True]
    # it never was in the forecasts; before its first fix nothing is looked for
    other = table[table["storm"] == "2020244S40000"]
    assert other["end"].tolist() == ["pressure", "pressure"]
    assert table["init_time"].min() == INIT


def test_storms_that_are_tracked_are_there_at_the_start_and_strong_enough():
    fixes = pd.concat(
        [
            best(),
            best("2020244N00101", wind=12.0),
            best("2020244N00102").assign(nature="ET"),
            best("2020244N00103", wind=np.nan),
        ]
    )
    storms = tracked_storms(fixes, np.datetime64(INIT), ["TS"], 17.0)
    assert sorted(storms.index) == ["2020244N00103", "2020244N40180"]
    assert tracked_storms(fixes, np.datetime64("2020-08-01"), ["TS"], 17.0).empty


def test_a_table_without_any_storm_has_the_columns(forecasts):
    table = track_forecasts(
        forecasts,
        best(nature="ET"),
        sea(GRID),
        COARSE,
        system="full",
        max_lead_hours=12,
        natures=["TS"],
        least_wind=17.0,
        log=LOG,
    )
    assert table.empty
    assert list(table.columns) == list(forecast_tracks.COLUMNS)


def test_an_initial_time_without_a_forecast_loses_no_storm(tmp_path):
    channels = channel_table().select(COARSE.channels)
    path = tmp_path / "forecasts.zarr"
    inits = [INIT, INIT + pd.Timedelta(hours=12)]
    with ForecastWriter(path, inits, [0, *LEADS], channels, GRID) as writer:
        for j, lead in enumerate([0, *LEADS]):
            fields = calm(GRID, COARSE)
            add_vortex(fields, 40.0, 178.0 + 2.0 * lead / 6, GRID, radius=900.0, wind=25.0)
            writer.write(0, j, np.stack([fields[name] for name in channels.names]))
            writer.write(1, j, None)
    table = track_forecasts(
        Forecasts(path, COARSE.channels),
        best(),
        sea(GRID),
        COARSE,
        system="gfs",
        max_lead_hours=12,
        natures=["TS"],
        least_wind=17.0,
        log=LOG,
    )
    assert set(table["init_time"]) == {INIT}
    # the analysis at lead 0 is no forecast
    assert table["lead_time"].tolist() == [6, 12]
