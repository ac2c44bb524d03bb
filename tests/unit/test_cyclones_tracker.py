"""The tracker on analytic vortices at 0.25 degrees that move on known paths."""

import itertools

import numpy as np
import pytest

from fuxiflow.config.cyclones import Tracker
from fuxiflow.cyclones import tracker
from fuxiflow.cyclones.sphere import displaced
from fuxiflow.cyclones.tracker import follow, locate, next_guess
from fuxiflow.grids import Grid
from fuxiflow.physics import great_circle
from tests.support.vortices import QUARTER, add_vortex, calm, sea

PAPERS = Tracker()
TOLERANCE = 0.5
"""km; the grid's spacing is 28 km."""


def moving(lat, lon, drift, leads, **vortex):
    """Positions of a vortex that moves with ``drift`` m s-1, and a reader of its fields."""
    places = {leads[0]: (lat, lon)}
    for before, lead in itertools.pairwise(leads):
        step = np.array(drift) * 3.6 * (lead - before)
        places[lead] = tuple(map(float, displaced(*map(np.float64, places[before]), *step)))

    def read(lead):
        return add_vortex(calm(), *places[lead], drift=drift, **vortex)

    return places, read


def errors(track, places):
    return [great_circle(c.lat, c.lon, *places[lead]) for lead, c in track.positions]


@pytest.mark.parametrize(
    ("start", "drift"),
    [
        pytest.param((14.07, 132.11), (-6.0, 2.0), id="west over the sea"),
        pytest.param((22.3, 178.6), (8.0, 5.0), id="east across the date line"),
        pytest.param((-17.4, 2.1), (-9.0, -4.0), id="south, across the prime meridian"),
    ],
)
def test_a_moving_vortex_is_followed_to_a_fiftieth_of_a_cell(start, drift):
    leads = range(6, 37, 6)
    places, read = moving(*start, drift, leads)
    first_guess = start[0] + 1.5, start[1] - 1.5
    track = follow(read, leads, {"storm": first_guess}, sea(), PAPERS)["storm"]
    assert track.end == ""
    assert [lead for lead, _ in track.positions] == list(leads)
    assert max(errors(track, places)) < TOLERANCE
    for _, centre in track.positions:
        assert centre.pressure == pytest.approx(960.0, abs=0.3)
        assert centre.wind == pytest.approx(40.0 + np.hypot(*drift), rel=0.01)


def test_without_sub_grid_accuracy_the_error_is_up_to_half_a_cell():
    leads = [6, 12]
    places, read = moving(14.07, 132.11, (-6.0, 2.0), leads)
    settings = Tracker(sub_grid=False)
    track = follow(read, leads, {"storm": places[6]}, sea(), settings)["storm"]
    assert TOLERANCE < max(errors(track, places)) < 20.0


def test_two_storms_are_followed_at_once_and_the_fields_of_a_lead_read_once():
    read_leads = []

    def read(lead):
        read_leads.append(lead)
        return add_vortex(add_vortex(calm(), 15.0, 130.0), -15.0, 60.0)

    tracks = follow(read, [6, 12, 18], {"a": (16, 131), "b": (-14, 61)}, sea(), PAPERS)
    assert read_leads == [6, 12, 18]
    assert errors(tracks["a"], dict.fromkeys([6, 12, 18], (15.0, 130.0))) == pytest.approx(
        [0, 0, 0], abs=TOLERANCE
    )
    assert errors(tracks["b"], dict.fromkeys([6, 12, 18], (-15.0, 60.0))) == pytest.approx(
        [0, 0, 0], abs=TOLERANCE
    )


def test_a_storm_that_is_not_there_or_beyond_the_radius_is_not_found():
    assert locate(calm(), (15.0, 130.0), sea(), PAPERS, "lowest") == "pressure"
    fields = add_vortex(calm(), 15.0, 130.0)
    near, far = (15.0 + 440 / 111.2, 130.0), (15.0 + 460 / 111.2, 130.0)
    assert locate(fields, near, sea(), PAPERS, "lowest").lat == pytest.approx(15.0, abs=0.01)
    assert isinstance(locate(fields, far, sea(), PAPERS, "lowest"), str)


def test_vorticity_counts_with_the_sign_of_the_hemisphere_and_from_its_limit_on():
    # at the centre 2 sqrt(e) v / r: 5e-5 for 2.27 m/s at 150 km
    weak, strong = 2.2, 2.4
    for lat in (15.0, -15.0):
        found = add_vortex(calm(), lat, 130.0, wind=strong)
        assert not isinstance(locate(found, (lat, 130.0), sea(), PAPERS, "lowest"), str)
        lost = add_vortex(calm(), lat, 130.0, wind=weak)
        assert locate(lost, (lat, 130.0), sea(), PAPERS, "lowest") == "vorticity"
        # the ring about an anticyclone is cyclonic, but less so than the storm within
        turned = add_vortex(calm(), lat, 130.0, wind=-40.0)
        inside = Tracker(vorticity_km=150.0)
        assert locate(turned, (lat, 130.0), sea(), inside, "lowest") == "vorticity"


def test_over_land_the_wind_must_exceed_its_limit_and_over_the_sea_not():
    ground = sea()
    ground.land_fraction[:, QUARTER.lon > 130.0] = 1.0
    weak = {"wind": 7.5}
    on_land = add_vortex(calm(), 15.0, 131.0, **weak)
    assert locate(on_land, (15.0, 131.0), ground, PAPERS, "lowest") == "land_wind"
    at_sea = add_vortex(calm(), 15.0, 129.0, **weak)
    assert not isinstance(locate(at_sea, (15.0, 129.0), ground, PAPERS, "lowest"), str)
    strong = add_vortex(calm(), 15.0, 131.0, wind=8.5)
    assert not isinstance(locate(strong, (15.0, 131.0), ground, PAPERS, "lowest"), str)


def test_a_track_stops_before_high_ground():
    leads = range(6, 37, 6)
    places, read = moving(20.0, 125.0, (-10.0, 0.0), leads)
    ground = sea()
    coast = 0.5 * (places[24][1] + places[30][1])
    ground.height[:, QUARTER.lon < coast] = 1001.0
    track = follow(read, leads, {"storm": places[6]}, ground, PAPERS)["storm"]
    assert (track.end, track.end_lead) == ("terrain", 30)
    assert [lead for lead, _ in track.positions] == [6, 12, 18, 24]
    no_limit = Tracker(terrain=None)
    track = follow(read, leads, {"storm": places[6]}, ground, no_limit)["storm"]
    assert len(track.positions) == len(leads)


def test_the_lowest_minimum_that_fulfils_the_conditions_is_taken_or_the_nearest():
    fields = add_vortex(calm(), 15.0, 127.0, depth=3000.0, radius=100.0)
    add_vortex(fields, 15.0, 131.0, depth=2000.0, radius=80.0)
    guess = 15.0, 130.5
    lowest = locate(fields, guess, sea(), PAPERS, "lowest")
    nearest = locate(fields, guess, sea(), PAPERS, "nearest")
    assert lowest.lon == pytest.approx(127.0, abs=0.1)
    assert nearest.lon == pytest.approx(131.0, abs=0.1)
    # a deeper low without vorticity is passed over
    add_vortex(fields, 18.5, 130.5, depth=6000.0, radius=60.0, wind=0.0)
    assert locate(fields, guess, sea(), PAPERS, "lowest").lon == pytest.approx(127.0, abs=0.1)
    reaching = Tracker(vorticity_km=445.0)
    assert locate(fields, guess, sea(), reaching, "lowest").lat == pytest.approx(18.5, abs=0.1)


def test_the_guess_is_the_mean_of_extrapolation_and_steering():
    fields = add_vortex(calm(), 0.0, 100.0, drift=(0.0, 10.0), wind=0.0, radius=300.0)
    centre = tracker.Centre(0.0, 100.0, 960.0, 40.0)
    before = tracker.Centre(0.0, 99.0, 960.0, 40.0)
    north = 10.0 * 3.6 * 6 / (np.pi * 6371.0 / 180)
    only_steered = next_guess(fields, [(6, centre)], 12, QUARTER, PAPERS)
    assert only_steered == pytest.approx((north, 100.0), abs=1e-3)
    both = next_guess(fields, [(0, before), (6, centre)], 12, QUARTER, PAPERS)
    assert both == pytest.approx((0.5 * north, 100.5), abs=1e-3)
    extrapolated = next_guess(
        fields, [(0, before), (6, centre)], 18, QUARTER, Tracker(extrapolation=1.0)
    )
    assert extrapolated == pytest.approx((0.0, 102.0), abs=1e-3)


def test_the_storms_own_winds_cancel_in_the_steering_wind():
    fields = add_vortex(calm(), 20.1, 140.1, wind=60.0, drift=(3.0, -2.0))
    wind = tracker.steering_wind(fields, 20.1, 140.1, QUARTER, PAPERS)
    assert wind == pytest.approx((3.0, -2.0), abs=0.2)


def test_a_missing_lead_ends_the_tracks():
    def read(lead):
        return None if lead == 12 else add_vortex(calm(), 15.0, 130.0)

    track = follow(read, [6, 12, 18], {"storm": (15.0, 130.0)}, sea(), PAPERS)["storm"]
    assert (track.end, track.end_lead, len(track.positions)) == ("absent", 12, 1)


def test_a_coarse_grid_takes_other_numbers():
    grid = Grid(32, 64)
    settings = Tracker(search_km=1200, vorticity=1e-5, vorticity_km=1000, wind_km=1000)
    vortex = {"radius": 900.0, "wind": 25.0, "grid": grid}
    fields = add_vortex(calm(grid), 42.0, 179.0, **vortex)
    centre = locate(fields, (45.0, 184.0), sea(grid), settings, "lowest")
    assert great_circle(centre.lat, centre.lon, 42.0, 179.0) < 60.0  # of 626 km between rows
