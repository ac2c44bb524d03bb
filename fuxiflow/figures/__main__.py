"""Redraw a figure from its table alone: ``python -m fuxiflow.figures cycling cycling.csv cycling.png``."""

import argparse
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


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure of the id given from a CSV into a file; the suffix (png, pdf, svg) is the format."""
    parser = argparse.ArgumentParser(
        prog="python -m fuxiflow.figures", description="redraw a figure from its table"
    )
    parser.add_argument("id", choices=IDS)
    parser.add_argument("table", type=Path, help="the CSV that lies beside the figure")
    parser.add_argument("target", type=Path, help="file to draw into: .png, .pdf or .svg")
    options = parser.parse_args(arguments)
    module = importlib.import_module(f"fuxiflow.figures.{options.id}")
    module.draw(style.read_csv(options.table)).savefig(options.target)


if __name__ == "__main__":
    main()
