"""Swin Transformer V2 blocks on the globe: windows wrap the date line and stop at the poles.

Source: Liu et al., Swin Transformer V2, CVPR 2022 (scaled cosine attention, log-spaced continuous position bias,
residual post-normalisation).
"""

import math
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from fuxiflow.models.layers import zero

MAX_SCALE = math.log(100.0)


def partition(x: Tensor, window: tuple[int, int]) -> Tensor:
    """``(batch, lat, lon, width)`` → ``(batch · windows, cells of a window, width)``."""
    b, h, w, d = x.shape
    r, c = window
    return x.view(b, h // r, r, w // c, c, d).transpose(2, 3).reshape(-1, r * c, d)


def merge(x: Tensor, window: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """The inverse of :func:`partition` for a grid of ``shape``."""
    (r, c), (h, w) = window, shape
    return x.view(-1, h // r, w // c, r, c, x.shape[-1]).transpose(2, 3).reshape(-1, h, w, x.shape[-1])


@cache
@torch.inference_mode(False)
def _log_offsets(window: tuple[int, int]) -> Tensor:
    """Relative positions within a window on the paper's log scale, ``(cells, cells, 2)``.

    Kept for later calls, so never an inference tensor: a process may train after it has forecast.
    """
    rows, columns = torch.meshgrid(torch.arange(window[0]), torch.arange(window[1]), indexing="ij")
    cells = torch.stack([rows, columns], -1).view(-1, 2).float()
    offsets = (cells[:, None] - cells[None]) / torch.tensor([max(n - 1, 1) for n in window]) * 8
    return offsets.sign() * torch.log2(offsets.abs() + 1) / 3


@cache
def polar_mask(shape: tuple[int, int], window: tuple[int, int], shift: int) -> Tensor | None:
    """Which cells of a window shifted by ``shift`` rows may attend to each other: ``(windows, cells, cells)``, bool.

    Rolling the rows brings both poles into the last windows; they must not see each other. None without a shift.
    """
    if not shift:
        return None
    side = torch.zeros(1, *shape, 1)
    side[:, -shift:] = 1
    side = partition(side, window)[..., 0]
    return side[:, :, None] == side[:, None, :]


class WindowAttention(nn.Module):
    """Scaled cosine attention within windows, with a position bias made by a small network."""

    def __init__(self, width: int, heads: int, window: tuple[int, int]):
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.bias = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, heads, bias=False))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``(batch · windows, cells, width)``; ``mask (windows, cells, cells)`` is True where attention is allowed."""
        n, cells, width = x.shape
        q, k, v = self.qkv(x).view(n, cells, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q = functional.normalize(q, dim=-1) * self.log_scale.clamp(max=MAX_SCALE).exp()
        k = functional.normalize(k, dim=-1)
        offsets = _log_offsets(self.window).to(x.device)
        bias = 16 * torch.sigmoid(self.bias(offsets)).permute(2, 0, 1)
        bias = bias[None].to(q.dtype)
        if mask is not None:
            windows = mask.shape[0]
            bias = bias.masked_fill(~mask.to(x.device)[:, None], float("-inf")).repeat(n // windows, 1, 1, 1)
        y = functional.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), attn_mask=bias, scale=1.0)
        return self.out(y.transpose(1, 2).reshape(n, cells, width))


class SwinBlock(nn.Module):
    """One Swin-V2 block; with ``shifted`` its windows are moved by half a window in both directions."""

    def __init__(self, width: int, heads: int, window: tuple[int, int], shape: tuple[int, int], shifted: bool):
        super().__init__()
        if shape[0] % window[0] or shape[1] % window[1]:
            raise ValueError(f"a token grid of {shape} does not divide into windows of {window}")
        self.window, self.shape = window, shape
        # a window as wide as the grid sees every neighbour already
        self.shift = tuple(w // 2 if shifted and w < s else 0 for w, s in zip(window, shape, strict=True))
        self.attention = WindowAttention(width, heads, window)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        for norm in self.norms:
            zero(norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lat, lon, width)``, shape kept."""
        y = x.roll((-self.shift[0], -self.shift[1]), (1, 2)) if any(self.shift) else x
        mask = polar_mask(self.shape, self.window, self.shift[0])
        y = merge(self.attention(partition(y, self.window), mask), self.window, self.shape)
        y = y.roll(self.shift, (1, 2)) if any(self.shift) else y
        x = x + self.norms[0](y)
        return x + self.norms[1](self.mlp(x))
