"""Write best tracks in the CSV format of IBTrACS, version 4.

Format: IBTrACS Version 4 Technical Details and Column Documentation (NCEI). The file has the
columns that readers and checks ask for, in its order. Name and type of each track say that it is
synthetic.
"""

from pathlib import Path

import pandas as pd

from fuxiflow.cyclones.best_tracks import KNOT

UNITS = {
    "SID": "",
    "SEASON": "Year",
    "BASIN": "",
    "NAME": "",
    "ISO_TIME": "",
    "NATURE": "",
    "LAT": "degrees_north",
    "LON": "degrees_east",
    "WMO_WIND": "kts",
    "WMO_PRES": "mb",
    "WMO_AGENCY": "",
    "TRACK_TYPE": "",
    "USA_WIND": "kts",
    "USA_PRES": "mb",
}
"""Columns and their units, which are the second row of a file."""
NAME = "SYNTHETIC"
NATURE = "ET"
"""Extratropical: what the embedded world's storms are."""


def write_best_tracks(path: Path, fixes: pd.DataFrame) -> None:
    """Write fixes as IBTrACS has them: whole knots and hPa, hundredths of a degree.

    Parameters
    ----------
    path : Path
        The file.
    fixes : pd.DataFrame
        ``storm``, ``basin``, ``time``, ``lat``, ``lon`` in degrees, ``wind`` in m s-1 and
        ``pressure`` in hPa.
    """
    lines = [",".join(UNITS), ",".join(unit or " " for unit in UNITS.values())]
    for fix in fixes.sort_values(["storm", "time"]).itertuples():
        lon = (fix.lon + 180.0) % 360.0 - 180.0
        values = {
            "SID": fix.storm,
            "SEASON": fix.time.year,
            "BASIN": fix.basin,
            "NAME": NAME,
            "ISO_TIME": f"{fix.time:%Y-%m-%d %H:%M:%S}",
            "NATURE": NATURE,
            "LAT": f"{fix.lat:.2f}",
            "LON": f"{lon:.2f}",
            "WMO_WIND": round(fix.wind / KNOT),
            "WMO_PRES": round(fix.pressure),
            "WMO_AGENCY": "fuxiflow",
            "TRACK_TYPE": "synthetic",
        }
        lines.append(",".join(str(values.get(name, " ")) for name in UNITS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
