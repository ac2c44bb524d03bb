"""The assimilation cycle: a background, the observations about it, an analysis, a forecast.

It goes on every six hours.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fuxiflow.channels import ChannelTable
from fuxiflow.completeness import Asked, check_share, list_times
from fuxiflow.grids import Grid
from fuxiflow.models.first_guess_check import FirstGuessCheck
from fuxiflow.models.networks import STEP, Networks
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import checksums
from fuxiflow.storage.tensor_files import save_tensors

SAVE_EVERY = 28  # analyses
SAVE_BYTES = 1 << 29  # of an array of the store, which is in memory until then
CLIMATOLOGY_BYTES = 640 << 20
"""Of the climatology's fields, which a cycle keeps: all that it needs again at coarse grids, at
720 x 1440 those of one time; reading two more takes a small part of an analysis."""


def states_per_file(channels: ChannelTable, grid: Grid) -> int:
    """Return how many analyses a file of their store holds, after which the cycle is saved."""
    return max(1, min(SAVE_EVERY, SAVE_BYTES // (4 * len(channels) * grid.nlat * grid.nlon)))


@dataclass
class Carry:
    """The states that one cycle hands to the next.

    ``background`` is that of ``time``, ``previous`` the analysis 6 h before it; both standardised,
    ``(1, channel, lat, lon)``.
    """

    time: np.datetime64
    background: Tensor
    previous: Tensor

    def content(self) -> dict[str, str | Tensor]:
        """Return what a file of tensors holds of it."""
        return {
            "time": str(self.time),
            "background": self.background.cpu(),
            "previous": self.previous.cpu(),
        }

    @classmethod
    def of(cls, content: dict[str, str | Tensor], device: torch.device) -> "Carry":
        """Return the carry whose :meth:`content` a file holds."""
        return cls(
            np.datetime64(content["time"], "ns"),
            content["background"].to(device),
            content["previous"].to(device),
        )

    def save(self, path: Path) -> None:
        """Write as a tensor file with a checksum."""
        save_tensors(self.content(), path)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Carry":
        """Read the file that :meth:`save` wrote; DamagedError where it is another."""
        checksums.check_sealed(path)
        return cls.of(torch.load(path, map_location=device, weights_only=True), device)


def normal(networks: Networks, climatology: Climatology, time: np.datetime64) -> Tensor:
    """Standardise the climatology of a time.

    Parameters
    ----------
    networks : Networks
        Give the statistics and the device.
    climatology : Climatology
        In physical units.
    time : np.datetime64
        The time.

    Returns
    -------
    Tensor
        ``(1, channel, lat, lon)`` of the analysed channels.
    """
    state = climatology.at(time)[None, : networks.analysed]
    return networks.normaliser(torch.from_numpy(state).to(networks.device))


def cold_start(networks: Networks, climatology: Climatology, time: np.datetime64) -> Carry:
    """Begin a cycle without any knowledge of the weather, from the climatology.

    Parameters
    ----------
    networks : Networks
        Give the statistics and the device.
    climatology : Climatology
        That of the training period.
    time : np.datetime64
        Time of the first analysis.

    Returns
    -------
    Carry
        Climatology as background, and as the analysis before it.
    """
    return Carry(
        np.datetime64(time, "ns"),
        normal(networks, climatology, time),
        normal(networks, climatology, time - STEP),
    )


def first_carry(
    networks: Networks, climatology: Climatology, time: np.datetime64, handed_on: Path | None
) -> Carry:
    """Return the states that the cycle of a segment starts from.

    Parameters
    ----------
    networks : Networks
        Give the statistics and the device.
    climatology : Climatology
        That of the training period.
    time : np.datetime64
        Time of the first analysis.
    handed_on : Path, optional
        What the segment before has handed on; without it the cycle starts cold.

    Returns
    -------
    Carry
        Of the first analysis.
    """
    if handed_on is None:
        return cold_start(networks, climatology, time)
    return Carry.load(handed_on, networks.device)


def resumed(
    networks: Networks,
    analyses: StateSeries,
    backgrounds: StateSeries,
    climatology: Climatology,
    time: np.datetime64,
    from_climatology: bool = False,
) -> Carry:
    """Put together the states that the cycle at a time started from.

    Parameters
    ----------
    networks : Networks
        Give the statistics and the device.
    analyses, backgrounds : StateSeries
        Those of the cycle, as it has stored them.
    climatology : Climatology
        Goes before a cycle's first analysis.
    time : np.datetime64
        The time of an analysis.
    from_climatology : bool
        Whether the cycle begins anew each time, see :func:`cycle`.

    Returns
    -------
    Carry
        As the cycle had it, but for the rounding of the stores.

    Raises
    ------
    KeyError
        For a time that was not analysed.
    """

    def standardised(states: StateSeries, when: np.datetime64) -> Tensor:
        return networks.normaliser(torch.from_numpy(states.read(when)[None]).to(networks.device))

    if from_climatology:
        return cold_start(networks, climatology, time)
    time, before = np.datetime64(time, "ns"), np.datetime64(time, "ns") - STEP
    previous = (
        standardised(analyses, before)
        if before in analyses
        else normal(networks, climatology, before)
    )
    return Carry(time, standardised(backgrounds, time), previous)


class Observer:
    """The observations of windows, as the networks take them."""

    def __init__(
        self,
        networks: Networks,
        grids: Mapping[str, SparseGrids],
        windows: Mapping[str, Sequence[int]] | None = None,
    ):
        """Check that the networks know what they are given.

        Parameters
        ----------
        networks : Networks
            Know the sources, their windows and statistics.
        grids : Mapping[str, SparseGrids]
            Observations by source; sources that the networks know may be missing.
        windows : Mapping[str, Sequence[int]], optional
            By source, first and last (excluded) hour about the analysis time that are taken, where
            they are fewer than the networks know.

        Raises
        ------
        ValueError
            For simulated observations, which are to train with alone, or other platforms or hours
            than the networks know.
        KeyError
            For a source that the networks do not know.
        """
        for name, grid in grids.items():
            if grid.origin != "observed":
                raise ValueError(
                    f"{name}: {grid.origin} observations are for training alone, a cycle takes "
                    f"real ones"
                )
        unknown = set(grids) - set(networks.design.sources)
        if unknown:
            raise KeyError(
                f"the networks know no source {sorted(unknown)}; "
                f"known: {sorted(networks.design.sources)}"
            )
        for name, grid in grids.items():
            trained = networks.design.sources[name].platforms
            if len(trained) > 1 and grid.platforms != trained:
                raise ValueError(
                    f"grids of {name} are of the platforms {', '.join(grid.platforms)}, the "
                    f"networks know {', '.join(trained)} in this order; train them again"
                )
        self.networks, self.grids = networks, grids
        whole = {name: self._known(name) for name in grids}
        self.windows = {name: tuple((windows or whole)[name]) for name in grids}
        for name, (first, last) in self.windows.items():
            start, end = whole[name]
            if not start <= first < last <= end:
                raise ValueError(
                    f"window [{first}, {last}) h of {name}: the networks know [{start}, {end}) h; "
                    f"train them again"
                )

    def _known(self, name: str) -> tuple[int, int]:
        """The window of a source that the networks know."""
        return self.networks.design.sources[name].window

    def window(self, time: np.datetime64) -> dict[str, FootprintBatch]:
        """Footprints by source in the windows about ``time``; a source without any is left out."""
        footprints = {}
        for name, grid in self.grids.items():
            window = grid.window(time, *self.windows[name])
            if len(window.cell):
                # the networks count hours from the start of the window that they know
                late = self.windows[name][0] - self._known(name)[0]
                window = replace(window, slot=window.slot + late) if late else window
                footprints[name] = self.networks.footprints(name, window)
        return footprints

    def check_observed(
        self, times: Sequence[np.datetime64], asked: Asked, log: logging.Logger
    ) -> None:
        """Fail where too few analyses have an observation in their windows; warn where not all.

        Parameters
        ----------
        times : sequence of np.datetime64
            Times of the analyses.
        asked : Asked
            The least share of them; nothing is asked of a cycle without sources.
        log : logging.Logger
            Gets the warning.
        """
        if not self.grids:
            return
        unobserved = [
            time
            for time in times
            if not any(
                grid.observed_cells(time.astype("datetime64[h]"), *self.windows[name])
                for name, grid in self.grids.items()
            )
        ]
        what = f"analyses have an observation of {', '.join(self.grids)}"
        missing = f"observations about {list_times(unobserved)}"
        check_share(asked, len(times) - len(unobserved), len(times), what, missing, log)


@dataclass
class Cycled:
    """One cycle's products in physical units, ``(channel, lat, lon)`` each.

    ``observed`` is the number of observed cells, over hours and sources, ``rejected`` that of
    values that were too far from the first guess, by source and channel.
    """

    time: np.datetime64
    background: np.ndarray
    analysis: np.ndarray
    observed: int
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)


class AnalysisModel(Protocol):
    """Anything that makes an analysis of a first guess and observations.

    There are :class:`~fuxiflow.models.networks.Networks`, which are trained to, and
    :class:`VariationalAssimilator`.
    """

    def analyse(
        self,
        guess: Tensor,
        climatology: Tensor,
        observations: Mapping[str, FootprintBatch],
        times: np.ndarray,
    ) -> Tensor:
        """Analyse, standardised, as :meth:`fuxiflow.models.networks.Networks.analyse` does.

        Parameters
        ----------
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.
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
        ...


class VariationalAssimilator:
    """3D-Var alone, without what the trained assimilator adds to its increment."""

    def __init__(self, networks: Networks):
        """Use the 3D-Var of networks.

        Raises
        ------
        ValueError
            When they have none.
        """
        if networks.variational is None:
            raise ValueError(
                "these networks were trained without 3D-Var; set training.variational, train again"
            )
        self.networks = networks

    @torch.no_grad()
    def analyse(
        self,
        guess: Tensor,
        climatology: Tensor,
        observations: Mapping[str, FootprintBatch],
        times: np.ndarray,
    ) -> Tensor:
        """Analyse, as :meth:`fuxiflow.models.networks.Networks.analyse` does.

        Parameters
        ----------
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.
        climatology : Tensor
            ``(batch, channel, lat, lon)``; it is not used.
        observations : Mapping[str, FootprintBatch]
            Footprints by source; sources may be missing.
        times : np.ndarray
            Times of the analyses; they are not used.

        Returns
        -------
        Tensor
            ``(batch, channel, lat, lon)``.

        Raises
        ------
        KeyError
            For a source whose errors were not fitted.
        """
        return guess[:, 1].float() + self.networks.variational_increment(guess, observations)


@torch.inference_mode()
def cycle(
    networks: Networks,
    carry: Carry,
    observer: Observer,
    climatology: Climatology,
    end: np.datetime64,
    assimilator: AnalysisModel | None = None,
    from_climatology: bool = False,
    check: FirstGuessCheck | None = None,
) -> Iterator[tuple[Cycled, Carry]]:
    """Cycle from the carry's time up to an end, both included.

    Parameters
    ----------
    networks : Networks
        On their device, in evaluation mode.
    carry : Carry
        The states that the first cycle starts from.
    observer : Observer
        Gives the observations of each window.
    climatology : Climatology
        The state that unobserved parts of the atmosphere relax to.
    end : np.datetime64
        Time of the last analysis.
    assimilator : AnalysisModel, optional
        Makes the analyses; by default the networks.
    from_climatology : bool
        Whether each cycle begins anew from the climatology, as a cold start does: analyses of
        observations alone.
    check : FirstGuessCheck, optional
        Leaves out observations that are too far from the first guess; by default none are.

    Yields
    ------
    tuple of Cycled and Carry
        Each cycle, and the states that the next starts from.

    Raises
    ------
    FloatingPointError
        When an analysis is not finite.
    """
    model = assimilator or networks

    def physical(state: Tensor) -> np.ndarray:
        return networks.normaliser.physical(state)[0].cpu().numpy()

    while carry.time <= end:
        observations = observer.window(carry.time)
        times = np.array([carry.time])
        climate = normal(networks, climatology, carry.time)
        guess = networks.guess(carry.previous, carry.background, climate, times)
        rejected = {}
        if check is not None:
            observations, rejected = check.screen(observations, guess)
        analysis = model.analyse(guess, climate, observations, times)
        # neither the guess nor the climatology is kept beside the forecast that follows
        del guess, climate
        observed = sum(len(f) for f in observations.values())
        background = physical(carry.background)
        cycled = Cycled(carry.time, background, physical(analysis), observed, rejected)
        if from_climatology:
            carry = cold_start(networks, climatology, carry.time + STEP)
        else:
            following = networks.forecast(carry.previous, analysis, times)[:, : networks.analysed]
            carry = Carry(carry.time + STEP, following, analysis)
        if not np.isfinite(cycled.analysis).all():
            raise FloatingPointError(
                f"the analysis of {cycled.time} is not finite; the networks diverged in cycling"
            )
        yield cycled, carry
        # it is stored by now, and not held beside the next
        del cycled
