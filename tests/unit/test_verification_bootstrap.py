"""The block bootstrap: draws, averages, and how often its intervals hold the truth."""

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


def coverage(cases, block, series=4000):
    """Share of 95 % intervals that hold the mean, 0, of AR(1) series with autocorrelation 0.7."""
    shocks = np.random.default_rng(0).normal(size=(60 + cases, series))
    values = np.zeros_like(shocks)
    for i in range(1, len(values)):
        values[i] = 0.7 * values[i - 1] + shocks[i]
    counts = bootstrap.block_counts(cases, block, 400, 0)
    low, high = bootstrap.interval(bootstrap.case_mean(values[60:], counts))
    return np.mean((low <= 0) & (high >= 0))


def test_without_blocks_intervals_of_correlated_series_hold_the_mean_far_too_seldom():
    assert coverage(120, 1) < 0.62


def test_blocks_bring_intervals_of_short_series_to_85_per_cent_not_to_95():
    """A known shortcoming: nominal 95 % intervals of 120 correlated cases are too narrow.

    With blocks of 8 cases they hold the mean in 85 % of 4000 series (standard error 0.6 %).
    """
    assert 0.83 < coverage(120, 8) < 0.87


def test_longer_series_with_longer_blocks_come_near_95_per_cent():
    assert coverage(120, 8) < coverage(480, 20) < coverage(1200, 30) < 0.95
    assert coverage(480, 20) > 0.88
    assert coverage(1200, 30) > 0.905
