"""Mean and standard deviation of a source's gridded values, which standardise network inputs."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from fuxiflow import times
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.storage import provenance
from fuxiflow.storage.moments import Moments, SegmentMoments
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

CELL = "cell"
"""The kind of samples that the statistics are made of."""
ROWS = 1 << 14
"""Cells whose deviations are in memory at once, in double precision."""


@dataclass(frozen=True)
class GridStatistics:
    """Statistics of the observed cells of one source.

    Attributes
    ----------
    channels : list[str]
        Channel names.
    mean, std : np.ndarray
        In units of the channels, ``(channel,)`` float32.
    count : np.ndarray
        Observed cells, ``(channel,)``.
    """

    channels: list[str]
    mean: np.ndarray
    std: np.ndarray
    count: np.ndarray

    def write(self, path: Path) -> None:
        """Write a Zarr v3 group with the arrays ``mean``, ``std``, ``count`` ``(channel,)``."""
        group = create_store(
            path,
            {"channels": list(self.channels), "provenance": provenance.as_json()},
        )
        for name in ("mean", "std", "count"):
            values = np.asarray(getattr(self, name))
            group.create_array(name, data=values, chunks=values.shape, dimension_names=("channel",))
        consolidate(path)

    @classmethod
    def read(cls, path: Path) -> "GridStatistics":
        """Read a group that :meth:`write` wrote."""
        group = open_store(path, "statistics of a source")
        return cls(
            list(group.attrs["channels"]), *(group[name][:] for name in ("mean", "std", "count"))
        )


def segment_statistics(path: Path, start: date, end: date) -> SegmentMoments:
    """Compute the moments of some days, in which each observed cell of each hour counts once.

    Parameters
    ----------
    path : Path
        Sparse grid store of a source.
    start, end : date
        First and last day, both included.

    Returns
    -------
    SegmentMoments
        Of the kind :data:`CELL`.
    """
    # Each hour is read once: there is nothing to keep in memory.
    grids = SparseGrids([path], cache_bytes=0)
    moments = Moments.empty(len(grids.channels))
    for day in times.times(start, end, step_hours=24):
        # The store may begin later or end earlier, and a window outside it is an error.
        if grids.start <= np.datetime64(day, "h") < grids.end:
            values = grids.hours(day, 0, 24).values
            for first in range(0, len(values), ROWS):
                moments = moments.merge(Moments.of_rows(values[first : first + ROWS]))
    return SegmentMoments(grids.channels, {CELL: moments}, str(start), str(end))


def complete_grid_statistics(moments: SegmentMoments, source: str) -> GridStatistics:
    """Make the statistics of merged moments.

    Parameters
    ----------
    moments : SegmentMoments
        Moments of all observed cells, as :func:`segment_statistics` makes them.
    source : str
        Name of the source.

    Returns
    -------
    GridStatistics
        By channel, float32.

    Raises
    ------
    ValueError
        Where channels have fewer than two values, which cannot be standardised; it names them.
    """
    cells = moments.kinds[CELL]
    lacking = [name for name, n in zip(moments.channels, cells.count, strict=True) if n < 2]
    if lacking:
        raise ValueError(
            f"{source}: no statistics of channels {', '.join(lacking)} from {moments.first} to "
            f"{moments.last}: fewer than two values; check the ledger of the source, or leave them "
            f"out of its file"
        )
    return GridStatistics(
        moments.channels,
        cells.mean.astype(np.float32),
        cells.std.astype(np.float32),
        cells.count.astype(np.int64),
    )
