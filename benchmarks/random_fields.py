"""Random fields for benchmarks of memory: a climatology, and stores of states and forecasts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.store import StateWriter

GRID = Grid(720, 1440)


class RandomFields:
    """A climatology's array, of which every field is drawn as it is read."""

    def __init__(self, grid: Grid = GRID):
        self.grid = grid

    def __getitem__(self, place: tuple[int, ...]) -> np.ndarray:
        generator = np.random.default_rng(place)
        return generator.standard_normal((len(channel_table()), *self.grid.shape), np.float32)


def write_random_states(path: Path, times: Sequence[np.datetime64], grid: Grid = GRID) -> None:
    """Write a packed store of random states of all channels.

    Parameters
    ----------
    path : Path
        The store.
    times : sequence of np.datetime64
        Its times.
    grid : Grid
        Its grid.
    """
    fields = RandomFields(grid)
    with StateWriter(path, times, channel_table(), grid, compression="packed") as writer:
        for i in range(len(times)):
            writer.write(i, fields[0, i])


def write_random_forecast(
    path: Path, init: np.datetime64, leads: Sequence[int], grid: Grid = GRID
) -> None:
    """Write a store of one random forecast of all channels.

    Parameters
    ----------
    path : Path
        The store.
    init : np.datetime64
        Its initial time.
    leads : sequence of int
        Its leads in hours.
    grid : Grid
        Its grid.
    """
    fields = RandomFields(grid)
    with ForecastWriter(path, [init], leads, channel_table(), grid) as writer:
        for i in range(len(leads)):
            writer.write(0, i, fields[1, i])
