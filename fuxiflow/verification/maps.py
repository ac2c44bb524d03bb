"""Maps of the time-mean error and the RMSE of forecasts at chosen leads and channels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import read_dataset, write_dataset


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
        dims = ("reference", "lead_time", "channel")
        count = np.where(self.n > 0, self.n, np.nan)[..., None]
        shape = (*self.n.shape, *self.grid.shape)
        fields = {
            "error": (self._error / count, "mean error (forecast - reference)"),
            "rmse": (np.sqrt(self._square / count), "root mean squared error"),
        }
        data = xr.Dataset(
            {
                name: (
                    (*dims, "lat", "lon"),
                    values.reshape(shape).astype(np.float32),
                    {"long_name": text},
                )
                for name, (values, text) in fields.items()
            }
        )
        data["n"] = dims, self.n, {"long_name": "cases"}
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

    def write(self, path: Path) -> None:
        """Write :meth:`dataset` as Zarr v3 with the provenance."""
        data = self.dataset()
        data.attrs = {"Conventions": "CF-1.11", "provenance": provenance.as_json()}
        write_dataset(path, {"": data})


def read_error_maps(path: Path) -> xr.Dataset:
    """Read maps as written by :meth:`ErrorMaps.write` into memory."""
    return read_dataset(path)
