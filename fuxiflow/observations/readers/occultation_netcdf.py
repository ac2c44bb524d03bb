"""Radio occultations decoded from NetCDF.

Formats: CDAAC, File formats: atmPrf (and wetPrf, wetPf2), one profile a file; ROM SAF, ROPP User
Guide, Part I: ropp_io, SAF/ROM/METO/UG/ROPP/002; the public bucket gnss-ro-data, Data Description,
versions 1.1 and 2.0, one profile a file.

To be called in a :class:`fuxiflow.observations.decoding_process.DecodingProcess`: the NetCDF
library may crash on damaged files.
"""

from collections.abc import Iterator

import numpy as np

from fuxiflow.observations.clocks import GPS_EPOCH, NOT_A_TIME, time_of_date, utc_of_gps
from fuxiflow.observations.profiles import refractivity_of_bending_angles
from fuxiflow.observations.readers.occultation import (
    PLATFORMS,
    POSITION_HEIGHT,
    Occultation,
    tangent_point,
)
from fuxiflow.observations.readers.occultation_names import platform_of_receiver

_AGREE = np.timedelta64(60, "s")  # the calendar date of a CDAAC file is its start, in GPS time too
# bits of ROPP's product confidence data, least significant 0
_PCD_FLAWS = {
    0: "non-nominal quality",
    5: "non-nominal refractivity",
    14: "background, no occultation",
    15: "confidence data missing",
}
_METRES = dict.fromkeys(("m", "meter", "meters", "metre", "metres", ""), 1.0) | {"km": 1000.0}
# variables of the bucket gnss-ro-data in versions 1.1 and 2.0; root of both, groups of the second
_OPEN = {
    "time": ("refTime", "time"),
    "lat": ("refLatitude", "reference_latitude"),
    "lon": ("refLongitude", "reference_longitude"),
    "radius": ("radiusOfCurvature", "pre_Abel/radius_of_curvature"),
    "undulation": ("undulation", "pre_Abel/geoid_undulation"),
    "impact": ("impactParameter", "pre_Abel/impact_parameter"),
    "bending": ("bendingAngle", "pre_Abel/bending_angle"),
    "altitude": ("altitude", "post_Abel/altitude"),
    "latitude": ("latitude", "post_Abel/latitude"),
    "longitude": ("longitude", "post_Abel/longitude"),
    "orientation": ("orientation", "post_Abel/orientation"),
    "refractivity": ("refractivity", "post_Abel/refractivity"),
    "quality": ("quality", "post_Abel/quality"),
}
_OPEN_FILL = 9.9e20  # its fill values are -9.99e20, which not all of its files say


def occultations_of_netcdf(data: bytes) -> list[Occultation]:
    """Decode the profiles of a NetCDF file, classic or NetCDF-4.

    ValueError, KeyError or OSError when it has none.
    """
    import netCDF4

    with netCDF4.Dataset("occultation", memory=data) as file:
        if "alt_refrac" in file.variables:
            return list(_ropp(file))
        if {"MSL_alt", "Ref"} <= set(file.variables):
            return [_cdaac(file)]
        if _holder(file, "altitude") and _holder(file, "refractivity"):
            return [_open_data(file)]
        raise ValueError(
            "no refractivity by height: neither MSL_alt and Ref (CDAAC) nor alt_refrac (ROM SAF) "
            "nor altitude and refractivity (gnss-ro-data)"
        )


def _array(file, name: str) -> np.ndarray:
    """Read a variable ``(n,)`` or ``(profile, n)`` as float64.

    What is missing or outside its ``valid_range`` is NaN.
    """
    return np.ma.filled(np.ma.asarray(file[name][:], np.float64), np.nan)


def _scalar(value) -> float:
    """Return an attribute as a number, NaN where it is none."""
    try:
        return float(np.ma.filled(np.ma.asarray(value, np.float64).ravel()[0], np.nan))
    except (ValueError, TypeError, IndexError):
        return np.nan


def _units(file, name: str, scales: dict[str, float]) -> float:
    """Return the factor to m of a variable's unit.

    Parameters
    ----------
    file : netCDF4.Dataset
        The open file.
    name : str
        Name of the variable.
    scales : dict[str, float]
        Factors by unit.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        When the unit is another.
    """
    unit = getattr(file[name], "units", "")
    if unit not in scales:
        raise ValueError(f"{name} in {unit!r}, expected {' or '.join(map(repr, scales))}")
    return scales[unit]


def _cdaac(file) -> Occultation:
    """Decode the profile of a CDAAC file.

    Its time is that of the occultation point, where the file says how long it took to get there.
    """
    attributes = {name: file.getncattr(name) for name in file.ncattrs()}

    def attribute(name: str) -> float:
        return _scalar(attributes.get(name))

    height = _array(file, "MSL_alt") * _units(file, "MSL_alt", {"km": 1000.0, "m": 1.0})
    refractivity = _array(file, "Ref")
    _check_shapes(MSL_alt=height, Ref=refractivity)
    start = utc_of_gps(attribute("start_time"))
    calendar = time_of_date(
        *(attribute(name) for name in ("year", "month", "day", "hour", "minute", "second"))
    )
    if not np.isnat(calendar):
        calendar = utc_of_gps((calendar - GPS_EPOCH) / np.timedelta64(1, "s"))
        agree = "start_time" not in attributes or abs(start - calendar) <= _AGREE
        start = calendar if agree else NOT_A_TIME
    offset = attribute("occpt_offset")
    if 0 <= offset <= 600:
        start = start + np.timedelta64(round(offset * 1e6), "us")
    reference = attribute("lat"), attribute("lon")
    place = reference
    if {"Lat", "Lon"} <= set(file.variables):
        lat, lon = _array(file, "Lat"), _array(file, "Lon")
        _check_shapes(MSL_alt=height, Lat=lat, Lon=lon)
        place = tangent_point(reference, lat, lon, height)
    stamp = str(attributes.get("fileStamp", ""))  # IIII.YYYY.DDD.HH.MM.GGG
    bad = str(attributes.get("bad", "0")).strip()
    return Occultation(
        start,
        *place,
        PLATFORMS.get(stamp[:4], stamp[:4]),
        height,
        refractivity,
        attribute("azim"),
        "" if bad in ("0", "") else f"bad {bad}: {attributes.get('errstr', '')}",
    )


def _check_shapes(**arrays: np.ndarray) -> None:
    """Raise ValueError when arrays differ in shape or are not 1-D."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or len(next(iter(shapes.values()))) != 1:
        raise ValueError(f"shapes differ: {shapes}")


def _text(file, name: str, index: int) -> str:
    """Read one text of a character variable.

    Parameters
    ----------
    file : netCDF4.Dataset
        The open file.
    name : str
        Name of the variable, ``(profile, letter)`` or ``(letter,)``.
    index : int
        Number of the profile.

    Returns
    -------
    str
        The text, empty where there is no such variable.
    """
    if name not in file.variables:
        return ""
    letters = np.ma.filled(np.ma.atleast_2d(file[name][:]), b"")
    return b"".join(letters[index].astype("S1")).decode("ascii", "replace").strip("\0 ")


def _ropp(file) -> Iterator[Occultation]:
    """Yield the profiles of a ROPP file, along its unlimited dimension."""

    def rows(name: str, scales: dict[str, float] | None = None) -> np.ndarray:
        if name not in file.variables:
            return np.full((count, 1), np.nan)
        values = np.atleast_2d(_array(file, name)) * (_units(file, name, scales) if scales else 1.0)
        if len(values) != count:
            raise ValueError(f"{name} has {len(values)} profiles, expected {count}")
        # ROPP's missing data flag is -9.9999e7
        return np.where(np.abs(values) < 9e7, values, np.nan)

    def scalars(name: str) -> np.ndarray:
        values = (
            np.atleast_1d(_array(file, name)) if name in file.variables else np.full(count, np.nan)
        )
        if values.shape != (count,):
            raise ValueError(f"{name} has shape {values.shape}, expected {(count,)}")
        return np.where(np.abs(values) < 9e7, values, np.nan)

    count = len(np.atleast_2d(_array(file, "alt_refrac")))
    metres = {"metres": 1.0, "meters": 1.0, "m": 1.0, "km": 1000.0}
    height, refractivity = rows("alt_refrac", metres), rows("refrac")
    if height.shape != refractivity.shape:
        raise ValueError(f"shapes differ: alt_refrac {height.shape}, refrac {refractivity.shape}")
    clock = [scalars(name) for name in ("year", "month", "day", "hour", "minute", "second")]
    millisecond = np.nan_to_num(scalars("msec"))
    offset = np.nan_to_num(scalars("time_offset"))
    lat, lon, azimuth, pcd = (scalars(name) for name in ("lat", "lon", "azimuth", "pcd"))
    lat_tangent, lon_tangent, impact = (rows(name) for name in ("lat_tp", "lon_tp", "impact"))
    radius = scalars("roc") + np.nan_to_num(scalars("undulation"))
    for i in range(count):
        receiver = _text(file, "leo_id", i)
        time = time_of_date(*(part[i] for part in clock))
        if 0 <= offset[i] <= 600:
            time = time + np.timedelta64(
                round(1e3 * (1e3 * offset[i] + millisecond[i] % 1000)), "us"
            )
        same_shapes = lat_tangent[i].shape == lon_tangent[i].shape == impact[i].shape
        tangent = (
            (lat_tangent[i], lon_tangent[i], impact[i] - radius[i])
            if same_shapes
            else (np.empty(0),) * 3
        )
        place = tangent_point((lat[i], lon[i]), *tangent)
        # 65535, all bits set, counts as missing
        bits = int(pcd[i]) if 0 <= pcd[i] < 65535 else 0
        yield Occultation(
            time,
            *place,
            PLATFORMS.get(receiver, receiver),
            height[i],
            refractivity[i],
            azimuth[i],
            ", ".join(why for bit, why in _PCD_FLAWS.items() if bits >> bit & 1),
        )


def _holder(file, name: str):
    """Return the group and the name of a variable of :data:`_OPEN`, None where there is none."""
    for place in _OPEN[name]:
        group, _, variable = place.rpartition("/")
        holder = file.groups.get(group) if group else file
        if holder is not None and variable in holder.variables:
            return holder, variable
    return None


def _open_values(file, name: str) -> np.ndarray:
    """Read a variable of :data:`_OPEN`, NaN where it is missing; empty where there is none."""
    there = _holder(file, name)
    values = _array(*there) if there else np.empty(0)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) < _OPEN_FILL, values, np.nan)


def _open_data(file) -> Occultation:
    """Decode the profile of a file of the public bucket gnss-ro-data.

    Its reference time is in GPS seconds. A level of quality 0 is bad, by the Data Description;
    100 or 1 is good. A file without refractivity gets that of its bending angles.
    """

    def scalar(name: str) -> float:
        return _scalar(_open_values(file, name))

    holder, variable = _holder(file, "altitude")
    height = _open_values(file, "altitude") * _units(holder, variable, _METRES)
    refractivity = _open_values(file, "refractivity")
    _check_shapes(altitude=height, refractivity=refractivity)
    levels = {}
    for name in ("latitude", "longitude", "orientation", "quality"):
        values = _open_values(file, name)
        levels[name] = values if len(values) else np.full(len(height), np.nan)
        _check_shapes(altitude=height, **{name: levels[name]})
    place = tangent_point(
        (scalar("lat"), scalar("lon")), levels["latitude"], levels["longitude"], height
    )
    bad = (levels["quality"] == 0) & np.isfinite(refractivity)
    hopeless = bad.any() and (bad == np.isfinite(refractivity)).all()
    if bad.any() and not hopeless:
        refractivity = np.where(bad, np.nan, refractivity)
    if not np.isfinite(refractivity).any():
        impact, bending = _open_values(file, "impact"), _open_values(file, "bending")
        _check_shapes(impact=impact, bending=bending)
        radius = scalar("radius") + np.nan_to_num(scalar("undulation"))
        height, refractivity = refractivity_of_bending_angles(impact, bending, radius)
    attributes = {name: file.getncattr(name) for name in file.ncattrs()}
    receiver = str(attributes.get("receiver", attributes.get("leo", "")))
    return Occultation(
        utc_of_gps(scalar("time")),
        *place,
        platform_of_receiver(receiver),
        height,
        refractivity,
        _azimuth(levels["orientation"], _open_values(file, "altitude")),
        "quality 0 at all levels" if hopeless else "",
    )


def _azimuth(orientation: np.ndarray, height: np.ndarray) -> float:
    """Return the orientation of the ray in degrees at the level nearest to 10 km, NaN without."""
    away = np.where(np.isfinite(orientation), np.abs(height - POSITION_HEIGHT), np.nan)
    return float(orientation[np.nanargmin(away)]) if np.isfinite(away).any() else np.nan
