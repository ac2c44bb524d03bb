"""The cycle and its forecasts: what is handed on, what is observed, and what is refused."""

import itertools
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fuxiflow.completeness import IncompleteError
from fuxiflow.cycling import analyses as cycling
from fuxiflow.cycling.forecasts import forecast
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from tests.support import tiny
from tests.support.helpers import asked

TIME = tiny.times(13)[12]
LOG = logging.getLogger("test")


@pytest.fixture
def networks(record):
    return tiny.networks(record).eval()


def cycle(networks, record, observer, end, carry=None):
    """Cycles from ``carry``, by default from a cold start."""
    climatology = Climatology.read(record.climatology)
    return cycling.cycle(networks, carry or carried(networks, record), observer, climatology, end)


def carried(networks, record):
    return cycling.cold_start(networks, Climatology.read(record.climatology), TIME)


def test_a_carry_comes_back_as_it_was(networks, record, tmp_path):
    carry = carried(networks, record)
    carry.save(tmp_path / "carry.pt")
    found = cycling.Carry.load(tmp_path / "carry.pt", torch.device("cpu"))
    assert found.time == carry.time == TIME
    assert found.time.dtype == np.dtype("datetime64[ns]")
    assert torch.equal(found.background, carry.background)
    assert torch.equal(found.previous, carry.previous)


def test_a_cold_start_is_standardised_climatology_without_precipitation(networks, record):
    climatology = Climatology.read(record.climatology)
    carry = carried(networks, record)
    for state, time in ((carry.background, TIME), (carry.previous, TIME - tiny.STEP)):
        assert state.shape == (1, 69, *tiny.GRID.shape)
        physical = networks.normaliser.physical(state)[0].numpy()
        np.testing.assert_allclose(physical, climatology.at(time)[:69], rtol=1e-4, atol=1e-3)


def test_an_observer_counts_the_analyses_with_observations(networks, record, caplog):
    observer = cycling.Observer(networks, {tiny.SOURCE: SparseGrids(record.grids)})
    times = [TIME, TIME + tiny.STEP, TIME + 400 * tiny.STEP]
    observed = [bool(observer.window(time)) for time in times[:2]]
    assert all(observed)
    observer.check_observed(times[:2], asked(1.0), LOG)
    assert not caplog.records
    late = str(times[2])[:13]
    with pytest.raises(IncompleteError, match=rf"2 of 3 analyses .* observations about {late}"):
        observer.check_observed(times, asked(0.7), LOG)
    observer.check_observed(times, asked(0.6), LOG)
    assert late in caplog.text
    # nothing is asked of a cycle without sources
    cycling.Observer(networks, {}).check_observed(times, asked(1.0), LOG)


def test_an_observer_refuses_sources_that_the_networks_do_not_know(networks, record):
    with pytest.raises(KeyError, match=r"no source \['goes16'\]; known: \['noaa20_atms'\]"):
        cycling.Observer(networks, {"goes16": SparseGrids(record.grids)})


@pytest.mark.parametrize(
    ("known", "refused"), [(["A", "B"], True), (["B", "A"], False), (["A"], False), ([], False)]
)
def test_an_observer_refuses_platforms_in_another_order(record, known, refused):
    networks, grids = tiny.networks(record), SparseGrids(record.grids)
    grids.platforms = ["B", "A"]
    networks.design.sources[tiny.SOURCE].platforms.extend(known)
    if refused:
        with pytest.raises(
            ValueError, match="of the platforms B, A, the networks know A, B in this order"
        ):
            cycling.Observer(networks, {tiny.SOURCE: grids})
    else:
        assert cycling.Observer(networks, {tiny.SOURCE: grids}).grids


def test_observations_are_standardised_and_empty_windows_left_out(networks, tmp_path):
    grids = SparseGrids([tiny.write_grids(tmp_path, 3, silent=(1,))])
    observer = cycling.Observer(networks, {tiny.SOURCE: grids})
    assert observer.window(tiny.START + np.timedelta64(36, "h")) == {}
    footprints = observer.window(tiny.START + np.timedelta64(12, "h"))[tiny.SOURCE]
    window = grids.window(tiny.START + np.timedelta64(12, "h"), -3, 5)
    np.testing.assert_allclose(footprints.values, (window.values - 250) / 10, atol=1e-5)
    assert footprints.sample.unique().tolist() == [0]
    assert len(footprints) == 8 * 20


def test_a_shorter_window_keeps_the_hours_that_the_networks_know(networks, record):
    grids, time = {tiny.SOURCE: SparseGrids(record.grids)}, TIME
    whole = cycling.Observer(networks, grids).window(time)[tiny.SOURCE]
    early = cycling.Observer(networks, grids, {tiny.SOURCE: (-1, 2)}).window(time)[tiny.SOURCE]
    kept = (whole.slot >= 2) & (whole.slot < 5)
    assert 0 < len(early) < len(whole)
    for name in early.__dataclass_fields__:
        assert torch.equal(getattr(early, name), getattr(whole, name)[kept]), name
    # all that there is before the record's first hour
    assert cycling.Observer(networks, grids, {tiny.SOURCE: (-3, 0)}).window(tiny.START) == {}
    with pytest.raises(ValueError, match=r"\[-3, 6\) h of noaa20_atms: the networks know \[-3, 5"):
        cycling.Observer(networks, grids, {tiny.SOURCE: (-3, 6)})


def test_each_cycle_starts_from_the_forecast_of_the_one_before(networks, record):
    end = TIME + 2 * tiny.STEP
    cycles = list(cycle(networks, record, cycling.Observer(networks, {}), end))
    assert [cycled.time for cycled, _ in cycles] == [TIME, TIME + tiny.STEP, end]
    assert [cycled.observed for cycled, _ in cycles] == [0, 0, 0]
    for (cycled, carry), (following, _) in itertools.pairwise(cycles):
        assert carry.time == following.time
        analysis = networks.normaliser.physical(carry.previous)[0].numpy()
        background = networks.normaliser.physical(carry.background)[0].numpy()
        np.testing.assert_array_equal(analysis, cycled.analysis)
        np.testing.assert_array_equal(background, following.background)


def test_without_a_background_each_cycle_starts_from_the_climatology(networks, record):
    climatology, end = Climatology.read(record.climatology), TIME + 2 * tiny.STEP
    observer = cycling.Observer(networks, {tiny.SOURCE: SparseGrids(record.grids)})
    cycles = cycling.cycle(
        networks, carried(networks, record), observer, climatology, end, from_climatology=True
    )
    for cycled, carry in cycles:
        expected = climatology.at(cycled.time)[:69]
        np.testing.assert_allclose(cycled.background, expected, rtol=1e-4, atol=1e-3)
        again = cycling.cold_start(networks, climatology, cycled.time + tiny.STEP)
        assert carry.time == again.time
        assert torch.equal(carry.background, again.background)
        assert torch.equal(carry.previous, again.previous)
        made = cycling.resumed(networks, None, None, climatology, carry.time, True)
        assert torch.equal(made.previous, again.previous)


def test_a_cycle_counts_the_observed_cells(networks, record):
    observer = cycling.Observer(networks, {tiny.SOURCE: SparseGrids(record.grids)})
    ((cycled, _),) = cycle(networks, record, observer, TIME)
    assert cycled.observed == 8 * 20


def test_another_assimilator_makes_the_analyses(networks, record):
    def analyse(guess, climatology, observations, times):
        return guess[:, 1] + len(observations[tiny.SOURCE]) / 160

    observer = cycling.Observer(networks, {tiny.SOURCE: SparseGrids(record.grids)})
    climatology, carry = Climatology.read(record.climatology), carried(networks, record)
    assimilator = SimpleNamespace(analyse=analyse)
    cycles = cycling.cycle(networks, carry, observer, climatology, TIME, assimilator)
    ((_, following),) = cycles
    torch.testing.assert_close(following.previous, carry.background + 1)


class Screen:
    """A check that knows which footprint is wrong."""

    def screen(self, observations, guess):
        assert guess.shape == (1, 3, 69, *tiny.GRID.shape)
        footprints = observations[tiny.SOURCE]
        values = footprints.values.clone()
        values[3, 4] = torch.nan
        rejected = {tiny.SOURCE: {"5": 1}}
        return {tiny.SOURCE: replace(footprints, values=values)}, rejected


def test_what_a_check_leaves_out_is_not_analysed(networks, record):
    seen = []

    def analyse(guess, climatology, observations, times):
        seen.append(observations[tiny.SOURCE].values)
        return guess[:, 1]

    observer = cycling.Observer(networks, {tiny.SOURCE: SparseGrids(record.grids)})
    climatology, carry = Climatology.read(record.climatology), carried(networks, record)
    assimilator = SimpleNamespace(analyse=analyse)
    for check in (None, Screen()):
        ((cycled, _),) = cycling.cycle(
            networks, carry, observer, climatology, TIME, assimilator, check=check
        )
        assert cycled.rejected == ({tiny.SOURCE: {"5": 1}} if check else {})
    changed = (seen[0] != seen[1]).nonzero().tolist()
    assert changed == [[3, 4]]


def test_an_analysis_that_is_not_finite_ends_the_cycle(networks, record):
    carry = carried(networks, record)
    carry.background[0, 5, 0, 0] = float("nan")
    cycles = cycle(networks, record, cycling.Observer(networks, {}), TIME, carry)
    with pytest.raises(FloatingPointError, match=r"analysis of 2022-01-04T00\S* is not finite"):
        next(cycles)


def test_forecasts_have_precipitation_and_begin_with_the_networks_step(networks, record):
    inits = np.array([TIME, TIME + tiny.STEP])
    previous, current = record.fields[11:13, :69], record.fields[12:14, :69]
    steps = list(forecast(networks, previous, current, inits, 3))
    assert [step.shape for step in steps] == [(2, 70, *tiny.GRID.shape)] * 3
    assert all(step[:, 69].min() >= 0 for step in steps)
    with torch.inference_mode():
        standard = [networks.normaliser(torch.from_numpy(states)) for states in (previous, current)]
        first = networks.normaliser.physical(networks.forecast(*standard, inits))
    np.testing.assert_array_equal(steps[0], first)


def test_a_forecast_is_rolled_out_on_its_own_output():
    """A forecaster that adds the change of the last six hours goes on in a straight line."""
    networks = SimpleNamespace(
        analysed=1,
        device="cpu",
        normaliser=Identity(),
        forecast=lambda before, now, times: 2 * now - before,
    )
    start = np.ones((1, 1, 2, 2), np.float32)
    steps = forecast(networks, 0 * start, start, np.array([TIME]), 4)
    assert [float(step.mean()) for step in steps] == [2.0, 3.0, 4.0, 5.0]


class Identity:
    """States that are standardised already."""

    def __call__(self, state):
        return state

    physical = __call__


def test_a_forecast_that_is_not_finite_says_when(networks, record):
    previous, current = record.fields[11:12, :69], record.fields[12:13, :69].copy()
    current[0, 3, 1, 1] = np.inf
    with pytest.raises(FloatingPointError, match="not finite at 6 h"):
        next(forecast(networks, previous, current, np.array([TIME]), 2))
