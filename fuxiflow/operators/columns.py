"""Columns of the state on the operator's levels, and their brightness temperatures."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from fuxiflow.channels import PRESSURE_LEVELS, ChannelTable
from fuxiflow.operators import emissivity
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.physics import GAS_CONSTANT_DRY, GRAVITY, LAPSE_RATE
from fuxiflow.physics import specific_humidity as humidity_of
from fuxiflow.physics import surface_pressure as pressure_of

SOUNDED = [f"{variable}{level}" for variable in "TR" for level in PRESSURE_LEVELS] + ["MSL", "T2M"]
"""Channels of the state that a sounder's brightness temperatures depend on."""
BLEND = (10.0, 50.0)
"""Pressures in hPa between which the column passes into climatology, upwards."""
LEAST_HUMIDITY = 2e-6
"""Floor of specific humidity in kg/kg, below which its logarithm is not taken."""
_CLIMATOLOGY_LATITUDES = (15.0, 45.0, 65.0)
"""|latitude| in degrees of the climatology: tropical, mid-latitude and subarctic profiles."""
_CLIMATOLOGY_PROFILES = ((0,), (1, 2), (3, 4))
"""The AFGL profiles at each of these latitudes, of summer and winter, of which the mean counts."""


@cache
def _vertical_interpolation(
    pressure: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute what maps the state's 13 levels to levels at ``pressure`` in hPa.

    Returns the matrix of interpolation in log pressure ``(13, level)``, the share of the state
    against climatology ``(level,)`` and the factor of temperature below 1000 hPa ``(level,)``.
    """
    log_p, log_state = np.log(pressure), np.log(PRESSURE_LEVELS)
    matrix = np.stack([np.interp(log_p, log_state, row) for row in np.eye(len(PRESSURE_LEVELS))])
    low, high = np.log(BLEND)
    share = np.clip((log_p - low) / (high - low), 0.0, 1.0)
    # the state ends at 1000 hPa, which lies above the ground in a high
    below = np.maximum(log_p - log_state[-1], 0.0)
    return matrix, share, np.exp(below * LAPSE_RATE * GAS_CONSTANT_DRY / GRAVITY)


def _climatology_weights(latitude: Tensor) -> Tensor:
    """Compute the weights ``(batch, 6)`` of the AFGL profiles at ``latitude`` in degrees.

    They are linear between :data:`_CLIMATOLOGY_LATITUDES`.
    """
    low, middle, high = _CLIMATOLOGY_LATITUDES
    north = latitude.abs()
    second = ((north - low) / (middle - low)).clamp(0.0, 1.0)
    third = ((north - middle) / (high - middle)).clamp(0.0, 1.0)
    shares = (1.0 - second, second - third, third)
    weights = latitude.new_zeros((*latitude.shape, 6))
    for share, members in zip(shares, _CLIMATOLOGY_PROFILES, strict=True):
        for member in members:
            weights[..., member] = share / len(members)
    return weights


def operator_columns(
    operator: MicrowaveOperator, temperature: Tensor, specific_humidity: Tensor, latitude: Tensor
) -> tuple[Tensor, Tensor]:
    """Interpolate columns of the state to the operator's levels.

    Temperature and the logarithm of humidity are linear in log pressure. Below 1000 hPa the lapse
    rate is the standard one and humidity constant; above 50 hPa the column is blended into the
    AFGL climatology of the latitude, which alone is used above 10 hPa.

    Parameters
    ----------
    operator : MicrowaveOperator
        Its levels are interpolated to, its climatology is used above.
    temperature : Tensor
        In K, ``(batch, 13)`` at the state's pressure levels.
    specific_humidity : Tensor
        In kg/kg, ``(batch, 13)`` at the state's pressure levels.
    latitude : Tensor
        In degrees, ``(batch,)``.

    Returns
    -------
    tuple[Tensor, Tensor]
        Temperature in K and specific humidity in kg/kg, ``(batch, level)``.

    Raises
    ------
    ValueError
        If the columns are not on the 13 levels of the state.
    """
    if temperature.shape[-1] != len(PRESSURE_LEVELS) or specific_humidity.shape[-1] != len(
        PRESSURE_LEVELS
    ):
        raise ValueError(
            f"expected {len(PRESSURE_LEVELS)} levels {PRESSURE_LEVELS} hPa, got temperature "
            f"{tuple(temperature.shape)} and specific humidity {tuple(specific_humidity.shape)}"
        )
    matrix, share, factor = (
        torch.as_tensor(v, dtype=temperature.dtype, device=temperature.device)
        for v in _vertical_interpolation(tuple(operator.pressure.tolist()))
    )
    weights = _climatology_weights(latitude)
    climate_t = weights @ operator.climatology_temperature
    climate_q = weights @ operator.climatology_log_humidity
    t = climate_t + share * (temperature @ (matrix * factor) - climate_t)
    # relative humidities of 0 occur in analyses, and their logarithm is not finite
    log_q = torch.log(specific_humidity.clamp_min(LEAST_HUMIDITY)) @ matrix
    return t, torch.exp(climate_q + share * (log_q - climate_q))


def brightness_temperatures(
    operator: MicrowaveOperator,
    temperature: Tensor,
    specific_humidity: Tensor,
    surface_pressure: Tensor,
    skin_temperature: Tensor,
    land_fraction: Tensor,
    latitude: Tensor,
    zenith: Tensor,
    wind: Tensor | None = None,
    land: Tensor | float = emissivity.LAND,
    sea_ice: Tensor | float = emissivity.SEA_ICE,
    cloud_liquid: Tensor | None = None,
) -> Tensor:
    """Compute brightness temperatures from columns on the state's levels.

    Parameters
    ----------
    operator : MicrowaveOperator
        Operator of the instrument.
    temperature : Tensor
        In K, ``(batch, 13)`` at the state's pressure levels.
    specific_humidity : Tensor
        In kg/kg, ``(batch, 13)`` at the state's pressure levels.
    surface_pressure : Tensor
        In hPa, ``(batch,)``.
    skin_temperature : Tensor
        In K, ``(batch,)``.
    land_fraction : Tensor
        From 0 to 1, ``(batch,)``.
    latitude : Tensor
        In degrees, ``(batch,)``.
    zenith : Tensor
        Zenith angle of the sensor in degrees, ``(batch,)``; the path is plane-parallel.
    wind : Tensor or None
        Wind at 10 m in m/s, ``(batch,)``, which roughens the sea; the sea is flat without.
    land, sea_ice : Tensor or float
        Emissivities, as in :func:`fuxiflow.operators.emissivity.surface_emissivity`.
    cloud_liquid : Tensor or None
        Cloud droplets in kg/kg, ``(batch, 13)`` at the state's pressure levels; the sky is clear
        without.

    Returns
    -------
    Tensor
        In K, ``(batch, channel)``.
    """
    t, q = operator_columns(operator, temperature, specific_humidity, latitude)
    surface = emissivity.surface_emissivity(
        skin_temperature,
        land_fraction,
        operator.channel_frequency,
        zenith,
        operator.vertical,
        operator.conical,
        wind,
        land,
        sea_ice,
    )
    # emissivity is known by channel, the operator needs it by node
    surface = surface[:, operator.node_channel[: operator.surface_nodes]]
    secant = 1.0 / torch.cos(torch.deg2rad(zenith))
    if cloud_liquid is not None:
        matrix, *_ = _vertical_interpolation(tuple(operator.pressure.tolist()))
        cloud_liquid = cloud_liquid @ torch.as_tensor(matrix, dtype=t.dtype, device=t.device)
    return operator(t, q, surface_pressure, skin_temperature, surface, secant, cloud_liquid)


def brightness_temperatures_from_state(
    operator: MicrowaveOperator,
    state: Tensor,
    channels: ChannelTable | Sequence[str],
    surface_geopotential: Tensor,
    land_fraction: Tensor,
    latitude: Tensor,
    zenith: Tensor,
) -> Tensor:
    """Compute brightness temperatures from columns of the state.

    Humidity comes from R and T, surface pressure from MSL, T2M and ``surface_geopotential``. T2M
    stands for the skin temperature, which a state does not hold.

    Parameters
    ----------
    operator : MicrowaveOperator
        Operator of the instrument.
    state : Tensor
        Columns of the state in the channels' units, ``(batch, state channel)``.
    channels : ChannelTable or Sequence[str]
        Channels of the state, in the order of ``state``.
    surface_geopotential : Tensor
        In m2 s-2, ``(batch,)``.
    land_fraction : Tensor
        From 0 to 1, ``(batch,)``.
    latitude : Tensor
        In degrees, ``(batch,)``.
    zenith : Tensor
        Zenith angle of the sensor in degrees, ``(batch,)``.

    Returns
    -------
    Tensor
        In K, ``(batch, channel)``.

    Raises
    ------
    ValueError
        Lists the channels that the state lacks.
    """
    names = list(getattr(channels, "names", channels))
    missing = [name for name in SOUNDED if name not in names]
    if missing:
        raise ValueError(
            f"the state lacks {', '.join(missing)}, which the observation operator needs"
        )
    columns = state[:, [names.index(name) for name in SOUNDED]]
    count = len(PRESSURE_LEVELS)
    temperature = columns[:, :count]
    humidity = columns[:, count : 2 * count]
    msl = columns[:, -2]
    t2m = columns[:, -1]
    pressure = torch.tensor(PRESSURE_LEVELS, dtype=state.dtype, device=state.device)
    specific = humidity_of(humidity.clamp_min(0.0), temperature, pressure)
    # from Pa to hPa
    surface = 0.01 * pressure_of(msl, t2m, surface_geopotential)
    return brightness_temperatures(
        operator, temperature, specific, surface, t2m, land_fraction, latitude, zenith
    )
