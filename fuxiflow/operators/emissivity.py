"""Surface emissivity for the microwave operator: flat or rough seas, land and sea ice.

Sea: Fresnel reflection of water with the double-Debye permittivity of MPM-93 (Liebe, Hufford &
Cotton, 1993, AGARD CP-542) and the ionic conductivity of Klein & Swift (1977,
doi:10.1109/TAP.1977.1141539) at 35 psu. Land 0.95 and sea ice 0.90 at all frequencies are round
values within the spread of retrieved ones (Prigent et al., 2006, doi:10.1175/BAMS-87-11-1573).

Where a wind is given, the sea's reflectivities are corrected for waves and foam with FASTEM-5's
regressions: Liu, Weng & English (2011, doi:10.1109/TGRS.2010.2064779), equations A4 and A5, with
the coefficients of version 5 as published in the Community Radiative Transfer Model (CRTM). Left
out are the dependence on wind direction, and the correction of the reflected downwelling for
roughness. The regressions hold for 1.4-200 GHz, zenith angles to 60 degrees and winds to 35 m/s;
arguments beyond are set to these limits.
"""

import math

import torch
from torch import Tensor

from fuxiflow.physics import EARTH_RADIUS

LAND = 0.95
"""Emissivity of land."""
SEA_ICE = 0.90
"""Emissivity of sea ice."""
SALINITY = 35.0
"""Salinity of the sea in psu."""
FREEZING_POINT = 271.35
"""Freezing point of sea water of 35 psu in K (UNESCO, 1983)."""
VACUUM_PERMITTIVITY = 8.8541878128e-12
"""In F/m (CODATA 2018)."""
SATELLITE_HEIGHT = 824.0
"""Height of the JPSS orbit in km, for the scan angle that belongs to a zenith angle."""
FOAM_COVER = (1.95e-5, 2.55)
"""Factor and exponent of wind speed (Monahan & O'Muircheartaigh, 1986, Int. J. Remote Sensing 7,
627-642)."""
FOAM_EMISSIVITY = 0.93
"""Emissivity of foam at nadir, before :data:`FOAM_FREQUENCY` damps its reflectivity."""
FOAM_ANGLE = (-1.748e-3, -7.336e-5, 1.044e-7)
"""Horizontal polarisation by powers of the zenith angle in degrees (Kazumori et al., 2008, Mon.
Wea. Rev. 136)."""
FOAM_FREQUENCY = (0.4, -0.05)
"""Factor and rate in 1/GHz by which the reflectivity of foam falls with frequency."""
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
"""Coefficients of :func:`ripple_factor` (CRTM, FASTEM-5)."""
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
"""Coefficients ``(polarisation, term, power of frequency)`` of :func:`large_wave_loss`, whose terms
are 1, s, s^2, w, w^2 and w s of the secant s and the wind w (CRTM, FASTEM-5)."""


def conductivity(temperature: Tensor) -> Tensor:
    """Compute the ionic conductivity of sea water of 35 psu (Klein & Swift, 1977).

    ``temperature`` is in K, the result in S/m.
    """
    s, below = SALINITY, 25.0 - (temperature - 273.15)
    at_25 = s * (0.182521 - 1.46192e-3 * s + 2.09324e-5 * s**2 - 1.28205e-7 * s**3)
    rate = 2.033e-2 + 1.266e-4 * below + 2.464e-6 * below**2
    rate = rate - s * (1.849e-5 - 2.551e-7 * below + 2.551e-8 * below**2)
    return at_25 * torch.exp(-below * rate)


def pure_permittivity(temperature: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the relative permittivity of pure water: its real part and its (positive) loss part.

    ``temperature`` in K and ``frequency`` in GHz broadcast.
    """
    theta = 300.0 / temperature - 1.0
    static = 77.66 + 103.3 * theta
    middle, optical = 0.0671 * static, 3.52
    first = 20.20 - 146.4 * theta + 316.0 * theta**2
    second = 39.8 * first
    x, y = frequency / first, frequency / second
    a, b = (static - middle) / (1.0 + x * x), (middle - optical) / (1.0 + y * y)
    return optical + a + b, a * x + b * y


def permittivity(temperature: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the relative permittivity of sea water: its real part and its (positive) loss part.

    ``temperature`` in K and ``frequency`` in GHz broadcast.
    """
    real, loss = pure_permittivity(temperature, frequency)
    return real, loss + conductivity(temperature) / (
        2.0 * math.pi * 1e9 * VACUUM_PERMITTIVITY * frequency
    )


def fresnel(real: Tensor, loss: Tensor, cosine: Tensor) -> tuple[Tensor, Tensor]:
    """Compute Fresnel's power reflectivities of a flat surface.

    Written in reals: the square root p + iq of the permittivity less sin^2 enters. All arguments
    broadcast.

    Parameters
    ----------
    real, loss : Tensor
        Real part and (positive) loss part of the relative permittivity.
    cosine : Tensor
        Cosine of the zenith angle.

    Returns
    -------
    tuple[Tensor, Tensor]
        Vertical and horizontal reflectivity, from 0 to 1.
    """
    a = real - (1.0 - cosine * cosine)
    size = torch.sqrt(a * a + loss * loss)
    p = torch.sqrt(0.5 * (size + a))
    q = 0.5 * loss / p
    horizontal = ((cosine - p) ** 2 + q * q) / ((cosine + p) ** 2 + q * q)
    rc, lc = real * cosine, loss * cosine
    vertical = ((rc - p) ** 2 + (lc - q) ** 2) / ((rc + p) ** 2 + (lc + q) ** 2)
    return vertical, horizontal


def sea_reflectivity(
    temperature: Tensor, frequency: Tensor, cosine: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute Fresnel's power reflectivities of flat sea water.

    Parameters
    ----------
    temperature : Tensor
        Temperature of the water in K.
    frequency : Tensor
        In GHz.
    cosine : Tensor
        Cosine of the zenith angle; all arguments broadcast.

    Returns
    -------
    tuple[Tensor, Tensor]
        Vertical and horizontal reflectivity, from 0 to 1.
    """
    return fresnel(*permittivity(temperature, frequency), cosine)


def polarised_emissivity(
    v: Tensor, h: Tensor, zenith: Tensor, vertical: Tensor, conical: bool
) -> Tensor:
    """Combine reflectivities to the emissivity in each channel's polarisation.

    For a cross-track scanner the polarisation turns with the scan angle s: what is vertical at
    nadir becomes cos^2 s vertical + sin^2 s horizontal, and the other way round. For one that scans
    cones it does not.

    Parameters
    ----------
    v, h : Tensor
        Vertical and horizontal reflectivity, ``(batch, channel)``.
    zenith : Tensor
        Zenith angle in degrees, ``(batch,)``.
    vertical : Tensor
        Whether the channel is (quasi-)vertical, ``(channel,)``.
    conical : bool
        Whether the instrument scans cones.

    Returns
    -------
    Tensor
        Emissivity ``(batch, channel)``.
    """
    if conical:
        return 1.0 - torch.where(vertical, v, h)
    angle = torch.deg2rad(zenith)[:, None]
    # the squared sine of the scan angle, from that of the zenith angle by the law of sines
    turned = (torch.sin(angle) * (EARTH_RADIUS / (EARTH_RADIUS + SATELLITE_HEIGHT))) ** 2
    return 1.0 - torch.where(vertical, v + turned * (h - v), h + turned * (v - h))


def ripple_factor(frequency: Tensor, cosine: Tensor, wind: Tensor) -> Tensor:
    """Compute the factor that ripples multiply Fresnel's reflectivities by (FASTEM-5).

    Parameters
    ----------
    frequency : Tensor
        In GHz.
    cosine : Tensor
        Cosine of the zenith angle.
    wind : Tensor
        Wind at 10 m in m/s; all arguments broadcast.

    Returns
    -------
    Tensor
        The factor, of the broadcast shape.
    """
    # beyond the range of the regression its polynomials run away
    f, w = frequency.clamp(1.4, 200.0), wind.clamp(0.3, 35.0)
    c, w2 = SMALL_SCALE, w * w
    exponent = w * (c[6] + f * (c[0] + c[1] * f)) + w2 * (
        c[7] + f * (c[2] + c[3] * f) + (c[4] + c[5] / f) / f
    )
    return torch.exp(-exponent * cosine * cosine)


def large_wave_loss(frequency: Tensor, cosine: Tensor, wind: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the parts that large waves take off the reflectivities (FASTEM-5).

    Parameters
    ----------
    frequency : Tensor
        In GHz.
    cosine : Tensor
        Cosine of the zenith angle.
    wind : Tensor
        Wind at 10 m in m/s; all arguments broadcast.

    Returns
    -------
    tuple[Tensor, Tensor]
        Loss of the vertical and of the horizontal reflectivity.
    """
    f, s, w = frequency.clamp(1.4, 200.0), (1.0 / cosine).clamp_max(2.0), wind.clamp(0.0, 35.0)
    terms = (1.0, s, s * s, w, w * w, w * s)
    return tuple(
        sum((a + f * (b + f * c)) * term for (a, b, c), term in zip(rows, terms, strict=True))
        for rows in LARGE_SCALE
    )


def foam_reflectivity(frequency: Tensor, zenith: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the vertical and horizontal reflectivity of foam.

    ``frequency`` in GHz and ``zenith`` in degrees broadcast.
    """
    a, b, c = FOAM_ANGLE
    factor = FOAM_FREQUENCY[0] * torch.exp(FOAM_FREQUENCY[1] * frequency)
    horizontal = 1.0 - FOAM_EMISSIVITY * (1.0 + zenith * (a + zenith * (b + zenith * c)))
    return (1.0 - FOAM_EMISSIVITY) * factor, horizontal * factor


def rough_sea_reflectivity(
    vertical: Tensor, horizontal: Tensor, frequency: Tensor, zenith: Tensor, wind: Tensor
) -> tuple[Tensor, Tensor]:
    """Correct Fresnel's reflectivities for a rough and foamy sea.

    Parameters
    ----------
    vertical, horizontal : Tensor
        Fresnel's reflectivities of the flat sea.
    frequency : Tensor
        In GHz.
    zenith : Tensor
        Zenith angle in degrees.
    wind : Tensor
        Wind at 10 m in m/s; all arguments broadcast.

    Returns
    -------
    tuple[Tensor, Tensor]
        Vertical and horizontal reflectivity, from 0 to 1.
    """
    cosine = torch.cos(torch.deg2rad(zenith))
    factor = ripple_factor(frequency, cosine, wind)
    cover = FOAM_COVER[0] * wind.clamp(1e-6, 35.0) ** FOAM_COVER[1]
    pairs = zip(
        (vertical, horizontal),
        large_wave_loss(frequency, cosine, wind),
        foam_reflectivity(frequency, zenith),
        strict=True,
    )
    flat, foamy = zip(
        *((fresnel * factor - large, foam) for fresnel, large, foam in pairs), strict=True
    )
    return tuple(
        ((1.0 - cover) * f + cover * g).clamp(0.0, 1.0) for f, g in zip(flat, foamy, strict=True)
    )


def sea_emissivity(
    temperature: Tensor,
    frequency: Tensor,
    zenith: Tensor,
    vertical: Tensor,
    conical: bool = False,
    wind: Tensor | None = None,
) -> Tensor:
    """Compute the emissivity of the sea: flat without wind, else with waves and foam.

    Parameters
    ----------
    temperature : Tensor
        Temperature of the surface in K, ``(batch,)``.
    frequency : Tensor
        In GHz, ``(channel,)``.
    zenith : Tensor
        Zenith angle in degrees, ``(batch,)``.
    vertical : Tensor
        Whether the channel is (quasi-)vertical, ``(channel,)``.
    conical : bool
        Whether the instrument scans cones.
    wind : Tensor or None
        Wind at 10 m in m/s, ``(batch,)``.

    Returns
    -------
    Tensor
        Emissivity ``(batch, channel)``.
    """
    cosine = torch.cos(torch.deg2rad(zenith)[:, None])
    # the fits of permittivity do not hold beyond; T2M over ice may be far colder than any sea
    v, h = sea_reflectivity(temperature[:, None].clamp(271.0, 310.0), frequency, cosine)
    if wind is not None:
        v, h = rough_sea_reflectivity(v, h, frequency, zenith[:, None], wind[:, None])
    return polarised_emissivity(v, h, zenith, vertical, conical)


def surface_emissivity(
    temperature: Tensor,
    land_fraction: Tensor,
    frequency: Tensor,
    zenith: Tensor,
    vertical: Tensor,
    conical: bool = False,
    wind: Tensor | None = None,
    land: Tensor | float = LAND,
    sea_ice: Tensor | float = SEA_ICE,
) -> Tensor:
    """Compute the emissivity of a surface of land and sea, with ice where it is cold.

    Sea ice takes over linearly from 1 K above the freezing point of sea water to 1 K below.

    Parameters
    ----------
    temperature : Tensor
        Temperature of the surface in K, ``(batch,)``.
    land_fraction : Tensor
        From 0 to 1, ``(batch,)``.
    frequency : Tensor
        In GHz, ``(channel,)``.
    zenith : Tensor
        Zenith angle in degrees, ``(batch,)``.
    vertical : Tensor
        Whether the channel is (quasi-)vertical, ``(channel,)``.
    conical : bool
        Whether the instrument scans cones.
    wind : Tensor or None
        Wind at 10 m in m/s, ``(batch,)``; the sea is flat without.
    land, sea_ice : Tensor or float
        Emissivities of land and of sea ice, for all channels or ``(batch, channel)``.

    Returns
    -------
    Tensor
        Emissivity ``(batch, channel)``.
    """
    ice = (0.5 * (FREEZING_POINT + 1.0 - temperature)).clamp(0.0, 1.0)[:, None]
    water = sea_emissivity(temperature, frequency, zenith, vertical, conical, wind)
    water = water + ice * (sea_ice - water)
    return water + land_fraction[:, None] * (land - water)
