"""Sparse observations to features on the grid: each observed cell is encoded by itself, then scattered.

A simplified PointPillars encoder, as FuXi Weather uses one (arXiv 2408.05472): work and memory follow the number of
observed cells, not the size of the globe times the hours of a window.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fuxiflow.observations.sparse import SparseWindow


@dataclass
class Footprints:
    """Observed cells of one source for a batch of windows.

    ``sample``, ``slot`` and ``cell (n,)`` say where: the window in the batch, the hour in the window, row · nlon +
    column. ``values (n, channel)`` are standardised, NaN where a channel is missing; ``zenith (n,)`` in degrees.
    """

    sample: Tensor
    slot: Tensor
    cell: Tensor
    values: Tensor
    zenith: Tensor

    def to(self, device: torch.device) -> "Footprints":
        """The same on another device."""
        return Footprints(*(getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.cell)

    def kept(self, sample: Tensor) -> "Footprints":
        """Without the windows in which ``sample (batch,)`` is False."""
        keep = sample[self.sample]
        return Footprints(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def footprints(windows: Sequence[SparseWindow], standardise: Callable[[np.ndarray], np.ndarray]) -> Footprints:
    """Join the sparse windows of a batch, one a sample; ``standardise`` maps their values ``(n, channel)``."""
    def joined(name: str, kind: type) -> Tensor:
        return torch.from_numpy(np.concatenate([getattr(window, name) for window in windows]).astype(kind))

    sample = np.repeat(np.arange(len(windows)), [len(window) for window in windows])
    values = standardise(np.concatenate([window.values for window in windows]))
    return Footprints(torch.from_numpy(sample), joined("slot", np.int64), joined("cell", np.int64),
                      torch.from_numpy(values), joined("zenith", np.float32))  # fmt: skip


def predictors(column: Tensor, zenith: Tensor) -> Tensor:
    """What an observation is first guessed from: the background's column ``(n, state)``, also times the slant.

    The slant is 1 / cos(zenith) - 1, zero at nadir; ``(n, 2 state + 3)`` with the slant, its square and a one.
    """
    slant = (1 / torch.cos(torch.deg2rad(zenith)) - 1)[:, None]
    return torch.cat([column, column * slant, slant, slant**2, torch.ones_like(slant)], -1)


class PillarEncoder(nn.Module):
    """:class:`Footprints` → ``(batch, width, lat, lon)`` and the mask ``(batch, 1, lat, lon)`` of observed cells.

    Each cell is seen as its departure from the background: the measurement less a linear function of the background's
    column, ``equivalent``, in units of that function's misfit, ``scale``. Both are fitted to reanalysis before training
    (:mod:`fuxiflow.training.departures`) and the function is trained on. Cells that are seen in several hours get
    the mean of their features. Without observations features and mask are zero.
    """

    LARGEST = 8.0

    def __init__(self, channels: int, states: int, slots: int, first_hour: int, shape: tuple[int, int], width: int):
        super().__init__()
        self.shape, self.width, self.slots, self.first_hour = shape, width, slots, first_hour
        self.equivalent = nn.Linear(2 * states + 3, channels, bias=False)
        self.register_buffer("scale", torch.ones(channels))
        self.encode = nn.Sequential(
            nn.Linear(3 * channels + 4, 2 * width), nn.GELU(), nn.Linear(2 * width, 2 * width), nn.GELU(),
            nn.Linear(2 * width, width),
        )  # fmt: skip

    def departures(self, footprints: Footprints, background: Tensor) -> Tensor:
        """Departures ``(n, channel)`` from ``background (batch, state, lat, lon)``, NaN where a channel is missing."""
        column = background.flatten(2)[footprints.sample, :, footprints.cell]
        with torch.autocast(background.device.type, enabled=False):
            guess = self.equivalent(predictors(column.float(), footprints.zenith))
        return (footprints.values - guess) / self.scale

    def forward(self, footprints: Footprints, background: Tensor) -> tuple[Tensor, Tensor]:
        """Encode and scatter."""
        batch, cells = len(background), self.shape[0] * self.shape[1]
        present = torch.isfinite(footprints.values)
        departures = self.departures(footprints, background).clamp(-self.LARGEST, self.LARGEST)
        hour = self.first_hour + footprints.slot + 0.5
        angle = 2 * torch.pi * hour / self.slots
        geometry = torch.stack([angle.sin(), angle.cos(), hour / self.slots, (footprints.zenith / 60) ** 2], -1)
        measured = (torch.where(present, values, 0.0) for values in (departures, footprints.values))
        features = self.encode(torch.cat([*measured, present, geometry], -1))
        where = footprints.sample * cells + footprints.cell
        total = features.new_zeros(batch * cells, self.width).index_add(0, where, features)
        count = features.new_zeros(batch * cells).index_add(0, where, torch.ones_like(where, dtype=features.dtype))
        mean = total / count.clamp_min(1)[:, None]
        dense = mean.view(batch, *self.shape, self.width).permute(0, 3, 1, 2)
        return dense, (count > 0).to(dense.dtype).view(batch, 1, *self.shape)
