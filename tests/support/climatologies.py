"""Climatologies of made-up states, as the rules make them."""

import logging
from pathlib import Path

from fuxiflow.channels import ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.states.climatology_merge import merge_parts
from fuxiflow.states.climatology_parts import write_part


def build_climatology(
    path: Path,
    times,
    read,
    channels: ChannelTable,
    grid: Grid,
    width: int,
    log: logging.Logger,
    parts: int = 1,
) -> None:
    """Write the climatology of states, of which every so many are a part.

    Parameters
    ----------
    path : Path
        The store; its parts lie beside it.
    times : array of np.datetime64
        Times of the states.
    read : callable
        Gives the state of a time.
    channels, grid
        Of the states.
    width : int
        Width of the window in days.
    log : logging.Logger
        Takes warnings.
    parts : int
        Number of parts.
    """
    paths = [path.with_name(f"{path.stem}-{number}.zarr") for number in range(parts)]
    for number, part in enumerate(paths):
        write_part(part, times[number::parts], read, channels, grid, width, log)
    merge_parts(path, paths, log)
