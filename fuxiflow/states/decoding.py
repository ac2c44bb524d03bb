"""Turn raw files into states on the networks' grid.

Raw files are the files of a segment, those of ERA5's invariant fields, and the store of the
embedded world's truth.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import eccodes
import numpy as np

from fuxiflow.channels import ChannelTable
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import STEP, Assembler
from fuxiflow.states.coordinates import as_nanoseconds, get_grid, iso_texts, read_times
from fuxiflow.states.grib import FieldEntry, GribReader, open_message
from fuxiflow.states.grib_messages import Fault, GribError, find_messages, split_fields
from fuxiflow.states.netcdf_fields import KINDS, netcdf_invariants
from fuxiflow.states.products import describe_fields
from fuxiflow.states.regrid import SourceGrid, regrid
from fuxiflow.storage.file_kinds import Unpacked, file_kind
from fuxiflow.storage.raw_files import verified_files
from fuxiflow.storage.zarr_stores import open_store
from fuxiflow.times import hours

NOT_GRIB = {".json", ".idx", ".txt", ".md", ".sha256"}
"""Suffixes of files that archives lay beside GRIB files."""
REQUIRED = {"surface_geopotential": (129, -6000.0, 90000.0), "land_fraction": (172, -0.01, 1.01)}
"""Invariant fields: paramId (ECMWF parameter database), lowest and highest credible value."""
COVERS = {
    "lake_cover": (26, -0.01, 1.01),
    "low_vegetation_cover": (27, -0.01, 1.01),
    "high_vegetation_cover": (28, -0.01, 1.01),
}
"""Invariant fields that may be absent, as :data:`REQUIRED`."""
INVARIANTS = REQUIRED | COVERS
TRUTH_BLOCK = 16  # times that are read at once: those of a chunk of the raw store
_LEAD = re.compile(r"\.f(\d{3})$")


def list_grib_files(raw: Path, analyses_only: bool = False) -> list[Path]:
    """List the GRIB files of a raw input, sorted, each verified against its manifest.

    With ``analyses_only`` files that are named as forecasts (``.f006``) are left out, before they
    are read.

    Parameters
    ----------
    raw : Path
        A folder of raw files, or a receipt of some in the raw store.
    analyses_only : bool
        Leave forecasts out.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    FileNotFoundError
        When there is none.
    RawFileError
        When a file is damaged or missing.
    """

    def is_read(name: str) -> bool:
        lead = _LEAD.search(name)
        is_forecast = lead is not None and int(lead[1]) > 0
        return Path(name).suffix not in NOT_GRIB and not (analyses_only and is_forecast)

    paths = verified_files(raw, is_read).paths
    if not paths:
        raise FileNotFoundError(f"{raw}: no GRIB file")
    return paths


def accumulation_end(entry: FieldEntry) -> datetime | None:
    """Return the end of the 6-h span (00, 06, 12 or 18 UTC) that an accumulation lies in.

    None when the accumulation crosses one.
    """
    since = entry.end - datetime(1970, 1, 1)
    end = entry.end + (-since % STEP)
    return end if entry.start >= end - STEP else None


def group_by_time(
    assembler: Assembler,
    entries: Iterable[FieldEntry],
    keys: Iterable[Hashable],
    key: Callable[[FieldEntry, datetime], Hashable | None],
) -> dict[Hashable, list[FieldEntry]]:
    """Group the fields of an inventory by the state that they belong to.

    Parameters
    ----------
    assembler : Assembler
        Its ledger counts the fields that belong to no state.
    entries : Iterable[FieldEntry]
        The fields.
    keys : Iterable[Hashable]
        Keys of the states, in the order of the result.
    key : Callable
        Gives the key of a field from its entry and the end of its validity: the valid time, or the
        end of the 6-h span of an accumulation.

    Returns
    -------
    dict
        Fields of each state, by key.
    """
    groups: dict[Hashable, list[FieldEntry]] = {name: [] for name in keys}
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
    """Yield the analysed state of each time; the ledger says why one is missing.

    Instantaneous fields must be analyses (lead 0); accumulations may come from short forecasts.

    Parameters
    ----------
    assembler : Assembler
        Makes the states.
    paths : Sequence[Path]
        GRIB files.
    times : Sequence[datetime]
        Valid times of the states.
    precipitation : bool
        Precipitation must be there; without, it is NaN where it is not.

    Returns
    -------
    Iterator of np.ndarray or None
        States ``(channel, lat, lon)``, None where one is missing.
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
    """List the forecasts in some files and decode their states one by one.

    An initial time counts when some field of a lead above 0 is there.

    Parameters
    ----------
    assembler : Assembler
        Makes the states.
    paths : Sequence[Path]
        GRIB files.
    init_hours : Sequence[int]
        Hours of the day, UTC, of the initial times that are used.
    first, last : datetime
        First and last initial time, both included.
    lead_hours : Sequence[int]
        Leads of the states.

    Returns
    -------
    list of datetime
        Initial times.
    Iterator of tuple
        Position of the initial time, position of the lead and state ``(channel, lat, lon)``, None
        where it is missing; precipitation is NaN at lead 0.
    """
    entries = assembler.inventory(paths)
    inits = sorted(
        {
            e.init
            for e in entries
            if e.end > e.init and first <= e.init <= last and e.init.hour in init_hours
        }
    )
    keys = [(init, init + hours(lead)) for init in inits for lead in lead_hours]
    groups = group_by_time(assembler, entries, keys, lambda entry, end: (entry.init, end))

    def states() -> Iterator[tuple[int, int, np.ndarray | None]]:
        for i, init in enumerate(inits):
            for j, lead in enumerate(lead_hours):
                valid = init + hours(lead)
                state = assembler.state(groups.pop((init, valid)), valid, precipitation=lead > 0)
                yield i, j, state

    return inits, states()


def _grib_invariants(path: Path) -> Iterator[tuple[str, str, np.ndarray, SourceGrid]]:
    """Yield name, place in the file, values and grid of the invariant fields of a GRIB file."""
    names = {param: name for name, (param, _, _) in INVARIANTS.items()}
    reader = GribReader((), "era5")
    content = path.read_bytes()
    for frame in find_messages(path):
        if isinstance(frame, Fault):
            raise GribError(str(frame))
        for message in split_fields(content[frame.offset : frame.offset + frame.length]):
            with open_message(message) as handle:
                name = names.get(eccodes.codes_get_long(handle, "paramId"))
                surface = eccodes.codes_get_string(handle, "typeOfLevel") == "surface"
            # geopotential (129) is a field of pressure levels too
            if name is None or not surface:
                continue
            try:
                values, source = reader.unpack(message)
            except ValueError as error:
                raise GribError(
                    str(Fault(frame.path, frame.number, frame.offset, str(error)))
                ) from error
            yield name, f"message {frame.number}", values, source


def read_invariants(raw: Path, grid: Grid) -> dict[str, np.ndarray]:
    """Read the invariant fields of ERA5 and regrid them to ``grid``.

    ``raw`` is a folder with their file, of GRIB or of a public Zarr store, a receipt of it, or the
    file. Returns surface geopotential (m2 s-2), land fraction and those of :data:`COVERS` that it
    has (0 to 1), each ``(lat, lon)``, in the order of :data:`INVARIANTS`. Raises GribError, naming
    file, message and reason, for damage, values that are not credible, or one of :data:`REQUIRED`
    that is not there.
    """
    packed = list_grib_files(raw)[0]
    unpacked = Unpacked()
    path = unpacked(packed)
    in_netcdf = file_kind(path) in KINDS
    fields: dict[str, np.ndarray] = {}
    for name, place, values, source in (netcdf_invariants if in_netcdf else _grib_invariants)(path):
        if name in fields:
            continue
        _, low, high = INVARIANTS[name]
        if not (values.min() >= low and values.max() <= high):
            raise GribError(
                f"{path}: {place}: {name} {values.min():g} .. {values.max():g} "
                f"outside {low:g} .. {high:g}, or missing values"
            )
        fields[name] = regrid(values[None], source, grid)[0]
    lacking = [name for name in REQUIRED if name not in fields]
    if lacking:
        raise GribError(
            f"{packed}: no {' and no '.join(lacking)} at the surface "
            f"(paramId {', '.join(str(INVARIANTS[name][0]) for name in lacking)}); it holds "
            f"{describe_fields(path)}"
        )
    fractions = {
        name: np.clip(values, 0.0, 1.0)
        for name, values in fields.items()
        if name != "surface_geopotential"
    }
    return {name: (fields | fractions)[name] for name in INVARIANTS if name in fields}


def truth_states(
    path: Path, times: Sequence, channels: ChannelTable, grid: Grid
) -> Iterator[np.ndarray]:
    """Yield the states of the embedded world's truth on the networks' grid, for verification alone.

    Parameters
    ----------
    path : Path
        Store with an array ``(time, lat, lon)`` named as each channel, in the channel's unit.
    times : Sequence
        Valid times of the states, datetime or datetime64.
    channels : ChannelTable
        Channels of the states.
    grid : Grid
        Grid of the states.

    Returns
    -------
    Iterator of np.ndarray
        States ``(channel, lat, lon)``, one for each time.

    Raises
    ------
    ValueError
        When the store lacks channels or times or has other units; the text names them.
    """
    group = open_store(path, "truth")
    times = as_nanoseconds(list(times))
    absent = [name for name in channels.names if name not in group]
    if absent:
        raise ValueError(
            f"{path}: no {', '.join(absent)}; it holds {', '.join(sorted(group.array_keys()))}"
        )
    for channel in channels:
        unit = group[channel.name].attrs.get("units", channel.unit)
        if unit != channel.unit:
            raise ValueError(f"{path}: {channel.name} is in {unit}, expected {channel.unit}")
    stored = read_times(group)
    positions = np.searchsorted(stored, times)
    lacking = [
        time
        for time, position in zip(times, positions, strict=True)
        if position == len(stored) or stored[position] != time
    ]
    if lacking:
        raise ValueError(
            f"{path}: no truth at {iso_texts(lacking[:1])[0]}, nor at {len(lacking) - 1} more times"
        )
    source = SourceGrid.of(get_grid(group))
    first = 0
    block = np.empty((0, 0, 0, 0), np.float32)
    for position in positions:
        if not first <= position < first + len(block):
            first = position // TRUTH_BLOCK * TRUTH_BLOCK
            block = np.stack(
                [group[name][first : first + TRUTH_BLOCK] for name in channels.names], axis=1
            )
        yield regrid(block[position - first], source, grid)
