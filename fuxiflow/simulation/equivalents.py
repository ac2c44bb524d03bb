"""What a source would measure of a state, without errors: brightness temperatures, or profiles of refractivity."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fuxiflow.config.sources import Source
from fuxiflow.operators import radio_occultation
from fuxiflow.operators.columns import LEVELS, SOUNDED, from_state
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.simulation.fields import Columns

BATCH = 2048
REFRACTED = [f"{variable}{level}" for variable in "TRZ" for level in LEVELS]
"""Channels of the state that refractivity at heights depends on."""

Equivalent = Callable[[Columns, Tensor], Tensor]


def needed(source: Source) -> list[str]:
    """Channels of the state that observations of a source are simulated from."""
    return REFRACTED if source.profile else SOUNDED


def equivalent(source: Source) -> Equivalent:
    """The observation operator of a source: (columns, zenith angle (n,) in degrees) → values ``(n, channel)`` in the
    source's units, NaN where nothing can be measured.

    Sources whose channels have heights are occultations; FileNotFoundError names the instruments that have a microwave
    operator, ValueError one whose channels are not those of its operator.
    """
    if source.profile:
        heights = torch.tensor([channel.height for channel in source.channels], dtype=torch.float32)
        return lambda found, zenith: radio_occultation.from_state(
            found.state, found.channels, found.latitude, heights
        )
    operator = MicrowaveOperator.for_channels(source.instrument, source.channel_names, source.name)
    return lambda found, zenith: from_state(
        operator,
        found.state,
        found.channels,
        found.surface_geopotential,
        found.land_fraction,
        found.latitude,
        zenith,
    )


@torch.inference_mode()
def simulate(operator: Equivalent, found: Columns, zenith: np.ndarray) -> np.ndarray:
    """Equivalents ``(n, channel)`` float32 of columns seen at ``zenith`` angles (n,), batch by batch."""
    angle = torch.from_numpy(np.nan_to_num(np.asarray(zenith, np.float32)))
    parts = [
        operator(found.part(slice(i, i + BATCH)), angle[i : i + BATCH])
        for i in range(0, len(found), BATCH)
    ]
    return torch.cat(parts).numpy() if parts else np.empty((0, 0), np.float32)
