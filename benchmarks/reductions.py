"""Measure reductions over states beside xarray with dask: statistics, and means for a climatology.

    python -m benchmarks.reductions [--nlat N] [--nlon N] [--times N] [--threads N] [--repeat N]
    [--directory PATH]

A store of ``--times`` made-up states of 70 channels, packed as the configuration's default does, is
read from the page cache. The first reduction is what a part of the statistics computes: mean and
variance of the states and of their 6-h differences by channel, weighted by area. The second is what
a part of the climatology computes for each day and hour: the mean of the states in double
precision. The peer is the same written with xarray on dask arrays, a time a chunk, on as many
threads; it computes all four numbers in one pass. Results must be equal. Each runs in a process of
its own, in turns; the best of ``--repeat`` rounds, in seconds of the processor, by which they are
compared, and on the clock; and the largest memory of a process.
"""

import argparse
import logging
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.climatology_parts import mean_of_states, read_ahead
from fuxiflow.states.statistics import DIFFERENCE, PRECIPITATION, STATE, segment_moments
from fuxiflow.states.store import StateSeries, write_states

START = np.datetime64("2022-01-01", "ns")
LOG = logging.getLogger("benchmark")


def made_up(grid: Grid, count: int):
    """Yield smooth states with noise, precipitation not negative."""
    random = np.random.default_rng(0)
    channels = channel_table()
    low = np.array([c.valid_min for c in channels], np.float32)[:, None, None]
    high = np.array([c.valid_max for c in channels], np.float32)[:, None, None]
    lat, lon = np.meshgrid(np.deg2rad(grid.lat), np.deg2rad(grid.lon), indexing="ij")
    shape = (len(channels), 1, 1)
    phase = random.uniform(0, 6, shape).astype(np.float32)
    for number in range(count):
        wave = np.sin(3 * lon[None] + phase + np.float32(0.1 * number)) * np.cos(lat)[None]
        noise = random.standard_normal((len(channels), *grid.shape), np.float32)
        wave = wave.astype(np.float32) + np.float32(0.01) * noise
        yield np.maximum((low + high) / 2 + (high - low) * np.float32(0.1) * wave, low)


def statistics_by_loop(path: Path, _threads: int) -> np.ndarray:
    """Means and variances ``(4, channel)`` of states and differences, by the loop of the rule."""
    states = StateSeries([path])
    dates = [str(np.datetime64(time, "D")) for time in states.times[[0, -1]]]
    kinds = segment_moments(states, dates, LOG).kinds
    return np.stack(
        [
            values
            for kind in (STATE, DIFFERENCE)
            for values in (kinds[kind].mean, kinds[kind].squares / kinds[kind].count)
        ]
    )


def statistics_by_xarray(path: Path, _threads: int) -> np.ndarray:
    """The same by xarray: weighted mean and variance over time and area."""
    state = xr.open_zarr(path).state
    rain = state.channel == PRECIPITATION
    state = xr.where(rain, np.log1p(np.maximum(state, 0.0)), state).astype(float)
    grid = Grid(state.sizes["lat"], state.sizes["lon"])
    weights = xr.DataArray(grid.area_weights, dims="lat", coords={"lat": state.lat})
    over = ["time", "lat", "lon"]
    reduced = xr.Dataset()
    for kind, values in ((STATE, state), (DIFFERENCE, state.diff("time"))):
        reduced[f"{kind} mean"] = values.weighted(weights).mean(over)
        reduced[f"{kind} variance"] = values.weighted(weights).var(over)
    reduced = reduced.compute()
    return np.stack([reduced[name].values for name in reduced.data_vars])


def mean_by_loop(path: Path, threads: int) -> np.ndarray:
    """Mean state ``(channel, lat, lon)`` by the loop of the rule."""
    states = StateSeries([path])
    fields = read_ahead(states.times, states.read, max(1, threads - 1))
    total = np.empty((len(states.channels), *states.grid.shape))
    return mean_of_states(zip(states.times, fields, strict=True), states.channels, total)[0]


def mean_by_xarray(path: Path, _threads: int) -> np.ndarray:
    """The same by xarray."""
    return xr.open_zarr(path).state.mean("time", dtype=float).astype("float32").values


REDUCTIONS = {
    "statistics": (statistics_by_loop, statistics_by_xarray),
    "mean": (mean_by_loop, mean_by_xarray),
}


def run_reduction(sender, function: Callable, path: Path, threads: int) -> None:
    """Run a reduction in this process and send its result, times in s and peak memory in MB.

    Parameters
    ----------
    sender : multiprocessing.connection.Connection
        Where they go.
    function : Callable
        The reduction.
    path : Path
        The store of states.
    threads : int
        Threads that it may use.
    """
    import dask

    dask.config.set(scheduler="threads" if threads > 1 else "synchronous", num_workers=threads)
    start = time.process_time(), time.perf_counter()
    result = function(path, threads)
    seconds = time.process_time() - start[0], time.perf_counter() - start[1]
    # of this process alone: `ru_maxrss` begins with that of the one that started it
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    sender.send((result, seconds, peak))


def measure(
    function: Callable, path: Path, threads: int
) -> tuple[np.ndarray, tuple[float, float], float]:
    """Run a reduction in a process of its own.

    Parameters
    ----------
    function : Callable
        The reduction.
    path : Path
        The store of states.
    threads : int
        Threads that it may use.

    Returns
    -------
    result : np.ndarray
        What it gives.
    seconds : tuple of float
        Its time of the processor and on the clock, without the start of the process.
    peak : float
        Largest memory in MB.
    """
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=run_reduction, args=(sender, function, path, threads))
    process.start()
    sender.close()
    measured = receiver.recv()
    process.join()
    return measured


def main() -> None:
    """Measure and print both reductions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nlat", type=int, default=180)
    parser.add_argument("--nlon", type=int, default=360)
    parser.add_argument("--times", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where the store is written for the run")
    options = parser.parse_args()
    grid = Grid(options.nlat, options.nlon)
    times = START + np.arange(options.times) * np.timedelta64(6, "h")
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        path = Path(folder) / "states.zarr"
        write_states(path, times, channel_table(), grid, made_up(grid, options.times))
        print(f"{options.times} states of {grid.nlat} x {grid.nlon}, {options.threads} threads")
        print(
            f"{'reduction':12s} {'by':8s} {'s a state':>10s} {'to ours':>8s} {'clock':>8s} "
            f"{'peak MB':>8s}"
        )
        for name, functions in REDUCTIONS.items():
            rounds = [
                [measure(function, path, options.threads) for function in functions]
                for _ in range(options.repeat)
            ]
            ours, theirs = (result for result, _, _ in rounds[0])
            if not np.allclose(ours, theirs, rtol=1e-6, atol=0):
                raise SystemExit(f"{name}: results differ")
            best = [min(one[i][1] for one in rounds) for i in (0, 1)]
            peaks = [max(one[i][2] for one in rounds) for i in (0, 1)]
            for label, seconds, peak in zip(("loop", "xarray"), best, peaks, strict=True):
                print(
                    f"{name:12s} {label:8s} {seconds[0] / options.times:10.3f} "
                    f"{seconds[0] / best[0][0]:8.1f} {seconds[1] / options.times:8.3f} {peak:8.0f}"
                )


if __name__ == "__main__":
    main()
