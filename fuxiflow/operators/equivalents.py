"""Observation equivalents: the values that a source would measure of a state, without errors.

Sounders measure brightness temperatures, occultations refractivity at heights, and stations and
soundings quantities of the state itself. Jacobians tell how an equivalent answers to the state.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fuxiflow.config.sources import Source
from fuxiflow.operators import radio_occultation
from fuxiflow.operators.columns import SOUNDED, brightness_temperatures_from_state
from fuxiflow.operators.microwave import BATCH, MicrowaveOperator
from fuxiflow.physics import surface_pressure

VARIABLES = (
    "temperature",
    "specific_humidity",
    "surface_pressure",
    "skin_temperature",
    "emissivity",
)
"""Arguments of the microwave operator that :func:`jacobian` differentiates by."""
_HEIGHT = re.compile(r"refractivity_(\d+)")


@dataclass(frozen=True)
class StateColumns:
    """The state above points.

    Attributes
    ----------
    channels : list[str]
        Channels of the state, in the order of ``state``.
    state : Tensor
        Values in the units of ``channels``, ``(n, channel)``, float32.
    surface_geopotential : Tensor
        In m2 s-2, ``(n,)``, float32.
    land_fraction : Tensor
        From 0 to 1, ``(n,)``, float32.
    latitude : Tensor
        In degrees, ``(n,)``, float32.
    """

    channels: list[str]
    state: Tensor
    surface_geopotential: Tensor
    land_fraction: Tensor
    latitude: Tensor

    def __len__(self) -> int:
        return len(self.state)

    def part(self, rows: slice) -> "StateColumns":
        """Return the columns of some of the points."""
        return StateColumns(
            self.channels,
            self.state[rows],
            self.surface_geopotential[rows],
            self.land_fraction[rows],
            self.latitude[rows],
        )


EquivalentOperator = Callable[[StateColumns, Tensor], Tensor]
"""A function of columns and zenith angles ``(n,)`` in degrees that gives equivalents ``(n,
channel)``."""


def required_channels(source: Source) -> list[str]:
    """Return the channels of the state that observations of a source are simulated from."""
    return radio_occultation.REFRACTED if source.profile else SOUNDED


def equivalent_operator(source: Source) -> EquivalentOperator:
    """Return the function that simulates a sounder or an occultation source.

    Its values are in the source's units, and NaN where nothing can be measured. Sources whose
    channels have heights are occultations. FileNotFoundError names the instruments that have a
    microwave operator; ValueError is raised for a source whose channels are not those of its
    operator.
    """
    if source.profile:
        heights = torch.tensor([channel.height for channel in source.channels], dtype=torch.float32)
        return lambda columns, zenith: radio_occultation.refractivity_from_state(
            columns.state, columns.channels, columns.latitude, heights
        )
    operator = MicrowaveOperator.for_channels(source.instrument, source.channel_names, source.name)
    return lambda columns, zenith: brightness_temperatures_from_state(
        operator,
        columns.state,
        columns.channels,
        columns.surface_geopotential,
        columns.land_fraction,
        columns.latitude,
        zenith,
    )


@torch.inference_mode()
def simulate_equivalents(
    operator: EquivalentOperator, columns: StateColumns, zenith: np.ndarray
) -> np.ndarray:
    """Simulate the equivalents of columns, :data:`BATCH` at a time.

    Parameters
    ----------
    operator : EquivalentOperator
        From :func:`equivalent_operator`.
    columns : StateColumns
        The state above the ``n`` observed points.
    zenith : np.ndarray
        Zenith angles of the sensor in degrees, ``(n,)``; NaN counts as 0.

    Returns
    -------
    np.ndarray
        Equivalents ``(n, channel)``, float32.
    """
    # occultations have no zenith angle, and their operator does not look at it
    angle = torch.from_numpy(np.nan_to_num(np.asarray(zenith, np.float32)))
    parts = [
        operator(columns.part(slice(i, i + BATCH)), angle[i : i + BATCH])
        for i in range(0, len(columns), BATCH)
    ]
    return torch.cat(parts).numpy() if parts else np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class ReportOperator:
    """The operator of a source whose ``channels`` are quantities of the state.

    Channels are those of the state, pressure at the ground (``PS``) or refractivity at a height.
    """

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
        """Return the equivalents of columns of the state.

        Pressure at the ground is that of the state's own ground.

        Parameters
        ----------
        state : Tensor
            Columns of the state, ``(batch, state channel)``.
        names : Sequence[str]
            Channels of the state, in the order of ``state``.
        surface_geopotential : Tensor
            In m2 s-2, ``(batch,)``.
        land_fraction : Tensor
            From 0 to 1, ``(batch,)``; not used, as only sounders need it.
        latitude : Tensor
            In degrees, ``(batch,)``.
        zenith : Tensor
            Zenith angle in degrees, ``(batch,)``; not used, as only sounders need it.

        Returns
        -------
        Tensor
            Equivalents ``(batch, channel)``, NaN for what the state does not hold.
        """
        names = list(names)
        equivalents = state.new_full((len(state), len(self.channels)), torch.nan)
        heights = {
            i: float(match[1])
            for i, name in enumerate(self.channels)
            if (match := _HEIGHT.fullmatch(name))
        }
        if heights:
            levels = torch.tensor(list(heights.values()))
            equivalents[:, list(heights)] = radio_occultation.refractivity_from_state(
                state, names, latitude, levels
            )
        for i, name in enumerate(self.channels):
            if name in names:
                equivalents[:, i] = state[:, names.index(name)]
            elif name == "PS" and {"MSL", "T2M"} <= set(names):
                pressure, temperature = state[:, names.index("MSL")], state[:, names.index("T2M")]
                equivalents[:, i] = surface_pressure(pressure, temperature, surface_geopotential)
        return equivalents


def observation_operator(source: Source) -> MicrowaveOperator | ReportOperator:
    """Return the operator of a source: that of its instrument if it measures radiances.

    FileNotFoundError names the instruments that have a microwave operator.
    """
    if any(channel.radiance for channel in source.channels):
        return MicrowaveOperator.for_instrument(source.instrument)
    return ReportOperator(source.channel_names)


def jacobian(
    operator: Callable[..., Tensor],
    columns: dict[str, Tensor],
    channels: Sequence[int] | None = None,
    variables: Sequence[str] = VARIABLES,
) -> dict[str, Tensor]:
    """Differentiate an operator's result by each of ``variables``, for a batch of columns.

    Parameters
    ----------
    operator : Callable[..., Tensor]
        Takes ``columns`` as keywords and gives ``(batch, channel)``.
    columns : dict[str, Tensor]
        The operator's arguments by name, ``(batch, ...)`` each; a column affects only its own
        results.
    channels : Sequence[int] or None
        Positions of the channels that are differentiated, all by default; each costs one backward
        pass.
    variables : Sequence[str]
        Names of the arguments to differentiate by.

    Returns
    -------
    dict[str, Tensor]
        For each variable ``(batch, channel, ...)``, in the result's unit per the variable's (K/K, K
        per kg/kg, K/hPa, K/K, K).

    Raises
    ------
    KeyError
        Names a variable that ``columns`` lack.
    """
    if missing := [name for name in variables if name not in columns]:
        raise KeyError(f"no {', '.join(missing)} among the columns: {', '.join(columns)}")
    leaves = {name: columns[name].detach().clone().requires_grad_(True) for name in variables}
    # callers may run in inference mode
    with torch.enable_grad():
        result = operator(**{**columns, **leaves})
    positions = range(result.shape[1]) if channels is None else channels
    rows = [
        torch.autograd.grad(
            # columns do not affect each other, so that one backward pass serves the whole batch
            result[:, i].sum(),
            list(leaves.values()),
            retain_graph=True,
            materialize_grads=True,
        )
        for i in positions
    ]
    return {name: torch.stack([row[i] for row in rows], dim=1) for i, name in enumerate(variables)}
