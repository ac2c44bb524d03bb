"""Errors put on the forecaster's first frames, so that it learns to take out what no reanalysis holds.

A forecaster that has only ever seen reanalyses adds its increments to whatever it is given: structures that do not fit
together (temperature against thickness, one level against the next) stay, grow, and pile up over a cycle of weeks where
the observations do not see them. Shown such errors, with the reanalysis as its target, it learns to damp them.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def perturbation(shape: tuple[int, int, int], largest: float, seed: int) -> Tensor:
    """Random fields ``shape`` (channel, lat, lon), independent from channel to channel, in units of the 6-h change.

    Each is a sum of noise of all scales, from a cell to a quarter of the latitudes, in random shares. The root mean
    square of a draw is ``largest`` times the square of a uniform number, times the shares': small errors are common.
    """
    channels, nlat, nlon = shape
    generator = torch.Generator().manual_seed(seed)
    scales = [2**k for k in range(nlat.bit_length()) if 4 * 2**k <= nlat] or [1]
    total = torch.zeros(shape)
    for scale in scales:
        # channels as samples: of one sample with many channels torch copies each field twice
        field = torch.randn(channels, 1, nlat // scale, nlon // scale, generator=generator)
        if scale > 1:
            field = interpolate(field, (nlat, nlon), mode="bilinear")
        field, share = field[:, 0], torch.rand(channels, 1, 1, generator=generator)
        size = field.square().mean((-1, -2), keepdim=True).sqrt()
        total.addcmul_(field, share / size.clamp_min(1e-6))
    amplitude = largest * torch.rand((), generator=generator) ** 2
    return total.mul_(amplitude / len(scales) ** 0.5)


def perturb(first: Tensor, tendency: Tensor, largest: float, seeds: list[int | None]) -> Tensor:
    """Add to both frames of each sample ``first (batch, 2, channel, lat, lon)`` that has a seed the same perturbation.

    ``tendency (channel, 1, 1)`` is the 6-h change in units of the states.
    """
    shape = tuple(first.shape[2:])
    fields = [
        torch.zeros(shape) if seed is None else perturbation(shape, largest, seed) for seed in seeds
    ]
    return first + (torch.stack(fields).to(first.device) * tendency)[:, None]
