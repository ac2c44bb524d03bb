"""Draw a figure again from its table alone, without the run that made it."""

import importlib
from pathlib import Path

from fuxiflow.figures import style

IDS = (
    "system",
    "coverage",
    "cycling",
    "analysis_error",
    "surface_error",
    "skill_vs_lead",
    "scorecard_era5",
    "increment_case",
    "error_maps",
    "costs",
    "hybrid_training",
    "obs_loss_weights",
    "unrolling",
)


def redraw_figure(name: str, table: Path, target: Path) -> None:
    """Draw a figure from the CSV that lies beside it.

    Parameters
    ----------
    name : str
        One of :data:`IDS`.
    table : Path
        CSV with the figure's numbers.
    target : Path
        File to draw into; its suffix (png, pdf, svg) is the format.

    Raises
    ------
    ValueError
        If no figure has this name; the message lists those there are.
    """
    if name not in IDS:
        raise ValueError(f"unknown figure {name!r}, allowed: {', '.join(IDS)}")
    module = importlib.import_module(f"fuxiflow.figures.{name}")
    module.draw(style.read_csv(table)).savefig(target)
