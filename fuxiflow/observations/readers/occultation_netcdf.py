"""Radio occultations in NetCDF: CDAAC's atmPrf (and wetPrf, wetPf2), one profile a file, and ROM SAF's ROPP files.

Formats: CDAAC, File formats: atmPrf; ROM SAF, ROPP User Guide, Part I: ropp_io, SAF/ROM/METO/UG/ROPP/002. Meant for a
:class:`fuxiflow.observations.bufr.Decoder`: the NetCDF library may crash on damaged files.
"""

from collections.abc import Iterator

import numpy as np

from fuxiflow.observations import leap_seconds
from fuxiflow.observations.readers import occultation
from fuxiflow.observations.readers.occultation import Occultation
from fuxiflow.observations.readers.reports import date

_GPS_EPOCH = np.datetime64("1980-01-06T00:00:00", "us")
_NAT = np.datetime64("NaT", "us")
_AGREE = np.timedelta64(60, "s")  # the calendar date of a CDAAC file is its start, in GPS time too
_BAD_PCD = {
    0: "non-nominal quality",
    5: "non-nominal refractivity",
    14: "background, no occultation",
    15: "confidence data missing",
}  # bits of ROPP's product confidence data, least significant 0


def occultations(data: bytes) -> list[Occultation]:
    """The profiles of a NetCDF file, classic or NetCDF-4; ValueError, KeyError or OSError when it has none."""
    import netCDF4

    with netCDF4.Dataset("occultation", memory=data) as file:
        if "alt_refrac" in file.variables:
            return list(_ropp(file))
        if {"MSL_alt", "Ref"} <= set(file.variables):
            return [_cdaac(file)]
        raise ValueError(
            "neither MSL_alt and Ref (CDAAC) nor alt_refrac (ROM SAF): no refractivity by height"
        )


def utc(gps_seconds: float) -> np.datetime64:
    """GPS seconds (since 1980-01-06, no leap seconds) as UTC ``datetime64[us]``; NaT before 1999 or if absurd."""
    if not 0 <= gps_seconds < 4e9:
        return _NAT
    gps = _GPS_EPOCH + np.timedelta64(round(gps_seconds * 1e6), "us")
    return leap_seconds.utc(np.array(gps + leap_seconds.GPS_BEHIND_TAI))[()]


def _array(file, name: str) -> np.ndarray:
    """A variable as float64, (n,) or (profile, n); what is missing or outside its ``valid_range`` is NaN."""
    return np.ma.filled(np.ma.asarray(file[name][:], np.float64), np.nan)


def _scalar(value) -> float:
    try:
        return float(np.ma.filled(np.ma.asarray(value, np.float64).ravel()[0], np.nan))
    except (ValueError, TypeError, IndexError):
        return np.nan


def _units(file, name: str, scales: dict[str, float]) -> float:
    """The factor to m of a variable's unit; ValueError when it is another."""
    unit = getattr(file[name], "units", "")
    if unit not in scales:
        raise ValueError(f"{name} in {unit!r}, expected {' or '.join(map(repr, scales))}")
    return scales[unit]


def _cdaac(file) -> Occultation:
    """The profile of a CDAAC file. Its time is that of the occultation point, where the file says how long it took."""
    given = {name: file.getncattr(name) for name in file.ncattrs()}

    def attribute(name: str) -> float:
        return _scalar(given.get(name))

    height = _array(file, "MSL_alt") * _units(file, "MSL_alt", {"km": 1000.0, "m": 1.0})
    refractivity = _array(file, "Ref")
    _same(MSL_alt=height, Ref=refractivity)
    start = utc(attribute("start_time"))
    calendar = date(
        *(attribute(name) for name in ("year", "month", "day", "hour", "minute", "second"))
    )
    if not np.isnat(calendar):
        calendar = utc((calendar - _GPS_EPOCH) / np.timedelta64(1, "s"))
        start = calendar if "start_time" not in given or abs(start - calendar) <= _AGREE else _NAT
    offset = attribute("occpt_offset")
    if 0 <= offset <= 600:
        start = start + np.timedelta64(round(offset * 1e6), "us")
    reference = attribute("lat"), attribute("lon")
    place = reference
    if {"Lat", "Lon"} <= set(file.variables):
        lat, lon = _array(file, "Lat"), _array(file, "Lon")
        _same(MSL_alt=height, Lat=lat, Lon=lon)
        place = occultation.position(reference, lat, lon, height)
    stamp = str(given.get("fileStamp", ""))  # IIII.YYYY.DDD.HH.MM.GGG
    bad = str(given.get("bad", "0")).strip()
    return Occultation(
        start,
        *place,
        occultation.PLATFORMS.get(stamp[:4], stamp[:4]),
        height,
        refractivity,
        attribute("azim"),
        "" if bad in ("0", "") else f"bad {bad}: {given.get('errstr', '')}",
    )


def _same(**arrays: np.ndarray) -> None:
    """ValueError when 1-D arrays differ in shape or are none."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or len(next(iter(shapes.values()))) != 1:
        raise ValueError(f"shapes differ: {shapes}")


def _text(file, name: str, index: int) -> str:
    """The ``index``-th text of a character variable (profile, letter) or (letter,)."""
    if name not in file.variables:
        return ""
    letters = np.ma.filled(np.ma.atleast_2d(file[name][:]), b"")
    return b"".join(letters[index].astype("S1")).decode("ascii", "replace").strip("\0 ")


def _ropp(file) -> Iterator[Occultation]:
    """The profiles of a ROPP file, along its unlimited dimension."""

    def rows(name: str, scales: dict[str, float] | None = None) -> np.ndarray:
        if name not in file.variables:
            return np.full((count, 1), np.nan)
        found = np.atleast_2d(_array(file, name)) * (_units(file, name, scales) if scales else 1.0)
        if len(found) != count:
            raise ValueError(f"{name} has {len(found)} profiles, expected {count}")
        return np.where(np.abs(found) < 9e7, found, np.nan)  # ROPP's missing data flag is -9.9999e7

    def scalars(name: str) -> np.ndarray:
        found = (
            np.atleast_1d(_array(file, name)) if name in file.variables else np.full(count, np.nan)
        )
        if found.shape != (count,):
            raise ValueError(f"{name} has shape {found.shape}, expected {(count,)}")
        return np.where(np.abs(found) < 9e7, found, np.nan)

    count = len(np.atleast_2d(_array(file, "alt_refrac")))
    metres = {"metres": 1.0, "meters": 1.0, "m": 1.0, "km": 1000.0}
    height, refractivity = rows("alt_refrac", metres), rows("refrac")
    if height.shape != refractivity.shape:
        raise ValueError(f"shapes differ: alt_refrac {height.shape}, refrac {refractivity.shape}")
    clock = [scalars(name) for name in ("year", "month", "day", "hour", "minute", "second")]
    millisecond, offset = np.nan_to_num(scalars("msec")), np.nan_to_num(scalars("time_offset"))
    lat, lon, azimuth, pcd = (scalars(name) for name in ("lat", "lon", "azimuth", "pcd"))
    lat_tangent, lon_tangent, impact = (rows(name) for name in ("lat_tp", "lon_tp", "impact"))
    radius = scalars("roc") + np.nan_to_num(scalars("undulation"))
    for i in range(count):
        receiver = _text(file, "leo_id", i)
        time = date(*(part[i] for part in clock))
        if 0 <= offset[i] <= 600:
            time = time + np.timedelta64(
                round(1e3 * (1e3 * offset[i] + millisecond[i] % 1000)), "us"
            )
        shapes = lat_tangent[i].shape == lon_tangent[i].shape == impact[i].shape
        tangent = (
            (lat_tangent[i], lon_tangent[i], impact[i] - radius[i])
            if shapes
            else (np.empty(0),) * 3
        )
        place = occultation.position((lat[i], lon[i]), *tangent)
        bits = int(pcd[i]) if 0 <= pcd[i] < 65535 else 0
        yield Occultation(
            time,
            *place,
            occultation.PLATFORMS.get(receiver, receiver),
            height[i],
            refractivity[i],
            azimuth[i],
            ", ".join(why for bit, why in _BAD_PCD.items() if bits >> bit & 1),
        )
