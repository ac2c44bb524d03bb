"""Sparse grids: what is written is what a window reads, across hours, stores and gaps."""

import numpy as np
import pytest

from fuxiflow.grids import Grid
from fuxiflow.observations import sparse_grids
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWriter
from fuxiflow.storage.zarr_stores import create_store

GRID = Grid(4, 8)


def write(path, start, hours, channels=("1", "2"), source="sounder", grid=GRID):
    """A store; ``hours`` maps hours to cells.

    Values of channel 1 are 100 * hour + cell, those of channel 2 are half a unit more.
    """
    with SparseWriter(
        path, source, channels, ["K"] * len(channels), grid, np.datetime64(start), 24
    ) as writer:
        for hour, cells in hours.items():
            cells = np.array(cells)
            base = 100.0 * hour + cells
            values = np.stack([base + 0.5 * i for i in range(len(channels))], 1).astype("float32")
            writer.write(
                hour,
                cells,
                values,
                base.astype("float32") / 10,
                np.stack([base, -base], 1) / 100,
                np.ones(len(cells), int),
            )
    return path


def test_window_reads_its_hours_alone(tmp_path):
    grids = SparseGrids(
        [write(tmp_path / "a.zarr", "2022-01-01", {2: [5], 3: [1, 7], 5: [0], 6: [3]})]
    )
    window = grids.window(np.datetime64("2022-01-01T06"), -3, 0)
    assert window.slot.tolist() == [0, 0, 2]
    assert window.cell.tolist() == [1, 7, 0]
    assert window.values.tolist() == [[301, 301.5], [307, 307.5], [500, 500.5]]
    assert window.zenith.tolist() == pytest.approx([30.1, 30.7, 50.0])
    assert window.slot.dtype == window.cell.dtype == np.int64
    assert window.values.dtype == window.zenith.dtype == np.float32
    assert (grids.channels, grids.grid, grids.units) == (["1", "2"], GRID, ["K", "K"])


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_window_crosses_stores(tmp_path, cache_bytes):
    later = write(tmp_path / "b.zarr", "2022-01-02", {0: [4], 4: [2], 5: [1]})
    earlier = write(tmp_path / "a.zarr", "2022-01-01", {20: [9], 21: [3], 23: [6]})
    window = SparseGrids([later, earlier], cache_bytes).window(np.datetime64("2022-01-02"), -3, 5)
    assert window.slot.tolist() == [0, 2, 3, 7]
    assert window.cell.tolist() == [3, 6, 4, 2]


def test_window_in_a_gap_is_empty_and_at_the_ends_is_cut(tmp_path):
    grids = SparseGrids([write(tmp_path / "a.zarr", "2022-01-01", {0: [1], 23: [2]})])
    empty = grids.window(np.datetime64("2022-01-01T12"), -3, 5)
    assert len(empty) == 0
    assert empty.values.shape == (0, 2)
    assert grids.window(np.datetime64("2022-01-01"), -3, 5).slot.tolist() == [3]
    assert grids.window(np.datetime64("2022-01-02"), -3, 5).slot.tolist() == [2]
    # a window that ends at the analysis time has no hour of a record that begins there
    assert len(grids.window(np.datetime64("2022-01-01"), -3, 0)) == 0


def test_window_between_stores_is_empty(tmp_path):
    paths = [write(tmp_path / f"{day}.zarr", f"2022-01-0{day}", {0: [1]}) for day in (1, 4)]
    window = SparseGrids(paths).window(np.datetime64("2022-01-02T12"), -3, 5)
    assert len(window) == 0
    assert window.values.shape == (0, 2)


def test_window_outside_the_record_names_the_span(tmp_path):
    grids = SparseGrids([write(tmp_path / "a.zarr", "2022-01-01", {0: [1]})])
    with pytest.raises(KeyError, match="2022-01-01T00 to 2022-01-02T00"):
        grids.window(np.datetime64("2022-01-03"), -3, 5)
    with pytest.raises(ValueError, match="no hour"):
        grids.window(np.datetime64("2022-01-01"), 3, 3)
    with pytest.raises(ValueError, match="whole hour"):
        grids.window(np.datetime64("2022-01-01T00:30"), 0, 3)


def test_rows_survive_shard_borders(tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_grids, "CHUNK_ROWS", 4)
    monkeypatch.setattr(sparse_grids, "SHARD_ROWS", 8)
    hours = {hour: list(range(hour % 7)) for hour in range(24)}
    path = write(tmp_path / "a.zarr", "2022-01-01", hours)
    window = SparseGrids([path], cache_bytes=0).window(np.datetime64("2022-01-01"), 0, 24)
    assert window.slot.tolist() == [hour for hour, cells in hours.items() for _ in cells]
    assert window.cell.tolist() == [cell for cells in hours.values() for cell in cells]
    assert np.array_equal(window.values[:, 0], 100 * window.slot + window.cell)


def test_missing_channels_stay_nan(tmp_path):
    with SparseWriter(
        tmp_path / "a.zarr", "s", ["1", "2"], ["K", "K"], GRID, np.datetime64("2022-01-01"), 1
    ) as writer:
        writer.write(
            0,
            np.array([3]),
            np.array([[np.nan, 250.0]], "float32"),
            np.zeros(1, "float32"),
            np.zeros((1, 2)),
            np.array([1]),
        )
    values = SparseGrids([tmp_path / "a.zarr"]).window(np.datetime64("2022-01-01"), 0, 1).values
    assert np.isnan(values[0, 0])
    assert values[0, 1] == 250


def test_an_empty_store_reads_empty(tmp_path):
    grids = SparseGrids([write(tmp_path / "a.zarr", "2022-01-01", {})])
    assert len(grids.window(np.datetime64("2022-01-01T12"), -3, 5)) == 0


def test_stores_that_do_not_fit_are_refused(tmp_path):
    a = write(tmp_path / "a.zarr", "2022-01-01", {0: [1]})
    with pytest.raises(ValueError, match="before"):
        SparseGrids([a, write(tmp_path / "b.zarr", "2022-01-01T12", {0: [1]})])
    with pytest.raises(ValueError, match="channels"):
        SparseGrids([a, write(tmp_path / "c.zarr", "2022-01-02", {0: [1]}, channels=("1",))])
    with pytest.raises(ValueError, match="grid"):
        SparseGrids([a, write(tmp_path / "d.zarr", "2022-01-02", {0: [1]}, grid=Grid(8, 16))])
    with pytest.raises(ValueError, match="no sparse grid"):
        SparseGrids([])


def test_an_unfinished_or_foreign_store_is_refused(tmp_path):
    SparseWriter(tmp_path / "a.zarr", "s", ["1"], ["K"], GRID, np.datetime64("2022-01-01"), 1)
    with pytest.raises(ValueError, match="not a complete"):
        SparseGrids([tmp_path / "a.zarr"])
    create_store(tmp_path / "b.zarr").create_array("offsets", data=np.zeros(2, int))
    with pytest.raises(ValueError, match="format"):
        SparseGrids([tmp_path / "b.zarr"])


def test_writer_refuses_disorder(tmp_path):
    rows = (
        np.array([1]),
        np.zeros((1, 1), "float32"),
        np.zeros(1, "float32"),
        np.zeros((1, 2)),
        np.ones(1, int),
    )
    writer = SparseWriter(
        tmp_path / "a.zarr", "s", ["1"], ["K"], GRID, np.datetime64("2022-01-01"), 3
    )
    writer.write(1, *rows)
    with pytest.raises(ValueError, match="allowed are 2 to 2"):
        writer.write(1, *rows)
    with pytest.raises(ValueError, match="allowed"):
        writer.write(3, *rows)
    with pytest.raises(ValueError, match="increase"):
        writer.write(
            2, np.array([2, 2]), np.zeros((2, 1)), np.zeros(2), np.zeros((2, 2)), np.ones(2)
        )
    with pytest.raises(ValueError, match="poles"):
        SparseWriter(
            tmp_path / "b.zarr",
            "s",
            ["1"],
            ["K"],
            Grid(5, 8, poles=True),
            np.datetime64("2022-01-01"),
            3,
        )


def test_platforms_come_back_and_are_the_first_unless_told(tmp_path):
    path = tmp_path / "a.zarr"
    with SparseWriter(
        path, "s", ["1"], ["K"], GRID, np.datetime64("2022-01-01"), 2, ["A", "B"]
    ) as writer:
        rows = np.zeros((3, 1), "f4"), np.zeros(3, "f4"), np.zeros((3, 2), "f4"), np.ones(3, int)
        writer.write(0, np.arange(3), *rows, np.array([1, -1, 0], "i1"))
        writer.write(1, np.arange(3), *rows)
    grids = SparseGrids([path])
    assert grids.platforms == ["A", "B"]
    window = grids.window(np.datetime64("2022-01-01"), 0, 2)
    assert window.platform.tolist() == [1, -1, 0, 0, 0, 0]
    assert window.rows(np.array([0, 1])).platform.tolist() == [1, -1]


def test_a_single_frame_shows_each_cell_once(tmp_path):
    path = tmp_path / "a.zarr"
    hours = {2: [5, 7], 3: [1, 5], 4: [5, 9], 6: [1], 7: [0]}
    with SparseWriter(
        path, "s", ["1"], ["K"], GRID, np.datetime64("2022-01-01"), 24, frame="single"
    ) as writer:
        for hour, cells in hours.items():
            n = len(cells)
            writer.write(
                hour,
                np.array(cells),
                np.full((n, 1), hour, "f4"),
                np.zeros(n, "f4"),
                np.zeros((n, 2), "f4"),
                np.ones(n, int),
            )
    grids = SparseGrids([path])
    window = grids.window(np.datetime64("2022-01-01T05"), -3, 3)
    # cell 5: hour 4 is nearest; cell 1: 3 and 6 are equally far from 5, the earlier one counts
    assert list(zip(window.slot + 2, window.cell, window.values[:, 0], strict=True)) == [
        (2, 7, 2),
        (3, 1, 3),
        (4, 5, 4),
        (4, 9, 4),
        (7, 0, 7),
    ]
    assert len(grids.hours(np.datetime64("2022-01-01T05"), -3, 3)) == 8
    assert len(grids.window(np.datetime64("2022-01-01T20"), -3, 3)) == 0
