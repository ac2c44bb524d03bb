"""Both networks with the statistics they need, built from one description that travels in the checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime

import numpy as np
import torch
from torch import Tensor, nn

from fuxiflow.channels import channel_table
from fuxiflow.models.assimilator import Assimilator, SourceShape
from fuxiflow.models.forecaster import Forecaster
from fuxiflow.models.pillars import FootprintBatch

STEP = np.timedelta64(6, "h")
THERMODYNAMIC = ("temperature", "relative_humidity")


@dataclass(frozen=True)
class SourceDesign:
    """A source as the networks know it: its channels, window in hours, statistics in physical units, platforms, and
    whether it depends on the ``whole_state`` or, as radiances do, on temperature, humidity and the surface.
    """

    channels: list[str]
    window: tuple[int, int]
    mean: list[float]
    std: list[float]
    platforms: list[str] = field(default_factory=list)
    whole_state: bool = False

    @property
    def shape(self) -> SourceShape:
        """What the encoder needs of it."""
        return SourceShape(
            len(self.channels), *self.window, max(1, len(self.platforms)), self.whole_state
        )


@dataclass(frozen=True)
class Design:
    """Everything that shapes the networks; plain values, so that it can be stored and printed.

    ``statics`` names the static fields; ``forecaster`` and ``assimilator`` are the sizes of the configuration.
    """

    channels: list[str]
    grid: tuple[int, int]
    statics: list[str]
    forecaster: dict
    assimilator: dict
    sources: dict[str, SourceDesign] = field(default_factory=dict)

    def as_dict(self) -> dict:
        """Nested plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Design":
        """The inverse of :meth:`as_dict`."""
        sources = {name: SourceDesign(**source) for name, source in values["sources"].items()}
        return cls(**{**values, "grid": tuple(values["grid"]), "sources": sources})


def calendar(
    times: list[datetime] | np.ndarray, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Day of the year (1 to 366) and hour of the day of ``times``, ``(batch,)`` each."""
    times = np.asarray(times, "datetime64[h]")
    days = times.astype("datetime64[D]")
    day = (days - days.astype("datetime64[Y]")).astype(int) + 1
    hour = (times - days).astype(int)
    return (
        torch.as_tensor(day, dtype=torch.float32, device=device),
        torch.as_tensor(hour, dtype=torch.float32, device=device),
    )


def seen_by_sounders(channels: list[str]) -> Tensor:
    """Positions of the channels that a radiance depends on: temperature, humidity, and all at the surface."""
    rows = [channel_table()[name] for name in channels]
    return torch.tensor(
        [i for i, row in enumerate(rows) if row.level is None or row.variable in THERMODYNAMIC]
    )


class Normaliser(nn.Module):
    """Physical states ↔ standardised ones, ``(…, channel, lat, lon)``; precipitation enters as log(1 + tp).

    States may hold all channels or just the first of them, as an analysis does, which has no precipitation.
    ``tendency`` is the standard deviation of a 6-h change in standardised units ``(channel,)``: the networks'
    outputs are scaled with it.
    """

    def __init__(
        self, channels: Sequence[str], mean: np.ndarray, std: np.ndarray, tendency: np.ndarray
    ):
        super().__init__()
        if np.any(std <= 0):
            bad = [name for name, value in zip(channels, std, strict=True) if value <= 0]
            raise ValueError(
                f"channels {', '.join(bad)} do not vary in the statistics: standard deviation 0"
            )
        self.channels = list(channels)
        self.logarithmic = self.channels.index("TP") if "TP" in self.channels else None
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(
                name, torch.tensor(np.asarray(value), dtype=torch.float32)[:, None, None]
            )
        scaled = torch.tensor(np.asarray(tendency) / np.asarray(std), dtype=torch.float32)
        self.register_buffer("tendency", scaled[:, None, None])

    def forward(self, state: Tensor) -> Tensor:
        """Standardise a physical state."""
        count = state.shape[-3]
        return (self._log(state) - self.mean[:count]) / self.std[:count]

    def physical(self, state: Tensor) -> Tensor:
        """A standardised state in physical units; precipitation is never negative."""
        count = state.shape[-3]
        return self._exp(state * self.std[:count] + self.mean[:count])

    def _log(self, state: Tensor) -> Tensor:
        return self._precipitation(state, torch.log1p)

    def _exp(self, state: Tensor) -> Tensor:
        return self._precipitation(state, torch.expm1)

    def _precipitation(self, state: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """The state with ``function`` of its precipitation, negatives as 0, where it has any."""
        if self.logarithmic is None or self.logarithmic >= state.shape[-3]:
            return state
        state = state.clone()
        state[..., self.logarithmic, :, :] = function(
            state[..., self.logarithmic, :, :].clamp_min(0)
        )
        return state


class Networks(nn.Module):
    """Forecaster and assimilator on standardised states ``(batch, channel, lat, lon)``.

    Precipitation, when it is among the channels, belongs to the forecast alone: it comes out of the forecaster, and
    goes into neither network. ``autocast`` is the type that both multiply in, None for that of their weights
    (:mod:`fuxiflow.models.execution`).
    """

    autocast: torch.dtype | None = None

    def __init__(
        self,
        design: Design,
        mean: np.ndarray,
        std: np.ndarray,
        tendency: np.ndarray,
        statics: np.ndarray,
    ):
        super().__init__()
        self.design = design
        self.normaliser = Normaliser(design.channels, mean, std, tendency)
        self.analysed = sum(name != "TP" for name in design.channels)
        if design.channels[: self.analysed] != [name for name in design.channels if name != "TP"]:
            raise ValueError("precipitation must be the last channel")
        fields = torch.as_tensor(statics, dtype=torch.float32)
        scale = self.normaliser.tendency
        self.forecaster = Forecaster(
            self.analysed,
            len(design.channels),
            design.grid,
            fields,
            scale[: self.analysed],
            **design.forecaster,
        )
        shapes = {name: source.shape for name, source in design.sources.items()}
        self.assimilator = Assimilator(
            self.analysed,
            design.grid,
            fields,
            scale[: self.analysed],
            seen_by_sounders(design.channels[: self.analysed]),
            shapes,
            **design.assimilator,
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normaliser.mean.device

    def train_only(self, *, forecaster: bool, assimilator: bool) -> None:
        """Choose the networks that are trained; the rest is frozen."""
        self.forecaster.requires_grad_(forecaster)
        self.assimilator.requires_grad_(assimilator)

    def forecast(self, previous: Tensor, current: Tensor, times: np.ndarray) -> Tensor:
        """x(t-6 h), x(t) → x(t+6 h), with precipitation; ``times (batch,)`` are those of x(t)."""
        states = torch.stack([previous[:, : self.analysed], current[:, : self.analysed]], 1)
        with self._precision():
            return self.forecaster(states, *calendar(times, current.device))

    def guess(self, previous: Tensor, background: Tensor, times: np.ndarray) -> Tensor:
        """The first guess about ``times``: analysis 6 h before, background, and a forecast to 6 h after.

        ``(batch, 3, channel, lat, lon)``. Nothing is differentiated through the third: it serves to compare
        observations at their own time.
        """
        previous, background = previous[:, : self.analysed], background[:, : self.analysed]
        with torch.no_grad():
            following = self.forecast(previous, background, times)[:, : self.analysed]
        return torch.stack([previous, background, following], 1)

    def analyse(
        self,
        guess: Tensor,
        climatology: Tensor,
        observations: Mapping[str, FootprintBatch],
        times: np.ndarray,
    ) -> Tensor:
        """First guess, climatology and observations at ``times (batch,)`` → analysis."""
        with self._precision():
            return self.assimilator(
                guess, climatology, observations, *calendar(times, guess.device)
            )

    def _precision(self) -> AbstractContextManager:
        """What the networks run in."""
        return (
            nullcontext()
            if self.autocast is None
            else torch.autocast(self.device.type, self.autocast)
        )

    def standardise(self, source: str, values: np.ndarray) -> np.ndarray:
        """Measured values ``(n, channel)`` of a source in units of its statistics."""
        design = self.design.sources[source]
        return ((values - np.float32(design.mean)) / np.float32(design.std)).astype(np.float32)


def parameter_count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
