"""Dense tensors from sparse cells, made on the device that computes.

The papers' networks see dense hourly grids, of which a polar orbiter fills a few per cent. Disk, memory and bus carry
the observed cells alone (:mod:`fuxiflow.observations.sparse_grids`); only here do they become (hour, channel, lat, lon).
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseWindow


@dataclass(frozen=True)
class DenseWindow:
    """``values (hour, channel, lat, lon)`` float32, 0 where nothing was observed; ``mask``, bool, of the same shape."""

    values: Tensor
    mask: Tensor


def _check_window(window: SparseWindow, grid: Grid, hours: int) -> None:
    """ValueError when cells or slots lie outside: on a GPU such an index would end the process, not this call."""
    if grid.poles:
        raise ValueError("sparse grids have no rows on the poles: use a Grid with poles=False")
    if hours < 1:
        raise ValueError(f"a window of {hours} hours holds nothing")
    for name, indices, size in (
        ("slot", window.slot, hours),
        ("cell", window.cell, grid.nlat * grid.nlon),
    ):
        if len(indices) and not (indices.min() >= 0 and indices.max() < size):
            raise ValueError(
                f"{name} {indices.min()} to {indices.max()} of the window, expected 0 to {size - 1}"
            )
    if np.any(np.diff(window.slot) < 0):
        raise ValueError("rows of the window are not in the order of their slots")


def _zeros(shape: tuple[int, ...], kind: type, device: torch.device | str) -> Tensor:
    """Zeros on a device. In main memory numpy makes them: unlike torch it asks for huge pages, and mapping small ones
    takes longer (0.25 s for 0.7 GB, against 0.04 s) than reading the window from disk."""
    if torch.device(device).type == "cpu":
        return torch.from_numpy(np.zeros(shape, kind))
    return torch.zeros(shape, dtype=torch.from_numpy(np.zeros(0, kind)).dtype, device=device)


@torch.no_grad()
def densify(
    window: SparseWindow,
    grid: Grid,
    hours: int,
    device: torch.device | str = "cpu",
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
) -> DenseWindow:
    """A sparse window of ``hours`` slots as dense tensors on ``device``.

    With ``mean`` and ``std`` ``(channel,)`` (:class:`fuxiflow.observations.statistics.GridStatistics`), values are
    standardised, without they keep their unit. NaN, a missing channel, becomes 0 and False. ValueError when the window
    does not fit the grid, the hours or the statistics.
    """
    _check_window(window, grid, hours)
    channels, cells = window.values.shape[1], grid.nlat * grid.nlon
    rows = torch.from_numpy(np.ascontiguousarray(window.values)).to(device)
    if (mean is None) != (std is None):
        raise ValueError("give both mean and std, or neither")
    if mean is not None:
        if len(mean) != channels or len(std) != channels:
            raise ValueError(
                f"statistics of {len(mean)} and {len(std)} channels, the window has {channels}"
            )
        rows = (rows - torch.as_tensor(mean, device=device)) / torch.as_tensor(std, device=device)
    cell = torch.from_numpy(np.ascontiguousarray(window.cell)).to(device)
    values = _zeros((hours, channels, cells), np.float32, device)
    mask = _zeros((hours, channels, cells), np.bool_, device)
    edges = np.searchsorted(window.slot, np.arange(hours + 1))
    for hour, (begin, end) in enumerate(pairwise(edges)):
        fields = rows[
            begin:end
        ].T.contiguous()  # (channel, n): each channel's field is written in order
        present = torch.isfinite(fields)
        values[hour].index_copy_(1, cell[begin:end], fields.masked_fill(~present, 0.0))
        mask[hour].index_copy_(1, cell[begin:end], present)
    shape = (hours, channels, grid.nlat, grid.nlon)
    return DenseWindow(values.view(shape), mask.view(shape))


RADIUS = 10.0  # cells; FuXiWeather2
EPSILON = 1e-4  # FuXiWeather2
CHUNK = 2  # fields transformed at once: more take longer each on a CPU, as they leave its cache; raise it on a GPU


@dataclass(frozen=True)
class Infilled:
    """Filled fields ``values (batch, channel, lat, lon)``, 0 beyond reach; ``mask``, bool, True where measured or
    filled; ``confidence``, 1 where measured, 0 beyond reach. The last two have as many channels as the mask given."""

    values: Tensor
    mask: Tensor
    confidence: Tensor


def cressman_weights(
    radius: float, rows: int, columns: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Cressman weights ``(rows, columns)`` float64 of the cells around cell (0, 0), cyclic in both directions.

    A cell counts once, by its shortest way round. ValueError when the radius is not positive.
    """
    if not radius > 0:
        raise ValueError(f"radius {radius}: must be positive, in cells")
    squares = []
    for size in (rows, columns):
        index = torch.arange(size, device=device, dtype=torch.float64)
        squares.append(torch.minimum(index, size - index).square())
    distance = squares[0][:, None] + squares[1]
    return ((radius**2 - distance) / (radius**2 + distance)).clamp_min(0.0)


def _smooth_length(size: int) -> int:
    """The least number >= ``size`` without prime factors above 5: lengths that FFTs do fast."""

    def smooth(number: int) -> bool:
        for factor in (2, 3, 5):
            while number % factor == 0:
                number //= factor
        return number == 1

    while not smooth(size):
        size += 1
    return size


def _check_fields(values: Tensor, mask: Tensor, chunk: int, epsilon: float) -> None:
    if values.ndim != 4 or not values.is_floating_point():
        raise ValueError(
            f"values are {values.dtype} {tuple(values.shape)}, expected floats (batch, channel, lat, lon)"
        )
    batch, channels, *grid = values.shape
    if mask.dtype != torch.bool or tuple(mask.shape) not in (
        (batch, channels, *grid),
        (batch, 1, *grid),
    ):
        raise ValueError(
            f"mask is {mask.dtype} {tuple(mask.shape)}, expected bool {tuple(values.shape)} or with one "
            f"channel"
        )
    if chunk < 1 or not epsilon > 0:
        raise ValueError(f"chunk {chunk} must be at least 1, epsilon {epsilon} positive")


@torch.no_grad()
def infill(
    values: Tensor,
    mask: Tensor,
    radius: float = RADIUS,
    epsilon: float = EPSILON,
    chunk: int = CHUNK,
    transform: torch.dtype = torch.float64,
) -> Infilled:
    """Fill cells within ``radius`` of measured ones; measured cells keep their value.

    ``values (batch, channel, lat, lon)`` are standardised, of any content where ``mask`` is False; ``mask``, bool, has
    their shape, or one channel for all. A measured cell whose value is not finite counts as not measured (with one mask
    for all channels: if any of them is not). Longitude is cyclic; beyond the first and last row there is nothing.
    Works on the device of ``values``, ``chunk`` fields at a time; needs no gradient and gives none.

    ``epsilon`` is the least sum of weights that counts. The smallest weight of a radius of 10 is 0.0101, so that every
    cell within reach is filled; added to the sum instead, as is common, it would pull lone cells up to 1 % towards 0.
    ``transform`` float32 is faster; its rounding, 4e-6, is divided by the sum of weights: up to 4e-4 at the rim.

    Raises ValueError for shapes, types or settings that do not fit.
    """
    _check_fields(values, mask, chunk, epsilon)
    nlat, nlon = values.shape[-2:]
    reach = math.ceil(radius)
    rows = _smooth_length(
        max(nlat, reach) + reach
    )  # rows of zeros keep the poles apart, and hold the kernel whole
    kernel = cressman_weights(radius, rows, nlon, values.device)
    spectrum = torch.fft.rfft2(kernel).real.to(transform)
    whole = float(kernel.sum())

    def spread(fields: Tensor) -> Tensor:
        transformed = torch.fft.rfft2(fields.to(transform), s=(rows, nlon))
        return torch.fft.irfft2(transformed.mul_(spectrum), s=(rows, nlon))[..., :nlat, :]

    filled = torch.empty_like(values)
    widened = torch.empty_like(mask)
    confidence = torch.empty(mask.shape, dtype=values.dtype, device=values.device)
    shared = mask.shape[1] < values.shape[1]
    for sample in range(len(values)):
        for first in range(0, values.shape[1], chunk):
            part = slice(first, first + chunk)
            known = slice(0, 1) if shared else part
            if first == 0 or not shared:
                finite = torch.isfinite(values[sample, slice(None) if shared else part])
                measured = mask[sample, known] & (finite.all(0, keepdim=True) if shared else finite)
                total = spread(measured)
                near = total > epsilon
                widened[sample, known] = near | measured
                certainty = (total / whole).clamp(0.0, 1.0) * near
                confidence[sample, known] = certainty.masked_fill(measured, 1.0).to(values.dtype)
            given = values[sample, part]
            mean = spread(given.masked_fill(~measured, 0.0)) / total.clamp_min(epsilon)
            filled[sample, part] = torch.where(
                measured, given, mean.masked_fill(~near, 0.0).to(values.dtype)
            )
    return Infilled(filled, widened, confidence)
