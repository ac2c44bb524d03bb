"""BUFR messages of satellite sounders, encoded by ecCodes: a made swath in a template of choice."""

import eccodes
import numpy as np

from fuxiflow.observations.scan_geometry import zenith_at

TEMPLATES = {
    "atms": 310061,
    "hirs4": 310008,
    "amsua": 310009,
    "mhs": 310010,
    "ssmis": 310025,
    "iasi": 340008,
}
# positions, scan step (degrees), first channel number, channels, element of temperatures, satellite
# and instrument
KINDS = {
    "atms": (96, 1.11, 1, 22, 12163, {1007: 225, 2019: 621}),
    "amsua": (30, 10 / 3, 28, 15, 12063, {1007: 5, 2048: 3}),
    "mhs": (90, 10 / 9, 43, 5, 12063, {1007: 5, 2048: 11}),
    "hirs4": (56, 1.8, 1, 20, 12063, {1007: 223, 2048: 0}),
    "ssmis": (60, 0.0, 1, 24, 12163, {1007: 285}),
    "iasi": (120, 0.0, 1, 3, 14046, {1007: 5, 2019: 221, 33060: 0}),
}
# of 3-40-008, after the ranges of three bands: scaled values of all channels are
# 1e-7 W m-2 sr-1 (m-1)-1
SCALES = {"#4#startChannel": 1, "#4#endChannel": 8461, "#1#channelScaleFactor": 7}


def swath(kind, scans=2, start="2022-07-01T10:00:00", lat=10.0, lon=20.0, seed=0):
    """Make the elements of footprints ``(n,)`` by descriptor, and their ``values (n, channel)``.

    Values are in K, of IASI scaled radiances, rounded as BUFR does.
    """
    positions, step, _, count, _, identity = KINDS[kind]
    line, position = (
        a.ravel() for a in np.meshgrid(np.arange(scans), np.arange(1, positions + 1), indexing="ij")
    )
    view = (position - 1) // 4 - 14.5 if kind == "iasi" else position - (positions + 1) / 2
    scan = view * (10 / 3 if kind == "iasi" else step or 1.0)
    zenith = zenith_at(np.abs(scan))
    across = np.sign(scan) * (zenith - np.abs(scan)) if kind != "ssmis" else scan * 0.25
    time = np.datetime64(start, "ms") + (line * 2700).astype("timedelta64[ms]")
    day = time.astype("datetime64[D]")
    month = time.astype("datetime64[M]")
    seconds = (time - day) / np.timedelta64(1, "s")
    elements = {
        4001: month.astype(int) // 12 + 1970,
        4002: month.astype(int) % 12 + 1,
        4003: (day - month).astype(int) + 1,
        4004: seconds // 3600,
        4005: seconds // 60 % 60,
        4006: seconds % 60,
        5041: line + 1,
        5043: position,
        7024: np.round(zenith, 2),
        5021: np.where(scan < 0, 280.0, 100.0),
    }
    elements |= {code: np.full(len(line), value) for code, value in identity.items()}
    digits = 2 if kind == "ssmis" else 4
    elements[5002 if kind == "ssmis" else 5001] = np.round(lat + line * 0.16, digits)
    elements[6002 if kind == "ssmis" else 6001] = np.round(
        (lon + across / np.cos(np.radians(lat)) + 180) % 360 - 180, digits
    )
    values = np.random.default_rng(seed).uniform(180, 290, (len(line), count)).round(2)
    return elements, np.round(values * 20) if kind == "iasi" else values


def encode(
    kind,
    elements,
    values,
    compressed=True,
    edition=4,
    header=None,
    template=None,
    numbers=None,
    extra=None,
):
    """Encode one message of the footprints that :func:`swath` makes, NaN as missing.

    ``header`` is the time of its section 1, ``numbers`` are the channel numbers, ``extra`` sets
    keys by their names.
    """
    _, _, first, count, temperature, _ = KINDS[kind]
    subsets = len(values)
    handle = eccodes.codes_bufr_new_from_samples(f"BUFR{edition}")
    try:
        time = np.datetime64(header or _stamp(elements), "m").item()
        keys = {
            "masterTablesVersionNumber": 36 if edition == 4 else 30,
            "localTablesVersionNumber": 0,
            "bufrHeaderCentre": 254,
            "dataCategory": 21,
            "numberOfSubsets": subsets,
            "compressedData": int(compressed),
            "typicalMonth": time.month,
            "typicalDay": time.day,
            "typicalHour": time.hour,
            "typicalMinute": time.minute,
        }
        keys |= (
            {"typicalYear": time.year}
            if edition == 4
            else {"typicalYearOfCentury": time.year % 100}
        )
        for name, value in keys.items():
            eccodes.codes_set(handle, name, value)
        if kind in ("atms", "iasi"):
            factors = [count] if kind == "atms" else [count, 0, 0, 0]
            eccodes.codes_set_array(
                handle,
                "inputExtendedDelayedDescriptorReplicationFactor",
                factors * (1 if compressed else subsets),
            )
        eccodes.codes_set(handle, "unexpandedDescriptors", template or TEMPLATES[kind])
        names = [
            (key, int(eccodes.codes_get(handle, f"{key}->code"))) for key in element_keys(handle)
        ]
        numbers = np.arange(count) + first if numbers is None else np.asarray(numbers)
        width = len(names) // (1 if compressed else subsets)
        for subset in range(1 if compressed else subsets):
            rows = slice(None) if compressed else slice(subset, subset + 1)
            seen, channel = set(), -1
            for name, code in names[subset * width : (subset + 1) * width]:
                channel += code in (2150, 5042)
                data = None
                if code in (2150, 5042) and channel < count:
                    data = np.full(subsets, numbers[channel])[rows]
                elif code == temperature and 0 <= channel < count:
                    data = values[rows, channel]
                elif code == 12066:
                    data = values[rows, channel] - 1.5
                elif code in elements and code not in seen and channel < 0:
                    data = elements[code][rows]
                seen.add(code)
                if data is not None:
                    _set(handle, name, np.asarray(data, float))
        for name, value in ((SCALES if kind == "iasi" else {}) | (extra or {})).items():
            eccodes.codes_set(handle, name, value)
        eccodes.codes_set(handle, "pack", 1)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def _stamp(elements):
    parts = [int(elements[code][0]) for code in range(4001, 4006)]
    return "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}".format(*parts)


def element_keys(handle):
    """Return the keys of all elements of a message, in order."""
    iterator = eccodes.codes_bufr_keys_iterator_new(handle)
    keys = []
    while eccodes.codes_bufr_keys_iterator_next(iterator):
        key = eccodes.codes_bufr_keys_iterator_get_name(iterator)
        if key.startswith("#") and "->" not in key:
            keys.append(key)
    eccodes.codes_bufr_keys_iterator_delete(iterator)
    return keys


def _set(handle, name, data):
    missing = np.isnan(data)
    if missing.all():
        return
    data = np.where(missing, eccodes.CODES_MISSING_DOUBLE, data)
    if eccodes.codes_get_native_type(handle, name) is int:
        eccodes.codes_set_array(
            handle, name, np.where(missing, eccodes.CODES_MISSING_LONG, data).astype(int)
        )
    else:
        eccodes.codes_set_array(handle, name, data)
