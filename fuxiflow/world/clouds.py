"""Cloud water of the embedded world, diagnosed from humidity: its model has no cloud water."""

import torch
from torch import Tensor

from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.physics import ICE_POINT, TRIPLE_POINT, relative_humidity
from fuxiflow.physics import specific_humidity as humidity_of

CRITICAL_HUMIDITY = 0.8
"""Relative humidity at which clouds begin."""


def diagnosed_droplets(temperature: Tensor, specific_humidity: Tensor, most: float) -> Tensor:
    """Diagnose cloud droplets from temperature and humidity.

    Cover grows as 1 - sqrt((1 - r) / (1 - c)) from the critical relative humidity c (Sundqvist,
    Berge & Kristjansson, 1989, doi:10.1175/1520-0493(1989)117<1641:CACPSW>2.0.CO;2). Droplets are
    ``most`` times the saturation humidity times the cover, and the liquid share of mixed phase: 1
    at 273.16 K, 0 at 250.16 K, as in :func:`fuxiflow.physics.saturation_vapour_pressure`.

    Parameters
    ----------
    temperature : Tensor
        In K, ``(batch, 13)`` at the state's pressure levels.
    specific_humidity : Tensor
        In kg/kg, ``(batch, 13)``.
    most : float
        Droplets of saturated air, as a fraction of the saturation specific humidity.

    Returns
    -------
    Tensor
        Cloud droplets in kg/kg, ``(batch, 13)``.
    """
    pressure = torch.tensor(PRESSURE_LEVELS, dtype=temperature.dtype)
    humidity = 0.01 * relative_humidity(specific_humidity, temperature, pressure)
    dryness = ((1.0 - humidity) / (1.0 - CRITICAL_HUMIDITY)).clamp(0.0, 1.0)
    liquid = ((temperature - ICE_POINT) / (TRIPLE_POINT - ICE_POINT)).clamp(0.0, 1.0) ** 2
    saturated = humidity_of(100.0, temperature, pressure)
    return most * (1.0 - torch.sqrt(dryness)) * liquid * saturated
