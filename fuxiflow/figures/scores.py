"""Rows of the score table as the figures of scores need them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.channels import channel_table
from fuxiflow.figures import style
from fuxiflow.verification import score_table
from fuxiflow.verification.discoveries import adjusted_p_values

VERSUS_GFS = "{metric}_vs_gfs"


def read_score_rows(path: Path, experiments: Sequence[str], **where) -> pd.DataFrame:
    """Read the scores of experiments, and those of the baselines, which belong to none.

    Parameters
    ----------
    path : Path
        Score table.
    experiments : sequence of str
        Names of experiments.
    **where
        Columns with the value, or the list of values, that rows must have.

    Returns
    -------
    pd.DataFrame
        Rows with text columns as plain texts.

    Raises
    ------
    ValueError
        There is no such row; the message names file and selection.
    """
    frame = score_table.read_scores(path, experiment=[*experiments, score_table.BASELINE], **where)
    if frame.empty:
        selection = ", ".join(f"{key} = {value}" for key, value in where.items())
        raise style.missing_rows(
            f"no score with {selection} of {', '.join(experiments)}",
            path,
            "run `snakemake verification`, and see verification.* in the configuration",
        )
    return frame.astype(dict.fromkeys(score_table.TEXTS, str)).reset_index(drop=True)


def with_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the columns ``variable`` and ``level`` to rows that have a ``channel``.

    ``variable`` is Z, T, U, V or R, the channel's own name at the surface; ``level`` is in hPa,
    NaN at the surface.
    """
    level_of = {channel.name: channel.level for channel in channel_table()}
    levels = [level_of[name] for name in frame["channel"]]
    variables = [
        name if level is None else name[0]
        for name, level in zip(frame["channel"], levels, strict=True)
    ]
    return frame.assign(
        variable=variables, level=pd.array(levels, dtype="Float64").to_numpy(float, na_value=np.nan)
    )


def with_significance(frame: pd.DataFrame, false_discovery_rate: float) -> pd.DataFrame:
    """Add the columns ``p_adjusted`` and ``significant`` to rows of differences.

    Rows are the tests of one family: of the significant ones no larger share than
    ``false_discovery_rate`` is so by chance. See :mod:`fuxiflow.verification.discoveries`.
    """
    adjusted = adjusted_p_values(frame["p_value"].to_numpy())
    return frame.assign(p_adjusted=adjusted, significant=adjusted <= false_discovery_rate)
