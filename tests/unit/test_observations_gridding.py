"""Gridding equals a plain double loop and conserves footprints.

It is indifferent to their order, and right at the poles and the date line.
"""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table, gridding, gridding_kernels
from fuxiflow.observations.gridding import (
    GriddingOptions,
    PlatformChoice,
    grid_footprints,
    hourly_cells,
    platform_keys,
)
from fuxiflow.observations.sparse_grids import SparseGrids

START = np.datetime64("2022-07-01")
GRID = Grid(6, 12)


def footprints(n, seed, hours=3, channels=3, missing=0.2):
    """Random footprints for ``hourly_cells``; some sit on the poles and the date line."""
    generator = np.random.default_rng(seed)
    time = (START + generator.integers(0, hours * 3600, n).astype("timedelta64[s]")).astype(
        "datetime64[ns]"
    )
    lat = generator.choice([-90, 90, *generator.uniform(-90, 90, 20)], n).astype("f4")
    lon = generator.choice([-180, 179.999, 0, *generator.uniform(-180, 180, 20)], n).astype("f4")
    values = generator.uniform(150, 300, (n, channels)).astype("f4")
    values[generator.random(values.shape) < missing] = np.nan
    return time, lat, lon, values, generator.uniform(0, 65, n).astype("f4")


def loop(time, lat, lon, values, zenith, grid, method):
    """The plain way: every footprint, one after the other, into lists by hour and cell."""
    members = {}
    cells = grid.cell(lat, lon)
    for i in range(len(time)):
        hour = int((time[i] - START) // np.timedelta64(1, "h"))
        if cells[i] >= 0:
            members.setdefault((hour, int(cells[i])), []).append(i)
    content = {}
    for key, rows in sorted(members.items()):
        averages = np.full(values.shape[1], np.nan)
        north, east = grid.lat[key[1] // grid.nlon], grid.lon[key[1] % grid.nlon]
        gap = (lon[rows].astype(float) - east + 180) % 360 - 180
        distance = (lat[rows] - north) ** 2 + (gap * np.cos(np.deg2rad(north))) ** 2
        offset = np.stack([(lat[rows] - north) * grid.nlat / 180, gap * grid.nlon / 360], 1)
        if method == "whole":
            complete = np.isfinite(values[rows]).sum(1)
            first = np.lexsort((time[rows], distance, -complete))[0]
            row = rows[first]
            content[key] = values[row], zenith[row], len(rows), offset[first]
            continue
        for c in range(values.shape[1]):
            present = [row for row in rows if np.isfinite(values[row, c])]
            if present:
                averages[c] = values[present, c].astype(float).mean()
        content[key] = averages, zenith[rows].astype(float).mean(), len(rows), offset.mean(0)
    return content


def gridded(*args, hours=3, **kwargs):
    return {
        (part.hour, int(cell)): (part.values[k], part.zenith[k], int(part.count[k]), part.offset[k])
        for part in hourly_cells(*args, START, hours, **kwargs)
        for k, cell in enumerate(part.cell)
    }


@pytest.mark.parametrize("method", gridding.METHODS)
@given(n=st.integers(1, 60), seed=st.integers(0, 2**16))
@settings(max_examples=40)
def test_equals_a_double_loop(method, n, seed):
    data = footprints(n, seed)
    ours, plain = gridded(*data, GRID, method=method), loop(*data, GRID, method)
    assert ours.keys() == plain.keys()
    for key, (values, zenith, count, offset) in plain.items():
        assert ours[key][0] == pytest.approx(values, rel=1e-6, nan_ok=True)
        assert ours[key][1] == pytest.approx(zenith, rel=1e-6)
        assert ours[key][2] == count
        assert ours[key][3] == pytest.approx(offset, abs=1e-4)
        assert np.abs(ours[key][3]).max() <= 0.501


@given(n=st.integers(1, 80), seed=st.integers(0, 2**16), missing=st.floats(0, 0.9))
@settings(max_examples=40)
def test_a_column_of_whole_footprints_is_that_of_one_of_them(n, seed, missing):
    time, lat, lon, values, zenith = footprints(n, seed, channels=8, missing=missing)
    shared = of_platforms(n, seed, merged=True)
    hour = ((time - START) // np.timedelta64(1, "h")).astype(int)
    cell = GRID.cell(lat, lon)
    parts = hourly_cells(
        time, lat, lon, values, zenith, GRID, START, 3, method="whole", shared=shared
    )
    for part in parts:
        for k, place in enumerate(part.cell):
            members = np.flatnonzero((hour == part.hour) & (cell == place))
            assert part.count[k] == len(members)
            sources = [
                i
                for i in members
                if np.array_equal(values[i], part.values[k], equal_nan=True)
                and zenith[i] == part.zenith[k]
                and shared.code[i] == part.platform[k]
            ]
            assert sources
            assert (
                np.isfinite(values[sources[0]]).sum() == np.isfinite(values[members]).sum(1).max()
            )


def test_the_most_complete_sounding_is_taken_then_the_nearest_then_the_earliest():
    time = START + np.array([50, 40, 30, 20, 10], "m8[m]")
    lat, lon = np.array([74, 76, 75, 75, 70]), np.full(5, 2)
    nan = np.nan
    values = np.array([[1, 1, nan], [2, 2, nan], [3, 3, nan], [4, nan, 4], [nan, nan, 5]], "f4")
    zenith = np.arange(5)

    def chosen(rows):
        columns = (column[rows] for column in (time, lat, lon, values, zenith))
        (part,) = hourly_cells(*columns, GRID, START, 1, method="whole")
        return int(part.zenith[0]), part.offset[0].tolist()

    # the centre of the cell is 75° north, 0° east
    assert chosen([0, 1, 2, 3, 4])[0] == 3
    assert chosen([0, 1, 2, 4])[0] == 2
    assert chosen([0, 1, 4])[0] == 1
    assert chosen([4])[1] == pytest.approx([-5 / 30, 2 / 30])


@given(n=st.integers(1, 200), seed=st.integers(0, 2**16))
@settings(max_examples=40)
def test_conserves_footprints_and_sums(n, seed):
    time, lat, lon, values, zenith = footprints(n, seed, missing=0)
    cells = gridded(time, lat, lon, values, zenith, GRID)
    assert sum(count for *_, count, _ in cells.values()) == n
    total = sum(cell[0].astype(float) * cell[2] for cell in cells.values())
    assert total == pytest.approx(values.sum(axis=0, dtype=float), rel=1e-6)


@pytest.mark.parametrize("method", gridding.METHODS)
@given(n=st.integers(2, 200), seed=st.integers(0, 2**16))
@settings(max_examples=25)
def test_order_of_the_footprints_does_not_matter(method, n, seed):
    time, *others = footprints(n, seed)
    data = (
        time.astype("datetime64[h]").astype("datetime64[ns]"),
        *others,
    )  # many are equally near and early
    order = np.random.default_rng(seed + 1).permutation(n)
    ours = gridded(*data, GRID, method=method)
    other = gridded(*(column[order] for column in data), GRID, method=method)
    assert ours.keys() == other.keys()
    for key, (values, zenith, count, offset) in ours.items():
        assert np.array_equal(values, other[key][0], equal_nan=True)
        assert (zenith, count) == other[key][1:3]
        assert offset == pytest.approx(other[key][3], abs=1e-6)


PLACES = st.tuples(st.floats(-90, 90, width=32), st.floats(-360, 360, width=32))


def nearest_cells(places, nlat, nlon):
    lat, lon = (np.array(column, np.float32) for column in zip(*places, strict=True))
    return gridding_kernels.nearest_cells(lat, lon, nlat, nlon).tolist()


@given(st.lists(PLACES, min_size=1, max_size=20))
def test_cells_are_those_of_the_grid(places):
    lat, lon = np.array(places).T
    assert nearest_cells(places, 32, 64) == Grid(32, 64).cell(lat, lon).tolist()


def test_poles_and_date_line():
    places = [(90, 0), (-90, 0), (0, 180), (0, -180), (0, 359.9), (0, -0.1)]
    assert nearest_cells(places, 4, 8) == [0, 24, 2 * 8 + 4, 2 * 8 + 4, 2 * 8, 2 * 8]
    invalid = [(np.nan, 0), (0, np.nan), (91, 0), (0, 400), (np.inf, 0), (0, -np.inf)]
    assert nearest_cells(invalid, 4, 8) == [-1] * 6
    assert Grid(4, 8).cell(*np.array(invalid).T).tolist() == [-1] * 6


def test_hand_computed_hour():
    time = np.array(
        ["2022-07-01T01:59:59.999", "2022-07-01T01:00", "2022-07-01T02:00"], "datetime64[ns]"
    )
    values = np.array([[200, np.nan], [210, np.nan], [1, 2]], "f4")
    (first, second) = hourly_cells(
        time, np.full(3, 80), np.full(3, 5), values, np.array([10, 20, 30]), GRID, START, 3
    )
    assert (first.hour, first.cell.tolist(), first.zenith.tolist(), first.count.tolist()) == (
        1,
        [0],
        [15],
        [2],
    )
    assert first.values[0, 0] == 205
    assert np.isnan(first.values[0, 1])
    assert (second.hour, second.values.tolist()) == (2, [[1, 2]])


def test_times_outside_and_missing_are_left_out():
    time = np.array(["NaT", "2022-06-30T23:59", "2022-07-01T03:00"], "datetime64[ns]")
    assert not list(
        hourly_cells(time, *np.zeros((2, 3)), np.ones((3, 1)), np.zeros(3), GRID, START, 3)
    )


def test_unknown_method_and_grid_are_refused():
    data = footprints(1, 0)
    with pytest.raises(ValueError, match="known: mean, whole"):
        list(hourly_cells(*data, GRID, START, 3, method="median"))
    with pytest.raises(ValueError, match="poles"):
        list(hourly_cells(*data, Grid(7, 12, poles=True), START, 3))


PLATFORMS = ["A", "B", "C"]


def of_platforms(n, seed, merged=False, names=PLATFORMS):
    """Random platforms of n footprints."""
    code = np.random.default_rng(seed + 7).integers(0, len(PLATFORMS), n)
    code = np.array([names.index(PLATFORMS[i]) for i in code], np.int8)
    return PlatformChoice(code, None if merged else platform_keys(1, "s", names))


def cells(data, shared, **kwargs):
    """Platform, count and values by hour and cell, and how many footprints were passed over."""
    parts = list(hourly_cells(*data, GRID, START, 3, shared=shared, **kwargs))
    content = {
        (part.hour, int(cell)): (
            int(part.platform[k]),
            int(part.count[k]),
            part.values[k].tobytes(),
        )
        for part in parts
        for k, cell in enumerate(part.cell)
    }
    return content, sum(part.passed_over for part in parts)


@pytest.mark.parametrize("method", gridding.METHODS)
@given(n=st.integers(1, 200), seed=st.integers(0, 2**16))
@settings(max_examples=40)
def test_one_platform_is_drawn_and_its_footprints_alone_count(method, n, seed):
    data, shared = footprints(n, seed), of_platforms(n, seed)
    content, passed_over = cells(data, shared, method=method)
    assert sum(count for _, count, _ in content.values()) + passed_over == n
    hour, cell = (
        ((data[0] - START) // np.timedelta64(1, "h")).astype(int),
        GRID.cell(data[1], data[2]),
    )
    for key, (platform, count, values) in content.items():
        members = (hour == key[0]) & (cell == key[1]) & (shared.code == platform)
        assert count == members.sum() > 0
        alone, _ = cells(tuple(column[members] for column in data), None, method=method)
        assert values == alone[key][2]


@given(n=st.integers(2, 200), seed=st.integers(0, 2**16))
@settings(max_examples=25)
def test_neither_order_of_files_nor_of_platforms_changes_the_draw(n, seed):
    data, shared = footprints(n, seed), of_platforms(n, seed)
    drawn = cells(data, shared)
    order = np.random.default_rng(seed + 1).permutation(n)
    other = PlatformChoice(shared.code[order], shared.keys)
    assert cells(tuple(column[order] for column in data), other) == drawn
    turned, passed_over = cells(data, of_platforms(n, seed, names=PLATFORMS[::-1]))
    assert passed_over == drawn[1]
    assert {key: (2 - platform, *rest) for key, (platform, *rest) in turned.items()} == drawn[0]


def test_draws_are_fair_and_follow_seed_source_hour_and_cell():
    time, cell = np.repeat(START, 2 * 72), np.repeat(np.arange(72), 2)
    lat, lon = GRID.lat[cell // 12], GRID.lon[cell % 12]
    code = np.tile(np.array([0, 1], np.int8), 72)

    def drawn(seed=1, source="s", hour=0):
        shared = PlatformChoice(code, platform_keys(seed, source, ["A", "B"]))
        (part,) = hourly_cells(
            time + np.timedelta64(hour, "h"),
            lat,
            lon,
            np.ones((144, 1)),
            np.zeros(144),
            GRID,
            START,
            3,
            shared=shared,
        )
        return part.platform.tolist()

    first = drawn()
    assert first == drawn()
    assert (
        22 <= sum(first) <= 50
    )  # of 72 fair draws, four standard deviations or less from the half
    assert all(first != other for other in (drawn(seed=2), drawn(source="t"), drawn(hour=1)))


@given(n=st.integers(1, 200), seed=st.integers(0, 2**16))
@settings(max_examples=25)
def test_merged_platforms_all_count(n, seed):
    data, shared = footprints(n, seed), of_platforms(n, seed, merged=True)
    content, passed_over = cells(data, shared)
    plain, _ = cells(data, None)
    assert passed_over == 0
    assert {key: rest for key, (_, *rest) in content.items()} == {
        key: rest for key, (_, *rest) in plain.items()
    }
    hour, cell = (
        ((data[0] - START) // np.timedelta64(1, "h")).astype(int),
        GRID.cell(data[1], data[2]),
    )
    for key, (platform, *_) in content.items():
        seen = set(shared.code[(hour == key[0]) & (cell == key[1])].tolist())
        assert platform == (seen.pop() if len(seen) == 1 else gridding_kernels.SEVERAL)


@given(
    lat=st.lists(st.floats(-90, 90, width=32), min_size=1, max_size=30),
    lon=st.lists(st.floats(-360, 360, width=32), min_size=30, max_size=30),
    seed=st.integers(0, 9),
)
@settings(max_examples=60)
def test_footprints_are_conserved_anywhere(lat, lon, seed):
    n = len(lat)
    data = (
        np.full(n, START),
        np.array(lat, "f4"),
        np.array(lon[:n], "f4"),
        np.ones((n, 1), "f4"),
        np.zeros(n, "f4"),
    )
    content, passed_over = cells(data, of_platforms(n, seed))
    assert sum(count for _, count, _ in content.values()) + passed_over == n


def write_footprints(path, data, rejected, platforms=("P",)):
    time, lat, lon, values, zenith = data
    columns = {
        "time": time,
        "lat": lat,
        "lon": lon,
        "zenith": zenith,
        "azimuth": zenith,
        "rejected": rejected,
        "scan_position": np.ones(len(time), "i2"),
    }
    with footprint_table.FootprintWriter(path, ["1", "2", "3"]) as writer:
        for i, name in enumerate(platforms):
            part = {key: column[i :: len(platforms)] for key, column in columns.items()}
            writer.write(
                footprint_table.build_footprints(
                    ["1", "2", "3"], np.nan_to_num(values)[i :: len(platforms)], part, name, f"f{i}"
                )
            )


def test_tables_become_stores(tmp_path):
    data = footprints(500, 1, hours=48, missing=0)
    rejected = (np.arange(500) % 5 == 0).astype("u1")
    write_footprints(tmp_path / "t.parquet", data, rejected)
    days = list(
        grid_footprints(
            tmp_path / "t.parquet",
            tmp_path / "g.zarr",
            "s",
            ["K"] * 3,
            GRID,
            date(2022, 7, 1),
            date(2022, 7, 3),
            GriddingOptions(["P"]),
        )
    )
    assert [day for day, *_ in days] == [date(2022, 7, d) for d in (1, 2, 3)]
    assert sum(used for _, used, *_ in days) == 400
    assert days[2][1:] == (0, 0, 0)
    grids = SparseGrids([tmp_path / "g.zarr"])
    assert grids.end == np.datetime64("2022-07-04T00")
    window = grids.window(START, 0, 72)
    plain = loop(*(column[rejected == 0] for column in data), GRID, "mean")
    assert list(zip(window.slot, window.cell, strict=True)) == list(plain)
    assert window.values == pytest.approx(
        np.array([values for values, *_ in plain.values()]), rel=1e-6
    )


@pytest.mark.parametrize("platforms", ["P", "PQ"])
def test_a_store_does_not_depend_on_the_hours_that_are_gridded_at_a_time(
    tmp_path, monkeypatch, platforms
):
    data = footprints(2000, 4, hours=48, missing=0.1)
    write_footprints(tmp_path / "t.parquet", data, np.zeros(2000, "u1"), list(platforms))
    made = {}
    for hours in (24, 6, 1):
        monkeypatch.setattr(gridding, "HOURS_AT_A_TIME", hours)
        path = tmp_path / f"{hours}.zarr"
        options = GriddingOptions(list(platforms), seed=1)
        days = list(
            grid_footprints(
                tmp_path / "t.parquet",
                path,
                "s",
                ["K"] * 3,
                GRID,
                date(2022, 7, 1),
                date(2022, 7, 2),
                options,
            )
        )
        window = SparseGrids([path]).window(START, 0, 48)
        made[hours] = days, [window.slot, window.cell, window.values, window.zenith, window.offset]
    for hours in (6, 1):
        assert made[hours][0] == made[24][0]
        for ours, theirs in zip(made[hours][1], made[24][1], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_lost_footprint_is_an_error(tmp_path):
    data = footprints(10, 1)
    data[1][3] = np.nan
    write_footprints(tmp_path / "t.parquet", data, np.zeros(10, "u1"))
    with pytest.raises(
        RuntimeError, match="10 footprints of the 6 hours from 2022-07-01T00 on, but 9"
    ):
        list(
            grid_footprints(
                tmp_path / "t.parquet",
                tmp_path / "g.zarr",
                "s",
                ["K"] * 3,
                GRID,
                date(2022, 7, 1),
                date(2022, 7, 1),
                GriddingOptions(["P"]),
            )
        )


def test_tables_of_several_platforms(tmp_path):
    data = footprints(500, 1, hours=24, missing=0)
    windows = []
    for name, order in (("a", ["A", "B", "C"]), ("b", ["C", "A", "B"])):
        columns = [
            np.concatenate([column[PLATFORMS.index(p) :: 3] for p in order]) for column in data
        ]
        sizes = np.cumsum([len(data[0][PLATFORMS.index(p) :: 3]) for p in order])
        with footprint_table.FootprintWriter(
            tmp_path / f"{name}.parquet", ["1", "2", "3"]
        ) as writer:
            for p, first, last in zip(order, [0, *sizes], sizes, strict=False):
                time, lat, lon, values, zenith = (column[first:last] for column in columns)
                part = {
                    "time": time,
                    "lat": lat,
                    "lon": lon,
                    "zenith": zenith,
                    "azimuth": zenith,
                    "rejected": np.zeros(len(lat), "u1"),
                    "scan_position": np.ones(len(lat), "i2"),
                }
                writer.write(
                    footprint_table.build_footprints(["1", "2", "3"], values, part, p, f"{p}.h5")
                )
        days = list(
            grid_footprints(
                tmp_path / f"{name}.parquet",
                tmp_path / f"{name}.zarr",
                "s",
                ["K"] * 3,
                GRID,
                date(2022, 7, 1),
                date(2022, 7, 1),
                GriddingOptions(PLATFORMS, seed=5),
            )
        )
        assert days[0][1] == 500
        grids = SparseGrids([tmp_path / f"{name}.zarr"])
        window = grids.window(START, 0, 24)
        attributes = zarr.open_group(tmp_path / f"{name}.zarr").attrs
        assert grids.platforms == PLATFORMS
        assert attributes["footprints"] + attributes["passed_over"] == 500
        assert attributes["passed_over"] == days[0][3] > 0
        assert set(window.platform.tolist()) == {0, 1, 2}
        windows.append(window)
    for name in ("slot", "cell", "values", "platform"):
        assert np.array_equal(getattr(windows[0], name), getattr(windows[1], name))


def test_a_platform_that_the_source_does_not_name_is_an_error(tmp_path):
    write_footprints(tmp_path / "t.parquet", footprints(10, 1), np.zeros(10, "u1"), ("P", "Q"))
    with pytest.raises(ValueError, match="platform Q, expected one of P"):
        list(
            grid_footprints(
                tmp_path / "t.parquet",
                tmp_path / "g.zarr",
                "s",
                ["K"] * 3,
                GRID,
                date(2022, 7, 1),
                date(2022, 7, 1),
                GriddingOptions(["P"]),
            )
        )


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_changes_no_bit(threads):
    one, several = (gridded(*footprints(200, 3), GRID, threads=n) for n in (1, threads))
    assert one.keys() == several.keys()
    for key in one:
        for a, b in zip(one[key], several[key], strict=True):
            np.testing.assert_array_equal(a, b)


@given(
    st.lists(
        st.sampled_from([-1, 0, 3599, 3600, 7199, 7200, 10799, 10800, 90000, None]), max_size=30
    )
)
def test_footprints_are_sorted_by_hour_as_plain_arithmetic_has_it(seconds):
    time = np.array(
        [np.datetime64("NaT") if s is None else START + np.timedelta64(s, "s") for s in seconds],
        "M8[ns]",
    )
    order, edges = gridding_kernels.sort_by_hour(
        time.view(np.int64), START.astype("M8[ns]").astype(np.int64), 3
    )
    expected = [
        [i for i, s in enumerate(seconds) if s is not None and s // 3600 == hour]
        for hour in range(3)
    ]
    assert [order[a:b].tolist() for a, b in pairwise(edges)] == expected


@given(st.lists(st.integers(-2, 4 * 3600), max_size=20), st.booleans())
def test_footprints_in_the_order_of_time_are_gridded_as_any_others(seconds, invalid):
    time = START + np.array(sorted(seconds), "m8[s]").astype("m8[ns]")
    if invalid and len(time):
        time[0] = np.datetime64("NaT")  # before all others
    n = len(time)
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-90, 90, n), rng.uniform(-180, 180, n)
    values, zenith = rng.uniform(150, 300, (n, 2)), rng.uniform(0, 60, n)
    mixed = rng.permutation(n)
    columns = time, lat, lon, values, zenith
    ours, theirs = (
        list(hourly_cells(*(column[order] for column in columns), GRID, START, 3))
        for order in (np.arange(n), mixed)
    )
    assert gridding_kernels.is_ascending(time.view(np.int64))
    assert [part.hour for part in ours] == [part.hour for part in theirs]
    assert sum(part.count.sum() for part in ours) == sum(
        0 <= (t - START).astype(float) < 3 * 3600e9 for t in time
    )
    for a, b in zip(ours, theirs, strict=True):
        for name in ("cell", "values", "zenith", "offset", "count"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(("times", "expected"), [([], True), ([3, 3, 4], True), ([3, 4, 3], False)])
def test_order_of_time(times, expected):
    assert gridding_kernels.is_ascending(np.array(times, np.int64)) == expected
