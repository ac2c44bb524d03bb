"""The fit of the filter of backgrounds: its linear algebra, and a fit to a small record."""

import logging

import numpy as np
import pytest
import torch

from fuxiflow.config.linear_fits import FilterFit
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.training.filter_fit import fit_background_filter, wiener_factors
from fuxiflow.training.spectral_samples import anomaly_covariance
from tests.support import tiny

SETTINGS = FilterFit(waves=3, vertical_modes=6, rows=4, rank=24, samples=16, lead_hours=6)
LOG = logging.getLogger("test")


def covariance(size: int, seed: int, samples: int = 50) -> torch.Tensor:
    """A complex covariance of random numbers."""
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(size, samples, 2, generator=generator)
    return anomaly_covariance(torch.view_as_complex(parts), torch.ones(size, size))


def test_factors_give_the_wiener_filter():
    signal, noise = covariance(12, 1), covariance(12, 2) + torch.eye(12)
    left, right = wiener_factors(signal, noise, 12, torch.Generator().manual_seed(0))
    expected = np.linalg.solve((signal + noise).numpy().T, signal.numpy().T).T
    np.testing.assert_allclose((left @ right).numpy(), expected, atol=1e-4)


def test_fewer_directions_are_those_that_stand_out_most():
    signal, noise = torch.diag(torch.tensor([9.0, 4.0, 1.0, 0.01])) + 0j, torch.eye(4) + 0j
    left, right = wiener_factors(signal, noise, 2, torch.Generator().manual_seed(0))
    np.testing.assert_allclose((left @ right).numpy(), np.diag([0.9, 0.8, 0, 0]), atol=1e-5)


def fitted(record, seed=3):
    """A filter fitted to the small record, its networks and its table."""
    networks = tiny.networks(record).eval()
    layer = BackgroundFilter(networks.analysed, tiny.GRID.shape, **SETTINGS.shape)
    table = fit_background_filter(
        layer,
        networks,
        StateSeries(record.states),
        Climatology.read(record.climatology),
        SETTINGS,
        seed,
        LOG,
    )
    return layer, networks, table


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"))


def test_a_fit_keeps_anomalies_better_than_noise(record):
    layer, networks, table = fitted(record)
    states = StateSeries(record.states)
    climatology = Climatology.read(record.climatology)
    time = states.times[7]
    with torch.no_grad():
        normal, state = (
            networks.normaliser(torch.from_numpy(field[None, : networks.analysed]))
            for field in (climatology.at(time), states.read(time))
        )
        noise = torch.randn(state.shape, generator=torch.Generator().manual_seed(1)) * layer.scale
        kept = layer(normal + noise, normal) - normal
    assert torch.isfinite(kept).all()
    assert kept.square().mean() < 0.5 * noise.square().mean()
    assert set(table["sample"]) == {"fitted", "independent"}
    assert len(table) == 2 * 4 * networks.analysed
    assert (table["error_left"] >= 0).all()


def test_the_same_seed_fits_the_same(record):
    (one, _, table), (other, _, again) = fitted(record), fitted(record)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    assert table.equals(again)
