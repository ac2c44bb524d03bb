"""Files as the public bucket gnss-ro-data has them, one occultation each, versions 1.1 and 2.0."""

from pathlib import Path

import netCDF4
import numpy as np

NOON = 1_214_481_618.0
"""GPS seconds of 2018-07-01 12:00:00 UTC: 14,056 days since 1980-01-06, and 18 leap seconds."""
RADIUS, UNDULATION = 6_371_000.0, 20.0
FILLS = {"f4": np.float32(-9.99e20), "f8": -9.99e20, "i4": -999, "i1": -128}
REFRACTIVITY_FILE = "refractivityRetrieval_metop_ucar_2016.0120_G05-metopb-201807011200.nc"
ATMOSPHERE_FILE = "atmosphericRetrieval_metop_ucar_2016.0120_G05-metopb-201807011200.nc"
VERSION_2_FILE = "gnssro_metop_ucar_l2a_2016.0120_G05-metopb-201807011200.nc4"
# places in the two versions; the second's groups are pre_Abel and post_Abel
_NAMES = {
    "time": ("refTime", "time"),
    "lat": ("refLatitude", "reference_latitude"),
    "lon": ("refLongitude", "reference_longitude"),
    "setting": ("setting", "setting"),
    "radius": ("radiusOfCurvature", "pre_Abel/radius_of_curvature"),
    "undulation": ("undulation", "pre_Abel/geoid_undulation"),
    "impact": ("impactParameter", "pre_Abel/impact_parameter"),
    "bending": ("bendingAngle", "pre_Abel/bending_angle"),
    "altitude": ("altitude", "post_Abel/altitude"),
    "latitude": ("latitude", "post_Abel/latitude"),
    "longitude": ("longitude", "post_Abel/longitude"),
    "orientation": ("orientation", "post_Abel/orientation"),
    "geopotential": ("geopotential", "post_Abel/geopotential"),
    "refractivity": ("refractivity", "post_Abel/refractivity"),
    "quality": ("quality", "post_Abel/quality"),
    "pressure": ("pressure", "pressure"),
    "temperature": ("temperature", "temperature"),
    "vapour": ("waterVaporPressure", "water_vapor_partial_pressure"),
}
_TYPES = {"setting": "i1", **dict.fromkeys(("lat", "lon", "altitude", "quality"), "f4")}
_ATMOSPHERE = (
    *("time", "lat", "lon", "setting", "altitude", "geopotential", "refractivity", "quality"),
    *("pressure", "temperature", "vapour"),
)


def open_occultation(
    path: Path, height: np.ndarray, refractivity: np.ndarray, version: int = 1, **changes
) -> Path:
    """Write a retrieval of level 2a, or of level 2b (temperature and pressure) by its name.

    2018-07-01 12 UTC on 10 N, 20 E with drifting tangent points; levels ascend, impact parameters
    descend. A change of None leaves a variable out, NaN is the fill value; ``attributes`` are those
    of the file.
    """
    level_2b = "atmospheric" in path.name or "_l2b_" in path.name
    impact = np.arange(60_000.0, 1_999.0, -500.0) + RADIUS + UNDULATION
    quantities = {
        "time": NOON,
        "lat": 10.0,
        "lon": 20.0,
        "setting": 1,
        "radius": RADIUS,
        "undulation": UNDULATION,
        "impact": impact,
        "bending": np.full(len(impact), np.nan),
        "altitude": height,
        "latitude": 10 + (height - 10_000) * 1e-5,
        "longitude": 20 - (height - 10_000) * 1e-5,
        "orientation": np.full(len(height), 45.0),
        "geopotential": 9.80665 * height,
        "refractivity": refractivity,
        "quality": np.ones(len(height)),
        "pressure": 101_325 * np.exp(-height / 7_400),
        "temperature": np.full(len(height), 250.0),
        "vapour": np.full(len(height), np.nan),
    }
    kept = (
        _ATMOSPHERE if level_2b else [name for name in quantities if name not in _ATMOSPHERE[-3:]]
    )
    attributes = changes.pop("attributes", {})
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(attributes)
        for name in kept:
            value = changes.get(name, quantities[name])
            if value is not None:
                place = _NAMES[name][version - 1]
                _write(file, place.rpartition("/")[2] if level_2b else place, name, value)
    return path


def _write(file, place: str, name: str, value) -> None:
    """Write a variable, with NaN as its fill value; the group and dimension are made for it."""
    group, _, variable = place.rpartition("/")
    holder = file.createGroup(group) if group else file
    values = np.asarray(value, float)
    dimensions = ()
    if values.ndim:
        short = name in ("impact", "bending")
        dimensions = ("impact_parameter" if short else "altitude",)
        if not group:
            dimensions = ("impact" if short else "level",)
        if dimensions[0] not in holder.dimensions:
            holder.createDimension(dimensions[0], len(values))
    kind = _TYPES.get(name, "f8")
    # the fill value of version 1.1 is written without saying that it is one
    written = holder.createVariable(variable, kind, dimensions)
    written[...] = np.where(np.isfinite(values), values, FILLS[kind]).astype(kind)


def abel_bending_angles(impact: np.ndarray, scale: float = 7_400.0) -> np.ndarray:
    """Bending angles in rad of log n = 320e-6 exp(-(x - R)/H) in impact parameters x (m).

    The forward transform of an exponential has a closed form for scale heights far below the
    radius: alpha = 320e-6 sqrt(2 pi x / H) exp(-(x - R)/H).
    """
    height = impact - RADIUS - UNDULATION
    return 320e-6 * np.sqrt(2 * np.pi * impact / scale) * np.exp(-height / scale)
