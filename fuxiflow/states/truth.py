"""The truth of the embedded world on the networks' grid, for verification alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fuxiflow.channels import ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.states.store import as_nanoseconds, get_grid, iso, open_store, read_times

BLOCK = 16  # times that are read at once: those of a chunk of the raw store


def truth_states(
    path: Path, times: Sequence, channels: ChannelTable, grid: Grid
) -> Iterator[np.ndarray]:
    """Yield the state ``(channel, lat, lon)`` on ``grid`` of each of ``times``.

    The store at ``path`` holds one array ``(time, lat, lon)`` named as each channel, in the channel's unit. Raises
    ValueError that names the store and the channels, times or units at fault.
    """
    group, wanted = open_store(path), as_nanoseconds(list(times))
    absent = [name for name in channels.names if name not in group]
    if absent:
        raise ValueError(
            f"{path}: no {', '.join(absent)}; it holds {', '.join(sorted(group.array_keys()))}"
        )
    for channel in channels:
        unit = group[channel.name].attrs.get("units", channel.unit)
        if unit != channel.unit:
            raise ValueError(f"{path}: {channel.name} is in {unit}, expected {channel.unit}")
    known = read_times(group)
    positions = np.searchsorted(known, wanted)
    lacking = [
        time
        for time, at in zip(wanted, positions, strict=True)
        if at == len(known) or known[at] != time
    ]
    if lacking:
        raise ValueError(
            f"{path}: no truth at {iso(lacking[:1])[0]}, nor at {len(lacking) - 1} more times"
        )
    source = SourceGrid.of(get_grid(group))
    first, block = 0, np.empty((0, 0, 0, 0), np.float32)
    for position in positions:
        if not first <= position < first + len(block):
            first = position // BLOCK * BLOCK
            block = np.stack(
                [group[name][first : first + BLOCK] for name in channels.names], axis=1
            )
        yield regrid(block[position - first], source, grid)
