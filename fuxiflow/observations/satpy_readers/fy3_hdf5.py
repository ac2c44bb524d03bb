"""satpy file handler of FY-3 microwave sounders, level 1 HDF5 (MWTS-II/-III, MWHS-II).

NSMC's format description is not openly published. The layout is what public readers of FY-3D, -E
and -F files agree on: ``Data/Earth_Obs_BT`` with the channel axis first or last;
``Geolocation/{Latitude, Longitude, SensorZenith, SensorAzimuth, SolarZenith, SolarAzimuth,
Scnlin_daycnt, Scnlin_mscnt}``; physical value = Slope x stored + Intercept, either a scalar or one
for each channel, a Slope of 0 meaning 1; root attributes ``Satellite Name``, ``Sensor Name``,
``Observing {Beginning, Ending} {Date, Time}``.
"""

from datetime import date, datetime, time

import dask.array as da
import h5py
import numpy as np
import xarray as xr
from satpy.readers.core.hdf5 import HDF5FileHandler

TEMPERATURE = "Data/Earth_Obs_BT"
GEOLOCATION = "Geolocation/"
# Public readers count the days from noon of 2000-01-01, J2000; should a file differ, its own period
# tells.
EPOCHS = tuple(
    np.datetime64(day, "us") for day in ("2000-01-01T12:00", "2000-01-01T00:00", "1958-01-01T00:00")
)
_UNITS = 1000.0, 100.0  # microseconds of a millisecond count; some files count tenths
_MARGIN = np.timedelta64(60, "s")
_LARGEST = 100_000_000  # values of a data set; an orbit of MWHS-II has 4 million


def _text(value) -> str:
    """Return an attribute as text, whatever its type and shape."""
    value = np.ravel(value)[0]
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip("\0 ")


class FY3SounderFile(HDF5FileHandler):
    """A level 1 file; arrays are read whole and decoded by :meth:`values`."""

    def _moment(self, word: str) -> datetime:
        day, clock = (_text(self[f"/attr/Observing {word} {part}"]) for part in ("Date", "Time"))
        return datetime.combine(
            date.fromisoformat(day), time.fromisoformat(clock).replace(tzinfo=None)
        )

    @property
    def start_time(self) -> datetime:
        """Begin of the observations, UTC.

        KeyError or ValueError when the attributes are missing or damaged.
        """
        return self._moment("Beginning")

    @property
    def end_time(self) -> datetime:
        """End of the observations, UTC."""
        return self._moment("Ending")

    @property
    def platform_name(self) -> str:
        """Name of the platform, such as ``FY-3E``."""
        return _text(self["/attr/Satellite Name"])

    @property
    def sensor_name(self) -> str:
        """Name of the instrument, such as ``MWTS``; empty where the file does not say."""
        for name in ("Sensor Name", "Sensor Identification Code"):
            if f"/attr/{name}" in self:
                return _text(self[f"/attr/{name}"])
        return ""

    @property
    def shape(self) -> tuple[int, int]:
        """Scans and positions."""
        return self[GEOLOCATION + "Latitude/shape"]

    def _attribute(self, key: str, name: str, default: float) -> np.ndarray:
        """Read a numeric attribute.

        Parameters
        ----------
        key : str
            Path of the data set.
        name : str
            Name of the attribute.
        default : float
            The value where it is absent.

        Returns
        -------
        np.ndarray
            The attribute's values ``(n,)``.
        """
        return np.ravel(np.asarray(self._attrs_cache.get(key, {}).get(name, default), float))

    def values(self, key: str, axis: int | None = None) -> np.ndarray:
        """Read a data set in its unit, float64, NaN for fill values.

        ``axis`` is the one of the channels, each of which may have its own Slope and Intercept.
        ValueError when these have another length, or when the data set is larger than any real one.
        """
        if np.prod(self[key + "/shape"], dtype=float) > _LARGEST:
            raise ValueError(f"{key} claims the shape {self[key + '/shape']}")
        unread = None
        with h5py.File(self.filename, "r") as file:
            try:
                stored = file[key][()]
            except OSError as error:
                stored, unread = self._readable(file[key], error)
        with np.errstate(invalid="ignore", over="ignore"):
            values = stored.astype(float)
        if unread is not None:
            values[unread] = np.nan
        for name in ("FillValue", "_FillValue"):
            for fill in self._attribute(key, name, np.nan):
                values[stored == fill] = np.nan
        slope, intercept = (
            self._attribute(key, name, default)
            for name, default in (("Slope", 1), ("Intercept", 0))
        )
        # what is stored as floats has a slope of 0
        slope = np.where(slope == 0, 1.0, slope)
        scale, offset = (
            self._broadcast(key, factor, values, axis) for factor in (slope, intercept)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            return values * scale + offset

    def _readable(
        self, stored: h5py.Dataset, error: OSError
    ) -> tuple[np.ndarray, tuple | np.ndarray]:
        """Read a damaged data set scan by scan.

        Parameters
        ----------
        stored : h5py.Dataset
            The data set. Its axis of scans is the one that is as long as the latitudes' first.
        error : OSError
            What reading the whole of it failed with; raised again where no scan can be read.

        Returns
        -------
        values : np.ndarray
            The data set, zero where it cannot be read.
        unread : tuple
            Index of the scans that cannot be read.
        """
        count = self.shape[0]
        if count not in stored.shape:
            raise error
        axis = stored.shape.index(count)
        values = np.zeros(stored.shape, stored.dtype)
        unread = []
        for scan in range(count):
            place = (slice(None),) * axis + (scan,)
            try:
                values[place] = stored[place]
            except OSError:
                unread.append(scan)
        if len(unread) == count:
            raise error
        return values, (slice(None),) * axis + (unread,)

    @staticmethod
    def _broadcast(
        key: str, factor: np.ndarray, values: np.ndarray, axis: int | None
    ) -> np.ndarray:
        """Shape a factor so that it broadcasts to a data set.

        Parameters
        ----------
        key : str
            Path of the data set, for the message.
        factor : np.ndarray
            One factor, or one for each channel, ``(n,)``.
        values : np.ndarray
            The data set.
        axis : int | None
            Its axis of channels, if there is one.

        Returns
        -------
        np.ndarray
            The factor, a scalar or with ``values.ndim`` axes.

        Raises
        ------
        ValueError
            When the number of factors is not that of the channels.
        """
        if factor.size == 1:
            return factor[0]
        if axis is None or factor.size != values.shape[axis]:
            raise ValueError(
                f"{key} of shape {values.shape} has {factor.size} slopes or intercepts"
            )
        shape = [1] * values.ndim
        shape[axis] = -1
        return factor.reshape(shape)

    def brightness_temperatures(self) -> np.ndarray:
        """Return brightness temperatures ``(scan, position, channel)`` in K.

        The file may have its channel axis first or last. ValueError when the other two axes are not
        those of the latitudes.
        """
        shape = tuple(self[TEMPERATURE + "/shape"])
        swath = tuple(self.shape)
        if len(shape) != 3 or swath not in (shape[1:], shape[:2]):
            raise ValueError(f"{TEMPERATURE} has the shape {shape}, the latitudes {swath}")
        axis = 0 if shape[1:] == swath else 2
        return np.moveaxis(self.values(TEMPERATURE, axis), axis, -1)

    def times(self) -> np.ndarray:
        """Return the time of each scan ``(scan,)``, datetime64[us], NaT where missing.

        The day's epoch and the unit of the count within the day are those that put the middle scan
        into the period of the file's attributes; without any such, all are NaT.
        """
        days, counts = (
            np.ravel(self.values(GEOLOCATION + name)) for name in ("Scnlin_daycnt", "Scnlin_mscnt")
        )
        if len(days) != len(counts) or len(days) != self.shape[0]:
            raise ValueError(
                f"{len(days)} days and {len(counts)} milliseconds for {self.shape[0]} scans"
            )
        start, end = (np.datetime64(moment, "us") for moment in (self.start_time, self.end_time))
        valid = (days >= 0) & (days < 100_000) & (counts >= 0) & (counts < 864_000_000)
        if not valid.any():
            return np.full(len(days), np.datetime64("NaT"), "datetime64[us]")
        # the middle scan: some of the others may be damaged
        for epoch in EPOCHS:
            for unit in _UNITS:
                elapsed = np.where(valid, days * 86_400e6 + counts * unit, 0.0)
                times = epoch + np.rint(elapsed).astype("timedelta64[us]")
                middle = np.sort(times[valid])[valid.sum() // 2]
                if start - _MARGIN <= middle <= end + _MARGIN:
                    return np.where(valid, times, np.datetime64("NaT"))
        return np.full(len(days), np.datetime64("NaT"), "datetime64[us]")

    def get_dataset(self, dataset_id, info) -> xr.DataArray:
        """Return one channel, coordinate or angle as satpy expects it."""
        if "channel_index" in info:
            values = self.brightness_temperatures()[..., info["channel_index"]]
        else:
            values = self.values(info["file_key"])
        attributes = {name: info[name] for name in ("units", "standard_name") if name in info}
        attributes |= {
            "platform_name": self.platform_name,
            "sensor": info["sensor"],
            "start_time": self.start_time,
            "end_time": self.end_time,
        }
        return xr.DataArray(
            da.from_array(values.astype(np.float32), chunks=-1), dims=("y", "x"), attrs=attributes
        )
