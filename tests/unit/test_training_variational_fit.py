"""The fit of errors of backgrounds and observations."""

import logging

import numpy as np
import pytest
import torch

from fuxiflow.config.linear_fits import VariationalFit
from fuxiflow.config.variational import Variational
from fuxiflow.models.error_covariances import BackgroundErrors
from fuxiflow.states.store import StateSeries
from fuxiflow.training.samples import Archive
from fuxiflow.training.variational_fit import (
    fit_background_errors,
    fit_observation_errors,
    robust_covariance,
)
from tests.support import tiny

SETTINGS = VariationalFit(waves=3, vertical_modes=6, rows=8, rank=48, samples=16, lead_hours=6)
LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"))


@pytest.fixture(scope="module")
def background(record):
    """Background errors fitted to the small record."""
    networks = tiny.networks(record).eval()
    layer = BackgroundErrors(networks.analysed, tiny.GRID.shape, **SETTINGS.shape)
    fit_background_errors(layer, networks, StateSeries(record.states), SETTINGS, 3, LOG)
    return layer


def test_a_covariance_is_that_of_the_values():
    generator = np.random.default_rng(0)
    known = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 0.5]])
    values = generator.multivariate_normal([1.0, -2.0, 0.0], known, 40000)
    mean, covariance, count = robust_covariance(torch.from_numpy(values))
    np.testing.assert_allclose(mean, [1, -2, 0], atol=0.03)
    np.testing.assert_allclose(covariance, known, atol=0.04)
    assert (count > 39900).all()


def test_missing_values_and_outliers_do_not_count():
    generator = np.random.default_rng(1)
    values = generator.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 20000)
    values[::3, 0] = np.nan
    values[1::1000, 1] = 1e3
    mean, covariance, count = robust_covariance(torch.from_numpy(values))
    np.testing.assert_allclose(covariance, [[1, 0.5], [0.5, 1]], atol=0.05)
    np.testing.assert_allclose(mean, 0, atol=0.03)
    assert count[0] < 14000
    assert count[1] <= 19980


def test_a_covariance_can_be_inverted_whatever_is_missing():
    values = torch.full((50, 4), torch.nan)
    values[:, 0] = values[:, 1] = torch.linspace(-1, 1, 50)
    values[3, 2] = 1.0
    mean, covariance, count = robust_covariance(values)
    assert count.tolist() == [50, 50, 1, 0]
    assert torch.isfinite(mean).all()
    assert torch.linalg.cholesky(covariance).isfinite().all()


def test_states_drawn_from_b_vary_as_errors_do(background, record):
    """Untrained networks persist, so that errors are changes of 6 h."""
    drawn = background.draw(2000, torch.Generator().manual_seed(1))
    networks, states = tiny.networks(record), StateSeries(record.states)
    fields = networks.normaliser(torch.from_numpy(states.read_many(states.times)[:, :69]))
    error = (fields[1:] - fields[:-1]).square().mean((0, 2, 3))
    kept = drawn.square().mean((0, 2, 3)) / error
    assert 0.3 < kept.mean() < 1.2


def test_the_same_seed_fits_the_same(background, record):
    networks = tiny.networks(record).eval()
    again = BackgroundErrors(networks.analysed, tiny.GRID.shape, **SETTINGS.shape)
    fit_background_errors(again, networks, StateSeries(record.states), SETTINGS, 3, LOG)
    assert torch.equal(again.real_root, background.real_root)
    assert torch.equal(again.imaginary_root, background.imaginary_root)


def fitted(record, background, grids):
    """Networks whose 3D-Var is fitted to the small record; all their equivalents are one value."""
    networks = tiny.networks(record, variational=Variational(fit=SETTINGS).model_dump(mode="json"))
    networks = networks.eval()
    networks.variational.background.load_state_dict(background.state_dict())
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    # the equivalent of the last channel is not known
    encoder.equivalent[:-1, -1] = 0.25
    archive = Archive(record.states, {tiny.SOURCE: grids})
    fit_observation_errors(networks, archive, archive.states.times[1:-1], 3, LOG)
    return networks


def test_observation_errors_are_the_misfit_to_the_reanalysis(record, background):
    """The record's observations are noise of one standard deviation about their mean."""
    networks = fitted(record, background, record.grids)
    errors = networks.variational.observation_errors[tiny.SOURCE]
    assert errors.used.all(0).tolist() == [True] * 21 + [False]
    covariance = errors.covariance[0][:21, :21]
    np.testing.assert_allclose(covariance.diagonal(), 1.0, atol=0.2)
    assert (covariance - covariance.diagonal().diag()).abs().max() < 0.25
    np.testing.assert_allclose(errors.bias[0][:21], -0.25, atol=0.2)
    # there is no land, whose errors are then those of all
    assert torch.equal(errors.covariance[0], errors.covariance[1])
    assert (errors.background == 0).all()


def test_the_preconditioner_is_of_what_observations_say(record, background):
    """Equivalents that do not depend on the state say nothing; those that do make it smaller."""
    networks = fitted(record, background, record.grids)
    analysis = networks.variational
    identity = torch.eye(analysis.background.rank).expand_as(analysis.real_preconditioner)
    torch.testing.assert_close(analysis.real_preconditioner, identity)
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    encoder.equivalent[:, :4] = 2.0
    archive = Archive(record.states, {tiny.SOURCE: record.grids})
    fit_observation_errors(networks, archive, archive.states.times[1:-1], 3, LOG)
    diagonal = analysis.real_preconditioner.diagonal(dim1=1, dim2=2)
    assert diagonal.max() <= 1 + 1e-5
    assert 0 < diagonal.min() < 0.95


def test_a_source_without_observations_is_said(record, background, tmp_path):
    grids = [tiny.write_grids(tmp_path, 10, silent=tuple(range(10)))]
    with pytest.raises(ValueError, match=r"noaa20_atms: no observation in \d+ windows"):
        fitted(record, background, grids)
