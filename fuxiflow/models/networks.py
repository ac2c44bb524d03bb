"""Both networks with the statistics they need, built from one description.

It travels in the checkpoint, so that a checkpoint needs no second file.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime

import numpy as np
import torch
from torch import Tensor, nn

from fuxiflow.channels import channel_table
from fuxiflow.models.assimilator import Assimilator, SourceShape
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.forecaster import Forecaster
from fuxiflow.models.pillars import FootprintBatch, batch_footprints, states_together
from fuxiflow.models.variational import VariationalAnalysis
from fuxiflow.observations.sparse_grids import SparseWindow

STEP = np.timedelta64(6, "h")
THERMODYNAMIC = ("temperature", "relative_humidity")


@dataclass(frozen=True)
class SourceDesign:
    """A source as the networks know it.

    It has channels, a window in hours, statistics in physical units, and platforms. It depends on
    the ``whole_state`` or, as radiances do, on temperature, humidity and the surface.
    """

    channels: list[str]
    window: tuple[int, int]
    mean: list[float]
    std: list[float]
    platforms: list[str] = field(default_factory=list)
    whole_state: bool = False

    @property
    def shape(self) -> SourceShape:
        """The numbers that shape its encoder."""
        return SourceShape(
            len(self.channels), *self.window, max(1, len(self.platforms)), self.whole_state
        )


@dataclass(frozen=True)
class Design:
    """Everything that shapes the networks; plain values, so that it can be stored and printed.

    ``statics`` names the static fields; ``forecaster`` and ``assimilator`` are the sizes of the
    configuration; ``background_filter`` is the size of the filter, None without one, and
    ``variational`` has the settings of 3D-Var, None where it makes no first increment.
    """

    channels: list[str]
    grid: tuple[int, int]
    statics: list[str]
    forecaster: dict
    assimilator: dict
    sources: dict[str, SourceDesign] = field(default_factory=dict)
    background_filter: dict | None = None
    variational: dict | None = None

    def as_dict(self) -> dict:
        """Nested plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Design":
        """Build a design from the values of :meth:`as_dict`."""
        sources = {name: SourceDesign(**source) for name, source in values["sources"].items()}
        return cls(**{**values, "grid": tuple(values["grid"]), "sources": sources})


def calendar(
    times: list[datetime] | np.ndarray, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Compute the day of the year (1 to 366) and hour of the day of times, ``(batch,)`` each."""
    times = np.asarray(times, "datetime64[h]")
    days = times.astype("datetime64[D]")
    day = (days - days.astype("datetime64[Y]")).astype(int) + 1
    hour = (times - days).astype(int)
    return (
        torch.as_tensor(day, dtype=torch.float32, device=device),
        torch.as_tensor(hour, dtype=torch.float32, device=device),
    )


def seen_by_sounders(channels: list[str]) -> Tensor:
    """Positions of the channels that a radiance depends on.

    They are temperature, humidity, and all at the surface.
    """
    rows = [channel_table()[name] for name in channels]
    return torch.tensor(
        [i for i, row in enumerate(rows) if row.level is None or row.variable in THERMODYNAMIC]
    )


class Normaliser(nn.Module):
    """Physical states ↔ standardised ones, ``(…, channel, lat, lon)``.

    Precipitation enters as log(1 + tp). States may hold all channels or just the first of them, as
    an analysis does, which has no precipitation.
    Its ``tendency`` is the standard deviation of a 6-h change in standardised units ``(channel, 1,
    1)``: the networks' outputs are scaled with it.
    """

    def __init__(
        self, channels: Sequence[str], mean: np.ndarray, std: np.ndarray, tendency: np.ndarray
    ):
        """Keep the statistics as buffers.

        Parameters
        ----------
        channels : Sequence[str]
            Names of the channels, in order.
        mean, std : np.ndarray
            Of the states in physical units, precipitation as log(1 + tp); ``(channel,)``.
        tendency : np.ndarray
            Standard deviation of the 6-h change, in the same units, ``(channel,)``.

        Raises
        ------
        ValueError
            When a channel does not vary.
        """
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
        """Apply a function to the precipitation of a state, negatives as 0, where it has any."""
        if self.logarithmic is None or self.logarithmic >= state.shape[-3]:
            return state
        state = state.clone()
        state[..., self.logarithmic, :, :] = function(
            state[..., self.logarithmic, :, :].clamp_min(0)
        )
        return state


class Networks(nn.Module):
    """Forecaster and assimilator on standardised states ``(batch, channel, lat, lon)``.

    Precipitation, when it is among the channels, belongs to the forecast alone: it comes out of the
    forecaster, and goes into neither network. ``autocast`` is the type that both multiply in, None
    for that of their weights (:mod:`fuxiflow.models.execution`).
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
        """Build both networks.

        Parameters
        ----------
        design : Design
            Channels, grid, sources and sizes.
        mean, std, tendency : np.ndarray
            Statistics of the states, ``(channel,)``, see :class:`Normaliser`.
        statics : np.ndarray
            Static fields ``(static, lat, lon)``, land fraction first.

        Raises
        ------
        ValueError
            When precipitation is not the last channel.
        """
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
            first_increment=design.variational is not None,
            **design.assimilator,
        )
        self.background_filter = design.background_filter and BackgroundFilter(
            self.analysed, design.grid, **design.background_filter
        )
        self.variational = design.variational and VariationalAnalysis(
            self.analysed,
            design.grid,
            {name: source.channels for name, source in shapes.items()},
            {name for name, source in shapes.items() if source.whole_state},
            design.variational,
        )

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.normaliser.mean.device

    def train_only(self, *, forecaster: bool, assimilator: bool) -> None:
        """Choose the networks that are trained; the rest is frozen."""
        self.forecaster.requires_grad_(forecaster)
        self.assimilator.requires_grad_(assimilator)

    def forecast(self, previous: Tensor, current: Tensor, times: np.ndarray) -> Tensor:
        """Forecast one step: x(t-6 h), x(t) → x(t+6 h), with precipitation.

        Parameters
        ----------
        previous, current : Tensor
            x(t-6 h) and x(t), ``(batch, channel, lat, lon)``; precipitation does not count.
        times : np.ndarray
            The times t, ``(batch,)``.

        Returns
        -------
        Tensor
            ``(batch, channel, lat, lon)``.
        """
        states = torch.stack([previous[:, : self.analysed], current[:, : self.analysed]], 1)
        with self._precision():
            return self.forecaster(states, *calendar(times, current.device))

    def guess(
        self, previous: Tensor, background: Tensor, climatology: Tensor, times: np.ndarray
    ) -> Tensor:
        """Put the first guess together: state 6 h before, background, and a forecast to 6 h after.

        The background passes the filter, where there is one. Nothing is differentiated through the
        third: it serves to compare observations at their own time.

        Parameters
        ----------
        previous : Tensor
            The analysis 6 h before, ``(batch, channel, lat, lon)``.
        background : Tensor
            The background, likewise.
        climatology : Tensor
            That of the background's time, ``(batch, channel, lat, lon)``.
        times : np.ndarray
            The background's times, ``(batch,)``.

        Returns
        -------
        Tensor
            ``(batch, 3, channel, lat, lon)`` of the analysed channels, laid out by
            :func:`~fuxiflow.models.pillars.states_together`.
        """
        previous, background = previous[:, : self.analysed], background[:, : self.analysed]
        if self.background_filter is not None:
            background = self.background_filter(background, climatology)
        with torch.no_grad():
            following = self.forecast(previous, background, times)[:, : self.analysed]
        return states_together(torch.stack([previous, background, following], 1))

    def analyse(
        self,
        guess: Tensor,
        climatology: Tensor,
        observations: Mapping[str, FootprintBatch],
        times: np.ndarray,
    ) -> Tensor:
        """Analyse: first guess, climatology and observations → analysis.

        Parameters
        ----------
        guess : Tensor
            ``(batch, 3, channel, lat, lon)``.
        climatology : Tensor
            ``(batch, channel, lat, lon)``.
        observations : Mapping[str, FootprintBatch]
            Footprints by source; sources may be missing.
        times : np.ndarray
            Times of the analyses, ``(batch,)``.

        Returns
        -------
        Tensor
            ``(batch, channel, lat, lon)``.
        """
        increment = None
        if self.variational is not None:
            increment = self.variational_increment(guess.detach(), observations)
        with self._precision():
            return self.assimilator(
                guess, climatology, observations, *calendar(times, guess.device), increment
            )

    def variational_increment(
        self, guess: Tensor, observations: Mapping[str, FootprintBatch]
    ) -> Tensor:
        """Compute the increment of 3D-Var; nothing is differentiated through it.

        Parameters
        ----------
        guess : Tensor
            ``(batch, 3, channel, lat, lon)``.
        observations : Mapping[str, FootprintBatch]
            Footprints by source; sources may be missing.

        Returns
        -------
        Tensor
            ``(batch, channel, lat, lon)``.

        Raises
        ------
        KeyError
            For a source that the networks do not know.
        """
        encoders = {name: branch.pillars for name, branch in self.assimilator.branches.items()}
        with self._precision():
            return self.variational.increment(guess, observations, encoders)

    def _precision(self) -> AbstractContextManager:
        """The autocast that the networks run in."""
        return (
            nullcontext()
            if self.autocast is None
            else torch.autocast(self.device.type, self.autocast)
        )

    def standardise(self, source: str, values: np.ndarray) -> np.ndarray:
        """Measured values ``(n, channel)`` of a source in units of its statistics."""
        design = self.design.sources[source]
        return ((values - np.float32(design.mean)) / np.float32(design.std)).astype(np.float32)

    def footprints(self, source: str, window: SparseWindow) -> FootprintBatch:
        """One window of a source, standardised, on the device."""
        return batch_footprints([window], lambda values: self.standardise(source, values)).to(
            self.device
        )


def parameter_count(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
