"""Best tracks of tropical cyclones from IBTrACS, CSV or NetCDF, as one tidy table.

Format: IBTrACS Version 4 Technical Details and Column Documentation (NCEI); Knapp et al., 2010,
BAMS 91, 363-376.
"""

import csv
import io
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.observations.decoding_process import DecodingFailure, DecodingProcess
from fuxiflow.physics import great_circle
from fuxiflow.storage.raw_files import verified_files

COLUMNS = (
    "storm",
    "name",
    "basin",
    "nature",
    "time",
    "lat",
    "lon",
    "wind",
    "pressure",
    "intensity",
)
KNOT = 1852.0 / 3600.0
"""m s-1 (definition of the international nautical mile)."""
WIND_RANGE = (0.0, 120.0)
"""m s-1; the record is 95 m s-1 (Patricia, 2015)."""
PRESSURE_RANGE = (850.0, 1050.0)
"""hPa; the record is 870 hPa (Tip, 1979)."""
LEAP = 1_000.0
"""km: a fix farther from the one before and from the one after it, of six hours or less, is no fix
of that storm."""
_UNITS = {
    "lat": ("degrees_north",),
    "lon": ("degrees_east",),
    "wmo_wind": ("kts",),
    "usa_wind": ("kts",),
    "wmo_pres": ("mb",),
    "usa_pres": ("mb",),
}
_TEXTS = ("sid", "name", "basin", "nature")
_READ = {*_TEXTS, "time", "iso_time", *_UNITS}
"""Columns of CSV files that are kept, of some 170."""
_FIRST, _LAST = np.datetime64("1840-01-01", "us"), np.datetime64("2100-01-01", "us")
_EPOCH = np.datetime64("1858-11-17", "us")
_NETCDF = (b"CDF\1", b"CDF\2", b"CDF\5", b"\x89HDF")


def read_best_tracks(path: Path) -> pd.DataFrame:
    """Read the fixes of a file.

    Returns
    -------
    pd.DataFrame
        :data:`COLUMNS` by storm and time; lat and lon in degrees, lon in [-180, 180). ``storm`` is
        IBTrACS' identifier; ``wind`` (m s-1, averaged as the agency does) and ``pressure`` (hPa)
        are those of the responsible WMO agency, with ``wmo`` as ``intensity``; where it gives
        neither, those of the US agencies (wind over one minute), with ``usa``; NaN and empty
        without. Fixes that cannot be used are left out: ``.attrs["rejected"]`` counts them by
        reason.

    Raises
    ------
    ValueError
        When the file is not IBTrACS, damaged, or in other units.
    """
    path = Path(path)
    with open(path, "rb") as file:
        netcdf = file.read(4) in _NETCDF
    raw = _from_netcdf(path) if netcdf else _from_csv(path)
    return _tidy(raw)


def find_best_tracks(raw: Path) -> Path:
    """Return the one file of best tracks of a raw input: a file, a folder or a receipt.

    ValueError lists the files where there are several, or none.
    """
    paths = verified_files(raw).paths
    if len(paths) != 1:
        there = ", ".join(path.name for path in paths) or "none"
        raise ValueError(f"{raw}: one file of IBTrACS is expected, there are: {there}")
    return paths[0]


def within_days(fixes: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    """Return the fixes of some days.

    Parameters
    ----------
    fixes : pd.DataFrame
        Fixes, as :func:`read_best_tracks` returns them.
    first, last : date
        The days, both included.

    Returns
    -------
    pd.DataFrame
        The fixes of these days, numbered from 0.
    """
    start, end = np.datetime64(first, "D"), np.datetime64(last, "D") + 1
    time = fixes["time"].to_numpy()
    return fixes[(time >= start) & (time < end)].reset_index(drop=True)


def _from_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file's columns as texts, by their names in small letters.

    The second row, which holds units, is checked. Rows with more or fewer fields than columns are
    left out and counted in ``.attrs["rejected"]``.
    """
    # damaged octets must not cost the whole file
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    commas = lines[0].count(",") if lines else 0
    whole = [line for line in lines if line.count(",") == commas]
    if not commas:
        raise ValueError(f"{path}: not IBTrACS, it has no columns")
    # "NA" is a basin and no missing value; a quote is damage
    rows = pd.read_csv(
        io.StringIO("\n".join(whole)),
        dtype=str,
        usecols=lambda name: str(name).strip().lower() in _READ,
        keep_default_na=False,
        skipinitialspace=True,
        quoting=csv.QUOTE_NONE,
        index_col=False,
        low_memory=False,
    )
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    _check_columns(path, rows.columns, lambda name: rows.at[0, name].strip() if len(rows) else "")
    fixes = rows.iloc[1:].apply(lambda column: column.str.strip())
    fixes = fixes.rename(columns={"iso_time": "time"})
    fixes.attrs["rejected"] = {"fields": len(lines) - len(whole)} if len(whole) < len(lines) else {}
    return fixes


def _check_columns(path: Path, names: Iterable[str], unit: Callable[[str], str]) -> None:
    """Check that a file has the columns of IBTrACS.

    Parameters
    ----------
    path : Path
        The file, for messages.
    names : Iterable[str]
        Names of its columns.
    unit : Callable[[str], str]
        Returns the unit of a column.

    Raises
    ------
    ValueError
        When columns are absent or in other units.
    """
    lacking = sorted(
        {"sid", "name", "basin", "nature", "lat", "lon", "wmo_wind", "wmo_pres"} - set(names)
    )
    if lacking or not {"time", "iso_time"} & set(names):
        raise ValueError(f"{path}: not IBTrACS, it lacks {', '.join(lacking) or 'time'}")
    for name, allowed in _UNITS.items():
        if name in names and unit(name) not in allowed:
            raise ValueError(f"{path}: {name} in {unit(name)!r}, expected {' or '.join(allowed)}")


def _from_netcdf(path: Path) -> pd.DataFrame:
    """Read a NetCDF file's columns; in a process of its own, as netCDF4 may crash on damage."""
    with DecodingProcess(_fixes, timeout=300.0) as process:
        decoded = process(path.read_bytes())
    if isinstance(decoded, DecodingFailure):
        raise ValueError(f"{path}: {decoded.why}")
    columns, units = decoded
    _check_columns(path, columns, lambda name: units[name])
    return pd.DataFrame(columns)


def _fixes(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Decode a NetCDF file's variables (storm, date_time) to columns ``(fix,)`` and their units."""
    import netCDF4

    with netCDF4.Dataset("tracks", memory=data) as file:
        shape = file["lat"].shape
        columns, units = {}, {}
        for name in (*_TEXTS, "time", *_UNITS):
            if name not in file.variables:
                continue
            variable = file[name]
            units[name] = str(getattr(variable, "units", ""))
            values = variable[:]
            if name in _TEXTS:
                texts = np.char.strip(
                    netCDF4.chartostring(np.ma.filled(values, b" "), encoding="ascii"), " \0"
                )
                columns[name] = np.broadcast_to(
                    texts[:, None] if texts.ndim == 1 else texts, shape
                ).ravel()
            elif values.shape == shape:
                columns[name] = np.ma.filled(np.ma.asarray(values, np.float64), np.nan).ravel()
            else:
                raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
        used = np.isfinite(columns["time"])
        if units["time"].split(" ")[:2] != ["days", "since"] or "1858-11-17" not in units["time"]:
            raise ValueError(f"time in {units['time']!r}, expected days since 1858-11-17")
        days = np.where(np.abs(columns["time"]) < 1e5, columns["time"], np.nan)
        # IBTrACS keeps whole minutes
        seconds = np.round(np.nan_to_num(days) * 86_400).astype("timedelta64[s]")
        columns["time"] = np.where(np.isfinite(days), _EPOCH + seconds, np.datetime64("NaT"))
        return {name: values[used] for name, values in columns.items()}, units


def _tidy(raw: pd.DataFrame) -> pd.DataFrame:
    """Make the table of :func:`read_best_tracks` from columns as a file has them."""

    def number(name: str) -> pd.Series:
        return (
            pd.to_numeric(raw[name], errors="coerce")
            if name in raw
            else pd.Series(np.nan, raw.index)
        )

    def bounded(values: pd.Series, limits: tuple[float, float]) -> pd.Series:
        return values.where((values > limits[0]) & (values <= limits[1]))

    wind = bounded(number("wmo_wind") * KNOT, WIND_RANGE)
    pressure = bounded(number("wmo_pres"), PRESSURE_RANGE)
    usa_wind = bounded(number("usa_wind") * KNOT, WIND_RANGE)
    usa_pressure = bounded(number("usa_pres"), PRESSURE_RANGE)
    of_wmo = wind.notna() | pressure.notna()
    of_usa = usa_wind.notna() | usa_pressure.notna()
    fixes = pd.DataFrame(
        {
            "storm": raw["sid"],
            "name": raw["name"],
            "basin": raw["basin"],
            "nature": raw["nature"],
            "time": pd.to_datetime(raw["time"], errors="coerce", format="ISO8601"),
            "lat": number("lat"),
            "lon": number("lon"),
            "wind": wind.where(of_wmo, usa_wind),
            "pressure": pressure.where(of_wmo, usa_pressure),
            "intensity": np.select([of_wmo, of_usa], ["wmo", "usa"], ""),
        }
    )
    fixes["time"] = fixes["time"].astype("datetime64[us]")
    rejected = dict(raw.attrs.get("rejected", {}))

    def keep(good: pd.Series, reason: str) -> None:
        nonlocal fixes
        if not good.all():
            rejected[reason] = int((~good).sum())
        fixes = fixes[good]

    keep(fixes["storm"].str.fullmatch(r"\d{7}[NS]\d{5}"), "identifier")
    keep((fixes["time"] >= _FIRST) & (fixes["time"] < _LAST), "time")
    keep((fixes["lat"].abs() <= 90) & fixes["lon"].between(-180, 360), "location")
    fixes = fixes.assign(lon=(fixes["lon"] + 180.0) % 360.0 - 180.0).sort_values(
        ["storm", "time"], kind="stable"
    )
    keep(~fixes.duplicated(["storm", "time"]), "duplicate")
    keep(~_leaps(fixes), "leap")
    fixes = fixes.reset_index(drop=True)[list(COLUMNS)]
    fixes.attrs["rejected"] = rejected
    return fixes


def _leaps(fixes: pd.DataFrame) -> pd.Series:
    """Find fixes more than :data:`LEAP` from both neighbours in time, both within six hours."""
    if fixes.empty:
        return pd.Series(False, fixes.index)
    lat, lon = fixes["lat"].to_numpy(), fixes["lon"].to_numpy()
    storm, time = fixes["storm"].to_numpy(), fixes["time"].to_numpy()
    near = (storm[1:] == storm[:-1]) & (np.diff(time) <= np.timedelta64(6, "h"))
    far = near & (great_circle(lat[1:], lon[1:], lat[:-1], lon[:-1]) > LEAP)
    return pd.Series(np.r_[False, far] & np.r_[far, False], fixes.index)
