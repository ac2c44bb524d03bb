"""Gridding of one day of ATMS, 3.1 million footprints of 22 channels, to 0.25 degrees: ours against pyresample.

    python -m benchmarks.gridding [--stride N]

Peers, in the same run and on the same footprints: pyresample's BucketResampler (a mean for each channel) and its
kd-tree nearest neighbour. Ours runs twice: to 24 hourly slots one after the other, as the workflow does, and to one
slot of the whole day, as the peers. The one-slot means must equal the bucket means, or the run fails. Best of
``--repeat`` runs; one thread.
"""

import argparse
import time
from collections.abc import Callable

import dask
import dask.array as da
import numpy as np
from pyresample import AreaDefinition, SwathDefinition, kd_tree
from pyresample.bucket import BucketResampler

from fuxiflow import sources
from fuxiflow.grids import Grid
from fuxiflow.observations.gridding import hourly_cells
from fuxiflow.world.orbits import swath

GRID = Grid(720, 1440)
DAY = np.datetime64("2022-07-01", "ns")
RADIUS = 25_000.0  # m: about a cell


def footprints(stride: int) -> tuple[np.ndarray, ...]:
    """Time, lat, lon, values, zenith of one day of NOAA-20 ATMS, every ``stride``-th scan; the values are noise."""
    source = sources.load("noaa20_atms")
    flown = source.flown[0]
    view = swath(flown.name, flown.orbit, source.instrument, DAY, DAY + np.timedelta64(1, "D"), stride, 1)
    inside = (view.time < DAY + np.timedelta64(1, "D")).ravel()
    time_, lat, lon, zenith = (array.ravel()[inside] for array in (view.time, view.lat, view.lon, view.zenith))
    values = np.random.default_rng(0).uniform(150, 300, (len(lat), len(source.channels))).astype(np.float32)
    return time_, lat.astype(np.float32), lon.astype(np.float32), values, zenith.astype(np.float32)


def area() -> AreaDefinition:
    """The grid as pyresample has it: columns are centred on 0, 0.25, ... degrees east, rolled to start at -180."""
    half = 180.0 / GRID.nlon
    return AreaDefinition("grid", "", "", "EPSG:4326", GRID.nlon, GRID.nlat, (-180 - half, -90, 180 - half, 90))


def seconds(function: Callable, repeat: int) -> tuple[float, object]:
    """The best time of ``repeat`` calls, and the last result."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stride", type=int, default=1, help="use every N-th scan")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    when, lat, lon, values, zenith = footprints(options.stride)
    rolled = np.where(lon >= 180 - 180 / GRID.nlon, lon - 360, lon)
    channels = values.shape[1]

    def ours(times: np.ndarray, hours: int) -> tuple[int, object]:
        cells = 0
        for found in hourly_cells(times, lat, lon, values, zenith, GRID, DAY, hours):
            cells += len(found.cell)
        return cells, found

    def buckets() -> np.ndarray:
        resampler = BucketResampler(area(), da.from_array(rolled), da.from_array(lat))
        means = [resampler.get_average(da.from_array(np.ascontiguousarray(values[:, c]))) for c in range(channels)]
        return np.stack(dask.compute(*means))

    def nearest() -> np.ndarray:
        return kd_tree.resample_nearest(SwathDefinition(rolled, lat), values, area(), radius_of_influence=RADIUS,
                                        fill_value=np.nan, nprocs=1)

    whole_day = np.full(len(when), DAY)
    ours(when[:100], 24)  # compile
    with dask.config.set(scheduler="synchronous"):
        hourly, (cells, _) = seconds(lambda: ours(when, 24), options.repeat)
        daily, (_, one) = seconds(lambda: ours(whole_day, 1), options.repeat)
        bucket, means = seconds(buckets, max(1, options.repeat // 3))
        tree, _ = seconds(nearest, max(1, options.repeat // 3))
    theirs = np.roll(means, -GRID.nlon // 2, axis=2).reshape(channels, -1)[:, one.cell].T
    # a footprint on a cell's edge may fall either side of it: pyresample computes in metres or single precision
    equal = np.isclose(theirs, one.values, rtol=0, atol=1e-3).all(axis=1).mean()
    if equal < 0.999:
        raise SystemExit(f"only {equal:.2%} of the cells have the mean that BucketResampler has")

    print(f"{len(lat)} footprints, {channels} channels, {GRID.nlat} x {GRID.nlon} cells; {equal:.3%} of means equal")
    print(f"{'method':44s} {'seconds':>8s} {'ratio to ours (one slot)':>26s}")
    for name, took in ((f"ours, 24 hourly slots ({cells} cells)", hourly),
                       (f"ours, one slot ({len(one.cell)} cells)", daily),
                       ("pyresample BucketResampler, mean", bucket),
                       ("pyresample kd_tree, nearest", tree)):
        print(f"{name:44s} {took:8.3f} {took / daily:26.1f}")


if __name__ == "__main__":
    main()
