"""Convolutions on the sphere's grid: cyclic in longitude, repeated past the poles."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def pad(x: Tensor, rows: int, columns: int) -> Tensor:
    """Pad fields cyclically in longitude, and with repeated rows at the poles.

    Joined from pieces: the gradient of functional.pad's circular mode takes two to three times as
    long.

    Parameters
    ----------
    x : Tensor
        ``(…, lat, lon)``.
    rows, columns : int
        Added on either side.

    Returns
    -------
    Tensor
        ``(…, lat + 2 rows, lon + 2 columns)``.
    """
    if columns:
        x = torch.cat([x[..., -columns:], x, x[..., :columns]], -1)
    return torch.cat([x[..., :1, :]] * rows + [x] + [x[..., -1:, :]] * rows, -2) if rows else x


class Conv(nn.Module):
    """A convolution on the globe.

    ``(batch, inputs, lat, lon)`` → ``(batch, outputs, lat / stride, lon / stride)``.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True
    ):
        """Build the convolution.

        Parameters
        ----------
        inputs, outputs : int
            Channels.
        kernel : int
            Its width, odd.
        stride : int
            Cells from one output to the next.
        bias : bool
            Whether a constant is added.
        """
        super().__init__()
        self.reach = kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve after padding."""
        return self.conv(pad(x, self.reach, self.reach))


def _groups(width: int) -> int:
    """The largest divisor of ``width`` up to 32, as the number of normalisation groups."""
    return next(groups for groups in range(min(32, width), 0, -1) if width % groups == 0)


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside the identity, as in FuXi's sampling blocks."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            Conv(width, width),
            nn.GroupNorm(_groups(width), width),
            nn.SiLU(),
            Conv(width, width),
            nn.GroupNorm(_groups(width), width),
            nn.SiLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width, lat, lon)``, shape kept."""
        return x + self.layers(x)


class Down(nn.Module):
    """Halve the resolution, then refine with residual blocks."""

    def __init__(self, inputs: int, outputs: int, blocks: int):
        """Build the layers.

        Parameters
        ----------
        inputs, outputs : int
            Channels.
        blocks : int
            Residual blocks.
        """
        super().__init__()
        self.layers = nn.Sequential(
            Conv(inputs, outputs, 3, 2), *(ResidualBlock(outputs) for _ in range(blocks))
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, lat, lon)`` → ``(batch, outputs, lat / 2, lon / 2)``."""
        return self.layers(x)


class Up(nn.Module):
    """Double the resolution, then refine with residual blocks."""

    def __init__(self, inputs: int, outputs: int, blocks: int):
        """Build the layers.

        Parameters
        ----------
        inputs, outputs : int
            Channels.
        blocks : int
            Residual blocks.
        """
        super().__init__()
        self.expand = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        self.refine = nn.Sequential(*(ResidualBlock(outputs) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs, lat, lon)`` → ``(batch, outputs, 2 lat, 2 lon)``."""
        return self.refine(self.expand(x))


def apply(layer: Callable, *inputs, recompute: bool):
    """Apply a layer, and keep its activations for the gradient or make them again.

    With ``recompute`` they are made again (Chen et al., Training deep nets with sublinear memory
    cost, 2016). Layers must draw no random numbers.

    Parameters
    ----------
    layer : Callable
        The layer.
    *inputs
        Its arguments.
    recompute : bool
        Whether to make activations again.

    Returns
    -------
    Tensor
        The layer's output.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(layer, *inputs, use_reentrant=False, preserve_rng_state=False)
    return layer(*inputs)


def zero(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """Start a last layer at zero, so that a network starts as the identity plus nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def time_features(day_of_year: Tensor, hour: Tensor) -> Tensor:
    """Compute sin and cos of day / 366 and hour / 24, ``(batch,)`` each → ``(batch, 4)``.

    Source: the interface of FuXi's published forecaster.
    """
    day = 2 * torch.pi * day_of_year / 366
    hour = 2 * torch.pi * hour / 24
    return torch.stack([day.sin(), day.cos(), hour.sin(), hour.cos()], -1)


def full_precision(device: torch.device) -> AbstractContextManager:
    """Multiply in the type of the factors within this context, inside autocast too."""
    # the meta device has no autocast to switch off
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
