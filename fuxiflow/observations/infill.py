"""Infill: what was observed is spread to the cells around it with Cressman weights.

FuXiWeather2 (arXiv 2603.15358) does this to the dense hourly grids of every source, after standardisation and before
its encoders: a swath or a station fills one cell in many, and a convolution over mostly empty fields learns slowly. The
filled field, the widened mask and the confidence channel are all inputs of the encoder, so that the network can tell
what was measured from what was spread.

Weights are those of Cressman (1959, Mon. Wea. Rev. 87, 367-374), (R² - d²) / (R² + d²) for distances d < R, in cells as
the paper has it, not in kilometres. The filled value is the weighted mean of the measured cells within reach, a
normalised convolution; its certainty is Knutsson and Westin's (1993, CVPR, 515-523), as Eldesokey et al. (2018, BMVC,
arXiv 1805.11913) propagate it: the measured share of the weights.

The convolution is done by FFT. One field of 721 x 1440 cells took 31 ms on one core of a shared machine, 8 ms in single
precision; its 305 taps, in single precision, 74 ms as a depthwise convolution and 172 ms as a plain one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

RADIUS = 10.0  # cells; FuXiWeather2
EPSILON = 1e-4  # FuXiWeather2
CHUNK = 2  # fields transformed at once: more take longer each on a CPU, as they leave its cache; raise it on a GPU


@dataclass(frozen=True)
class Infilled:
    """Filled fields ``values (batch, channel, lat, lon)``, 0 beyond reach; ``mask``, bool, True where measured or
    filled; ``confidence``, 1 where measured, 0 beyond reach. The last two have as many channels as the mask given."""

    values: Tensor
    mask: Tensor
    confidence: Tensor


def weights(radius: float, rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """Cressman weights ``(rows, columns)`` float64 of the cells around cell (0, 0), cyclic in both directions.

    A cell counts once, by its shortest way round. ValueError when the radius is not positive.
    """
    if not radius > 0:
        raise ValueError(f"radius {radius}: must be positive, in cells")
    squares = []
    for size in (rows, columns):
        index = torch.arange(size, device=device, dtype=torch.float64)
        squares.append(torch.minimum(index, size - index).square())
    distance = squares[0][:, None] + squares[1]
    return ((radius**2 - distance) / (radius**2 + distance)).clamp_min(0.0)


def _smooth(size: int) -> int:
    """The least number >= ``size`` without prime factors above 5: lengths that FFTs do fast."""

    def smooth(number: int) -> bool:
        for factor in (2, 3, 5):
            while number % factor == 0:
                number //= factor
        return number == 1

    while not smooth(size):
        size += 1
    return size


def _checked(values: Tensor, mask: Tensor, chunk: int, epsilon: float) -> None:
    if values.ndim != 4 or not values.is_floating_point():
        raise ValueError(
            f"values are {values.dtype} {tuple(values.shape)}, expected floats (batch, channel, lat, lon)"
        )
    batch, channels, *grid = values.shape
    if mask.dtype != torch.bool or tuple(mask.shape) not in (
        (batch, channels, *grid),
        (batch, 1, *grid),
    ):
        raise ValueError(
            f"mask is {mask.dtype} {tuple(mask.shape)}, expected bool {tuple(values.shape)} or with one "
            f"channel"
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

    ``values (batch, channel, lat, lon)`` are standardised, of any content where ``mask`` is False; ``mask``, bool, has
    their shape, or one channel for all. A measured cell whose value is not finite counts as not measured (with one mask
    for all channels: if any of them is not). Longitude is cyclic; beyond the first and last row there is nothing.
    Works on the device of ``values``, ``chunk`` fields at a time; needs no gradient and gives none.

    ``epsilon`` is the least sum of weights that counts. The smallest weight of a radius of 10 is 0.0101, so that every
    cell within reach is filled; added to the sum instead, as is common, it would pull lone cells up to 1 % towards 0.
    ``transform`` float32 is faster; its rounding, 4e-6, is divided by the sum of weights: up to 4e-4 at the rim.

    Raises ValueError for shapes, types or settings that do not fit.
    """
    _checked(values, mask, chunk, epsilon)
    nlat, nlon = values.shape[-2:]
    reach = math.ceil(radius)
    rows = _smooth(
        max(nlat, reach) + reach
    )  # rows of zeros keep the poles apart, and hold the kernel whole
    kernel = weights(radius, rows, nlon, values.device)
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
            known = slice(0, 1) if shared else part
            if first == 0 or not shared:
                finite = torch.isfinite(values[sample, slice(None) if shared else part])
                measured = mask[sample, known] & (finite.all(0, keepdim=True) if shared else finite)
                total = spread(measured)
                near = total > epsilon
                widened[sample, known] = near | measured
                certainty = (total / whole).clamp(0.0, 1.0) * near
                confidence[sample, known] = certainty.masked_fill(measured, 1.0).to(values.dtype)
            given = values[sample, part]
            mean = spread(given.masked_fill(~measured, 0.0)) / total.clamp_min(epsilon)
            filled[sample, part] = torch.where(
                measured, given, mean.masked_fill(~near, 0.0).to(values.dtype)
            )
    return Infilled(filled, widened, confidence)
