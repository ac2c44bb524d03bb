"""Mean and standard deviation of a source's gridded values, which standardise network inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from fuxiflow import times
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store


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


class _Moments:
    """Count, mean and sum of squared deviations by channel, merged block by block.

    After Chan, Golub and LeVeque (1983): no second pass over the data, and no cancellation.
    """

    def __init__(self, channels: int):
        self.count, self.mean, self.squares = (np.zeros(channels) for _ in range(3))

    def add(self, values: np.ndarray) -> None:
        """Merge a block ``(n, channel)``, ignoring NaN."""
        present = np.isfinite(values)
        count = present.sum(axis=0)
        safe = np.maximum(count, 1)
        mean = np.where(present, values, 0.0).sum(axis=0, dtype=np.float64) / safe
        # About the block's own mean, so that no digits cancel.
        squares = np.where(present, values - mean, 0.0)
        squares = (squares * squares).sum(axis=0)
        total = self.count + count
        gap = mean - self.mean
        share = count / np.maximum(total, 1)
        self.mean += np.where(count > 0, gap * share, 0.0)
        self.squares += squares + np.where(count > 0, gap * gap * self.count * share, 0.0)
        self.count = total


def grid_statistics(paths: Sequence[Path], start: date, end: date) -> GridStatistics:
    """Compute statistics over some days, in which each observed cell of each hour counts once.

    Parameters
    ----------
    paths : Sequence[Path]
        Sparse grid stores of one source.
    start, end : date
        First and last day, both included.

    Returns
    -------
    GridStatistics
        By channel, float32.

    Raises
    ------
    ValueError
        Where channels have fewer than two values, which cannot be standardised; it names them.
    """
    # Each hour is read once: there is nothing to keep in memory.
    grids = SparseGrids(paths, cache_bytes=0)
    moments = _Moments(len(grids.channels))
    for day in times.times(start, end, step_hours=24):
        # The stores may begin later or end earlier, and a window outside them is an error.
        if grids.start <= np.datetime64(day, "h") < grids.end:
            moments.add(grids.hours(day, 0, 24).values)
    lacking = [name for name, count in zip(grids.channels, moments.count, strict=True) if count < 2]
    if lacking:
        raise ValueError(
            f"{grids.source}: no statistics of channels {', '.join(lacking)} from {start} to "
            f"{end}: fewer than two values; check the ledger of the source, or leave them out of "
            f"its file"
        )
    std = np.sqrt(moments.squares / moments.count)
    return GridStatistics(
        grids.channels,
        moments.mean.astype(np.float32),
        std.astype(np.float32),
        moments.count.astype(np.int64),
    )
