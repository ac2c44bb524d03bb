"""What stations, soundings and occultations would measure of a state, and which operator a source has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fuxiflow.config.sources import Source
from fuxiflow.operators import radio_occultation
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.physics import surface_pressure

_HEIGHT = re.compile(r"refractivity_(\d+)")


@dataclass(frozen=True)
class ReportOperator:
    """The operator of a source whose ``channels`` are quantities of the state, pressure at the ground (``PS``) or
    refractivity at a height."""

    channels: list[str]

    def from_state(
        self,
        state: Tensor,
        names: Sequence[str],
        surface_geopotential: Tensor,
        land_fraction: Tensor,
        latitude: Tensor,
        zenith: Tensor,
    ) -> Tensor:
        """Equivalents ``(batch, channel)`` of the state ``(batch, state channel)``, NaN for what it does not hold.

        ``names`` order the state; ``surface_geopotential`` (m2 s-2) and ``latitude`` (degrees) are ``(batch,)``; land
        and zenith angle, which sounders need, are not used. Pressure at the ground is that of the state's own ground.
        """
        names = list(names)
        found = state.new_full((len(state), len(self.channels)), torch.nan)
        heights = {
            i: float(match[1])
            for i, name in enumerate(self.channels)
            if (match := _HEIGHT.fullmatch(name))
        }
        if heights:
            levels = torch.tensor(list(heights.values()))
            found[:, list(heights)] = radio_occultation.from_state(state, names, latitude, levels)
        for i, name in enumerate(self.channels):
            if name in names:
                found[:, i] = state[:, names.index(name)]
            elif name == "PS" and {"MSL", "T2M"} <= set(names):
                pressure, temperature = state[:, names.index("MSL")], state[:, names.index("T2M")]
                found[:, i] = surface_pressure(pressure, temperature, surface_geopotential)
        return found


def for_source(source: Source) -> MicrowaveOperator | ReportOperator:
    """The operator of a source: that of its instrument for radiances; FileNotFoundError names those that there are."""
    if any(channel.radiance for channel in source.channels):
        return MicrowaveOperator.for_instrument(source.instrument)
    return ReportOperator(source.channel_names)
