"""Time the gridding of one day of ATMS to 0.25 degrees, ours against pyresample.

    python -m benchmarks.gridding [--stride N] [--repeat N]

The day has 3.1 million footprints of 22 channels. Peers, in the same run and on the same
footprints: pyresample's BucketResampler (a mean for each channel) and its kd-tree nearest
neighbour. Ours runs twice: to 24 hourly slots one after the other, as the workflow does, and to one
slot of the whole day, as the peers. The one-slot means must equal the bucket means, or the run
fails.

One thread, ours also with two; the ways take turns, ``--repeat`` rounds of them, and the least of
each counts. Processor seconds stand beside those on the clock, because other work on the machine
lengthens the latter. Memory is what a process of its own took at most beyond what it had before,
results included. The floor is the time that it takes to move each footprint from memory and each
result to it once, at the speed of a large copy in the same run.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the kd-tree's, before it is loaded

import dask
import dask.array as da
import numpy as np
from pyresample import AreaDefinition, SwathDefinition, kd_tree
from pyresample.bucket import BucketResampler

from fuxiflow.config import sources
from fuxiflow.grids import Grid
from fuxiflow.observations.gridding import HourlyCells, hourly_cells
from fuxiflow.observations.orbits import swath

GRID = Grid(720, 1440)
DAY = np.datetime64("2022-07-01", "ns")
RADIUS = 25_000.0  # m: about a cell
COPIED = 1 << 28  # octets


def footprints(stride: int) -> tuple[np.ndarray, ...]:
    """Return time, lat, lon, values and zenith of a day of NOAA-20 ATMS, each ``stride``-th scan.

    The values are noise.
    """
    source = sources.load_source("noaa20_atms")
    flown = source.flown[0]
    view = swath(
        flown.name, flown.orbit, source.instrument, DAY, DAY + np.timedelta64(1, "D"), stride, 1
    )
    inside = (view.time < DAY + np.timedelta64(1, "D")).ravel()
    time_, lat, lon, zenith = (
        array.ravel()[inside] for array in (view.time, view.lat, view.lon, view.zenith)
    )
    values = (
        np.random.default_rng(0)
        .uniform(150, 300, (len(lat), len(source.channels)))
        .astype(np.float32)
    )
    return time_, lat.astype(np.float32), lon.astype(np.float32), values, zenith.astype(np.float32)


def area() -> AreaDefinition:
    """Return the grid as pyresample has it.

    Columns are centred on 0, 0.25, ... degrees east, rolled to start at -180.
    """
    half = 180.0 / GRID.nlon
    return AreaDefinition(
        "grid", "", "", "EPSG:4326", GRID.nlon, GRID.nlat, (-180 - half, -90, 180 - half, 90)
    )


def least(ways: dict[str, Callable], repeat: int) -> dict[str, np.ndarray]:
    """Return the least seconds on the clock and of the processor of each way.

    The ways take turns in ``repeat`` rounds.
    """
    best = {name: np.full(2, np.inf) for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = np.array([time.perf_counter(), time.process_time()])
            way()
            best[name] = np.minimum(
                best[name], np.array([time.perf_counter(), time.process_time()]) - start
            )
    return best


def peak(way: Callable) -> float:
    """Return the megabytes that a fork of this process takes at most for ``way``.

    Those that it begins with are not counted.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        way()
        os.write(theirs, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(ours, 100)) / 1024


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stride", type=int, default=1, help="use every N-th scan")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    when, lat, lon, values, zenith = footprints(options.stride)
    rolled = np.where(lon >= 180 - 180 / GRID.nlon, lon - 360, lon)
    whole_day = np.full(len(when), DAY)
    channels = values.shape[1]

    def hourly() -> int:
        return sum(
            len(slot.cell) for slot in hourly_cells(when, lat, lon, values, zenith, GRID, DAY, 24)
        )

    def daily(threads: int = 1) -> HourlyCells:
        return next(
            hourly_cells(whole_day, lat, lon, values, zenith, GRID, DAY, 1, threads=threads)
        )

    def buckets() -> np.ndarray:
        resampler = BucketResampler(area(), da.from_array(rolled), da.from_array(lat))
        means = [
            resampler.get_average(da.from_array(np.ascontiguousarray(values[:, c])))
            for c in range(channels)
        ]
        return np.stack(dask.compute(*means))

    def nearest() -> np.ndarray:
        return kd_tree.resample_nearest(
            SwathDefinition(rolled, lat),
            values,
            area(),
            radius_of_influence=RADIUS,
            fill_value=np.nan,
            nprocs=1,
        )

    source, target = np.ones(COPIED, np.uint8), np.ones(COPIED, np.uint8)
    with dask.config.set(scheduler="synchronous"):
        cells, one, means = hourly(), daily(), buckets()  # compiles
        theirs = np.roll(means, -GRID.nlon // 2, axis=2).reshape(channels, -1)[:, one.cell].T
        # a footprint on a cell's edge may fall either side of it: pyresample computes in metres or
        # single precision
        equal = np.isclose(theirs, one.values, rtol=0, atol=1e-3).all(axis=1).mean()
        if equal < 0.999:
            raise SystemExit(
                f"only {equal:.2%} of the cells have the mean that BucketResampler has"
            )
        ways = {
            "ours, one slot": daily,
            "ours, one slot, two threads": partial(daily, 2),
            f"ours, 24 hourly slots ({cells} cells)": hourly,
            "pyresample BucketResampler, mean": buckets,
            "pyresample kd_tree, nearest": nearest,
        }
        memory = {name: peak(way) for name, way in ways.items()}
        took = least(ways | {"copy": lambda: np.copyto(target, source)}, options.repeat)

    print(
        f"{len(lat)} footprints, {channels} channels, {GRID.nlat} x {GRID.nlon} cells, "
        f"{len(one.cell)} of them seen; {equal:.3%} of means equal"
    )
    print(
        f"{'':44s} {'seconds':>8s} {'ratio':>6s} {'of the processor':>17s} {'ratio':>6s} "
        f"{'extra MB':>9s}"
    )
    (wall, processor) = took["ours, one slot"]
    for name in ways:
        print(
            f"{name:44s} {took[name][0]:8.3f} {took[name][0] / wall:6.1f} {took[name][1]:17.3f} "
            f"{took[name][1] / processor:6.1f} {memory[name]:9.0f}"
        )
    for name, rows in (
        ("ours, one slot", len(one.cell)),
        (f"ours, 24 hourly slots ({cells} cells)", cells),
    ):
        moved = sum(array.nbytes for array in (when, lat, lon, values, zenith)) + rows * (
            4 * channels + 3 * 4 + 2 * 8
        )
        floor = moved / (2 * COPIED / took["copy"][1])
        print(
            f"{name}: {moved / 1e6:.0f} MB at {2e-9 * COPIED / took['copy'][1]:.1f} GB/s are "
            f"{floor:.3f} s, {floor / took[name][1]:.0%} of its processor time"
        )


if __name__ == "__main__":
    main()
