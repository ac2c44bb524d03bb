"""Costs of jobs, and those whose time grows in proportion to their work."""

from dataclasses import dataclass

from fuxiflow.config import work
from fuxiflow.config.configuration import Config
from fuxiflow.config.work import CHANNELS, FULL_CELLS, Wildcards, Work

READ_AHEAD_MB = 50
"""A state of less is read faster than threads are started."""


def states_mb(count: float, cells: int) -> float:
    """Return the memory in MB of ``count`` states of all channels in float32."""
    return count * CHANNELS * cells * 4 / 1e6


@dataclass(frozen=True)
class Cost:
    """The estimate of what a job takes: seconds, MB, processors and GPUs.

    ``on_gpu`` says that the seconds are those of GPUs: with ``accelerator: auto`` a job asks for
    one, and its time is that of the processor.
    """

    seconds: float
    mb: float
    threads: int = 1
    gpus: int = 0
    on_gpu: bool = False


@dataclass(frozen=True)
class Linear:
    """The cost of a rule whose time grows in proportion to its work, and its memory to the grid.

    ``seconds`` are those of a unit of work at 720 x 1440, ``least`` those of one on any grid, and
    ``start`` those of a job without work. ``mb`` is the memory of the program, ``states`` how many
    states of all channels it holds, and ``mb_each`` what a unit of work adds. The work of a rule on
    observations does not depend on the grid (``by_grid`` is false), and that of one on raw files
    depends on theirs (``raw``). Where states are ``read_ahead`` by threads, small ones are read by
    one.
    """

    work: Work
    seconds: float
    states: float = 0.0
    mb: float = 700.0
    mb_each: float = 0.0
    least: float = 0.03
    start: float = 2.0
    threads: int = 1
    by_grid: bool = True
    raw: bool = False
    read_ahead: bool = False

    def at(self, amount: float, cells: int) -> Cost:
        """Return the cost of an amount of work on a grid of so many cells."""
        share = cells / FULL_CELLS if self.by_grid else 1.0
        seconds = self.start + amount * (self.least + self.seconds * share)
        mb = self.mb + states_mb(self.states, cells) + self.mb_each * amount
        few = self.read_ahead and states_mb(1, cells) < READ_AHEAD_MB
        return Cost(seconds, mb, 1 if few else self.threads)

    def __call__(self, config: Config, wildcards: Wildcards) -> Cost:
        """Return the cost of a job."""
        cells = work.raw_cells(config, wildcards) if self.raw else work.cells(config)
        return self.at(self.work(config, wildcards), max(cells, work.cells(config)))
