"""The files of a figure: PDF, PNG and the CSV that it is drawn from, and can be drawn from again.

No file holds a date: the same table gives the same bytes, provenance apart.
"""

import importlib
import json
import logging
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.storage import checksums, provenance

FIGURE_IDS = (
    "system",
    "coverage",
    "cycling",
    "analysis_error",
    "surface_error",
    "skill_vs_lead",
    "region_africa",
    "activity",
    "scorecard_era5",
    "scorecard_own",
    "scorecard_era5_acc",
    "scorecard_own_acc",
    "increment_case",
    "error_maps",
    "background_filter",
    "iasi_selection",
    "obs_departures",
    "spectra",
    "balance",
    "seeds",
    "typhoon",
    "costs",
    "hybrid_training",
    "obs_loss_weights",
    "unrolling",
    "cutoff",
)
MODULES = {
    "region_africa": "skill_vs_lead",
    "scorecard_era5": "scorecard",
    "scorecard_own": "scorecard",
    "scorecard_era5_acc": "scorecard",
    "scorecard_own_acc": "scorecard",
}
"""By figure, the module that draws it, where it is not the one of its name."""
TIME_COLUMNS = ("time", "analysis_time")
log = logging.getLogger(__name__)


def lay_out_figure(figure: Figure, world: str) -> None:
    """Lay a figure out once and for all formats, with a label of a world that is not the real one.

    ``world`` is ``archive`` for the real one; another is named in a corner.
    """
    if world != "archive":
        figure.text(
            0.998, 0.002, world, ha="right", va="bottom", fontsize=7, color="0.4", style="italic"
        ).set_in_layout(False)
        strip = 0.16 / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def write_pdf(figure: Figure, target: Path | BinaryIO, stamp: dict) -> None:
    """Write a figure as PDF without a date.

    Parameters
    ----------
    figure : Figure
        Figure that is laid out.
    target : Path or binary file
        File to write.
    stamp : dict
        Provenance, which becomes the keywords.
    """
    metadata = {
        "Title": stamp.get("rule", ""),
        "Keywords": json.dumps(stamp, sort_keys=True, default=str),
        "Creator": "fuxiflow",
        "CreationDate": None,
    }
    figure.savefig(target, format="pdf", metadata=metadata)


def save_figure(
    figure: Figure, table: pd.DataFrame, pdf: Path, png: Path, csv: Path, world: str = "archive"
) -> None:
    """Write a figure as PDF and PNG, and the table that it shows as CSV.

    Parameters
    ----------
    figure : Figure
        Figure with a layout engine; it is laid out once, with room for the label of the world.
    table : pd.DataFrame
        Rows that the figure shows.
    pdf, png, csv : Path
        Files to write. The provenance is the PNG's text ``provenance`` and the PDF's keywords.
    world : str
        World that the data are of; a world that is not the real one (``archive``) is named in a
        corner of the figure.
    """
    lay_out_figure(figure, world)
    title = provenance.current().get("rule", "")
    stamp = provenance.as_json()
    table.to_csv(
        csv,
        index=False,
        float_format="%.7g",
        date_format="%Y-%m-%dT%H:%M:%S",
        lineterminator="\n",
    )
    metadata = {"Title": title, "provenance": stamp, "Software": "fuxiflow"}
    figure.savefig(png, format="png", metadata=metadata)
    write_pdf(figure, pdf, provenance.current())
    log.info("drawn from %d rows", len(table))


def figure_module(name: str) -> ModuleType:
    """Import the module that draws a figure of :data:`FIGURE_IDS`."""
    return importlib.import_module(f"fuxiflow.figures.{MODULES.get(name, name)}")


def read_figure_table(path: Path) -> pd.DataFrame:
    """Read the CSV of a figure, with times as times; DamagedError when it is damaged."""
    checksums.check_noted(path)
    table = pd.read_csv(path)
    for name in TIME_COLUMNS:
        if name in table:
            table[name] = pd.to_datetime(table[name])
    return table


def redraw_figure(name: str, table: Path, target: Path) -> None:
    """Draw a figure from the CSV that lies beside it.

    Parameters
    ----------
    name : str
        One of :data:`FIGURE_IDS`.
    table : Path
        CSV with the figure's numbers.
    target : Path
        File to draw into; its suffix (png, pdf, svg) is the format.

    Raises
    ------
    ValueError
        If no figure has this name; the message lists those there are. If the table is not one of
        this figure; the message names the file.
    """
    if name not in FIGURE_IDS:
        raise ValueError(f"unknown figure {name!r}, allowed: {', '.join(FIGURE_IDS)}")
    module = figure_module(name)
    checksums.check_noted(table)
    try:
        figure = module.draw(read_figure_table(table))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        lacking = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{table}: not a table of the figure {name}: {lacking}") from error
    figure.savefig(target)
