"""pyrtlib's radiative transfer on the operator's inputs: the peer that tests and the benchmark compare with.

pyrtlib 1.2.0 leaves the reflected downwelling out when it looks from a satellite, and knows no skin temperature: both
are added here from its own upward and downward integrals. Slow: about a third of a millisecond a level and frequency.
"""

import numpy as np

from fuxiflow.operators.absorption import use_model
from fuxiflow.physics import GAS_CONSTANT_DRY, GRAVITY, vapour_pressure, virtual_temperature


def column(
    pressure: np.ndarray, temperature: np.ndarray, specific_humidity: np.ndarray, surface_pressure: float, refine: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pressure (hPa), temperature (K), humidity (kg/kg) of a column cut at the ground, ``refine`` layers for each one.

    Linear in log pressure, humidity in its logarithm.
    """
    log_p = np.log(pressure)
    steps = np.interp(np.arange((len(pressure) - 1) * refine + 1) / refine, np.arange(len(pressure)), log_p)
    ground = np.log(surface_pressure)
    fine = np.append(steps[steps < ground - 1e-9], ground)
    humidity = np.exp(np.interp(fine, log_p, np.log(specific_humidity)))
    return np.exp(fine), np.interp(fine, log_p, temperature), humidity


def brightness_temperatures(
    pressure: np.ndarray,
    temperature: np.ndarray,
    specific_humidity: np.ndarray,
    surface_pressure: float,
    skin_temperature: float,
    emissivity: np.ndarray,
    secant: float,
    frequency: np.ndarray,
    refine: int = 1,
) -> np.ndarray:
    """Monochromatic brightness temperatures ``(node,)`` in K of one column by pyrtlib.

    ``temperature`` (K) and ``specific_humidity`` (kg/kg) are ``(level,)`` at ``pressure`` (hPa, from the top),
    ``emissivity`` and ``frequency`` (GHz) ``(node,)``.
    """
    from pyrtlib.rt_equation import RTEquation
    from pyrtlib.utils import tk2b_mod

    use_model()
    p, t, q = column(pressure, temperature, specific_humidity, surface_pressure, refine)
    virtual = virtual_temperature(t, q)
    layers = 0.5e-3 * GAS_CONSTANT_DRY / GRAVITY * (virtual[1:] + virtual[:-1]) * np.log(p[1:] / p[:-1])
    # pyrtlib counts from the ground up
    p, t, vapour = p[::-1], t[::-1], vapour_pressure(q, p)[::-1]
    path = np.append(0.0, layers[::-1]) * secant
    before = getattr(RTEquation, "_from_sat", False), getattr(RTEquation, "_emissivity", 1.0)
    out = np.empty(len(frequency))
    try:
        RTEquation._emissivity = 1.0
        for i, f in enumerate(frequency):
            wet, dry = RTEquation.clearsky_absorption(p, t, np.maximum(vapour, 1e-9), f, None, None)
            depth = sum(RTEquation.exponential_integration(True, a, path, 1, len(p), 1)[1] for a in (wet, dry))
            RTEquation._from_sat = True
            _, up, _, total, scaled, *_ = RTEquation.planck(f, t, depth)
            RTEquation._from_sat = False
            down = RTEquation.planck(f, t, depth)[0]
            ground = emissivity[i] * tk2b_mod(scaled, skin_temperature) + (1.0 - emissivity[i]) * down
            radiance = np.squeeze(up)[()] if np.ndim(up) == 0 else up[0]
            radiance = radiance + np.exp(-np.ravel(total)[0]) * ground
            out[i] = (scaled / np.log(1.0 + 1.0 / radiance)).item()
    finally:
        RTEquation._from_sat, RTEquation._emissivity = before
    return out
