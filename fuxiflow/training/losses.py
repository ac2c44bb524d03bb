"""Losses on standardised states."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid


class StateLoss(nn.Module):
    """L_state: latitude- and channel-weighted L1.

    Each channel is measured in units of its 6-h change, so that slow fields count as much as fast ones, times its
    weight in the channel table; latitudes by their cell area. NaN in the target (a missing precipitation) counts
    nothing.
    """

    def __init__(self, channels: Sequence[str], grid: Grid, tendency: Tensor):
        super().__init__()
        loss_weight = torch.tensor([channel_table()[name].loss_weight for name in channels])
        weight = (loss_weight / loss_weight.mean())[:, None, None] / tendency.cpu().view(-1, 1, 1)
        area = torch.as_tensor(np.asarray(grid.area_weights), dtype=torch.float32)[:, None]
        self.register_buffer("weight", (weight * area).float())

    def forward(self, state: Tensor, target: Tensor) -> Tensor:
        """``(batch, channel, lat, lon)`` twice → a scalar; ``state`` may have more channels than the loss."""
        count = len(self.weight)
        difference = (state[:, :count].float() - target[:, :count]).abs() * self.weight
        # a missing target is 0; a state that is not a number must show
        return torch.where(target[:, :count].isnan(), 0.0, difference).mean()
