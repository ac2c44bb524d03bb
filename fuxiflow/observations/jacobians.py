"""Jacobian tables: the response of a sounder's brightness temperatures to the atmosphere's state.

Two layouts, both made by a radiative transfer model outside this project:

- NetCDF or Zarr, as xarray opens them: ``jacobian (profile, channel, state)`` in K per unit of the
  state, ``channel`` numbers, ``wavenumber (channel)`` in cm-1, ``noise (channel)`` in K,
  ``pressure (state)`` in hPa, ``variable (state)`` names, and either
  ``background_covariance (state, state2)`` or ``background_std (state)``;
- Parquet, one row for each profile, channel and element of the state: profile, channel, wavenumber,
  noise, variable, pressure, background_std, jacobian.

From standard deviations the covariance between levels of one variable falls with their distance in
ln p, as std std' exp(-distance / length); variables are independent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

COLUMNS = (
    "profile",
    "channel",
    "wavenumber",
    "noise",
    "variable",
    "pressure",
    "background_std",
    "jacobian",
)


@dataclass(frozen=True)
class JacobianTable:
    """Jacobians, noise and background covariance of the channels of a sounder.

    Attributes
    ----------
    channel : np.ndarray
        Channel numbers, ``(channel,)``.
    wavenumber : np.ndarray
        In cm-1, ``(channel,)``.
    noise : np.ndarray
        In K, ``(channel,)``.
    pressure : np.ndarray
        In hPa, ``(state,)``.
    variable : np.ndarray
        Names, ``(state,)``.
    jacobian : np.ndarray
        In K per unit of the state, ``(profile, channel, state)``.
    background : np.ndarray
        Covariance, ``(state, state)``.

    Raises
    ------
    ValueError
        For shapes that do not fit, values that are not finite, channels that occur twice, noise or
        pressure that is not positive, and a background that is not a covariance.
    """

    channel: np.ndarray
    wavenumber: np.ndarray
    noise: np.ndarray
    pressure: np.ndarray
    variable: np.ndarray
    jacobian: np.ndarray
    background: np.ndarray

    def __post_init__(self):
        channels, state = len(self.channel), len(self.pressure)
        for name, shape in (
            ("wavenumber", (channels,)),
            ("noise", (channels,)),
            ("variable", (state,)),
            ("background", (state, state)),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        if (
            self.jacobian.ndim != 3
            or self.jacobian.shape[1:] != (channels, state)
            or not self.jacobian.size
        ):
            raise ValueError(
                f"jacobian has shape {self.jacobian.shape}, expected (profile, {channels}, {state})"
            )
        for name in ("wavenumber", "noise", "pressure", "jacobian", "background"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} has values that are missing or not finite")
        if not np.issubdtype(self.channel.dtype, np.integer):
            raise ValueError(f"channel numbers are {self.channel.dtype}, expected whole numbers")
        if len(np.unique(self.channel)) < channels:
            raise ValueError("a channel number occurs twice")
        for name in ("noise", "pressure"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"{name} must be positive")
        for name in np.unique(self.variable):
            step = np.diff(self.pressure[self.variable == name])
            if not ((step > 0).all() or (step < 0).all()):
                raise ValueError(f"pressures of {name} neither increase nor decrease")
        scale = np.abs(self.background).max()
        if not np.allclose(self.background, self.background.T, rtol=0, atol=1e-8 * scale):
            raise ValueError("the background covariance is not symmetric")
        try:
            np.linalg.cholesky(self.background)
        except np.linalg.LinAlgError as error:
            raise ValueError("the background covariance is not positive definite") from error


def background_covariance(
    std: np.ndarray, pressure: np.ndarray, variable: np.ndarray, length: float
) -> np.ndarray:
    """Build a background covariance from standard deviations.

    Parameters
    ----------
    std : np.ndarray
        Standard deviations, ``(state,)``.
    pressure : np.ndarray
        In hPa, ``(state,)``.
    variable : np.ndarray
        Names, ``(state,)``: different variables are independent.
    length : float
        Distance in ln p over which correlations fall to 1/e; 0 for none.

    Returns
    -------
    np.ndarray
        ``(state, state)``.

    Raises
    ------
    ValueError
        For a negative length.
    """
    if not length >= 0:
        raise ValueError(f"correlation length {length}: must be 0 or more, in ln p")
    height = np.log(pressure)
    distance = np.abs(height[:, None] - height)
    correlation = np.exp(-distance / length) if length else np.eye(len(std))
    return std[:, None] * std * correlation * (variable[:, None] == variable)


def _require(names: Iterable[str], required: Iterable[str], path: Path) -> None:
    """Check that a table has the columns it needs.

    Parameters
    ----------
    names : Iterable[str]
        Columns of the table.
    required : Iterable[str]
        Columns that it needs.
    path : Path
        The table, for the message.

    Raises
    ------
    ValueError
        Where it lacks some; the message names them.
    """
    lacking = sorted(set(required) - set(names))
    if lacking:
        raise ValueError(f"{path}: not a Jacobian table, it lacks {', '.join(lacking)}")


def _from_xarray(path: Path, length: float) -> JacobianTable:
    # Imported here, as it takes seconds: Parquet tables do without.
    import xarray as xr

    options = (
        {"engine": "zarr", "consolidated": False}
        if path.suffix == ".zarr"
        else {"engine": "netcdf4"}
    )
    with xr.open_dataset(path, **options) as data:
        _require(
            data.variables,
            ("jacobian", "channel", "wavenumber", "noise", "pressure", "variable"),
            path,
        )
        if set(data["jacobian"].dims) != {"profile", "channel", "state"}:
            raise ValueError(
                f"{path}: jacobian is {data['jacobian'].dims}, expected (profile, channel, state)"
            )
        columns = {
            name: data[name].values for name in ("channel", "wavenumber", "noise", "pressure")
        }
        variable = np.array([str(name) for name in data["variable"].values])
        jacobian = data["jacobian"].transpose("profile", "channel", "state").values.astype(float)
        if "background_covariance" in data:
            background = data["background_covariance"].values.astype(float)
        else:
            _require(data.variables, ("background_std",), path)
            background = background_covariance(
                data["background_std"].values, columns["pressure"], variable, length
            )
    return JacobianTable(**columns, variable=variable, jacobian=jacobian, background=background)


def _from_parquet(path: Path, length: float) -> JacobianTable:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error})") from error
    _require(schema.names, COLUMNS, path)
    rows = pd.read_parquet(path, columns=list(COLUMNS))
    # A channel whose wavenumber or noise changes counts twice here, so the number of rows will
    # not fit.
    channels = rows.drop_duplicates(["channel", "wavenumber", "noise"]).sort_values("channel")
    state = rows.drop_duplicates(["variable", "pressure", "background_std"]).sort_values(
        ["variable", "pressure"]
    )
    shape = rows["profile"].nunique(), len(channels), len(state)
    keys = ["profile", "channel", "variable", "pressure"]
    if len(rows) != np.prod(shape) or rows.duplicated(keys).any():
        raise ValueError(
            f"{path}: {len(rows)} rows, expected one for each of {shape[0]} profiles, "
            f"{shape[1]} channels and {shape[2]} elements of the state, whose properties do not "
            f"change from row to row"
        )
    jacobian = rows.sort_values(keys)["jacobian"].to_numpy(float).reshape(shape)
    pressure = state["pressure"].to_numpy(float)
    variable = state["variable"].to_numpy(str)
    return JacobianTable(
        channels["channel"].to_numpy(),
        channels["wavenumber"].to_numpy(float),
        channels["noise"].to_numpy(float),
        pressure,
        variable,
        jacobian,
        background_covariance(state["background_std"].to_numpy(float), pressure, variable, length),
    )


def read_jacobians(path: Path, correlation_length: float = 0.0) -> JacobianTable:
    """Read a table in either layout, told by its suffix: .nc, .zarr or .parquet.

    Parameters
    ----------
    path : Path
        The table.
    correlation_length : float
        Of background errors, in ln p; used where the table has standard deviations alone.

    Returns
    -------
    JacobianTable
        The table, checked.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the table is wrong; the message says in what.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix in (".nc", ".zarr"):
        return _from_xarray(path, correlation_length)
    if path.suffix == ".parquet":
        return _from_parquet(path, correlation_length)
    raise ValueError(f"{path}: not one of .nc, .zarr, .parquet")
