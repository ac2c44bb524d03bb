"""The fit of expected departures from the first guess."""

import logging

import numpy as np
import pytest

from fuxiflow.config.first_guess import FirstGuessFit
from fuxiflow.observations.biweight import BANDS
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWriter
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.training import first_guess_fit
from fuxiflow.training.first_guess_fit import fit_first_guess_errors, robust_errors
from tests.support import tiny

LOG = logging.getLogger("test")
SETTINGS = FirstGuessFit(windows=12, lead_hours=12)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"))


def fitted(record, grids=None, temperature=0.0, seed=3):
    """The fit to the small record, whose networks persist: its forecasts err by changes of 12 h.

    Equivalents are a constant and ``temperature`` times T2M; that of the last channel is not known.
    """
    networks = tiny.networks(record).eval()
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    encoder.equivalent[:-1, -1] = 0.25
    column = encoder.seen.tolist().index(networks.design.channels.index("T2M"))
    encoder.equivalent[:-1, column] = temperature
    grids = grids or {tiny.SOURCE: SparseGrids(record.grids)}
    states, climatology = StateSeries(record.states), Climatology.read(record.climatology)
    return fit_first_guess_errors(networks, states, climatology, grids, SETTINGS, seed, LOG)


def test_errors_of_observations_and_backgrounds_are_told_apart_whatever_gross_errors_there_are():
    random = np.random.default_rng(0)
    observation, background = random.normal(0, 3, 20_000), random.normal(0.5, 4, 20_000)
    observation[:400] += 1e3
    bias, own, of_guess = robust_errors(observation, observation - background)
    assert bias == pytest.approx(-0.5, abs=0.15)
    assert own == pytest.approx(3, rel=0.05)
    assert of_guess == pytest.approx(4, rel=0.05)


def test_a_background_without_errors_has_none():
    values = np.random.default_rng(1).normal(0, 1, 1000)
    assert robust_errors(values, 0.9 * values)[2] == 0.0


def test_noise_about_a_constant_is_the_observations(record):
    """The record's observations are noise of 10 K about 250 K, and the equivalents 252.5 K."""
    table = fitted(record)
    assert table.columns.tolist() == ["source", "channel", "band", *first_guess_fit.ERRORS]
    assert len(table) == 22 * len(BANDS)
    known = table[table["channel"] != "22"]
    np.testing.assert_allclose(known["observation_error"], 10, atol=1.5)
    np.testing.assert_allclose(known["bias"], -2.5, atol=2)
    np.testing.assert_allclose(known["background_error"], 0, atol=1e-3)
    assert (known["count"] >= first_guess_fit.FEWEST_VALUES).all()
    unknown = table[table["channel"] == "22"]
    assert (unknown["count"] == 0).all()
    assert unknown[["bias", "observation_error", "background_error"]].isna().all(axis=None)


def test_errors_of_forecasts_are_the_backgrounds(record, tmp_path):
    """Observations of the reanalysis' T2M, 20 K a standard deviation, with noise of 1 K."""
    random = np.random.default_rng(2)
    networks = tiny.networks(record)
    channel = networks.design.channels.index("T2M")
    mean, std = (float(getattr(networks.normaliser, name)[channel]) for name in ("mean", "std"))
    truth = (record.fields[:, channel].reshape(len(record.fields), -1) - mean) / std
    names = networks.design.sources[tiny.SOURCE].channels
    path = tmp_path / tiny.SOURCE / "2022-01.zarr"
    cell = np.arange(truth.shape[1])
    with SparseWriter(
        path, tiny.SOURCE, names, ["K"] * 22, tiny.GRID, tiny.START, 6 * len(truth)
    ) as writer:
        for i, state in enumerate(truth):
            values = 252.5 + 20 * state[:, None] + random.normal(0, 1, (len(cell), 22))
            zeros = np.zeros(len(cell))
            writer.write(6 * i, cell, values, zeros, np.zeros((len(cell), 2)), zeros.astype(int))
    table = fitted(record, {tiny.SOURCE: SparseGrids([path])}, temperature=2.0)
    table = table[table["channel"] != "22"]
    # a slot is taken at its middle, half an hour after the state
    assert (table["observation_error"] < 3).all()
    assert (table["background_error"] > 2).all()
    np.testing.assert_allclose(table["bias"], 0, atol=1)


def test_a_band_with_few_values_has_those_of_all(record, monkeypatch):
    monkeypatch.setattr(first_guess_fit, "FEWEST_VALUES", 1000)
    table = fitted(record)
    one = table[table["channel"] == "1"]
    assert one["count"].nunique() == 1
    assert one["observation_error"].nunique() == 1
    assert one["observation_error"].notna().all()


def test_the_same_seed_draws_the_same_footprints(record, monkeypatch):
    monkeypatch.setattr(first_guess_fit, "MOST_FOOTPRINTS", 60)
    one, again, other = (fitted(record, seed=seed) for seed in (3, 3, 4))
    assert one.equals(again)
    assert not one.equals(other)


def test_a_source_without_observations_is_said(record, tmp_path):
    grids = SparseGrids([tiny.write_grids(tmp_path, 10, silent=tuple(range(10)))])
    with pytest.raises(ValueError, match=r"noaa20_atms: no observation in \d+ windows"):
        fitted(record, {tiny.SOURCE: grids})
