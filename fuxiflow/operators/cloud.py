"""Absorption by suspended cloud droplets, small against the wavelength (Rayleigh): no rain, no ice, no scattering."""

import math

from torch import Tensor

from fuxiflow.operators.emissivity import pure_permittivity
from fuxiflow.physics import GAS_CONSTANT_DRY, virtual_temperature

COLDEST_DROPLET = 233.15
"""K: supercooled droplets freeze there (homogeneous nucleation); permittivity is held below."""
_FACTOR = 6.0 * math.pi / 299.792458
"""Np/km for 1 g/m3 and 1 GHz: 6 pi f / c over the density of water, 1000 kg/m3."""


def absorption(temperature: Tensor, frequency: Tensor) -> Tensor:
    """Absorption in Np/km of 1 g/m3 of droplets; ``temperature`` in K and ``frequency`` in GHz broadcast.

    6 pi f / c Im[(eps - 1)/(eps + 2)] with the permittivity of MPM-93 (Liebe, Hufford & Cotton, 1993, AGARD CP-542).
    """
    real, loss = pure_permittivity(temperature.clamp_min(COLDEST_DROPLET), frequency)
    return _FACTOR * frequency * 3.0 * loss / ((real + 2.0) ** 2 + loss**2)


def water_content(
    cloud_liquid: Tensor, temperature: Tensor, specific_humidity: Tensor, pressure: Tensor
) -> Tensor:
    """Cloud water in g/m3 from ``cloud_liquid`` (kg/kg), temperature (K), humidity (kg/kg) and pressure (hPa)."""
    density = (
        100.0 * pressure / (GAS_CONSTANT_DRY * virtual_temperature(temperature, specific_humidity))
    )
    return 1e3 * density * cloud_liquid
