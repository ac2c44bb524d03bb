"""Dense tensors from sparse cells, made on the device that computes.

The papers' networks see dense hourly grids, of which a polar orbiter fills a few per cent. Disk, memory and bus carry
the observed cells alone (:mod:`fuxiflow.observations.sparse`); only here do they become (hour, channel, lat, lon).
"""

from dataclasses import dataclass

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
    for name, indices, size in (("slot", window.slot, hours), ("cell", window.cell, grid.nlat * grid.nlon)):
        if len(indices) and not (indices.min() >= 0 and indices.max() < size):
            raise ValueError(f"{name} {indices.min()} to {indices.max()} of the window, expected 0 to {size - 1}")


@torch.no_grad()
def densify(window: SparseWindow, grid: Grid, hours: int, device: torch.device | str = "cpu",
            mean: np.ndarray | None = None, std: np.ndarray | None = None) -> DenseWindow:
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
            raise ValueError(f"statistics of {len(mean)} and {len(std)} channels, the window has {channels}")
        rows = (rows - torch.as_tensor(mean, device=device)) / torch.as_tensor(std, device=device)
    first = torch.from_numpy(window.slot * (channels * cells) + window.cell).to(device)
    values = torch.zeros(hours * channels * cells, device=device)
    mask = torch.zeros(hours * channels * cells, dtype=torch.bool, device=device)
    for channel in range(channels):  # one after the other: each writes its hours' fields in order
        column = rows[:, channel]
        present = torch.isfinite(column)
        place = first + channel * cells
        values[place] = torch.where(present, column, 0.0)
        mask[place] = present
    shape = (hours, channels, grid.nlat, grid.nlon)
    return DenseWindow(values.view(shape), mask.view(shape))
