"""The score table: one tidy row a score; figures and headlines read nothing else.

Columns: experiment, system, reference, metric, channel, region, lead_time (hours, 0 for analyses),
value, n (cases, or observations for departures), n_effective (independent cases that would tell as
much, NaN for departures), ci_low and ci_high (95 % interval, NaN for fewer than two cases), p_value
(of comparisons: how likely such a difference is where there is none; NaN for all others).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fuxiflow.storage import tables

KEYS = ["experiment", "system", "reference", "metric", "channel", "region", "lead_time"]
TEXTS = KEYS[:-1]
COLUMNS = [*KEYS, "value", "n", "n_effective", "ci_low", "ci_high", "p_value"]
BASELINE = "baseline"
REFERENCES = ("era5",)
"""Systems of the baselines' table that are references: their own error against the truth."""

SCHEMA = pa.schema(
    [
        *((name, pa.dictionary(pa.int32(), pa.string())) for name in TEXTS),
        ("lead_time", pa.int32()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("n_effective", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("p_value", pa.float64()),
    ]
)


def score_rows(
    *,
    experiment: str,
    system: str,
    reference: str,
    metric: str,
    leads: Sequence[int],
    channels: Sequence[str],
    regions: Sequence[str],
    value: np.ndarray,
    n: np.ndarray,
    ci_low: np.ndarray,
    ci_high: np.ndarray,
    n_effective: np.ndarray | None = None,
    p_value: np.ndarray | None = None,
) -> pd.DataFrame:
    """Make the rows of one metric.

    Parameters
    ----------
    experiment, system, reference, metric : str
        Keys of all rows.
    leads : sequence of int
        Lead times in hours.
    channels, regions : sequence of str
        Names of channels and regions.
    value, n, ci_low, ci_high : np.ndarray
        Score, number of cases and interval, ``(lead, channel, region)``.
    n_effective, p_value : np.ndarray, optional
        Effective number of cases, and p value of a comparison; by default NaN.

    Returns
    -------
    pd.DataFrame
        One row for each finite score.
    """
    shape = (len(leads), len(channels), len(regions))
    lead, channel, region = (index.ravel() for index in np.indices(shape))
    unknown = np.full(lead.size, np.nan)
    frame = pd.DataFrame(
        {
            **{
                name: pd.Categorical.from_codes(np.zeros(lead.size, int), [text])
                for name, text in (
                    ("experiment", experiment),
                    ("system", system),
                    ("reference", reference),
                    ("metric", metric),
                )
            },
            "channel": pd.Categorical.from_codes(channel, list(channels)),
            "region": pd.Categorical.from_codes(region, list(regions)),
            "lead_time": np.asarray(leads, np.int32)[lead],
            "value": np.asarray(value, float).ravel(),
            "n": np.asarray(n, np.int64).ravel(),
            "n_effective": unknown if n_effective is None else np.ravel(n_effective),
            "ci_low": np.asarray(ci_low, float).ravel(),
            "ci_high": np.asarray(ci_high, float).ravel(),
            "p_value": unknown if p_value is None else np.ravel(p_value),
        }
    )
    return frame[np.isfinite(frame["value"]) & (frame["n"] > 0)]


def concatenate_scores(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join several tables into one, with text columns kept categorical."""
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return SCHEMA.empty_table().to_pandas()
    joined = {}
    for name in COLUMNS:
        if name in TEXTS:
            joined[name] = pd.api.types.union_categoricals(
                [frame[name].astype("category") for frame in frames]
            )
        else:
            joined[name] = np.concatenate([frame[name].to_numpy() for frame in frames])
    return pd.DataFrame(joined)


def _codes(frame: pd.DataFrame) -> np.ndarray:
    """Return an integer for each row that is the same for the same key."""
    key = np.zeros(len(frame), np.int64)
    for name in KEYS:
        codes, values = pd.factorize(frame[name])
        key = key * max(len(values), 1) + codes
    return key


def check_scores(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the table itself if it keeps the contract of the score table.

    ValueError tells ``where``, the reason and the first bad row.
    """
    if list(frame.columns) != COLUMNS:
        raise ValueError(
            f"{where}: columns are {', '.join(frame.columns)}; "
            f"a score table has {', '.join(COLUMNS)}"
        )
    for name, kinds in {
        "lead_time": "iu",
        "n": "iu",
        "value": "f",
        "n_effective": "f",
        "ci_low": "f",
        "ci_high": "f",
        "p_value": "f",
    }.items():
        if frame[name].dtype.kind not in kinds:
            raise ValueError(
                f"{where}: column {name} is {frame[name].dtype}; a score table has "
                f"{'integers' if kinds == 'iu' else 'floats'} there"
            )
    missing = np.isnan(frame["ci_low"]) & np.isnan(frame["ci_high"])
    tests = {
        "is the second row with its key": pd.Series(_codes(frame)).duplicated().to_numpy(),
        "has a missing key": frame[KEYS].isna().any(axis=1).to_numpy(),
        "has a value that is not finite": ~np.isfinite(frame["value"].to_numpy()),
        "counts no case (n < 1)": (frame["n"] < 1).to_numpy(),
        "has no interval although n >= 2": (missing & (frame["n"] >= 2)).to_numpy(),
        "has half an interval, or one upside down": (
            ~missing & ~(frame["ci_low"] <= frame["ci_high"])
        ).to_numpy(),
        "has an effective number of cases beyond 1 to n": (
            (frame["n_effective"] < 1) | (frame["n_effective"] > frame["n"])
        ).to_numpy(),
        "has a p value beyond 0 to 1": ((frame["p_value"] < 0) | (frame["p_value"] > 1)).to_numpy(),
    }
    for complaint, bad in tests.items():
        if bad.any():
            row = frame.iloc[int(np.argmax(bad))].to_dict()
            raise ValueError(
                f"{where}: {int(bad.sum())} rows of {len(frame)}: the first {complaint}: {row}"
            )
    return frame


def write_scores(path: Path, frame: pd.DataFrame) -> None:
    """Check and write a score table."""
    tables.write_parquet(path, check_scores(frame, str(path)), SCHEMA)


def read_scores(path: Path, **where) -> pd.DataFrame:
    """Read the rows of a score table whose columns have certain values, all rows by default.

    A column must equal a value, or be among those of a list:
    ``read_scores(path, metric="rmse", region="global", channel=["Z500", "T850"])``. KeyError names
    an unknown column.
    """
    unknown = set(where) - set(COLUMNS)
    if unknown:
        raise KeyError(
            f"{path}: no column {', '.join(sorted(unknown))}; known: {', '.join(COLUMNS)}"
        )
    many = (list, tuple, set)
    filters = [
        (name, "in", list(value)) if isinstance(value, many) else (name, "=", value)
        for name, value in where.items()
    ]
    return tables.read_parquet(path, filters=filters)


def system_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all but :data:`REFERENCES`.

    A reference's own error is no system's, and stays in the baselines' table.
    """
    return frame[~frame["system"].isin(REFERENCES)].reset_index(drop=True)


def merge_scores(paths: Sequence[Path]) -> pd.DataFrame:
    """Merge several score tables, each checked, and together free of duplicates."""
    frames = [check_scores(read_scores(path), str(path)) for path in paths]
    return check_scores(concatenate_scores(frames), "merged scores")
