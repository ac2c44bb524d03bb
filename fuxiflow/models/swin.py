"""Swin Transformer V2 blocks on the globe: windows wrap the date line and stop at the poles.

Source: Liu et al., Swin Transformer V2, CVPR 2022 (scaled cosine attention, log-spaced continuous
position bias, residual post-normalisation).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fuxiflow.models.layers import zero

MAX_SCALE = math.log(100.0)


def partition_windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """``(batch, lat, lon, width)`` → ``(batch, windows, cells of a window, width)``."""
    b, h, w, d = x.shape
    r, c = window
    return x.view(b, h // r, r, w // c, c, d).transpose(2, 3).reshape(b, -1, r * c, d)


def merge_windows(x: Tensor, window: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """Put windows together again, the inverse of :func:`partition_windows`.

    Parameters
    ----------
    x : Tensor
        ``(batch, windows, cells of a window, width)``.
    window : tuple of int
        Rows and columns of a window.
    shape : tuple of int
        Rows and columns of the grid.

    Returns
    -------
    Tensor
        ``(batch, lat, lon, width)``.
    """
    r, c = window
    h, w = shape
    return (
        x.view(-1, h // r, w // c, r, c, x.shape[-1]).transpose(2, 3).reshape(-1, h, w, x.shape[-1])
    )


def log_offsets(window: tuple[int, int]) -> Tensor:
    """Relative positions that occur within a window, on the paper's log scale, ``(offset, 2)``.

    On the processor whatever the default device: no checkpoint holds them, so they must be there
    when weights come.
    """
    steps = (torch.arange(1 - n, n, device="cpu") for n in window)
    offsets = torch.stack(torch.meshgrid(*steps, indexing="ij"), -1).view(-1, 2).float()
    offsets = offsets / torch.tensor([max(n - 1, 1) for n in window], device="cpu") * 8
    return offsets.sign() * torch.log2(offsets.abs() + 1) / 3


def offset_rows(window: tuple[int, int]) -> Tensor:
    """Row of :func:`log_offsets` for each pair of cells, ``(cells, cells)``; on the processor."""
    cells = torch.meshgrid(*(torch.arange(n, device="cpu") for n in window), indexing="ij")
    down, across = (
        part.flatten()[:, None] - part.flatten() + n - 1
        for part, n in zip(cells, window, strict=True)
    )
    return down * (2 * window[1] - 1) + across


def polar_mask(window: tuple[int, int], shift: int) -> Tensor:
    """Mask the pairs of cells of the last row of windows that may attend to each other.

    Rolling the rows brings both poles into that row, the northern one into its last ``shift`` rows;
    they must not see each other. All windows of the row are alike, and all others need no mask. The
    mask is ``(cells, cells)``, bool, and on the processor, as offsets are.
    """
    northern = torch.arange(window[0], device="cpu")[:, None].expand(window) >= window[0] - shift
    return northern.flatten()[:, None] == northern.flatten()


class WindowAttention(nn.Module):
    """Scaled cosine attention within windows, with a position bias made by a small network."""

    def __init__(self, width: int, heads: int, window: tuple[int, int]):
        """Build the layers.

        Parameters
        ----------
        width : int
            Channels of a token.
        heads : int
            Heads of the attention.
        window : tuple of int
            Rows and columns of a window.
        """
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.bias = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, heads, bias=False))
        self.register_buffer("offsets", log_offsets(window), persistent=False)
        self.register_buffer("pairs", offset_rows(window), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None, masked: int = 0) -> Tensor:
        """Attend within windows.

        Parameters
        ----------
        x : Tensor
            ``(batch, windows, cells, width)``.
        mask : Tensor, optional
            ``(cells, cells)``, True where the last windows of each sample may attend.
        masked : int
            Number of those windows.

        Returns
        -------
        Tensor
            Of the same shape.
        """
        batch, windows, cells, width = x.shape
        n = batch * windows
        q, k, v = (
            self.qkv(x.view(n, cells, width))
            .view(n, cells, 3, self.heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        q = functional.normalize(q, dim=-1) * self.log_scale.clamp(max=MAX_SCALE).exp()
        k = functional.normalize(k, dim=-1)
        # once for each offset, not for each pair of cells; gradients of pairs add up in float32
        by_offset = 16 * torch.sigmoid(self.bias(self.offsets)).float()
        bias = functional.embedding(self.pairs, by_offset).permute(2, 0, 1)[None].to(q.dtype)
        q, k, v = q, k.to(q.dtype), v.to(q.dtype)
        if mask is None:
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        else:  # two calls: a bias of its own for every window would be memory in vain
            parts = zip(
                *(
                    t.unflatten(0, (batch, windows)).split([windows - masked, masked], 1)
                    for t in (q, k, v)
                ),
                strict=True,
            )
            biases = bias, bias.masked_fill(~mask, float("-inf"))
            y = torch.cat(
                [
                    functional.scaled_dot_product_attention(
                        *(t.flatten(0, 1) for t in part), attn_mask=b, scale=1.0
                    ).unflatten(0, (batch, -1))
                    for part, b in zip(parts, biases, strict=True)
                ],
                1,
            ).flatten(0, 1)
        return self.out(y.transpose(1, 2).reshape(n, cells, width)).view(
            batch, windows, cells, width
        )


class SwinBlock(nn.Module):
    """One Swin-V2 block."""

    def __init__(
        self, width: int, heads: int, window: tuple[int, int], shape: tuple[int, int], shifted: bool
    ):
        """Build the layers.

        Parameters
        ----------
        width : int
            Channels of a token.
        heads : int
            Heads of the attention.
        window, shape : tuple of int
            Rows and columns of a window and of the token grid, which it divides.
        shifted : bool
            Whether windows are moved by half a window in both directions.
        """
        super().__init__()
        if shape[0] % window[0] or shape[1] % window[1]:
            raise ValueError(f"a token grid of {shape} does not divide into windows of {window}")
        self.window, self.shape = window, shape
        # a window as wide as the grid sees every neighbour already
        self.shift = tuple(
            w // 2 if shifted and w < s else 0 for w, s in zip(window, shape, strict=True)
        )
        self.register_buffer(
            "mask", polar_mask(window, self.shift[0]) if self.shift[0] else None, persistent=False
        )
        self.attention = WindowAttention(width, heads, window)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        for norm in self.norms:
            zero(norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, lat, lon, width)``, shape kept."""
        y = x.roll((-self.shift[0], -self.shift[1]), (1, 2)) if any(self.shift) else x
        y = self.attention(
            partition_windows(y, self.window), self.mask, self.shape[1] // self.window[1]
        )
        y = merge_windows(y, self.window, self.shape)
        y = y.roll(self.shift, (1, 2)) if any(self.shift) else y
        x = x + self.norms[0](y)
        return x + self.norms[1](self.mlp(x))
