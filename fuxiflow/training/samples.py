"""Training samples: reanalysis frames and observation windows, drawn as a pure function of (seed, step, rank)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fuxiflow.models.networks import STEP, SourceDesign
from fuxiflow.models.pillars import FootprintBatch, batch_footprints
from fuxiflow.observations.sparse_grids import CACHE_BYTES, SparseGrids
from fuxiflow.states.store import StateSeries
from fuxiflow.training.bank import Bank
from fuxiflow.training.parallel import Share
from fuxiflow.training.signals import ignore


@dataclass(frozen=True)
class Request:
    """What a sample holds: ``start`` is the time of the newer of the two first frames.

    ``lead`` steps of forecast lead to the first background; ``cycles`` analyses follow. Frames are the reanalysis at
    start-6 h, start, and at every time that a loss looks at. One that ``follows`` needs no first frames: its first
    background is what the same place of the batch before ended with, and ``start`` is its first analysis time.
    ``noise`` seeds the error that is put on the first frames (:mod:`fuxiflow.training.perturbation`); the climatology
    that analyses are compared with is of ``shift`` days later. One that is ``banked`` has as first frames a background
    from the bank at ``start`` and the state 6 h before it.
    """

    start: np.datetime64
    lead: int
    cycles: int
    cold: bool = False
    masked: bool = False
    follows: bool = False
    noise: int | None = None
    shift: int = 0
    banked: bool = False

    @cached_property
    def target_times(self) -> list[np.datetime64]:
        """Times of the targets: all steps when only forecasting, else those of the analyses and the last background."""
        if self.cycles:
            return [self.start + STEP * (self.lead + i) for i in range(self.cycles + 1)]
        return [self.start + STEP * i for i in range(1, self.lead + 1)]

    @property
    def analysis_times(self) -> list[np.datetime64]:
        """Times of the analyses."""
        return self.target_times[: self.cycles]


@dataclass
class Batch:
    """A batch: ``first (fresh, 2, channel, lat, lon)`` and ``targets (batch, target, channel, lat, lon)``, physical.

    ``first`` is of the samples that do not ``follow (batch,)`` those of the batch before; ``start (batch,)`` is the
    time of the newer first frame, of those that follow the time of the first analysis. ``observations`` has, for each
    analysis of the cycle, the footprints by source, ``climatology (batch, cycle, channel, lat, lon)`` that of its time;
    ``noise`` are the seeds of errors for the first frames. ``points`` has, for each analysis and the last background,
    what L_obs compares it with, by source; it is empty without L_obs. It is part ``part`` of what a process computes of
    an update.
    """

    start: np.ndarray
    lead: int
    cycles: int
    first: Tensor
    targets: Tensor
    observations: list[dict[str, FootprintBatch]]
    climatology: Tensor
    follow: Tensor
    noise: list[int | None]
    part: int = 0
    points: list[dict[str, FootprintBatch]] = field(default_factory=list)

    @property
    def analysis(self) -> np.ndarray:
        """Times of the first analyses ``(batch,)``."""
        return self.start + np.where(self.follow, 0, self.lead) * STEP

    def pin_memory(self) -> "Batch":
        """The same in page-locked memory, from which a device copies while the processor goes on."""
        observations = [
            {name: found.pin_memory() for name, found in window.items()}
            for window in self.observations
        ]
        return replace(
            self,
            first=self.first.pin_memory(),
            targets=self.targets.pin_memory(),
            climatology=self.climatology.pin_memory(),
            observations=observations,
        )


class Archive:
    """Reanalysis and gridded observations of the training period, read time by time; ``bank`` holds backgrounds.

    Nothing is kept in memory but small stores of observations, up to ``cache_bytes`` each.
    """

    def __init__(
        self,
        states: Sequence[Path],
        grids: Mapping[str, Sequence[Path]],
        climatology=None,
        bank: Bank | None = None,
        cache_bytes: int = CACHE_BYTES,
    ):
        self.states = StateSeries(states)
        self.grids = {name: SparseGrids(paths, cache_bytes) for name, paths in grids.items()}
        self.climatology, self.bank = climatology, bank

    def frames(self, request: Request, out: np.ndarray) -> None:
        """Put the two first frames into ``out (2, channel, lat, lon)``: the reanalysis, a background from the bank, or
        climatology for a cold start."""
        times = [request.start - STEP, request.start]
        if request.cold:
            out[:] = [self.climatology.at(time) for time in times]
        elif request.banked:
            self.bank.read_into(request.start, out)
        else:
            self.states.read_into(times, out)

    def targets(self, request: Request, out: np.ndarray) -> None:
        """Put the reanalysis at the target times into ``out (target, channel, lat, lon)``."""
        self.states.read_into(request.target_times, out)

    def normals(self, request: Request) -> np.ndarray:
        """Climatology for the analysis times ``(cycle, channel, lat, lon)``."""
        shape = (0, len(self.states.channels), *self.states.grid.shape)
        shift = np.timedelta64(request.shift, "D")
        normals = [self.climatology.at(time + shift) for time in request.analysis_times]
        return np.stack(normals) if normals else np.empty(shape, np.float32)

    def windows(self, request: Request, windows: Mapping[str, tuple[int, int]]) -> list[dict]:
        """For each analysis of a request, the observation window of each source."""
        return [
            {name: self.grids[name].window(time, *window) for name, window in windows.items()}
            for time in request.analysis_times
        ]


class Batches(Dataset):
    """Batches by step and part: ``plan(step)`` lists the requests of an update, of equal cycles and lead, of which a
    ``share`` takes its places. Item ``step · accumulate + part`` is one part.

    ``points`` (:class:`fuxiflow.training.observation_loss.Points`) is what L_obs looks at, None without it.
    """

    def __init__(
        self,
        archive: Archive,
        plan,
        sources: Mapping[str, SourceDesign],
        standardise,
        share: Share = Share(),
        points=None,
    ):
        self.archive, self.plan, self.sources, self.standardise = (
            archive,
            plan,
            sources,
            standardise,
        )
        self.share, self.points = share, points

    def __getitem__(self, index: int) -> Batch:
        step, part = divmod(index, self.share.accumulate)
        update: list[Request] = self.plan(step)
        lead = max((request.lead for request in update if not request.follows), default=0)
        requests = update[self.share.places(len(update), part)]
        fresh, cycles = [r for r in requests if not r.follows], requests[0].cycles
        shape = (len(self.archive.states.channels), *self.archive.states.grid.shape)
        first = np.empty((len(fresh), 2, *shape), np.float32)
        for request, out in zip(fresh, first, strict=True):
            self.archive.frames(request, out)
        targets = np.empty((len(requests), len(requests[0].target_times), *shape), np.float32)
        for request, out in zip(requests, targets, strict=True):
            self.archive.targets(request, out)
        windows = [
            self.archive.windows(r, {n: s.window for n, s in self.sources.items()})
            for r in requests
        ]
        kept = torch.tensor([not request.masked for request in requests])
        observations = [
            {
                name: self._footprints(name, [sample[i] for sample in windows]).kept(kept)
                for name in self.sources
            }
            for i in range(cycles)
        ]
        normals = torch.from_numpy(np.stack([self.archive.normals(r) for r in requests]))
        return Batch(
            np.array([r.start for r in requests]),
            lead,
            cycles,
            torch.from_numpy(first),
            torch.from_numpy(targets),
            observations,
            normals,
            torch.tensor([r.follows for r in requests]),
            [r.noise for r in fresh],
            part,
            self._points(requests),
        )

    def _points(self, requests: list[Request]) -> list[dict[str, FootprintBatch]]:
        if self.points is None:
            return []
        return [
            self.points.at(times) for times in zip(*(r.target_times for r in requests), strict=True)
        ]

    def _footprints(self, name: str, windows: list[dict]) -> FootprintBatch:
        return batch_footprints(
            [window[name] for window in windows], lambda values: self.standardise(name, values)
        )


class Steps(Sampler):
    """The step numbers from ``first`` to ``last``: what a resumed run continues with."""

    def __init__(self, first: int, last: int):
        super().__init__()
        self.first, self.last = first, last

    def __iter__(self):
        return iter(range(self.first, self.last))

    def __len__(self) -> int:
        return self.last - self.first


def loader(batches: Batches, first: int, last: int, workers: int) -> DataLoader:
    """Batches of the steps from ``first`` up to ``last``, in order, read ahead by ``workers`` processes, in page-locked
    memory where there is a GPU."""
    parts = batches.share.accumulate
    return DataLoader(
        batches,
        batch_size=None,
        sampler=Steps(first * parts, last * parts),
        num_workers=workers,
        worker_init_fn=ignore,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=2 if workers else None,
    )


def usable(
    states: StateSeries,
    start: np.datetime64,
    end: np.datetime64,
    before: int,
    after: int,
    reach: np.datetime64 | None = None,
    among: np.ndarray | None = None,
) -> np.ndarray:
    """Times in [start, end] whose frames from ``before`` steps earlier to ``after`` steps later are all there.

    Those frames lie between ``reach`` (default: ``start``) and ``end``. With ``among`` only times in that are taken,
    whatever lies before them. Raises ValueError when there is no such time.
    """
    known = {
        t for t in states.times if (start if reach is None else reach) <= t <= end and t in states
    }
    inside = sorted(t for t in known if t >= start)
    if among is not None:
        before, inside = 0, sorted(set(inside) & set(among))
    good = [t for t in inside if all(t + STEP * i in known for i in range(-before, after + 1))]
    if not good:
        raise ValueError(
            f"no training sample between {start} and {end}: {len(inside)} states, "
            f"but none with {before + after + 1} in a row"
        )
    return np.array(good)
