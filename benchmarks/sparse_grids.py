"""Measure a day of ATMS as sparse hourly grids and as dense tensors: size and time to load.

    python -m benchmarks.sparse_grids [--stride N] [--repeat N] [--device cuda] [--directory PATH]

3.1 million footprints of 22 channels at 0.25 degrees. Two kinds of values: noise, which nothing
compresses, and values as files hold them, weather-like waves and instrument noise in counts of
0.006 K. Peers, in the same run: dense Zarr stores (hour, channel, lat, lon) float32, NaN where
nothing was observed, one hour a chunk, with the compression of the sparse store and with none. A
load ends with float32 tensors on the device: of the sparse store values and mask, of the dense ones
values alone, which favours them. All must be equal. Rounds take turns; stores are read as they lie
in the page cache and, ``cold``, after it was asked to drop them. Best of ``--repeat`` rounds; one
thread.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import zarr
from zarr.codecs import BloscCodec

from benchmarks.gridding import DAY, GRID, footprints
from fuxiflow.config import sources
from fuxiflow.observations.dense_grids import DenseWindow, densify
from fuxiflow.observations.gridding import hourly_cells
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWriter

HOURS, FIRST = 24, 9  # of the day; where the window of 8 hours begins, for the analysis at 12 UTC
WINDOW = 8
COUNT = np.float32(0.006)  # K, of SATMS files


def as_measured(lat: np.ndarray, lon: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Make brightness temperatures of waves over the globe and instrument noise, in whole counts.

    Parameters
    ----------
    lat : np.ndarray
        Latitudes in degrees, ``(n,)``.
    lon : np.ndarray
        Longitudes in degrees, ``(n,)``.
    noise : np.ndarray
        Standard deviation of the noise in K, ``(channel,)``.

    Returns
    -------
    np.ndarray
        In K, ``(n, channel)``.
    """
    generator = np.random.default_rng(1)
    north, east = np.deg2rad(lat), np.deg2rad(lon)
    values = np.empty((len(lat), len(noise)), np.float32)
    for channel, deviation in enumerate(noise):
        field = 240 + 30 * np.cos(2 * north)
        for wave in range(1, 30):
            field += (
                generator.normal(0, 4)
                * np.sin(wave * east + generator.uniform(0, 6))
                * np.cos(wave * north)
            )
        values[:, channel] = (
            np.rint((field + generator.normal(0, deviation, len(lat))) / COUNT) * COUNT
        )
    return values


def write_sparse(path: Path, when, lat, lon, values, zenith, names: list[str]) -> int:
    """Grid a day into a sparse store.

    Parameters
    ----------
    path : Path
        The store.
    when : np.ndarray
        Times of the footprints, ``(n,)``.
    lat : np.ndarray
        Latitudes in degrees, ``(n,)``.
    lon : np.ndarray
        Longitudes in degrees, ``(n,)``.
    values : np.ndarray
        Brightness temperatures in K, ``(n, channel)``.
    zenith : np.ndarray
        Zenith angles in degrees, ``(n,)``.
    names : list[str]
        Names of the channels.

    Returns
    -------
    int
        Number of rows of the store.
    """
    rows = 0
    with SparseWriter(path, "noaa20_atms", names, ["K"] * len(names), GRID, DAY, HOURS) as out:
        for slot in hourly_cells(when, lat, lon, values, zenith, GRID, DAY, HOURS):
            out.write(slot.hour, slot.cell, slot.values, slot.zenith, slot.offset, slot.count)
            rows += len(slot.cell)
    return rows


def write_dense(path: Path, grids: SparseGrids, compressed: bool) -> None:
    """Write the same day as a dense store.

    Parameters
    ----------
    path : Path
        The store.
    grids : SparseGrids
        The sparse store.
    compressed : bool
        Whether to compress, as the sparse store does.
    """
    channels = len(grids.channels)
    array = zarr.create_array(
        path,
        shape=(HOURS, channels, *GRID.shape),
        chunks=(1, channels, *GRID.shape),
        dtype="float32",
        fill_value=np.nan,
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle") if compressed else None,
    )
    for hour in range(HOURS):
        dense = densify(grids.window(DAY, hour, hour + 1), GRID, 1)
        array[hour] = dense.values.masked_fill(~dense.mask, torch.nan)[0].numpy()


def size(path: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def drop(path: Path) -> None:
    """Ask the kernel to forget what it holds of the files below a folder."""
    for file in path.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def load_sparse(path: Path, device: torch.device) -> DenseWindow:
    """A window from the sparse store, opened anew, nothing kept in memory."""
    return densify(
        SparseGrids([path], cache_bytes=0).window(DAY, FIRST, FIRST + WINDOW), GRID, WINDOW, device
    )


def load_dense(path: Path, device: torch.device) -> torch.Tensor:
    """A window from a dense store."""
    return torch.from_numpy(zarr.open_array(path, mode="r")[FIRST : FIRST + WINDOW]).to(device)


def timed(action, device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    start = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(
    folder: Path,
    kind: str,
    data: tuple[np.ndarray, ...],
    names: list[str],
    device: torch.device,
    repeat: int,
) -> None:
    """Write, compare and print one kind of values.

    Parameters
    ----------
    folder : Path
        Folder of the stores.
    kind : str
        Name of the kind.
    data : tuple[np.ndarray, ...]
        Times ``(n,)``, latitudes and longitudes in degrees ``(n,)``, values in K ``(n, channel)``
        and zenith angles in degrees ``(n,)``.
    names : list[str]
        Names of the channels.
    device : torch.device
        Device on which a load ends.
    repeat : int
        Number of rounds, of which the quickest counts.
    """
    stores = {
        name: folder / f"{kind}_{name}.zarr"
        for name in ("sparse", "dense, compressed", "dense, uncompressed")
    }
    rows = write_sparse(stores["sparse"], *data, names)
    grids = SparseGrids([stores["sparse"]], cache_bytes=0)
    for name in list(stores)[1:]:
        write_dense(stores[name], grids, name == "dense, compressed")
    loads = {name: load_sparse if name == "sparse" else load_dense for name in stores}
    ours = load_sparse(stores["sparse"], device)
    for name in list(stores)[1:]:
        theirs = load_dense(stores[name], device)
        if not (
            torch.equal(torch.isfinite(theirs), ours.mask)
            and torch.equal(theirs.nan_to_num(0.0), ours.values)
        ):
            raise SystemExit(f"{name} differs from sparse")
        del theirs
    share = ours.mask.float().mean().item()
    del ours
    seconds = {(name, state): [] for name in stores for state in ("warm", "cold")}
    for _ in range(repeat):
        for name, path in stores.items():
            drop(path)
            seconds[name, "cold"].append(timed(lambda n=name, p=path: loads[n](p, device), device))
            seconds[name, "warm"].append(timed(lambda n=name, p=path: loads[n](p, device), device))
    best = {key: min(values) for key, values in seconds.items()}
    raw = HOURS * len(names) * GRID.nlat * GRID.nlon * 4
    print(
        f"\n{kind}: {len(data[0])} footprints, {rows} cells in {HOURS} hours, {share:.1%} of the "
        f"window's values observed; dense float32 tensors {raw / 1e6:.0f} MB"
    )
    print(
        f"{'store':22s} {'MB':>7s} {'tensors/store':>14s} {'warm s':>7s} {'to sparse':>10s} "
        f"{'cold s':>7s} {'to sparse':>10s}"
    )
    for name, path in stores.items():
        warm, cold = best[name, "warm"], best[name, "cold"]
        print(
            f"{name:22s} {size(path) / 1e6:7.0f} {raw / size(path):14.1f} {warm:7.3f} "
            f"{warm / best['sparse', 'warm']:10.2f} {cold:7.3f} "
            f"{cold / best['sparse', 'cold']:10.2f}"
        )
    path = stores["sparse"]
    reading = min(
        timed(lambda: SparseGrids([path], 0).window(DAY, FIRST, FIRST + WINDOW), device)
        for _ in range(repeat)
    )
    print(
        f"of the sparse load, reading and decompressing took {reading:.3f} s, "
        "the rest made the tensors"
    )


def main() -> None:
    """Measure both kinds of values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stride", type=int, default=1, help="use every N-th scan")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--directory", type=Path, help="where the stores are written for the time of the run, 5 GB"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = sources.load_source("noaa20_atms")
    when, lat, lon, noise, zenith = footprints(options.stride)
    measured = as_measured(lat, lon, np.array([channel.noise for channel in source.channels]))
    device = torch.device(options.device)
    print(f"device {device}")
    for kind, values in (("noise", noise), ("as measured", measured)):
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            measure(
                Path(folder),
                kind,
                (when, lat, lon, values, zenith),
                source.channel_names,
                device,
                options.repeat,
            )


if __name__ == "__main__":
    main()
