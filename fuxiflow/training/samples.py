"""Training samples: reanalysis fields and observation windows, read as a plan asks for them."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fuxiflow.channels import channel_table
from fuxiflow.completeness import list_names
from fuxiflow.config.training import SimulatedShare
from fuxiflow.models.networks import STEP, SourceDesign
from fuxiflow.models.pillars import FootprintBatch, batch_footprints
from fuxiflow.observations.sparse_grids import CACHE_BYTES, SparseGrids, SparseWindow
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.training.bank import Bank
from fuxiflow.training.losses import Points
from fuxiflow.training.parallel import Share
from fuxiflow.training.signals import ignore_signals


@dataclass(frozen=True)
class Request:
    """The content of a sample; ``start`` is the time of the newer of its two first frames.

    ``lead`` steps of forecast lead to the first background; ``cycles`` analyses follow. Frames are
    the reanalysis at start-6 h, start, and at every time that a loss looks at. One that ``follows``
    needs no first frames: its first background is what the same place of the batch before ended
    with, and ``start`` is its first analysis time. ``noise`` seeds the error that is put on the
    first frames (:func:`fuxiflow.training.rollouts.perturbation`); the climatology that analyses
    are compared with is of ``shift`` days later. A ``cold`` one starts from climatology, a
    ``masked`` one has no observations, and any has none of the sources ``without``. One that is
    ``banked`` has as first frames a background from the bank at ``start`` and the state 6 h before
    it. One ``from_climatology`` has the climatology as first guess of all its analyses. ``ahead``
    steps from each analysis are the targets of its forecasts.
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
    without: tuple[str, ...] = ()
    from_climatology: bool = False
    ahead: int = 1

    def sees(self, source: str) -> bool:
        """Return whether the sample has observations of a source."""
        return not self.masked and source not in self.without

    @cached_property
    def target_times(self) -> list[np.datetime64]:
        """Times of the targets.

        All steps when only forecasting, else those of the analyses and of forecasts from the last.
        """
        if self.cycles:
            count = self.cycles + self.ahead
            return [self.start + STEP * (self.lead + i) for i in range(count)]
        return [self.start + STEP * i for i in range(1, self.lead + 1)]

    @property
    def analysis_times(self) -> list[np.datetime64]:
        """Times of the analyses."""
        return self.target_times[: self.cycles]


Plan = Callable[[int], list[Request]]
"""The requests of a whole update, of equal cycles and lead: a pure function of its number."""


@dataclass
class Batch:
    """A batch of samples; fields are in physical units.

    ``first (fresh, 2, channel, lat, lon)`` is of the samples that do not ``follow (batch,)`` those
    of the batch before; ``targets (batch, target, channel, lat, lon)`` of all; ``start (batch,)``
    is the time of the newer first frame, of those that follow the time of the first analysis.
    ``observations`` has, for each analysis of the cycle, the footprints by source, ``climatology
    (batch, cycle, channel, lat, lon)`` that of its time; ``noise`` are the seeds of errors for the
    first frames. ``points`` has, for each analysis and the last background, the observations that
    L_obs compares it with, by source; it is empty without L_obs.
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
    points: list[dict[str, FootprintBatch]] = field(default_factory=list)

    @property
    def analysis(self) -> np.ndarray:
        """Times of the first analyses ``(batch,)``."""
        return self.start + np.where(self.follow, 0, self.lead) * STEP

    def faults(self) -> list[str]:
        """Say which fields hold values that are no numbers: their kind, time and channels."""
        channels = channel_table()
        texts = []
        for kind, fields in (("first frames", self.first), ("targets", self.targets)):
            whole = fields.isfinite().all(-1).all(-1).all(1)
            starts = self.start[~self.follow.numpy()] if fields is self.first else self.start
            for start, sample in zip(starts, whole.numpy(), strict=True):
                names = [channels[i].name for i in np.flatnonzero(~sample) if channels[i].analysed]
                if names:
                    texts.append(f"{kind} of the sample from {start} ({list_names(names)})")
        return texts

    def pin_memory(self) -> "Batch":
        """The same in page-locked memory, from which a device copies while the processor goes on.

        The data loader calls it by this name.
        """
        observations = [
            {name: footprints.pin_memory() for name, footprints in window.items()}
            for window in self.observations
        ]
        return replace(
            self,
            first=self.first.pin_memory(),
            targets=self.targets.pin_memory(),
            climatology=self.climatology.pin_memory(),
            observations=observations,
        )


class HybridGrids:
    """Windows of one source that are real, or simulated as often as ``shares`` say."""

    def __init__(
        self, real: SparseGrids, simulated: SparseGrids, shares: Sequence[SimulatedShare], seed: int
    ):
        """Check that both hold the same.

        Parameters
        ----------
        real, simulated : SparseGrids
            Observations of the same source, channels, frame and grid.
        shares : Sequence[SimulatedShare]
            Days and the share of their windows that are simulated; on other days all are real.
        seed : int
            Fixes which windows are simulated.

        Raises
        ------
        ValueError
            When the two differ in what they hold, or are not what they are given for.
        """
        for name in ("source", "channels", "units", "frame", "grid"):
            if getattr(real, name) != getattr(simulated, name):
                raise ValueError(
                    f"{real.source}: {name} of the simulated observations is "
                    f"{getattr(simulated, name)}, of the real ones {getattr(real, name)}; "
                    f"run simulation_grid again"
                )
        if (real.origin, simulated.origin) != ("observed", "simulated"):
            raise ValueError(
                f"{real.source}: {simulated.origin} observations in the place of simulated, or "
                f"{real.origin} in that of real ones"
            )
        self.real, self.simulated, self.shares, self.seed = real, simulated, list(shares), seed

    def share(self, time: np.datetime64) -> float:
        """The share of windows about a ``time`` that are simulated."""
        day: date = np.datetime64(time, "D").item()
        return next((entry.share for entry in self.shares if entry.start <= day <= entry.end), 0.0)

    def window(self, analysis_time: np.datetime64, start_hour: int, end_hour: int) -> SparseWindow:
        """Observations of one window, all real or all simulated.

        Parameters
        ----------
        analysis_time : np.datetime64
            Time of the analysis.
        start_hour, end_hour : int
            The window is [analysis_time + start_hour, analysis_time + end_hour).

        Returns
        -------
        SparseWindow
            As of :meth:`fuxiflow.observations.sparse_grids.SparseGrids.window`.
        """
        draw = window_draw(self.seed, self.real.source, analysis_time)
        grids = self.simulated if draw < self.share(analysis_time) else self.real
        return grids.window(analysis_time, start_hour, end_hour)


def window_draw(seed: int, source: str, time: np.datetime64) -> float:
    """Draw a number in [0, 1) for a window: the same whenever it is asked for.

    Parameters
    ----------
    seed : int
        The configuration's seed.
    source : str
        Name of the source.
    time : np.datetime64
        Analysis time; its hour counts.

    Returns
    -------
    float
        64 bits of a BLAKE2b digest as a fraction.
    """
    text = f"{seed}/{source}/{np.datetime64(time, 'h')}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") / 2**64


def hybrid_grids(
    real: Mapping[str, SparseGrids],
    simulated: Mapping[str, Sequence[Path]],
    shares: Mapping[str, Sequence[SimulatedShare]],
    seed: int,
    log: logging.Logger,
) -> dict[str, HybridGrids]:
    """Open the grids of the sources that have shares of simulated windows.

    Parameters
    ----------
    real : Mapping[str, SparseGrids]
        Real observations by source.
    simulated : Mapping[str, Sequence[Path]]
        Stores of simulated observations by source.
    shares : Mapping[str, Sequence[SimulatedShare]]
        Days and shares by source.
    seed : int
        Fixes which windows are simulated.
    log : logging.Logger
        Is told the shares.

    Returns
    -------
    dict of str to HybridGrids
        By source, those of ``shares`` alone.
    """
    grids = {}
    for name, entries in shares.items():
        grids[name] = HybridGrids(real[name], SparseGrids(simulated[name]), entries, seed)
        for entry in entries:
            log.info(
                "%s: %.0f %% of the windows from %s to %s are simulated",
                name,
                100 * entry.share,
                entry.start,
                entry.end,
            )
    return grids


class Archive:
    """Reanalysis and gridded observations of the training period, read time by time.

    Nothing is kept in memory but small stores of observations.
    """

    def __init__(
        self,
        states: Sequence[Path],
        grids: Mapping[str, Sequence[Path]],
        climatology: Climatology | None = None,
        bank: Bank | None = None,
        cache_bytes: int = CACHE_BYTES,
    ):
        """Open the stores.

        Parameters
        ----------
        states : Sequence[Path]
            Stores of the reanalysis.
        grids : Mapping[str, Sequence[Path]]
            Stores of sparse observations by source.
        climatology : Climatology, optional
            First frames of a cold start, and the fields that analyses are compared with.
        bank : Bank, optional
            Backgrounds that samples start from.
        cache_bytes : int
            Size up to which a store of observations is kept in memory.
        """
        self.states = StateSeries(states)
        self.grids: dict[str, SparseGrids | HybridGrids] = {
            name: SparseGrids(paths, cache_bytes) for name, paths in grids.items()
        }
        self.climatology, self.bank = climatology, bank

    def frames(self, request: Request, out: np.ndarray) -> None:
        """Put the two first frames into ``out (2, channel, lat, lon)``.

        They are the reanalysis, a background from the bank, or climatology for a cold start: where
        no analysis knows more, the same that it is compared with.
        """
        times = [request.start - STEP, request.start]
        if request.cold:
            days = request.shift if request.from_climatology else 0
            shift = np.timedelta64(days, "D")
            out[:] = [self.climatology.at(time + shift) for time in times]
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


def open_archive(
    states: Sequence[Path],
    grids: Mapping[str, Sequence[Path]],
    climatology: Climatology,
    simulated: Mapping[str, Sequence[Path]],
    shares: Mapping[str, Sequence[SimulatedShare]],
    seed: int,
    log: logging.Logger,
    bank: Bank | None = None,
) -> Archive:
    """Open what the stages with cycles read, simulated observations included.

    Parameters
    ----------
    states : Sequence[Path]
        Stores of the reanalysis.
    grids : Mapping[str, Sequence[Path]]
        Stores of sparse observations by source.
    climatology : Climatology
        First frames of a cold start, and the fields that analyses are compared with.
    simulated : Mapping[str, Sequence[Path]]
        Stores of simulated observations, by the sources of ``shares``.
    shares : Mapping[str, Sequence[SimulatedShare]]
        Days and shares of simulated windows by source; empty without hybrid training.
    seed : int
        Fixes which windows are simulated.
    log : logging.Logger
        Is told the shares.
    bank : Bank, optional
        Backgrounds that samples start from.

    Returns
    -------
    Archive
        Its grids are hybrid where a source has shares.
    """
    archive = Archive(states, grids, climatology, bank)
    archive.grids |= hybrid_grids(archive.grids, simulated, shares, seed, log)
    return archive


class Batches(Dataset):
    """The batches of a stage; item ``update · accumulate + part`` is one part of an update."""

    def __init__(
        self,
        archive: Archive,
        plan: Plan,
        sources: Mapping[str, SourceDesign],
        standardise: Callable[[str, np.ndarray], np.ndarray],
        share: Share = Share(),
        points: Points | None = None,
    ):
        """Join an archive and a plan.

        Parameters
        ----------
        archive : Archive
            Where samples are read from.
        plan : Plan
            Lists the requests of an update.
        sources : Mapping[str, SourceDesign]
            The sources whose observations samples hold.
        standardise : Callable
            Maps the name of a source and values ``(n, channel)`` to units of its statistics.
        share : Share
            The places of an update's batch that this process takes.
        points : Points, optional
            The observations that L_obs looks at.
        """
        self.archive, self.plan, self.sources = archive, plan, sources
        self.standardise = standardise
        self.share, self.points = share, points

    def __getitem__(self, index: int) -> Batch:
        step, part = divmod(index, self.share.accumulate)
        update = self.plan(step)
        lead = max((request.lead for request in update if not request.follows), default=0)
        requests = update[self.share.places(len(update), part)]
        fresh = [request for request in requests if not request.follows]
        shape = (len(self.archive.states.channels), *self.archive.states.grid.shape)
        first = np.empty((len(fresh), 2, *shape), np.float32)
        for request, out in zip(fresh, first, strict=True):
            self.archive.frames(request, out)
        targets = np.empty((len(requests), len(requests[0].target_times), *shape), np.float32)
        for request, out in zip(requests, targets, strict=True):
            self.archive.targets(request, out)
        normals = np.stack([self.archive.normals(request) for request in requests])
        return Batch(
            start=np.array([request.start for request in requests]),
            lead=lead,
            cycles=requests[0].cycles,
            first=torch.from_numpy(first),
            targets=torch.from_numpy(targets),
            observations=self._observations(requests),
            climatology=torch.from_numpy(normals),
            follow=torch.tensor([request.follows for request in requests]),
            noise=[request.noise for request in fresh],
            points=self._points(requests),
        )

    def _observations(self, requests: list[Request]) -> list[dict[str, FootprintBatch]]:
        """For each analysis the footprints by source, none of those that a sample does not see."""
        hours = {name: source.window for name, source in self.sources.items()}
        windows = [self.archive.windows(request, hours) for request in requests]
        seen = {
            name: torch.tensor([request.sees(name) for request in requests])
            for name in self.sources
        }
        return [
            {
                name: self._footprints(name, [sample[i] for sample in windows]).kept(seen[name])
                for name in self.sources
            }
            for i in range(requests[0].cycles)
        ]

    def _points(self, requests: list[Request]) -> list[dict[str, FootprintBatch]]:
        if self.points is None:
            return []
        return [
            self.points.at(times)
            for times in zip(*(r.target_times[: r.cycles + 1] for r in requests), strict=True)
        ]

    def _footprints(self, name: str, windows: list[dict]) -> FootprintBatch:
        return batch_footprints(
            [window[name] for window in windows], lambda values: self.standardise(name, values)
        )


class _Items(Sampler):
    """The item numbers from ``first`` to ``last`` (excluded): what a resumed run continues with."""

    def __init__(self, first: int, last: int):
        super().__init__()
        self.first, self.last = first, last

    def __iter__(self):
        return iter(range(self.first, self.last))

    def __len__(self) -> int:
        return self.last - self.first


def load_batches(batches: Batches, first: int, last: int, workers: int) -> DataLoader:
    """Load batches in order, in page-locked memory where there is a GPU.

    Parameters
    ----------
    batches : Batches
        Those of a stage.
    first, last : int
        Updates, the last one excluded.
    workers : int
        Processes that read ahead; 0 reads in this one.

    Returns
    -------
    DataLoader
        Yields ``accumulate`` batches for each update.
    """
    parts = batches.share.accumulate
    return DataLoader(
        batches,
        batch_size=None,
        sampler=_Items(first * parts, last * parts),
        num_workers=workers,
        worker_init_fn=ignore_signals,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=2 if workers else None,
    )
