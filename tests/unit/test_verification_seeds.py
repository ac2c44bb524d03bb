"""Intervals over seeds and times: how often they hold the truth, and comparisons with them."""

import numpy as np
import pytest
from scipy import signal

from fuxiflow.verification import intervals
from fuxiflow.verification.cases import QUANTITIES, Cases
from fuxiflow.verification.discoveries import adjusted_p_values
from fuxiflow.verification.scoring import Resampling, compare_cases
from fuxiflow.verification.seeds import compare_seeds, error_over_seeds

SERIES = 1500
NAMES = {"experiment": "e", "system": "s", "reference": "truth", "other_name": "twin"}


def memory(generator, *shape):
    """Series ``(..., case, series)`` of variance 1 with autocorrelation 0.6."""
    noise = generator.normal(size=(*shape[:-2], shape[-2] + 20, shape[-1]))
    return 0.8 * signal.lfilter([1], [1, -0.6], noise, axis=-2)[..., 20:, :]


def trained(generator, seeds, weather, between, cases=60, series=SERIES):
    """Errors ``(seed, case, series)``: those of the seed, of the weather, and of both."""
    of_seed = between * generator.normal(size=(seeds, 1, series))
    return of_seed + weather + 0.5 * memory(generator, seeds, cases, series)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("between", [0.1, 1.0])
def test_intervals_over_seeds_and_times_hold_the_mean(seeds, between):
    generator = np.random.default_rng(seeds)
    series = trained(generator, seeds, memory(generator, 60, SERIES), between)
    error = error_over_seeds(series)
    inside = np.abs(series.mean(axis=(0, 1))) <= error.half_width()
    assert 0.93 <= inside.mean() <= 0.98


@pytest.mark.parametrize("seeds", [(3, 3), (2, 3), (5, 5)])
def test_intervals_of_differences_of_configurations_hold_their_difference(seeds):
    generator = np.random.default_rng(7)
    weather = memory(generator, 60, SERIES)
    first, second = (trained(generator, number, weather, 0.3) for number in seeds)
    difference = first.mean(axis=(0, 1)) - second.mean(axis=(0, 1))
    error = error_over_seeds(first, second)
    assert 0.93 <= np.mean(np.abs(difference) <= error.half_width()) <= 0.985
    # an interval of one training each forgets what seeds do
    alone = intervals.error_of_mean(first[0] - second[0])
    one = first[0].mean(axis=0) - second[0].mean(axis=0)
    assert np.mean(np.abs(one) <= alone.half_width()) < 0.8


def test_one_seed_tells_nothing_of_seeds():
    with pytest.raises(ValueError, match="at least 2 seeds"):
        error_over_seeds(np.zeros((1, 10, 2)), np.zeros((1, 10, 2)))


def trainings(generator, seeds, between, shift=0.0, times=60, channels=100):
    """Cases of several seeds of a configuration, the errors of which differ by seed."""
    start = np.datetime64("2023-01-01", "ns") + np.arange(times) * np.timedelta64(12, "h")
    names = [f"channel{i}" for i in range(channels)]
    series = shift + 0.2 * trained(generator, seeds, 0.0, between, times, channels)
    made = []
    for values in series[:, :, None, :, None]:
        cases = Cases.empty(start, [24], names, ["global"])
        cases.values = dict.fromkeys(QUANTITIES, np.full(values.shape, 0.5))
        cases.values["square"] = np.exp(values)
        made.append(cases)
    return made


def test_seeds_of_one_configuration_are_not_told_apart_but_single_trainings_are():
    generator = np.random.default_rng(3)
    first, second = (trainings(generator, 3, 0.5) for _ in range(2))
    frame = compare_seeds(first, second, Resampling(1, 1, 0), **NAMES, metrics=("rmse",))
    assert (frame["p_value"] < 0.05).mean() <= 0.1
    single = compare_cases(first[0], second[0], Resampling(1, 1, 0), **NAMES, metrics=("rmse",))
    assert (single["p_value"] < 0.05).mean() > 0.5


def test_a_null_comparison_has_the_nominal_share_of_discoveries_after_control():
    """Of 20 scorecards without any difference, few have a significant cell at a rate of 5 %."""
    generator = np.random.default_rng(5)
    significant, alone = [], []
    for _ in range(20):
        first, second = (trainings(generator, 3, 0.5) for _ in range(2))
        frame = compare_seeds(first, second, Resampling(1, 1, 0), **NAMES, metrics=("rmse",))
        p_value = frame["p_value"].to_numpy()
        significant.append((adjusted_p_values(p_value) <= 0.05).mean())
        alone.append((p_value <= 0.05).mean())
    # one in a thousand such twenties has more than 5
    assert np.count_nonzero(significant) <= 5
    assert np.mean(significant) <= 0.005
    assert 0.01 <= np.mean(alone) <= 0.06  # cells alone: the nominal share, or a little less


def test_a_difference_beyond_that_of_seeds_is_seen():
    generator = np.random.default_rng(4)
    first, second = trainings(generator, 4, 0.1, -1.0), trainings(generator, 4, 0.1)
    second[1] = second[1].select(second[1].times[5:], [24], second[1].channels)
    frame = compare_seeds(first, second, Resampling(1, 1, 0), **NAMES, metrics=("rmse",))
    np.testing.assert_allclose(frame["value"].mean(), np.exp(-0.5) - 1, atol=0.02)
    assert (frame["ci_high"] < 0).all()
    assert set(frame["n"]) == {55}
