"""The benchmark's ways to score the same arrays agree."""

import numpy as np
import pytest

from benchmarks import verification as benchmark
from fuxiflow.grids import Grid

INITS = benchmark.START + np.arange(3) * np.timedelta64(12, "h")
LEADS = [6, 12]


@pytest.mark.parametrize("together", [1, 2])
def test_scores_agree_with_ours_in_chunks_of_any_size(together):
    made = benchmark.MadeUp(Grid(8, 16))
    expected = benchmark.ours(made, INITS, LEADS)
    values, _ = benchmark.by_peer(benchmark.by_scores, made, INITS, LEADS, together)
    assert expected["rmse"].shape == (2, len(benchmark.CHANNELS))
    assert (expected["rmse"][1] > expected["rmse"][0]).all()
    assert benchmark.difference(values, expected) < 1e-6


def test_a_small_difference_is_seen():
    made = benchmark.MadeUp(Grid(8, 16))
    expected = benchmark.ours(made, INITS, LEADS)
    for name in benchmark.METRICS:
        other = {**expected, name: expected[name] + 1e-5 * expected["rmse"].max()}
        assert benchmark.difference(other, expected) > 1e-6
