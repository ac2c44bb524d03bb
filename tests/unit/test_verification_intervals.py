"""Intervals of means of correlated series: how often they hold the truth, and their parts."""

import numpy as np
import pytest
from scipy import signal, stats

from fuxiflow.verification import intervals

TIMES = np.datetime64("2023-01-01", "ns") + np.arange(60) * np.timedelta64(12, "h")
SERIES = 6000


def first_order(cases, phi, series=SERIES, seed=0):
    """Series ``(case, series)`` of variance 1 and mean 0, with autocorrelation phi a case."""
    shocks = np.random.default_rng(seed).normal(size=(cases, series))
    shocks[1:] *= np.sqrt(1 - phi**2)
    return signal.lfilter([1], [1, -phi], shocks, axis=0)


def coverage(values, block=1.0):
    """Share of 95 % intervals that hold the mean, 0."""
    error = intervals.error_of_mean(values, block)
    return np.mean(np.abs(values.mean(axis=0)) <= error.half_width())


# a month of forecasts at 00 and 12 UTC, of analyses, twice that, and a year of forecasts;
# 0.85 at 12 h is a memory of three days
@pytest.mark.parametrize(
    ("cases", "phi"),
    [
        *((60, phi) for phi in (0.0, 0.3, 0.5, 0.7, 0.85)),
        *((120, phi) for phi in (0.0, 0.3, 0.5, 0.7, 0.85)),
        *((240, phi) for phi in (0.0, 0.5, 0.85, 0.92)),
        *((730, phi) for phi in (0.0, 0.5, 0.85, 0.92)),
    ],
)
def test_intervals_of_95_per_cent_hold_the_mean_of_correlated_series(cases, phi):
    series = SERIES if cases < 730 else SERIES // 2
    assert 0.93 <= coverage(first_order(cases, phi, series)) <= 0.97


@pytest.mark.parametrize(("cases", "phi"), [(9, 0.0), (9, 0.3), (30, 0.0), (30, 0.3), (30, 0.5)])
def test_intervals_of_few_cases_hold_the_mean_where_they_hardly_depend_on_each_other(cases, phi):
    assert 0.93 <= coverage(first_order(cases, phi)) <= 0.97


def test_blocks_as_long_as_the_lead_hold_the_mean_of_overlapping_forecasts():
    # errors at ten days, 12 h apart: 20 neighbours share their weather, as a moving average does
    shocks = np.random.default_rng(0).normal(size=(79, SERIES))
    values = signal.lfilter(np.ones(20), [1], shocks, axis=0)[19:]
    assert 0.93 <= coverage(values, block=20) <= 0.97


def test_processes_of_another_kind_are_covered_too():
    # an oscillation of about three days in series of 12 h, of which the lag-one correction is wrong
    shocks = np.random.default_rng(0).normal(size=(160, SERIES))
    values = signal.lfilter([1], [1, -0.9, 0.6], shocks, axis=0)[40:]
    assert 0.93 <= coverage(values) <= 0.97


def test_independent_cases_count_fully_and_correlated_ones_less():
    for phi, expected in ((0.0, 1000), (0.5, 333), (0.8, 111)):
        effective = intervals.error_of_mean(first_order(1000, phi, 500)).effective
        assert np.median(effective) == pytest.approx(expected, rel=0.06)
        assert effective.max() <= 1000


def test_lag_one_is_free_of_the_bias_of_short_series():
    values = first_order(60, 0.7)
    assert intervals.lag_one(values).mean() == pytest.approx(0.7, abs=0.01)
    assert intervals.lag_one(np.ones((5, 2))).max() <= 0.8


def test_a_block_has_a_degree_of_freedom_and_two_are_the_fewest():
    values = first_order(60, 0.0, 200)
    for block, most in ((1, 6), (12, 5), (20, 3), (25, 2), (60, 2)):
        degrees = intervals.error_of_mean(values, block).degrees
        assert degrees.max() == most
        assert degrees.min() >= 2
    correlated = intervals.error_of_mean(first_order(60, 0.9, 200)).degrees
    assert correlated.mean() < intervals.error_of_mean(values).degrees.mean()
    each = intervals.error_of_mean(np.stack([values, values], axis=1), np.array([[1], [20]]))
    assert each.degrees.shape == (2, 200)
    assert (each.degrees[0].max(), each.degrees[1].max()) == (6, 3)


def test_all_cosines_of_independent_cases_make_the_plain_t_interval(monkeypatch):
    monkeypatch.setattr(intervals, "RATE", 100)
    monkeypatch.setattr(intervals, "MEMORIES", 0)
    values = np.random.default_rng(0).normal(size=(12, 1))
    monkeypatch.setattr(intervals, "lag_one", lambda values, **_: np.zeros(values.shape[1]))
    error = intervals.error_of_mean(values)
    low, _ = stats.t.interval(0.95, 11, values.mean(), stats.sem(values[:, 0]))
    assert error.half_width().item() == pytest.approx(values.mean() - low)
    expected = stats.ttest_1samp(values[:, 0], 0.0).pvalue
    assert error.p_value(values.mean(axis=0)).item() == pytest.approx(expected)


def test_missing_cases_are_left_out_series_by_series():
    values = first_order(40, 0.5, 6).reshape(40, 2, 3)
    values[3, 0, 1] = values[7, 1] = np.nan
    error = intervals.error_of_mean(values)
    for i, j in np.ndindex(2, 3):
        series = values[:, i, j]
        alone = intervals.error_of_mean(series[np.isfinite(series)])
        assert error.standard_error[i, j] == pytest.approx(alone.standard_error.item())
        assert error.degrees[i, j] == alone.degrees
    one = intervals.error_of_mean(np.array([[1.0, np.nan], [np.nan, np.nan], [np.nan, np.nan]]))
    assert np.isnan(one.half_width()).all()


def test_a_series_that_does_not_vary_leaves_no_doubt():
    error = intervals.error_of_mean(np.zeros((8, 3)))
    np.testing.assert_array_equal(error.half_width(), 0.0)
    np.testing.assert_array_equal(error.p_value(np.array([0.0, 0.1, -0.1])), [1.0, 0.0, 0.0])


def test_a_p_value_below_5_per_cent_is_an_interval_without_0():
    values = first_order(60, 0.5) + 0.3
    error, mean = intervals.error_of_mean(values), values.mean(axis=0)
    np.testing.assert_array_equal(error.p_value(mean) < 0.05, np.abs(mean) > error.half_width())


def test_spacing_is_the_median_in_days():
    assert intervals.case_spacing(TIMES) == 0.5
    assert intervals.case_spacing(TIMES[::5]) == 2.5
    assert intervals.case_spacing(TIMES[:1]) == np.inf


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.5, 0.7])
def test_intervals_of_90_per_cent_hold_the_trend_of_twenty_days(phi):
    series = first_order(20, phi, 2000).T + 0.1 * np.arange(20)
    inside = 0
    for values in series:
        slope, reach = intervals.trend(values, 0.9)
        inside += abs(slope - 0.1) <= reach
    assert 0.88 <= inside / len(series) <= 0.94


def test_trend_of_a_line_has_no_doubt():
    assert intervals.trend(np.arange(20) * 0.5 + 3) == pytest.approx((0.5, 0.0))
    with pytest.raises(ValueError, match="at least 4"):
        intervals.trend(np.ones(3))
