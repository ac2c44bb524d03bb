"""The headline numbers of a finished run against the bars that it is held to.

``fuxiflow acceptance results/demo`` reads ``scores/scores.parquet`` and
``scores/{experiment}/cycle.parquet`` there. The reference is the world's truth, and ERA5 where
there is none; then the run is held against its own analyses and observations too. The region is the
globe. With ``--check`` the command fails unless every bar is met.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.channels import channel_table
from fuxiflow.storage import tables
from fuxiflow.verification import intervals, score_table
from fuxiflow.verification.skilful_leads import SKILFUL_ACC, SKILFUL_LEAD

EXPERIMENT = "full"
DENIED = "no_observations"
JOINT = "joint"
REFERENCES = ("truth", "era5")
"""References of the headline, the first that a run has."""
BETTER_SHARE = 0.8
REDUCTIONS = {"Z500": 0.5, "T500": 0.4, "T850": 0.4, "U500": 0.3}
WITHOUT_OBSERVATIONS = ("climatology", DENIED)
"""Fields that need no observations, and a free forecast from the cold start."""
TREND_DAYS = 20
GROWTH = 25  # per cent
EQUIVALENCE_LEVEL = 0.9
"""An interval of 90 % within the bar is two one-sided tests at 5 % (Schuirmann 1987)."""
# channels, first and last lead (h)
PERSISTENCE = (("Z500", "T850", "U850", "MSL"), 12, 96)
CLIMATOLOGY = (("Z500", "T850"), 6, 72)
LEAST_SKILFUL_HOURS = 72
ACTIVITY = (0.3, 1.5)
STEPS = 40
NEAR_GROUND = ("T2M", "T925", "U10", "V10")
SHOWN = ("Z500", "T850", "U850", "MSL")


@dataclass(frozen=True)
class Headline:
    """One headline number and its bar.

    ``met`` is None where the number cannot be computed; ``value`` then says why.
    """

    name: str
    reference: str
    value: str
    bar: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        return {True: "met", False: "MISSED", None: "not computed"}[self.met]

    def __str__(self) -> str:
        return (
            f"{self.name:<58} {self.reference:<12} {self.value:<42} {self.bar:<22} {self.verdict}"
        )


class Scores:
    """The scores that headlines read: those against one reference, over the globe."""

    def __init__(self, frame: pd.DataFrame, reference: str):
        self.reference = reference
        self.frame = frame[frame["reference"] == reference]

    def headline(self, name: str, value: str, bar: str, met: bool | None) -> Headline:
        """Make a headline of this reference.

        Parameters
        ----------
        name, value, bar : str
            The number in words, its value, and what it is held to.
        met : bool, optional
            Whether the bar is met, None where nobody can tell.

        Returns
        -------
        Headline
            The line.
        """
        return Headline(name, self.reference, value, bar, met)

    def has(self, metric: str, lead: int) -> bool:
        """Return whether the experiment has a metric at a lead."""
        rows = self.frame[self.frame["experiment"] == EXPERIMENT]
        return bool(((rows["metric"] == metric) & (rows["lead_time"] == lead)).any())

    def get(
        self,
        metric: str,
        *,
        experiment: str = EXPERIMENT,
        system: str = "fuxiflow",
        column: str = "value",
    ) -> pd.DataFrame:
        """Return a column of a metric as a table of channels (rows) and leads (columns).

        Parameters
        ----------
        metric, experiment, system : str
            Keys of the score table.
        column : str
            Column of the score table.

        Returns
        -------
        pd.DataFrame
            Values ``(channel, lead)``.

        Raises
        ------
        KeyError
            There is no such score.
        """
        frame = self.frame
        rows = frame[
            (frame["experiment"] == experiment)
            & (frame["system"] == system)
            & (frame["metric"] == metric)
        ]
        if rows.empty:
            raise KeyError(f"no {metric} of {system}, experiment {experiment}")
        return rows.astype({"channel": "str"}).pivot(
            index="channel", columns="lead_time", values=column
        )

    def at(self, metric: str, channel: str, leads: Sequence[int], **where) -> pd.Series:
        """Return the values of a channel at some leads.

        Parameters
        ----------
        metric : str
            Metric of the score table.
        channel : str
            Channel.
        leads : sequence of int
            Lead times in hours.
        **where
            Further arguments of :meth:`get`.

        Returns
        -------
        pd.Series
            Values by lead.

        Raises
        ------
        KeyError
            A value is absent; the message names the first.
        """
        values = self.get(metric, **where)
        absent = [
            lead
            for lead in leads
            if channel not in values.index
            or lead not in values.columns
            or not np.isfinite(values.loc[channel, lead])
        ]
        if absent:
            raise KeyError(f"no {metric} of {channel} at {absent[0]} h")
        return values.loc[channel, list(leads)]


def better_than_background(scores: Scores) -> Iterator[Headline]:
    """Judge the share of channels whose analysis has a smaller RMSE than its background."""
    analysis = scores.get("rmse")[0].dropna()
    background = scores.get("background_rmse")[0]
    better = analysis < background.reindex(analysis.index)
    share = better.mean()
    yield scores.headline(
        "analysis better than its background, channels",
        f"{better.sum()} of {len(better)} ({share:.0%})",
        f">= {BETTER_SHARE:.0%}",
        bool(share >= BETTER_SHARE),
    )


def against_no_observations(scores: Scores) -> Iterator[Headline]:
    """Judge how far the analysis is better than what needs no observations.

    That is climatology, and a free forecast from the cold start where the run has one, whichever
    has the smaller error: who put out climatology would have 0.
    """
    columns = ("value", "ci_low", "ci_high")
    versus = {}
    for other in WITHOUT_OBSERVATIONS:
        metric = f"rmse_vs_{other}"
        if other == "climatology" or scores.has(metric, lead=0):
            versus[other] = {name: scores.get(metric, column=name)[0] for name in columns}
    for channel, bar in REDUCTIONS.items():
        below = {
            other: [-100 * table[name][channel] for name in columns]
            for other, table in versus.items()
        }
        hardest = min(below, key=lambda other: below[other][0])
        value, high, low = below[hardest]
        easier = ", ".join(
            f"{other} {below[other][0]:.0f} %" for other in below if other != hardest
        )
        yield scores.headline(
            f"analysis RMSE {channel} below that without observations",
            f"{value:.0f} % [{low:.0f}, {high:.0f}] ({hardest}{'; ' if easier else ''}{easier})",
            f"interval >= {bar:.0%}",
            bool(low >= 100 * bar),
        )


def _daily(cycle: pd.DataFrame, array: str, channel: str, reference: str) -> np.ndarray:
    """Return the RMSE of each of the last days.

    Parameters
    ----------
    cycle : pd.DataFrame
        Series of the cycle.
    array : str
        Analysis, background or climatology.
    channel : str
        Channel.
    reference : str
        Reference of the errors.

    Returns
    -------
    np.ndarray
        Daily RMSE, ``(day,)``, in the channel's unit.

    Raises
    ------
    KeyError
        The series has no such rows.
    """
    rows = cycle[
        (cycle["array"] == array)
        & (cycle["reference"] == reference)
        & (cycle["channel"] == channel)
    ]
    if rows.empty:
        raise KeyError(f"no cycle of {channel} from {array}")
    series = rows.set_index("time")["rmse"].sort_index()
    last = series[series.index >= series.index[-1].normalize() - pd.Timedelta(days=TREND_DAYS - 1)]
    return np.sqrt((last**2).groupby(last.index.normalize()).mean()).to_numpy()


def _growth(daily: np.ndarray) -> tuple[float, float]:
    """Return the trend over the last days in per cent of their mean, and its half width."""
    trend = intervals.trend(daily, EQUIVALENCE_LEVEL)
    return tuple(100 * TREND_DAYS * x / daily.mean() for x in trend)


def steadiness(scores: Scores, cycle: pd.DataFrame) -> Iterator[Headline]:
    """Judge the growth of the analysis RMSE over the last days.

    The bar is met where growth is shown to be small: both of two one-sided tests at 5 % refuse
    that it is as large as the bar, upwards or downwards. A noisy series cannot show that. Beside it
    stands, without a bar, the growth of climatology's RMSE: a livelier atmosphere has more to be
    missed.
    """
    for channel in REDUCTIONS:
        daily = _daily(cycle, "analysis", channel, scores.reference)
        slope, reach = _growth(daily)
        climatology = _growth(_daily(cycle, "climatology", channel, scores.reference))[0]
        yield scores.headline(
            f"growth of analysis RMSE {channel}, last {len(daily)} days",
            f"{slope:+.1f} % [{slope - reach:+.1f}, {slope + reach:+.1f}] "
            f"(climatology {climatology:+.0f} %)",
            f"90 % interval in +-{GROWTH} %",
            bool(abs(slope) + reach <= GROWTH),
        )


def _beats(
    scores: Scores, other: str, channels: Sequence[str], first: int, last: int
) -> Iterator[Headline]:
    """Judge the normalised RMSE difference of forecasts from a baseline at its worst lead.

    Parameters
    ----------
    scores : Scores
        Scores of the run.
    other : str
        Baseline.
    channels : sequence of str
        Channels, each of which has a line.
    first, last : int
        Lead times in hours.

    Yields
    ------
    Headline
        Number and bar of a channel.
    """
    for channel in channels:
        values = scores.at(f"rmse_vs_{other}", channel, range(first, last + 1, 6))
        yield scores.headline(
            f"forecast RMSE {channel} against {other}, {first}-{last} h",
            f"worst {values.max():+.0%} at {values.idxmax()} h",
            "< 0 % at every lead",
            bool(values.max() < 0),
        )


def against_persistence(scores: Scores) -> Iterator[Headline]:
    """Judge the RMSE difference from persistence of the same analyses at the worst lead."""
    return _beats(scores, "persistence", *PERSISTENCE)


def against_climatology(scores: Scores) -> Iterator[Headline]:
    """Judge the RMSE difference from climatology at the worst lead."""
    return _beats(scores, "climatology", *CLIMATOLOGY)


def skilful_lead(scores: Scores) -> Iterator[Headline]:
    """Judge the lead time to which ACC of Z500 is at least 0.6."""
    value, low, high = (
        scores.get(SKILFUL_LEAD, column=column).loc["Z500"].dropna().iloc[-1]
        for column in ("value", "ci_low", "ci_high")
    )
    yield scores.headline(
        f"skilful lead of Z500 (ACC >= {SKILFUL_ACC})",
        f"{value:.0f} h [{low:.0f}, {high:.0f}]",
        f">= {LEAST_SKILFUL_HOURS} h",
        bool(value >= LEAST_SKILFUL_HOURS),
    )


def activity_range(scores: Scores) -> Iterator[Headline]:
    """Judge the range of the activity ratio over all steps, of the main channels and of all."""
    leads = [6 * step for step in range(1, STEPS + 1)]
    values = scores.get("activity_ratio")
    cases = scores.get("activity_ratio", column="n").reindex(columns=leads)
    low, high = ACTIVITY
    # those that verification.channels leaves out have no row
    scored = [name for name in channel_table().analysed.names if name in values.index]
    for name, channels in (
        (" ".join(SHOWN), list(SHOWN)),
        ("all channels", scored),
    ):
        ratios = values.reindex(index=channels, columns=leads)
        counted = cases.reindex(index=channels) == cases.max(axis=None)
        complete = bool(np.isfinite(ratios).all(axis=None) and counted.all(axis=None))
        flat = ratios.stack()
        if flat.empty:
            raise KeyError(f"no activity_ratio of {name}")
        span = f"{flat.min():.2f} ({flat.idxmin()[0]}) to {flat.max():.2f} ({flat.idxmax()[0]})"
        yield scores.headline(
            f"activity ratio over {STEPS} steps, {name}",
            span + ("" if complete else ", incomplete"),
            f"{low}-{high}, finite",
            complete and bool(flat.min() >= low and flat.max() <= high),
        )


def against_reanalysis(scores: Scores) -> Iterator[Headline]:
    """Judge the difference of the analysis RMSE from that of the reanalysis it learnt from.

    These analyses learnt from observations too, so that they can be better.
    """
    columns = ("value", "ci_low", "ci_high")
    versus = {
        column: scores.get("rmse_vs_era5", experiment=JOINT, column=column)[0] for column in columns
    }
    for channel in NEAR_GROUND:
        value, low, high = (100 * versus[column][channel] for column in columns)
        yield scores.headline(
            f"analysis RMSE {channel} of {JOINT} against ERA5's",
            f"{value:+.1f} % [{low:+.1f}, {high:+.1f}]",
            "interval below 0",
            bool(high < 0),
        )


def closer_to_observations(scores: Scores) -> Iterator[Headline]:
    """Judge the share of observed channels that the analysis is closer to than its background."""
    analysis, background = (
        scores.get(f"departure_{array}_std")[0].dropna() for array in ("analysis", "background")
    )
    closer = analysis < background.reindex(analysis.index)
    share = closer.mean()
    yield scores.headline(
        "analysis closer than its background, observed channels",
        f"{closer.sum()} of {len(closer)} ({share:.0%})",
        f">= {BETTER_SHARE:.0%}",
        bool(share >= BETTER_SHARE),
    )


GROUPS = {
    EXPERIMENT: (
        better_than_background,
        against_no_observations,
        steadiness,
        against_persistence,
        against_climatology,
        skilful_lead,
        activity_range,
    ),
    JOINT: (against_reanalysis,),
}
"""The judgements of an experiment, where a run has it."""
FURTHER = {
    "own": (against_persistence, skilful_lead),
    "observations": (closer_to_observations,),
}
"""Those of a run without a truth, against its own analyses and against observations."""


def headlines(results: Path) -> list[Headline]:
    """Compute all headline numbers of the run in ``results``.

    FileNotFoundError when there is no score table.
    """
    folder = Path(results) / "scores"
    return judge_scores(folder / "scores.parquet", folder / EXPERIMENT / "cycle.parquet")


def judge_scores(path: Path, cycle: Path | None) -> list[Headline]:
    """Compute the headline numbers of a score table.

    ``cycle`` is the series of the experiment :data:`EXPERIMENT`, None for a run without that
    experiment. FileNotFoundError names a file that is not there.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there; make it with `snakemake verification`")
    frame = score_table.read_scores(path, region="global")
    references = set(frame["reference"])
    main = next((name for name in REFERENCES if name in references), REFERENCES[-1])
    scores = Scores(frame, main)
    present = set(scores.frame["experiment"])
    experiments = [name for name in GROUPS if name in present] or [EXPERIMENT]
    series = pd.DataFrame(columns=["array", "reference", "channel"])
    if EXPERIMENT in experiments and cycle is not None:
        if not cycle.exists():
            raise FileNotFoundError(f"{cycle}: not there; make it with `snakemake verification`")
        series = tables.read_parquet(cycle)
    judgements = [(scores, group) for name in experiments for group in GROUPS[name]]
    if main == "era5" and EXPERIMENT in experiments:
        judgements += [
            (Scores(frame, name), group)
            for name, groups in FURTHER.items()
            for group in groups
            if name in references
        ]
    lines = []
    for against, group in judgements:
        try:
            lines.extend(group(against, series) if group is steadiness else group(against))
        except (KeyError, ValueError) as error:
            name = group.__name__.replace("_", " ")
            lines.append(Headline(name, against.reference, str(error.args[0]), "", None))
    return lines


def headline_table(lines: Sequence[Headline]) -> pd.DataFrame:
    """Return headline numbers as a table: number, reference, value, bar, verdict."""
    rows = [(line.name, line.reference, line.value, line.bar, line.verdict) for line in lines]
    return pd.DataFrame(rows, columns=["number", "reference", "value", "bar", "verdict"])
