"""What a finished stage leaves about itself: its entry in the checkpoint's history, and its losses."""

from pathlib import Path

import pandas as pd

from fuxiflow.config.training import Optimisation
from fuxiflow.storage import tables

TAIL = 50


def record(name: str, stage: Optimisation, losses: pd.DataFrame, period: tuple[str, str]) -> dict:
    """The history entry of a stage: its settings, the period it drew from, and its mean loss over the last updates."""
    return {
        "stage": name,
        "settings": stage.model_dump(mode="json"),
        "period": [str(time) for time in period],
        "updates": len(losses),
        "skipped": int(losses["skipped"].sum()),
        "final_loss": float(losses["loss"].tail(TAIL).mean()),
    }


def write_losses(path: Path, losses: pd.DataFrame) -> None:
    """Write the losses of a stage as Parquet, with provenance."""
    tables.write_parquet(path, losses)
