"""Dense tensors from sparse cells, and infill: measured values spread to the cells around them.

The papers' networks see dense hourly grids, of which a polar orbiter fills a few per cent. Disk,
memory and bus carry the observed cells alone (:mod:`fuxiflow.observations.sparse_grids`);
:func:`densify` makes (hour, channel, lat, lon) of them on the device that computes.

FuXiWeather2 (arXiv 2603.15358) fills the dense grids of every source after standardisation and
before its encoders: a swath or a station fills one cell in many, and a convolution over mostly
empty fields learns slowly. The filled field, the widened mask and the confidence are all inputs of
the encoder, so that the network can tell measured cells from filled ones.

Notes
-----
Weights of :func:`infill` are those of Cressman (1959, Mon. Wea. Rev. 87, 367-374),
(R² - d²) / (R² + d²) for distances d < R, in cells as the paper has it, not in kilometres. The
filled value is the weighted mean of the measured cells within reach, a normalised convolution; its
confidence is the certainty of Knutsson and Westin (1993, CVPR, 515-523), as Eldesokey et al. (2018,
BMVC, arXiv 1805.11913) propagate it: the measured share of the weights.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseWindow

RADIUS = 10.0  # cells; FuXiWeather2
EPSILON = 1e-4  # FuXiWeather2
CHUNK = 2  # fields at once: on a CPU more of them leave its cache; raise it on a GPU


@dataclass(frozen=True)
class DenseWindow:
    """The dense grids of a window.

    Attributes
    ----------
    values : Tensor
        ``(hour, channel, lat, lon)`` float32, 0 where nothing was observed.
    mask : Tensor
        bool, of the same shape, True where there is a value.
    """

    values: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Infilled:
    """Fields after infill.

    Attributes
    ----------
    values : Tensor
        ``(batch, channel, lat, lon)``, 0 beyond reach of measured cells.
    mask : Tensor
        bool, True where measured or filled; as many channels as the mask of the input.
    confidence : Tensor
        1 where measured, 0 beyond reach; as many channels as the mask.
    """

    values: Tensor
    mask: Tensor
    confidence: Tensor


def _check_window(window: SparseWindow, grid: Grid, hours: int) -> None:
    """Check that a window fits its grid and hours.

    On a GPU an index out of bounds would end the process, not just the call.

    Parameters
    ----------
    window : SparseWindow
        Observed cells, n rows.
    grid : Grid
        The grid that they lie on.
    hours : int
        The number of slots.

    Raises
    ------
    ValueError
        Where cells or slots lie outside, or rows are not in the order of slots.
    """
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
    """Allocate zeros on a device.

    In main memory numpy allocates them. Unlike torch it asks for huge pages, and mapping small ones
    takes longer than reading the window from disk.

    Parameters
    ----------
    shape : tuple[int, ...]
        Shape of the tensor.
    kind : type
        Its numpy type.
    device : torch.device or str
        The device.

    Returns
    -------
    Tensor
        Zeros of the shape.
    """
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
    """Turn a sparse window into dense tensors on a device.

    Parameters
    ----------
    window : SparseWindow
        Observed cells, rows in the order of their slots.
    grid : Grid
        The grid that they lie on, without poles.
    hours : int
        The number of slots.
    device : torch.device or str
        The device on which the tensors are made.
    mean, std : np.ndarray, optional
        Statistics ``(channel,)`` by which values are standardised, see
        :class:`fuxiflow.observations.statistics.GridStatistics`; without them values keep their
        unit.

    Returns
    -------
    DenseWindow
        A missing channel, NaN in the window, is 0 and False.

    Raises
    ------
    ValueError
        Where the window does not fit the grid, the hours or the statistics.
    """
    _check_window(window, grid, hours)
    channels = window.values.shape[1]
    cells = grid.nlat * grid.nlon
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
        # (channel, n): each channel's field is written in the order of memory
        fields = rows[begin:end].T.contiguous()
        present = torch.isfinite(fields)
        values[hour].index_copy_(1, cell[begin:end], fields.masked_fill(~present, 0.0))
        mask[hour].index_copy_(1, cell[begin:end], present)
    shape = (hours, channels, grid.nlat, grid.nlon)
    return DenseWindow(values.view(shape), mask.view(shape))


def cressman_weights(
    radius: float, rows: int, columns: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Compute the Cressman weights of the cells around cell (0, 0), cyclic in both directions.

    A cell counts once, by its shortest way round.

    Parameters
    ----------
    radius : float
        Distance at which the weight becomes 0, in cells.
    rows, columns : int
        Shape of the grid.
    device : torch.device or str
        The device on which they are made.

    Returns
    -------
    Tensor
        ``(rows, columns)`` float64.

    Raises
    ------
    ValueError
        Where the radius is not positive.
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
    """Raise ``size`` to the next number without prime factors above 5, which FFTs do fast."""

    def smooth(number: int) -> bool:
        for factor in (2, 3, 5):
            while number % factor == 0:
                number //= factor
        return number == 1

    while not smooth(size):
        size += 1
    return size


def _check_fields(values: Tensor, mask: Tensor, chunk: int, epsilon: float) -> None:
    """Check the arguments of :func:`infill`.

    Parameters
    ----------
    values, mask, chunk, epsilon
        As :func:`infill` takes them.

    Raises
    ------
    ValueError
        Where shapes, types or settings do not fit.
    """
    if values.ndim != 4 or not values.is_floating_point():
        raise ValueError(
            f"values are {values.dtype} {tuple(values.shape)}, "
            f"expected floats (batch, channel, lat, lon)"
        )
    batch, channels, *grid = values.shape
    if mask.dtype != torch.bool or tuple(mask.shape) not in (
        (batch, channels, *grid),
        (batch, 1, *grid),
    ):
        raise ValueError(
            f"mask is {mask.dtype} {tuple(mask.shape)}, "
            f"expected bool {tuple(values.shape)} or with one channel"
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

    Longitude is cyclic; beyond the first and last row there is nothing. Works on the device of
    ``values``; needs no gradient and gives none. The convolution is done by FFT.

    Parameters
    ----------
    values : Tensor
        Standardised, ``(batch, channel, lat, lon)``, of any content where ``mask`` is False.
    mask : Tensor
        bool, of the same shape, or with one channel for all. A measured cell whose value is not
        finite counts as not measured (with one mask for all channels: if any of them is not).
    radius : float
        Reach of a measured cell, in cells.
    epsilon : float
        The least sum of weights that counts. The smallest weight of a radius of 10 is 0.0101, so
        that every cell within reach is filled. Added to the sum instead, as is common, it would
        pull lone cells up to 1 % towards 0.
    chunk : int
        Fields that are transformed at once.
    transform : torch.dtype
        Precision of the FFT. float32 is faster; its rounding, 4e-6, is divided by the sum of
        weights: up to 4e-4 at the rim.

    Returns
    -------
    Infilled
        Filled values, the widened mask and the confidence.

    Raises
    ------
    ValueError
        Where shapes, types or settings do not fit.
    """
    _check_fields(values, mask, chunk, epsilon)
    nlat, nlon = values.shape[-2:]
    reach = math.ceil(radius)
    # Rows of zeros keep the poles apart, and let the kernel fit whole.
    rows = _smooth_length(max(nlat, reach) + reach)
    kernel = cressman_weights(radius, rows, nlon, values.device)
    # The kernel is even, so its spectrum is real.
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
            mask_part = slice(0, 1) if shared else part
            # A mask for all channels is spread once, with the first fields.
            if first == 0 or not shared:
                finite = torch.isfinite(values[sample, slice(None) if shared else part])
                measured = mask[sample, mask_part] & (
                    finite.all(0, keepdim=True) if shared else finite
                )
                total = spread(measured)
                near = total > epsilon
                widened[sample, mask_part] = near | measured
                certainty = (total / whole).clamp(0.0, 1.0) * near
                confidence[sample, mask_part] = certainty.masked_fill(measured, 1.0).to(
                    values.dtype
                )
            fields = values[sample, part]
            mean = spread(fields.masked_fill(~measured, 0.0)) / total.clamp_min(epsilon)
            filled[sample, part] = torch.where(
                measured, fields, mean.masked_fill(~near, 0.0).to(values.dtype)
            )
    return Infilled(filled, widened, confidence)
