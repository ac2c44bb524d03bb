"""Write an occultation as the public bucket gnss-ro-data has them, in version 1.1 of its layout.

Names, units and fill values: the bucket's Data Description (github.com/gnss-ro/aws-opendata), of
its ``refractivityRetrieval`` the place, the time and the refractivity alone.
"""

from pathlib import Path

import netCDF4
import numpy as np

from fuxiflow.observations.readers.occultation import Occultation
from fuxiflow.physics import GRAVITY
from fuxiflow.storage import provenance

FILLS = {"f8": -9.99e20, "i1": -128}
"""What stands for a missing value, by type."""


def write_open_occultation(path: Path, occultation: Occultation, gps_seconds: float) -> Path:
    """Write one occultation into a file of its own.

    Parameters
    ----------
    path : Path
        The file to write.
    occultation : Occultation
        The profile, its heights ascending.
    gps_seconds : float
        Its time as GPS counts it, since 1980-01-06.

    Returns
    -------
    Path
        The file.
    """
    height = occultation.height
    there = np.isfinite(occultation.refractivity)
    scalars = {
        "refTime": ("f8", gps_seconds, "GPS seconds"),
        "refLatitude": ("f8", occultation.lat, "degrees north"),
        "refLongitude": ("f8", occultation.lon, "degrees east"),
        # the world does not say whether its satellites rise or set
        "setting": ("i1", np.nan, "1"),
    }
    levels = {
        "altitude": ("f8", height, "m"),
        "latitude": ("f8", np.full(len(height), occultation.lat), "degrees north"),
        "longitude": ("f8", np.full(len(height), occultation.lon), "degrees east"),
        "orientation": ("f8", np.full(len(height), occultation.azimuth), "degrees"),
        "geopotential": ("f8", GRAVITY * height, "J/kg"),
        "refractivity": ("f8", occultation.refractivity, "N-units"),
        "quality": ("f8", np.where(there, 100.0, np.nan), "percent"),
    }
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(
            {
                "title": "fuxiflow embedded world: synthetic occultation",
                "file_type": "refractivityRetrieval",
                "provenance": provenance.as_json(),
            }
        )
        file.createDimension("level", len(height))
        for dimensions, variables in (((), scalars), (("level",), levels)):
            for name, (kind, values, units) in variables.items():
                variable = file.createVariable(name, kind, dimensions, fill_value=FILLS[kind])
                variable.units = units
                variable[...] = np.where(np.isfinite(values), values, FILLS[kind])
    return path
