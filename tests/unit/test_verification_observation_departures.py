"""Departures of all systems: pairing, sums by hand, and parts that can be joined in any way."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.config import sources
from fuxiflow.grids import Grid
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.verification import observation_departures, observation_scores
from fuxiflow.verification.observation_departures import ObservationSums, ObservedSource
from fuxiflow.verification.point_equivalents import PointOperator
from tests.support.footprint_tables import START, footprints

LOG = logging.getLogger("test")
GRID = Grid(4, 8)
NAMES = ["MSL", "T2M", "U10", "V10"]
SOURCE = sources.load_source("land_stations")
STATICS = SimpleNamespace(
    grid=GRID, surface_geopotential=np.zeros(GRID.shape), land_fraction=np.ones(GRID.shape)
)
DAY = np.timedelta64(1, "D")
INITS = np.array([START, START + DAY])


def state(temperature, names=NAMES):
    levels = {"MSL": 1e5, "T2M": temperature, "U10": 1.0, "V10": 2.0}
    return names, np.stack([np.full(GRID.shape, levels[name]) for name in names])


@pytest.fixture
def observed(tmp_path):
    """Three stations at 00 UTC of two days: T2M of 280, 282 and none, the second withheld."""
    values = np.full((6, 6), np.nan)
    values[:, SOURCE.channel_names.index("T2M")] = [280, 282, np.nan] * 2
    values[:, SOURCE.channel_names.index("MSL")] = 1e5
    part = footprints(
        values,
        channels=SOURCE.channel_names,
        time=np.repeat(INITS, 3),
        lat=[0, 50, 0] * 2,
        lon=[20, 20, 20] * 2,
        rejected=[0, Reason.WITHHELD, 0] * 2,
        scan_position=[0] * 6,
    )
    with FootprintWriter(tmp_path / "t.parquet", SOURCE.channel_names) as writer:
        writer.write(part)
    return ObservedSource.read("land", PointOperator(SOURCE, STATICS), [tmp_path / "t.parquet"])


def scores(systems, observed, leads=(0, 24)):
    sums, counts = observation_departures.collect_observation_departures(
        systems, [observed], GRID, INITS, leads, ["global", "tropics"], LOG
    )
    frame = observation_scores.score_observation_sums(sums["land"], "land", SOURCE.units)
    keys = ["channel", "system", "sample", "region", "lead_time"]
    return frame.set_index(keys).sort_index(), counts


def test_scores_are_the_departures_put_in(observed):
    systems = {
        "full": lambda init, lead: state(279.0),
        "gfs": lambda init, lead: state(283.0) if lead == 0 else None,
    }
    frame, counts = scores(systems, observed)
    # two observations, as the station without a value counts for nothing
    row = frame.loc[("T2M", "full", "assimilated", "global", 0)]
    assert (row["n"], row["bias"], row["rmse"], row["unit"]) == (2, 1.0, 1.0, "K")
    row = frame.loc[("T2M", "gfs", "withheld", "global", 0)]
    assert (row["n"], row["bias"], row["rmse"]) == (2, -1.0, 1.0)
    assert (row["main_bias"], row["main_rmse"]) == (3.0, 3.0)
    # of lead 24 the first day's forecast alone has observations; GFS sits it out
    assert frame.loc[("T2M", "full", "assimilated", "global", 24)]["n"] == 1
    assert ("T2M", "gfs", "assimilated", "global", 24) not in frame.index
    # the withheld station is not in the tropics
    assert ("T2M", "full", "withheld", "tropics", 0) not in frame.index
    assert counts[0].present == counts[0].expected == 3


def test_the_root_is_taken_after_the_mean(observed):
    warm = {INITS[0]: 281.0, INITS[1]: 287.0}
    frame, _ = scores({"full": lambda init, lead: state(warm[init])}, observed, [0])
    row = frame.loc[("T2M", "full", "assimilated", "global", 0)]
    assert row["bias"] == -4.0
    assert row["rmse"] == pytest.approx(np.sqrt((1 + 49) / 2))
    assert (row["sum"], row["squares"]) == (-8.0, 50.0)


def test_an_observation_counts_for_all_systems_or_for_none(observed):
    hole = state(280.0)
    hole[1][1, 0] = np.nan  # near the withheld station
    frame, _ = scores({"full": lambda *_: state(280.0), "era5": lambda *_: hole}, observed, [0])
    for system in ("full", "era5"):
        assert ("T2M", system, "withheld", "global", 0) not in frame.index
        assert frame.loc[("T2M", system, "assimilated", "global", 0)]["n"] == 2
        assert frame.loc[("MSL", system, "withheld", "global", 0)]["n"] == 2


def test_a_system_without_a_channel_takes_none_from_others(observed):
    few = state(280.0, ["MSL"])
    frame, _ = scores({"full": lambda *_: state(280.0), "hres": lambda *_: few}, observed, [0])
    assert frame.loc[("T2M", "full", "assimilated", "global", 0)]["n"] == 2
    assert ("T2M", "hres", "assimilated", "global", 0) not in frame.index
    assert frame.loc[("MSL", "hres", "assimilated", "global", 0)]["n"] == 4
    # where the main system has no channel there is nothing beside the other one
    frame, _ = scores({"full": lambda *_: few, "era5": lambda *_: state(280.0)}, observed, [0])
    row = frame.loc[("T2M", "era5", "assimilated", "global", 0)]
    assert row["n"] == 2
    assert np.isnan([row["main_bias"], row["main_rmse"]]).all()


def test_cases_without_the_main_system_are_missing(observed):
    systems = {"full": lambda init, lead: None, "era5": lambda *_: state(280.0)}
    frame, counts = scores(systems, observed)
    assert frame.empty
    assert (counts[0].present, counts[0].expected) == (0, 3)


def random_sums(days, seed):
    dice = np.random.default_rng(seed)
    sums = ObservationSums.empty(days, [0, 12], ["1", "2"], ["global"], ["full", "gfs"])
    sums.sums[:] = dice.normal(size=sums.sums.shape)
    sums.sums[0] = dice.integers(1, 9, sums.sums[0].shape)
    return sums


@settings(max_examples=30)
@given(st.permutations(range(6)), st.integers(1, 5))
def test_parts_are_joined_in_any_order_and_grouping(order, cut):
    days = np.datetime64("2023-01-01") + np.arange(6)
    parts = [random_sums(days[[i]], i) for i in range(6)]
    whole = observation_scores.join_observation_sums(parts)
    mixed = [parts[i] for i in order]
    join = observation_scores.join_observation_sums
    grouped = join([join(mixed[:cut]), join(mixed[cut:])])
    one, other = (
        observation_scores.score_observation_sums(sums, "s", ["K", "K"])
        for sums in (whole, grouped)
    )
    assert one.equals(other)


def test_parts_that_do_not_fit_are_refused():
    days = np.array(["2023-01-01"], "datetime64[D]")
    with pytest.raises(ValueError, match="same day"):
        observation_scores.join_observation_sums([random_sums(days, 0), random_sums(days, 1)])
    other = random_sums(days + 1, 1)
    other.systems = ["full", "hres"]
    with pytest.raises(ValueError, match="other systems"):
        observation_scores.join_observation_sums([random_sums(days, 0), other])


def test_sums_come_back_from_a_store(tmp_path):
    days = np.array(["2023-01-01", "2023-01-02"], "datetime64[D]")
    sums = random_sums(days, 3)
    observation_departures.write_observation_sums(tmp_path / "part.zarr", {"s": sums}, [])
    back = observation_scores.read_observation_sums(tmp_path / "part.zarr", "s")
    assert (back.sums == sums.sums).all()
    assert observation_scores.join_observation_sums([back]).systems == sums.systems
