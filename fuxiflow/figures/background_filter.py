"""``background_filter``: what the filter of backgrounds takes out, by wavenumber."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fuxiflow.figures import style

CHANNELS = ("Z500", "T850", "U500", "R500")
SAMPLES = {"fitted": "-", "independent": "--"}


def table(response: pd.DataFrame) -> pd.DataFrame:
    """Take the rows of the channels that are shown, in their order.

    ``response`` is what :func:`fuxiflow.training.filter_fit.fit_background_filter` returns.
    """
    rows = [response[response["channel"] == name] for name in CHANNELS]
    return pd.concat(rows, ignore_index=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw spectra of anomalies and errors, and the shares that the filter takes and leaves."""
    figure = style.new_figure(7.2, 2.9)
    spectra, lost, left = figure.subplots(1, 3)
    names = list(dict.fromkeys(table["channel"]))
    for name, color in zip(names, style.OKABE_ITO, strict=False):
        of_channel = table[table["channel"] == name]
        for sample, dashes in SAMPLES.items():
            rows = of_channel[of_channel["sample"] == sample].sort_values("wave")
            lost.plot(rows["wave"], rows["anomaly_lost"], dashes, color=color, linewidth=1)
            left.plot(rows["wave"], rows["error_left"], dashes, color=color, linewidth=1)
        rows = of_channel[of_channel["sample"] == "independent"].sort_values("wave")
        spectra.plot(rows["wave"], rows["anomaly"], color=color, linewidth=1, label=name)
        spectra.plot(rows["wave"], rows["error"], ":", color=color, linewidth=1)
    spectra.set(yscale="log", ylabel="share of the anomalies' variance")
    lost.set(ylabel="share of anomalies that is lost", ylim=(0, None))
    left.set(ylabel="share of errors that is left", ylim=(0, None))
    for ax in (spectra, lost, left):
        ax.set_xlabel("zonal wavenumber")
        ax.grid(True)
    styles = {"anomalies": "-", "errors of forecasts": ":"}
    handles = [Line2D([], [], color="0.3", linestyle=dash) for dash in styles.values()]
    spectra.add_artist(spectra.legend(loc="lower left", fontsize=6))
    spectra.legend(handles, styles, loc="upper right", fontsize=6)
    handles = [Line2D([], [], color="0.3", linestyle=dash) for dash in SAMPLES.values()]
    lost.legend(handles, [f"{name} samples" for name in SAMPLES], loc="upper left", fontsize=6)
    style.letter_panels([spectra, lost, left])
    return figure
