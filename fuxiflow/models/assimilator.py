"""The assimilator: a multi-branch U-Net that adds an increment to the background.

One encoder for the background and one for each source; their features are added up at every scale,
so memory does not grow with the number of sources, and a source that is missing adds exactly
nothing.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuxiflow.models.layers import Conv, Down, ResidualBlock, Up, apply, time_features, zero
from fuxiflow.models.pillars import FootprintBatch, PillarEncoder, Pillars, states_together


@dataclass(frozen=True)
class SourceShape:
    """The numbers that shape the encoder of a source.

    They are its channels, the window's hours, its platforms, and whether its first guess depends on
    the ``whole_state``, winds and geopotential included, or as those of radiances on ``seen``
    alone.
    """

    channels: int
    first_hour: int
    last_hour: int
    platforms: int = 1
    whole_state: bool = False


class Encoder(nn.Module):
    """Features at every scale, finest first."""

    def __init__(self, widths: list[int], blocks: int):
        super().__init__()
        self.first = nn.Sequential(*(ResidualBlock(widths[0]) for _ in range(blocks)))
        pairs = itertools.pairwise(widths)
        self.rest = nn.ModuleList(Down(fine, coarse, blocks) for fine, coarse in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode ``(batch, widths[0], lat, lon)``, finest scale first.

        Returns a list of ``(batch, widths[i], lat / 2^i, lon / 2^i)``.
        """
        features = [self.first(x)]
        for down in self.rest:
            features.append(down(features[-1]))
        return features


class SourceBranch(nn.Module):
    """The encoder of one source."""

    def __init__(
        self,
        source: SourceShape,
        states: int,
        surface: Tensor,
        seen: Tensor,
        width: int,
        widths: list[int],
        blocks: int,
    ):
        """Build the layers.

        Parameters
        ----------
        source : SourceShape
            Channels, window and platforms.
        states : int
            Channels of the state.
        surface : Tensor
            Static fields ``(static, lat, lon)``, land fraction first.
        seen : Tensor
            Channels of the state that the first guess depends on, ``(column,)``.
        width : int
            Channels of the encoder at full resolution.
        widths : list of int
            Channels of the network at each scale, which its features get.
        blocks : int
            Residual blocks at each scale.
        """
        super().__init__()
        hours = source.last_hour - source.first_hour
        self.pillars = PillarEncoder(
            source.channels,
            states,
            hours,
            source.first_hour,
            surface,
            seen,
            width,
            source.platforms,
        )
        self.join = Conv(width + states + 1, width)
        own = [width * 2**i for i in range(len(widths))]
        self.encoder = Encoder(own, blocks)
        self.widen = nn.ModuleList(
            nn.Identity() if a == b else Conv(a, b, 1) for a, b in zip(own, widths, strict=True)
        )

    def forward(
        self, footprints: FootprintBatch, guess: Tensor, anomaly: Tensor
    ) -> tuple[list[Tensor], Pillars]:
        """Encode the footprints of a batch of windows.

        Parameters
        ----------
        footprints : FootprintBatch
            Observations of the source.
        guess : Tensor
            First guess ``(batch, 3, state, lat, lon)``.
        anomaly : Tensor
            Anomaly of the background from climatology, ``(batch, state, lat, lon)``.

        Returns
        -------
        list of Tensor
            Features at every scale, zero for the windows in which the source is missing.
        Pillars
            What its cells say by themselves.
        """
        pillars = self.pillars(footprints, guess, anomaly)
        present = pillars.mask.flatten(1).amax(1)[:, None, None, None]
        joined = self.join(torch.cat([pillars.features, pillars.increment, pillars.mask], 1))
        levels = [
            widen(level) for widen, level in zip(self.widen, self.encoder(joined), strict=True)
        ]
        return [present * level for level in levels], pillars


class Assimilator(nn.Module):
    """Background and observations → analysis, standardised.

    The increment is a first one, plus one that the U-Net makes of everything. The first is the mean
    of those that the sources' cells ask for one by one; or it is given, as that of 3D-Var is, and
    the U-Net sees it. Sources are encoded one after the other; with ``recompute`` training
    keeps none of their activations, so that its memory does not grow with their number either.
    """

    def __init__(
        self,
        channels: int,
        shape: tuple[int, int],
        statics: Tensor,
        tendency: Tensor,
        seen: Tensor,
        sources: Mapping[str, SourceShape],
        *,
        width: int,
        scales: int,
        blocks: int,
        source_width: int | None = None,
        first_increment: bool = False,
    ):
        """Build the layers.

        Parameters
        ----------
        channels : int
            Analysed channels.
        shape : tuple of int
            The grid ``(lat, lon)``, divisible by 2^(scales-1).
        statics : Tensor
            Static fields ``(static, lat, lon)``, land fraction first.
        tendency : Tensor
            The unit of the increment, ``(channel, 1, 1)``.
        seen : Tensor
            The channels that first guesses of radiances depend on, ``(column,)``.
        sources : Mapping[str, SourceShape]
            The shape of each source by its name.
        width : int
            Channels of the network at full resolution, doubled at each scale.
        scales : int
            Resolutions, each half of the one before.
        blocks : int
            Residual blocks at each scale.
        source_width : int, optional
            Channels of the sources' encoders at full resolution; by default ``width``.
        first_increment : bool
            Whether the first increment is given.
        """
        super().__init__()
        if any(side % 2 ** (scales - 1) for side in shape):
            raise ValueError(f"a grid of {shape} cells cannot be halved {scales - 1} times")
        widths = [width * 2**i for i in range(scales)]
        self.recompute = False
        self.register_buffer("statics", statics)
        self.register_buffer("tendency", tendency)
        states = 2 if first_increment else 1
        self.background = Conv(states * channels + len(statics) + 4, width)
        self.encoder = Encoder(widths, blocks)
        everything = torch.arange(channels)
        self.branches = nn.ModuleDict(
            {
                name: SourceBranch(
                    source,
                    channels,
                    statics,
                    everything if source.whole_state else seen,
                    source_width or width,
                    widths,
                    blocks,
                )
                for name, source in sources.items()
            }
        )
        self.fuse = nn.ModuleList(
            nn.Sequential(Conv(2 * w, w, 1), ResidualBlock(w)) for w in widths
        )
        self.ups = nn.ModuleList(Up(w, w // 2, blocks) for w in reversed(widths[1:]))
        self.joins = nn.ModuleList(Conv(2 * w, w, 1) for w in reversed(widths[:-1]))
        self.head = zero(nn.Conv2d(width, channels, 1))

    def forward(
        self,
        guess: Tensor,
        climatology: Tensor,
        observations: Mapping[str, FootprintBatch],
        day_of_year: Tensor,
        hour: Tensor,
        first_increment: Tensor | None = None,
    ) -> Tensor:
        """Analyse a batch.

        The guess is the state 6 h before the analysis, the background, and a forecast to 6 h after:
        observations are compared with it at their own time, the increment is added to the
        background.

        Parameters
        ----------
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``, best laid out by
            :func:`~fuxiflow.models.pillars.states_together`, which costs a copy otherwise.
        climatology : Tensor
            ``(batch, channel, lat, lon)``.
        observations : Mapping[str, FootprintBatch]
            Footprints by source; sources may be missing.
        day_of_year, hour : Tensor
            Times of the analyses, ``(batch,)`` each.
        first_increment : Tensor, optional
            The first increment where it is given, ``(batch, channel, lat, lon)``.

        Returns
        -------
        Tensor
            The analysis, ``(batch, channel, lat, lon)``.

        Raises
        ------
        KeyError
            For a source that the network does not know.
        """
        unknown = set(observations) - set(self.branches)
        if unknown:
            raise KeyError(
                f"no branch for sources {sorted(unknown)}; known: {sorted(self.branches)}"
            )
        background, batch = guess[:, 1].contiguous(), len(guess)
        time = time_features(day_of_year, hour)[:, :, None, None].expand(
            -1, -1, *background.shape[-2:]
        )
        fields = [background, self.statics.expand(batch, -1, -1, -1), time]
        if first_increment is not None:
            first_increment = first_increment / self.tendency
            fields.append(first_increment)
        x = torch.cat(fields, 1)
        own = self._run(self.encoder, self.background(x))
        del x, fields
        seen = [torch.zeros_like(level) for level in own]
        anomaly = states_together((background - climatology) / self.tendency)
        laid_out = states_together(guess)
        increment, count = torch.zeros_like(background), torch.zeros_like(background[:, :1])
        for name, footprints in observations.items():
            if len(footprints):
                levels, pillars = self._run(self.branches[name], footprints, laid_out, anomaly)
                seen = [a + b for a, b in zip(seen, levels, strict=True)]
                increment, count = increment + pillars.increment, count + pillars.mask
                del levels, pillars
        del laid_out, anomaly
        fused = [
            self._run(f, torch.cat([a, b], 1)) for f, a, b in zip(self.fuse, own, seen, strict=True)
        ]
        y = fused.pop()
        for up, join in zip(self.ups, self.joins, strict=True):
            y = join(torch.cat([self._run(up, y), fused.pop()], 1))
        if first_increment is None:
            first_increment = increment / count.clamp_min(1)
        return background + (first_increment + self.head(y).float()) * self.tendency

    def _run(self, layer: nn.Module, *inputs):
        """Run a part of the network, see :func:`fuxiflow.models.layers.apply`."""
        return apply(layer, *inputs, recompute=self.recompute)
