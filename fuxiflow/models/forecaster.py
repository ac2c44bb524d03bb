"""The forecaster: FuXi's U-Transformer, two states in, the state six hours later out.

Source: Chen et al., FuXi, npj Clim. Atmos. Sci. 6, 190 (2023): cube embedding of 2 x 4 x 4, a
down-sampling block, Swin-V2 blocks, an up-sampling block joined to its counterpart, and a linear
head.
"""

import torch
from torch import Tensor, nn

from fuxiflow.models.layers import Down, Up, apply, time_features, zero
from fuxiflow.models.swin import SwinBlock

FRAMES = 2


class Forecaster(nn.Module):
    """x(t-6 h), x(t) → x(t+6 h), all standardised.

    With ``recompute`` training keeps the inputs of blocks and no other activations.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        shape: tuple[int, int],
        statics: Tensor,
        tendency: Tensor,
        *,
        patch: int,
        width: int,
        blocks: int,
        heads: int,
        window: tuple[int, int],
    ):
        """Build the layers.

        Parameters
        ----------
        inputs, outputs : int
            Channels that come in and go out: those of the input first, as increments on x(t), then
            what only a forecast has (precipitation).
        shape : tuple of int
            The grid ``(lat, lon)``, divisible by twice the patch.
        statics : Tensor
            Static fields ``(static, lat, lon)``, inputs too.
        tendency : Tensor
            The unit of increments, ``(input, 1, 1)``.
        patch : int
            Cells of a token, each way.
        width : int
            Channels of a token.
        blocks : int
            Swin blocks.
        heads : int
            Heads of their attention.
        window : tuple of int
            Tokens of an attention window.
        """
        super().__init__()
        if any(side % (2 * patch) for side in shape):
            raise ValueError(
                f"a grid of {shape} cells is not divisible by twice the patch of {patch}"
            )
        self.patch, self.shape, self.recompute, self.inputs = patch, shape, False, inputs
        self.register_buffer("statics", statics)
        self.register_buffer("tendency", tendency)
        tokens = (shape[0] // (2 * patch), shape[1] // (2 * patch))
        self.embed = nn.Conv3d(inputs, width, (FRAMES, patch, patch), (FRAMES, patch, patch))
        self.embed_statics = nn.Conv2d(len(statics), width, patch, patch)
        self.embed_time = nn.Sequential(nn.Linear(4, width), nn.SiLU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.down = Down(width, width, 1)
        self.position = nn.Parameter(torch.zeros(1, *tokens, width))
        self.blocks = nn.ModuleList(
            SwinBlock(width, heads, tuple(window), tokens, bool(i % 2)) for i in range(blocks)
        )
        self.up = Up(2 * width, width, 1)
        self.head = zero(nn.Linear(2 * width, outputs * patch * patch))

    def forward(self, states: Tensor, day_of_year: Tensor, hour: Tensor) -> Tensor:
        """Forecast one step.

        Parameters
        ----------
        states : Tensor
            ``(batch, 2, input, lat, lon)``.
        day_of_year, hour : Tensor
            The time of the last state, ``(batch,)`` each.

        Returns
        -------
        Tensor
            ``(batch, output, lat, lon)``.
        """
        x = self.embed(states.transpose(1, 2))[:, :, 0] + self.embed_statics(self.statics[None])
        x = x + self.embed_time(time_features(day_of_year, hour).to(x.dtype))[:, :, None, None]
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        low = apply(self.down, x, recompute=self.recompute)
        # tokens in one piece: of others without gradients a linear layer copies its weights for
        # every row
        y = (low.permute(0, 2, 3, 1) + self.position).contiguous()
        for block in self.blocks:
            y = apply(block, y, recompute=self.recompute)
        y = apply(self.up, torch.cat([low, y.permute(0, 3, 1, 2)], 1), recompute=self.recompute)
        y = self.head(torch.cat([x, y], 1).permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)
        y = nn.functional.pixel_shuffle(y, self.patch).float()
        return torch.cat(
            [states[:, -1] + y[:, : self.inputs] * self.tendency, y[:, self.inputs :]], 1
        )
