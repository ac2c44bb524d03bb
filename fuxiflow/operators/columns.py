"""From the state's 13 pressure levels to the operator's levels, and on to brightness temperatures."""

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
# |latitude| in degrees of the climatology's profiles: tropical, mid-latitude and subarctic means of summer and winter
_CLIMATOLOGY_LATITUDES = (15.0, 45.0, 65.0)
_CLIMATOLOGY_PROFILES = ((0,), (1, 2), (3, 4))


@cache
def _geometry(pressure: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolation matrix ``(13, level)``, share of the state, factor of temperature below 1000 hPa ``(level,)``."""
    log_p, known = np.log(pressure), np.log(PRESSURE_LEVELS)
    matrix = np.stack([np.interp(log_p, known, row) for row in np.eye(len(PRESSURE_LEVELS))])
    low, high = np.log(BLEND)
    share = np.clip((log_p - low) / (high - low), 0.0, 1.0)
    below = np.maximum(log_p - known[-1], 0.0)
    return matrix, share, np.exp(below * LAPSE_RATE * GAS_CONSTANT_DRY / GRAVITY)


def _climatology_weights(latitude: Tensor) -> Tensor:
    """Weights ``(batch, 6)`` of the AFGL profiles at ``latitude`` in degrees, linear between given latitudes."""
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
    """Temperature (K) and specific humidity (kg/kg) ``(batch, level)`` on the operator's levels.

    ``temperature`` and ``specific_humidity`` are ``(batch, 13)`` at :data:`PRESSURE_LEVELS`. Linear in log pressure (humidity in
    its logarithm); below 1000 hPa with the standard lapse rate and constant humidity; above 50 hPa blended into the
    AFGL climatology of the latitude, which alone is used above 10 hPa.
    """
    if temperature.shape[-1] != len(PRESSURE_LEVELS) or specific_humidity.shape[-1] != len(
        PRESSURE_LEVELS
    ):
        raise ValueError(
            f"expected {len(PRESSURE_LEVELS)} levels {PRESSURE_LEVELS} hPa, got temperature {tuple(temperature.shape)} and "
            f"specific humidity {tuple(specific_humidity.shape)}"
        )
    matrix, share, factor = (
        torch.as_tensor(v, dtype=temperature.dtype, device=temperature.device)
        for v in _geometry(tuple(operator.pressure.tolist()))
    )
    weights = _climatology_weights(latitude)
    climate_t = weights @ operator.climatology_temperature
    climate_q = weights @ operator.climatology_log_humidity
    t = climate_t + share * (temperature @ (matrix * factor) - climate_t)
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
) -> Tensor:
    """Clear-sky brightness temperatures ``(batch, channel)`` in K.

    ``temperature`` (K) and ``specific_humidity`` (kg/kg) ``(batch, 13)`` at :data:`PRESSURE_LEVELS`; all others ``(batch,)``:
    ``surface_pressure`` in hPa, ``skin_temperature`` in K, ``land_fraction`` 0-1, ``latitude`` and sensor ``zenith``
    in degrees (the path is plane-parallel). ``wind`` at 10 m (m/s) roughens the sea, which is flat without; ``land``
    and ``sea_ice`` are emissivities as in :func:`fuxiflow.operators.emissivity.surface_emissivity`.
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
    surface = surface[:, operator.node_channel[: operator.surface_nodes]]
    secant = 1.0 / torch.cos(torch.deg2rad(zenith))
    return operator(t, q, surface_pressure, skin_temperature, surface, secant)


def brightness_temperatures_from_state(
    operator: MicrowaveOperator,
    state: Tensor,
    channels: ChannelTable | Sequence[str],
    surface_geopotential: Tensor,
    land_fraction: Tensor,
    latitude: Tensor,
    zenith: Tensor,
) -> Tensor:
    """Brightness temperatures ``(batch, channel)`` in K from columns of the state ``(batch, state channel)``.

    ``channels`` (a table or names) orders the state. Humidity comes from R and T, surface pressure from MSL, T2M and
    ``surface_geopotential`` (m2 s-2); T2M stands for the skin temperature, which a state does not hold. ValueError
    lists the channels that the state lacks; other arguments as in :func:`brightness_temperatures`.
    """
    names = list(getattr(channels, "names", channels))
    missing = [name for name in SOUNDED if name not in names]
    if missing:
        raise ValueError(
            f"the state lacks {', '.join(missing)}, which the observation operator needs"
        )
    picked = state[:, [names.index(name) for name in SOUNDED]]
    count = len(PRESSURE_LEVELS)
    temperature, humidity, msl, t2m = (
        picked[:, :count],
        picked[:, count : 2 * count],
        picked[:, -2],
        picked[:, -1],
    )
    pressure = torch.tensor(PRESSURE_LEVELS, dtype=state.dtype, device=state.device)
    specific = humidity_of(humidity.clamp_min(0.0), temperature, pressure)
    surface = 0.01 * pressure_of(msl, t2m, surface_geopotential)
    return brightness_temperatures(
        operator, temperature, specific, surface, t2m, land_fraction, latitude, zenith
    )
