"""The block bootstrap: what is drawn, what it averages, and how often its intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.verification import bootstrap

TIMES = np.datetime64("2023-01-01", "ns") + np.arange(60) * np.timedelta64(12, "h")


@pytest.mark.parametrize(
    ("times", "days", "length"),
    [
        (TIMES, 3, 6),
        (TIMES[::2], 3, 3),
        (TIMES[::5], 3, 1),
        (TIMES[:4], 3, 2),
        (TIMES[:1], 3, 1),
        (TIMES[:0], 3, 1),
    ],
)
def test_block_length_follows_the_spacing(times, days, length):
    assert bootstrap.block_length(times, days) == length


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_every_sample_has_as_many_cases_as_there_are(count, block, seed):
    block = min(block, count)
    counts = bootstrap.block_counts(count, block, 7, seed)
    assert counts.shape == (7, count)
    np.testing.assert_array_equal(counts.sum(axis=1), count)


def test_blocks_are_consecutive_on_a_circle():
    drawn = bootstrap.block_draws(12, 4, 50, 0).reshape(50, 3, 4)
    np.testing.assert_array_equal(np.diff(drawn, axis=-1) % 12, 1)
    assert (np.diff(drawn, axis=-1) < 0).any()


def test_draws_are_seeded_and_block_must_fit():
    np.testing.assert_array_equal(
        bootstrap.block_draws(9, 2, 5, 3), bootstrap.block_draws(9, 2, 5, 3)
    )
    assert (bootstrap.block_draws(9, 2, 5, 3) != bootstrap.block_draws(9, 2, 5, 4)).any()
    with pytest.raises(ValueError, match="block of 5 cases cannot be drawn from 4"):
        bootstrap.block_draws(4, 5, 1, 0)


def test_case_mean_counts_cases_and_skips_nan():
    values = np.array([[1.0, 1.0], [2.0, np.nan], [6.0, 5.0]])
    counts = np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0], [2.0, 0.0, 1.0]])
    np.testing.assert_allclose(
        bootstrap.case_mean(values, counts), [[3, 3], [2, np.nan], [8 / 3, 7 / 3]]
    )


def test_interval_is_that_of_numpy_and_skips_nan():
    samples = np.random.default_rng(0).normal(size=(101, 2, 3))
    samples[:40, 1, 2] = np.nan
    low, high = bootstrap.interval(samples)
    np.testing.assert_allclose(low, np.nanquantile(samples, 0.025, axis=0))
    np.testing.assert_allclose(high, np.nanquantile(samples, 0.975, axis=0))
    assert np.isnan(bootstrap.interval(np.full((5, 1), np.nan))[0]).all()


def test_intervals_of_correlated_series_need_blocks():
    """Coverage of the mean of an AR(1) series with autocorrelation 0.7, 300 times."""
    generator, covered = np.random.default_rng(0), {1: 0, 8: 0}
    for seed in range(300):
        shocks = generator.normal(size=180)
        series = np.zeros(180)
        for i in range(1, 180):
            series[i] = 0.7 * series[i - 1] + shocks[i]
        series = series[60:]
        for block in covered:
            low, high = bootstrap.interval(
                bootstrap.case_mean(series[:, None], bootstrap.block_counts(120, block, 200, seed))
            )
            covered[block] += int(low[0] <= 0 <= high[0])
    assert covered[1] / 300 < 0.75
    assert covered[8] / 300 > 0.82


def test_trend_of_a_line_and_of_noise():
    slope, low, high = bootstrap.trend(np.arange(20) * 0.5 + 3, 3, 100, 0)
    assert (slope, low, high) == pytest.approx((0.5, 0.5, 0.5))
    generator = np.random.default_rng(1)
    inside = 0
    for seed in range(200):
        slope, low, high = bootstrap.trend(generator.normal(size=20), 1, 200, seed)
        inside += low <= 0 <= high
    assert 0.88 < inside / 200 < 0.99
    with pytest.raises(ValueError, match="at least 4"):
        bootstrap.trend(np.ones(3), 1, 10, 0)
