"""Write GRIB messages fast: one ecCodes handle a kind of field, whose times and values change."""

from collections.abc import Mapping
from typing import BinaryIO

import eccodes
import numpy as np

from fuxiflow.grids import Grid


class GribMessage:
    """A GRIB message of fixed grid, parameter and level, written again and again."""

    def __init__(self, sample: str, grid: Grid, keys: Mapping[str, int | str | float]):
        """Make the message.

        Parameters
        ----------
        sample : str
            Name of an ecCodes sample.
        grid : Grid
            A grid with rows on the poles.
        keys : Mapping[str, int or str or float]
            Keys that are set in their order, after the grid's.

        Raises
        ------
        ValueError
            If the grid has no rows on the poles.
        """
        self._handle = eccodes.codes_grib_new_from_samples(sample)
        step_lat, step_lon = 180.0 / (grid.nlat - 1), 360.0 / grid.nlon
        geometry = {
            "Ni": grid.nlon,
            "Nj": grid.nlat,
            "latitudeOfFirstGridPointInDegrees": 90.0,
            "longitudeOfFirstGridPointInDegrees": 0.0,
            "latitudeOfLastGridPointInDegrees": -90.0,
            "longitudeOfLastGridPointInDegrees": 360.0 - step_lon,
            "iDirectionIncrementInDegrees": step_lon,
            "jDirectionIncrementInDegrees": step_lat,
            "iScansNegatively": 0,
            "jScansPositively": 0,
        }
        if not grid.poles:
            raise ValueError(f"GRIB files hold grids with rows on the poles, not {grid}")
        self._shape = grid.shape
        for key, value in (geometry | dict(keys)).items():
            eccodes.codes_set(self._handle, key, value)

    def write(self, file: BinaryIO, values: np.ndarray, keys: Mapping[str, int | str]) -> None:
        """Append the message to a file with other values.

        Parameters
        ----------
        file : BinaryIO
            The open file.
        values : np.ndarray
            Values ``(lat, lon)``.
        keys : Mapping[str, int or str]
            Keys that are set before the values, in their order.

        Raises
        ------
        ValueError
            If the shape is not the grid's or a value is not finite.
        """
        if values.shape != self._shape or not np.isfinite(values).all():
            name = eccodes.codes_get(self._handle, "shortName")
            raise ValueError(
                f"{name}: expected finite values of shape {self._shape}, got shape {values.shape}"
            )
        for key, value in keys.items():
            eccodes.codes_set(self._handle, key, value)
        eccodes.codes_set_values(self._handle, np.ascontiguousarray(values, np.float64).ravel())
        file.write(eccodes.codes_get_message(self._handle))

    def __del__(self):
        # __init__ may have failed before there was a handle
        if getattr(self, "_handle", None) is not None:
            eccodes.codes_release(self._handle)
            self._handle = None
