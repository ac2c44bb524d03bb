"""Control of false discoveries: against scipy, and over scorecards of no difference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from fuxiflow.verification.cases import QUANTITIES, Cases
from fuxiflow.verification.discoveries import adjusted_p_values
from fuxiflow.verification.scoring import Resampling, compare_cases

NAMES = {"experiment": "e", "system": "s", "reference": "truth", "other_name": "twin"}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_values_are_those_of_scipy(p_values):
    np.testing.assert_allclose(
        adjusted_p_values(np.array(p_values)), stats.false_discovery_control(p_values, method="bh")
    )


def test_what_was_not_tested_does_not_count():
    adjusted = adjusted_p_values(np.array([0.02, np.nan, 0.5, np.nan]))
    np.testing.assert_allclose(adjusted, [0.04, np.nan, 0.5, np.nan])
    assert adjusted_p_values(np.array([])).size == 0
    assert np.isnan(adjusted_p_values(np.array([np.nan]))).all()


def twins(shift=0.0, leads=(6, 72, 120), channels=69, times=60):
    """Two systems of equal skill, whose errors have a memory of a day and vary from case to case.

    ``shift`` is added to the logarithm of the squared errors of the first.
    """
    generator = np.random.default_rng(1)
    start = np.datetime64("2023-01-01", "ns") + np.arange(times) * np.timedelta64(12, "h")
    names = [f"channel{i}" for i in range(channels)]
    systems = []
    for add in (shift, 0.0):
        noise = generator.normal(size=(times + 20, len(leads), channels, 1))
        memory = signal.lfilter([1], [1, -0.6], noise, axis=0)[20:]
        cases = Cases.empty(start, leads, names, ["global"])
        values = dict.fromkeys(QUANTITIES, np.full(memory.shape, 0.5))
        values["square"] = np.exp(add + 0.2 * memory)
        values["correlation"] = 0.8 + 0.02 * memory
        cases.values = values
        systems.append(cases)
    return compare_cases(*systems, Resampling(1, 3, 0), **NAMES)


@pytest.mark.parametrize("metric", ["rmse_vs_twin", "acc_vs_twin"])
def test_of_no_difference_the_nominal_share_is_significant_and_none_after_control(metric):
    frame = twins(channels=400)
    p_values = frame.loc[frame["metric"] == metric, "p_value"].to_numpy()
    assert len(p_values) == 1200
    assert np.mean(p_values < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(p_values < 0.5) == pytest.approx(0.5, abs=0.05)
    assert np.mean(adjusted_p_values(p_values) <= 0.05) <= 0.001


def test_a_difference_that_is_there_is_seen_after_control():
    frame = twins(shift=1.0)
    rmse = frame[frame["metric"] == "rmse_vs_twin"]
    assert np.mean(adjusted_p_values(rmse["p_value"].to_numpy()) <= 0.05) > 0.95
    assert (rmse["ci_low"] > 0).mean() > 0.95
    assert (rmse["n_effective"] < 60).mean() > 0.9
