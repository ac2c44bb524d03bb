"""Radio occultations as they come out of their files: which satellite, where, when, and refractivity by height."""

from dataclasses import dataclass

import numpy as np

from fuxiflow.physics import great_circle

POSITION_HEIGHT = 10_000.0
"""Height in m, of the tangent point or of the ray's impact, at which an occultation is said to be: its tangent points
drift by some 200 km from top to bottom, and most of what it tells about weather lies in the troposphere."""
DRIFT = 1_000.0
"""Tangent points farther than this from the occultation's reference point, km, are errors."""

# satellites by their name in WMO OSCAR; COSMIC's by their mission
_MISSIONS = {f"C00{i}": "COSMIC-1" for i in range(1, 7)} | {
    f"C2E{i}": "COSMIC-2" for i in range(1, 7)
}
_MISSIONS |= {f"CO0{i}": "COSMIC-1" for i in range(1, 7)}
PLATFORMS = _MISSIONS | {
    "META": "Metop-A",
    "METB": "Metop-B",
    "METC": "Metop-C",
    "MTPA": "Metop-A",
    "MTPB": "Metop-B",
    "MTPC": "Metop-C",
    "CHAM": "CHAMP",
    "CHMP": "CHAMP",
    "GRAA": "GRACE-A",
    "GRAB": "GRACE-B",
    "GRCA": "GRACE-A",
    "GRCB": "GRACE-B",
    "SACC": "SAC-C",
    "TSRX": "TerraSAR-X",
    "TSX1": "TerraSAR-X",
    "TDMX": "TanDEM-X",
    "TDX1": "TanDEM-X",
    "PAZE": "PAZ",
    "PAZ1": "PAZ",
    "KOM5": "KOMPSAT-5",
    "CNOF": "C/NOFS",
    "OSAT": "OceanSat-2",
    "FY3C": "FY-3C",
    "FY3D": "FY-3D",
    "FY3E": "FY-3E",
}
"""Platforms by the four letters of CDAAC's file stamps and of ROPP's ``leo_id``."""


@dataclass(frozen=True)
class Occultation:
    """One profile: ``height`` (m above mean sea level) and ``refractivity`` (N-units), each (n,), in any order.

    ``platform`` is a name of WMO OSCAR or what the file gives for one that is not known; ``azimuth`` of the occultation
    plane is in degrees from north; ``flaw`` says why the processing centre holds it for bad, or is empty.
    """

    time: np.datetime64
    lat: float
    lon: float
    platform: str
    height: np.ndarray
    refractivity: np.ndarray
    azimuth: float = np.nan
    flaw: str = ""


def position(
    reference: tuple[float, float], lat: np.ndarray, lon: np.ndarray, height: np.ndarray
) -> tuple[float, float]:
    """Latitude and longitude of the tangent point nearest to 10 km, of those that a file gives (n,) each at ``height``
    (m); the ``reference`` where there is none within 5 km. NaN when the two are farther apart than tangent points
    drift: one of them is an error. Both coordinates exactly zero are no place but what stands for none."""
    reference = reference if reference != (0.0, 0.0) else (np.nan, np.nan)
    with np.errstate(invalid="ignore"):
        placed = (np.abs(lat) <= 90) & (np.abs(lon) <= 360) & ((lat != 0) | (lon != 0))
        away = np.where(placed, np.abs(height - POSITION_HEIGHT), np.inf)
    away = np.nan_to_num(away, nan=np.inf)
    if not len(away) or away.min() > 5_000.0:
        return reference
    nearest = float(lat[away.argmin()]), float(lon[away.argmin()])
    return nearest if not great_circle(*reference, *nearest) > DRIFT else (np.nan, np.nan)
