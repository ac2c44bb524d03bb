"""Measure samples per second that training loads, beside xbatcher and raw memory maps.

    python -m benchmarks.loader [--grid NLAT NLON] [--times N] [--cells N] [--batch N] [--rounds N]
        [--directory PATH]

A sample is what stage 2 draws: two first frames, two targets of 70 channels, and the observations
of an 8-hour window of 22 channels. Loaders in one run take turns on the same random times, one
thread each, from the page cache:

- ours: fuxiflow.training.samples on the project's Zarr stores, by ``states: {compression: …}`` in
  the configuration: ``none``, where chunks are copied into the batch, and ``packed``, the default,
  and ``lz4hc``, where they are unpacked; and all once more without comparing checksums, which is
  what they cost;
- xarray + xbatcher: the same Zarr stores, a window of four times by xbatcher, rows of observations
  by isel;
- numpy.memmap: the same values uncompressed, copied into the batch, which is the limit of what a
  loader can do.

All end with float32 tensors, and all must be equal. The fields have 16 significant bits, as those
of GRIB files have. xbatcher (pip install xbatcher) is needed for this measurement alone; without it
that row is left out.
"""

import argparse
import importlib
import importlib.util
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import xarray as xr
from zarr.codecs import Crc32cCodec

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.models.networks import STEP, SourceDesign
from fuxiflow.models.pillars import batch_footprints
from fuxiflow.observations.sparse_grids import SparseWindow, SparseWriter
from fuxiflow.states import shards
from fuxiflow.states.store import COMPRESSIONS, StateWriter
from fuxiflow.training import samples

START = np.datetime64("2022-01-01T00", "ns")
CHANNELS, WINDOW, FRAMES = 22, (-3, 5), 4
COLUMNS = ("cell", "values", "zenith", "offset", "platform")


def fields(grid: Grid, index: int) -> np.ndarray:
    """Make a state ``(channel, lat, lon)`` of waves and noise around 250.

    Values are in steps of a 65536th of their range.
    """
    random = np.random.default_rng(index)
    lat, lon = np.deg2rad(grid.lat)[:, None], np.deg2rad(grid.lon)[None]
    waves = sum(
        random.normal(0, 8, (len(channel_table()), 1, 1))
        * np.sin(k * lon + random.uniform(0, 6))
        * np.cos(k * lat)
        for k in range(1, 9)
    )
    values = 250 + waves + random.normal(0, 0.5, (len(channel_table()), *grid.shape))
    step = np.float32(128 / 65536)
    return (np.rint(values / step) * step).astype(np.float32)


def write(folder: Path, grid: Grid, count: int, cells: int) -> None:
    """Write the Zarr stores, states once for each compression, and the same values as raw files.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    grid : Grid
        Grid of the states and of the observations.
    count : int
        Number of states, 6 hours apart.
    cells : int
        Number of cells observed in each hour.
    """
    times = START + STEP * np.arange(count)
    raw = np.lib.format.open_memmap(
        folder / "states.npy", "w+", np.float32, (count, len(channel_table()), *grid.shape)
    )
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                StateWriter(folder / f"{name}.zarr", times, channel_table(), grid, compression=name)
            )
            for name in COMPRESSIONS
        ]
        for i in range(count):
            raw[i] = fields(grid, i)
            for writer in writers:
                writer.write(i, raw[i])
    random = np.random.default_rng(0)
    names = [str(i + 1) for i in range(CHANNELS)]
    with SparseWriter(
        folder / "grids.zarr", "atms", names, ["K"] * CHANNELS, grid, START, 6 * count
    ) as out:
        for hour in range(6 * count):
            cell = np.sort(random.choice(grid.nlat * grid.nlon, cells, replace=False))
            values = random.normal(250, 10, (cells, CHANNELS)).astype(np.float32)
            out.write(
                hour,
                cell,
                values,
                random.uniform(0, 60, cells).astype(np.float32),
                random.uniform(-0.5, 0.5, (cells, 2)).astype(np.float32),
                np.ones(cells, np.int32),
            )
    with xr.open_zarr(folder / "grids.zarr", consolidated=False, chunks=None) as rows:
        for name in COLUMNS:
            np.save(folder / f"{name}.npy", rows[name].values)


def standardise(values: np.ndarray) -> np.ndarray:
    """Measured values in units of their statistics."""
    return ((values - np.float32(250)) / np.float32(10)).astype(np.float32)


class StatesAndObservations(samples.Archive):
    """The archive of a stage without climatology, which the peers do not load."""

    def normals(self, request: samples.Request) -> np.ndarray:
        """No fields."""
        return np.empty((0, len(self.states.channels), *self.states.grid.shape), np.float32)


def ours(
    folder: Path, draws: list[np.ndarray], compression: str, workers: int = 0
) -> Callable[[], list]:
    """Prepare a pass of the project's loader over the draws.

    Parameters
    ----------
    folder : Path
        Folder of the stores.
    draws : list[np.ndarray]
        Times ``(sample,)`` of each batch.
    compression : str
        Compression of the states to load.
    workers : int
        Number of processes that load, 0 for this one.

    Returns
    -------
    Callable[[], list]
        Function that loads all batches.
    """
    names = [str(i + 1) for i in range(CHANNELS)]
    design = {"atms": SourceDesign(names, WINDOW, [250.0] * CHANNELS, [10.0] * CHANNELS)}
    archive = StatesAndObservations(
        [folder / f"{compression}.zarr"], {"atms": [folder / "grids.zarr"]}
    )
    batches = samples.Batches(
        archive,
        lambda step: [samples.Request(t, 1, 1) for t in draws[step]],
        design,
        lambda _, values: standardise(values),
    )

    def load():
        loaded = samples.load_batches(batches, 0, len(draws), workers)
        return [(batch.first, batch.targets, batch.observations[0]["atms"]) for batch in loaded]

    return load


def without_sums(load: Callable[[], list]) -> Callable[[], list]:
    """Make a pass of a loader that takes all chunks for sound."""
    unchecked = lambda codec, chunk, spec: chunk[:-4]  # noqa: E731
    unpacked = lambda chunk, packing, values: [*packing.unpack_parts(chunk[:-4], values)]  # noqa: E731

    def load_unchecked():
        with (
            mock.patch.object(shards, "is_sound", return_value=True),
            mock.patch.object(shards, "_unpack", unpacked),
            mock.patch.object(Crc32cCodec, "_decode_sync", unchecked),
        ):
            return load()

    return load_unchecked


def window_of(
    time_: np.datetime64, offsets: np.ndarray, read: Callable[[str, int, int], np.ndarray]
) -> SparseWindow:
    """Return the observations about an analysis time.

    Parameters
    ----------
    time_ : np.datetime64
        The analysis time.
    offsets : np.ndarray
        First row of each hour ``(hour + 1,)``.
    read : Callable[[str, int, int], np.ndarray]
        Function that reads rows of a column: its name, the first row, and the one after the last.

    Returns
    -------
    SparseWindow
        The window.
    """
    begin = int((time_ - START) / np.timedelta64(1, "h")) + WINDOW[0]
    hours = offsets[begin : begin + WINDOW[1] - WINDOW[0] + 1]
    slot = np.repeat(np.arange(len(hours) - 1), np.diff(hours))
    return SparseWindow(slot, *(read(name, hours[0], hours[-1]) for name in COLUMNS))


def assemble(frames: np.ndarray, windows: list[SparseWindow]) -> tuple:
    """Frames ``(sample, 4, channel, lat, lon)`` and windows as tensors."""
    whole = torch.from_numpy(frames)
    return whole[:, :2], whole[:, 2:], batch_footprints(windows, standardise)


def mapped(folder: Path, draws: list[np.ndarray], grid: Grid) -> Callable[[], list]:
    """Prepare a pass over raw files.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    draws : list[np.ndarray]
        Times ``(sample,)`` of each batch.
    grid : Grid
        Grid of the states.

    Returns
    -------
    Callable[[], list]
        Function that loads all batches.
    """
    states = np.load(folder / "states.npy", mmap_mode="r")
    columns = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in COLUMNS}
    offsets = xr.open_zarr(folder / "grids.zarr", consolidated=False, chunks=None)["offsets"].values

    def batch(times: np.ndarray) -> tuple:
        frames = np.empty((len(times), FRAMES, len(channel_table()), *grid.shape), np.float32)
        for out, time_ in zip(frames, times, strict=True):
            first = int((time_ - START) / STEP) - 1
            out[:] = states[first : first + FRAMES]
        return assemble(
            frames, [window_of(t + STEP, offsets, lambda n, a, b: columns[n][a:b]) for t in times]
        )

    return lambda: [batch(times) for times in draws]


def xbatched(
    folder: Path, draws: list[np.ndarray], compression: str, grid: Grid
) -> Callable[[], list]:
    """Prepare a pass with xarray and xbatcher.

    Parameters
    ----------
    folder : Path
        Folder of the stores.
    draws : list[np.ndarray]
        Times ``(sample,)`` of each batch.
    compression : str
        Compression of the states to load.
    grid : Grid
        Grid of the states.

    Returns
    -------
    Callable[[], list]
        Function that loads all batches.
    """
    generator = importlib.import_module("xbatcher").BatchGenerator
    states = xr.open_zarr(folder / f"{compression}.zarr", consolidated=False, chunks=None)[
        ["state"]
    ]
    rows = xr.open_zarr(folder / "grids.zarr", consolidated=False, chunks=None)
    sizes = {"time": FRAMES, **{name: states.sizes[name] for name in ("channel", "lat", "lon")}}
    windows = generator(states, sizes, {"time": FRAMES - 1})
    offsets = rows["offsets"].values

    def batch(times: np.ndarray) -> tuple:
        frames = [windows[int((t - START) / STEP) - 1]["state"].values for t in times]
        read = lambda name, a, b: rows[name].isel(row=slice(a, b)).values  # noqa: E731
        return assemble(np.stack(frames), [window_of(t + STEP, offsets, read) for t in times])

    return lambda: [batch(times) for times in draws]


def same(one: tuple, other: tuple) -> bool:
    """Compare the batches of two loaders, True where they are equal."""
    pairs = [(one[0], other[0]), (one[1], other[1])]
    pairs += [
        (getattr(one[2], n), getattr(other[2], n))
        for n in ("cell", "slot", "values", "zenith", "offset")
    ]
    return all(torch.equal(a, b) for a, b in pairs)


def main() -> None:
    """Write the stores, compare the loaders' batches, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--grid", type=int, nargs=2, default=(32, 64), help="cells north-south and east-west"
    )
    parser.add_argument("--times", type=int, default=240)
    parser.add_argument("--cells", type=int, default=200, help="observed in an hour")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--batches", type=int, default=20, help="in a round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--workers", type=int, default=0, help="of an extra row: ours with so many processes"
    )
    parser.add_argument(
        "--directory", type=Path, help="where the stores are written for the time of the run"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    grid = Grid(*options.grid)
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        folder = Path(name)
        write(folder, grid, options.times, options.cells)
        indices = np.random.default_rng(1).integers(
            3, options.times - 4, (options.batches, options.batch)
        )
        draws = [START + STEP * row for row in indices]
        loaders = {"numpy.memmap": mapped(folder, draws, grid)}
        for name in COMPRESSIONS:
            loaders[f"ours, {name}"] = ours(folder, draws, name)
            loaders[f"ours, {name}, without sums"] = without_sums(loaders[f"ours, {name}"])
            if options.workers:
                loaders[f"ours, {name}, {options.workers} workers"] = ours(
                    folder, draws, name, options.workers
                )
            if importlib.util.find_spec("xbatcher"):
                loaders[f"xbatcher, {name}"] = xbatched(folder, draws, name, grid)
        loaded = {name: load() for name, load in loaders.items()}
        for name, batches in loaded.items():
            if not all(same(a, b) for a, b in zip(batches, loaded["numpy.memmap"], strict=True)):
                raise SystemExit(f"{name} makes other batches than numpy.memmap")
        del loaded
        seconds, busy = ({name: [] for name in loaders} for _ in range(2))
        for _ in range(options.rounds):
            for name, load in loaders.items():
                begin, worked = time.perf_counter(), time.process_time()
                load()
                seconds[name].append(time.perf_counter() - begin)
                busy[name].append(time.process_time() - worked)
        raw = (folder / "states.npy").stat().st_size
        shares = {
            name: sum(f.stat().st_size for f in (folder / f"{name}.zarr").rglob("*") if f.is_file())
            / raw
            for name in COMPRESSIONS
        }
    count = options.batches * options.batch
    print(
        f"{grid.nlat} x {grid.nlon}, {len(channel_table())} channels, {options.cells} cells "
        f"an hour, batches of {options.batch}; states take "
        + ", ".join(f"{share:.0%} ({name})" for name, share in shares.items())
    )
    print(
        "samples/s by the clock and by the processor's time, which other work on the machine "
        "disturbs less"
    )
    print(f"{'loader':30s} {'clock':>10s} {'of memmap':>10s} {'processor':>10s} {'of memmap':>10s}")
    for name in loaders:
        columns = [
            (count / min(taken[name]), min(taken["numpy.memmap"]) / min(taken[name]))
            for taken in (seconds, busy)
        ]
        # a worker's time is not this process'
        shown = columns[:1] if "workers" in name else columns
        print(f"{name:30s} " + " ".join(f"{rate:10.1f} {ratio:10.1%}" for rate, ratio in shown))


if __name__ == "__main__":
    main()
