"""``error_maps``: mean error of forecasts on the globe, by channel and lead time."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import maps, style
from fuxiflow.verification.maps import read_error_maps


def table(path: Path, reference: str) -> pd.DataFrame:
    """Gather the mean error (forecast - reference) by channel, lead_time (h) and cell.

    Fine grids are averaged over blocks. ValueError names the file when it has no maps against
    ``reference``.
    """
    data = read_error_maps(path)
    references = [str(name) for name in data["reference"].values]
    if reference not in references:
        raise style.missing_rows(
            f"no error maps against {reference!r}, known: {', '.join(references)}",
            path,
            "see verification.references in the configuration",
        )
    data = data.sel(reference=reference)
    frames = []
    for channel in data["channel"].values:
        for lead in data["lead_time"].values:
            part = data.sel(channel=channel, lead_time=lead)
            field, lat, lon = maps.coarsen(
                part["error"].values, data["lat"].values, data["lon"].values
            )
            place = np.meshgrid(lat, lon, indexing="ij")
            frames.append(
                pd.DataFrame(
                    {
                        "reference": reference,
                        "channel": str(channel),
                        "unit": style.channel_unit(str(channel)),
                        "lead_time": int(lead),
                        "n": int(part["n"]),
                        "lat": place[0].ravel(),
                        "lon": place[1].ravel(),
                        "error": field.ravel(),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def _lead_label(hours: int) -> str:
    """Return a lead time in days, or in hours where it is no half day."""
    return f"day {hours / 24:g}" if hours % 12 == 0 else f"{hours} h"


def draw(table: pd.DataFrame) -> Figure:
    """Draw a row of maps for each channel on one colour scale, a column for each lead time."""
    channels = list(dict.fromkeys(table["channel"]))
    leads = sorted(set(table["lead_time"]))
    figure = style.new_figure(3.3 * len(leads) + 0.6, 1.95 * len(channels) + 0.4)
    axes = []
    for row, channel in enumerate(channels):
        rows = table[table["channel"] == channel]
        # a few cells over steep ground would take all the colours
        limit = float(np.nanpercentile(rows["error"].abs(), 99)) or 1.0
        group = []
        for column, lead in enumerate(leads):
            lat, lon, field = maps.field_of_rows(rows[rows["lead_time"] == lead], "error")
            ax = maps.add_map(
                figure,
                len(channels),
                len(leads),
                row * len(leads) + column + 1,
                title=f"{channel}, {_lead_label(lead)}",
            )
            image = maps.shade_cells(ax, lat, lon, field, cmap="RdBu_r", vmin=-limit, vmax=limit)
            group.append(ax)
        figure.colorbar(
            image,
            ax=group,
            shrink=0.85,
            aspect=14,
            pad=0.01,
            extend="both",
            label=f"{channel} ({rows['unit'].iloc[0]})",
        )
        axes += group
    style.letter_panels(axes)
    least = int(table["n"].min())
    most = int(table["n"].max())
    count = f"{most} forecasts" if least == most else f"{least} to {most} forecasts"
    figure.suptitle(
        f"Mean error, forecast − {style.short_name(table['reference'].iloc[0])}, of {count}",
        fontsize=10,
    )
    return figure
