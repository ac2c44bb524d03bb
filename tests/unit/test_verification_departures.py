"""Departures' sums and refusals, error maps and the cycle's series, without stores."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseWindow
from fuxiflow.verification import departures
from fuxiflow.verification.cases import Cases
from fuxiflow.verification.departure_scores import score_departures
from fuxiflow.verification.evaluation import cycle_series
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.scoring import Resampling

TIMES = np.datetime64("2023-01-01", "ns") + np.arange(10) * np.timedelta64(6, "h")
GRID = Grid(4, 8)


def window(count):
    row = np.arange(count)
    return SparseWindow(
        row * 0,
        row,
        row[:, None].astype(np.float32),
        row.astype(np.float32),
        np.zeros((count, 2), np.float32),
    )


def test_subsample_keeps_order_and_rows_together():
    subset = departures.subsample(window(100), 10, np.random.default_rng(0))
    assert len(subset) == 10
    assert (np.diff(subset.cell) > 0).all()
    np.testing.assert_array_equal(subset.values[:, 0], subset.zenith)
    assert len(departures.subsample(window(5), 10, np.random.default_rng(0))) == 5


def test_mean_and_std_are_those_of_all_departures_in_the_region():
    generator = np.random.default_rng(0)
    collected = departures.Departures.empty(TIMES, ["1", "2"], ["global", "tropics"])
    values, inside = [], []
    for i in range(len(TIMES)):
        d = generator.normal(1.5, 2.0, (20 + i, 2))
        d[0, 1] = np.nan
        mask = np.stack([np.ones(len(d)), np.arange(len(d)) % 2], axis=1)
        collected.add("background", i, d, mask)
        values.append(d)
        inside.append(mask[:, 1].astype(bool))
    frame = score_departures(collected, Resampling(100, 1, 0), experiment="full", source="sounder")
    assert set(frame["metric"]) == {
        "departure_background_mean",
        "departure_background_std",
    }  # nothing of the analysis
    assert set(frame["channel"]) == {"sounder/1", "sounder/2"}
    tropics = np.concatenate(values)[np.concatenate(inside)]
    row = frame[(frame["channel"] == "sounder/2") & (frame["region"] == "tropics")].set_index(
        "metric"
    )
    for name, expected in (("mean", np.nanmean(tropics[:, 1])), ("std", np.nanstd(tropics[:, 1]))):
        subset = row.loc[f"departure_background_{name}"]
        assert subset["value"] == pytest.approx(expected)
        assert subset["n"] == np.isfinite(tropics[:, 1]).sum()
        assert subset["ci_low"] < subset["value"] < subset["ci_high"]


@pytest.mark.parametrize(
    ("observed", "channels", "complaint"),
    [(Grid(8, 16), ["1"], "lie on Grid"), (GRID, ["1", "2"], "has 2 channels, its operator 1")],
)
def test_observations_must_fit_states_and_operator(observed, channels, complaint):
    observations = SimpleNamespace(grid=observed, channels=channels, source="sounder")
    with pytest.raises(ValueError, match=complaint):
        departures.collect_departures(
            observations,
            {},
            SimpleNamespace(grid=GRID),
            SimpleNamespace(channels=["1"]),
            TIMES,
            ["global"],
            0,
            None,
        )


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_departures_are_those_of_each_time_however_many_are_simulated_at_once(monkeypatch, batch):
    class Series(dict):
        channels = SimpleNamespace(names=["T500"])

        def read(self, time):
            return self[time]

    class Observations(SimpleNamespace):
        def window(self, time, start, end):
            if time > TIMES[3]:
                raise KeyError(time)
            return window(
                int((time - TIMES[0]) / np.timedelta64(6, "h"))
            )  # 0, 1, 2, 3 cells with the values 0, 1, 2

    monkeypatch.setattr(departures, "BATCH", batch)
    monkeypatch.setattr(departures, "simulate_at_cells", lambda operator, columns, *others: columns)
    states = {
        "background": Series({time: np.full((1, 4, 8), 10.0 * i) for i, time in enumerate(TIMES)}),
        "analysis": Series({TIMES[3]: np.arange(32.0).reshape(1, 4, 8)}),
    }
    observations = Observations(grid=GRID, channels=["1"], source="sounder")
    log = logging.getLogger("departures")
    collected = departures.collect_departures(
        observations,
        states,
        SimpleNamespace(grid=GRID),
        SimpleNamespace(channels=["1"]),
        TIMES,
        ["global"],
        0,
        log,
    )
    count, total, squares = collected.sums["background"][:, :5, 0, 0]
    np.testing.assert_array_equal(count, [0, 1, 2, 3, 0])
    np.testing.assert_array_equal(total, [0, -10, -20 - 19, -30 - 29 - 28, 0])
    np.testing.assert_array_equal(squares, [0, 100, 400 + 361, 900 + 841 + 784, 0])
    np.testing.assert_array_equal(collected.sums["analysis"][:, 3, 0, 0], [3, 0, 0])


def test_maps_average_cases_and_leave_missing_ones_out():
    maps = ErrorMaps(["truth"], [24], ["Z500", "T850"], ["T850"], GRID)
    truth = np.zeros((2, 32))
    for error in (1.0, 3.0, np.nan):
        maps.add("truth", 24, truth + error, truth)
    maps.add("truth", 6, truth + 100, truth)  # not a lead of the maps
    data = maps.dataset().sel(reference="truth", lead_time=24, channel="T850")
    np.testing.assert_allclose(data["error"], 2.0)
    np.testing.assert_allclose(data["rmse"], np.sqrt(5))
    assert int(data["n"]) == 2
    assert str(data["unit"].values) == "K"
    with pytest.raises(KeyError, match=r"figures\.map_channels: U850 is not forecast"):
        ErrorMaps(["truth"], [24], ["Z500"], ["U850"], GRID)


def test_series_of_the_cycle():
    shape = (len(TIMES), 1, 2, 1)
    values = {"square": np.full(shape, 4.0), "error": np.full(shape, -1.0)}
    values["square"][3] = np.nan
    cases = Cases(TIMES, [0], ["Z500", "T850"], ["global"], values)
    frame = cycle_series({("analysis", "truth"): cases}, "full")
    assert len(frame) == 18
    assert set(frame["rmse"]) == {2.0}
    assert set(frame["bias"]) == {-1.0}
    assert TIMES[3] not in frame["time"].to_numpy()
    with pytest.raises(KeyError, match="'tropics' was not scored; known: global"):
        cycle_series({("analysis", "truth"): cases}, "full", region="tropics")
    assert cycle_series({}, "full").empty
