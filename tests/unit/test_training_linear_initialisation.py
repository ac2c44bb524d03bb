"""The fits before stage 2: they find what made the observations, and refuse too few of them."""

import logging
import math

import numpy as np
import pytest
import torch

from fuxiflow.models.pillars import (
    FootprintBatch,
    PillarEncoder,
    columns_at_footprints,
    predictor_count,
    predictors,
)
from fuxiflow.training import linear_initialisation

SHAPE = (8, 16)
STATES, CHANNELS, FIRST_HOUR = 2, 3, -3
MODES = torch.zeros(STATES, 2)
SURFACE = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(7))


def encoder():
    torch.manual_seed(0)
    return PillarEncoder(CHANNELS, STATES, 8, FIRST_HOUR, SURFACE, torch.arange(STATES), 4)


def random_states(batch=2, seed=0):
    return torch.randn(batch, 3, STATES, *SHAPE, generator=torch.Generator().manual_seed(seed))


def random_footprints(count=400, batch=2, seed=1):
    random = torch.Generator().manual_seed(seed)

    def whole(high):
        return torch.randint(0, high, (count,), generator=random)

    return FootprintBatch(
        whole(batch),
        whole(8),
        whole(SHAPE[0] * SHAPE[1]),
        torch.zeros(count, CHANNELS),
        60 * torch.rand(count, generator=random),
        torch.rand(count, 2, generator=random) - 0.5,
    )


def observed(footprints, states, weight):
    """The footprints with the values that ``weight (channel, predictor)`` gives for ``states``."""
    surface = SURFACE.flatten(1).T[footprints.cell]
    column = columns_at_footprints(footprints, states, FIRST_HOUR)
    footprints.values = predictors(column, footprints.zenith, surface, MODES) @ weight.T
    return footprints


def linear(seed=2):
    return torch.randn(
        CHANNELS, predictor_count(STATES, 2, 2), generator=torch.Generator().manual_seed(seed)
    )


def test_least_squares_are_numpys():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(500, 4)), random.normal(size=(500, 2))
    normal = linear_initialisation.LeastSquares(4, 2)
    for part in np.array_split(np.arange(500), 7):
        normal.add(torch.from_numpy(x[part]).float(), torch.from_numpy(y[part]).float())
    assert normal.count == 500
    expected = np.linalg.lstsq(x, y, rcond=None)[0].T
    np.testing.assert_allclose(normal.solve(1e-3), expected, atol=2e-3 * np.abs(expected).max())


def test_ridge_keeps_predictors_that_do_not_vary_at_zero():
    normal = linear_initialisation.LeastSquares(2, 1)
    x = torch.stack([torch.linspace(-1, 1, 50), torch.zeros(50)], -1)
    normal.add(x, 3 * x[:, :1])
    assert normal.solve(1e-3).flatten().tolist() == pytest.approx([3.0, 0.0], rel=2e-3)


def test_equivalents_recover_a_linear_observation():
    fitted, states, weight = encoder(), random_states(), linear()
    windows = [(observed(random_footprints(seed=i), states, weight), states) for i in range(4)]
    linear_initialisation.fit_equivalents(fitted, windows)
    fresh = observed(random_footprints(seed=9), states, weight)
    left = fitted.departures(fresh, states)
    assert left.square().mean() < 1e-3 * fresh.values.square().mean()


def test_equivalents_find_what_depends_on_the_product_of_columns():
    fitted, states = encoder(), random_states()

    def measured(seed):
        footprints = random_footprints(seed=seed)
        column = columns_at_footprints(footprints, states, FIRST_HOUR)
        footprints.values = (
            (column[:, :1] + 0.3 * column[:, :1] * column[:, 1:]).expand(-1, CHANNELS).clone()
        )
        return footprints

    linear_initialisation.fit_equivalents(fitted, [(measured(seed), states) for seed in range(4)])
    fresh = measured(9)
    assert fitted.departures(fresh, states).square().mean() < 1e-2 * fresh.values.square().mean()


def test_modes_have_unit_variance_and_are_orthogonal():
    fitted, states, weight = encoder(), random_states(), linear()
    footprints = observed(random_footprints(), states, weight)
    linear_initialisation.fit_equivalents(fitted, [(footprints, states)])
    amplitude = fitted.columns(footprints, states) @ fitted.modes
    np.testing.assert_allclose(amplitude.T @ amplitude / len(amplitude), np.eye(2), atol=1e-4)


def test_equivalents_use_whole_footprints_alone():
    fitted, states, weight = encoder(), random_states(), linear()
    footprints = observed(random_footprints(), states, weight)
    spoiled = observed(random_footprints(), states, weight)
    spoiled.values += 50.0
    spoiled.values[:, 1] = math.nan
    linear_initialisation.fit_equivalents(fitted, [(footprints, states)])
    expected = fitted.equivalent.clone()
    linear_initialisation.fit_equivalents(fitted, [(footprints, states), (spoiled, states)])
    assert torch.equal(fitted.equivalent, expected)


def retrieval(noise=0.0):
    """An encoder fitted to footprints whose departures are a linear function of the background's
    error; the pieces.
    """
    fitted, truth, weight = encoder(), random_states(), linear()
    weight[:, STATES:] = (
        0  # what nadir sees of the column alone, so that the error can be found again
    )
    with torch.no_grad():
        fitted.equivalent.copy_(weight)
    # a background that is wrong by the same everywhere in time, so that departures do not depend on
    # the hour
    error = 0.5 * random_states(seed=5)[:, 1:2]
    footprints = random_footprints(count=2000)
    footprints.offset.zero_()  # the error is looked up at the centres of the cells
    footprints = observed(footprints, truth, weight)
    footprints.values += noise * torch.randn(
        footprints.values.shape, generator=torch.Generator().manual_seed(7)
    )
    tendency = torch.tensor([0.5, 2.0])[:, None, None]
    left = linear_initialisation.fit_retrieval(
        fitted, [(footprints, truth - error, truth[:, 1])], tendency
    )
    return fitted, footprints, truth - error, error[:, 0] / tendency, left


def test_retrieval_recovers_the_error_of_the_background():
    fitted, footprints, guess, error, left = retrieval()
    found = fitted.retrieve(fitted.departures(footprints, guess))
    wanted = error.flatten(2)[footprints.sample, :, footprints.cell]
    np.testing.assert_allclose(found.detach(), wanted, atol=0.02)
    assert (left < 1e-3).all()


def test_scale_is_the_root_mean_square_of_departures():
    fitted, footprints, guess, _, _ = retrieval()
    scaled = fitted.departures(footprints, guess)
    assert scaled.square().mean(0).sqrt().tolist() == pytest.approx([1.0] * CHANNELS, rel=1e-4)


def test_noise_leaves_more_of_the_error():
    *_, clear = retrieval()
    *_, noisy = retrieval(noise=2.0)
    assert (clear < noisy).all()
    assert (noisy < 1).all()


def test_too_few_footprints_are_refused():
    fitted, states = encoder(), random_states()
    few = observed(random_footprints(count=7), states, linear())
    with pytest.raises(
        ValueError, match="7 footprints with all channels cannot fit 17 predictors; lengthen"
    ):
        linear_initialisation.fit_equivalents(fitted, [(few, states)])
    few = observed(random_footprints(count=3), states, linear())
    with pytest.raises(ValueError, match="3 footprints"):
        linear_initialisation.fit_retrieval(
            fitted, [(few, states, states[:, 1])], torch.ones(STATES, 1, 1)
        )


def test_the_report_names_channels_and_shares(caplog):
    with caplog.at_level(logging.INFO):
        linear_initialisation.log_retrieval(
            "noaa20_atms",
            torch.tensor([0.25, -1e-9, 0.5]),
            ["T850", "Z500", "MSL"],
            logging.getLogger("test"),
        )
    assert "noaa20_atms" in caplog.text
    assert "T850 50%, Z500 0%" in caplog.text
    assert "MSL" not in caplog.text


def profiles(seed, missing=0.6):
    """Footprints of which most lack their first channel, none of those left whole; the last channel
    is hardly there.
    """
    footprints, states = (
        observed(random_footprints(count=600, seed=seed), random_states(), linear()),
        random_states(),
    )
    random = torch.Generator().manual_seed(seed)
    footprints.values[torch.rand(600, generator=random) < missing, 0] = math.nan
    footprints.values[1:, 2] = math.nan
    return footprints, states


def test_each_channel_is_fitted_on_the_footprints_that_hold_it():
    fitted = encoder()
    windows = [profiles(seed) for seed in range(4)]
    assert not linear_initialisation.mostly_complete(footprints for footprints, _ in windows)
    linear_initialisation.fit_equivalents(fitted, windows)
    fresh = observed(random_footprints(seed=9), random_states(), linear())
    left = fitted.departures(fresh, random_states())
    assert left[:, :2].square().mean() < 1e-3 * fresh.values[:, :2].square().mean()
    assert (fitted.equivalent[2] == 0).all()


def test_a_channel_that_hardly_anybody_holds_does_not_speak():
    fitted = encoder()
    windows = [profiles(seed) for seed in range(4)]
    linear_initialisation.fit_equivalents(fitted, windows)
    guesses = [
        (footprints, states + 0.1 * random_states(seed=8), states[:, 1])
        for footprints, states in windows
    ]
    left = linear_initialisation.fit_retrieval(fitted, iter(guesses), torch.ones(STATES, 1, 1))
    assert torch.isfinite(left).all()
    assert torch.isinf(fitted.scale).tolist() == [False, False, True]
    assert torch.isfinite(fitted.retrieve.weight).all()
    assert (fitted.retrieve.weight[:, 2] == 0).all()
    found = fitted.departures(random_footprints(seed=9), random_states())
    assert (found[:, 2] == 0).all()
    assert torch.isfinite(found).all()


def test_regressions_by_presence_are_those_of_the_rows_present():
    random = torch.Generator().manual_seed(3)
    x = torch.randn(300, 4, generator=random)
    weight = torch.tensor([[1.0, -2, 0, 3], [0, 1, 1, 0], [5, 0, 0, 1]])
    values = x @ weight.T
    values[:200, 0], values[250:, 1], values[4:, 2] = math.nan, math.nan, math.nan
    found = linear_initialisation.fit_by_presence(x, values, 1e-9)
    np.testing.assert_allclose(found[:2], weight[:2], atol=1e-5)
    assert (found[2] == 0).all()
    with pytest.raises(ValueError, match="3 values of a channel at most cannot fit 4 predictors"):
        linear_initialisation.fit_by_presence(x[:3], values[:3], 1e-9)
