"""Write radio occultations as the ROM SAF does: NetCDF with many profiles in a file.

Profiles lie along the unlimited dimension. Format: ROM SAF, ROPP User Guide, Part I: ropp_io,
SAF/ROM/METO/UG/ROPP/002; of its level 2a refractivity alone, and of the header who, where and when.
"""

from collections.abc import Sequence
from pathlib import Path

import netCDF4
import numpy as np

from fuxiflow.storage import provenance
from fuxiflow.world.occultations import OccultationProfiles
from fuxiflow.world.writers.bufr import clock_elements

MISSING = -9.9999e7
"""ROPP's missing data flag."""
RECEIVERS = {
    "COSMIC-2": ("C2E1", "C2E2", "C2E3", "C2E4", "C2E5", "C2E6"),
    "Metop-A": ("META",),
    "Metop-B": ("METB",),
    "Metop-C": ("METC",),
    "FY-3C": ("FY3C",),
    "FY-3D": ("FY3D",),
    "FY-3E": ("FY3E",),
}
"""ROPP's ``leo_id`` of the receivers on platforms by their name in WMO OSCAR."""
SIGNIFICANT = 5
"""Digits of refractivity that are kept."""


def write_occultations(
    path: Path, occultations: OccultationProfiles, platforms: Sequence[str]
) -> Path:
    """Write occultations into one file.

    Parameters
    ----------
    path : Path
        The file to write.
    occultations : OccultationProfiles
        The occultations.
    platforms : Sequence[str]
        Platforms that they are seen from, ``(n,)``, names of :data:`RECEIVERS`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    KeyError
        Lists the platforms with receivers.
    """
    unknown = set(platforms) - set(RECEIVERS)
    if unknown:
        raise KeyError(
            f"no receiver is known on {', '.join(sorted(unknown))}; known: {', '.join(RECEIVERS)}"
        )
    # platforms were joined one after the other; files are in the order of time
    order = np.argsort(occultations.time, kind="stable")
    time = occultations.time[order]
    parts = clock_elements(time)
    seconds = np.floor(parts["second"])
    scalars = {
        **{name: parts[name] for name in ("year", "month", "day", "hour", "minute")},
        "second": seconds,
        "msec": np.rint(1000.0 * (parts["second"] - seconds)),
        "lat": occultations.lat[order],
        "lon": occultations.lon[order],
        "azimuth": occultations.azimuth[order],
        "time_offset": np.zeros(len(time)),
        "pcd": np.zeros(len(time)),
    }
    names = [RECEIVERS[platforms[i]] for i in order]
    letters = np.array(
        [list(receivers[rank % len(receivers)]) for rank, receivers in enumerate(names)], "S1"
    ).reshape(-1, 4)
    refractivity = np.where(
        np.isfinite(occultations.refractivity), occultations.refractivity, MISSING
    )[order]
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as file:
        file.setncatts(
            {
                "title": "fuxiflow embedded world: synthetic occultations",
                "format_version": "ROPP I/O V1.1",
                "provenance": provenance.as_json(),
            }
        )
        for name, size in (
            ("dim_unlim", None),
            ("dim_lev2a", len(occultations.height)),
            ("dim_char04", 4),
        ):
            file.createDimension(name, size)
        file.createVariable("leo_id", "S1", ("dim_unlim", "dim_char04"))[:] = letters
        for name, values in scalars.items():
            file.createVariable(name, "f8", ("dim_unlim",), zlib=True)[:] = values
        shape = refractivity.shape
        for name, values, units, digits in (
            ("alt_refrac", np.broadcast_to(occultations.height, shape), "metres", None),
            ("refrac", refractivity, "1", SIGNIFICANT),
        ):
            variable = file.createVariable(
                name,
                "f4",
                ("dim_unlim", "dim_lev2a"),
                zlib=True,
                shuffle=True,
                chunksizes=shape,
                significant_digits=digits,
            )
            variable.units = units
            variable[:] = values
    return path
