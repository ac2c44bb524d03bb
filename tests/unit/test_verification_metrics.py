"""Metrics against integrals done by hand, against `scores`, and against each other."""

import numpy as np
import pytest
import scores
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.grids import REGIONS, Grid
from fuxiflow.verification import metrics

GRID = Grid(36, 72)
WEIGHTS = metrics.region_weights(GRID, list(REGIONS))
GLOBAL = WEIGHTS[0]


def sine(grid=GRID) -> np.ndarray:
    return np.repeat(np.sin(np.deg2rad(grid.lat))[:, None], grid.nlon, axis=1)


def noise(seed, cases=3):
    return np.random.default_rng(seed).normal(size=(cases, *GRID.shape))


def test_weights_sum_to_one_in_each_region_and_vanish_outside():
    np.testing.assert_allclose(WEIGHTS.sum(axis=(1, 2)), 1.0)
    for weights, name in zip(WEIGHTS, REGIONS, strict=True):
        assert not weights[~GRID.region(name)].any()


def test_a_region_without_a_cell_is_refused():
    with pytest.raises(ValueError, match=r"central_africa.*verification\.regions"):
        metrics.region_weights(Grid(4, 4), ["central_africa"])


def test_rmse_of_sine_of_latitude_is_its_integral():
    # the mean of sin^2 over the sphere is 1/3; cells of 5 degrees are within a thousandth
    value = metrics.rmse(
        forecast=sine()[None], reference=np.zeros((1, *GRID.shape)), weights=GLOBAL
    )
    assert value == pytest.approx(np.sqrt(1 / 3), rel=1e-3)


def test_bias_of_sine_over_a_hemisphere_is_its_integral():
    north = metrics.region_weights(GRID, ["northern_extratropics"])[0]
    value = metrics.bias(forecast=sine()[None], reference=np.zeros((1, *GRID.shape)), weights=north)
    # 20 N to 90 N: integral of s ds / integral of ds with s = sin(latitude); 20 degrees is a cell
    # edge
    s = np.sin(np.deg2rad(20))
    assert value == pytest.approx((1 - s**2) / 2 / (1 - s), rel=1e-3)


def test_rmse_takes_the_root_after_the_mean_over_cases():
    forecast = np.ones((2, *GRID.shape)) * np.array([3.0, 4.0])[:, None, None]
    value = metrics.rmse(forecast=forecast, reference=np.zeros_like(forecast), weights=GLOBAL)
    assert value == pytest.approx(np.sqrt(12.5))


def test_acc_of_scaled_and_opposite_anomalies():
    climatology, anomaly = noise(0), noise(1)
    for factor in (0.5, 1.0, -2.0):
        value = metrics.acc(
            forecast=climatology + factor * anomaly,
            reference=climatology + anomaly,
            climatology=climatology,
            weights=GLOBAL,
        )
        assert value == pytest.approx(np.sign(factor))


def test_acc_is_uncentred():
    wave = np.broadcast_to(np.cos(np.deg2rad(GRID.lon)), (1, *GRID.shape))
    value = metrics.acc(
        forecast=wave + 1, reference=wave, climatology=np.zeros_like(wave), weights=GLOBAL
    )
    assert value == pytest.approx(0.5 / np.sqrt(0.5 * 1.5))


def test_activity_ignores_a_bias_and_scales_with_the_anomaly():
    climatology, anomaly = noise(0), noise(1)
    reference = metrics.activity(
        forecast=climatology + anomaly, climatology=climatology, weights=GLOBAL
    )
    assert metrics.activity(
        forecast=climatology + anomaly + 7, climatology=climatology, weights=GLOBAL
    ) == pytest.approx(reference)
    assert metrics.activity_ratio(
        forecast=climatology + 0.5 * anomaly,
        reference=climatology + anomaly,
        climatology=climatology,
        weights=GLOBAL,
    ) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.rmse, scores.continuous.rmse),
        (metrics.mae, scores.continuous.mae),
        (metrics.bias, scores.continuous.additive_bias),
    ],
)
@pytest.mark.parametrize("region", range(len(REGIONS)))
def test_agrees_with_scores(ours, theirs, region):
    forecast, reference = noise(2), noise(3)
    f, r = (xr.DataArray(x, dims=("time", "lat", "lon")) for x in (forecast, reference))
    weights = xr.DataArray(WEIGHTS[region], dims=("lat", "lon")).expand_dims(time=3)
    value = ours(forecast=forecast, reference=reference, weights=WEIGHTS[region])
    assert value == pytest.approx(float(theirs(f, r, weights=weights)), rel=1e-10)


def test_one_weight_a_row_agrees_with_a_cosine_where_cells_are_small():
    fine = Grid(180, 4)
    cosine = np.cos(np.deg2rad(fine.lat))
    weights = metrics.region_weights(fine, ["global"])[0]
    np.testing.assert_allclose(weights[:, 0] * fine.nlon, cosine / cosine.sum(), rtol=1e-3)


@given(st.integers(0, 2**16), st.floats(0.1, 10), st.floats(-5, 5))
def test_error_decomposes_into_bias_and_spread(seed, scale, shift):
    forecast, reference = scale * noise(seed, 1) + shift, noise(seed + 1, 1)
    error = forecast - reference
    square = metrics.rmse(forecast=forecast, reference=reference, weights=GLOBAL) ** 2
    mean = metrics.bias(forecast=forecast, reference=reference, weights=GLOBAL)
    spread = metrics.activity(forecast=error, climatology=0.0, weights=GLOBAL) ** 2
    assert square == pytest.approx(mean**2 + spread, rel=1e-9)
    assert (
        metrics.mae(forecast=forecast, reference=reference, weights=GLOBAL)
        <= np.sqrt(square) + 1e-12
    )
