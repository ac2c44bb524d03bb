"""What a source would measure of a state, without errors: brightness temperatures, or profiles of refractivity."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fuxiflow.operators.columns import LEVELS, columns, from_state
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.physics import GAS_CONSTANT_DRY, specific_humidity, vapour_pressure, virtual_temperature
from fuxiflow.simulation.fields import Columns
from fuxiflow.sources import Source

BATCH = 2048
SOUNDED = [f"{variable}{level}" for variable in "TR" for level in LEVELS] + ["MSL", "T2M"]
"""Channels of the state that a sounder's brightness temperatures depend on."""
REFRACTED = [f"{variable}{level}" for variable in "TRZ" for level in LEVELS]
"""Channels of the state that refractivity at heights depends on."""

Equivalent = Callable[[Columns, Tensor], Tensor]


def needed(source: Source) -> list[str]:
    """Channels of the state that observations of a source are simulated from."""
    return REFRACTED if source.profile else SOUNDED


def equivalent(source: Source) -> Equivalent:
    """The observation operator of a source: (columns, zenith angle (n,) in degrees) → values ``(n, channel)`` in the
    source's units, NaN where nothing can be measured.

    Sources whose channels have heights are occultations; FileNotFoundError names the instruments that have a microwave
    operator, ValueError one whose channels are not those of its operator.
    """
    if source.profile:
        carrier = MicrowaveOperator.for_instrument("atms")  # for its levels and climatology above the state's
        at = torch.tensor([channel.height for channel in source.channels], dtype=torch.float32)
        return lambda found, zenith: refractivity(carrier, found, at)
    operator = MicrowaveOperator.for_instrument(source.instrument)
    if operator.channels != source.channel_names:
        raise ValueError(f"{source.name} has channels {', '.join(source.channel_names)}, the operator of "
                         f"{source.instrument} {', '.join(operator.channels)}")  # fmt: skip
    return lambda found, zenith: from_state(operator, found.state, found.channels, found.surface_geopotential,
                                            found.land_fraction, found.latitude, zenith)  # fmt: skip


@torch.inference_mode()
def simulate(operator: Equivalent, found: Columns, zenith: np.ndarray) -> np.ndarray:
    """Equivalents ``(n, channel)`` float32 of columns seen at ``zenith`` angles (n,), batch by batch."""
    angle = torch.from_numpy(np.nan_to_num(np.asarray(zenith, np.float32)))
    parts = [operator(found.part(slice(i, i + BATCH)), angle[i : i + BATCH]) for i in range(0, len(found), BATCH)]
    return torch.cat(parts).numpy() if parts else np.empty((0, 0), np.float32)


def geometric_height(geopotential: Tensor, latitude: Tensor) -> Tensor:
    """Height above mean sea level in m of ``geopotential`` (m2 s-2) at ``latitude`` (degrees), shapes broadcast.

    Mahoney (2001), "A discussion of various measures of altitude": Somigliana's gravity on the WGS 84 ellipsoid and the
    radius that gives its decrease with height.
    """
    square = torch.sin(torch.deg2rad(latitude)) ** 2
    gravity = 9.7803253359 * (1 + 0.00193185265241 * square) / torch.sqrt(1 - 0.00669437999013 * square)
    radius = 6378137.0 / (1.006803 - 0.006706 * square)
    return radius * geopotential / (gravity * radius - geopotential)


def refractivity(carrier: MicrowaveOperator, found: Columns, heights: Tensor) -> Tensor:
    """Refractivity ``(n, height)`` in N-units at ``heights`` (m above mean sea level) over columns.

    N = 77.6 p/T + 3.73e5 e/T^2 (Smith and Weintraub, 1953, doi:10.1109/JRPROC.1953.274297; p, e in hPa). Above 50 hPa
    the temperature passes into the climatology of ``carrier``'s levels (:func:`fuxiflow.operators.columns.columns`),
    and heights are hydrostatic from there. Its logarithm is linear in height between levels; NaN below the ground.
    """
    pick = {name: found.state[:, [found.channels.index(f"{name}{level}") for level in LEVELS]] for name in "TRZ"}
    pressure = torch.tensor(LEVELS, dtype=torch.float32)
    humidity = specific_humidity(pick["R"].clamp_min(0.0), pick["T"], pressure)
    t, q = columns(carrier, pick["T"], humidity, found.latitude)
    p, log_p = carrier.pressure, torch.log(carrier.pressure)  # top down
    virtual = virtual_temperature(t, q)
    layer = 0.5 * GAS_CONSTANT_DRY * (virtual[:, 1:] + virtual[:, :-1]) * (log_p[1:] - log_p[:-1])
    below = torch.flip(torch.cumsum(torch.flip(layer, [1]), 1), [1])
    depth = torch.cat([below, torch.zeros_like(below[:, :1])], 1)  # geopotential above the lowest level
    # hydrostatic between the state's own levels' geopotential: what the two differ by is linear in log pressure
    known = torch.log(pressure)
    error = pick["Z"] - _interpolate(known.expand(len(t), -1), log_p.expand(len(t), -1), depth)
    depth = depth + _interpolate(log_p.clamp(known[0], known[-1]).expand(len(t), -1), known.expand(len(t), -1), error)
    height = geometric_height(depth, found.latitude[:, None])
    n = 77.6 * p / t + 3.73e5 * vapour_pressure(q, p) / t**2
    at = heights.expand(len(t), -1)
    values = torch.exp(_interpolate(at, height.flip(1).contiguous(), torch.log(n).flip(1)))
    ground = geometric_height(found.surface_geopotential, found.latitude)[:, None]
    known_there = (at >= torch.maximum(ground, height[:, -1:])) & (at <= height[:, :1])
    return torch.where(known_there, values, torch.nan)


def _interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Linear interpolation, row by row, of ascending ``x``, ``y`` (n, m) to ``at`` (n, k); ends extend linearly."""
    x, y = x.contiguous(), y.contiguous()
    after = torch.searchsorted(x, at.contiguous()).clamp(1, x.shape[1] - 1)
    x0, x1, y0, y1 = x.gather(1, after - 1), x.gather(1, after), y.gather(1, after - 1), y.gather(1, after)
    return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
