"""Merge the parts of a climatology, and fill the days of the year that no state reaches."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.progress import progress
from fuxiflow.states.climatology import HOURS, NODES, YEAR, create_climatology
from fuxiflow.states.climatology_parts import WeightedMean
from fuxiflow.states.coordinates import get_grid
from fuxiflow.storage.zarr_stores import consolidate, open_store


def merge_parts(path: Path, parts: Sequence[Path], log: logging.Logger) -> None:
    """Write the climatology that parts of it make together.

    A node is read from the few parts that touch it, so that one node is in memory at a time. Days
    that no window reaches (less than a year of data) get the nearest windowed mean of their hour,
    and a warning is logged.

    Parameters
    ----------
    path : Path
        The store; one that is there is replaced.
    parts : Sequence of Path
        What :func:`fuxiflow.states.climatology_parts.write_part` wrote; in any order.
    log : logging.Logger
        Takes progress and warnings.

    Raises
    ------
    ValueError
        For parts of other channels, another grid or window, and for an hour without any state.
    """
    groups = [open_store(part, "part of the climatology") for part in parts]
    layouts = [
        ([str(name) for name in group["channel"][:]], get_grid(group), group.attrs["window_days"])
        for group in groups
    ]
    for part, layout in zip(parts, layouts, strict=True):
        if layout != layouts[0]:
            raise ValueError(
                f"{part}: other channels, another grid or another window than {parts[0]}; delete "
                "both and run again"
            )
    names, grid, width = layouts[0]
    weights = [group["weight"][:] for group in groups]
    days = [group["dayofyear"][:].tolist() for group in groups]
    hours = sum(weight.sum(axis=(0, 2)) for weight in weights)
    for hour, weight in zip(HOURS, hours, strict=True):
        if not weight > 0:
            raise ValueError(f"climatology: no state at {hour:02d} UTC in the training period")
    values = create_climatology(path, channel_table().select(names), grid, width)["climatology"]
    shape = (len(names), *grid.shape)
    totals = np.zeros((len(NODES), len(HOURS), len(names)))
    for node, day in enumerate(progress(NODES.tolist(), "climatology", log)):
        touching = [index for index, touched in enumerate(days) if day in touched]
        if not touching:
            continue
        block = np.zeros((len(HOURS), *shape), np.float32)
        means = [WeightedMean(field, np.zeros(len(names))) for field in block]
        for index in touching:
            row = days[index].index(day)
            # the four hours at once, which zarr unpacks and packs in as many threads
            fields = groups[index]["climatology"][row]
            for mean, field, weight in zip(means, fields, weights[index][row], strict=True):
                mean.add(field, weight)
        values[node] = block
        totals[node] = [mean.weight for mean in means]
    filled = (_fill(Path(path), values, slot, totals[:, slot]) for slot in range(len(HOURS)))
    unreached = set().union(*filled)
    if unreached:
        log.warning(
            "climatology: days of the year about %s have no data within the window of %d days; "
            "the nearest windowed mean stands for them",
            sorted(unreached),
            width,
        )
    consolidate(path)


def _fill(path: Path, values: zarr.Array, slot: int, totals: np.ndarray) -> set[int]:
    """Fill the nodes of an hour that have no weight from the nearest one that has.

    A channel that was never there becomes NaN. A node that is the same as another in all channels
    is a further name of its chunk, which takes no space.

    Parameters
    ----------
    path : Path
        The store.
    values : zarr.Array
        Climatology ``(node, hour, channel, lat, lon)``.
    slot : int
        Position of the hour.
    totals : np.ndarray
        Sums of weights ``(node, channel)``.

    Returns
    -------
    set of int
        Days of the year of the nodes that were filled.
    """
    filled = set()
    never = ~(totals > 0).any(axis=0)
    for node in np.flatnonzero((totals == 0).any(axis=1)):
        distance = np.abs(NODES - NODES[node])
        distance = np.minimum(distance, YEAR - distance)
        nearest = np.argmin(np.where(totals > 0, distance[:, None], YEAR), axis=0)
        lacking = (totals[node] == 0) & ~never
        # a node without any weight may not be written yet
        whole = (totals[node] == 0).all()
        sources = np.unique(nearest[lacking])
        if whole and lacking.all() and len(sources) == 1:
            _repeat_chunk(path, values, (sources[0], slot), (node, slot))
            filled.add(int(NODES[node]))
            continue
        field = np.full(values.shape[2:], np.nan, np.float32) if whole else values[node, slot]
        for source in sources:
            members = lacking & (nearest == source)
            field[members] = values[source, slot][members]
        field[never] = np.nan
        values[node, slot] = field
        if lacking.any():
            filled.add(int(NODES[node]))
    return filled


def _repeat_chunk(
    path: Path, values: zarr.Array, source: tuple[int, int], target: tuple[int, int]
) -> None:
    """Give the chunk of a node and hour a second place, as a hard link where the disk has them.

    Parameters
    ----------
    path : Path
        The store.
    values : zarr.Array
        Climatology ``(node, hour, channel, lat, lon)``, with a chunk for each node and hour.
    source, target : tuple of int
        Node and hour of the chunk and of its second place.
    """
    files = [
        path / values.path / values.metadata.encode_chunk_key((*place, 0, 0, 0))
        for place in (source, target)
    ]
    files[1].parent.mkdir(parents=True, exist_ok=True)
    files[1].unlink(missing_ok=True)
    try:
        os.link(*files)
    except OSError:
        shutil.copyfile(*files)
