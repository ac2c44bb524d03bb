"""Samples of errors, and the linear algebra of their covariances."""

import numpy as np
import pytest
import torch

from fuxiflow.models.spectral_basis import SpectralBasis
from fuxiflow.states.store import StateSeries
from fuxiflow.training.spectral_samples import (
    Samples,
    draw_times,
    latitude_taper,
    leading_eigenvectors,
    set_scale,
    set_vertical,
)
from tests.support import tiny


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"))


def test_a_taper_is_gaussian_in_latitude_and_blind_to_modes():
    taper = latitude_taper(np.array([10.0, -10.0]), 2, 20.0).numpy()
    far = np.exp(-0.5)
    np.testing.assert_allclose(taper, np.kron([[1, far], [far, 1]], np.ones((2, 2))), rtol=1e-6)


def test_times_have_what_samples_need(record):
    states = StateSeries(record.states)
    times = draw_times(states, 5, 4)
    assert len(times) == 5
    for time in times:
        assert time - tiny.STEP in states
        assert time + 4 * tiny.STEP in states


def test_too_few_states_are_said(record):
    states = StateSeries(record.states)
    with pytest.raises(ValueError, match="lengthen the period that they are of"):
        draw_times(states, 5, len(states))


def test_leading_eigenvectors_are_those_of_the_matrix():
    generator = torch.Generator().manual_seed(2)
    vectors = torch.linalg.qr(torch.randn(60, 60, generator=generator)).Q
    values = 0.7 ** torch.arange(60)
    matrix = (vectors * values) @ vectors.T
    found, directions = leading_eigenvectors(lambda v: matrix @ v, matrix, 5, generator)
    np.testing.assert_allclose(found, values[:5].flip(0), rtol=1e-4)
    np.testing.assert_allclose((directions * vectors[:, :5].flip(1)).sum(0).abs(), 1, rtol=1e-4)


def test_errors_are_forecasts_less_the_reanalysis(record):
    """Untrained networks persist, so that the error is the change to the day after, reversed."""
    networks, states = tiny.networks(record).eval(), StateSeries(record.states)
    times = draw_times(states, 3, 4)
    with torch.no_grad():
        errors = torch.cat(list(Samples(networks, states, 24).errors(times)))
        now, later = (
            networks.normaliser(torch.from_numpy(states.read_many(when)[:, : networks.analysed]))
            for when in (times, times + 4 * tiny.STEP)
        )
    torch.testing.assert_close(errors, now - later, rtol=1e-4, atol=1e-4)


def test_scale_and_modes_are_those_of_the_samples():
    layer = SpectralBasis(3, (4, 8), waves=2, vertical_modes=1, rows=4)
    generator = torch.Generator().manual_seed(0)
    together = torch.randn(400, 1, 4, 8, generator=generator)
    samples = together * torch.tensor([1.0, 2.0, 0.0])[None, :, None, None]
    samples[:, 2] += 0.1 * torch.randn(400, 4, 8, generator=generator)
    set_scale(layer, iter([samples[:200], samples[200:]]))
    np.testing.assert_allclose(layer.scale[:, 0, 0], [1, 2, 0.1], rtol=0.1)
    set_vertical(layer, iter([samples]), torch.ones(4, 1))
    np.testing.assert_allclose(layer.vertical[:, 0].abs(), [0.5**0.5, 0.5**0.5, 0], atol=0.05)
