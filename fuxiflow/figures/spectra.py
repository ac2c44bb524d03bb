"""``spectra``: power by total wavenumber of analyses, forecasts and their errors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fuxiflow.figures import style
from fuxiflow.storage import tables

NAMES = {"kinetic_energy": "kinetic energy", "geopotential": "geopotential"}
DASHES = ("-", "--", ":", "-.")
RATIO_TICKS = (0.25, 0.5, 1, 2, 4)
FOREMOST = 4
"""Systems that are drawn at most, by their dashes; the table has all."""


def table(path: Path, main: str) -> pd.DataFrame:
    """Read the spectra of all systems.

    Parameters
    ----------
    path : Path
        Spectra of rule ``verification_structure``.
    main : str
        The experiment that is drawn as fuxiflow.

    Returns
    -------
    pd.DataFrame
        The rows of wavenumbers from 1, those of fuxiflow first, with shares: ``power_ratio`` of
        the reference's power, and ``error_share`` of the error in what it is where nothing is
        known, the power of both together.

    Raises
    ------
    ValueError
        There is no case.
    """
    frame = tables.read_parquet(path)
    frame = frame[frame["wavenumber"] > 0]
    if frame.empty:
        raise style.missing_rows("no spectra", path, "see verification.structure_leads")
    frame = frame.assign(
        system=frame["system"].astype(str).replace(main, "fuxiflow"),
        power_ratio=frame["power"] / frame["reference_power"],
        error_share=frame["error_power"] / (frame["power"] + frame["reference_power"]),
    )
    order = ["quantity", "level", "first", "system", "lead_time", "wavenumber"]
    frame = frame.assign(first=frame["system"] != "fuxiflow").sort_values(order)
    return frame.drop(columns="first").reset_index(drop=True)


def lead_colors(leads: Sequence[int]) -> dict[int, str]:
    """Return a colour by lead in hours, in their order."""
    colors = [style.OKABE_ITO[i] for i in (2, 5, 4, 1, 3, 0)]
    return {lead: colors[i % len(colors)] for i, lead in enumerate(sorted(leads))}


def lead_label(lead: int) -> str:
    """Return the label of a lead in hours: ``analysis``, ``day 5``, ``6 h``."""
    if lead == 0:
        return "analysis"
    return f"day {lead // 24}" if lead % 24 == 0 else f"{lead} h"


def draw(table: pd.DataFrame) -> Figure:
    """Draw a row for each quantity and level: spectra, their ratio, and the error's share."""
    groups = list(table.groupby(["quantity", "level"], sort=False))
    figure = style.new_figure(9.6, 2.6 * len(groups) + 0.9)
    axes = figure.subplots(len(groups), 3, squeeze=False, sharex=True)
    colors = lead_colors(table["lead_time"].unique())
    systems = list(dict.fromkeys(table["system"]))[:FOREMOST]
    dashes = dict(zip(systems, DASHES, strict=False))
    reference = style.reference_name(table["reference"].iloc[0])
    for row, ((quantity, level), rows) in zip(axes, groups, strict=True):
        power, ratio, share = row
        for (system, lead), part in rows.groupby(["system", "lead_time"]):
            if system not in dashes:
                continue
            look = {"color": colors[lead], "linestyle": dashes[system], "linewidth": 1.1}
            power.plot(part["wavenumber"], part["power"], **look)
            ratio.plot(part["wavenumber"], part["power_ratio"], **look)
            share.plot(part["wavenumber"], part["error_share"], **look)
        of_analyses = rows[(rows["system"] == systems[0])]
        beside = of_analyses[of_analyses["lead_time"] == of_analyses["lead_time"].min()]
        power.plot(beside["wavenumber"], beside["reference_power"], color="k", linewidth=0.8)
        unit = rows["unit"].iloc[0].replace("m4 s-4", "m⁴ s⁻⁴")
        power.set_yscale("log")
        power.set_ylabel(f"power ({style.UNITS.get(unit, unit)})")
        power.set_title(f"{NAMES.get(quantity, quantity)}, {level} hPa", loc="left")
        ratio.axhline(1, color="0.3", linewidth=0.7)
        ratio.set_yscale("log")
        ratio.set_yticks(RATIO_TICKS, [str(tick) for tick in RATIO_TICKS])
        ratio.set_yticks([], minor=True)
        ratio.set_ylim(RATIO_TICKS[0] / 1.2, RATIO_TICKS[-1] * 1.2)
        ratio.set_title(f"power relative to {reference}", loc="left")
        share.axhline(1, color="0.3", linewidth=0.7)
        share.set_title("power of the error (1: no skill)", loc="left")
        share.set_ylim(0, max(1.1, min(2.0, 1.05 * rows["error_share"].max())))
    for ax in axes.flat:
        ax.set_xscale("log")
        ax.grid(True)
    for ax in axes[-1]:
        set_wavenumber_axis(ax, int(table["wavenumber"].max()))
        ax.set_xlabel("total wavenumber")
    style.letter_panels(axes.flat)
    handles = [Line2D([], [], color=color) for color in colors.values()]
    labels = [lead_label(lead) for lead in colors]
    handles.append(Line2D([], [], color="k", linewidth=0.8))
    labels.append(reference)
    for system, dash in dashes.items():
        handles.append(Line2D([], [], color="0.4", linestyle=dash))
        labels.append(style.SYSTEMS[system].label if system in style.SYSTEMS else system)
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 8))
    return figure


def set_wavenumber_axis(ax: Axes, last: int) -> None:
    """Label a logarithmic axis of wavenumbers up to ``last`` with plain numbers."""
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= last]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(1, np.maximum(last, 2))
