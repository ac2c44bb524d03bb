"""The status page: one HTML file without scripts or foreign parts, which reloads itself."""

import html
import os
import time
from collections.abc import Iterable
from pathlib import Path

from fuxiflow.progress import format_duration
from fuxiflow.runtime.data_warnings import JobWarnings
from fuxiflow.runtime.log_tail import last_lines
from fuxiflow.runtime.run_state import DONE, FAILED, SUBMITTED, Job, Run
from fuxiflow.runtime.skill_so_far import Skill

RELOAD = 15  # s
MOST_RUNNING = 60
LOG_LINES = 12
MOST_WARNING = 40
WARNING_KINDS = 4
# Okabe and Ito (2008), as the figures
BLUE = "#0072B2"
RED = "#D55E00"
GREEN = "#009E73"
GREY = "#8a8a8a"
STYLE = f"""
body {{ font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em;
padding: 0 1em; color: #1b1b1b }}
h1 {{ font-size: 1.4em; margin: 0 0 .2em }} h3 {{ font-size: 1em; margin: .8em 0 0 }}
h2 {{ font-size: 1.05em; margin: 1.8em 0 .4em }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ padding: .25em .8em .25em 0; text-align: left; vertical-align: top;
border-bottom: 1px solid #e4e4e4 }} th {{ font-weight: 600; color: #555 }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums }}
.bar {{ display: inline-block; width: 12em; height: .7em; background: #e8e8e8;
border-radius: 2px; overflow: hidden }}
.bar i {{ display: inline-block; height: 100%; background: {BLUE}; float: left }}
.bar i.bad {{ background: {RED} }} .wide .bar {{ width: 100%; height: 1em }}
.quiet {{ color: #666 }} .bad {{ color: {RED} }} .good {{ color: {GREEN} }}
pre {{ background: #f5f5f5; padding: .7em; overflow-x: auto; font-size: 12px }}
.failure {{ border-left: 4px solid {RED}; padding-left: 1em; margin: 1em 0 }}
"""


def _bar(done: int, total: int, bad: int = 0) -> str:
    """Draw a bar.

    Parameters
    ----------
    done, bad : int
        How many are done, and how many went bad, which have another colour.
    total : int
        How many fill the bar.

    Returns
    -------
    str
        HTML.
    """
    parts = "".join(
        f'<i class="{kind}" style="width:{100 * count / max(total, 1):.1f}%"></i>'
        for kind, count in (("", done), ("bad", bad))
        if count
    )
    return f'<span class="bar">{parts}</span>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: Iterable[int] = ()) -> str:
    """Draw a table.

    Parameters
    ----------
    head : iterable of str
        Names of the columns.
    rows : iterable of iterable of str
        Cells, which are HTML already.
    numbers : iterable of int
        Columns that are set to the right.

    Returns
    -------
    str
        HTML.
    """
    right = set(numbers)

    def line(kind: str, cells: Iterable[str]) -> str:
        marks = (" class=n" if i in right else "" for i, _ in enumerate(head))
        inside = "".join(
            f"<{kind}{mark}>{cell}</{kind}>" for mark, cell in zip(marks, cells, strict=True)
        )
        return f"<tr>{inside}</tr>"

    return "<table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table>"


def _clock_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _quiet(text: str) -> str:
    return f'<span class="quiet">{text}</span>'


def _link(run: Run, log: str) -> str:
    """Link a log by its path from the page."""
    path = os.path.relpath(log, f"results/{run.name}")
    return f'<a href="{html.escape(path)}">{html.escape(Path(log).name)}</a>'


def _stages(run: Run) -> str:
    rows = []
    for stage, jobs in run.stages().items():
        counts = run.counts(jobs)
        rows.append(
            [
                html.escape(stage),
                _bar(counts[DONE], counts["total"], counts[FAILED]),
                f"{counts[DONE]} of {counts['total']}",
                str(counts[SUBMITTED] or ""),
                f'<span class="bad">{counts[FAILED]}</span>' if counts[FAILED] else "",
            ]
        )
    return _table(["stage", "", "done", "running", "failed"], rows, (2, 3, 4))


def _running_row(run: Run, job: Job, now: float) -> list[str]:
    """Describe a running job.

    Parameters
    ----------
    run : Run
        The run.
    job : Job
        A job that was started.
    now : float
        The time, in s.

    Returns
    -------
    list of str
        HTML of its name, a bar, how far it is, the time left, the time since its start, its log.
    """
    tail = run.tails.get(job.id)
    progress = tail.progress if tail else None
    name = html.escape(job.name)
    end = [format_duration(now - job.begun), _link(run, job.log) if job.log else ""]
    if run.queued(job) and not job.seen:
        return [name, _quiet("not begun"), "", "", *end]
    if progress is None:
        return [name, "", "", "", *end]
    text = f"{html.escape(progress.label)} {progress.done}/{progress.total}"
    text += f"<br>{html.escape(progress.note)}" if progress.note else ""
    bar = _bar(progress.done, progress.total)
    return [name, bar, text, format_duration(progress.left), *end]


def _running(run: Run, now: float) -> str:
    jobs = run.running
    if not jobs:
        return ""
    rows = [_running_row(run, job, now) for job in jobs[:MOST_RUNNING]]
    table = _table(["job", "", "how far", "left", "since", "log"], rows, (3, 4))
    more = len(jobs) - MOST_RUNNING
    rest = f'<p class="quiet">and {more} more</p>' if more > 0 else ""
    return f"<h2>Running</h2>{table}{rest}"


def curve(points: list[tuple[int, float]], width: int = 420, height: int = 110) -> str:
    """Draw losses by update, with the least and greatest value beside them.

    Parameters
    ----------
    points : list of (int, float)
        Updates and losses.
    width, height : int
        Size of the picture in pixels.

    Returns
    -------
    str
        An inline SVG.
    """
    xs, ys = zip(*points, strict=True)
    low, high = min(ys), max(ys)
    first, last = min(xs), max(xs)

    def place(x, y):
        across = (x - first) / max(last - first, 1) * (width - 70) + 60
        return f"{across:.1f},{8 + (high - y) / max(high - low, 1e-12) * (height - 30):.1f}"

    line = " ".join(place(x, y) for x, y in points)
    text = f'<text x="{{}}" y="{{}}" font-size="11" fill="{GREY}" text-anchor="{{}}">{{}}</text>'
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="loss by update">'
        f'<polyline points="{line}" fill="none" stroke="{BLUE}" stroke-width="1.4"/>'
        + text.format(54, 14, "end", f"{high:.4g}")
        + text.format(54, height - 20, "end", f"{low:.4g}")
        + text.format(60, height - 4, "start", first)
        + text.format(width - 10, height - 4, "end", f"update {last}")
        + "</svg>"
    )


def _losses(run: Run) -> str:
    parts = []
    for number, tail in run.tails.items():
        if tail.losses:
            done, loss = tail.losses[-1]
            parts.append(
                f"<h3>{html.escape(run.jobs[number].name)}: loss {loss:.4g} at {done}</h3>"
                f"{curve(tail.losses) if len(tail.losses) > 1 else ''}"
            )
    return f"<h2>Losses</h2>{''.join(parts)}" if parts else ""


def _skill(skill: Iterable[Skill]) -> str:
    rows = [
        [html.escape(one.experiment), html.escape(one.what), html.escape(one.value)]
        for one in skill
    ]
    return f"<h2>Skill so far</h2>{_table(['experiment', 'what', 'value'], rows)}" if rows else ""


def _failures(run: Run) -> str:
    parts = []
    for failure in run.failures:
        links = " ".join(_link(run, log) for log in (*failure.logs, *failure.earlier))
        lines = [line for log in failure.logs for line in last_lines(run.folder / log, LOG_LINES)]
        end = f"<pre>{html.escape(chr(10).join(lines))}</pre>" if lines else ""
        again = f" {_quiet('tried again')}" if failure.again else ""
        restore = (
            f"<br><b>The earlier product is kept.</b> This puts it back: "
            f"<code>{html.escape(failure.restore)}</code>"
            if failure.restore
            else ""
        )
        parts.append(
            f'<div class="failure"><b>{html.escape(failure.name)}</b>{again}'
            f"<br>{html.escape(failure.says)}"
            f"<br><b>Most likely remedy:</b> {html.escape(failure.remedy)}{restore}"
            f"<br>Log: {links}{end}</div>"
        )
    return f"<h2>Failures</h2>{''.join(parts)}" if parts else ""


def _warnings(run: Run, kept: Iterable[JobWarnings]) -> str:
    """List what scripts have said of their data.

    Parameters
    ----------
    run : Run
        The run, whose logs are followed.
    kept : iterable of JobWarnings
        Warnings of the jobs that have ended well, in this run or before it.

    Returns
    -------
    str
        HTML, empty without warnings.
    """
    by_name = {job.name: (job.counts, job.log) for job in kept}
    for number, tail in run.tails.items():
        job = run.jobs[number]
        if job.state in (SUBMITTED, FAILED) and tail.warnings.counts:
            by_name[job.name] = tail.warnings.counts, job.log
    if not by_name:
        return ""
    rows = []
    for name in sorted(by_name, key=lambda name: -sum(by_name[name][0].values()))[:MOST_WARNING]:
        counts, log = by_name[name]
        texts = [
            html.escape(text) + (f" {_quiet(f'and {count - 1} like it')}" if count > 1 else "")
            for text, count in list(counts.items())[:WARNING_KINDS]
        ]
        others = len(counts) - WARNING_KINDS
        texts += [_quiet(f"and {others} other kinds")] if others > 0 else []
        total = str(sum(counts.values()))
        rows.append([html.escape(name), total, "<br>".join(texts), _link(run, log)])
    more = len(by_name) - MOST_WARNING
    rest = f'<p class="quiet">and {more} more jobs</p>' if more > 0 else ""
    table = _table(["job", "number", "warning", "log"], rows, (1,))
    return f"<h2>Warnings about data</h2>{table}{rest}"


def remaining(run: Run, now: float) -> str:
    """Say when all may be done."""
    estimate = run.estimate(now)
    if estimate.unknown:
        untimed = f"{estimate.unknown} {'jobs' if estimate.unknown > 1 else 'job'} not timed before"
        return f"{format_duration(estimate.seconds)} and {untimed}" if estimate.seconds else untimed
    return f"about {format_duration(estimate.seconds)}"


def render_page(
    run: Run, skill: Iterable[Skill], now: float, kept: Iterable[JobWarnings] = ()
) -> str:
    """Return the page.

    Parameters
    ----------
    run : Run
        The state of the run.
    skill : iterable of Skill
        The scores so far.
    now : float
        The time, in s.
    kept : iterable of JobWarnings
        The warnings of jobs that have ended well.

    Returns
    -------
    str
        HTML.
    """
    counts = run.counts()
    goes_on = run.ended is None
    reload = f'<meta http-equiv="refresh" content="{RELOAD}">' if goes_on else ""
    took = format_duration((now if goes_on else run.ended) - run.started)
    if goes_on:
        state = f"running for {took}; left: {remaining(run, now)}"
    else:
        colour = {"finished": "good", "failed": "bad", "stopped": "bad"}.get(run.outcome, "")
        outcome = f'<span class="{colour}">{run.outcome}</span>'
        state = f"{outcome} at {_clock_time(run.ended)} after {took}"
    before = counts["total"] - counts["planned"]
    earlier = f" ({before} were there already)" if before else ""
    name = html.escape(run.name)
    title = f"{name}: {run.outcome}, {counts[DONE]}/{counts['total']}"
    times = _quiet(f"began {_clock_time(run.started)}, as of {_clock_time(now)}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{reload}'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{name}</h1>"
        f"<p>{state}<br>{counts[DONE]} of {counts['total']} jobs done{earlier}<br>{times}</p>"
        f'<p class="wide">{_bar(counts[DONE], counts["total"], counts[FAILED])}</p>'
        f"{_failures(run)}{_running(run, now) if goes_on else ''}"
        f"<h2>Stages</h2>{_stages(run)}{_skill(skill)}{_losses(run)}{_warnings(run, kept)}"
        f"</body></html>\n"
    )
