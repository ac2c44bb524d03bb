"""Wind over the sea: reflectivities of a flat surface corrected for waves and foam with FASTEM-5's regressions.

Liu, Weng & English (2011, doi:10.1109/TGRS.2010.2064779), equations A4 and A5, with the coefficients of version 5 as
published in the Community Radiative Transfer Model (CRTM). Left out: the dependence on wind direction, and the
correction of the reflected downwelling for roughness. Regressions hold for 1.4-200 GHz, zenith angles to 60 degrees
and winds to 35 m/s; arguments beyond are held at these limits.
"""

import torch
from torch import Tensor

FOAM_COVER = (1.95e-5, 2.55)
"""Factor and exponent of wind speed (Monahan & O'Muircheartaigh, 1986, Int. J. Remote Sensing 7, 627-642)."""
FOAM_EMISSIVITY = 0.93
FOAM_ANGLE = (-1.748e-3, -7.336e-5, 1.044e-7)
"""Horizontal polarisation by powers of the zenith angle in degrees (Kazumori et al., 2008, Mon. Wea. Rev. 136)."""
FOAM_FREQUENCY = (0.4, -0.05)
SMALL_SCALE = (
    -5.0208480e-06,
    2.3297951e-08,
    4.6625726e-08,
    -1.9765665e-09,
    -7.0469823e-04,
    7.5061193e-04,
    9.8103876e-04,
    1.5489504e-04,
)
# (polarisation, term, power of frequency), terms 1, s, s^2, w, w^2, w s of secant s and wind w
LARGE_SCALE = (
    (
        (-5.994667e-02, 9.341346e-04, -9.566110e-07),
        (8.360313e-02, -1.085991e-03, 6.735338e-07),
        (-2.617296e-02, 2.864495e-04, -1.429979e-07),
        (-5.265879e-04, 6.880275e-05, -2.916657e-07),
        (-1.671574e-05, 1.086405e-06, -3.632227e-09),
        (1.161940e-04, -6.349418e-05, 2.466556e-07),
    ),
    (
        (-2.431811e-02, -1.031810e-03, 4.519513e-06),
        (2.868236e-02, 1.186478e-03, -5.257096e-06),
        (-7.933390e-03, -2.422303e-04, 1.089605e-06),
        (-1.083452e-03, -1.788509e-05, 5.464239e-09),
        (-3.855673e-05, 9.360072e-07, -2.639362e-09),
        (1.101309e-03, 3.599147e-05, -1.043146e-07),
    ),
)


def small_scale(frequency: Tensor, cosine: Tensor, wind: Tensor) -> Tensor:
    """Factor of Fresnel's reflectivities for ripples; ``frequency`` (GHz), ``cosine`` and ``wind`` (m/s) broadcast."""
    f, w = frequency.clamp(1.4, 200.0), wind.clamp(0.3, 35.0)
    c, w2 = SMALL_SCALE, w * w
    exponent = w * (c[6] + f * (c[0] + c[1] * f)) + w2 * (
        c[7] + f * (c[2] + c[3] * f) + (c[4] + c[5] / f) / f
    )
    return torch.exp(-exponent * cosine * cosine)


def large_scale(frequency: Tensor, cosine: Tensor, wind: Tensor) -> tuple[Tensor, Tensor]:
    """What large waves take off the vertical and the horizontal reflectivity; arguments as in :func:`small_scale`."""
    f, s, w = frequency.clamp(1.4, 200.0), (1.0 / cosine).clamp_max(2.0), wind.clamp(0.0, 35.0)
    terms = (1.0, s, s * s, w, w * w, w * s)
    return tuple(
        sum((a + f * (b + f * c)) * term for (a, b, c), term in zip(rows, terms, strict=True))
        for rows in LARGE_SCALE
    )


def foam(frequency: Tensor, zenith: Tensor) -> tuple[Tensor, Tensor]:
    """Vertical and horizontal reflectivity of foam; ``frequency`` (GHz) and ``zenith`` (degrees) broadcast."""
    a, b, c = FOAM_ANGLE
    factor = FOAM_FREQUENCY[0] * torch.exp(FOAM_FREQUENCY[1] * frequency)
    horizontal = 1.0 - FOAM_EMISSIVITY * (1.0 + zenith * (a + zenith * (b + zenith * c)))
    return (1.0 - FOAM_EMISSIVITY) * factor, horizontal * factor


def rough(
    vertical: Tensor, horizontal: Tensor, frequency: Tensor, zenith: Tensor, wind: Tensor
) -> tuple[Tensor, Tensor]:
    """Vertical and horizontal reflectivity of a rough, foamy sea from Fresnel's ``vertical`` and ``horizontal``.

    ``frequency`` in GHz, ``zenith`` in degrees, ``wind`` at 10 m in m/s; all broadcast.
    """
    cosine = torch.cos(torch.deg2rad(zenith))
    factor = small_scale(frequency, cosine, wind)
    cover = FOAM_COVER[0] * wind.clamp(1e-6, 35.0) ** FOAM_COVER[1]
    pairs = zip(
        (vertical, horizontal),
        large_scale(frequency, cosine, wind),
        foam(frequency, zenith),
        strict=True,
    )
    flat, foamy = zip(
        *((fresnel * factor - large, foam) for fresnel, large, foam in pairs), strict=True
    )
    return tuple(
        ((1.0 - cover) * f + cover * g).clamp(0.0, 1.0) for f, g in zip(flat, foamy, strict=True)
    )
