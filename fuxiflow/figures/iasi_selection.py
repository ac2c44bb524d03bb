"""``iasi_selection``: the channels selected of a sounder, over the spectrum and by their peaks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, ScalarFormatter

from fuxiflow.figures import style
from fuxiflow.observations import channel_selection
from fuxiflow.observations.jacobians import JacobianTable

STEPS = ("all channels", "by information", "of these by peak")
"""Groups of channels: not selected, selected in the first step alone, and in both."""
SIZES, COLORS = (2, 8, 20), ("0.75", style.OKABE_ITO[0], style.OKABE_ITO[1])
PROFILES = 3
"""Variables whose Jacobians are drawn, at most."""


def table(jacobians: JacobianTable, selected: pd.DataFrame, used: Sequence[int]) -> pd.DataFrame:
    """Gather the channels of a sounder, and the Jacobians of those that both steps select.

    Parameters
    ----------
    jacobians : JacobianTable
        The table that was selected from.
    selected : pd.DataFrame
        What :func:`fuxiflow.observations.channel_selection.select_channels` made of it.
    used : sequence of int
        Numbers of the channels that a source has.

    Returns
    -------
    pd.DataFrame
        With ``part = channel`` a row for each channel of the table and of the source: ``channel``,
        ``wavenumber`` (cm-1), ``peak`` (hPa), ``order``, ``entropy`` (bits) and ``freedom`` of the
        first step, ``spaced`` of the second (both 0 where not selected), and whether the source has
        it, ``used``. With ``part = jacobian`` a row for each level of a selected channel:
        ``variable``, ``pressure`` (hPa) and ``sensitivity`` (K per ln p).
    """
    channels = pd.DataFrame(
        {
            "part": "channel",
            "channel": jacobians.channel,
            "wavenumber": jacobians.wavenumber,
            "peak": channel_selection.peak_pressures(jacobians),
            "used": np.isin(jacobians.channel, list(used)),
        }
    )
    steps = selected[["channel", "order", "entropy", "freedom", "spaced"]]
    channels = channels.merge(steps, on="channel", how="left").fillna(
        {"order": 0, "entropy": 0.0, "freedom": 0.0, "spaced": 0}
    )
    sensitivity = channel_selection.scaled_sensitivities(jacobians)
    names, counts = np.unique(jacobians.variable, return_counts=True)
    levels = np.isin(jacobians.variable, names[counts > 1])
    profiles = [
        pd.DataFrame(
            {
                "part": "jacobian",
                "channel": jacobians.channel[place],
                "wavenumber": jacobians.wavenumber[place],
                "variable": jacobians.variable[levels],
                "pressure": jacobians.pressure[levels],
                "sensitivity": sensitivity[place, levels],
            }
        )
        for place in np.flatnonzero(channels["spaced"].to_numpy() > 0)
    ]
    return pd.concat([channels, *profiles], ignore_index=True)


def _set_heights(ax: Axes, pressures: pd.Series) -> None:
    """Make the vertical axis logarithmic in pressure as far as the table reaches."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(1.1 * pressures.max(), pressures.min() / 1.1)
    ax.grid(True)


def _draw_spectrum(ax: Axes, channels: pd.DataFrame) -> None:
    """Draw the pressures at which channels peak over the spectrum; ticks mark the source's own."""
    step = (channels["order"] > 0).astype(int) + (channels["spaced"] > 0).astype(int)
    for number, (label, size, color) in enumerate(zip(STEPS, SIZES, COLORS, strict=True)):
        rows = channels[step == number]
        ax.scatter(
            rows["wavenumber"],
            rows["peak"],
            s=size,
            color=color,
            linewidths=0,
            zorder=2 + number,
            label=f"{label} ({(step >= number).sum()})",
        )
    used = channels[channels["used"].astype(bool)]
    if len(used):
        ax.plot(
            used["wavenumber"],
            np.full(len(used), 0.02),
            "|",
            color="black",
            markersize=6,
            transform=ax.get_xaxis_transform(),
            label=f"those of the source ({len(used)})",
        )
    ax.set(xlabel="wavenumber (cm$^{-1}$)", ylabel="pressure of the peak (hPa)")


def draw(table: pd.DataFrame) -> Figure:
    """Draw the channels over the spectrum, their Jacobians, and the degrees of freedom."""
    figure = style.new_figure(7.2, 5.4)
    channels = table[table["part"] == "channel"]
    profiles = table[table["part"] == "jacobian"]
    variables = list(dict.fromkeys(profiles["variable"]))[:PROFILES]
    above, below = figure.subfigures(2, 1, height_ratios=(1.1, 1.0))
    spectrum = above.subplots()
    _draw_spectrum(spectrum, channels)
    _set_heights(spectrum, channels["peak"])
    spectrum.legend(loc="upper right", fontsize=6)
    *aloft, freedom = below.subplots(1, len(variables) + 1, squeeze=False)[0]
    for ax, variable in zip(aloft, variables, strict=True):
        of_variable = profiles[profiles["variable"] == variable]
        for _, rows in of_variable.groupby("channel"):
            rows = rows.sort_values("pressure")
            ax.plot(rows["sensitivity"], rows["pressure"], color=COLORS[2], linewidth=0.6)
        ax.set(xlabel=f"Jacobian in {variable} (K / ln p)", xlim=(0, None))
        _set_heights(ax, of_variable["pressure"])
    if aloft:
        aloft[0].set_ylabel("pressure (hPa)")
    gained = channels[channels["order"] > 0].sort_values("order")
    freedom.plot(gained["order"], gained["freedom"].cumsum(), color=COLORS[1])
    both = gained["spaced"] > 0
    freedom.plot(
        gained["order"][both], gained["freedom"].cumsum()[both], ".", color=COLORS[2], markersize=4
    )
    freedom.set(
        xlabel="channels by information", ylabel="degrees of freedom for signal", ylim=(0, None)
    )
    freedom.grid(True)
    style.letter_panels([spectrum, *aloft, freedom])
    return figure
