"""Correlated errors: unit variance, and correlations in space, in time and between channels."""

import numpy as np
import pytest

from fuxiflow.config.world import Radiances
from fuxiflow.world.representativeness import CorrelatedErrors

OPTIONS = Radiances(channel_correlation=0.6, length_km=400.0, hours=6.0)
TIME = np.datetime64("2022-07-01T00", "ns")


@pytest.fixture(scope="module")
def samples():
    """Many draws at four points: one, 400 km north of it, six hours later, and far away."""
    lat, lon = np.array([0.0, np.rad2deg(400.0 / 6371.0), 0.0, 0.0]), np.array([0.0, 0, 0, 180])
    time = np.array([TIME, TIME, TIME + np.timedelta64(6, "h"), TIME])
    draws = [
        CorrelatedErrors(3, OPTIONS, np.random.default_rng(i)).at(lat, lon, time)
        for i in range(1500)
    ]
    return np.stack(draws)


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1]


def test_errors_have_unit_variance_and_no_bias(samples):
    np.testing.assert_allclose(samples.std(axis=0), 1.0, atol=0.06)
    assert np.abs(samples.mean(axis=0)).max() < 0.1


def test_correlation_falls_with_distance_and_time(samples):
    here, near, later, far = samples[..., 0].T
    assert correlation(here, near) == pytest.approx(np.exp(-0.5), abs=0.06)
    assert correlation(here, later) == pytest.approx(np.exp(-0.5), abs=0.06)
    assert abs(correlation(here, far)) < 0.09


def test_channels_share_a_part(samples):
    assert correlation(samples[:, 0, 0], samples[:, 0, 1]) == pytest.approx(0.6, abs=0.06)


def test_points_do_not_depend_on_others():
    fields = CorrelatedErrors(2, OPTIONS, np.random.default_rng(0))
    lat, lon = np.linspace(-80, 80, 5000), np.linspace(0, 359, 5000)
    time = np.full(5000, TIME)
    together = fields.at(lat, lon, time)
    np.testing.assert_allclose(
        fields.at(lat[4500:], lon[4500:], time[4500:]), together[4500:], atol=1e-5
    )
    assert fields.at(lat[:0], lon[:0], time[:0]).shape == (0, 2)
