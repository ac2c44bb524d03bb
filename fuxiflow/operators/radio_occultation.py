"""GNSS radio occultation: refractivity by height and bending angles, batched and differentiable.

Profiles run upwards: index 0 is the lowest level. Bending angles follow Healy & Thépaut (2006, Q.
J. R. Meteorol. Soc. 132, 605-623): refractivity falls exponentially between levels, whose integral
is an error function.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from fuxiflow.channels import PRESSURE_LEVELS, ChannelTable
from fuxiflow.operators.columns import LEAST_HUMIDITY
from fuxiflow.physics import GAS_CONSTANT_DRY, GRAVITY, vapour_pressure, virtual_temperature
from fuxiflow.physics import specific_humidity as humidity_of

SMITH_WEINTRAUB = (77.6, 77.6, 3.73e5)
"""K1 of dry air and K2 of vapour in K/hPa, K3 of vapour in K2/hPa (Smith & Weintraub, 1953, Proc.
IRE 41, 1035-1037, in their short form 77.6 p/T + 3.73e5 e/T^2, p with vapour)."""
RUEGER = (77.6890, 71.2952, 3.75463e5)
"""The same, "best average" of Rüeger (2002, FIG XXII International Congress)."""
EQUATOR_RADIUS = 6378137.0
"""Semi-major axis of WGS 84 in m (NIMA TR8350.2)."""
SUBLAYERS = 8
"""Layers that each layer between two levels of the state is divided into."""
REFRACTED = [f"{variable}{level}" for variable in "TRZ" for level in PRESSURE_LEVELS]
"""Channels of the state that refractivity at heights depends on."""
LEAST_RATE = 1e-6
"""Least decrease of log refractivity in 1/m between levels (Healy & Thépaut use it where
refractivity grows)."""


def refractivity(
    pressure: Tensor, temperature: Tensor, specific_humidity: Tensor, constants=SMITH_WEINTRAUB
) -> Tensor:
    """Compute refractivity, K1 (p - e)/T + K2 e/T + K3 e/T^2.

    Parameters
    ----------
    pressure : Tensor or np.ndarray
        In hPa.
    temperature : Tensor or np.ndarray
        In K.
    specific_humidity : Tensor or np.ndarray
        In kg/kg; the three broadcast.
    constants : tuple[float, float, float]
        K1, K2 in K/hPa and K3 in K2/hPa.

    Returns
    -------
    Tensor or np.ndarray
        Refractivity in N-units, of the broadcast shape.
    """
    first, second, third = constants
    vapour = vapour_pressure(specific_humidity, pressure)
    return (
        first * (pressure - vapour) + second * vapour + third * vapour / temperature
    ) / temperature


def geometric_height(geopotential: Tensor, latitude: Tensor) -> Tensor:
    """Convert geopotential to height above mean sea level.

    ``geopotential`` is in m2 s-2, ``latitude`` in degrees, the result in m; shapes broadcast. h = R
    H / (g R / g0 - H) with the geopotential height H, normal gravity g on the ellipsoid
    (Somigliana's formula, WGS 84) and the effective radius R = a / (1 + f + m - 2 f sin^2)
    (Mahoney, 2001; as in ROM SAF's ROPP).
    """
    square = torch.sin(torch.deg2rad(latitude)) ** 2
    normal = (
        9.7803253359
        * (1.0 + 0.00193185265241 * square)
        / torch.sqrt(1.0 - 0.00669437999013 * square)
    )
    radius = EQUATOR_RADIUS / (1.006803 - 0.006706 * square)
    height = geopotential / GRAVITY
    return radius * height / (normal / GRAVITY * radius - height)


def refractivity_at_heights(profile: Tensor, height: Tensor, target: Tensor) -> Tensor:
    """Interpolate refractivity to heights; its logarithm is linear in height between levels.

    Parameters
    ----------
    profile : Tensor
        Refractivity ``(batch, level)``.
    height : Tensor
        Heights of the levels in m, rising, ``(batch, level)``.
    target : Tensor
        Heights in m, ``(target,)`` or ``(batch, target)``.

    Returns
    -------
    Tensor
        Refractivity ``(batch, target)``, NaN outside the levels.
    """
    height, target = height.contiguous(), target.expand(len(height), target.shape[-1]).contiguous()
    # the index of a level has no gradient
    above = torch.searchsorted(height.detach(), target).clamp(1, height.shape[-1] - 1)
    logarithm = torch.log(profile)
    h0, h1 = height.gather(1, above - 1), height.gather(1, above)
    n0, n1 = logarithm.gather(1, above - 1), logarithm.gather(1, above)
    value = torch.exp(n0 + (n1 - n0) * (target - h0) / (h1 - h0))
    inside = (target >= height[:, :1]) & (target <= height[:, -1:])
    return torch.where(inside, value, torch.nan)


def bending_angle(profile: Tensor, height: Tensor, impact_height: Tensor, radius: Tensor) -> Tensor:
    """Compute bending angles from refractivity (Healy & Thépaut, 2006, equation 3).

    With x = (1 + 1e-6 N)(radius + height) and N = N_i exp(-k_i (x - x_i)) between levels and above
    the uppermost,

        alpha(a) = 1e-6 sqrt(2 pi a) sum over layers of sqrt(k_i) N_i exp(k_i (x_i - a)) [erf
        sqrt(k_i (x - a))],

    the bracket taken from x_i (from a in the layer where the ray turns) to x_i+1; written with
    erfcx(z) = exp(z^2) erfc(z), as the exponential alone overflows.

    Parameters
    ----------
    profile : Tensor
        Refractivity in N-units, ``(batch, level)``.
    height : Tensor
        Heights of the levels in m, rising, ``(batch, level)``.
    impact_height : Tensor
        Impact parameter less ``radius`` in m, so that single precision will do; ``(impact,)`` or
        ``(batch, impact)``.
    radius : Tensor
        Radius of curvature plus the undulation of the geoid in m, ``(batch,)``.

    Returns
    -------
    Tensor
        Bending angles in rad, ``(batch, impact)``; NaN below the lowest level and within or below a
        duct.
    """
    # x less the radius
    x = height + 1e-6 * profile * (radius[:, None] + height)
    step = x[:, 1:] - x[:, :-1]
    rate = (torch.log(profile[:, :-1] / profile[:, 1:]) / step.clamp_min(1.0)).clamp_min(LEAST_RATE)
    # a level that lies above its successor bounds a duct: no ray turns there that would come out
    trapped = torch.where(step <= 0.0, x[:, :-1], x[:, :1]).amax(dim=1, keepdim=True)
    a, k = impact_height.expand(len(x), impact_height.shape[-1])[:, :, None], rate[:, None, :]
    near, far = k * (x[:, None, :-1] - a), k * (x[:, None, 1:] - a)
    # the floors under the roots keep gradients finite
    upper = torch.exp(-(far - near.clamp_min(0.0))) * torch.special.erfcx(
        torch.sqrt(far.clamp_min(1e-12))
    )
    # the uppermost layer reaches to infinity
    upper = torch.cat([upper[..., :-1], torch.zeros_like(upper[..., -1:])], dim=-1)
    turns = torch.exp(near.clamp(-80.0, 0.0))
    lower = torch.where(near > 0.0, torch.special.erfcx(torch.sqrt(near.clamp_min(1e-12))), turns)
    crossed = far > 0.0
    crossed[..., -1] = True
    layers = torch.where(
        crossed, torch.sqrt(k) * profile[:, None, :-1] * (lower - turns * upper), 0.0
    )
    total = 1e-6 * torch.sqrt(2.0 * math.pi * (radius[:, None] + a[..., 0])) * layers.sum(dim=-1)
    return torch.where((a[..., 0] > trapped) | (a[..., 0] == x[:, :1]), total, torch.nan)


@cache
def _fine() -> tuple[np.ndarray, np.ndarray]:
    """Compute the sublayers of the 13 levels.

    Returns their pressures ``(fine,)`` in hPa from 1000 up, and the matrix ``(13, fine)`` that
    interpolates to them in log pressure.
    """
    log_state = np.log(PRESSURE_LEVELS)[::-1]
    steps = np.linspace(0.0, len(log_state) - 1.0, (len(log_state) - 1) * SUBLAYERS + 1)
    matrix = np.stack(
        [np.interp(steps, np.arange(len(log_state)), row) for row in np.eye(len(log_state))]
    )
    # rows in the order of LEVELS, from the top
    return np.exp(log_state @ matrix), matrix[::-1].copy()


def refractivity_column(
    temperature: Tensor, specific_humidity: Tensor, geopotential: Tensor, latitude: Tensor
):
    """Compute refractivity and height of columns of the state, upwards, on sublayers of its levels.

    Temperature and the logarithm of humidity are linear in log pressure on eight sublayers of each
    layer; between the levels' own geopotential heights are hypsometric.

    Parameters
    ----------
    temperature : Tensor
        In K, ``(batch, 13)``.
    specific_humidity : Tensor
        In kg/kg, ``(batch, 13)``.
    geopotential : Tensor
        In m2 s-2, ``(batch, 13)``.
    latitude : Tensor
        In degrees, ``(batch,)``.

    Returns
    -------
    tuple[Tensor, Tensor]
        Refractivity in N-units and height in m, ``(batch, fine)``.
    """
    pressure, matrix = (
        torch.as_tensor(v, dtype=temperature.dtype, device=temperature.device) for v in _fine()
    )
    t = temperature @ matrix
    q = torch.exp(torch.log(specific_humidity.clamp_min(LEAST_HUMIDITY)) @ matrix)
    virtual = virtual_temperature(t, q)
    layers = (
        0.5
        * GAS_CONSTANT_DRY
        * (virtual[:, 1:] + virtual[:, :-1])
        * torch.log(pressure[:-1] / pressure[1:])
    )
    # geopotential above 1000 hPa by the hypsometric equation alone
    risen = torch.cat([torch.zeros_like(layers[:, :1]), layers.cumsum(dim=1)], dim=1)
    hypsometric = risen[:, ::SUBLAYERS].flip(1)
    # the state's own geopotential holds at its levels; the difference is spread linearly
    phi = risen + (geopotential - hypsometric) @ matrix
    return refractivity(pressure, t, q), geometric_height(phi, latitude[:, None])


def refractivity_from_state(
    state: Tensor, channels: ChannelTable | Sequence[str], latitude: Tensor, heights: Tensor
) -> Tensor:
    """Compute refractivity at heights from columns of the state.

    Parameters
    ----------
    state : Tensor
        Columns of the state, ``(batch, state channel)``, of which T (K), R (%) and Z (m2 s-2) are
        used.
    channels : ChannelTable or Sequence[str]
        Channels of the state, in the order of ``state``.
    latitude : Tensor
        In degrees, ``(batch,)``.
    heights : Tensor
        In m above mean sea level, ``(height,)``.

    Returns
    -------
    Tensor
        Refractivity in N-units, ``(batch, height)``; NaN above 50 hPa and below 1000 hPa.

    Raises
    ------
    ValueError
        Lists the channels that the state lacks.
    """
    names = list(getattr(channels, "names", channels))
    if missing := [name for name in REFRACTED if name not in names]:
        raise ValueError(
            f"the state lacks {', '.join(missing)}, which the operator of radio occultation needs"
        )
    temperature, relative, geopotential = state[:, [names.index(name) for name in REFRACTED]].chunk(
        3, dim=1
    )
    pressure = torch.tensor(PRESSURE_LEVELS, dtype=state.dtype, device=state.device)
    humidity = humidity_of(relative.clamp_min(0.0), temperature, pressure)
    profile, height = refractivity_column(temperature, humidity, geopotential, latitude)
    return refractivity_at_heights(profile, height, heights.to(state))
