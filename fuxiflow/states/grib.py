"""Read the channels of the state out of GRIB files.

ecCodes decodes message by message; messages are matched to channels by the channel table's keys.
ecCodes is not thread-safe: all calls are behind one lock, and every handle is released.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import eccodes
import numpy as np

from fuxiflow.channels import ChannelTable
from fuxiflow.states.grib_messages import (
    Fault,
    GribError,
    MessageFrame,
    describing_sections,
    find_messages,
    split_fields,
)
from fuxiflow.states.products import version_and_complaint
from fuxiflow.states.regrid import SourceGrid
from fuxiflow.storage.file_kinds import Unpacked, UnpackError

REFERENCES = ("era5", "gfs")
MISSING = 1e34  # replaces the default 9999, which is a possible geopotential
# seconds by code table 4 (edition 1) and 4.4 (edition 2)
STEP_SECONDS = {0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 1, 254: 1}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A field of a file that is a channel of the table: where it lies and what it is valid for.

    ``frame`` is a message of GRIB, or the place of a field in a file of another kind. It has the
    ``path`` and the ``number`` in the file.
    ``start`` and ``end`` bound an accumulation; an instantaneous field is valid at both.
    ``version`` is one of :data:`.products.VERSIONS`, or empty where the file does not tell.
    """

    frame: MessageFrame
    part: int
    channel: int
    init: datetime
    start: datetime
    end: datetime
    version: str = ""

    @property
    def lead_hours(self) -> float:
        """Hours from the initial time to the valid time."""
        return (self.end - self.init).total_seconds() / 3600


@dataclass(frozen=True)
class Field:
    """A decoded field in the state's unit.

    ``values (lat, lon)`` run north to south and from ``grid.lon[0]`` eastwards.
    """

    entry: FieldEntry
    values: np.ndarray
    grid: SourceGrid


@contextmanager
def open_message(message: bytes) -> Iterator[int]:
    """Give an ecCodes handle of a message in memory, released in any case."""
    with _lock:
        handle = eccodes.codes_new_from_message(message)
        try:
            yield handle
        finally:
            eccodes.codes_release(handle)


def _get(handle: int, key: str, default: int | None = None) -> int | None:
    """Return an integer key of a message, or a default where the message has no such key.

    Parameters
    ----------
    handle : int
        An open message.
    key : str
        ecCodes' name of the key.
    default : int, optional
        Value in place of an absent key.

    Returns
    -------
    int or None
        The key's value.
    """
    try:
        return eccodes.codes_get_long(handle, key)
    except eccodes.CodesInternalError:
        return default


def channel_keys(channels: ChannelTable, reference: str) -> dict[tuple, int]:
    """Return the positions of channels by what identifies them in the files of a reference.

    The key of ``era5`` is (paramId, pressure level or None); that of ``gfs`` is (discipline,
    category, number, first surface, its value in hPa or m). Raises ValueError for another
    reference.
    """
    if reference == "era5":
        return {(c.era5_param, c.level): index for index, c in enumerate(channels)}
    if reference == "gfs":
        return {
            (
                c.gfs_discipline,
                c.gfs_category,
                c.gfs_number,
                c.gfs_surface,
                float(c.gfs_level),
            ): index
            for index, c in enumerate(channels)
        }
    raise ValueError(f"unknown reference {reference!r}; known in GRIB: {', '.join(REFERENCES)}")


def _era5_key(handle: int) -> tuple | None:
    kind = eccodes.codes_get_string(handle, "typeOfLevel")
    if kind == "isobaricInhPa":
        return eccodes.codes_get_long(handle, "paramId"), eccodes.codes_get_long(handle, "level")
    if kind in ("surface", "meanSea", "heightAboveGround"):
        return eccodes.codes_get_long(handle, "paramId"), None
    return None


def _gfs_key(handle: int) -> tuple | None:
    get = eccodes.codes_get_long
    # a field between two surfaces (a layer) is not the one at the first of them
    if get(handle, "edition") != 2 or _get(handle, "typeOfSecondFixedSurface", 255) != 255:
        return None
    surface = get(handle, "typeOfFirstFixedSurface")
    value = _get(handle, "scaledValueOfFirstFixedSurface", 0) / 10.0 ** _get(
        handle, "scaleFactorOfFirstFixedSurface", 0
    )
    # pressure in hPa; mean sea level and the ground have no value
    value = {100: value / 100, 101: 0.0, 1: 0.0}.get(surface, value)
    return (
        get(handle, "discipline"),
        get(handle, "parameterCategory"),
        get(handle, "parameterNumber"),
        surface,
        value,
    )


def reference_time(parts: dict[int, bytes], edition: int) -> datetime:
    """Return the initial time in section 1 of a message; ValueError when it is no date."""
    section = parts[1]
    if edition == 1:
        year_of_century, month, day, hour, minute = section[12:17]
        return datetime(100 * (section[24] - 1) + year_of_century, month, day, hour, minute)
    return datetime(int.from_bytes(section[12:14], "big"), *section[14:19])


def _signature(message: bytes, parts: dict[int, bytes]) -> tuple:
    """Return all of a header but the initial time.

    Messages that share it are of the same channel and step.
    """
    if message[7] == 1:
        return parts[1][:12], parts[1][17:24], parts[1][25:]
    return message[6], parts[1][:12], parts[1][19:], parts[4]


def _steps(handle: int) -> tuple[timedelta, timedelta]:
    """Return start and end of a message's validity after the initial time."""
    unit = eccodes.codes_get_long(handle, "stepUnits")
    if unit not in STEP_SECONDS:
        raise GribError(f"step unit {unit} is not supported")
    start, end = (
        timedelta(seconds=STEP_SECONDS[unit] * eccodes.codes_get_long(handle, key))
        for key in ("startStep", "endStep")
    )
    return start, end


def source_grid(handle: int) -> tuple[SourceGrid, dict]:
    """Return the grid of a message and the keys that tell how its values are ordered.

    Raises :class:`GribError` unless the grid is global and regular.
    """
    kind = eccodes.codes_get_string(handle, "gridType")
    if kind != "regular_ll":
        raise GribError(
            f"grid type {kind} is not supported, only regular_ll: interpolate when retrieving"
        )
    number = eccodes.codes_get_long
    degrees = eccodes.codes_get_double
    order = {
        key: number(handle, key)
        for key in (
            "iScansNegatively",
            "jScansPositively",
            "jPointsAreConsecutive",
            "alternativeRowScanning",
            "Ni",
            "Nj",
        )
    }
    if order["alternativeRowScanning"]:
        raise GribError("rows that scan in alternating directions are not supported")
    lat = [degrees(handle, f"latitudeOf{end}GridPointInDegrees") for end in ("First", "Last")]
    lon = [degrees(handle, f"longitudeOf{end}GridPointInDegrees") for end in ("First", "Last")]
    if bool(order["jScansPositively"]) != (lat[1] > lat[0]):
        raise GribError(f"latitudes {lat[0]} .. {lat[1]} contradict the scanning mode")
    if order["iScansNegatively"]:
        # the grid runs eastwards, and _arrange turns the values round with it
        lon.reverse()
    return SourceGrid.spanning(max(lat), min(lat), order["Nj"], lon[0], lon[1], order["Ni"]), order


def _arrange(values: np.ndarray, order: dict) -> np.ndarray:
    """Arrange the values of a message as ``(lat, lon)``, north to south and west to east."""
    if order["jPointsAreConsecutive"]:
        values = values.reshape(order["Ni"], order["Nj"]).T
    else:
        values = values.reshape(order["Nj"], order["Ni"])
    if order["jScansPositively"]:
        values = values[::-1]
    return values[:, ::-1] if order["iScansNegatively"] else values


class GribReader:
    """Reads the channels of a table out of the files of a reference (``era5`` or ``gfs``).

    What ecCodes says about a header is kept by the header's bytes: of a hundred thousand messages
    only some hundred differ but for date and values.
    """

    def __init__(self, channels: ChannelTable, reference: str, any_product: bool = False):
        """Take the channels.

        Parameters
        ----------
        channels : ChannelTable
            The channels that are looked for.
        reference : str
            ``era5`` or ``gfs``.
        any_product : bool
            Whether fields of other products than the reference's own are read too.
        """
        self.any_product = any_product
        self.channels = channels
        self.reference = reference
        self._keys = channel_keys(channels, reference)
        self.unpacked = Unpacked()
        self._identities: dict[tuple, str | tuple[int, timedelta, timedelta, str]] = {}
        self._grids: dict[bytes, tuple[SourceGrid, dict]] = {}

    def _identify(self, message: bytes) -> str | tuple[int, timedelta, timedelta, str]:
        """Return channel, steps and version of a single-field message, or why it is not wanted."""
        with open_message(message) as handle:
            channel = self._keys.get(
                _era5_key(handle) if self.reference == "era5" else _gfs_key(handle)
            )
            if channel is None:
                return "not in the channel table"
            if _get(handle, "perturbationNumber", 0):
                # ERA5's files may hold the ensemble beside the analysis
                return "perturbed ensemble member"
            step_type = eccodes.codes_get_string(handle, "stepType")
            if step_type != ("instant" if self.channels[channel].analysed else "accum"):
                return f"step type {step_type}"
            version, complaint = version_and_complaint(
                handle, self.reference, self.channels[channel].analysed
            )
            if complaint and not self.any_product:
                return complaint
            return (channel, *_steps(handle), version)

    def _describe(self, message: bytes) -> str | tuple[int, datetime, datetime, datetime, str]:
        """Return channel, initial time, start, end and version of a field.

        For a field that is not wanted, return the reason.
        """
        parts = describing_sections(message)
        signature = _signature(message, parts)
        if signature not in self._identities:
            self._identities[signature] = self._identify(message)
        identity = self._identities[signature]
        if isinstance(identity, str):
            return identity
        channel, start, end, version = identity
        init = reference_time(parts, message[7])
        return channel, init, init + start, init + end, version

    def inventory(
        self,
        paths: Sequence[Path],
        on_fault: Callable[[Fault], None],
        on_ignored: Callable[[str], None] = lambda reason: None,
    ) -> list[FieldEntry]:
        """List all fields of some files that are channels.

        Parameters
        ----------
        paths : Sequence[Path]
            GRIB files; compressed ones are unpacked.
        on_fault : Callable
            Called with each damaged place.
        on_ignored : Callable
            Called with the reason for each field that is not wanted: other parameters, members of
            an ensemble.

        Returns
        -------
        list of FieldEntry
            Fields in order of file and message.
        """
        entries = []
        for packed in paths:
            try:
                path = self.unpacked(packed)
            except UnpackError as error:
                on_fault(Fault(packed, 1, 0, str(error).removeprefix(f"{packed}: ")))
                continue
            # NCEP's files of its two systems differ in their names alone
            gdas = self.reference == "gfs" and Path(packed).name.startswith("gdas")
            with open(path, "rb") as file:
                for frame in find_messages(path):
                    if isinstance(frame, Fault):
                        on_fault(frame)
                        continue
                    file.seek(frame.offset)
                    try:
                        for part, message in enumerate(split_fields(file.read(frame.length))):
                            description = self._describe(message)
                            if isinstance(description, str):
                                on_ignored(description)
                            else:
                                entry = FieldEntry(frame, part, *description)
                                entries.append(replace(entry, version="GDAS") if gdas else entry)
                    except (eccodes.CodesInternalError, ValueError) as error:
                        reason = f"cannot be decoded: {error}"
                        on_fault(Fault(frame.path, frame.number, frame.offset, reason))
        return entries

    def unpack(self, message: bytes) -> tuple[np.ndarray, SourceGrid]:
        """Return the values ``(lat, lon)``, NaN where missing, and the grid of a field.

        ``message`` holds one field. Raises ValueError with the reason where it cannot be decoded.
        """
        section = describing_sections(message)[2 if message[7] == 1 else 3]
        with open_message(message) as handle:
            try:
                if section not in self._grids:
                    self._grids[section] = source_grid(handle)
                grid, order = self._grids[section]
                masked = eccodes.codes_get_long(handle, "bitmapPresent")
                if masked:
                    eccodes.codes_set_double(handle, "missingValue", MISSING)
                values = eccodes.codes_get_values(handle)
            except eccodes.CodesInternalError as error:
                raise GribError(f"cannot be decoded: {error}") from error
        if values.size != order["Ni"] * order["Nj"]:
            raise GribError(f"{values.size} values on a grid of {order['Nj']} x {order['Ni']}")
        if masked:
            values = np.where(values == MISSING, np.nan, values)
        return grid.normalise(_arrange(values, order)), grid

    def read(self, entry: FieldEntry) -> Field:
        """Decode a field of an inventory into the state's unit.

        Raises GribError that names file, message, offset and reason.
        """
        frame = entry.frame
        channel = self.channels[entry.channel]
        with open(frame.path, "rb") as file:
            file.seek(frame.offset)
            message = file.read(frame.length)
        try:
            values, grid = self.unpack(split_fields(message)[entry.part])
        except ValueError as error:
            raise GribError(
                str(Fault(frame.path, frame.number, frame.offset, str(error)))
            ) from error
        scale = channel.era5_scale if self.reference == "era5" else channel.gfs_scale
        return Field(entry, (values * scale).astype(np.float32), grid)


def decode_fields(paths: Sequence[Path], channels: ChannelTable, reference: str) -> Iterator[Field]:
    """Yield all fields of some files that are channels, of any product; refuse damaged files.

    Parameters
    ----------
    paths : Sequence[Path]
        GRIB files.
    channels : ChannelTable
        The channels that are looked for.
    reference : str
        ``era5`` or ``gfs``: whose keys the files use.

    Returns
    -------
    Iterator of Field
        Fields in order of file and message.

    Raises
    ------
    GribError
        At the first damaged message; the text names file, message, offset and reason.
    """

    def fail(fault: Fault) -> None:
        raise GribError(str(fault))

    reader = GribReader(channels, reference, any_product=True)
    for path in paths:
        for entry in reader.inventory([path], fail):
            yield reader.read(entry)
