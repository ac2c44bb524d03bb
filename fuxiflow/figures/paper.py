"""The folder of a paper: its figures as PDF, and its numbers as LaTeX and CSV with their queries.

``make paper`` calls :func:`make_paper`. All is made from tables that a run has stored: the CSV
beside each figure, and the score table. Nothing is computed from fields.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fuxiflow.channels import channel_table
from fuxiflow.config import figure_inputs
from fuxiflow.config.configuration import load_configuration
from fuxiflow.figures import style
from fuxiflow.figures.files import (
    FIGURE_IDS,
    figure_module,
    lay_out_figure,
    read_figure_table,
    write_pdf,
)
from fuxiflow.storage import provenance
from fuxiflow.storage.files import whole_file
from fuxiflow.verification import score_table

SCORES = "scores/scores.parquet"
ANALYSED = ("Z500", "T500", "T850", "U500", "R500", "T2M", "MSL")
"""Channels of the numbers about analyses."""
FORECAST = ("Z500", "T850", "U850", "T2M", "MSL")
"""Channels of the numbers about forecasts."""
LEADS = (24, 72, 120, 240)
SKILFUL = 0.6
"""ACC of a forecast that is still of use."""
NO_VALUE = "--"


@dataclass(frozen=True)
class Number:
    """A number of the paper, and the query that gives it.

    Attributes
    ----------
    name : str
        What it is, in words.
    statistic : str
        What is made of the rows: ``value``, or in words.
    value, ci_low, ci_high : float
        The number and its 95 % interval, NaN where there is none.
    unit : str
        Unit as the channel table has it, ``%`` of differences, ``h`` of lead times.
    n : int
        Cases of the row, or rows of the query where there are several.
    filter : str
        Condition of the rows, as ``pandas.DataFrame.query`` takes it.
    remark : str
        What a reader has to know.
    table : str
        Table, in the folder of results.
    """

    name: str
    statistic: str
    value: float
    ci_low: float
    ci_high: float
    unit: str
    n: int
    filter: str
    remark: str = ""
    table: str = field(default=SCORES)


def filter_text(where: Mapping[str, str | int]) -> str:
    """Return the condition that columns have values, as ``pandas.DataFrame.query`` takes it."""
    return " and ".join(
        f'{name} == "{value}"' if isinstance(value, str) else f"{name} == {value}"
        for name, value in where.items()
    )


def _single(
    frame: pd.DataFrame, name: str, unit: str, where: Mapping[str, str | int], factor: int = 1
) -> Iterator[Number]:
    """Make a number of the one row that a query gives, nothing where there is none.

    Parameters
    ----------
    frame : pd.DataFrame
        Score table.
    name, unit : str
        Name and unit of the number.
    where : mapping
        Values of columns.
    factor : int
        What the score is multiplied by: 100 for one in per cent.

    Yields
    ------
    Number
        The score.
    """
    text = filter_text(where)
    rows = frame.query(text)
    if len(rows) != 1:
        return
    row = rows.iloc[0]
    yield Number(
        name,
        f"{factor} value" if factor > 1 else "value",
        *(factor * float(row[column]) for column in ("value", "ci_low", "ci_high")),
        unit,
        int(row["n"]),
        text,
    )


def _last_skilful(leads: np.ndarray, correlation: np.ndarray) -> float:
    """Return the last lead before the correlation first falls below :data:`SKILFUL`.

    It is 0 where no forecast is skilful, and NaN where a correlation is missing.
    """
    if np.isnan(correlation).any():
        return np.nan
    below = np.flatnonzero(correlation < SKILFUL)
    skilful = leads[: below[0]] if below.size else leads
    return float(skilful[-1]) if skilful.size else 0.0


def _skilful_lead(
    frame: pd.DataFrame, name: str, where: Mapping[str, str | int]
) -> Iterator[Number]:
    """Make the number of the longest skilful lead time; its interval is that of the curve's.

    Parameters
    ----------
    frame : pd.DataFrame
        Score table.
    name : str
        Name of the number.
    where : mapping
        Values of columns.

    Yields
    ------
    Number
        Hours, nothing without scores.
    """
    text = f"{filter_text(where)} and lead_time > 0"
    rows = frame.query(text).sort_values("lead_time")
    if rows.empty:
        return
    leads = rows["lead_time"].to_numpy()
    value, low, high = (
        _last_skilful(leads, rows[column].to_numpy()) for column in ("value", "ci_low", "ci_high")
    )
    remark = "skilful to the longest lead" if value == leads[-1] else ""
    statistic = f"last lead_time before value first falls below {SKILFUL}"
    yield Number(name, statistic, value, low, high, "h", len(rows), text, remark)


def _shares(frame: pd.DataFrame, other: str, where: Mapping[str, str | int]) -> Iterator[Number]:
    """Make the numbers of a scorecard: shares of its cells in per cent.

    Parameters
    ----------
    frame : pd.DataFrame
        Score table.
    other : str
        Name of the other system in words.
    where : mapping
        Values of columns.

    Yields
    ------
    Number
        Cells that are better, significantly better and significantly worse.
    """
    text = f'{filter_text(where)} and lead_time > 0 and channel != "TP"'
    rows = frame.query(text)
    if rows.empty:
        return
    for words, statistic in (
        ("better", "value < 0"),
        ("significantly better", "ci_high < 0"),
        ("significantly worse", "ci_low > 0"),
    ):
        share = 100 * float(rows.eval(statistic).mean())
        name = f"cells of the scorecard {words} than {other}"
        counted = f"100 mean({statistic})"
        yield Number(name, counted, share, np.nan, np.nan, "%", len(rows), text)


def headline_numbers(
    path: Path, experiment: str, reference: str, other: str | None
) -> list[Number]:
    """Gather the numbers that a paper about an experiment states.

    Parameters
    ----------
    path : Path
        Score table.
    experiment : str
        The main experiment.
    reference : str
        Reference of the errors.
    other : str, optional
        System that is compared with.

    Returns
    -------
    list of Number
        Those that the table has rows for.
    """
    frame = score_table.read_scores(path, reference=reference, region="global")
    frame = frame.astype(dict.fromkeys(score_table.TEXTS, str))
    own = {"experiment": experiment, "system": "fuxiflow"}
    label = style.SYSTEMS[other].label if other in style.SYSTEMS else other
    systems = {"fuxiflow": own}
    if other:
        systems[label] = {"experiment": score_table.BASELINE, "system": other}
    common = {"reference": reference, "region": "global"}
    numbers: list[Number] = []

    def add(made: Iterator[Number]) -> None:
        numbers.extend(made)

    for leads, channels, words in (
        ((0,), ANALYSED, "analysis"),
        (LEADS, FORECAST, "forecast"),
    ):
        for channel in channels:
            unit = channel_table()[channel].unit
            for lead in leads:
                place = {**common, "channel": channel, "lead_time": lead}
                what = f"{channel}, {words}" + (f" at {lead} h" if lead else "")
                for system, keys in systems.items():
                    where = {**keys, "metric": "rmse", **place}
                    add(_single(frame, f"RMSE of {what}, {system}", unit, where))
                if other:
                    where = {**own, "metric": f"rmse_vs_{other}", **place}
                    name = f"RMSE of {what}, difference to {label}"
                    add(_single(frame, name, "%", where, factor=100))
    for channel in FORECAST:
        for system, keys in systems.items():
            where = {**keys, "metric": "acc", **common, "channel": channel}
            add(_skilful_lead(frame, f"skilful lead time of {channel}, {system}", where))
    if other:
        add(_shares(frame, label, {**own, "metric": f"rmse_vs_{other}", **common}))
    return numbers


def _latex(text: str) -> str:
    """Return a text in LaTeX, with the exponents of units raised."""
    escaped = re.sub(r"([%_&#])", r"\\\1", text)
    return re.sub(r"(?<=[a-z])(-?\d)(?= |$)", r"$^{\1}$", escaped) if " " in text else escaped


def _digits(number: Number) -> Iterator[str]:
    """Yield value and ends of the interval, rounded as the interval's width asks for.

    Hours of lead times are whole.
    """
    width = number.ci_high - number.ci_low
    size = width / 10 if np.isfinite(width) and width > 0 else abs(number.value) / 100
    places = max(0, int(np.ceil(-np.log10(size)))) if size > 0 and number.unit != "h" else 0
    for value in (number.value, number.ci_low, number.ci_high):
        yield f"{value:.{places}f}" if np.isfinite(value) else NO_VALUE


def latex_table(numbers: list[Number]) -> str:
    """Return the numbers as a ``tabular`` of booktabs; a comment above each row has its query."""
    lines = [
        r"\begin{tabular}{lrrlr}",
        r"\toprule",
        r"quantity & value & 95\,\% interval & unit & $n$ \\",
        r"\midrule",
    ]
    for number in numbers:
        value, low, high = _digits(number)
        interval = NO_VALUE if NO_VALUE in (low, high) else f"[{low}, {high}]"
        at_least = r"$\geq$ " if number.remark else ""
        lines += [
            f"% {number.table}: {number.filter}; {number.statistic}",
            f"{_latex(number.name)} & {at_least}{value} & {interval} & {_latex(number.unit)} "
            rf"& {number.n} \\",
        ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def make_paper(
    results: Path, experiment: str, reference: str, other: str | None, world: str = "archive"
) -> list[Path]:
    """Make the folder ``paper`` of a finished run anew from its stored tables.

    Parameters
    ----------
    results : Path
        Folder of the run.
    experiment : str
        The main experiment.
    reference : str
        Reference of the errors.
    other : str, optional
        System that is compared with.
    world : str
        World that the data are of; one that is not the real one is named in the figures.

    Returns
    -------
    list of Path
        The files: a PDF of each figure that has its table, ``figures.csv`` with the table of each
        figure, ``numbers.csv`` and ``numbers.tex``.

    Raises
    ------
    FileNotFoundError
        The run has no score table.
    """
    scores = results / SCORES
    if not scores.exists():
        raise FileNotFoundError(f"{scores}: there is no score table: run snakemake first")
    folder = results / "paper"
    folder.mkdir(exist_ok=True)
    made, listed = [], []
    for name in FIGURE_IDS:
        source = results / "figures" / f"{name}.csv"
        if not source.exists():
            continue
        table = read_figure_table(source)
        stamp = provenance.collect("paper", {"figure": name, "world": world}, [source])
        figure = figure_module(name).draw(table)
        lay_out_figure(figure, world)
        with whole_file(folder / f"{name}.pdf") as file:
            write_pdf(figure, file, stamp)
        made.append(folder / f"{name}.pdf")
        listed.append({"figure": f"{name}.pdf", "table": f"figures/{name}.csv", "rows": len(table)})
    numbers = headline_numbers(scores, experiment, reference, other)
    for name, frame in (
        ("figures.csv", pd.DataFrame(listed, columns=["figure", "table", "rows"])),
        ("numbers.csv", pd.DataFrame(map(asdict, numbers), columns=list(Number.__annotations__))),
    ):
        text = frame.to_csv(index=False, float_format="%.7g", lineterminator="\n")
        with whole_file(folder / name) as file:
            file.write(text.encode())
        made.append(folder / name)
    with whole_file(folder / "numbers.tex") as file:
        file.write(latex_table(numbers).encode())
    return [*made, folder / "numbers.tex"]


def make_configured_paper(paths: Sequence[Path]) -> list[Path]:
    """Make the paper of the run of a configuration, with its main experiment and reference."""
    config = load_configuration(*paths)
    reference = figure_inputs.error_references(config)[-1]
    return make_paper(
        Path("results") / config.name,
        config.figures.experiments[0],
        reference,
        figure_inputs.compared_system(config, reference),
        "embedded synthetic world" if config.synthetic else "archive",
    )
