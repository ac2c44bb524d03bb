"""Encode WMO BUFR, edition 4: compressed messages of many subsets, and their bulletins.

Values go in by ecCodes' names of WMO Table B with their rank in a subset, as in ``#2#pressure``.
Nothing here decodes: files are read back by the project's readers alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

TABLES = 36
"""Version of the master tables (WMO-No. 306, Volume I.2) that all messages are of."""
CENTRE = 255
"""Originating centre of common code table C-11: missing. No real centre has made these data."""
ORIGIN = "FUXI"
"""Location in the heading of bulletins; no telecommunication centre is called so."""
Column = np.ndarray | float | Sequence[str]


def encode_message(
    template: int,
    category: int,
    time: datetime,
    subsets: int,
    columns: Mapping[str, Column],
    replications: Mapping[str, Sequence[int]] | None = None,
    subcategory: int = 255,
) -> bytes:
    """Encode one message of many subsets.

    Values that are not named are missing. ecCodes raises its errors where an element is not of the
    template or out of range.

    Parameters
    ----------
    template : int
        Descriptor of the template, FXXYYY as an integer.
    category : int
        Data category of BUFR Table A.
    time : datetime
        Time of section 1.
    subsets : int
        Number of subsets.
    columns : Mapping[str, Column]
        Values by key in SI units: arrays ``(subset,)``, NaN where missing, one number for all
        subsets, or texts ``(subset,)``.
    replications : Mapping[str, Sequence[int]] or None
        Delayed replication factors, equal in all subsets.
    subcategory : int
        International data sub-category.

    Returns
    -------
    bytes
        The message.
    """
    # not before orbits have loaded PROJ: in that order the interpreter crashes at its exit
    import eccodes

    handle = eccodes.codes_bufr_new_from_samples("BUFR4")
    try:
        header = {
            "masterTablesVersionNumber": TABLES,
            "localTablesVersionNumber": 0,
            "bufrHeaderCentre": CENTRE,
            "bufrHeaderSubCentre": 0,
            "dataCategory": category,
            "internationalDataSubCategory": subcategory,
            "updateSequenceNumber": 0,
            "numberOfSubsets": subsets,
            "compressedData": int(subsets > 1),
            "typicalYear": time.year,
            "typicalMonth": time.month,
            "typicalDay": time.day,
            "typicalHour": time.hour,
            "typicalMinute": time.minute,
            "typicalSecond": time.second,
        }
        for key, value in header.items():
            eccodes.codes_set(handle, key, value)
        for key, factors in (replications or {}).items():
            eccodes.codes_set_array(handle, f"input{key[0].upper()}{key[1:]}", list(factors))
        eccodes.codes_set_array(handle, "unexpandedDescriptors", [template])
        for key, values in columns.items():
            _set(handle, key, values)
        eccodes.codes_set(handle, "pack", 1)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def _set(handle: int, key: str, values: Column) -> None:
    """Set one element of all subsets.

    Values that are equal in all of them are set as one number, which is quicker.

    Parameters
    ----------
    handle : int
        ecCodes' handle of the message.
    key : str
        Key of the element, with its rank.
    values : Column
        Its values.
    """
    import eccodes

    if not isinstance(values, np.ndarray | float | int):
        eccodes.codes_set_string_array(handle, key, list(values))
        return
    if isinstance(values, np.ndarray):
        filled = np.where(np.isnan(values), eccodes.CODES_MISSING_DOUBLE, values)
        # in a compressed message equal values take no space
        if (filled != filled[0]).any():
            eccodes.codes_set_double_array(handle, key, filled)
            return
        values = filled[0]
    if values == values and values != eccodes.CODES_MISSING_DOUBLE:
        eccodes.codes_set_double(handle, key, float(values))


def encode_bulletin(data_type: str, time: datetime, content: bytes) -> bytes:
    """Put the abbreviated heading of its bulletin before a message.

    The heading is ``TTAAii CCCC YYGGgg`` (WMO-No. 386, Part II, 2.3.2).

    Parameters
    ----------
    data_type : str
        ``TTAAii``.
    time : datetime
        Time of the bulletin.
    content : bytes
        The message.

    Returns
    -------
    bytes
        The bulletin.
    """
    return f"{data_type} {ORIGIN} {time:%d%H%M}\r\r\n".encode() + content + b"\r\r\n"


def clock_elements(time: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``year`` … ``second`` of times ``datetime64[ns]`` (n,).

    The seconds have their fraction.
    """
    months, days = time.astype("datetime64[M]"), time.astype("datetime64[D]")
    second = (time - time.astype("datetime64[m]")) / np.timedelta64(1, "s")
    minute = time.astype("datetime64[m]").astype(np.int64)
    return {
        "year": months.astype(int) // 12 + 1970.0,
        "month": months.astype(int) % 12 + 1.0,
        "day": (days - months).astype(int) + 1.0,
        "hour": minute // 60 % 24 + 0.0,
        "minute": minute % 60 + 0.0,
        "second": second,
    }
