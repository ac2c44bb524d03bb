"""Real and simulated windows: by day and share, the same for the same seed, never mixed up."""

from datetime import date

import numpy as np
import pytest

from fuxiflow.config.training import SimulatedShare
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWriter
from fuxiflow.training.samples import HybridGrids, window_draw
from tests.support import tiny

TIMES = tiny.START + np.timedelta64(6, "h") * np.arange(4, 36)


def store(path, value, *, source="noaa20_atms", origin="observed", channels=("1",), days=10):
    """One cell of ``value`` in every hour."""
    with SparseWriter(
        path,
        source,
        list(channels),
        ["K"] * len(channels),
        tiny.GRID,
        tiny.START,
        24 * days,
        attributes={"origin": origin},
    ) as out:
        for hour in range(24 * days):
            out.write(
                hour,
                np.array([3]),
                np.full((1, len(channels)), value, np.float32),
                np.zeros(1, np.float32),
                np.zeros((1, 2), np.float32),
                np.ones(1, np.int32),
            )
    return SparseGrids([path])


@pytest.fixture
def pair(tmp_path):
    return store(tmp_path / "real.zarr", 1.0), store(
        tmp_path / "made.zarr", 2.0, origin="simulated"
    )


def simulated(grids, times=TIMES):
    """Which windows are simulated; every one is of one kind."""
    kinds = [np.unique(grids.window(time, -3, 5).values) for time in times]
    assert all(len(kind) == 1 for kind in kinds)
    return np.array([kind[0] == 2.0 for kind in kinds])


def share(first, last, value):
    return SimulatedShare(start=date(2022, 1, first), end=date(2022, 1, last), share=value)


def test_days_and_shares_are_kept(pair):
    found = simulated(HybridGrids(*pair, [share(2, 4, 1.0), share(6, 7, 0.0)], seed=0))
    day = TIMES.astype("datetime64[D]").astype(object)
    assert found.tolist() == [date(2022, 1, 2) <= d <= date(2022, 1, 4) for d in day]


def test_a_share_is_drawn_by_seed_source_and_time_alone(pair):
    one = simulated(HybridGrids(*pair, [share(1, 10, 0.5)], seed=0))
    assert 5 < one.sum() < 27
    assert (one == simulated(HybridGrids(*pair, [share(1, 10, 0.5)], seed=0), TIMES)).all()
    assert (one != simulated(HybridGrids(*pair, [share(1, 10, 0.5)], seed=1))).any()
    more = simulated(HybridGrids(*pair, [share(1, 10, 0.8)], seed=0))
    assert (more | ~one).all()  # a larger share keeps the windows of a smaller one
    many = [window_draw(0, "noaa20_atms", tiny.START + i * tiny.STEP) for i in range(2000)]
    assert np.mean(np.array(many) < 0.3) == pytest.approx(0.3, abs=0.04)


def test_what_does_not_belong_together_is_refused(pair, tmp_path):
    real, made = pair
    with pytest.raises(ValueError, match="channels of the simulated observations"):
        HybridGrids(
            real, store(tmp_path / "a.zarr", 1.0, channels=("1", "2"), origin="simulated"), [], 0
        )
    for wrong in ((real, real), (made, made)):
        with pytest.raises(ValueError, match="in the place of"):
            HybridGrids(*wrong, [], 0)


def test_stores_of_different_origin_are_no_series(tmp_path):
    store(tmp_path / "a.zarr", 1.0, days=2)
    with SparseWriter(
        tmp_path / "b.zarr",
        "noaa20_atms",
        ["1"],
        ["K"],
        tiny.GRID,
        tiny.START + np.timedelta64(2, "D"),
        24,
        attributes={"origin": "simulated"},
    ):
        pass
    with pytest.raises(ValueError, match="origin"):
        SparseGrids([tmp_path / "a.zarr", tmp_path / "b.zarr"])
