"""Time the reading of NCEP's BUFR by the tables in its files, beside earth2bufr.

    python -m benchmarks.reading_ncep [--footprints N] [--repeat N]

``--footprints`` of AMSU-A (1bamua) and of ATMS are written as NCEP's dumps have them, with fixed
layouts of tables and messages of 10 kB. Ours makes a footprint table of a file, with its checks of
times, places and angles. earth2bufr gives the same elements as an Arrow table, whose columns of
channels share a name, or, with all elements, as a pandas frame, flat or with channels as lists.
Temperatures must be equal. Best of ``--repeat`` runs by turns, one thread; processor seconds stand
beside those on the clock. Without earth2bufr, which ``make setup`` installs, only ours is timed.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.reading import DAY, clock
from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.orbits import swath
from tests.support.ncep_files import SOUNDERS, NcepTables, bufr

try:
    import earth2bufr
except ImportError:  # there is no build for macOS on Intel
    earth2bufr = None

ORBIT = "NOAA-20", 225
INSTRUMENTS = {
    "amsua": ("NC021023", 15, "gdas.20220701.t00z.1bamua.tm00.bufr_d"),
    "atms": ("NC021203", 22, "gdas.20220701.t00z.atms.tm00.bufr_d"),
}
SECTION = 9_900
"""Octets of subsets in a message, as NCEP's limit of 10 kB leaves them."""
PLATFORM = ORBIT[0]


def subsets(tables: NcepTables, columns: dict[str, np.ndarray], channels: np.ndarray) -> list:
    """Pack footprints as subsets, all of one length.

    Parameters
    ----------
    tables : NcepTables
        Tables of the report.
    columns : dict
        Elements ``(n,)`` by mnemonic; others are missing.
    channels : np.ndarray
        Temperatures ``(n, channel)`` in K.

    Returns
    -------
    list of bytes
        One for each footprint.
    """
    count = len(channels)
    parts = []

    def add(name: str, values: np.ndarray | None) -> None:
        _, scale, reference, width, _ = tables.elements[name]
        raw = np.full(count, (1 << width) - 1)
        if values is not None:
            raw = np.round(np.asarray(values, float) * 10.0**scale).astype(np.int64) - reference
        shifts = np.arange(width - 1, -1, -1)
        parts.append((raw[:, None] >> shifts & 1).astype(np.uint8))

    for kind, member, repeated in tables.members(tables.report):
        if kind == "element":
            add(member, columns.get(member))
            continue
        for channel in range(repeated):
            for _, name, _ in tables.members(member):
                own = {"CHNM": np.full(count, channel + 1), "TMBR": channels[:, channel]}
                add(name, own.get(name))
    bits = np.concatenate(parts, axis=1)
    padding = 8 - bits.shape[1] % 8
    end = np.unpackbits(np.array([padding], np.uint8))
    tail = np.broadcast_to(np.concatenate([end, np.zeros(padding, np.uint8)]), (count, 8 + padding))
    body = np.packbits(np.concatenate([bits, tail], axis=1), axis=1)
    length = np.frombuffer((body.shape[1] + 2).to_bytes(2), np.uint8)
    rows = np.concatenate([np.broadcast_to(length, (count, 2)), body], axis=1)
    return [row.tobytes() for row in rows]


def write_dump(path: Path, instrument: str, footprints: int) -> np.ndarray:
    """Write a file of an instrument on an orbit; return the temperatures ``(n, channel)``.

    Parameters
    ----------
    path : Path
        File to write.
    instrument : str
        One of :data:`INSTRUMENTS`.
    footprints : int
        Least number of footprints.

    Returns
    -------
    np.ndarray
        Temperatures in K.
    """
    kind, channels, _ = INSTRUMENTS[instrument]
    source = sources.load_source("noaa20_atms")
    orbit = next(one.orbit for one in source.flown if one.name == PLATFORM)
    span = np.timedelta64(1, "h")
    while True:
        view = swath(PLATFORM, orbit, instrument, DAY, DAY + span)
        if view.lat.size >= footprints:
            break
        span = span * 2
    scans = -(-footprints // view.lat.shape[1])
    time = view.time[:scans].ravel()
    day = time.astype("datetime64[D]")
    seconds = (time - day) / np.timedelta64(1, "s")
    month = time.astype("datetime64[M]")
    fields = np.broadcast_to(view.field_of_view[None] + 1.0, view.lat.shape)
    high = "H" if kind == "NC021203" else ""
    columns = {
        "SAID": np.full(len(time), float(ORBIT[1])),
        "YEAR": month.astype(int) // 12 + 1970,
        "MNTH": month.astype(int) % 12 + 1,
        "DAYS": (day - month).astype(int) + 1,
        "HOUR": seconds // 3600,
        "MINU": seconds // 60 % 60,
        "SECO": np.floor(seconds % 60),
        f"CLAT{high}": view.lat[:scans].ravel(),
        f"CLON{high}": (view.lon[:scans].ravel() + 180) % 360 - 180,
        "FOVN": fields[:scans].ravel(),
        "SAZA": view.zenith[:scans].ravel(),
        "BEARAZ": view.azimuth[:scans].ravel() % 360,
    }
    values = np.random.default_rng(0).normal(250.0, 10.0, (len(time), channels)).round(2)
    tables = NcepTables(SOUNDERS[kind])
    codes = [63000, tables.report_number, 102000, 31001, 206001, 63255]
    with open(path, "wb") as file:
        file.write(tables.messages())
        for first in range(0, len(time), 20_000):
            part = slice(first, first + 20_000)
            packed = subsets(
                tables, {name: column[part] for name, column in columns.items()}, values[part]
            )
            each = SECTION // len(packed[0])
            for start in range(0, len(packed), each):
                body = packed[start : start + each]
                when = time[first + start].astype("datetime64[us]").item()
                file.write(bufr(codes, b"".join(body), len(body), 0x80, tables.category(), when))
    return values


def compare(instrument: str, footprints: int, repeat: int, folder: Path) -> None:
    """Time the reading of a file by both, check the temperatures, and print.

    Parameters
    ----------
    instrument : str
        One of :data:`INSTRUMENTS`.
    footprints : int
        Number of footprints.
    repeat : int
        Number of times to read by turns, of which the quickest counts.
    folder : Path
        Folder of the file.
    """
    kind, count, name = INSTRUMENTS[instrument]
    path = folder / name
    expected = write_dump(path, instrument, footprints)
    channels = [str(number + 1) for number in range(count)]
    high = "H" if kind == "NC021203" else ""
    clocks = ["YEAR", "MNTH", "DAYS", "HOUR", "MINU", "SECO"]
    heads = ["SAID", *clocks, f"CLAT{high}", f"CLON{high}", "FOVN", "SAZA", "BEARAZ"]

    def ours():
        granules = readers.read(f"ncep.{instrument}", [path], [PLATFORM], channels)
        return pa.concat_tables([granule.footprints for granule in granules])

    def arrow():
        batches = earth2bufr.read_bufr(str(path), projection=[*heads, "TMBR"])
        return pa.Table.from_batches([batch for batch in batches if batch.num_rows])

    def frame():
        return earth2bufr.read_bufr(str(path), as_pandas=True)

    def lists():
        return earth2bufr.read_bufr(str(path), as_pandas=True, fixed_replication="structural")

    ways = {"ours: footprint table": ours}
    if earth2bufr:
        earth2bufr.set_num_threads(1)
        ways |= {
            "earth2bufr, Arrow table": arrow,
            "earth2bufr, pandas frame": frame,
            "earth2bufr, frame with lists": lists,
        }
    best = {name: np.full(2, np.inf) for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            start = clock()
            way()
            best[name] = np.minimum(best[name], clock() - start)
    table = ours()
    values = footprint_table.values_of(table)
    others = [expected.astype(np.float32)]
    if earth2bufr:
        plain = arrow()
        columns = [plain.column(i) for i, name in enumerate(plain.schema.names) if name == "TMBR"]
        others.append(np.stack([column.to_numpy() for column in columns], 1).astype(np.float32))
    if not all(np.array_equal(values, other) for other in others):
        raise SystemExit(f"{instrument}: temperatures differ")
    size = path.stat().st_size / 1e6
    print(f"NCEP BUFR, {instrument}: {len(table)} footprints, {size:.0f} MB, all values equal")
    for name, (wall, processor) in best.items():
        print(
            f"  {name:34s} {wall:8.3f} s {processor:8.3f} s of the processor "
            f"{processor / best['ours: footprint table'][1]:6.1f}"
        )


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--footprints", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for instrument in INSTRUMENTS:
            compare(instrument, arguments.footprints, arguments.repeat, Path(folder))


if __name__ == "__main__":
    main()
