"""Hybrid training: real and simulated observations of a source, mixed window by window."""

import hashlib
from collections.abc import Sequence
from datetime import date

import numpy as np

from fuxiflow.config.training import SimulatedShare
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWindow


def drawn(seed: int, source: str, time: np.datetime64) -> float:
    """A number in [0, 1) that depends on nothing else than these: the same window whenever it is asked for."""
    text = f"{seed}/{source}/{np.datetime64(time, 'h')}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") / 2**64


class HybridGrids:
    """Windows of one source that are real, or simulated on the days and as often as ``shares`` have it.

    ValueError when the ``real`` grids and the ``simulated`` differ in what they hold, or are not what they are for.
    """

    def __init__(
        self, real: SparseGrids, simulated: SparseGrids, shares: Sequence[SimulatedShare], seed: int
    ):
        for name in ("source", "channels", "units", "frame", "grid"):
            if getattr(real, name) != getattr(simulated, name):
                raise ValueError(
                    f"{real.source}: {name} of the simulated observations is {getattr(simulated, name)}, "
                    f"of the real ones {getattr(real, name)}; run simulation_grid again"
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
        """Observations of [analysis_time + start_hour, analysis_time + end_hour), all real or all simulated; see
        :meth:`fuxiflow.observations.sparse_grids.SparseGrids.window`."""
        chosen = drawn(self.seed, self.real.source, analysis_time) < self.share(analysis_time)
        return (self.simulated if chosen else self.real).window(analysis_time, start_hour, end_hour)
