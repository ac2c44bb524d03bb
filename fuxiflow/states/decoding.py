"""From raw files to states on the networks' grid: GRIB of a segment, invariant fields, the truth of the world."""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import eccodes
import numpy as np

from fuxiflow.channels import ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import STEP, Assembler
from fuxiflow.states.grib import FieldEntry, GribReader, open_message
from fuxiflow.states.grib_messages import Fault, GribError, find_messages, split_fields
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.states.store import as_nanoseconds, get_grid, iso_texts, open_store, read_times
from fuxiflow.times import hours

NOT_GRIB = {".json", ".idx", ".txt", ".md", ".sha256"}
# name: (paramId, lowest and highest credible value), ECMWF parameter database
REQUIRED = {"surface_geopotential": (129, -6000.0, 90000.0), "land_fraction": (172, -0.01, 1.01)}
COVERS = {
    "lake_cover": (26, -0.01, 1.01),
    "low_vegetation_cover": (27, -0.01, 1.01),
    "high_vegetation_cover": (28, -0.01, 1.01),
}
PARAMETERS = REQUIRED | COVERS
BLOCK = 16  # times that are read at once: those of a chunk of the raw store
_LEAD = re.compile(r"\.f(\d{3})$")


def list_grib_files(directory: Path, analyses_only: bool = False) -> list[Path]:
    """The GRIB files under a directory, sorted; with ``analyses_only`` without those named as forecasts (``.f006``).

    Raises FileNotFoundError when there is none.
    """
    found = sorted(
        path
        for path in Path(directory).rglob("*")
        if path.is_file() and path.suffix not in NOT_GRIB and not path.name.startswith(".")
    )
    if analyses_only:
        found = [
            path for path in found if not (match := _LEAD.search(path.name)) or int(match[1]) == 0
        ]
    if not found:
        raise FileNotFoundError(f"{directory}: no GRIB file")
    return found


def accumulation_end(entry: FieldEntry) -> datetime | None:
    """The end of the 6-h span (00, 06, 12 or 18 UTC) that an accumulation lies in; None when it crosses one."""
    since = entry.end - datetime(1970, 1, 1)
    end = entry.end + (-since % STEP)
    return end if entry.start >= end - STEP else None


def group_by_time(
    assembler: Assembler, entries: Iterable[FieldEntry], wanted: Iterable[Hashable], key
) -> dict[Hashable, list[FieldEntry]]:
    """Entries by ``key(entry, end)``, ``end`` being valid time or end of the 6-h span; others are ignored."""
    groups: dict[Hashable, list[FieldEntry]] = {name: [] for name in wanted}
    for entry in entries:
        end = entry.end if assembler.channels[entry.channel].analysed else accumulation_end(entry)
        name = None if end is None else key(entry, end)
        if name in groups:
            groups[name].append(entry)
        else:
            assembler.discard([entry], "not of the times wanted")
    return groups


def decode_analyses(
    assembler: Assembler,
    paths: Sequence[Path],
    times: Sequence[datetime],
    precipitation: bool = True,
) -> Iterator[np.ndarray | None]:
    """Yield the state ``(channel, lat, lon)`` of each of ``times``, None where it is missing; the ledger says why.

    Instantaneous fields must be analyses (lead 0); accumulations may come from short forecasts, and without
    ``precipitation`` need not be there.
    """

    def key(entry: FieldEntry, end: datetime) -> datetime | None:
        instantaneous = assembler.channels[entry.channel].analysed
        return end if not instantaneous or entry.init == entry.end else None

    groups = group_by_time(assembler, assembler.inventory(paths), times, key)
    for time in times:
        yield assembler.state(groups.pop(time), time, precipitation)


def decode_forecasts(
    assembler: Assembler,
    paths: Sequence[Path],
    init_hours: Sequence[int],
    first: datetime,
    last: datetime,
    lead_hours: Sequence[int],
) -> tuple[list[datetime], Iterator[tuple[int, int, np.ndarray | None]]]:
    """Initial times in [first, last] with forecasts, and ``(init, lead, state)`` by position, lazily.

    An initial time counts when its hour is one of ``init_hours`` and some field of a lead above 0 is there; missing
    leads are None. At lead 0 precipitation is NaN.
    """
    entries = assembler.inventory(paths)
    inits = sorted(
        {
            e.init
            for e in entries
            if e.end > e.init and first <= e.init <= last and e.init.hour in init_hours
        }
    )
    wanted = [(init, init + hours(lead)) for init in inits for lead in lead_hours]
    groups = group_by_time(assembler, entries, wanted, lambda entry, end: (entry.init, end))

    def states() -> Iterator[tuple[int, int, np.ndarray | None]]:
        for i, init in enumerate(inits):
            for j, lead in enumerate(lead_hours):
                valid = init + hours(lead)
                yield (
                    i,
                    j,
                    assembler.state(groups.pop((init, valid)), valid, precipitation=lead > 0),
                )

    return inits, states()


def read_invariants(path: Path, grid: Grid) -> dict[str, np.ndarray]:
    """Surface geopotential (m2 s-2), land fraction and those of :data:`COVERS` that the file has (0 to 1), each ``(lat,
    lon)``, regridded to ``grid``, in the order of :data:`PARAMETERS`.

    Raises GribError, naming file, message and reason, for damage, values that are not credible, or one of
    :data:`REQUIRED` that is not there.
    """
    wanted = {param: name for name, (param, _, _) in PARAMETERS.items()}
    reader, found = GribReader((), "era5"), {}
    content = Path(path).read_bytes()
    for frame in find_messages(path):
        if isinstance(frame, Fault):
            raise GribError(str(frame))
        for message in split_fields(content[frame.offset : frame.offset + frame.length]):
            with open_message(message) as handle:
                name = wanted.get(eccodes.codes_get_long(handle, "paramId"))
                surface = eccodes.codes_get_string(handle, "typeOfLevel") == "surface"
            if name is None or not surface or name in found:
                continue
            try:
                values, source = reader.unpack(message)
            except ValueError as error:
                raise GribError(
                    str(Fault(frame.path, frame.number, frame.offset, str(error)))
                ) from error
            _, low, high = PARAMETERS[name]
            if not (values.min() >= low and values.max() <= high):
                raise GribError(
                    f"{path}: message {frame.number}: {name} {values.min():g} .. {values.max():g} outside "
                    f"{low:g} .. {high:g}, or missing values"
                )
            found[name] = regrid(values[None], source, grid)[0]
    lacking = [name for name in REQUIRED if name not in found]
    if lacking:
        raise GribError(
            f"{path}: no {' and no '.join(lacking)} at the surface "
            f"(paramId {', '.join(str(PARAMETERS[name][0]) for name in lacking)})"
        )
    fractions = {
        name: np.clip(values, 0.0, 1.0)
        for name, values in found.items()
        if name != "surface_geopotential"
    }
    return {name: (found | fractions)[name] for name in PARAMETERS if name in found}


def truth_states(
    path: Path, times: Sequence, channels: ChannelTable, grid: Grid
) -> Iterator[np.ndarray]:
    """Yield the state ``(channel, lat, lon)`` on ``grid`` of each of ``times``.

    The store at ``path`` holds one array ``(time, lat, lon)`` named as each channel, in the channel's unit. Raises
    ValueError that names the store and the channels, times or units at fault.
    """
    group_by_time, wanted = open_store(path), as_nanoseconds(list(times))
    absent = [name for name in channels.names if name not in group_by_time]
    if absent:
        raise ValueError(
            f"{path}: no {', '.join(absent)}; it holds {', '.join(sorted(group_by_time.array_keys()))}"
        )
    for channel in channels:
        unit = group_by_time[channel.name].attrs.get("units", channel.unit)
        if unit != channel.unit:
            raise ValueError(f"{path}: {channel.name} is in {unit}, expected {channel.unit}")
    known = read_times(group_by_time)
    positions = np.searchsorted(known, wanted)
    lacking = [
        time
        for time, at in zip(wanted, positions, strict=True)
        if at == len(known) or known[at] != time
    ]
    if lacking:
        raise ValueError(
            f"{path}: no truth at {iso_texts(lacking[:1])[0]}, nor at {len(lacking) - 1} more times"
        )
    source = SourceGrid.of(get_grid(group_by_time))
    first, block = 0, np.empty((0, 0, 0, 0), np.float32)
    for position in positions:
        if not first <= position < first + len(block):
            first = position // BLOCK * BLOCK
            block = np.stack(
                [group_by_time[name][first : first + BLOCK] for name in channels.names], axis=1
            )
        yield regrid(block[position - first], source, grid)
