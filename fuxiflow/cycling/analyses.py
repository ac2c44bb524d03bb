"""The assimilation cycle: every six hours a background, the observations of its window, an analysis, a forecast."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fuxiflow.models.networks import STEP, Networks
from fuxiflow.models.pillars import FootprintBatch, batch_footprints
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries


@dataclass
class Carry:
    """What one cycle hands to the next: the ``time`` of the background, that background, and the analysis before it.

    Both states are standardised, ``(1, channel, lat, lon)``.
    """

    time: np.datetime64
    background: Tensor
    previous: Tensor

    def save(self, path: Path) -> None:
        """Write as a tensor file."""
        torch.save(
            {
                "time": str(self.time),
                "background": self.background.cpu(),
                "previous": self.previous.cpu(),
            },
            path,
        )

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Carry":
        """Read what :meth:`save` wrote."""
        content = torch.load(path, map_location=device, weights_only=True)
        return cls(np.datetime64(content["time"], "ns"), content["background"], content["previous"])


def normal(networks: Networks, climatology: Climatology, time: np.datetime64) -> Tensor:
    """The standardised climatology of a time, ``(1, channel, lat, lon)``."""
    state = climatology.at(time)[None, : networks.analysed]
    return networks.normaliser(torch.from_numpy(state).to(networks.device))


def cold_start(networks: Networks, climatology: Climatology, time: np.datetime64) -> Carry:
    """A first background that knows no weather: the climatology of the training period."""
    return Carry(
        np.datetime64(time, "ns"),
        normal(networks, climatology, time),
        normal(networks, climatology, time - STEP),
    )


def resumed(
    networks: Networks,
    analyses: StateSeries,
    backgrounds: StateSeries,
    climatology: Climatology,
    time: np.datetime64,
) -> Carry:
    """What the cycle at ``time`` started from, of its stored analyses and backgrounds; of a cycle's first analysis the
    climatology goes before it. KeyError for a time that was not analysed."""

    def standardised(states: StateSeries, when: np.datetime64) -> Tensor:
        return networks.normaliser(torch.from_numpy(states.read(when)[None]).to(networks.device))

    time, before = np.datetime64(time, "ns"), np.datetime64(time, "ns") - STEP
    previous = (
        standardised(analyses, before)
        if before in analyses
        else normal(networks, climatology, before)
    )
    return Carry(time, standardised(backgrounds, time), previous)


class Observer:
    """The observations of a window, as the networks take them; ValueError for simulated ones, which are to train with
    alone."""

    def __init__(self, networks: Networks, grids: Mapping[str, SparseGrids]):
        for name, found in grids.items():
            if found.origin != "observed":
                raise ValueError(
                    f"{name}: {found.origin} observations are for training alone, a cycle takes real ones"
                )
        unknown = set(grids) - set(networks.design.sources)
        if unknown:
            raise KeyError(
                f"the networks know no source {sorted(unknown)}; known: {sorted(networks.design.sources)}"
            )
        for name, grid in grids.items():
            known = networks.design.sources[name].platforms
            if len(known) > 1 and grid.platforms != known:
                raise ValueError(
                    f"grids of {name} are of the platforms {', '.join(grid.platforms)}, the networks know "
                    f"{', '.join(known)} in this order; train them again"
                )
        self.networks, self.grids = networks, grids

    def window(self, time: np.datetime64) -> dict[str, FootprintBatch]:
        """Footprints by source in the windows about ``time``; a source without any is left out."""
        found = {}
        for name, grid in self.grids.items():
            window = grid.window(time, *self.networks.design.sources[name].window)
            if len(window.cell):
                joined = batch_footprints(
                    [window], lambda v, n=name: self.networks.standardise(n, v)
                )
                found[name] = joined.to(self.networks.device)
        return found


@dataclass
class Cycled:
    """One cycle's products in physical units, ``(channel, lat, lon)`` each."""

    time: np.datetime64
    background: np.ndarray
    analysis: np.ndarray
    observed: int


@torch.inference_mode()
def cycle(
    networks: Networks,
    carry: Carry,
    observer: Observer,
    climatology: Climatology,
    end: np.datetime64,
) -> Iterator[tuple[Cycled, Carry]]:
    """Cycle from the carry's time up to ``end``, both included; yields each cycle and what the next starts from."""

    def physical(state: Tensor) -> np.ndarray:
        return networks.normaliser.physical(state)[0].cpu().numpy()

    while carry.time <= end:
        observations = observer.window(carry.time)
        times = np.array([carry.time])
        guess = networks.guess(carry.previous, carry.background, times)
        analysis = networks.analyse(
            guess, normal(networks, climatology, carry.time), observations, times
        )
        observed = sum(len(f) for f in observations.values())
        cycled = Cycled(carry.time, physical(carry.background), physical(analysis), observed)
        following = networks.forecast(carry.previous, analysis, times)[:, : networks.analysed]
        carry = Carry(carry.time + STEP, following, analysis)
        if not np.isfinite(cycled.analysis).all():
            raise FloatingPointError(
                f"the analysis of {cycled.time} is not finite; the networks diverged in cycling"
            )
        yield cycled, carry
