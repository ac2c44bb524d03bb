"""Write forecasts of ECMWF's open data to a Zarr store in WeatherBench2's layout.

So they are a system that is scored (``verification.systems``). Levels are those that the files
have. Height becomes geopotential, the sum of precipitation since the start that of six hours.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import eccodes
import numpy as np

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.grib import GribReader, open_message, reference_time
from fuxiflow.states.grib_messages import (
    Fault,
    GribError,
    describing_sections,
    find_messages,
    split_fields,
)
from fuxiflow.states.public_stores import PRECIPITATION
from fuxiflow.states.public_writer import PublicLayout, PublicStoreWriter
from fuxiflow.states.regrid import regrid
from fuxiflow.storage import files
from fuxiflow.storage.open_data_names import PARAMETERS
from fuxiflow.times import STEP_HOURS

LOG = logging.getLogger("fuxiflow")
LAYOUT = PublicLayout(northwards=False, chunk_leads=1)
Fields = dict[tuple[str, int | None], np.ndarray]
"""By variable and level in hPa, None at the surface: fields ``(lat, lon)``."""


def read_step(path: Path, init: datetime, lead: int, grid: Grid, reader: GribReader) -> Fields:
    """Read the fields of a step's file, regridded.

    Parameters
    ----------
    path : Path
        The file.
    init : datetime
        Initial time that it must have, UTC.
    lead : int
        Lead that it must have, in hours.
    grid : Grid
        Grid of the states.
    reader : GribReader
        Decodes messages.

    Returns
    -------
    dict
        Fields in the units of WeatherBench2's stores; precipitation since the start.

    Raises
    ------
    GribError
        With file, message and reason at damage, and at a field of another time.
    """
    fields: Fields = {}
    with open(path, "rb") as file:
        for frame in find_messages(path):
            if isinstance(frame, Fault):
                raise GribError(f"{frame}; move the file away and fetch it again")
            file.seek(frame.offset)
            try:
                for message in split_fields(file.read(frame.length)):
                    key, factor, valid = _describe_field(message)
                    if key is None:
                        continue
                    if valid != (init, lead):
                        raise GribError(
                            f"it is of {valid[0]} + {valid[1]} h, not {init} + {lead} h"
                        )
                    values, source = reader.unpack(message)
                    values = (values * factor).astype(np.float32)
                    fields[key] = regrid(values[None], source, grid)[0]
            except (eccodes.CodesInternalError, ValueError) as error:
                reason = f"{error}; move the file away and fetch it again"
                raise GribError(str(Fault(path, frame.number, frame.offset, reason))) from error
    return fields


def _describe_field(
    message: bytes,
) -> tuple[tuple[str, int | None] | None, float, tuple[datetime, int]]:
    """Return a message's variable with its level, its factor, and its initial time and lead.

    The first is None where it is of no variable of the stores.
    """
    init = reference_time(describing_sections(message), message[7])
    with open_message(message) as handle:
        name = eccodes.codes_get_string(handle, "shortName")
        on_pressure = eccodes.codes_get_string(handle, "typeOfLevel") == "isobaricInhPa"
        level = eccodes.codes_get_long(handle, "level") if on_pressure else None
        unit = eccodes.codes_get_string(handle, "units")
        lead = eccodes.codes_get_long(handle, "endStep")
    variable, factor = PARAMETERS.get(name, ("", 1.0))
    if variable == PRECIPITATION and unit != "m":
        # kg m-2 is mm
        factor /= 1000.0
    return ((variable, level) if variable else None), factor, (init, lead)


def write_open_data(
    paths: Mapping[tuple[datetime, int], Path], target: Path, grid: Grid, title: str
) -> Path:
    """Write forecasts to a store, which takes the place of one that is there.

    Parameters
    ----------
    paths : mapping
        Files by initial time and lead in hours. What lacks is missing in the store.
    target : Path
        Folder of the store.
    grid : Grid
        Its grid.
    title : str
        What it holds.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    GribError
        With file and reason where a file is damaged or lacks a field that the first one has.
    """
    inits = sorted({init for init, _ in paths})
    leads = sorted({lead for _, lead in paths})
    reader = GribReader(channel_table(), "era5")
    (init, lead), path = min(paths.items())
    names = [*read_step(path, init, lead, grid, reader)]
    levels = sorted({level for _, level in names if level is not None})
    partial = files.temporary(target)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with PublicStoreWriter(partial, grid, inits, levels, leads, LAYOUT, title) as writer:
            for i_init, init in enumerate(progress(inits, f"write {target.name}", LOG)):
                total: Fields = {}
                before = 0
                for i_lead, lead in enumerate(leads):
                    if (path := paths.get((init, lead))) is None:
                        continue
                    fields = read_step(path, init, lead, grid, reader)
                    _require_fields(path, fields, names)
                    fields = {name: fields[name] for name in names}
                    stacks = _sums_of_steps(fields, total if before == lead - STEP_HOURS else None)
                    writer.write(i_init, _stack(stacks, levels), i_lead)
                    total, before = fields, lead
            for name in {name for name, level in names if level is not None}:
                writer.note_levels(name, sorted(level for one, level in names if one == name))
    except BaseException:
        files.remove(partial)
        raise
    files.publish(partial, target)
    return target


def _require_fields(path: Path, fields: Fields, names: Iterable[tuple[str, int | None]]) -> None:
    """Raise GribError that names the fields that files before have and a file lacks.

    Parameters
    ----------
    path : Path
        The file.
    fields : dict
        What it has.
    names : iterable of tuple
        Variables and levels of the files before.
    """
    if absent := [name for name in names if name not in fields]:
        words = ", ".join(f"{name} {level or ''}".strip() for name, level in absent)
        raise GribError(
            f"{path}: it has no {words}, which files before it have: levels and fields of the "
            "archive changed. Write the days before and after to two stores"
        )


def _sums_of_steps(fields: Fields, before: Fields | None) -> Fields:
    """Return fields with the precipitation of the step in place of that since the start.

    ``before`` are those of the step before, empty at the start and None where they lack.
    """
    key = (PRECIPITATION, None)
    if key not in fields:
        return fields
    total = fields[key]
    earlier = np.full_like(total, np.nan) if before is None else before.get(key, 0.0)
    # rounding of sums lets some fall
    return fields | {key: np.maximum(total - earlier, 0.0)}


def _stack(fields: Fields, levels: list[int]) -> dict[str, np.ndarray]:
    """Return fields ``(time, lead, [level,] lat, lon)`` of one time and lead by variable."""
    at_surface = {name: field for (name, level), field in fields.items() if level is None}
    variables = {name for name, level in fields if level is not None}
    nothing = np.full_like(next(iter(fields.values())), np.nan)
    aloft = {
        name: np.stack([fields.get((name, level), nothing) for level in levels])
        for name in sorted(variables)
    }
    return {name: values[None, None] for name, values in (at_surface | aloft).items()}
