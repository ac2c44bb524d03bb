import logging
from datetime import datetime
from unittest.mock import Mock

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.channels import channel_table
from fuxiflow.completeness import IncompleteError
from fuxiflow.config.evaluation import Verification
from fuxiflow.grids import Grid
from fuxiflow.states.climatology import (
    HOURS,
    NODES,
    Climatology,
    day_of_year,
    hour_of_day,
    node_weights,
    window_weights,
)
from fuxiflow.states.climatology_merge import merge_parts
from fuxiflow.states.climatology_parts import WeightedMean, read_ahead, write_part
from tests.support.climatologies import build_climatology

GRID = Grid(2, 3)
CHANNELS = channel_table().select(["T850", "MSL"])
LOG = logging.getLogger("test")


def series(start, end):
    return np.arange(np.datetime64(start), np.datetime64(end) + 1, dtype="datetime64[D]").astype(
        "datetime64[ns]"
    )[:, None] + np.arange(4) * np.timedelta64(6, "h")


def sinusoid(time):
    """A yearly wave of amplitude 10 about 280 with its peak on day 20, and a daily one of 3."""
    angle = 2 * np.pi * (day_of_year(time) - 20) / 366
    hour = (time.astype("datetime64[h]").astype(int)) % 24
    value = 280 + 10 * np.cos(angle) + 3 * np.sin(2 * np.pi * hour / 24)
    return np.stack([np.full(GRID.shape, value), np.full(GRID.shape, 1e5 + value)]).astype(
        np.float32
    )


def made(path, times, width=61, read=sinusoid, parts=1):
    build_climatology(path, times.ravel(), read, CHANNELS, GRID, width, LOG, parts)
    return Climatology.read(path)


def reference(times, read, width):
    """Weighted means ``(node, hour, channel, lat, lon)`` in one pass over all states; 0 of none."""
    fields = np.zeros((len(NODES), len(HOURS), len(CHANNELS), *GRID.shape))
    totals = np.zeros((len(NODES), len(HOURS), len(CHANNELS), 1, 1))
    for time in times.ravel():
        state = read(time).astype(float)
        valid = np.isfinite(state).all(axis=(1, 2))[:, None, None]
        slot = HOURS.index(hour_of_day(time))
        for node, weight in enumerate(window_weights(day_of_year(time), width)):
            fields[node, slot] += weight * np.where(valid, state, 0)
            totals[node, slot] += weight * valid
    return np.divide(fields, totals, out=np.zeros_like(fields), where=totals > 0)


@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize("width", [1, 61])
def test_parts_merge_to_weighted_means_over_all_states(tmp_path, parts, width):
    noise = np.random.default_rng(2).normal(0, 20, (366, 2, *GRID.shape)).astype(np.float32)

    def read(time):
        return (
            sinusoid(time) + noise[day_of_year(time) - 1] + time.astype("datetime64[Y]").astype(int)
        )

    times = series("2022-12-20", "2024-03-10")
    computed = made(tmp_path / "c.zarr", times, width, read, parts)
    expected = reference(times, read, width)
    with xr.open_zarr(tmp_path / "c.zarr") as data:
        values = data.climatology.values
    there = expected != 0
    np.testing.assert_allclose(values[there], expected[there], rtol=1e-6)
    assert there.mean() > (0.9 if width > 1 else 0.85)
    assert computed.width == width


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_means_merge_in_any_order_and_grouping(seed, count):
    random = np.random.default_rng(seed)
    fields = random.normal(280, 30, (count, 3, 2, 3)).astype(np.float32)
    weights = random.uniform(0.1, 40, (count, 3)) * (random.random((count, 3)) > 0.3)
    fields[weights == 0] = 0
    total = np.maximum(weights.sum(axis=0), 1e-30)[:, None, None]
    exact = (fields.astype(float) * weights[..., None, None]).sum(axis=0) / total

    def merged(members):
        mean = WeightedMean.empty(fields.shape[1:])
        for member in members:
            mean.add(*((member.mean, member.weight)))
        return mean

    single = [WeightedMean(f, w) for f, w in zip(fields, weights, strict=True)]
    split = random.integers(1, count)
    shuffled = [single[i] for i in random.permutation(count)]
    for result in (
        merged(single),
        merged(shuffled),
        merged([merged(shuffled[:split]), merged(shuffled[split:])]),
    ):
        np.testing.assert_allclose(result.mean, exact, rtol=1e-6)
        np.testing.assert_allclose(result.weight, weights.sum(axis=0))


def test_each_state_is_read_once_and_in_threads_as_without(tmp_path):
    seen = []

    def read(time):
        seen.append(time)
        return sinusoid(time)

    times = series("2023-01-20", "2023-02-03").ravel()
    for threads in (1, 3):
        write_part(tmp_path / f"{threads}.zarr", times, read, CHANNELS, GRID, 61, LOG, threads)
        assert sorted(seen) == sorted(times)
        seen.clear()
    with xr.open_zarr(tmp_path / "1.zarr") as one, xr.open_zarr(tmp_path / "3.zarr") as three:
        xr.testing.assert_equal(one, three)
        # the nodes within 30 days of days 20 to 34 alone, and with what weight
        assert one.dayofyear.values.tolist() == [*range(1, 65, 5), 356, 361, 366]
        assert float(one.weight.sel(dayofyear=26, hour=6, channel="T850")) == pytest.approx(
            sum(1 - abs(day - 26) / 31 for day in range(20, 35))
        )


def test_an_error_of_reading_ahead_reaches_the_job():
    def read(time):
        if time == 3:
            raise OSError("damaged")
        return time

    fields = read_ahead(range(6), read, threads=2)
    assert [next(fields) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="damaged"):
        next(fields)


def test_parts_of_another_window_do_not_merge(tmp_path):
    times = series("2023-01-01", "2023-01-03").ravel()
    for width in (21, 61):
        write_part(tmp_path / f"{width}.zarr", times, sinusoid, CHANNELS, GRID, width, LOG)
    with pytest.raises(ValueError, match=r"61\.zarr: other channels, another grid or .* than .*21"):
        merge_parts(tmp_path / "c.zarr", [tmp_path / "21.zarr", tmp_path / "61.zarr"], LOG)


def test_day_of_year_counts_366_days():
    days = [
        day_of_year(np.datetime64(day))
        for day in ("2023-01-01", "2023-02-28", "2023-03-01", "2024-02-29", "2023-12-31")
    ]
    assert days == [1, 59, 61, 60, 366]


def test_node_weights_around_the_turn_of_the_year():
    assert (len(NODES), NODES[0], NODES[-1]) == (74, 1, 366)
    assert node_weights(1) == (0, 1, 0.0)
    assert node_weights(3) == (0, 1, 0.4)
    assert node_weights(366) == (73, 0, 0.0)
    # from the last node to the first is one day
    assert node_weights(365)[:2] == (72, 73)


def test_the_window_is_a_circular_triangle():
    weights = window_weights(1, 61)
    assert weights[0] == 1.0
    assert weights[1] == pytest.approx(1 - 5 / 31)
    assert weights[-1] == pytest.approx(1 - 1 / 31)
    assert window_weights(183, 1).sum() == 0  # no node on that day, and no width
    assert (window_weights(181, 9) > 0).sum() == 1


def test_a_sinusoid_is_damped_by_what_the_window_says(tmp_path):
    climatology = made(tmp_path / "c.zarr", series("2023-01-01", "2024-12-31"))
    offsets = np.arange(-30, 31)
    triangle = 1 - np.abs(offsets) / 31
    damping = (triangle * np.cos(2 * np.pi * offsets / 366)).sum() / triangle.sum()
    assert 0.95 < damping < 0.99
    for time in series("2025-01-01", "2025-12-31").ravel()[::7]:
        angle = 2 * np.pi * (day_of_year(time) - 20) / 366
        hour = time.astype("datetime64[h]").astype(int) % 24
        expected = 280 + 10 * damping * np.cos(angle) + 3 * np.sin(2 * np.pi * hour / 24)
        np.testing.assert_allclose(climatology.at(time)[0], expected, atol=0.03)


def test_a_narrow_window_keeps_the_values_at_nodes(tmp_path):
    climatology = made(tmp_path / "c.zarr", series("2024-01-01", "2024-12-31"), width=1)
    time = np.datetime64("2024-01-06T12", "ns")
    np.testing.assert_allclose(climatology.at(time), sinusoid(time), rtol=1e-6)


def test_python_dates_and_hours_that_are_not_kept(tmp_path):
    climatology = made(tmp_path / "c.zarr", series("2023-01-01", "2023-12-31"))
    mean = climatology.at(datetime(2023, 12, 31, 18))
    np.testing.assert_array_equal(mean, climatology.at(np.datetime64("2023-12-31T18")))
    with pytest.raises(ValueError, match="kept for"):
        climatology.at(datetime(2023, 5, 1, 3))


def test_less_than_a_year_is_filled_from_the_nearest_and_said_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        climatology = made(tmp_path / "c.zarr", series("2023-01-01", "2023-03-31"), width=21)
    assert "have no data within the window of 21 days" in caplog.text
    assert "181" in caplog.text
    last = climatology.at(np.datetime64("2023-04-10T00"))
    np.testing.assert_allclose(climatology.at(np.datetime64("2023-06-01T00")), last, rtol=1e-3)
    first = climatology.at(np.datetime64("2023-12-22T00"))
    np.testing.assert_allclose(climatology.at(np.datetime64("2023-11-01T00")), first, rtol=1e-3)


@pytest.mark.parametrize("links", [True, False])
def test_days_that_no_state_reaches_take_no_space(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr("os.link", Mock(side_effect=OSError("no links here")))
    made(tmp_path / "c.zarr", series("2023-01-30", "2023-01-31"), width=9)
    chunks = (tmp_path / "c.zarr/climatology/c").glob("*/*/0/0/0")
    files = [path.stat() for path in chunks]
    assert len(files) == len(NODES) * len(HOURS)
    reached = [day for day in NODES if 30 - 5 < day < 31 + 5]
    assert len({one.st_ino for one in files}) == len(HOURS) * (len(reached) if links else 74)
    with xr.open_zarr(tmp_path / "c.zarr") as data:
        assert np.isfinite(data.climatology.values).all()
        june = data.climatology.sel(dayofyear=181).values
        np.testing.assert_array_equal(june, data.climatology.sel(dayofyear=reached[-1]).values)


def test_a_full_year_needs_no_warning(tmp_path, caplog):
    made(tmp_path / "c.zarr", series("2023-01-01", "2023-12-31"))
    assert not caplog.records


def test_nan_channels_do_not_count(tmp_path):
    def read(time):
        state = sinusoid(time)
        if time.astype("datetime64[D]") == np.datetime64("2023-07-01"):
            state[1] = np.nan
        return state

    times = series("2023-01-01", "2023-12-31")
    with_rain = channel_table().select(["T850", "TP"])
    build_climatology(tmp_path / "c.zarr", times.ravel(), read, with_rain, GRID, 61, LOG)
    climatology = Climatology.read(tmp_path / "c.zarr")
    assert np.isfinite(climatology.at(np.datetime64("2023-07-01T06"))).all()
    # every state has the pressure: where it is missing, the store is damaged
    with pytest.raises(IncompleteError, match=r"state of 2023-07-01T.*1 of 2 channels .*MSL"):
        made(tmp_path / "d.zarr", times, read=read)


def test_several_years_are_averaged(tmp_path):
    def read(time):
        return sinusoid(time) + (1 if time < np.datetime64("2024-01-01") else 3)

    one = made(tmp_path / "a.zarr", series("2023-01-01", "2024-12-31"), read=read)
    two = made(tmp_path / "b.zarr", series("2023-01-01", "2024-12-31"))
    np.testing.assert_allclose(
        one.at(np.datetime64("2025-09-01"))[0] - two.at(np.datetime64("2025-09-01"))[0],
        2,
        atol=0.02,
    )


def test_an_hour_without_data_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no state at 06 UTC"):
        made(tmp_path / "c.zarr", series("2023-01-01", "2023-12-31")[:, :1])
    with pytest.raises(FileNotFoundError, match="no climatology"):
        Climatology.read(tmp_path / "none.zarr")


def test_opens_with_plain_xarray(tmp_path):
    made(tmp_path / "c.zarr", series("2023-01-01", "2023-12-31"))
    with xr.open_zarr(tmp_path / "c.zarr") as data:
        assert data.climatology.dims == ("dayofyear", "hour", "channel", "lat", "lon")
        assert data.climatology.shape == (74, 4, 2, 2, 3)
        assert int(data.attrs["window_days"]) == 61


def test_the_narrowest_window_leaves_no_day_out():
    schema = Verification.model_json_schema()["properties"]["climatology_window_days"]
    for width, whole in ((schema["minimum"], True), (schema["minimum"] - 1, False)):
        assert all(window_weights(day, width).any() for day in range(1, 367)) == whole
