"""Dense tensors from sparse cells, made on the device that computes.

The papers' networks see dense hourly grids, of which a polar orbiter fills a few per cent. Disk, memory and bus carry
the observed cells alone (:mod:`fuxiflow.observations.sparse`); only here do they become (hour, channel, lat, lon).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from fuxiflow.grids import Grid
from fuxiflow.observations.sparse import SparseWindow


@dataclass(frozen=True)
class DenseWindow:
    """``values (hour, channel, lat, lon)`` float32, 0 where nothing was observed; ``mask``, bool, of the same shape."""

    values: Tensor
    mask: Tensor


def _checked(window: SparseWindow, grid: Grid, hours: int) -> None:
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
    _checked(window, grid, hours)
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
