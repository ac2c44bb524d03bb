"""Refractivity from bending angles, for occultations that come without it: the inverse Abel transform.

log n(x) = 1/pi * integral from x to infinity of alpha(a) / sqrt(a^2 - x^2) da, with the refractive index n and
x = n r at distance r from the centre of curvature (Fjeldbo, Kliore & Eshleman, 1971, Astron. J. 76, 123-140).
"""

import numpy as np
from scipy.special import erfcx

DISTRUST = 15_000.0
"""m below the uppermost bending angle within which there is no value: about two scale heights. What lies above that
angle is extrapolated, and there makes up a twentieth of the integral: an error of a tenth in it, one of 0.5 %."""
_FITTED = 15_000.0  # m at the top that the extrapolation is fitted to


def refractivity(
    impact: np.ndarray, bending: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Heights (m above mean sea level) and refractivity (N-units), each (m,), from impact parameters (m) and bending
    angles corrected for the ionosphere (rad), each (n,), in any order.

    ``radius`` is that of curvature plus the undulation of the geoid, m. Bending angles are linear between levels and
    fall exponentially above the uppermost, at the rate of the uppermost 15 km. Empty where they do not fall, are fewer
    than ten or more than 2,000, or the radius is not the Earth's.
    """
    good = np.isfinite(impact) & np.isfinite(bending) & (bending > 0) & (bending < 0.1)
    a, first = np.unique(impact[good], return_index=True)
    alpha = bending[good][first]
    nothing = np.empty(0), np.empty(0)
    if (
        not 10 <= len(a) <= 2_000
        or not 6.2e6 < radius < 6.5e6
        or not radius - 1e4 < a[0] < a[-1] < radius + 2e5
    ):
        return nothing
    top = a >= a[-1] - _FITTED
    if top.sum() < 3:
        return nothing
    rate = -np.polyfit(a[top] - a[-1], np.log(alpha[top]), 1)[0]
    if not 1 / 30_000 < rate < 1 / 3_000:
        return nothing
    x = a[a <= a[-1] - DISTRUST]
    slope = np.diff(alpha) / np.diff(a)
    ends = np.maximum(
        a[None, :], x[:, None]
    )  # (level, end of layer): layers below x have no part in its integral
    angle, root = np.arccosh(ends / x[:, None]), np.sqrt(ends**2 - x[:, None] ** 2)
    layers = (alpha[:-1] - slope * a[:-1]) * np.diff(angle, axis=1) + slope * np.diff(root, axis=1)
    above = alpha[-1] * np.sqrt(np.pi / (2 * x * rate)) * erfcx(np.sqrt((a[-1] - x) * rate))
    index = np.exp((layers.sum(axis=1) + above) / np.pi)
    return x / index - radius, 1e6 * (index - 1)
