"""The product of the single-observation experiment: how one observation changes an analysis."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store

_ARRAYS = {
    "level": (("level",), "pressure level", "hPa"),
    "lat": (("place",), "latitude of the observed cell", "degrees_north"),
    "lon": (("place",), "longitude of the observed cell", "degrees_east"),
    "hour": (("place",), "middle of the observation's hour, from the analysis time", "hours"),
    "zenith": (("place",), "satellite zenith angle", "degrees"),
    "response": (
        ("place", "level"),
        "change of the analysed temperature in the observed cell",
        "K",
    ),
    "jacobian": (
        ("place", "level"),
        "derivative of the brightness temperature by the temperature of a level",
        "K K-1",
    ),
    "followed": (
        ("place",),
        "change of the analysis' brightness temperature, by its Jacobian",
        "K",
    ),
    "around": (
        ("level", "north", "east"),
        "mean change of the analysed temperature about the observed cell",
        "K",
    ),
}


@dataclass(frozen=True)
class Response:
    """``kelvin`` K added to one ``channel`` of one observation of a ``source``, place by place.

    Of each place: ``lat`` and ``lon`` of its cell, the ``hour`` of the observation from
    ``analysis_time``, its ``zenith`` angle, the ``response (place, level)`` of the analysed
    temperature in that cell (K), the ``jacobian (place, level)`` of the channel there (K/K), and
    the analysis' change in brightness temperature that follows from both, ``followed (place,)`` in
    K. ``around (level, north, east)`` is the mean response over the places in the cells about the
    observed one, which is in the middle, rows from south to north; NaN where no place has such a
    cell. ``cell`` is the size of a cell in degrees of latitude and longitude.
    """

    analysis_time: str
    source: str
    channel: str
    kelvin: float
    cell: tuple[float, float]
    level: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    hour: np.ndarray
    zenith: np.ndarray
    response: np.ndarray
    jacobian: np.ndarray
    followed: np.ndarray
    around: np.ndarray

    def __len__(self) -> int:
        return len(self.lat)

    def write(self, path: Path) -> None:
        """Write as Zarr v3 with the provenance."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ARRAYS}
        stamp = {
            "Conventions": "CF-1.11",
            "provenance": provenance.as_json(),
            **values,
            "cell": list(self.cell),
        }
        group = create_store(path, stamp)
        for name, (dimensions, long_name, unit) in _ARRAYS.items():
            group.create_array(
                name,
                data=np.asarray(getattr(self, name), np.float32),
                dimension_names=dimensions,
                attributes={"long_name": long_name, "units": unit},
            )
        consolidate(path)

    @classmethod
    def read(cls, path: Path) -> "Response":
        """Read a response.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        """
        group = open_store(path, "response of an analysis")
        values = {f.name: group.attrs[f.name] for f in fields(cls) if f.name not in _ARRAYS}
        values["cell"] = tuple(values["cell"])
        return cls(**values, **{name: group[name][:] for name in _ARRAYS})
