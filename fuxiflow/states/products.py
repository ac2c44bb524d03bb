"""Tell the products in GRIB files apart: whose they are, of which version, what files hold.

ECMWF's archive keys (class, stream, type, experiment version) are described in the MARS user
documentation; ERA5T, the preliminary ERA5 of the last months, has experiment version 5. NCEP's
generating processes are those of its Office Note 388, table A.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import eccodes

from fuxiflow.states.grib_messages import MessageFrame, find_messages, split_fields
from fuxiflow.storage import file_kinds
from fuxiflow.storage.field_files import FieldFile, FieldFileError

VERSIONS = {"era5": ("ERA5", "ERA5T"), "gfs": ("GFS", "GDAS")}
"""Versions of each reference, the preferred one first."""
EXPERIMENTS = {"1": "ERA5", "5": "ERA5T"}
"""Versions of ERA5 by ECMWF's numbers of experiments."""
_GDAS_PROCESS = 82
_PLAIN_TEMPLATES = (0, 8)  # of product definition: a field at a time, and one over a span of time
_FILES = 3  # that a description names
_MESSAGES = 400  # of a file that are looked at


def _text(handle: int, key: str) -> str:
    """Return a key of a message as text, empty where the message has none."""
    try:
        return eccodes.codes_get_string(handle, key)
    except eccodes.CodesInternalError:
        return ""


def version_and_complaint(handle: int, reference: str, analysed: bool) -> tuple[str, str]:
    """Return the version that a field is of, and why it is not of the reference, or empty.

    Parameters
    ----------
    handle : int
        An open GRIB message.
    reference : str
        ``era5`` or ``gfs``.
    analysed : bool
        Whether it has to be an analysis; accumulations come from forecasts.

    Returns
    -------
    version : str
        One of :data:`VERSIONS`, or empty where the message does not tell.
    complaint : str
        What the field is instead, or empty.
    """
    if reference == "gfs":
        return _gfs(handle)
    kind = _text(handle, "class")
    if not kind:  # some tools write messages without ECMWF's keys
        return "", ""
    stream, product, experiment = (_text(handle, key) for key in ("stream", "type", "expver"))
    what = f"class {kind}, stream {stream}, type {product}, expver {experiment}"
    if kind != "ea":
        return "", f"not ERA5 (class ea): {what}"
    if stream != "oper":
        return "", f"not ERA5's hourly analysis (stream oper): {what}"
    if analysed and product != "an":
        return "", f"not an analysis (type an): {what}"
    version = EXPERIMENTS.get(experiment.strip().lstrip("0"), "")
    return version, "" if version else f"neither ERA5 (expver 1) nor ERA5T (5): {what}"


def _gfs(handle: int) -> tuple[str, str]:
    """Return the version that a field of NCEP is of, and why it is not of GFS, or empty."""
    centre = _text(handle, "centre")
    if centre not in ("kwbc", "7"):
        return "", f"not of NCEP (centre kwbc): centre {centre}"
    template = eccodes.codes_get_long(handle, "productDefinitionTemplateNumber")
    if template not in _PLAIN_TEMPLATES:
        return "", f"not of GFS, but an ensemble's (product definition template {template})"
    process = eccodes.codes_get_long(handle, "generatingProcessIdentifier")
    return ("GDAS" if process == _GDAS_PROCESS else "GFS"), ""


def describe_folder(paths: Sequence[Path]) -> str:
    """Say what some files hold: the first ones by name, and how many more there are."""
    descriptions = [f"{path.name}: {describe_fields(path)}" for path in paths[:_FILES]]
    more = [f"{len(paths) - _FILES} more files"] if len(paths) > _FILES else []
    return "; ".join([*descriptions, *more])


def describe_fields(path: Path) -> str:
    """Say what a file holds: product, parameters, dates and area; or what else it is."""
    unpacked = file_kinds.Unpacked()  # keeps what it unpacks until the end of this function
    try:
        path = unpacked(path)
        if file_kinds.file_kind(path) in ("NetCDF-4", "HDF5"):
            return _describe_netcdf(path)
        if file_kinds.file_kind(path) != "GRIB":
            return file_kinds.describe_file(path, "GRIB")
        return _describe(path)
    except (OSError, ValueError, eccodes.CodesInternalError) as error:
        return f"cannot be read ({error})"


def _describe_netcdf(path: Path) -> str:
    """Describe a file with fields as the public stores name them, or say that it is none."""
    try:
        with FieldFile(path) as file:
            file.fields()
            return file.description()
    except FieldFileError:
        return file_kinds.describe_file(path, "GRIB")


def _describe(path: Path) -> str:
    """Describe the fields of a GRIB file; ecCodes' errors where a header is damaged."""
    products, names, times, areas, count = set(), set(), set(), set(), 0
    with open(path, "rb") as file:
        for frame in find_messages(path):
            if not isinstance(frame, MessageFrame):
                continue
            file.seek(frame.offset)
            for message in split_fields(file.read(frame.length)):
                count += 1
                handle = eccodes.codes_new_from_message(message)
                try:
                    products.add(_product(handle))
                    names.add(_text(handle, "shortName"))
                    times.add((_text(handle, "validityDate"), _text(handle, "validityTime")))
                    areas.add(_area(handle))
                finally:
                    eccodes.codes_release(handle)
            if count >= _MESSAGES:
                break
    if not count:
        return "GRIB without a whole message"
    first, last = min(times), max(times)
    period = _moment(*first) + ("" if first == last else f" to {_moment(*last)}")
    more = "the first " * (count >= _MESSAGES)
    return (
        f"{more}{count} GRIB field{'s' * (count > 1)} ({_some(names)}) of {_some(products)}, "
        f"valid {period}, {_some(areas)}"
    )


def _some(words: Iterable[str]) -> str:
    """Join some words in their order, the first ones of many."""
    words = sorted(words)
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")


def _moment(day: str, clock: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:8]} {int(clock or 0) // 100:02d} UTC"


def _product(handle: int) -> str:
    """Name the product that a message is of."""
    kind = _text(handle, "class")
    if not kind:
        return f"centre {_text(handle, 'centre')}"
    keys = ("stream", "type", "expver")
    return " ".join([f"class {kind}", *(f"{key} {_text(handle, key)}" for key in keys)])


def _area(handle: int) -> str:
    """Name the area that a message covers, or its kind of grid where that is no regular one."""
    kind = _text(handle, "gridType")
    if kind != "regular_ll":
        return f"grid {kind}"
    north, south, west, east = (
        float(_text(handle, f"{name}InDegrees") or "nan")
        for name in (
            "latitudeOfFirstGridPoint",
            "latitudeOfLastGridPoint",
            "longitudeOfFirstGridPoint",
            "longitudeOfLastGridPoint",
        )
    )
    points = f"{_text(handle, 'Nj')} x {_text(handle, 'Ni')} points"
    return f"latitude {north:g} .. {south:g}, longitude {west:g} .. {east:g} ({points})"
