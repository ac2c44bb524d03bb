"""Time the reading of ATMS files against a plain satpy Scene, and the stages to a sparse grid.

    python -m benchmarks.reading [--satms FILE --gatmo FILE] [--granules N] [--aggregate N]
    [--repeat N] [--hours N]

First ``--hours`` of NNJA-AI's AMSU-A, made on the orbits of two satellites: the footprint table,
with its checks of times, places and angles, against plain pyarrow, which reads the same columns,
and makes a pandas frame of them. Values must be equal. Then the real granule pair as it is: the
footprint table, with times and angles, against a Scene that loads the channels and computes them
and its area's coordinates, fewer arrays. Then a day of its granules, ``--granules`` of them, put
together ``--aggregate`` to a file as archives deliver them: values and headers of the granule,
times and positions of an orbit. Values and coordinates must be equal to the last bit. At last the
stages of the workflow on that day, and the reading of its footprint table with and without
comparing checksums. Best of ``--repeat`` runs for the pair, one run for the day; one thread.
Processor seconds, of all threads, stand beside those on the clock, because other work on the
machine lengthens the latter: ratios and shares are of the former.
"""

import argparse
import importlib.util
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import dask
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj  # noqa: F401  loaded after ecCodes it crashes the interpreter at its end
from satpy import Scene

from fuxiflow import ROOT
from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.orbits import Swath, swath
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.world.writers.atms_sdr import iet

REAL = ROOT.parent / "shared" / "realdata" / "atms_sdr"
DAY = np.datetime64("2022-07-01", "ns")
SCANS = 12  # of a granule
PLATFORM = "Suomi-NPP"
STAGES = ("read", "limits_part", "limits", "quality", "grid")


def clock() -> np.ndarray:
    """Seconds on the clock and of the processor, from an arbitrary start."""
    return np.array([time.perf_counter(), time.process_time()])


def moment(when: np.datetime64) -> datetime:
    """A time as Python has it, to the microsecond."""
    return when.astype("datetime64[us]").item()


def name_of(product: str, times: np.ndarray) -> str:
    """Name a file of the product with these times as the agency does."""
    first, last = moment(times.min()), moment(times.max())
    clock = "{0:%H%M%S}{1}"
    return (
        f"{product}_npp_d{first:%Y%m%d}_t{clock.format(first, first.microsecond // 100_000)}"
        f"_e{clock.format(last, last.microsecond // 100_000)}_b00001"
        f"_c{last:%Y%m%d%H%M%S%f}_noac_ops.h5"
    )


def aggregate(real: Path, product: str, path: Path, view: Swath, granules: int) -> None:
    """Write copies of a granule's file as one, with the times and positions of a swath.

    Parameters
    ----------
    real : Path
        File of the granule.
    product : str
        ``SATMS`` or ``GATMO``.
    path : Path
        File to write.
    view : Swath
        Times and positions ``(scan, footprint)``.
    granules : int
        Number of copies.
    """
    places = {
        "Latitude": view.lat,
        "Longitude": view.lon,
        "SatelliteZenithAngle": view.zenith,
        "SatelliteAzimuthAngle": view.azimuth,
        "BeamTime": iet(view.time),
    }
    first, last = moment(view.time.min()), moment(view.time.max())
    with h5py.File(real) as one, h5py.File(path, "w") as many:
        for key, value in one.attrs.items():
            many.attrs[key] = value
        for group in one["All_Data"].values():
            for name, data in group.items():
                values = places.get(name, np.concatenate([data[()]] * granules))
                many[f"{group.name}/{name}"] = values.astype(data.dtype)
        (kind,) = one["Data_Products"]
        source, target = one[f"Data_Products/{kind}"], many.create_group(f"Data_Products/{kind}")
        for key, value in source.attrs.items():
            target.attrs[key] = value
        one.copy(source[f"{kind}_Aggr"], target)
        for number in range(granules):
            one.copy(source[f"{kind}_Gran_0"], target, f"{kind}_Gran_{number}")
        attributes = target[f"{kind}_Aggr"].attrs
        for word, when in (("Beginning", first), ("Ending", last)):
            attributes[f"Aggregate{word}Date"] = np.array([[f"{when:%Y%m%d}".encode()]])
            attributes[f"Aggregate{word}Time"] = np.array([[f"{when:%H%M%S.%f}Z".encode()]])
        attributes["AggregateNumberGranules"] = np.array([[granules]], np.uint64)


def write_day(
    pair: dict[str, Path], folder: Path, granules: int, together: int
) -> list[dict[str, Path]]:
    """Write a day of granules, several of them to a file.

    Parameters
    ----------
    pair : dict[str, Path]
        Files of the real granule by product.
    folder : Path
        Folder of the new files.
    granules : int
        Number of granules of the day.
    together : int
        Number of granules in a file.

    Returns
    -------
    list[dict[str, Path]]
        Pairs of files in order of time.
    """
    source = sources.load_source("noaa20_atms")
    flown = source.flown[0]
    view = swath(flown.name, flown.orbit, source.instrument, DAY, DAY + np.timedelta64(1, "D"))
    pairs = []
    for first in range(0, granules, together):
        here = min(together, granules - first)
        part = view.scans(slice(SCANS * first, SCANS * (first + here)))
        pairs.append({product: folder / name_of(product, part.time) for product in pair})
        for product, path in pairs[-1].items():
            aggregate(pair[product], product, path, part, here)
    return pairs


def ours(pairs: list[dict[str, Path]], channels: list[str]) -> Iterator[tuple[np.ndarray, ...]]:
    """Values, latitudes and longitudes of each pair, from the footprint tables of our reader."""
    files = [path for pair in pairs for path in pair.values()]
    for granule in readers.read("atms_sdr", files, [PLATFORM], channels):
        if granule.footprints is None:
            raise SystemExit(f"{granule.file}: {granule.message}")
        table = granule.footprints
        yield (
            table,
            footprint_table.column_values(table, "lat"),
            footprint_table.column_values(table, "lon"),
        )


def plain(pairs: list[dict[str, Path]], channels: list[str]) -> Iterator[tuple[np.ndarray, ...]]:
    """The same by a satpy Scene for each pair."""
    for pair in pairs:
        scene = Scene(filenames=[str(path) for path in pair.values()], reader="atms_sdr_hdf5")
        scene.load(channels)
        area = scene[channels[0]].attrs["area"]
        arrays = dask.compute(
            *(scene[name].data for name in channels), area.lats.data, area.lons.data
        )
        yield np.stack(arrays[:-2], axis=-1), arrays[-2], arrays[-1]


def compare(pairs: list[dict[str, Path]], channels: list[str], repeat: int, what: str) -> None:
    """Time both ways to read, check that they are equal, and print.

    Parameters
    ----------
    pairs : list[dict[str, Path]]
        Pairs of files by product.
    channels : list[str]
        Names of the channels to read.
    repeat : int
        Number of times to read, of which the quickest counts.
    what : str
        Name of the files in the printed line.
    """
    best = {ours: np.full(2, np.inf), plain: np.full(2, np.inf)}
    for _ in range(repeat):
        for way in best:
            start = clock()
            for _ in way(pairs, channels):
                pass
            best[way] = np.minimum(best[way], clock() - start)
    count = 0
    for (table, *place), (values, *theirs) in zip(
        ours(pairs, channels), plain(pairs, channels), strict=True
    ):
        same = [
            np.array_equal(
                footprint_table.values_of(table), values.reshape(-1, len(channels)), equal_nan=True
            ),
            *(
                np.array_equal(one, other.ravel(), equal_nan=True)
                for one, other in zip(place, theirs, strict=True)
            ),
        ]
        if not all(same):
            raise SystemExit("values, latitudes, longitudes equal: " + ", ".join(map(str, same)))
        count += len(table)
    print(f"{what}: {count} footprints, {len(channels)} channels, all values and coordinates equal")
    for way, name in ((ours, "ours: footprint table"), (plain, "satpy Scene, channels, lat, lon")):
        wall, processor = best[way]
        print(
            f"  {name:34s} {wall:8.3f} s {processor:8.3f} s of the processor "
            f"{processor / best[ours][1]:6.1f}"
        )


def write_parquet_day(path: Path, hours: int) -> None:
    """Write AMSU-A footprints of two satellites in the columns that are fetched of NNJA-AI.

    Parameters
    ----------
    path : Path
        File to write.
    hours : int
        Hours of the day.
    """
    source = sources.load_source("amsua")
    tables = []
    for satellite in ("NOAA-19", "Metop-B"):
        orbit = next(one.orbit for one in source.flown if one.name == satellite)
        view = swath(satellite, orbit, "amsua", DAY, DAY + np.timedelta64(hours, "h"))
        rng = np.random.default_rng(0)
        fields = np.broadcast_to(view.field_of_view[None] + 1.0, view.lat.shape)
        columns = {
            "OBS_TIMESTAMP": pa.array(view.time.ravel()).cast(pa.timestamp("ns", "UTC")),
            "LAT": view.lat.ravel().round(4),
            "LON": view.lon.ravel().round(4),
            "SAID": np.full(view.lat.size, 223.0 if satellite == "NOAA-19" else 3.0),
            "FOVN": fields.ravel(),
            "SAZA": view.zenith.ravel().round(2),
            "BEARAZ": view.azimuth.ravel().round(2),
        }
        for number in range(1, 16):
            values = rng.normal(250.0, 10.0, view.lat.size).round(2)
            columns[f"BRITCSTC.TMBR_{number:05d}"] = values
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), path, compression="zstd", row_group_size=100_000)


def compare_parquet(path: Path, repeat: int) -> None:
    """Time the reading of a file of NNJA-AI by three ways, check the values, and print.

    Parameters
    ----------
    path : Path
        The file.
    repeat : int
        Number of times to read by turns, of which the quickest counts.
    """
    channels = [str(number) for number in range(1, 16)]

    def footprints():
        granules = readers.read("nnja_ai.amsua", [path], ["NOAA-19", "Metop-B"], channels)
        return pa.concat_tables([granule.footprints for granule in granules])

    def frame():
        return pq.read_table(path, use_threads=False).to_pandas()

    def columns():
        return pq.read_table(path, use_threads=False)

    ways = {
        "ours: footprint table": footprints,
        "plain pyarrow, pandas frame": frame,
        "plain pyarrow, Arrow table": columns,
    }
    best = {name: np.full(2, np.inf) for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = clock()
            way()
            best[name] = np.minimum(best[name], clock() - start)
    table, plain = footprints(), columns()
    for channel in channels:
        ours = np.sort(footprint_table.column_values(table, f"channel_{channel}"))
        theirs = np.sort(plain[f"BRITCSTC.TMBR_{channel:0>5}"].to_numpy().astype(np.float32))
        if not np.array_equal(ours, theirs):
            raise SystemExit(f"values of channel {channel} differ")
    size = path.stat().st_size / 1e6
    print(f"NNJA-AI, AMSU-A: {len(table)} footprints, {size:.0f} MB, all values equal")
    for name, (wall, processor) in best.items():
        print(
            f"  {name:34s} {wall:8.3f} s {processor:8.3f} s of the processor "
            f"{best['ours: footprint table'][1] / processor:6.1f}"
        )


def script(stage: str):
    """The ``main`` of a rule's script."""
    path = ROOT / "workflow" / "scripts" / f"observations_{stage}.py"
    spec = importlib.util.spec_from_file_location(stage, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def compare_sums(path: Path, repeat: int) -> None:
    """Time the reading of a footprint table, and plain reading without comparing checksums.

    Parameters
    ----------
    path : Path
        The table.
    repeat : int
        Number of times to read by turns, of which the quickest counts.
    """
    ways = {"with checksums": footprint_table.read_footprints, "without": pq.read_table}
    best = {name: np.full(2, np.inf) for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = clock()
            way(path)
            best[name] = np.minimum(best[name], clock() - start)
    print(f"footprint table of {path.stat().st_size / 1e6:.1f} MB, read")
    for name, (wall, processor) in best.items():
        print(
            f"  {name:34s} {wall:8.3f} s {processor:8.3f} s of the processor "
            f"{processor / best['without'][1]:6.3f}"
        )


def profile(raw: Path, folder: Path, channels: list[str]) -> None:
    """Run the rules' scripts on the day one after the other and print what each took.

    Parameters
    ----------
    raw : Path
        Folder of the files of the day.
    folder : Path
        Folder of the outputs.
    channels : list[str]
        Names of the channels to read.
    """
    source = sources.load_source("noaa20_atms")
    day = str(DAY.astype("datetime64[D]"))
    nothing = SimpleNamespace(setting="completeness", least=0.0)
    params = SimpleNamespace(
        dates=(day, day),
        completeness=SimpleNamespace(
            expected=[day, day], platforms={}, days=nothing, files=nothing, windows=nothing
        ),
        file_pattern="{SATMS,GATMO}_npp_*.h5",
        reader="atms_sdr",
        source="npp_atms",
        platforms=[PLATFORM],
        channels=channels,
        units=["K"] * len(channels),
        grid={"nlat": 720, "nlon": 1440},
        options={"platforms": [PLATFORM], "method": source.gridding.method},
        seed=0,
        ranges=source.valid_ranges,
        logarithmic=source.logarithmic,
        max_z=source.max_z,
        withheld=None,
        max_speed=source.max_speed,
        denials=[],
    )
    made = {
        name: folder / name
        for name in (
            "read.parquet",
            "read.ledger",
            "windows.parquet",
            "histograms.parquet",
            "limits.parquet",
            "table.parquet",
            "table.ledger",
            "grid.zarr",
        )
    }
    read, ledger, windows, histograms, limits, checked, whole, grid = made.values()
    ends = {
        "read": (
            {"files": raw, "patterns": ()},
            {"table": read, "ledger": ledger, "windows": windows},
        ),
        "limits_part": ({"table": read}, {"histograms": histograms}),
        "limits": ({"histograms": [histograms]}, {"limits": limits}),
        "quality": (
            {"table": read, "ledger": ledger, "limits": limits},
            {"table": checked, "ledger": whole},
        ),
        "grid": ({"table": checked}, {"grid": grid}),
    }
    mains = {stage: script(stage) for stage in STAGES}
    log = logging.getLogger("benchmark")
    seconds = {}
    for stage, (inputs, outputs) in ends.items():
        start = clock()
        mains[stage](SimpleNamespace(**inputs), SimpleNamespace(**outputs), params, log)
        seconds[stage] = clock() - start
    start = clock()
    for _ in readers.read("atms_sdr", sorted(raw.glob("*.h5")), [PLATFORM], channels):
        pass
    seconds["read, without writing"] = clock() - start
    total = sum(seconds[stage] for stage in STAGES)
    slowest = max(STAGES, key=lambda stage: seconds[stage][1])
    print(
        f"files to sparse grid: {total[0]:.1f} s, {total[1]:.1f} s of the processor; "
        f"slowest: {slowest}"
    )
    for stage, (wall, processor) in seconds.items():
        print(
            f"  {stage:34s} {wall:8.3f} s {processor:8.3f} s of the processor "
            f"{processor / total[1]:6.1%}"
        )


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for product in ("satms", "gatmo"):
        parser.add_argument(
            f"--{product}", type=Path, default=next(REAL.glob(f"{product.upper()}_npp_*"), None)
        )
    parser.add_argument(
        "--granules", type=int, default=2700, help="granules of the day, 0 for none; 2700 are all"
    )
    parser.add_argument("--aggregate", type=int, default=108, help="granules a file")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--hours", type=int, default=24, help="hours of NNJA-AI, 0 for none")
    options = parser.parse_args()
    if options.hours:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"gdas.{moment(DAY):%Y%m%d}.NC021023.parquet"
            write_parquet_day(path, options.hours)
            compare_parquet(path, options.repeat)
    if options.satms is None or options.gatmo is None:
        print("no real granule pair on this machine: name one with --satms and --gatmo")
        return
    warnings.simplefilter("ignore")
    channels = sources.load_source("noaa20_atms").channel_names
    pair = {"SATMS": options.satms, "GATMO": options.gatmo}
    with dask.config.set(scheduler="synchronous"), tempfile.TemporaryDirectory() as folder:
        compare([pair], channels, options.repeat, "one granule")
        if not options.granules:
            return
        raw, made = Path(folder) / "raw", Path(folder) / "made"
        raw.mkdir()
        made.mkdir()
        pairs = write_day(pair, raw, options.granules, options.aggregate)
        seal_folder(raw)
        size = sum(path.stat().st_size for path in raw.iterdir()) / 1e6
        compare(
            pairs,
            channels,
            1,
            f"{options.granules} granules in {len(pairs)} pairs of files, {size:.0f} MB",
        )
        profile(raw, made, channels)
        compare_sums(made / "read.parquet", 4 * options.repeat)


if __name__ == "__main__":
    main()
