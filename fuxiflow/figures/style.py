"""One look for all figures: fonts, colours, labels, panel letters, and files that change only with what they show."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fuxiflow import channels
from fuxiflow.storage import provenance

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
    "pdf.fonttype": 42,
    "axes.axisbelow": True,
    "image.cmap": "viridis",
}
matplotlib.use("agg")
matplotlib.rcParams.update(RC)
logging.getLogger("fontTools").setLevel(
    logging.WARNING
)  # else a page for each font that a PDF embeds


@dataclass(frozen=True)
class Line:
    """How one system is drawn, everywhere."""

    label: str
    color: str
    style: str = "-"


# colours: Okabe and Ito (2008), "Color universal design", told apart under the common colour-vision deficiencies
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SYSTEMS = {
    "fuxiflow": Line("fuxiflow", OKABE_ITO[0]),
    "gfs": Line("GFS", OKABE_ITO[1]),
    "era5": Line("ERA5", OKABE_ITO[2], "-."),
    "background": Line("fuxiflow background", OKABE_ITO[5], "--"),
    "persistence": Line("persistence", OKABE_ITO[3], "-."),
    "climatology": Line("climatology", "0.45", ":"),
}
NO_OBSERVATIONS = Line("no observations", OKABE_ITO[4])
REFERENCES = {"era5": "ERA5", "truth": "the truth", "own": "own analysis"}
UNITS = {"m2 s-2": "m² s⁻²", "m s-1": "m s⁻¹"}
VARIABLES = {
    "Z": "geopotential",
    "T": "temperature",
    "U": "zonal wind",
    "V": "meridional wind",
    "R": "relative humidity",
}
SURFACE = ("T2M", "U10", "V10", "MSL", "TP")


def experiment_line(experiment: str, main: str, rank: int = 1) -> Line:
    """The line of an experiment: ``main`` is the system itself; the rest take colours by their ``rank`` (1, 2, …)."""
    if experiment == main:
        return SYSTEMS["fuxiflow"]
    if experiment == "no_observations":
        return NO_OBSERVATIONS
    spare = (OKABE_ITO[6], OKABE_ITO[3], OKABE_ITO[2])
    return Line(experiment.replace("_", " "), spare[(rank - 1) % len(spare)])


def reference_name(reference: str) -> str:
    """What a reference is called in labels; unknown ones by their own name."""
    return REFERENCES.get(reference, reference)


def short_name(reference: str) -> str:
    """A reference's or baseline's name for narrow places."""
    return {"era5": "ERA5", "gfs": "GFS", "own": "own analysis"}.get(reference, reference)


def unit(channel: str) -> str:
    """The unit of a state channel as labels show it: ``m² s⁻²``."""
    text = channels.channel_table()[channel].unit
    return UNITS.get(text, text)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches that keeps its parts from overlapping."""
    return Figure(figsize=(width, height), layout="constrained")


def letters(axes: Iterable[Axes]) -> None:
    """Put (a), (b), … before the left-hand titles of panels, in order."""
    for number, ax in enumerate(axes):
        letter = chr(97 + number) if number < 26 else chr(96 + number // 26) + chr(97 + number % 26)
        ax.set_title(f"({letter}) {ax.get_title(loc='left')}".rstrip(), loc="left")


def missing(what: str, where, remedy: str) -> ValueError:
    """The error of a figure whose table would be empty."""
    return ValueError(f"{where}: {what}; {remedy}")


def _metadata() -> dict[str, str]:
    return {"Title": provenance.current().get("rule", ""), "provenance": provenance.as_json()}


def save_figure(figure: Figure, table: pd.DataFrame, output, world: str = "archive") -> None:
    """Write ``output.pdf``, ``output.png`` and, as ``output.csv``, the table that was drawn.

    Figures of a world that is not the real one say so in a corner. No file holds a date: the same table gives the
    same bytes, provenance (PNG text ``provenance``, PDF keywords) apart.
    """
    if world != "archive":
        figure.text(
            0.998, 0.002, world, ha="right", va="bottom", fontsize=7, color="0.4", style="italic"
        ).set_in_layout(False)
        strip = 0.16 / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not again for each format
    stamp = _metadata()
    table.to_csv(
        output.csv,
        index=False,
        float_format="%.7g",
        date_format="%Y-%m-%dT%H:%M:%S",
        lineterminator="\n",
    )
    figure.savefig(output.png, format="png", metadata={**stamp, "Software": "fuxiflow"})
    figure.savefig(
        output.pdf,
        format="pdf",
        metadata={
            "Title": stamp["Title"],
            "Keywords": stamp["provenance"],
            "Creator": "fuxiflow",
            "CreationDate": None,
        },
    )


def read_csv(path: Path) -> pd.DataFrame:
    """Read the table of a figure, with times as times."""
    table = pd.read_csv(path)
    for name in ("time", "analysis_time"):
        if name in table:
            table[name] = pd.to_datetime(table[name])
    return table
