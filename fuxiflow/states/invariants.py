"""The invariant fields of ERA5, surface geopotential, land-sea mask and covers, on the networks' grid."""

from pathlib import Path

import eccodes
import numpy as np

from fuxiflow.grids import Grid
from fuxiflow.states.framing import Fault, GribError, fields, frames
from fuxiflow.states.grib import GribReader, opened
from fuxiflow.states.regrid import regrid

# name: (paramId, lowest and highest credible value), ECMWF parameter database
REQUIRED = {"surface_geopotential": (129, -6000.0, 90000.0), "land_fraction": (172, -0.01, 1.01)}
COVERS = {
    "lake_cover": (26, -0.01, 1.01),
    "low_vegetation_cover": (27, -0.01, 1.01),
    "high_vegetation_cover": (28, -0.01, 1.01),
}
PARAMETERS = REQUIRED | COVERS


def read_invariants(path: Path, grid: Grid) -> dict[str, np.ndarray]:
    """Surface geopotential (m2 s-2), land fraction and those of :data:`COVERS` that the file has (0 to 1), each ``(lat,
    lon)``, regridded to ``grid``, in the order of :data:`PARAMETERS`.

    Raises GribError, naming file, message and reason, for damage, values that are not credible, or one of
    :data:`REQUIRED` that is not there.
    """
    wanted = {param: name for name, (param, _, _) in PARAMETERS.items()}
    reader, found = GribReader((), "era5"), {}
    content = Path(path).read_bytes()
    for frame in frames(path):
        if isinstance(frame, Fault):
            raise GribError(str(frame))
        for message in fields(content[frame.offset : frame.offset + frame.length]):
            with opened(message) as handle:
                name = wanted.get(eccodes.codes_get_long(handle, "paramId"))
                surface = eccodes.codes_get_string(handle, "typeOfLevel") == "surface"
            if name is None or not surface or name in found:
                continue
            try:
                values, source = reader.unpack(message)
            except ValueError as error:
                raise GribError(
                    str(Fault(frame.path, frame.number, frame.offset, str(error)))
                ) from error
            _, low, high = PARAMETERS[name]
            if not (values.min() >= low and values.max() <= high):
                raise GribError(
                    f"{path}: message {frame.number}: {name} {values.min():g} .. {values.max():g} outside "
                    f"{low:g} .. {high:g}, or missing values"
                )
            found[name] = regrid(values[None], source, grid)[0]
    lacking = [name for name in REQUIRED if name not in found]
    if lacking:
        raise GribError(
            f"{path}: no {' and no '.join(lacking)} at the surface "
            f"(paramId {', '.join(str(PARAMETERS[name][0]) for name in lacking)})"
        )
    fractions = {
        name: np.clip(values, 0.0, 1.0)
        for name, values in found.items()
        if name != "surface_geopotential"
    }
    return {name: (found | fractions)[name] for name in PARAMETERS if name in found}
