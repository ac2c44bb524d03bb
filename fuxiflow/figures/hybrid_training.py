"""``hybrid_training``: errors of analyses with and without simulated observations in training."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fuxiflow.figures import scores, style
from fuxiflow.figures.analysis_error import COLUMNS, draw_profiles

LINES = {
    "real": style.Line("real observations", style.OKABE_ITO[6], "--"),
    "hybrid": style.Line("real and simulated observations", style.SYSTEMS["fuxiflow"].color),
}


def table(path: Path, real: str, hybrid: str, references: Sequence[str]) -> pd.DataFrame:
    """Gather the RMSE of the analyses of two experiments on the globe by pressure level.

    Parameters
    ----------
    path : Path
        Score table.
    real : str
        Experiment whose networks were trained on real observations alone.
    hybrid : str
        Experiment whose networks were trained on simulated observations too.
    references : sequence of str
        References of the score table.

    Returns
    -------
    pd.DataFrame
        One row for each reference, variable and level; ``line`` is real or hybrid.

    Raises
    ------
    ValueError
        The score table lacks the experiments.
    """
    where = {"system": "fuxiflow", "metric": "rmse", "region": "global", "lead_time": 0}
    frame = scores.read_score_rows(path, [real, hybrid], reference=list(references), **where)
    frame = scores.with_levels(frame).dropna(subset=["level"])
    frame = frame.assign(
        line=frame["experiment"].map({real: "real", hybrid: "hybrid"}),
        unit=[style.channel_unit(name) for name in frame["channel"]],
    )
    frame = frame.sort_values(["reference", "line", "variable", "level"])
    return frame[COLUMNS].reset_index(drop=True)


def draw(table: pd.DataFrame) -> Figure:
    """Draw a row of profiles for each reference, a column for each variable.

    Bands are 95 % intervals.
    """
    return draw_profiles(table, LINES)
