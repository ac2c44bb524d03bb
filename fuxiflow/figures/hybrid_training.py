"""``hybrid_training``: errors of analyses by networks trained on real observations alone, and on simulated ones too."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, style
from fuxiflow.figures.analysis_error import profiles

LINES = {
    "real": style.Line("real observations", style.OKABE_ITO[6], "--"),
    "hybrid": style.Line("real and simulated observations", style.SYSTEMS["fuxiflow"].color),
}
COLUMNS = [
    "reference",
    "line",
    "experiment",
    "channel",
    "variable",
    "level",
    "unit",
    "value",
    "ci_low",
    "ci_high",
    "n",
]


def table(path: Path, real: str, hybrid: str, references: Sequence[str]) -> pd.DataFrame:
    """RMSE of the analyses of two experiments on the globe by pressure level, one row for each reference, variable and
    level; ``line`` is real or hybrid. ValueError where the score table lacks them."""
    chosen = {"system": "fuxiflow", "metric": "rmse", "region": "global", "lead_time": 0}
    frame = scores.read_scores_of(path, [real, hybrid], reference=list(references), **chosen)
    frame = scores.with_levels(frame).dropna(subset=["level"])
    names, units = {real: "real", hybrid: "hybrid"}, [style.unit(name) for name in frame["channel"]]
    frame = frame.assign(line=frame["experiment"].map(names), unit=units)
    return frame.sort_values(["reference", "line", "variable", "level"])[COLUMNS].reset_index(
        drop=True
    )


def draw(table: pd.DataFrame) -> Figure:
    """A row of profiles for each reference, a column for each variable; bands are 95 % intervals."""
    return profiles(table, LINES)
