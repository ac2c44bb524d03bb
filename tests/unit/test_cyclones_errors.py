"""Errors of tracks: cases by hand, samples, and intervals over storms."""

import numpy as np
import pandas as pd
import pytest

from fuxiflow.cyclones import forecast_tracks
from fuxiflow.cyclones.best_tracks import read_best_tracks
from fuxiflow.cyclones.errors import COLUMNS, SCORE_COLUMNS, match, score
from fuxiflow.physics import EARTH_RADIUS
from tests.support.helpers import realdata

DEGREE = np.pi * EARTH_RADIUS / 180.0
INIT = pd.Timestamp("2020-09-01")


def best(storm="2020244N00100", speed=1.0, hours=24, wind=30.0, pressure=980.0):
    """A storm on the equator that moves ``speed`` degrees eastwards in six hours."""
    steps = np.arange(hours // 6 + 1)
    return pd.DataFrame(
        {
            "storm": storm,
            "name": "ONE",
            "basin": "WP",
            "nature": "TS",
            "time": INIT + pd.to_timedelta(6 * steps, unit="h"),
            "lat": 0.0,
            "lon": 100.0 + speed * steps,
            "wind": wind,
            "pressure": pressure,
            "intensity": "wmo",
        }
    )


def tracked(system, places, storm="2020244N00100", init=INIT, end=()):
    """Rows of a track: by lead, latitude and longitude."""
    rows = [
        (
            system,
            storm,
            "ONE",
            "WP",
            init,
            lead,
            init + pd.Timedelta(hours=lead),
            *place,
            985.0,
            25.0,
        )
        for lead, place in places.items()
    ]
    table = pd.DataFrame(rows, columns=list(forecast_tracks.COLUMNS[:-1])).assign(end="")
    for lead in end:
        lost = table.iloc[:1].assign(
            lead_time=lead, valid_time=init + pd.Timedelta(hours=lead), end="vorticity"
        )
        lost[["lat", "lon", "pressure", "wind"]] = np.nan
        table = pd.concat([table, lost], ignore_index=True)
    return table


def test_errors_by_hand():
    # at 6 h the storm is at 101 E and moves east: half a degree ahead, a quarter to its right
    errors = match(tracked("full", {6: (-0.25, 101.5), 12: (0.5, 101.0)}), best(), [6, 12, 18])
    assert list(errors.columns) == list(COLUMNS)
    first, second, third = errors.to_dict("records")
    assert first["track_error"] == pytest.approx(DEGREE * np.hypot(0.5, 0.25), rel=1e-4)
    assert first["along_track"] == pytest.approx(0.5 * DEGREE, rel=1e-4)
    assert first["cross_track"] == pytest.approx(0.25 * DEGREE, rel=1e-4)
    # at 12 h a degree behind and half a degree to the left
    assert second["along_track"] == pytest.approx(-DEGREE, rel=1e-4)
    assert second["cross_track"] == pytest.approx(-0.5 * DEGREE, rel=1e-4)
    assert (first["pressure_error"], first["wind_error"]) == (5.0, -5.0)
    assert np.isnan(third["track_error"])
    assert third["lead_time"] == 18
    assert errors["homogeneous"].tolist() == [True, True, False]


def test_there_is_no_case_without_a_fix_of_the_best_track():
    track = tracked("full", dict.fromkeys((6, 12, 18, 24, 30), (0.0, 100.0)))
    errors = match(track, best(hours=12), [6, 12, 18, 24, 30])
    assert errors["lead_time"].tolist() == [6, 12]


def test_at_its_first_fix_a_storm_moves_toward_the_next():
    fixes = best()
    fixes = fixes[fixes["time"] >= INIT + pd.Timedelta(hours=12)]
    errors = match(tracked("full", {12: (0.0, 102.5)}), fixes, [12])
    assert errors["along_track"].item() == pytest.approx(0.5 * DEGREE, rel=1e-4)


def test_a_storm_that_stands_still_has_no_parts_along_and_across():
    errors = match(tracked("full", {6: (0.0, 101.0)}), best(speed=0.0), [6])
    assert errors["track_error"].item() == pytest.approx(DEGREE)
    assert errors[["along_track", "cross_track"]].isna().all(axis=None)


def test_the_homogeneous_sample_holds_what_all_systems_have():
    ours = tracked("full", {6: (0.0, 101.1), 12: (0.0, 102.1), 18: (0.0, 103.1)})
    theirs = tracked("gfs", {6: (0.0, 101.2), 12: (0.0, 102.2)}, end=[18])
    errors = match(pd.concat([ours, theirs]), best(), [6, 12, 18, 24])
    assert errors.groupby("lead_time")["homogeneous"].all().to_dict() == {
        6: True,
        12: True,
        18: False,
        24: False,
    }
    table = score(errors, ["full", "gfs"], 20, 0).set_index(
        ["system", "metric", "sample", "reference", "lead_time"]
    )
    assert table.loc[("full", "track_error", "all", "", 18), "cases"] == 1
    assert ("full", "track_error", "homogeneous", "", 18) not in table.index
    assert table.loc[("full", "hit_rate", "all", "", 18), "value"] == 1.0
    assert table.loc[("gfs", "hit_rate", "all", "", 18), "value"] == 0.0
    difference = table.loc[("gfs", "track_error", "homogeneous", "full", 12)]
    assert difference["value"] == pytest.approx(0.1 * DEGREE, rel=1e-4)
    assert difference["storms"] == 1
    assert np.isnan(difference["ci_low"])


def test_means_weigh_cases_and_intervals_draw_whole_storms():
    # one storm with three cases of 0.1 degrees, one with a single case of 0.5: mean 0.2
    many = tracked("full", {6: (0.0, 101.1)})
    other = best("2020244N00200").assign(lon=lambda f: f["lon"] + 20.0)
    fixes = pd.concat([best(), other], ignore_index=True)
    later = [
        tracked("full", {6: (0.0, 101.1 + k)}, init=INIT + pd.Timedelta(hours=6 * k))
        for k in (1, 2)
    ]
    single = tracked("full", {6: (0.5, 121.0)}, storm="2020244N00200")
    errors = match(pd.concat([many, *later, single]), fixes, [6])
    row = score(errors, ["full"], 2000, 1).query("metric == 'track_error' and sample == 'all'")
    assert row["value"].item() == pytest.approx(0.2 * DEGREE, rel=1e-4)
    assert (row["cases"].item(), row["storms"].item()) == (4, 2)
    # either storm alone is drawn in a quarter of the samples
    assert row["ci_low"].item() == pytest.approx(0.1 * DEGREE, rel=1e-4)
    assert row["ci_high"].item() == pytest.approx(0.5 * DEGREE, rel=1e-4)


def test_scores_are_the_same_for_the_same_seed_and_empty_without_cases():
    ours = tracked("full", {6: (0.0, 101.1)})
    errors = match(ours, best(), [6])
    pd.testing.assert_frame_equal(score(errors, ["full"], 50, 3), score(errors, ["full"], 50, 3))
    assert list(score(errors.iloc[:0], ["full"], 50, 3).columns) == list(SCORE_COLUMNS)


def test_real_best_tracks_displaced_by_a_known_vector():
    """Every storm of the South Atlantic, forecast 40 km north of where it was."""
    fixes = read_best_tracks(realdata("tracks/ibtracs.SA.list.v04r00.csv"))
    fixes = fixes[fixes["time"].dt.hour.isin([0, 6, 12, 18]) & (fixes["time"].dt.minute == 0)]
    rows = []
    for storm, track in fixes.groupby("storm"):
        init = track["time"].iloc[0]
        for _, fix in track.iloc[1:].iterrows():
            lead = int((fix["time"] - init) / pd.Timedelta(hours=1))
            rows.append(tracked("full", {lead: (fix["lat"] + 0.36, fix["lon"] % 360)}, storm, init))
    errors = match(pd.concat(rows), fixes, range(6, 121, 6))
    there = errors["track_error"].notna()
    assert there.sum() >= 50
    np.testing.assert_allclose(errors["track_error"][there], 0.36 * DEGREE, rtol=1e-6)
    parts = np.hypot(errors["along_track"], errors["cross_track"])
    moving = there & errors["along_track"].notna()
    np.testing.assert_allclose(parts[moving], errors["track_error"][moving], rtol=1e-6)
