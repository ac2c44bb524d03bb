"""Storms of the embedded world: found in moving vortices, and published as a file of IBTrACS."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from fuxiflow.archive.ibtracs import COLUMNS
from fuxiflow.config.cyclones import PublishedStorms, Tracker
from fuxiflow.cyclones.best_tracks import read_best_tracks
from fuxiflow.grids import Grid
from fuxiflow.physics import great_circle
from fuxiflow.world import storms as module
from fuxiflow.world.storms import basin_of, deepest_storms, follow_storms, storm_fixes
from fuxiflow.world.writers import best_tracks as writer
from tests.support.vortices import add_vortex, calm

GRID = Grid(41, 80, poles=True)
TRACKER = Tracker(search_km=1200, vorticity=1e-5, vorticity_km=1000, wind_km=1000, steering_km=1500)
SETTINGS = PublishedStorms(least_hours=24)
START = datetime(2023, 1, 30)
STEPS = 8


def series(places, depths):
    """Fields of vortices that move 3 degrees eastwards in six hours: by time, stacked."""
    steps = []
    for step in range(STEPS):
        fields = calm(GRID, TRACKER)
        for (lat, lon), depth in zip(places, depths, strict=True):
            add_vortex(fields, lat, lon + 3.0 * step, GRID, depth=depth, radius=800.0, wind=20.0)
        steps.append(fields)
    return {name: np.stack([one[name] for one in steps]) for name in ("MSL", "U10", "V10")}


@pytest.fixture(scope="module")
def fields():
    return series([(45.0, 170.0), (-50.0, 20.0), (10.0, 300.0)], [3000.0, 4000.0, 6000.0])


def fixes_of(fields, settings=SETTINGS):
    storms = deepest_storms(follow_storms(fields["MSL"], GRID, settings), settings)
    times = [START + timedelta(hours=6 * step) for step in range(STEPS)]
    return storm_fixes(storms, fields, GRID, times, TRACKER)


def test_vortices_are_followed_past_the_date_line_within_the_latitudes(fields):
    fixes = fixes_of(fields)
    # the deepest comes first; that of the tropics is outside the latitudes
    assert fixes["storm"].iloc[0][7] == "S"
    assert fixes["storm"].nunique() == 2
    for lat, lon in ((45.0, 170.0), (-50.0, 20.0)):
        storm = fixes[np.sign(fixes["lat"]) == np.sign(lat)]
        assert len(storm) == STEPS
        distance = great_circle(storm["lat"], storm["lon"], lat, lon + 3.0 * np.arange(STEPS))
        assert distance.max() < 100.0  # of 500 km between rows
        assert (storm["wind"] > 10.0).all()
    assert fixes["pressure"].min() == pytest.approx(1010.0 - 40.0, abs=3.0)


def test_the_most_storms_and_the_shortest_life(fields):
    assert fixes_of(fields, PublishedStorms(least_hours=24, storms=1))["storm"].nunique() == 1
    assert fixes_of(fields, PublishedStorms(least_hours=48)).empty


def test_a_minimum_that_jumps_is_another_storm():
    near, far = series([(45.0, 100.0)], [3000.0]), series([(45.0, 250.0)], [3000.0])
    pressure = np.concatenate([near["MSL"][:4], far["MSL"][4:]])
    storms = follow_storms(pressure, GRID, SETTINGS)
    assert [(storm.first_step, len(storm.cells)) for storm in storms] == [(0, 4), (4, 4)]


@pytest.mark.parametrize(
    ("lat", "lon", "basin"),
    [
        *[(20, 130, "WP"), (20, 250, "EP"), (20, 320, "NA"), (15, 80, "NI"), (-15, 60, "SI")],
        *[(-15, 180, "SP"), (-15, 330, "SA"), (40, 10, "NA"), (-30, 10, "SA")],
    ],
)
def test_basins_have_the_codes_of_ibtracs(lat, lon, basin):
    assert basin_of(lat, lon) == basin


def test_the_file_is_read_as_ibtracs_and_says_that_it_is_synthetic(fields, tmp_path):
    fixes = fixes_of(fields)
    path = tmp_path / "tracks.csv"
    writer.write_best_tracks(path, fixes)
    assert set(COLUMNS) <= set(writer.UNITS)
    published = read_best_tracks(path)
    assert published.attrs["rejected"] == {}
    expected = fixes.sort_values(["storm", "time"]).reset_index(drop=True)
    assert published["storm"].tolist() == expected["storm"].tolist()
    pd.testing.assert_series_equal(published["time"], expected["time"], check_dtype=False)
    assert (
        great_circle(published["lat"], published["lon"], expected["lat"], expected["lon"]).max()
        < 1.0
    )
    assert published["pressure"].to_numpy() == pytest.approx(expected["pressure"], abs=0.51)
    assert published["wind"].to_numpy() == pytest.approx(expected["wind"], abs=0.27)
    assert set(published["name"]) == {"SYNTHETIC"}
    assert set(published["nature"]) == {"ET"}
    assert list(expected.columns) == list(module.FIX_COLUMNS)
