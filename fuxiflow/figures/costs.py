"""``costs``: time, memory and GPU-hours by rule and experiment, beside what was requested."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fuxiflow.figures import style

SHARED = "shared"
NONE = "no benchmarks are kept beside these results"


def table(summary: pd.DataFrame, stages: Sequence[str], experiments: Sequence[str]) -> pd.DataFrame:
    """Put the costs of rules in the order in which they are drawn.

    Parameters
    ----------
    summary : pd.DataFrame
        Costs by rule and experiment, of :func:`fuxiflow.runtime.costs.cost_summary`.
    stages : sequence of str
        Stages of the workflow in their order; an unknown one comes last.
    experiments : sequence of str
        Experiments in the order of their colours.

    Returns
    -------
    pd.DataFrame
        The rows of ``summary``; what all experiments share is called :data:`SHARED`.
    """
    stage_order = {name: number for number, name in enumerate(stages)}
    order = {name: number for number, name in enumerate(["", *experiments])}
    frame = summary.assign(
        place=[stage_order.get(name, len(stage_order)) for name in summary["stage"]],
        rank=[order.get(name, len(order)) for name in summary["experiment"]],
    )
    frame = frame.sort_values(["place", "rule", "rank"], kind="stable").drop(
        columns=["place", "rank"]
    )
    return frame.assign(experiment=frame["experiment"].replace("", SHARED)).reset_index(drop=True)


def _colors(table: pd.DataFrame) -> dict[str, str]:
    """Return a colour for each experiment, grey for shared costs; the eighth repeats the first."""
    names = [name for name in dict.fromkeys(table["experiment"]) if name != SHARED]
    colors = {name: style.OKABE_ITO[i % len(style.OKABE_ITO)] for i, name in enumerate(names)}
    return {SHARED: "0.6"} | colors


def _length(hours: float) -> str:
    """Write hours in the unit that suits them."""
    for unit, size in (("d", 24.0), ("h", 1.0), ("min", 1 / 60)):
        if hours >= 2 * size:
            return f"{hours / size:.3g} {unit}"
    return f"{3600 * hours:.{0 if hours > 10 / 3600 else 1}f} s"


def _stacked(
    ax: Axes, table: pd.DataFrame, rules: list[str], column: str, colors: dict[str, str]
) -> None:
    """Draw bars of a sum over jobs, one part for each experiment, with the sum at their end.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    table : pd.DataFrame
        Rows of :func:`table`.
    rules : list of str
        Rules from top to bottom.
    column : str
        Column of hours.
    colors : dict of str to str
        Colour of each experiment.
    """
    left = pd.Series(0.0, index=rules)
    for name, color in colors.items():
        part = (
            table[table["experiment"] == name].set_index("rule")[column].reindex(rules).fillna(0.0)
        )
        ax.barh(
            range(len(rules)),
            part,
            left=left,
            color=color,
            height=0.7,
            label=name.replace("_", " "),
        )
        left += part
    for number, value in enumerate(left):
        if value > 0:
            ax.annotate(
                _length(value),
                (value, number),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    ax.set_xlim(0, 1.25 * max(left.max(), 1e-9))
    ax.set_xlabel("hours")


def _against(ax: Axes, used: pd.Series, requested: pd.Series, label: str) -> None:
    """Draw bars of what was used and marks of what was requested, on a logarithmic axis.

    A bar that passes its mark is red.

    Parameters
    ----------
    ax : Axes
        Panel to draw on.
    used, requested : pd.Series
        Values of the rules from top to bottom.
    label : str
        Label of the axis.
    """
    over = (used > requested).to_numpy()
    colors = [style.OKABE_ITO[1] if flag else style.OKABE_ITO[5] for flag in over]
    ax.barh(range(len(used)), used, color=colors, height=0.7)
    ax.plot(
        requested,
        range(len(used)),
        linestyle="none",
        marker="|",
        markersize=9,
        markeredgewidth=1.8,
        color="black",
    )
    positive = pd.concat([used, requested]).dropna()
    positive = positive[positive > 0]
    if not positive.empty:
        ax.set_xscale("log")
        ax.set_xlim(positive.min() / 2, positive.max() * 2)
    ax.set_xlabel(label)


def draw(table: pd.DataFrame) -> Figure:
    """Draw a row for each rule: time by experiment, memory, longest job and use of the cores.

    GPU-hours have a panel of their own if there are any.
    """
    if table.empty:
        figure = style.new_figure(6.0, 1.5)
        figure.text(0.5, 0.5, NONE, ha="center", va="center")
        return figure
    rules = list(dict.fromkeys(table["rule"]))
    present = set(table["experiment"])
    colors = {name: color for name, color in _colors(table).items() if name in present}
    how = dict.fromkeys(("hours", "cpu_hours", "core_hours"), "sum")
    how |= dict.fromkeys(("longest_hours", "requested_hours", "peak_mb", "requested_mb"), "max")
    by_rule = table.groupby("rule").agg(how).loc[rules]
    gpus = table["gpu_hours"].sum() > 0
    widths = [2.4, *([1.3] if gpus else []), 1.3, 1.3, 1.0]
    figure = style.new_figure(2.6 + 1.35 * sum(widths), 0.19 * len(rules) + 1.6)
    axes = list(figure.subplots(1, len(widths), sharey=True, width_ratios=widths))
    _stacked(axes[0], table, rules, "hours", colors)
    axes[0].set_title("time of all jobs", loc="left")
    axes[0].set_yticks(range(len(rules)), rules)
    axes[0].set_ylim(len(rules) - 0.5, -0.5)
    if gpus:
        _stacked(axes[1], table, rules, "gpu_hours", colors)
        axes[1].set_title("GPU-hours", loc="left")
    _against(axes[-3], by_rule["peak_mb"] / 1000, by_rule["requested_mb"] / 1000, "GB")
    axes[-3].set_title("largest memory", loc="left")
    _against(axes[-2], by_rule["longest_hours"], by_rule["requested_hours"], "hours")
    axes[-2].set_title("longest job", loc="left")
    share = 100 * by_rule["cpu_hours"] / by_rule["core_hours"].where(by_rule["core_hours"] > 0)
    axes[-1].barh(range(len(rules)), share, color=style.OKABE_ITO[2], height=0.7)
    axes[-1].set_xlim(0, max(110, 1.05 * share.max()) if share.notna().any() else 110)
    axes[-1].axvline(100, color="black", linewidth=0.8)
    axes[-1].set_xlabel("%")
    axes[-1].set_title("use of cores", loc="left")
    for ax in axes:
        ax.grid(True, axis="x")
        ax.tick_params(axis="y", length=0)
    style.letter_panels(axes)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(len(labels), 8),
        title="time by experiment; black marks: requested",
    )
    return figure
