"""Errors of forecast tracks against best tracks, and their scores with intervals over storms.

Errors along and across the track are those of Heming (2017, Meteorol. Appl. 24, 1-8,
doi:10.1002/met.1599): parts of the displacement from the best track's place, along the direction
in which the storm moved to it and to the right of that. Storms are drawn as clusters, since the
errors of one storm resemble each other (Wilks, 2011, Statistical Methods in the Atmospheric
Sciences, section 5.3.5).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fuxiflow.cyclones.sphere import along_and_across, displacement
from fuxiflow.physics import great_circle
from fuxiflow.verification.bootstrap import block_counts, interval

CASE = ["storm", "init_time", "lead_time"]
"""What a case is told by."""
ERRORS = ("track_error", "along_track", "cross_track", "pressure_error", "wind_error")
"""Columns of errors: in km, ahead and to the right positive; in hPa and m s-1, forecast less best
track."""
COLUMNS = (
    *("system", *CASE, "name", "basin", "valid_time", "lat", "lon", "best_lat", "best_lon"),
    *(*ERRORS, "homogeneous"),
)
"""Of a table of errors: a row for each case of each system, NaN where it had lost the storm."""
METRICS = {
    "track_error": ("track_error", np.asarray),
    "along_track": ("along_track", np.asarray),
    "cross_track": ("cross_track", np.asarray),
    "pressure_bias": ("pressure_error", np.asarray),
    "pressure_error": ("pressure_error", np.abs),
    "wind_bias": ("wind_error", np.asarray),
    "wind_error": ("wind_error", np.abs),
}
"""By metric, the column of errors whose mean it is, and what is taken of each first."""
HIT_RATE = "hit_rate"
"""Share of the cases of a sample in which a system still has the storm."""
SAMPLES = ("homogeneous", "all")
"""Cases that every compared system has, and those of each system for itself."""
SCORE_COLUMNS = (
    *("system", "metric", "sample", "reference", "lead_time"),
    *("value", "cases", "storms", "ci_low", "ci_high"),
)
"""Of a table of scores; ``reference`` is the system whose mean is subtracted, empty without."""
_STEP = pd.Timedelta(hours=6)


def match(tracks: pd.DataFrame, fixes: pd.DataFrame, leads: Sequence[int]) -> pd.DataFrame:
    """Compare tracks with best tracks at each lead.

    A case is a storm, an initial time from which some system has a position of it or has looked for
    it, and a lead at whose time the best track has a fix. A system has rows for the forecasts that
    it made.

    Parameters
    ----------
    tracks : pd.DataFrame
        Tracks of all systems, as :func:`fuxiflow.cyclones.forecast_tracks.track_forecasts` makes
        them.
    fixes : pd.DataFrame
        Best tracks.
    leads : sequence of int
        Leads in hours.

    Returns
    -------
    pd.DataFrame
        :data:`COLUMNS`. ``homogeneous`` marks cases in which every system has a position.
    """
    best = _with_direction(fixes)
    asked = tracks[["system", "storm", "name", "basin", "init_time"]].drop_duplicates()
    cases = asked.merge(pd.DataFrame({"lead_time": np.asarray(leads, np.int32)}), how="cross")
    cases["valid_time"] = cases["init_time"] + pd.to_timedelta(cases["lead_time"], unit="h")
    cases = cases.merge(best, on=["storm", "valid_time"], how="inner")
    positions = tracks.loc[
        tracks["lat"].notna(), ["system", *CASE, "lat", "lon", "pressure", "wind"]
    ]
    cases = cases.merge(positions, on=["system", *CASE], how="left")
    best_place = cases["best_lat"].to_numpy(), cases["best_lon"].to_numpy()
    place = cases["lat"].to_numpy(), cases["lon"].to_numpy()
    along, across = along_and_across(
        *displacement(*best_place, *place),
        cases["to_east"].to_numpy(),
        cases["to_north"].to_numpy(),
    )
    cases = cases.assign(
        track_error=great_circle(*best_place, *place),
        along_track=along,
        cross_track=across,
        pressure_error=cases["pressure"] - cases["best_pressure"],
        wind_error=cases["wind"] - cases["best_wind"],
    )
    systems = tracks["system"].nunique()
    there = cases["lat"].notna().groupby([cases[name] for name in CASE]).transform("sum")
    cases["homogeneous"] = there.to_numpy() == systems
    cases = cases.sort_values(["system", *CASE], kind="stable")
    return cases[list(COLUMNS)].reset_index(drop=True)


def _with_direction(fixes: pd.DataFrame) -> pd.DataFrame:
    """Rename the fixes' columns for matching, with the direction in which each was reached.

    It is that from the place six hours before, or at the first fix that toward the next; NaN where
    there is neither.
    """
    best = fixes[["storm", "time", "lat", "lon", "wind", "pressure"]].rename(
        columns={
            "time": "valid_time",
            **{name: f"best_{name}" for name in ("lat", "lon", "wind", "pressure")},
        }
    )
    places = best[["storm", "valid_time", "best_lat", "best_lon"]]

    def shifted(step: pd.Timedelta) -> tuple[np.ndarray, np.ndarray]:
        other = places.assign(valid_time=places["valid_time"] - step)
        joined = best[["storm", "valid_time"]].merge(other, on=["storm", "valid_time"], how="left")
        return joined["best_lat"].to_numpy(), joined["best_lon"].to_numpy()

    here = best["best_lat"].to_numpy(), best["best_lon"].to_numpy()
    back = displacement(*here, *shifted(-_STEP))
    ahead = displacement(*here, *shifted(_STEP))
    came = np.isfinite(back[0])
    return best.assign(
        to_east=np.where(came, -back[0], ahead[0]), to_north=np.where(came, -back[1], ahead[1])
    )


def storm_draws(storms: Sequence[str], samples: int, seed: int) -> pd.DataFrame:
    """Draw storms with replacement.

    Parameters
    ----------
    storms : sequence of str
        All storms.
    samples : int
        Samples to draw.
    seed : int
        Seeds the draw.

    Returns
    -------
    pd.DataFrame
        How often each storm was drawn: a row for each sample, a column for each storm.
    """
    return pd.DataFrame(block_counts(len(storms), 1, samples, seed), columns=list(storms))


def _cluster_mean(
    values: np.ndarray, storms: np.ndarray, draws: pd.DataFrame
) -> tuple[float, int, float, float]:
    """Average the finite of some values, with an interval by drawing their storms.

    Parameters
    ----------
    values : np.ndarray
        Values ``(case,)``.
    storms : np.ndarray
        The storm of each.
    draws : pd.DataFrame
        As of :func:`storm_draws`.

    Returns
    -------
    tuple
        Mean, number of storms, and the ends of the 95 % interval, NaN for fewer than two storms.
    """
    by_storm = pd.Series(values).groupby(np.asarray(storms)).agg(["sum", "count"])
    mean = float(by_storm["sum"].sum() / by_storm["count"].sum())
    if len(by_storm) < 2:
        return mean, len(by_storm), np.nan, np.nan
    counts = draws[by_storm.index].to_numpy()
    cases = counts @ by_storm["count"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(cases > 0, counts @ by_storm["sum"].to_numpy() / cases, np.nan)
    low, high = interval(means[:, None])
    return mean, len(by_storm), float(low[0]), float(high[0])


def _row(key: tuple, values: np.ndarray, storms: np.ndarray, draws: pd.DataFrame) -> list[tuple]:
    """Make the row of a score, or none where no value is finite.

    Parameters
    ----------
    key : tuple
        System, metric, sample, reference and lead.
    values : np.ndarray
        Values ``(case,)``.
    storms : np.ndarray
        The storm of each.
    draws : pd.DataFrame
        As of :func:`storm_draws`.

    Returns
    -------
    list of tuple
        The row, or none.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return []
    mean, count, low, high = _cluster_mean(values[finite], storms[finite], draws)
    return [(*key, mean, int(finite.sum()), count, low, high)]


def score(errors: pd.DataFrame, systems: Sequence[str], samples: int, seed: int) -> pd.DataFrame:
    """Average errors over cases, by system and lead, with intervals by a bootstrap over storms.

    The same storms are drawn for all systems and leads. In the homogeneous sample the difference of
    each system's track error from that of the first of ``systems`` is scored too, case by case.

    Parameters
    ----------
    errors : pd.DataFrame
        As :func:`match` makes it.
    systems : sequence of str
        The systems, the one that others are compared with first.
    samples : int
        Samples of the bootstrap.
    seed : int
        Seeds it.

    Returns
    -------
    pd.DataFrame
        :data:`SCORE_COLUMNS`.
    """
    rows: list[tuple] = []
    storms = sorted(errors["storm"].unique())
    if not storms:
        return pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype({"lead_time": "int32"})
    draws = storm_draws(storms, samples, seed)

    for (system, lead), cases in errors.groupby(["system", "lead_time"], sort=True):
        for sample in SAMPLES:
            part = cases if sample == "all" else cases[cases["homogeneous"]]
            of_storms = part["storm"].to_numpy()
            for metric, (column, of_each) in METRICS.items():
                values = of_each(part[column].to_numpy(float))
                rows += _row((system, metric, sample, "", lead), values, of_storms, draws)
        hits = cases["track_error"].notna().to_numpy(float)
        rows += _row((system, HIT_RATE, "all", "", lead), hits, cases["storm"].to_numpy(), draws)
    common = errors[errors["homogeneous"]]
    first = common[common["system"] == systems[0]]
    pairs = common.merge(first, on=CASE, suffixes=("", "_first"))
    pairs["difference"] = pairs["track_error"] - pairs["track_error_first"]
    for (system, lead), cases in pairs.groupby(["system", "lead_time"], sort=True):
        if system != systems[0]:
            key = system, "track_error", "homogeneous", systems[0], lead
            values = cases["difference"].to_numpy()
            rows += _row(key, values, cases["storm"].to_numpy(), draws)
    table = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    return table.astype({"lead_time": "int32", "cases": "int64", "storms": "int64"})
