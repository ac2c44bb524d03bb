"""The cycle as a series in time: errors of analysis and background, and how many observations went in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.config import sources
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.verification.cases import Cases


def series(
    cases: dict[tuple[str, str], Cases], experiment: str, region: str = "global"
) -> pd.DataFrame:
    """Columns experiment, time, array, reference, channel, rmse, bias from cases by (array, reference) at lead 0.

    One row for each time that has both fields; KeyError when ``region`` was not scored.
    """
    frames = []
    for (array, reference), value in cases.items():
        if region not in value.regions:
            raise KeyError(f"region {region!r} was not scored; known: {', '.join(value.regions)}")
        r = value.regions.index(region)
        time, channel = (
            index.ravel() for index in np.indices((len(value.times), len(value.channels)))
        )
        frame = pd.DataFrame(
            {
                "experiment": experiment,
                "time": value.times[time],
                "array": array,
                "reference": reference,
                "channel": np.array(value.channels, object)[channel],
                "rmse": np.sqrt(value.values["square"][:, 0, :, r]).ravel(),
                "bias": value.values["error"][:, 0, :, r].ravel(),
            }
        )
        frames.append(frame[np.isfinite(frame["rmse"])])
    if not frames:
        return pd.DataFrame(
            columns=["experiment", "time", "array", "reference", "channel", "rmse", "bias"]
        )
    return pd.concat(frames, ignore_index=True)


def observation_counts(paths: Sequence[Path], times: np.ndarray, experiment: str) -> pd.DataFrame:
    """Columns experiment, time, source, n: observed values in each source's assimilation window.

    ``paths`` are sparse-grid stores ``{source}/{segment}.zarr``; a window outside the record counts 0. Without stores
    (nothing assimilated) the table is empty.
    """
    by_source: dict[str, list[Path]] = {}
    for path in paths:
        by_source.setdefault(path.parent.name, []).append(path)
    rows = []
    for source, stores in by_source.items():
        grids, window = SparseGrids(stores), sources.load_source(source).window
        for time in times:
            try:
                values = grids.window(time.astype("datetime64[h]"), *window).values
            except KeyError:  # before or after the whole record
                values = np.empty((0, 0))
            rows.append((experiment, time, source, int(np.isfinite(values).sum())))
    frame = pd.DataFrame(rows, columns=["experiment", "time", "source", "n"])
    return frame.astype(
        {"experiment": "str", "time": "datetime64[ns]", "source": "str", "n": "int64"}
    )
