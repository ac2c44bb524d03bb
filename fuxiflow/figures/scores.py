"""What the figures of scores share: rows of the score table, with text columns as plain texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow import channels
from fuxiflow.figures import style
from fuxiflow.verification import score_table

VERSUS_GFS = "{metric}_vs_gfs"


def read_scores_of(path: Path, experiments: Sequence[str], **where) -> pd.DataFrame:
    """Rows of ``experiments`` and of the baselines, which belong to none, that fit ``where`` (column=value or list).

    Raises ValueError naming file and selection when there is no such row.
    """
    frame = score_table.read_scores(path, experiment=[*experiments, score_table.BASELINE], **where)
    if frame.empty:
        wanted = ", ".join(f"{key} = {value}" for key, value in where.items())
        raise style.missing(
            f"no score with {wanted} of {', '.join(experiments)}",
            path,
            "run `snakemake verification`, and see verification.* in the configuration",
        )
    return frame.astype(dict.fromkeys(score_table.TEXTS, str)).reset_index(drop=True)


def with_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the columns ``variable`` (Z, T, U, V, R; the channel's own name at the surface) and ``level`` (hPa, NaN)."""
    known = {c.name: c for c in channels.channel_table()}
    levels = [known[name].level for name in frame["channel"]]
    letters = [
        name if level is None else name[0]
        for name, level in zip(frame["channel"], levels, strict=True)
    ]
    return frame.assign(
        variable=letters, level=pd.array(levels, dtype="Float64").to_numpy(float, na_value=np.nan)
    )


def significant(frame: pd.DataFrame) -> pd.Series:
    """Whether a difference's 95 % interval excludes zero."""
    return (frame["ci_low"] > 0) | (frame["ci_high"] < 0)
