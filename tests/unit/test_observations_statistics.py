"""Grid statistics: hand-computed, within the period, whatever the blocks."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.grids import Grid
from fuxiflow.observations import statistics as grid_statistics
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.observations.statistics import (
    GridStatistics,
    complete_grid_statistics,
    segment_statistics,
)
from fuxiflow.storage.moments import Moments


def store(path, hourly):
    """A store of two days with two channels; ``hourly`` maps hours to values of channel 1."""
    with SparseWriter(
        path, "s", ["1", "2"], ["K", "K"], Grid(4, 8), np.datetime64("2022-01-01"), 48
    ) as writer:
        for hour, values in hourly.items():
            n = len(values)
            rows = np.stack([values, 2 * np.asarray(values, float)], 1).astype("float32")
            zeros = np.zeros(n, "float32")
            writer.write(
                hour, np.arange(n), rows, zeros, np.stack([zeros, zeros], 1), np.ones(n, int)
            )
    return path


def whole(path, start, end):
    return complete_grid_statistics(segment_statistics(path, start, end), "s")


def test_mean_and_std_of_the_period_alone(tmp_path):
    path = store(tmp_path / "a.zarr", {0: [200.0, 204.0], 23: [np.nan, 208.0], 24: [999.0]})
    statistics = whole(path, date(2022, 1, 1), date(2022, 1, 1))
    assert statistics.mean.tolist() == pytest.approx([204.0, 408.0])
    assert statistics.std.tolist() == pytest.approx([np.sqrt(32 / 3), 2 * np.sqrt(32 / 3)])
    assert statistics.count.tolist() == [3, 3]


def test_parts_merge_to_the_whole_however_few_rows_are_looked_at(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    path = store(tmp_path / "a.zarr", {h: random.normal(250, 9, 30) for h in range(0, 48, 5)})
    days = date(2022, 1, 1), date(2022, 1, 2)
    at_once = segment_statistics(path, *days)
    monkeypatch.setattr(grid_statistics, "ROWS", 7)
    parts = [segment_statistics(path, day, day) for day in days]
    merged = parts[1].merge(parts[0])
    assert (merged.first, merged.last) == ("2022-01-01", "2022-01-02")
    for name in ("mean", "std", "count"):
        np.testing.assert_allclose(
            getattr(complete_grid_statistics(merged, "s"), name),
            getattr(complete_grid_statistics(at_once, "s"), name),
            rtol=1e-6,
        )


def test_round_trip(tmp_path):
    wrote = GridStatistics(["1"], np.array([1.5], "f4"), np.array([0.5], "f4"), np.array([7]))
    wrote.write(tmp_path / "statistics.zarr")
    read = GridStatistics.read(tmp_path / "statistics.zarr")
    assert (read.channels, read.mean.tolist(), read.std.tolist(), read.count.tolist()) == (
        ["1"],
        [1.5],
        [0.5],
        [7],
    )


def test_a_channel_without_values_is_named(tmp_path):
    path = store(tmp_path / "a.zarr", {0: [np.nan, np.nan]})
    with pytest.raises(ValueError, match="channels 1, 2"):
        whole(path, date(2022, 1, 1), date(2022, 1, 1))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 200),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    spread=st.sampled_from([1e-3, 5.0, 500.0]),
)
def test_merging_in_any_pieces_and_order_equals_one_pass(seed, rows, cuts, spread):
    generator = np.random.default_rng(seed)
    values = generator.normal(250, spread, (rows, 3)).astype(np.float32)
    values[generator.random(values.shape) < 0.2] = np.nan
    values[0] = 250
    blocks = np.split(values, sorted(cuts))
    moments = Moments.empty(3)
    for i in generator.permutation(len(blocks)):
        moments = moments.merge(Moments.of_rows(blocks[i]))
    exact = values.astype(float)
    assert moments.count.tolist() == np.isfinite(exact).sum(axis=0).tolist()
    assert moments.mean == pytest.approx(np.nanmean(exact, 0), rel=1e-9)
    assert moments.squares / moments.count == pytest.approx(
        np.nanvar(exact, 0), rel=1e-6, abs=1e-9 * spread**2
    )
