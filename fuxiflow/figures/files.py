"""The files of a figure: PDF, PNG and the CSV that it is drawn from, and can be drawn from again.

No file holds a date: the same table gives the same bytes, provenance apart.
"""

import importlib
import logging
from pathlib import Path

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
    "scorecard_era5",
    "increment_case",
    "error_maps",
    "background_filter",
    "obs_departures",
    "costs",
    "hybrid_training",
    "obs_loss_weights",
    "unrolling",
)
TIME_COLUMNS = ("time", "analysis_time")
log = logging.getLogger(__name__)


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
    if world != "archive":
        figure.text(
            0.998, 0.002, world, ha="right", va="bottom", fontsize=7, color="0.4", style="italic"
        ).set_in_layout(False)
        strip = 0.16 / figure.get_figheight()
        figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not again for each format
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
    metadata = {"Title": title, "Keywords": stamp, "Creator": "fuxiflow", "CreationDate": None}
    figure.savefig(pdf, format="pdf", metadata=metadata)
    log.info("drawn from %d rows", len(table))


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
    module = importlib.import_module(f"fuxiflow.figures.{name}")
    checksums.check_noted(table)
    try:
        figure = module.draw(read_figure_table(table))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        lacking = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{table}: not a table of the figure {name}: {lacking}") from error
    figure.savefig(target)
