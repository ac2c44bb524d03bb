"""Dense tensors hold what the sparse window holds; infill equals a plain double loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.grids import Grid
from fuxiflow.observations.dense_grids import EPSILON, cressman_weights, densify, infill
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWindow, SparseWriter

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
    dense = densify(window([0, 2], [9, 31], [[1, np.nan], [3, 4]]), GRID, 3)
    assert dense.values.shape == dense.mask.shape == (3, 2, 4, 8)
    assert (dense.values.dtype, dense.mask.dtype) == (torch.float32, torch.bool)
    assert dense.values[0, 0, 1, 1] == 1
    assert dense.values[2, :, 3, 7].tolist() == [3, 4]
    assert dense.mask.nonzero().tolist() == [[0, 0, 1, 1], [2, 0, 3, 7], [2, 1, 3, 7]]
    assert dense.values.sum() == 8


def test_standardised():
    mean, std = np.array([240, 1], "f4"), np.array([5, 1], "f4")
    dense = densify(window([0], [0], [[250, np.nan]]), GRID, 1, mean=mean, std=std)
    assert dense.values[0, :, 0, 0].tolist() == [2, 0]
    assert dense.values.abs().sum() == 2


@given(seed=st.integers(0, 2**16), n=st.integers(0, 60))
@settings(max_examples=40)
def test_equals_a_plain_loop(seed, n):
    generator = np.random.default_rng(seed)
    place = np.sort(generator.choice(3 * 32, n, replace=False))
    values = generator.normal(size=(n, 2)).astype("f4")
    values[generator.random(values.shape) < 0.3] = np.nan
    dense = densify(window(place // 32, place % 32, values.reshape(n, 2)), GRID, 3)
    plain = np.full((3, 2, 4, 8), np.nan, np.float32)
    for k in range(n):
        plain[place[k] // 32, :, place[k] % 32 // 8, place[k] % 8] = values[k]
    assert np.array_equal(dense.mask.numpy(), np.isfinite(plain))
    assert np.array_equal(dense.values.numpy(), np.nan_to_num(plain))


def test_an_outage_is_empty():
    dense = densify(window([], [], np.empty((0, 2))), GRID, 2)
    assert not dense.mask.any()
    assert not dense.values.any()


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


def test_a_window_that_does_not_fit_is_refused():
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


def loop(values, mask, radius):
    """The plain way, one field (lat, lon): every cell asks every measured cell."""
    nlat, nlon = values.shape
    filled, widened, confidence = (
        np.zeros((nlat, nlon)),
        np.zeros((nlat, nlon), bool),
        np.zeros((nlat, nlon)),
    )
    whole = sum(
        max(0.0, (radius**2 - dy**2 - dx**2) / (radius**2 + dy**2 + dx**2))
        for dy in range(-int(radius), int(radius) + 1)
        for dx in range(-((nlon - 1) // 2), nlon // 2 + 1)
    )
    for i in range(nlat):
        for j in range(nlon):
            total = weighted = 0.0
            for k in range(nlat):
                for m in range(nlon):
                    apart = min((j - m) % nlon, (m - j) % nlon)
                    square = (i - k) ** 2 + apart**2
                    if mask[k, m] and square < radius**2:
                        weight = (radius**2 - square) / (radius**2 + square)
                        total += weight
                        weighted += weight * values[k, m]
            if total > EPSILON:
                filled[i, j], widened[i, j], confidence[i, j] = (
                    weighted / total,
                    True,
                    total / whole,
                )
            if mask[i, j]:
                filled[i, j], confidence[i, j] = values[i, j], 1.0
    return filled, widened, confidence


def case(seed, batch=1, channels=2, nlat=9, nlon=14, share=0.05):
    """Random fields and masks with few measured cells; what is not measured holds NaN."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, channels, nlat, nlon)
    mask = torch.rand(shape, generator=generator) < share
    values = torch.randn(shape, generator=generator)
    return values.masked_fill(~mask, torch.nan), mask


cases = st.builds(
    case,
    st.integers(0, 2**16),
    nlat=st.integers(1, 12),
    nlon=st.integers(1, 26),
    share=st.sampled_from([0.0, 0.03, 0.3, 1.0]),
)


@pytest.mark.parametrize(
    ("radius", "nlat", "nlon"), [(10, 24, 31), (10, 5, 8), (3, 9, 14), (2.5, 6, 7), (1, 4, 4)]
)
def test_equals_a_double_loop(radius, nlat, nlon):
    values, mask = case(1, batch=2, nlat=nlat, nlon=nlon, share=0.04)
    result = infill(values, mask, radius=radius, chunk=1)
    for b in range(2):
        for c in range(2):
            filled, widened, confidence = loop(
                values[b, c].double().numpy(), mask[b, c].numpy(), radius
            )
            assert np.array_equal(result.mask[b, c].numpy(), widened)
            assert result.values[b, c].numpy() == pytest.approx(filled, rel=1e-6, abs=1e-7)
            assert result.confidence[b, c].numpy() == pytest.approx(confidence, rel=1e-6, abs=1e-7)


def test_single_precision_is_near():
    values, mask = case(2, nlat=40, nlon=60)
    exact, fast = infill(values, mask), infill(values, mask, transform=torch.float32)
    assert torch.equal(exact.mask, fast.mask)
    assert (exact.values - fast.values).abs().max() < 1e-3


def test_weights_are_cressmans():
    weights = cressman_weights(10, 30, 40)
    assert weights[0, 0] == 1
    assert weights[3, 4] == pytest.approx(75 / 125)
    assert weights[-3, -4] == weights[3, 4]
    assert weights[6, 8] == 0
    assert (weights > 0).sum() == 305
    assert weights[weights > 0].min() == pytest.approx(2 / 198)


def test_one_measured_cell_by_hand():
    mask = torch.zeros(1, 1, 5, 8, dtype=torch.bool)
    mask[0, 0, 0, 0] = True
    result = infill(torch.full(mask.shape, 7.0), mask, radius=2)
    reached = [
        [True, True, False, False, False, False, False, True],
        [True, True, *[False] * 5, True],
        *[[False] * 8] * 3,
    ]
    assert result.mask[0, 0].tolist() == reached
    assert torch.allclose(result.values[0, 0], 7.0 * torch.tensor(reached))
    # Neighbours weigh (4 - 1) / (4 + 1), diagonal ones (4 - 2) / (4 + 2);
    # all nine weigh 1 + 4 * 0.6 + 4 / 3.
    whole = 1 + 4 * 0.6 + 4 / 3
    assert result.confidence[0, 0, 0, :2].tolist() == pytest.approx([1, 0.6 / whole])
    assert result.confidence[0, 0, 1, 7].item() == pytest.approx(1 / 3 / whole)


@given(data=cases)
@settings(max_examples=60)
def test_measured_values_stay_and_the_mask_widens(data):
    values, mask = data
    result = infill(values, mask)
    assert torch.equal(result.values[mask], values[mask])
    assert (result.confidence[mask] == 1).all()
    assert (result.mask | ~mask).all()
    assert torch.isfinite(result.values).all()
    assert (result.values[~result.mask] == 0).all()
    assert torch.equal(result.confidence > 0, result.mask)
    assert (result.confidence[result.mask & ~mask] < 1).all()


@given(data=cases, constant=st.floats(-1e3, 1e3, width=32))
@settings(max_examples=60)
def test_a_constant_stays_constant(data, constant):
    _, mask = data
    result = infill(torch.full(mask.shape, constant), mask)
    assert torch.allclose(result.values[result.mask], torch.tensor(constant), rtol=1e-5)


@given(data=cases, shift=st.integers(-30, 30))
@settings(max_examples=60)
def test_turning_the_globe_turns_the_result(data, shift):
    values, mask = data
    result, turned = infill(values, mask), infill(values.roll(shift, -1), mask.roll(shift, -1))
    for name in ("values", "mask", "confidence"):
        assert torch.allclose(
            getattr(result, name).roll(shift, -1).double(),
            getattr(turned, name).double(),
            atol=1e-6,
        )


@given(data=cases)
@settings(max_examples=30)
def test_filled_values_lie_between_the_measured(data):
    values, mask = data
    result = infill(values, mask)
    for b, c in np.ndindex(*mask.shape[:2]):
        if mask[b, c].any():
            inside = result.values[b, c][result.mask[b, c]]
            assert inside.min() >= values[b, c][mask[b, c]].min() - 1e-5
            assert inside.max() <= values[b, c][mask[b, c]].max() + 1e-5


def test_poles_do_not_meet():
    mask = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    mask[..., 0, 5] = True
    reached = infill(torch.ones(mask.shape), mask).mask[0, 0]
    assert reached[:10, 5].all()
    assert not reached[10:].any()


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_chunks_and_one_mask_for_all_channels_change_nothing(chunk):
    values, mask = case(3, batch=3, channels=5, nlat=12, nlon=20)
    mask = mask[:, :1]
    values = torch.randn(values.shape).masked_fill(~mask, torch.nan)
    single = infill(values, mask, chunk=chunk)
    every = infill(values, mask.expand(values.shape))
    assert single.mask.shape == single.confidence.shape == mask.shape
    assert torch.equal(single.mask.expand(values.shape), every.mask)
    assert torch.allclose(single.values, every.values, atol=1e-6)
    assert torch.allclose(single.confidence.expand(values.shape), every.confidence, atol=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_measured_cell_without_a_value_is_not_measured(bad):
    values, mask = torch.ones(1, 2, 6, 12), torch.zeros(1, 2, 6, 12, dtype=torch.bool)
    mask[..., 2, 3] = mask[..., 2, 4] = True
    values[0, 0, 2, 3] = bad
    result = infill(values, mask)
    assert torch.isfinite(result.values).all()
    assert result.confidence[0, 0, 2, 3] < 1
    assert result.confidence[0, 1, 2, 3] == 1
    together = infill(values, mask[:, :1])
    assert together.confidence[0, 0, 2, 3] < 1


def test_inputs_are_left_alone():
    values, mask = case(4)
    before, mask_before = values.clone(), mask.clone()
    infill(values, mask)
    assert torch.equal(values.nan_to_num(), before.nan_to_num())
    assert torch.equal(mask, mask_before)


def test_fields_that_do_not_fit_are_refused():
    values, mask = case(5)
    for wrong in (mask[..., 1:], mask.float(), mask[0]):
        with pytest.raises(ValueError, match="mask is"):
            infill(values, wrong)
    for wrong in (values[0], mask):
        with pytest.raises(ValueError, match="values are"):
            infill(wrong, mask)
    with pytest.raises(ValueError, match="radius"):
        infill(values, mask, radius=0)
    with pytest.raises(ValueError, match="chunk"):
        infill(values, mask, chunk=0)
    with pytest.raises(ValueError, match="epsilon"):
        infill(values, mask, epsilon=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_devices_agree():
    values, mask = case(6, nlat=40, nlon=60)
    on_cpu, on_gpu = infill(values, mask), infill(values.cuda(), mask.cuda())
    assert torch.equal(on_cpu.mask, on_gpu.mask.cpu())
    assert torch.allclose(on_cpu.values, on_gpu.values.cpu(), atol=1e-6)
