"""Best tracks of tropical cyclones from IBTrACS, CSV or NetCDF, as one tidy table.

Format: IBTrACS Version 4 Technical Details and Column Documentation (NCEI); Knapp et al., 2010, BAMS 91, 363-376.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.observations.decoding_process import DecodingFailure, DecodingProcess
from fuxiflow.physics import great_circle

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
WIND_RANGE, PRESSURE_RANGE = (0.0, 120.0), (850.0, 1050.0)
"""m s-1 and hPa; the records are 95 m s-1 (Patricia, 2015) and 870 hPa (Tip, 1979)."""
LEAP = 1_000.0
"""km: a fix farther from the one before and from the one after it, of six hours or less, is no fix of that storm."""
_UNITS = {
    "lat": ("degrees_north",),
    "lon": ("degrees_east",),
    "wmo_wind": ("kts",),
    "usa_wind": ("kts",),
    "wmo_pres": ("mb",),
    "usa_pres": ("mb",),
}
_TEXTS = ("sid", "name", "basin", "nature")
_FIRST, _LAST = np.datetime64("1840-01-01", "us"), np.datetime64("2100-01-01", "us")
_EPOCH = np.datetime64("1858-11-17", "us")
_NETCDF = (b"CDF\1", b"CDF\2", b"CDF\5", b"\x89HDF")


def read_best_tracks(path: Path) -> pd.DataFrame:
    """The fixes of a file, by storm and time: :data:`COLUMNS`, lat and lon in degrees, lon in [-180, 180).

    ``storm`` is IBTrACS' identifier; ``wind`` (m s-1, averaged as the agency does) and ``pressure`` (hPa) are those of
    the responsible WMO agency, ``intensity`` ``wmo``; where it gives neither, those of the US agencies (wind over one
    minute), ``usa``; NaN and empty without. Fixes that cannot be used are left out: ``.attrs["rejected"]`` counts them
    by reason. ValueError when the file is not IBTrACS, damaged, or in other units.
    """
    path = Path(path)
    with open(path, "rb") as file:
        netcdf = file.read(4) in _NETCDF
    raw = _from_netcdf(path) if netcdf else _from_csv(path)
    return _tidy(raw)


def _from_csv(path: Path) -> pd.DataFrame:
    """Columns as texts, by their names in small letters; the second row, which holds units, is checked. Rows with more
    or fewer fields than columns are left out, counted in ``.attrs["rejected"]``."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    commas = lines[0].count(",") if lines else 0
    whole = [line for line in lines if line.count(",") == commas]
    if not commas:
        raise ValueError(f"{path}: not IBTrACS, it has no columns")
    rows = pd.read_csv(
        io.StringIO("\n".join(whole)),
        dtype=str,
        keep_default_na=False,
        skipinitialspace=True,
        quoting=csv.QUOTE_NONE,
        index_col=False,
        low_memory=False,
    )  # NA is a basin, a quote is damage
    rows.columns = [str(name).strip().lower() for name in rows.columns]
    _lacking(path, rows.columns, lambda name: rows.at[0, name].strip() if len(rows) else "")
    found = (
        rows.iloc[1:].apply(lambda column: column.str.strip()).rename(columns={"iso_time": "time"})
    )
    found.attrs["rejected"] = {"fields": len(lines) - len(whole)} if len(whole) < len(lines) else {}
    return found


def _lacking(path: Path, names, unit: Callable[[str], str]) -> None:
    """ValueError when columns are absent or in other units."""
    lacking = sorted(
        {"sid", "name", "basin", "nature", "lat", "lon", "wmo_wind", "wmo_pres"} - set(names)
    )
    if lacking or not {"time", "iso_time"} & set(names):
        raise ValueError(f"{path}: not IBTrACS, it lacks {', '.join(lacking) or 'time'}")
    for name, allowed in _UNITS.items():
        if name in names and unit(name) not in allowed:
            raise ValueError(f"{path}: {name} in {unit(name)!r}, expected {' or '.join(allowed)}")


def _from_netcdf(path: Path) -> pd.DataFrame:
    with DecodingProcess(_fixes, timeout=300.0) as decoder:
        found = decoder(path.read_bytes())
    if isinstance(found, DecodingFailure):
        raise ValueError(f"{path}: {found.why}")
    columns, units = found
    _lacking(path, columns, lambda name: units[name])
    return pd.DataFrame(columns)


def _fixes(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns ``(fix,)`` of a NetCDF file's variables (storm, date_time), and their units."""
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
        seconds = np.round(np.nan_to_num(days) * 86_400).astype(
            "timedelta64[s]"
        )  # IBTrACS keeps whole minutes
        columns["time"] = np.where(np.isfinite(days), _EPOCH + seconds, np.datetime64("NaT"))
        return {name: values[used] for name, values in columns.items()}, units


def _tidy(raw: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`read` from columns as a file has them."""

    def number(name: str) -> pd.Series:
        return (
            pd.to_numeric(raw[name], errors="coerce")
            if name in raw
            else pd.Series(np.nan, raw.index)
        )

    def bounded(values: pd.Series, limits: tuple[float, float]) -> pd.Series:
        return values.where((values > limits[0]) & (values <= limits[1]))

    wind, pressure = number("wmo_wind") * KNOT, number("wmo_pres")
    other_wind, other_pressure = number("usa_wind") * KNOT, number("usa_pres")
    wind, other_wind = (bounded(values, WIND_RANGE) for values in (wind, other_wind))
    pressure, other_pressure = (
        bounded(values, PRESSURE_RANGE) for values in (pressure, other_pressure)
    )
    of_wmo, of_usa = wind.notna() | pressure.notna(), other_wind.notna() | other_pressure.notna()
    found = pd.DataFrame(
        {
            "storm": raw["sid"],
            "name": raw["name"],
            "basin": raw["basin"],
            "nature": raw["nature"],
            "time": pd.to_datetime(raw["time"], errors="coerce", format="ISO8601"),
            "lat": number("lat"),
            "lon": number("lon"),
            "wind": wind.where(of_wmo, other_wind),
            "pressure": pressure.where(of_wmo, other_pressure),
            "intensity": np.select([of_wmo, of_usa], ["wmo", "usa"], ""),
        }
    )
    found["time"] = found["time"].astype("datetime64[us]")
    rejected = dict(raw.attrs.get("rejected", {}))

    def keep(good: pd.Series, reason: str) -> None:
        nonlocal found
        if not good.all():
            rejected[reason] = int((~good).sum())
        found = found[good]

    keep(found["storm"].str.fullmatch(r"\d{7}[NS]\d{5}"), "identifier")
    keep((found["time"] >= _FIRST) & (found["time"] < _LAST), "time")
    keep((found["lat"].abs() <= 90) & found["lon"].between(-180, 360), "location")
    found = found.assign(lon=(found["lon"] + 180.0) % 360.0 - 180.0).sort_values(
        ["storm", "time"], kind="stable"
    )
    keep(~found.duplicated(["storm", "time"]), "duplicate")
    keep(~_leaps(found), "leap")
    found = found.reset_index(drop=True)[list(COLUMNS)]
    found.attrs["rejected"] = rejected
    return found


def _leaps(fixes: pd.DataFrame) -> pd.Series:
    """Which fixes lie more than :data:`LEAP` from both neighbours in time, where both are within six hours."""
    if fixes.empty:
        return pd.Series(False, fixes.index)
    lat, lon = fixes["lat"].to_numpy(), fixes["lon"].to_numpy()
    storm, time = fixes["storm"].to_numpy(), fixes["time"].to_numpy()
    near = (storm[1:] == storm[:-1]) & (np.diff(time) <= np.timedelta64(6, "h"))
    far = near & (great_circle(lat[1:], lon[1:], lat[:-1], lon[:-1]) > LEAP)
    return pd.Series(np.r_[False, far] & np.r_[far, False], fixes.index)
