"""One look for all figures: fonts, colours, labels, units and panel letters."""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from fuxiflow.channels import channel_table

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": False,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "pdf.fonttype": 42,  # fonts are embedded as TrueType, which journals ask for
    "axes.axisbelow": True,
    "image.cmap": "viridis",
}
matplotlib.use("agg")
matplotlib.rcParams.update(RC)
# else a page for each font that a PDF embeds
logging.getLogger("fontTools").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Line:
    """The label, colour and line style of one system, the same in every figure."""

    label: str
    color: str
    style: str = "-"


# colours: Okabe and Ito (2008), "Color universal design", told apart under the common
# colour-vision deficiencies
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SYSTEMS = {
    "fuxiflow": Line("fuxiflow", OKABE_ITO[0]),
    "gfs": Line("GFS", OKABE_ITO[1]),
    "era5": Line("ERA5", OKABE_ITO[2], "-."),
    "background": Line("fuxiflow background", OKABE_ITO[5], "--"),
    "persistence": Line("persistence", OKABE_ITO[3], "-."),
    "climatology": Line("climatology", "0.45", ":"),
}
FORECASTS = ("fuxiflow", "gfs", "persistence", "climatology")
"""Forecasts that are drawn first; those of others follow by name."""
NO_OBSERVATIONS = Line("no observations", OKABE_ITO[4])
REFERENCES = {"era5": "ERA5", "truth": "the truth", "own": "own analysis"}
SHORT_NAMES = {"era5": "ERA5", "gfs": "GFS", "own": "own analysis"}
UNITS = {"m2 s-2": "m² s⁻²", "m s-1": "m s⁻¹"}
VARIABLES = {
    "Z": "geopotential",
    "T": "temperature",
    "U": "zonal wind",
    "V": "meridional wind",
    "R": "relative humidity",
}
SURFACE = ("T2M", "U10", "V10", "MSL", "TP")
PRESSURE_TICKS = (50, 100, 200, 300, 500, 700, 850, 1000)


def experiment_line(experiment: str, main: str, rank: int = 1) -> Line:
    """Choose the line of an experiment.

    Parameters
    ----------
    experiment : str
        Name of the experiment.
    main : str
        The main experiment, which is drawn as the system itself.
    rank : int
        Number among the other experiments (1, 2, …), by which they take colours.

    Returns
    -------
    Line
        Its label, colour and line style.
    """
    if experiment == main:
        return SYSTEMS["fuxiflow"]
    if experiment == "no_observations":
        return NO_OBSERVATIONS
    spare = (OKABE_ITO[6], OKABE_ITO[3], OKABE_ITO[2])
    return Line(experiment.replace("_", " "), spare[(rank - 1) % len(spare)])


def system_lines(systems: Iterable[str]) -> dict[str, Line]:
    """Return the lines of forecasts, those of others by name and in colours of their own."""
    further = [OKABE_ITO[i] for i in (2, 4, 5, 6)]
    others = sorted({*systems} - {*FORECASTS})
    return {name: SYSTEMS[name] for name in FORECASTS} | {
        name: Line(name, further[i % len(further)], "--") for i, name in enumerate(others)
    }


def region_name(region: str) -> str:
    """Return the name of a region in labels: ``central Africa``."""
    return region.replace("_", " ").replace("africa", "Africa")


def reference_name(reference: str) -> str:
    """Return the name of a reference in labels; an unknown one keeps its own."""
    return REFERENCES.get(reference, reference)


def short_name(reference: str) -> str:
    """Return the name of a reference or baseline for narrow places."""
    return SHORT_NAMES.get(reference, reference)


def channel_unit(channel: str) -> str:
    """Return the unit of a state channel as labels show it: ``m² s⁻²``."""
    text = channel_table()[channel].unit
    return UNITS.get(text, text)


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of ``width`` x ``height`` inches whose parts cannot overlap."""
    return Figure(figsize=(width, height), layout="constrained")


def letter_panels(axes: Iterable[Axes]) -> None:
    """Put (a), (b), … before the left-hand titles of panels, in order."""
    for number, ax in enumerate(axes):
        letter = chr(97 + number) if number < 26 else chr(96 + number // 26) + chr(97 + number % 26)
        ax.set_title(f"({letter}) {ax.get_title(loc='left')}".rstrip(), loc="left")


def set_pressure_axis(ax: Axes, ticks: Sequence[int] = PRESSURE_TICKS) -> None:
    """Make the vertical axis logarithmic in pressure (hPa), the ground below."""
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.set_ylim(1060, 46)


def limits_of_curves(values: Iterable[float]) -> tuple[float, float]:
    """Return the ends of an axis by curves alone: intervals of few cases would flatten them.

    A fifth of the curves' range is left free at both ends. Without any number they are 0 and 1, so
    that one empty panel does not end the figure.
    """
    finite = [float(value) for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    space = (high - low) / 5 or 0.1 * abs(high) or 1.0
    return low - space, high + space


def collect_legend(axes: Iterable[Axes]) -> dict[str, Artist]:
    """Return what the legend of several panels shows by label, each once."""
    handles: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return handles


def missing_rows(what: str, where, remedy: str) -> ValueError:
    """Make the error of a figure whose table would be empty.

    Parameters
    ----------
    what : str
        What is missing.
    where : Path or str
        File in which it was looked for.
    remedy : str
        What can be done.

    Returns
    -------
    ValueError
        Error to raise.
    """
    return ValueError(f"{where}: {what}; {remedy}")
