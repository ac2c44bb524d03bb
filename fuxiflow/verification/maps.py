"""Maps of the time-mean error and the RMSE of forecasts at chosen leads and channels."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import xarray as xr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import read_dataset, write_dataset
from fuxiflow.verification.case_counts import CaseCount, counts_attribute

DIMENSIONS = ("reference", "lead_time", "channel")


class ErrorMaps:
    """Sums of the error and its square at each cell, by reference, lead and channel."""

    def __init__(
        self,
        references: Sequence[str],
        leads: Sequence[int],
        channels: Sequence[str],
        mapped: Sequence[str],
        grid: Grid,
    ):
        """Make sums of nothing yet.

        Parameters
        ----------
        references : sequence of str
            References to map the errors against.
        leads : sequence of int
            Lead times in hours to map; others that are added are passed over.
        channels : sequence of str
            Channels of the fields that are added.
        mapped : sequence of str
            Channels to map.
        grid : Grid
            Grid of the fields.

        Raises
        ------
        KeyError
            A channel to map is not among those of the fields.
        """
        absent = [name for name in mapped if name not in channels]
        if absent:
            raise KeyError(
                f"figures.map_channels: {absent[0]} is not forecast; known: {', '.join(channels)}"
            )
        self.references = list(references)
        self.leads = list(leads)
        self.channels = list(mapped)
        self.grid = grid
        self._positions = [list(channels).index(name) for name in mapped]
        self.n = np.zeros((len(self.references), len(self.leads), len(self.channels)), np.int64)
        self._error, self._square = np.zeros((2, *self.n.shape, grid.nlat * grid.nlon))

    def add(self, reference: str, lead: int, forecast: np.ndarray, truth: np.ndarray) -> None:
        """Add one case; its channels with NaN are left out.

        Parameters
        ----------
        reference : str
            Reference of the case.
        lead : int
            Lead time in hours.
        forecast, truth : np.ndarray
            Forecast and reference, or their anomalies, ``(channel, cell)``.
        """
        if lead not in self.leads or reference not in self.references:
            return
        where = self.references.index(reference), self.leads.index(lead)
        error = forecast[self._positions].astype(float) - truth[self._positions]
        complete = np.isfinite(error).all(axis=1)
        self.n[where] += complete
        error[~complete] = 0.0
        self._error[where] += error
        self._square[where] += error**2

    def dataset(self) -> xr.Dataset:
        """Return the maps as a data set.

        ``error`` and ``rmse (reference, lead_time, channel, lat, lon)`` are in the channel's unit;
        ``n (reference, lead_time, channel)`` counts cases.
        """
        count = np.where(self.n > 0, self.n, np.nan)[..., None]
        shape = (*self.n.shape, *self.grid.shape)
        fields = {
            "error": (self._error / count, "mean error (forecast - reference)"),
            "rmse": (np.sqrt(self._square / count), "root mean squared error"),
        }
        data = xr.Dataset(
            {
                name: (
                    (*DIMENSIONS, "lat", "lon"),
                    values.reshape(shape).astype(np.float32),
                    {"long_name": text},
                )
                for name, (values, text) in fields.items()
            }
        )
        data["n"] = DIMENSIONS, self.n, {"long_name": "cases"}
        return data.assign_coords(
            reference=np.array(self.references, object),
            lead_time=("lead_time", self.leads, {"long_name": "lead time in hours"}),
            channel=np.array(self.channels, object),
            unit=(
                "channel",
                np.array([channel_table()[name].unit for name in self.channels], object),
            ),
            lat=("lat", self.grid.lat, {"standard_name": "latitude", "units": "degrees_north"}),
            lon=("lon", self.grid.lon, {"standard_name": "longitude", "units": "degrees_east"}),
        )

    def merge(self, other: "ErrorMaps") -> None:
        """Add the sums of other cases; ValueError where they are of something else."""
        for name in ("references", "leads", "channels", "grid"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"{name} {getattr(other, name)} differ from {getattr(self, name)} of others"
                )
        self.n += other.n
        self._error += other._error
        self._square += other._square

    def write_part(self, path: Path, counts: Sequence[CaseCount]) -> None:
        """Write the sums as they are, so that the maps of all parts lose nothing.

        Parameters
        ----------
        path : Path
            The store, which :func:`merge_error_maps` reads.
        counts : sequence of CaseCount
            How many cases there are.
        """
        names = {
            "references": self.references,
            "leads": self.leads,
            "channels": self.channels,
            "grid": asdict(self.grid),
        }
        data = xr.Dataset(
            {
                "n": (DIMENSIONS, self.n),
                "error": ((*DIMENSIONS, "cell"), self._error),
                "square": ((*DIMENSIONS, "cell"), self._square),
            },
            attrs={"provenance": provenance.as_json(), **names, **counts_attribute(counts)},
        )
        write_dataset(path, {"": data})

    @classmethod
    def read_part(cls, path: Path) -> "ErrorMaps":
        """Read the sums of :meth:`write_part`."""
        data = read_dataset(path)
        names = data.attrs
        grid = Grid(**names["grid"])
        channels = names["channels"]
        maps = cls(names["references"], names["leads"], channels, channels, grid)
        maps.n, maps._error, maps._square = (data[name].values for name in ("n", "error", "square"))
        return maps

    def write(self, path: Path) -> None:
        """Write :meth:`dataset` as Zarr v3 with the provenance."""
        data = self.dataset()
        data.attrs = {"Conventions": "CF-1.11", "provenance": provenance.as_json()}
        write_dataset(path, {"": data})


def read_error_maps(path: Path) -> xr.Dataset:
    """Read maps as written by :meth:`ErrorMaps.write` into memory."""
    return read_dataset(path)


def merge_error_maps(paths: Sequence[Path]) -> ErrorMaps:
    """Add up the sums of parts, one at a time.

    Parameters
    ----------
    paths : sequence of Path
        Stores of :meth:`ErrorMaps.write_part`, at least one.

    Returns
    -------
    ErrorMaps
        Of all cases.

    Raises
    ------
    ValueError
        Names the first part that does not fit those before it.
    """
    maps = ErrorMaps.read_part(paths[0])
    for path in paths[1:]:
        try:
            maps.merge(ErrorMaps.read_part(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}; delete it and run again") from error
    return maps
