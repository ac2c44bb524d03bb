"""Dense tensors: what the sparse window holds, where it says, and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.grids import Grid
from fuxiflow.observations.dense import densify
from fuxiflow.observations.infill import infill
from fuxiflow.observations.sparse import SparseGrids, SparseWindow, SparseWriter

GRID = Grid(4, 8)


def window(slot, cell, values):
    values = np.array(values, np.float32)
    return SparseWindow(
        np.array(slot, np.int64),
        np.array(cell, np.int64),
        values,
        np.zeros(len(values), np.float32),
        np.zeros((len(values), 2), np.float32),
    )


def test_values_lie_where_the_window_says():
    found = densify(window([0, 2], [9, 31], [[1, np.nan], [3, 4]]), GRID, 3)
    assert found.values.shape == found.mask.shape == (3, 2, 4, 8)
    assert (found.values.dtype, found.mask.dtype) == (torch.float32, torch.bool)
    assert found.values[0, 0, 1, 1] == 1
    assert found.values[2, :, 3, 7].tolist() == [3, 4]
    assert found.mask.nonzero().tolist() == [[0, 0, 1, 1], [2, 0, 3, 7], [2, 1, 3, 7]]
    assert found.values.sum() == 8


def test_standardised():
    mean, std = np.array([240, 1], "f4"), np.array([5, 1], "f4")
    found = densify(window([0], [0], [[250, np.nan]]), GRID, 1, mean=mean, std=std)
    assert found.values[0, :, 0, 0].tolist() == [2, 0]
    assert found.values.abs().sum() == 2


@given(seed=st.integers(0, 2**16), n=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_equals_a_plain_loop(seed, n):
    generator = np.random.default_rng(seed)
    place = np.sort(generator.choice(3 * 32, n, replace=False))
    values = generator.normal(size=(n, 2)).astype("f4")
    values[generator.random(values.shape) < 0.3] = np.nan
    found = densify(window(place // 32, place % 32, values.reshape(n, 2)), GRID, 3)
    plain = np.full((3, 2, 4, 8), np.nan, np.float32)
    for k in range(n):
        plain[place[k] // 32, :, place[k] % 32 // 8, place[k] % 8] = values[k]
    assert np.array_equal(found.mask.numpy(), np.isfinite(plain))
    assert np.array_equal(found.values.numpy(), np.nan_to_num(plain))


def test_an_outage_is_empty():
    found = densify(window([], [], np.empty((0, 2))), GRID, 2)
    assert not found.mask.any()
    assert not found.values.any()


def test_from_store_to_infill(tmp_path):
    with SparseWriter(
        tmp_path / "a.zarr", "s", ["1"], ["K"], GRID, np.datetime64("2022-01-01"), 24
    ) as writer:
        writer.write(
            4,
            np.array([3, 9]),
            np.array([[250], [260]], "f4"),
            np.zeros(2, "f4"),
            np.zeros((2, 2)),
            np.ones(2, int),
        )
    grids = SparseGrids([tmp_path / "a.zarr"])
    dense = densify(grids.window(np.datetime64("2022-01-01T06"), -3, 5), grids.grid, 8)
    assert dense.mask.nonzero().tolist() == [[1, 0, 0, 3], [1, 0, 1, 1]]
    filled = infill(dense.values, dense.mask, radius=2)
    assert filled.values[1, 0, 0, 3] == 250
    # (0, 2) has (0, 3) beside it and (1, 1) diagonally
    assert filled.values[1, 0, 0, 2].item() == pytest.approx((0.6 * 250 + 260 / 3) / (0.6 + 1 / 3))
    assert not filled.mask[0].any()


def test_what_does_not_fit_is_refused():
    good = window([0], [0], [[1, 2]])
    with pytest.raises(ValueError, match="slot 2 to 2 of the window, expected 0 to 1"):
        densify(window([2], [0], [[1]]), GRID, 2)
    for cell in (-1, 32):
        with pytest.raises(ValueError, match="expected 0 to 31"):
            densify(window([0], [cell], [[1]]), GRID, 2)
    with pytest.raises(ValueError, match="order"):
        densify(window([1, 0], [0, 0], [[1], [2]]), GRID, 2)
    with pytest.raises(ValueError, match="poles"):
        densify(good, Grid(5, 8, poles=True), 1)
    with pytest.raises(ValueError, match="0 hours"):
        densify(good, GRID, 0)
    with pytest.raises(ValueError, match="both"):
        densify(good, GRID, 1, mean=np.zeros(2))
    with pytest.raises(ValueError, match="channels"):
        densify(good, GRID, 1, mean=np.zeros(1), std=np.ones(1))
