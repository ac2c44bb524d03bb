"""Scores of departures from observations, of every system, from the parts of all segments."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fuxiflow.storage import tables
from fuxiflow.storage.datasets import read_dataset
from fuxiflow.verification.observation_departures import SUMS, ObservationSums
from fuxiflow.verification.observation_samples import SAMPLES

KEYS = ("source", "channel", "unit", "region", "sample", "system")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in KEYS),
        ("lead_time", pa.int32()),
        ("n", pa.int64()),
        *((name, pa.float64()) for name in ("bias", "rmse", "main_bias", "main_rmse")),
        *((name, pa.float64()) for name in SUMS[1:]),
    ]
)


def join_observation_sums(parts: Sequence[ObservationSums]) -> ObservationSums:
    """Join the sums of one source on different days, in any order and any grouping.

    Nothing is added up here, so that the result has the same bits however parts are joined.

    Parameters
    ----------
    parts : Sequence[ObservationSums]
        At least one.

    Returns
    -------
    ObservationSums
        Of all days, in their order.

    Raises
    ------
    ValueError
        Parts are of other leads, channels, regions or systems, or share a day.
    """
    first = parts[0]
    for part in parts:
        for name in ("leads", "channels", "regions", "systems"):
            if getattr(part, name) != getattr(first, name):
                raise ValueError(f"sums of other {name} cannot be joined")
    days = np.concatenate([part.days for part in parts])
    if len(np.unique(days)) < len(days):
        raise ValueError("two parts have departures of the same day")
    order = np.argsort(days)
    sums = np.concatenate([part.sums for part in parts], axis=1)[:, order]
    return ObservationSums(
        days[order], first.leads, first.channels, first.regions, first.systems, sums
    )


def read_observation_sums(path: Path, source: str) -> ObservationSums:
    """Read the sums of a source from a part."""
    data = read_dataset(path, source)
    texts = [[str(name) for name in data[key].values] for key in ("channel", "region", "system")]
    return ObservationSums(
        data["day"].values.astype("datetime64[D]"),
        [int(lead) for lead in data["lead"].values],
        *texts,
        data["sums"].values,
    )


def score_observation_sums(
    sums: ObservationSums, source: str, units: Sequence[str]
) -> pd.DataFrame:
    """Make the scores of a source: mean and root mean square over all days together.

    Parameters
    ----------
    sums : ObservationSums
        Sums of all days.
    source : str
        Name of the source.
    units : Sequence[str]
        Unit of the departures of each channel.

    Returns
    -------
    pd.DataFrame
        Columns of :data:`SCHEMA`, a row for each channel, region, sample, system and lead that
        there are observations of; the sums are those that the scores are made of.
    """
    totals = sums.sums.sum(axis=1)
    lead, channel, region, sample, system = (
        index.ravel() for index in np.indices(totals.shape[1:])
    )
    count, total, squares, main_total, main_squares = (part.ravel() for part in totals)
    # what the main system has no channel for is not 0
    main_there = np.broadcast_to(totals[0, ..., :1] > 0, totals.shape[1:]).ravel()
    main_total, main_squares = (np.where(main_there, x, np.nan) for x in (main_total, main_squares))
    with np.errstate(invalid="ignore", divide="ignore"):
        frame = pd.DataFrame(
            {
                "source": source,
                "channel": np.array(sums.channels, object)[channel],
                "unit": np.array(list(units), object)[channel],
                "region": np.array(sums.regions, object)[region],
                "sample": np.array(list(SAMPLES), object)[sample],
                "system": np.array(sums.systems, object)[system],
                "lead_time": np.array(sums.leads, np.int32)[lead],
                "n": count.astype(np.int64),
                "bias": total / count,
                "rmse": np.sqrt(squares / count),
                "main_bias": main_total / count,
                "main_rmse": np.sqrt(main_squares / count),
                "sum": total,
                "squares": squares,
                "main_sum": main_total,
                "main_squares": main_squares,
            }
        )
    return frame[frame["n"] > 0].reset_index(drop=True)


def write_observation_scores(path: Path, frames: Sequence[pd.DataFrame]) -> None:
    """Write the scores of all sources as Parquet."""
    filled = [frame for frame in frames if len(frame)]
    table = pd.concat(filled, ignore_index=True) if filled else SCHEMA.empty_table().to_pandas()
    tables.write_parquet(path, table[SCHEMA.names], SCHEMA)
