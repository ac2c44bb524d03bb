"""The climate that spin-ups begin in: monthly states of a run of years, in half precision."""

from datetime import datetime

import numpy as np
import pytest

from fuxiflow.world import climate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def states(model):
    """A day from rest, half day by half day, as if they were months."""
    result = [state for state, _ in model.advance(model.rest(datetime(2022, 1, 1)), 24)]
    return [result[month % 2] for month in range(12)]


def test_a_month_comes_back_to_half_precision(model, states, tmp_path, monkeypatch):
    monkeypatch.setattr(climate, "DIRECTORY", tmp_path)
    np.savez_compressed(climate.climate_path(21), **climate.pack_states(states))
    begun = climate.climate_start(model, datetime(2022, 4, 20, 12))
    assert (begun.time, begun.step) == (datetime(2022, 4, 1), 0)
    expected, values = states[3].arrays(), begun.arrays()
    fields = [name for name in expected if name.startswith("dynamics.") and expected[name].ndim]
    assert len(fields) >= 4
    for name in fields:
        np.testing.assert_allclose(
            values[name], expected[name], atol=1e-3 * np.abs(expected[name]).max(), err_msg=name
        )
    assert any(np.abs(expected[name] - states[4].arrays()[name]).max() > 0 for name in fields)
    *_, (exact, _) = model.advance(states[3], 12)
    *_, (packed, _) = model.advance(begun, 12)
    gap = np.abs(packed.frame["surface_pressure"] - exact.frame["surface_pressure"])
    assert 0 < gap.mean() < 100  # Pa; the calendar differs, and physics starts anew


def test_states_of_another_truncation_are_refused_and_without_any_it_begins_at_rest(
    model, states, tmp_path, monkeypatch
):
    monkeypatch.setattr(climate, "DIRECTORY", tmp_path)
    begun = climate.climate_start(model, datetime(2022, 4, 20, 12))
    assert begun.time == datetime(2022, 4, 20, 12)
    assert not begun.frame
    packed = {
        name: field[..., :-1] if field.shape[-1] > 1 else field
        for name, field in climate.pack_states(states).items()
    }
    np.savez_compressed(climate.climate_path(21), **packed)
    with pytest.raises(ValueError, match=r"t21\.npz: its fields do not fit"):
        climate.climate_start(model, datetime(2022, 4, 20, 12))


def test_the_committed_states_are_of_all_months_and_finite():
    with np.load(climate.climate_path(31)) as file:
        states = {name: file[name] for name in file.files}
    fields = [name for name in states if not name.endswith("largest")]
    assert len(fields) == 5
    for name in fields:
        assert states[name].shape[0] == 12
        assert np.isfinite(states[name]).all()
        assert np.abs(states[name].reshape(12, -1)).max(axis=1) == pytest.approx(1)
        assert (states[f"{name}.largest"] > 0).all()
