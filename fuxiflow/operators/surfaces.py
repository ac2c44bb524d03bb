"""Emissivity of land, snow and sea ice by surface type, and how far the types of a group lie apart.

Hewison & English's semi-empirical model (1999, doi:10.1109/36.774700; Hewison, 2001, IEEE Trans. Geosci. Remote Sens.
39, 393-400): Fresnel reflection with a permittivity of one Debye relaxation, small-scale roughness, and a share of the
other polarisation. The parameters are those recommended in RTTOV's user guide. The spread over a group's types is what
is not known where only the group is: draw from it, or give observations that see the ground the error that it makes.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fuxiflow.operators.emissivity import fresnel, polarised

MILLIMETRE_GHZ = 299.792458
"""Speed of light: wavelength in mm times frequency in GHz."""


@dataclass(frozen=True)
class SurfaceType:
    """Static and high-frequency permittivity, relaxation frequency in GHz, small-scale roughness in mm, share of the
    other polarisation (0 specular, 0.5 Lambertian)."""

    static: float
    infinite: float
    relaxation: float
    roughness: float
    depolarisation: float


GROUPS = {
    "land": {
        "forest": SurfaceType(1.7, 1.0, 163.0, 0.0, 0.5),
        "open grass": SurfaceType(2.2, 1.3, 138.0, 0.0, 0.42),
        "bare soil": SurfaceType(2.3, 1.9, 21.8, 0.0, 0.5),
    },
    "snow": {
        "forest and snow": SurfaceType(2.9, 3.4, 27.0, 0.0, 0.0),
        "deep dry snow": SurfaceType(3.0, 24.0, 60.0, 0.1, 0.15),
        "frozen soil": SurfaceType(117.8, 2.0, 0.19, 0.2, 0.35),
    },
    "sea ice": {
        "grease ice": SurfaceType(23.7, 7.7, 17.3, 0.0, 0.15),
        "Baltic nilas": SurfaceType(1.6, 3.3, 2.2, 0.0, 0.0),
        "new ice": SurfaceType(2.9, 3.4, 27.0, 0.0, 0.0),
        "new ice with snow": SurfaceType(2.2, 3.7, 122.0, 0.0, 0.15),
        "brash ice": SurfaceType(3.0, 5.5, 183.0, 0.0, 0.0),
        "compact pack ice": SurfaceType(2.0, 1700000.0, 49000000.0, 0.0, 0.0),
        "fast ice": SurfaceType(1.5, 77.8, 703.0, 0.1, 0.35),
        "multi-year ice": SurfaceType(1.5, 85000.0, 4700000.0, 0.0, 0.0),
    },
}
"""Types by group, named as in RTTOV's user guide."""


def of_type(
    name: str, frequency: Tensor, zenith: Tensor, vertical: Tensor, conical: bool = False
) -> Tensor:
    """Emissivity ``(batch, channel)`` of the type ``name``; arguments as in :func:`fuxiflow.operators.emissivity.sea`.

    KeyError lists the known types.
    """
    known = {name: kind for types in GROUPS.values() for name, kind in types.items()}
    if name not in known:
        raise KeyError(f"no surface type {name!r}; known: {', '.join(known)}")
    kind, cosine = known[name], torch.cos(torch.deg2rad(zenith))[:, None]
    ratio = frequency / kind.relaxation
    real = (kind.static + kind.infinite * ratio**2) / (1.0 + ratio**2)
    # where permittivity rises with frequency the sign of the loss part is of no account
    loss = (ratio * (kind.static - kind.infinite) / (1.0 + ratio**2)).abs()
    v, h = fresnel(real, loss, cosine)
    damped = torch.exp(
        -((4.0 * math.pi * kind.roughness * frequency / MILLIMETRE_GHZ * cosine) ** 2)
    )
    v, h, q = v * damped, h * damped, kind.depolarisation
    return polarised(v + q * (h - v), h + q * (v - h), zenith, vertical, conical)


def mean_and_spread(
    group: str, frequency: Tensor, zenith: Tensor, vertical: Tensor, conical: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean emissivity and standard deviation ``(batch, channel)`` over the types of ``group``, each counted once.

    KeyError lists the known groups; other arguments as in :func:`of_type`.
    """
    if group not in GROUPS:
        raise KeyError(f"no group of surfaces {group!r}; known: {', '.join(GROUPS)}")
    types = torch.stack(
        [of_type(name, frequency, zenith, vertical, conical) for name in GROUPS[group]]
    )
    return types.mean(dim=0), types.std(dim=0)
