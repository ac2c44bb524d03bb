"""The single-observation experiment: what is drawn, what an analysis answers, and the operator's
derivative.
"""

import logging

import numpy as np
import pytest
import torch

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config import sources
from fuxiflow.cycling import single_observation as experiments
from fuxiflow.cycling.analyses import Observer, cold_start, resumed
from fuxiflow.cycling.response import Response
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.operators.equivalents import equivalent_operator
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from tests.support import figure_stores, tiny

TIME = tiny.times(13)[12]
LOG = logging.getLogger("test")
CHANNEL = 6
"""Position of channel 7."""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"))


def made(record, observed=True):
    """The case of :data:`TIME` for networks whose T500 answers to channel 7 alone, by two units for
    each.
    """
    networks = tiny.networks(record).eval()
    t500 = networks.design.channels.index("T500")
    with torch.no_grad():
        networks.assimilator.branches[tiny.SOURCE].pillars.retrieve.weight[t500, CHANNEL] = 2.0
    climatology = Climatology.read(record.climatology)
    observer = Observer(networks, {tiny.SOURCE: SparseGrids(record.grids)} if observed else {})
    carry = cold_start(networks, climatology, TIME)
    return experiments.Case.of(networks, carry, climatology, observer.window(TIME))


def run(record, case, places=5):
    return experiments.perturb_observations(
        case,
        sources.load_source(tiny.SOURCE),
        "7",
        5.0,
        places,
        Statistics.read(record.statistics),
        3,
        LOG,
    )


def test_only_the_observed_cell_answers_and_by_as_much_as_its_hours_say(record):
    case = made(record)
    found = run(record, case)
    footprints = case.observations[tiny.SOURCE]
    tendency = Statistics.read(record.statistics).tendency_std[
        case.networks.design.channels.index("T500")
    ]
    cell = tiny.GRID.cell(found.lat, found.lon)
    hours = np.array([(footprints.cell == int(c)).sum() for c in cell])
    assert len(found) == 5
    assert set(found.hour) <= set(np.arange(-2.5, 5))
    # 5 K are half a standard deviation of the source; a cell gets the mean of its hours
    expected = 2.0 * 0.5 / hours * tendency
    level = PRESSURE_LEVELS.index(500)
    np.testing.assert_allclose(found.response[:, level], expected, rtol=1e-4)
    assert np.abs(np.delete(found.response, level, axis=1)).max() < 1e-4
    middle = experiments.REACH
    assert found.around[level, middle, middle] == pytest.approx(expected.mean(), rel=1e-4)
    other = np.nan_to_num(found.around)
    other[level, middle, middle] = 0
    assert np.abs(other).max() < 1e-4
    np.testing.assert_allclose(found.followed, found.jacobian[:, level] * expected, rtol=1e-3)


def test_the_jacobian_is_the_slope_of_the_operator(record):
    case, source = made(record), sources.load_source(tiny.SOURCE)
    footprints = case.observations[tiny.SOURCE]
    found = experiments.guess_columns(
        case, footprints, -3, Statistics.read(record.statistics), tiny.GRID
    )
    slopes = experiments.sensitivity(source, CHANNEL, found, footprints.zenith)
    assert slopes.shape == (len(footprints), 69)
    operator, column = equivalent_operator(source), found.channels.index("T400")
    warmer = found.state.clone()
    warmer[:, column] += 1.0
    with torch.no_grad():
        change = operator(experiments.replace(found, state=warmer), footprints.zenith) - operator(
            found, footprints.zenith
        )
    np.testing.assert_allclose(change[:, CHANNEL], slopes[:, column], rtol=0.05, atol=2e-3)
    total = slopes[:, [found.channels.index(f"T{level}") for level in PRESSURE_LEVELS]].sum(1)
    assert ((total > 0.7) & (total < 1.1)).all()


def test_columns_are_those_of_the_first_guess_at_the_cell(record):
    case = made(record)
    footprints = case.observations[tiny.SOURCE]
    still = experiments.replace(footprints, offset=torch.zeros_like(footprints.offset))
    found = experiments.guess_columns(
        case, still, -3, Statistics.read(record.statistics), tiny.GRID
    )
    physical = case.networks.normaliser.physical(case.guess[0])
    weight = (still.slot[0] - 3 + 0.5) / 6
    where = int(still.cell[0])
    before, now = physical[0].flatten(1)[:, where], physical[1].flatten(1)[:, where]
    assert still.slot[0] == 0
    np.testing.assert_allclose(found.state[0], now - weight * (before - now), rtol=1e-4, atol=1e-2)
    assert found.latitude[0] == pytest.approx(tiny.GRID.lat[where // tiny.GRID.nlon])


def test_places_without_a_jacobian_are_left_out_with_a_word(record, monkeypatch, caplog):
    case = made(record)
    whole = run(record, case)
    real = experiments.sensitivity

    def partly(source, channel, columns, zenith):
        slopes = real(source, channel, columns, zenith)
        slopes[len(slopes) - 4 :: 3] = np.nan  # two of five; of the three that are left none
        return slopes if len(slopes) == 5 else real(source, channel, columns, zenith)

    monkeypatch.setattr(experiments, "sensitivity", partly)
    with caplog.at_level(logging.WARNING):
        rest = run(record, case)
    assert "2 of 5 places are left out" in caplog.text
    np.testing.assert_allclose(rest.jacobian, whole.jacobian[[0, 2, 3]], rtol=1e-5)
    np.testing.assert_allclose(rest.response, whole.response[[0, 2, 3]], atol=1e-6)


def test_a_window_without_observations_gives_no_place(record):
    found = run(record, made(record, observed=False))
    assert len(found) == 0
    assert found.response.shape == (0, 13)
    assert np.isnan(found.around).all()


def footprints(cell, values):
    cell = torch.as_tensor(cell)
    return experiments.FootprintBatch(
        torch.zeros_like(cell),
        torch.zeros_like(cell),
        cell,
        torch.as_tensor(values, dtype=torch.float32)[:, None],
        torch.zeros(len(cell)),
        torch.zeros(len(cell), 2),
    )


def test_places_are_drawn_by_area_from_those_with_the_channel():
    given = footprints([0, 1, 2, 70, 71], [1, np.nan, 1, 1, 1])
    assert list(experiments.draw_places(given, 0, 9, tiny.GRID, 3)) == [0, 2, 3, 4]
    drawn = [int(experiments.draw_places(given, 0, 1, tiny.GRID, seed)[0]) for seed in range(600)]
    # rows 0 and 4 of eight weigh 1 - cos(22.5°) and sin(22.5°)
    polar, tropical = 1 - np.cos(np.pi / 8), np.sin(np.pi / 8)
    assert np.mean(np.array(drawn) < 3) == pytest.approx(polar / (polar + tropical), abs=0.05)
    assert len(experiments.draw_places(footprints([3], [np.nan]), 0, 2, tiny.GRID, 0)) == 0


def test_around_a_cell_the_globe_is_closed_and_ends_at_the_poles():
    field = np.arange(40 * 80, dtype=float).reshape(1, 40, 80)
    found = experiments.cells_around(field, 1, 79)
    reach = experiments.REACH
    assert found.shape == (1, 2 * reach + 1, 2 * reach + 1)
    assert found[0, reach, reach] == 80 + 79
    assert found[0, reach, reach + 1] == 80  # the next to the east is the first column
    assert found[0, reach + 1, reach] == 79  # one to the north
    assert np.isnan(found[0, reach + 2]).all()
    assert found[0, 0, reach] == (1 + reach) * 80 + 79


def test_no_cell_of_a_narrow_globe_is_shown_twice():
    found = experiments.cells_around(np.zeros((1, 8, 8)), 4, 4)
    assert np.isfinite(found[0, experiments.REACH]).sum() == 7


def test_a_cycle_is_resumed_from_its_stores(record, tmp_path):
    networks = tiny.networks(record).eval()
    climatology = Climatology.read(record.climatology)
    store = tiny.write_states(tmp_path / "a.zarr", record.fields[:3, :69])
    states = StateSeries([store])
    carry = resumed(networks, states, states, climatology, tiny.times(3)[2])
    for found, expected in (
        (carry.background, record.fields[2]),
        (carry.previous, record.fields[1]),
    ):
        np.testing.assert_allclose(
            networks.normaliser.physical(found)[0], expected[:69], rtol=1e-4, atol=1e-2
        )
    first = resumed(networks, states, states, climatology, tiny.START)
    assert torch.equal(first.previous, cold_start(networks, climatology, tiny.START).previous)
    with pytest.raises(KeyError, match=r"2022-01-02.* is not in .*a\.zarr"):
        resumed(networks, states, states, climatology, tiny.times(6)[5])


def test_a_response_comes_back_as_it_was(tmp_path):
    provenance.use({"rule": "test"})
    figure_stores.response().write(tmp_path / "r.zarr")
    provenance.use(None)
    found = Response.read(tmp_path / "r.zarr")
    for name, value in vars(figure_stores.response()).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6)
        else:
            assert getattr(found, name) == value
    with pytest.raises(FileNotFoundError, match=r"none\.zarr: no response of an analysis"):
        Response.read(tmp_path / "none.zarr")
