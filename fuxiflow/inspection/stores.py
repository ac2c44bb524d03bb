"""Zarr stores as text: states, forecasts, climatologies, statistics, sparse grids."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import zarr

from fuxiflow.inspection.text import UNCHECKED, Summary, first_words, provenance_text
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.storage.datasets import open_dataset
from fuxiflow.storage.zarr_stores import carries_digest

MOST_BYTES = 1 << 31
"""Most bytes of one array that are read; of a larger one every so many entries are taken."""
BLOCK_BYTES = 1 << 26
"""Most bytes that are read at once."""


def describe_store(path: Path) -> str:
    """Describe a Zarr store; ValueError when it cannot be opened.

    It tells dimensions, coordinates, dates, gaps, values by channel and provenance.
    """
    try:
        checked = carries_digest(path)
        data = (
            open_dataset(path) if checked else xr.open_zarr(path, consolidated=False, chunks=None)
        )
    except DamagedError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        if plain := _without_dimensions(path):
            return plain
        raise ValueError(f"{path}: not a readable Zarr store ({error})") from error
    with data:
        lines = [f"{path}: {', '.join(f'{name} {size}' for name, size in data.sizes.items())}"]
        if str(data.attrs.get("format", "")).startswith("fuxiflow sparse"):
            lines += _sparse(data)
        for name, array in sorted(data.variables.items()):
            span = (
                f", {array.values[0]} .. {array.values[-1]}"
                if array.dims == (name,) and array.size
                else ""
            )
            lines.append(f"  {name} ({', '.join(map(str, array.dims))}) {array.dtype}{span}")
            for key in ("missing", "pending"):
                if array.attrs.get(key):
                    lines.append(f"    {key}: {first_words(array.attrs[key])}")
            if array.dtype.kind == "f" and array.dims not in ((name,), ("channel",)) and array.size:
                lines += _values(data, array)
        for key in ("missing", "pending"):
            if data.attrs.get(key):
                lines.append(f"  {key}: {first_words(data.attrs[key])}")
        lines += _by_channel(data)
        if not checked:
            lines.append(UNCHECKED)
        return "\n".join([*lines, provenance_text(data.attrs.get("provenance"))])


def _without_dimensions(path: Path) -> str:
    """Describe a store whose arrays name no dimensions, such as whole states of the nature run.

    Empty where it cannot be opened.
    """
    try:
        group = zarr.open_group(path, mode="r")
        lines = [f"{path}: {len(list(group.array_keys()))} arrays"]
        for name, array in sorted(group.arrays()):
            lines.append(f"  {name} {array.shape} {array.dtype}")
            if array.dtype.kind == "f" and array.size:
                summary = Summary(["all"])
                for row in range(array.shape[0]):
                    summary.add(np.asarray(array[row]).reshape(-1, 1))
                lines += summary.lines("")
    except (OSError, KeyError, ValueError, RuntimeError):
        return ""
    return "\n".join([*lines, provenance_text(group.attrs.get("provenance"))])


def _names(data: xr.Dataset, axis: str) -> list[str]:
    """Return the names of the entries along an axis, their numbers where they have none."""
    if axis in data.variables:
        return [str(name) for name in data[axis].values]
    names = data.attrs.get(f"{axis}s", [])
    return names if len(names) == data.sizes[axis] else [str(i) for i in range(data.sizes[axis])]


def _by_channel(data: xr.Dataset) -> list[str]:
    """Return arrays of one number a channel, such as means and deviations, side by side."""
    columns = {
        name: array.values
        for name, array in sorted(data.variables.items())
        if array.dims == ("channel",) and array.dtype.kind in "fiu"
    }
    if not columns:
        return []
    frame = pd.DataFrame(columns, index=_names(data, "channel"))
    return [f"    {line}" for line in frame.to_string(float_format="%.6g").splitlines()]


def _values(data: xr.Dataset, array: xr.Variable) -> list[str]:
    """Return least, mean and largest values of an array, by channel or level if it has them."""
    axis = next((name for name in ("channel", "level") if name in array.dims), None)
    summary = Summary(_names(data, axis) if axis else ["all"])
    first = array.dims[0]
    if first == axis:
        block = array.values.reshape(array.shape[0], -1)
        summary.add(block.T)
        return summary.lines(axis)
    each = max(array.nbytes // array.shape[0], 1)
    step = -(-array.nbytes // MOST_BYTES)
    size = max(BLOCK_BYTES // each, 1)
    taken = np.arange(0, array.shape[0], step)
    for part in range(0, len(taken), size):
        rows = taken[part : part + size]
        block = array[rows[0] : rows[-1] + 1 : step].values
        if axis:
            block = np.moveaxis(block, array.dims.index(axis), -1)
        summary.add(block.reshape(-1, len(summary.names)))
    few = [f"    of {len(taken)} of {array.shape[0]} entries along {first}"] if step > 1 else []
    return [*few, *summary.lines(axis or "")]


def _sparse(data: xr.Dataset) -> list[str]:
    """Return hours, footprints, cells and platforms of a sparse grid, and its days without any."""
    start = np.datetime64(data.attrs["start"], "h")
    hours = data.attrs["hours"]
    rows = np.diff(data["offsets"].values)
    grid = data.attrs["grid"]
    lines = [
        f"  {data.attrs['source']}: {start} .. {start + hours} ({hours} hours, "
        f"{np.count_nonzero(rows)} with observations), {grid['nlat']} x {grid['nlon']} cells, "
        f"frame {data.attrs.get('frame', 'hourly')}, {data.attrs.get('method', '')}"
    ]
    counted = f"{int(data['count'].values.sum())} footprints in {int(rows.sum())} cells"
    if "passed_over" in data.attrs:
        counted += f"; {data.attrs['passed_over']} more are of platforms that were not drawn"
    lines.append(f"  {counted}")
    names = data.attrs.get("platforms", [])
    if names and "platform" in data:
        codes, sizes = np.unique(data["platform"].values, return_counts=True)
        seen = (
            f"{'several' if code < 0 else names[code]} {size}"
            for code, size in zip(codes, sizes, strict=True)
        )
        lines.append(f"  cells by platform: {', '.join(seen) or 'none'}")
    days = start.astype("datetime64[D]") + np.arange(-(-hours // 24))
    silent = [str(day) for i, day in enumerate(days) if not rows[24 * i : 24 * i + 24].any()]
    if silent:
        lines.append(f"  days without an observation: {first_words(silent)}")
    return lines
